"""The chip after synthesis: a netlist of the fabric's cells, and the models it is simulated with.

The cells' models are Yosys' own (`cells_sim.v`): LUTs, carries, flip-flops, distributed RAM, DSP48E1. Only of block RAM
Yosys describes no more than the pins and the timing; `templates/block_ram.v.j2` has what one does in the modes that
Yosys uses.
"""

import functools
import importlib.resources
import re

from amaranth.back import rtlil
from rmdlora.hdl.top import Chip

from .files import render
from .verilog import MODULE
from .yosys import SynthesisFailure, answer, require_yosys, run_yosys

__all__ = ["cell_models", "netlist"]

BLOCK_RAM = {      # UG473: bits of an address, pins of one, data bits of a port, 256-bit pieces of the first contents
    "RAMB18E1": {"address_bits": 14, "pins": 14, "port_bits": 16, "inits": 64, "parity_inits": 8},
    "RAMB36E1": {"address_bits": 15, "pins": 16, "port_bits": 32, "inits": 128, "parity_inits": 16}}
SCRIPT = f"""\
read_rtlil design.il
scratchpad -set abc9.script "+&scorr; &sweep; &if {{W}} {{D}} {{R}} -v"
synth_xilinx -family xc7 -top {MODULE} -flatten -noiopad -noclkbuf -abc9
delete t:$scopeinfo
select {MODULE}
write_verilog -noattr -selected netlist.v
"""


def netlist(configuration):
    """The Verilog of the chip of a `Configuration` as a netlist of xc7 cells: one module, named as the generated one.

    Kept as every answer of Yosys is. Refuses a missing Yosys; raises `SynthesisFailure` where it does not deliver.
    """
    require_yosys()
    design = rtlil.convert(Chip(configuration), name=MODULE, emit_src=False)
    found = answer(("netlist", design, SCRIPT), lambda: {
        "netlist": run_yosys({"design.il": design}, [SCRIPT], ["netlist.v"])["netlist.v"]})
    return found["netlist"]


@functools.cache
def library():
    """``{module: its text}`` of Yosys' models of the family's cells, without their timing."""
    package, _ = require_yosys()
    folder = importlib.resources.files(package.replace("-", "_"))
    text = (folder / "share" / "xilinx" / "cells_sim.v").read_text(encoding="utf-8")
    text = re.sub(r"^ *specify\n.*?^ *endspecify\n", "", text, flags=re.MULTILINE | re.DOTALL)
    # a register's first value is not an event of its own: with "<=" a simulator would treat every one as driven twice
    text = text.replace("initial Q <= INIT;", "initial Q = INIT;")
    models = {match[1]: match[0] for match in re.finditer(r"^module (\w+)\b.*?^endmodule\n", text,
                                                        re.MULTILINE | re.DOTALL)}
    return models


def cell_models(netlist, configuration):
    """The Verilog of the models of every cell of the ``netlist`` of a configuration's chip."""
    kinds = sorted(set(re.findall(r"^  ([A-Z]\w+) (?:#\(|\S+ \()", netlist, re.MULTILINE)))
    texts = []
    for kind in kinds:
        if kind in BLOCK_RAM:
            texts.append(render("block_ram.v.j2", configuration, "//", name=kind, **BLOCK_RAM[kind]))
        elif kind in library():
            texts.append(library()[kind])
        else:
            raise SynthesisFailure(f"Yosys has no model of {kind}")
    return "`default_nettype wire\n" + "".join(dict.fromkeys(texts))
