"""Gateware with a bug put in."""

import pathlib
import types

__all__ = ["spoil"]


def spoil(module, name, *pairs):
    """The class ``name`` of a module in whose text each ``right`` of ``pairs`` (right, wrong), there once, reads
    ``wrong``."""
    text = pathlib.Path(module.__file__).read_text(encoding="utf-8")
    for right, wrong in pairs:
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    spoilt = types.ModuleType(module.__name__)
    spoilt.__package__, spoilt.__file__ = module.__package__, module.__file__
    exec(compile(text, module.__file__, "exec"), spoilt.__dict__)
    return getattr(spoilt, name)
