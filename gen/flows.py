"""Files of the open flows: a FuseSoC core, Verilator's lint waivers, a GTKWave save file, a device-tree overlay."""

import re

from rmdlora.hdl.top import chip_members

from .files import render
from .verilog import MODULE, verilog_text
from .vivado import IP, bus_ports
from .zc706 import PART, board_ports
from .zynq import CHIP_ADDRESS, CHIP_SIZE, DMA_SIZE, dma_engines, first_interrupt

__all__ = ["SCOPE", "core_text", "overlay_text", "waivers_text", "waves_text"]

SCOPE = "TOP.alone.chip"        # of the chip in what `rmdlora run --waves` writes

# rule of Verilator: why the chip's text breaks it, and why that is no fault
WAIVERS = {
    "BLKSEQ": "A clocked process works out what only its registers need before them, and nothing else reads that.",
    "CASEINCOMPLETE": "Amaranth gives a signal its default before the case that changes it: no branch is missing.",
    "DECLFILENAME": "One file holds the whole hierarchy.",
    "PROCASSINIT": "Yosys writes a register's value at power-up into its declaration as well as its reset; they agree.",
    "UNUSEDSIGNAL": "Yosys keeps Amaranth's wires under their names, also those (and bits) that nothing reads.",
    "UNOPTFLAT": "A bit of a bus leads to another bit of it: bit by bit nothing goes round (Yosys' check looks).",
    "VARHIDDEN": "A memory has the name of the instance its module is.",
    "WIDTHEXPAND": "Yosys leaves operands at their own width where the context widens them, as Verilog says it must.",
    "WIDTHTRUNC": "The same the other way: a word selected by a shift is wider than what is taken of it.",
}


def core_text(configuration):
    """FuseSoC core (CAPI2): targets ``lint``, ``icarus``, ``yosys`` (xc7) and ``vivado`` (the chip by itself)."""
    return render("rmdlora.core.j2", configuration, "#", module=MODULE, vlnv=IP, part=PART)


def waivers_text(configuration):
    """Waivers under which ``verilator --lint-only -Wall`` has nothing to say of the chip, each with its reason."""
    return render("rmdlora.vlt.j2", configuration, "//", module=MODULE, waivers=WAIVERS)


def state_machines(text):
    """``[(module below the chip, bits of its state)]`` of a chip's Verilog."""
    found, module = [], None
    for line in text.splitlines():
        if match := re.match(r"module \\?(\S+?) ?\(", line):
            module = match[1]
        elif match := re.match(r"  reg (?:\[(\d+):0\] )?fsm_state\b", line):
            found.append((module.removeprefix(f"{MODULE}.") if module != MODULE else "", int(match[1] or 0) + 1))
    return found


def waves_text(configuration):
    """GTKWave save file for what ``rmdlora run --waves`` writes: buses, the board's pins, every state machine."""
    def signal(name, bits=1):
        return name if bits == 1 else f"{name}[{bits - 1}:0]"

    members = chip_members(configuration)
    groups = {"clock, reset, interrupt": [signal(name) for name in ("clk", "rst", "running", "irq")]}
    for bus, ports in bus_ports(configuration).items():
        widths = members[bus].signature.members
        groups[bus] = [signal(port, int(widths[logical.lower()].shape)) for logical, port in ports]
    groups["board"] = [signal(name, bits) for name, bits, _ in board_ports(configuration)]
    groups["states"] = [signal(f"{module}.fsm_state" if module else "fsm_state", bits)
                        for module, bits in state_machines(verilog_text(configuration))]
    return render("rmdlora.gtkw.j2", configuration, "[*]", scope=SCOPE, groups=groups)


def overlay_text(configuration):
    """Device-tree overlay for Linux: the chip and the DMA engines as UIO devices, memory for the engines."""
    return render("rmdlora.dtso.j2", configuration, "//", engines=dma_engines(configuration), dma_size=DMA_SIZE,
                  chip_address=CHIP_ADDRESS, chip_size=CHIP_SIZE, interrupt=first_interrupt())
