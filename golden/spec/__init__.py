"""The specification: what every other room reads, in the standard library only."""
