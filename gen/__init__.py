"""Files: what `rmdlora generate` writes."""
