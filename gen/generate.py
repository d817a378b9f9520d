"""Everything `rmdlora generate` writes: the table of files, each a function of the configuration alone."""

import json
import pathlib

from .files import write_when_changed
from .registers import header_text, html_text, markdown_text, svd_text
from .verilog import MODULE, interface, verilog_text

__all__ = ["FILES", "described_interface", "generate"]

# file: (what it is, its text)
FILES = {
    f"{MODULE}.v": ("the chip in Verilog-2005, one module a block", verilog_text),
    f"{MODULE}_registers.h": ("registers, windows, codes and sizes as C macros", header_text),
    f"{MODULE}.svd": ("registers as CMSIS-SVD, at the addresses of the block design", svd_text),
    "registers.md": ("the register manual as Markdown", markdown_text),
    "registers.html": ("the register manual as one page", html_text),
}


def described_interface(configuration):
    """`verilog.interface`, with ``files``: what lies beside it, ``{path: what it is}``."""
    return interface(configuration) | {"files": {name: what for name, (what, _) in FILES.items()}}


def generate(configuration, folder):
    """Write every file of a configuration into ``folder``, each only where it changed; yield each path written to."""
    folder = pathlib.Path(folder)
    for name, (_, text) in FILES.items():
        yield write_when_changed(folder / name, text(configuration))
    yield write_when_changed(folder / f"{MODULE}.json",
                             json.dumps(described_interface(configuration), indent=2) + "\n")
