"""Everything `rmdlora generate` writes: the table of files, each a function of the configuration alone."""

import dataclasses
import json
import pathlib
import typing

from .files import write_when_changed
from .flows import core_text, overlay_text, waivers_text, waves_text
from .registers import header_text, html_text, markdown_text, svd_text
from .verilog import MODULE, interface, verilog_text
from .vivado import clock_text, package_text, system_text
from .zc706 import unfit, xdc_text

__all__ = ["FILES", "described_interface", "generate", "left_out"]


@dataclasses.dataclass(frozen=True)
class File:
    """A file: ``what`` it is, its ``text`` of a configuration, and ``unfit``: why one has none (or None)."""

    what: str
    text: typing.Callable
    unfit: typing.Callable = lambda configuration: None


# by its path in the folder
FILES = {
    f"{MODULE}.v": File("the chip in Verilog-2005, one module a block", verilog_text),
    f"{MODULE}_registers.h": File("registers, windows, codes and sizes as C macros", header_text),
    f"{MODULE}.svd": File("registers as CMSIS-SVD, at the addresses of the block design", svd_text),
    "registers.md": File("the register manual as Markdown", markdown_text),
    "registers.html": File("the register manual as one page", html_text),
    f"{MODULE}.vlt": File("lint waivers for Verilator, each with its reason", waivers_text),
    f"{MODULE}.core": File("FuseSoC core: lint, Icarus, Yosys, Vivado", core_text),
    f"{MODULE}.gtkw": File("GTKWave save file for rmdlora run --waves", waves_text),
    "vivado/package_ip.tcl": File("packages the chip as a Vivado IP", package_text),
    "vivado/clock.xdc": File("the clock of the chip synthesised by itself", clock_text),
    "vivado/zc706.tcl": File("the ZC706 system: processor, DMA, interrupts, the chip, pins; its bitstream", system_text,
                             unfit),
    "zc706.xdc": File("the ZC706's pins and their timing", xdc_text, unfit),
    f"linux/{MODULE}.dtso": File("device-tree overlay: UIO devices and DMA memory", overlay_text, unfit),
}


def left_out(configuration):
    """``{path: why}`` of the files a configuration has none of."""
    return {name: reason for name, file in FILES.items() if (reason := file.unfit(configuration))}


def described_interface(configuration):
    """`verilog.interface`, with ``files``: what lies beside it, ``{path: what it is}``; ``left_out``: what does not and
    why."""
    without = left_out(configuration)
    return interface(configuration) | {
        "files": {name: file.what for name, file in FILES.items() if name not in without}, "left_out": without}


def generate(configuration, folder):
    """Write every file of a configuration into ``folder``, each only where it changed; yield each one's path."""
    folder, without = pathlib.Path(folder), left_out(configuration)
    for name, file in FILES.items():
        if name not in without:
            yield write_when_changed(folder / name, file.text(configuration))
    yield write_when_changed(folder / f"{MODULE}.json",
                             json.dumps(described_interface(configuration), indent=2) + "\n")
