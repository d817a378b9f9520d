"""The chip of a configuration as Verilog, and its interface as JSON beside it.

The text is a function of the configuration alone: no time, no path, no hash order. Memories come from Amaranth with an
assignment for every word, megabytes of zeros that some tools take minutes to read. They are taken out before Yosys
writes the Verilog, and a loop that clears the memory, for simulators, is put in: block RAM starts at zero anyway where
the technology can, and nothing relies on it, the driver writes what it uses.

Where some bits of a signal are constant Yosys writes ``always @*`` around a constant, which no simulator ever executes:
for simulators that becomes an ``initial``. Signals of no bits, which Yosys would make two bits wide, go. Registers are
written as `clocked` says.
"""

import contextlib
import functools
import gc
import json
import pathlib
import re

from amaranth.back import rtlil, verilog
from rmdlora.golden.spec.formats import container_bits
from rmdlora.hdl.top import Chip

from .clocked import clocked
from .files import configuration_tables, heading, write_when_changed

__all__ = ["MODULE", "interface", "memories", "verilog_text", "write_verilog"]

MODULE = "rmdlora"
ZERO_WORDS = re.compile(r"^  cell \$meminit_v2 .*\n(?:    parameter .*\n)*    connect \\ADDR .*\n"
                        r"    connect \\DATA \d+'0+\n    connect \\EN .*\n  end\n", re.MULTILINE)
NO_BITS = re.compile(r"^(?:  attribute .*\n)*  wire width 0 .*\n|^connect \S+ \{ *\}\n", re.MULTILINE)
DECLARATION = r"^  reg \[(\d+):0\] (\S+) +\[(\d+):0\];"
MEMORY = re.compile(DECLARATION + r"\n(?!  initial begin\n    \2 *\[)", re.MULTILINE)
CONSTANT = re.compile(r"^  always @\*\n(    \S.* = [0-9a-fx'hdb{}, ]+;\n)", re.MULTILINE)
MODULE_LINE = re.compile(r"^module (\S+?) ?\(", re.MULTILINE)


@functools.lru_cache(maxsize=4)
def build(configuration):
    """``(text, ports)`` of the chip: made together, since making it is most of the work."""
    chip = Chip(configuration)
    ports = [{"name": name, "direction": "in", "bits": 1, "signed": False} for name in ("clk", "rst")]
    collect_ports(chip.metadata.as_json()["interface"]["members"], ports)
    return heading(configuration, "//") + convert(chip, MODULE), tuple(ports)


def verilog_text(configuration):
    """The Verilog of the chip: module `MODULE` and every module below it. The same bytes for the same configuration."""
    return build(configuration)[0]


def convert(component, name):
    """Verilog of a component, memories that start at zero without an assignment a word."""
    with without_collector():
        text = rtlil.convert(component, name=name, emit_src=False)
    # The step after `rtlil.convert` inside `amaranth.back.verilog.convert`; the version of Amaranth is pinned.
    text = verilog._convert_rtlil_text(NO_BITS.sub("", ZERO_WORDS.sub("", text)), strip_internal_attrs=True)
    text = CONSTANT.sub(r"`ifdef SYNTHESIS\n  always @*\n`else\n  initial\n`endif\n\1", text)
    return MEMORY.sub(clear_memory, clocked(text))


@contextlib.contextmanager
def without_collector():
    """No garbage collection inside: millions of small objects are made and kept, and looking through them over and over
    is a third of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def clear_memory(declaration):
    """The declaration of a memory, and the loop that clears it at the start of a simulation."""
    width, name, last = int(declaration[1]) + 1, declaration[2], int(declaration[3])
    index = "word_of_" + re.sub(r"\W", lambda sign: f"_{ord(sign[0]):x}_", name.removeprefix("\\"))
    return (f"{declaration[0]}`ifndef SYNTHESIS\n  integer {index};\n  initial begin\n"
            f"    for ({index} = 0; {index} <= {last}; {index} = {index} + 1)\n"
            f"      {name} [{index}] = {width}'h0;\n  end\n`endif\n")


def memories(text):
    """``[{module, name, words, bits}]`` of the memories in a Verilog text, in order."""
    found = []
    module = None
    for line in text.splitlines(keepends=True):
        if match := MODULE_LINE.match(line):
            module = match[1].removeprefix("\\")
        elif match := re.match(DECLARATION, line):
            found.append({"module": module, "name": match[2].removeprefix("\\"), "words": int(match[3]) + 1,
                          "bits": int(match[1]) + 1})
    return found


def interface(configuration):
    """What a tool beside the Verilog needs to know, as plain data.

    ``module``, ``clock``, ``reset``; ``ports`` (name, direction, bits, signed); ``streams`` (direction, elements of a
    beat, bits of an element's container, bits and name of the code in it); ``memories``; ``name``; ``configuration``.
    """
    text, ports = build(configuration)
    streams = {}
    for name, key in configuration.streams.items():
        bits = getattr(configuration.formats, key)
        streams[name] = {"direction": "in" if name.startswith("s_") else "out", "container": container_bits(bits),
                         "elements": configuration.lora.beat_elements, "bits": bits, "code": key}
    return {"module": MODULE, "clock": "clk", "reset": "rst", "ports": [dict(port) for port in ports],
            "streams": streams, "memories": memories(text), "name": configuration.name,
            "configuration": configuration_tables(configuration)}


def collect_ports(members, ports):
    """Add the ports of a component's metadata to ``ports``, sorted by name within what belongs together."""
    for _, member in sorted(members.items()):
        if member["type"] == "interface":
            collect_ports(member["members"], ports)
        else:
            ports.append({"name": member["name"], "direction": member["dir"], "bits": member["width"],
                          "signed": member["signed"]})


def write_verilog(configuration, folder):
    """Write ``rmdlora.v`` and ``rmdlora.json`` into ``folder``, each only where it changed; return both paths."""
    folder = pathlib.Path(folder)
    described = json.dumps(interface(configuration), indent=2) + "\n"
    return (write_when_changed(folder / f"{MODULE}.v", verilog_text(configuration)),
            write_when_changed(folder / f"{MODULE}.json", described))
