"""Where everything that is costly to make and depends on nothing but its sources is kept between runs."""

import os
import pathlib

__all__ = ["cache_folder"]


def cache_folder():
    """Folder of finished builds: RMDLORA_CACHE, or `rmdlora` in the user's cache folder."""
    given = os.environ.get("RMDLORA_CACHE")
    if given:
        return pathlib.Path(given)
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "rmdlora"
