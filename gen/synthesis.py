"""What a block costs in hardware: Yosys' estimate for a Zynq's fabric and for 180 nm standard cells.

Both are estimates before placement, from the gateware's own netlist (RTLIL, not Verilog): resources as they are mapped,
and the worst path through logic alone, no wires. Yosys' delays of the fabric are those of an Artix-7 of the same
family, from Project X-Ray; the clock reaches every register at the same time. Wires take about as long again as half of
the logic in a design that meets its timing, so 3.0 ns of logic stand for 250 MHz with a third of the period left.

``xc7``     LUTs (those used as memory included, a lone inverter counted as one), flip-flops, block RAM, DSP48E1, and
            their share of the xc7z045
``gf180``   cells, area and worst path in GF180MCU's 7-track library (typical, 3.3 V, 25 C) at RMDLORA_PDK. Memories
            stay macros: counted by bits, neither their area nor their access time in it
"""

import collections
import dataclasses
import functools
import gzip
import hashlib
import importlib.metadata
import itertools
import json
import os
import pathlib
import re

from amaranth.back import rtlil
from rmdlora.golden.spec.configuration import Sram, load_configuration
from rmdlora.golden.spec.geometry import Lanes
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.hdl.top import Chip

from .blocks import LoraBlock
from .yosys import SynthesisFailure, answer, recall, require_yosys, run_yosys

__all__ = ["BLOCKS", "XC7Z045", "Cells", "Fabric", "design_points", "resource_table", "synthesise"]

BLOCKS = {"lora": LoraBlock, "chip": Chip}
# Zynq-7000 SoC overview (DS190): LUTs, flip-flops, 36 Kb block RAMs and DSP slices of the device on the ZC706
XC7Z045 = {"lut": 218_600, "ff": 437_200, "bram36": 545, "dsp": 900}
# LUTs in a slice's memory cells: UG474 (7 Series CLB), distributed RAM and shift registers
MEMORY_LUTS = {"RAM32M": 4, "RAM64M": 4, "RAM32X1S": 1, "RAM32X1D": 2, "RAM64X1S": 1, "RAM64X1D": 2, "RAM128X1S": 2,
               "RAM128X1D": 4, "RAM256X1S": 4, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1}
LIBRARY = "gf180mcu_fd_sc_mcu7t5v0__tt_025C_3v30.lib"
BACKSLASH = "\\"
FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE")
# The mapper's own script looks for fewer levels where there are enough already: without that search the netlist is
# smaller and comes sooner.
XC7_MAP = """\
read_rtlil design.il
scratchpad -set abc9.script "+&scorr; &sweep; &if {W} {D} {R} -v"
synth_xilinx -family xc7 -top top -flatten -noiopad -noclkbuf -abc9
delete t:$scopeinfo
tee -q -o stat.json stat -json -tech xilinx
select top
write_rtlil -selected mapped.il
"""
XC7_TIME = """\
read_rtlil mapped.il
read_verilog -lib -specify +/xilinx/cells_sim.v
tee -q -o timing.txt sta
"""
GF180_MAP = """\
read_rtlil design.il
synth -flatten -top top -run begin:fine
opt_clean
tee -q -o memories.txt dump t:$mem_v2
expose -evert t:$mem_v2
techmap
opt
dfflibmap -liberty cells.lib
opt
tee -q -o timing.txt abc -liberty cells.lib -script abc.txt
opt_clean
delete t:$scopeinfo
tee -q -o stat.json stat -json -liberty cells.lib
"""
# Yosys' own script for a library, and the delay of what came out of it
GF180_ABC = """\
strash
ifraig
scorr
dc2
dch -f
map -B 0.9
topo
buffer -c
upsize
dnsize
stime -p
"""


@dataclasses.dataclass(frozen=True)
class Fabric:
    """A block on the fabric of a 7-series device; `worst_path_ps` and `worst_path` (from, to) by Yosys' `sta`.

    ``lut``: every function counted as a LUT, so an upper bound; ``lut_packed``: two small functions to a LUT of the
    device, which holds two of up to five inputs, as Yosys expects them to be packed.
    ``dsp_products``: DSP48E1s of the LoRA products; ``dsp_calibration``: of the calibration of crossbar sums;
    ``dsp_other``: any others.
    """

    block: str
    configuration: str
    multipliers: int
    lut: int
    lut_packed: int
    lut_as_memory: int
    ff: int
    bram36: int
    bram18: int
    dsp_products: int
    dsp_calibration: int
    dsp_other: int
    worst_path_ps: int
    worst_path: str

    @property
    def dsp(self):
        """All DSP48E1s."""
        return self.dsp_products + self.dsp_calibration + self.dsp_other

    @property
    def share(self):
        """Share of the xc7z045: ``{resource: part of 1}``."""
        used = {"lut": self.lut, "ff": self.ff, "bram36": self.bram36 + self.bram18 / 2, "dsp": self.dsp}
        return {name: used[name] / have for name, have in XC7Z045.items()} | {
            "lut_packed": self.lut_packed / XC7Z045["lut"]}

    def as_json(self):
        """Everything, for a report."""
        return {"target": "xc7"} | dataclasses.asdict(self) | {"dsp": self.dsp, "share": self.share}


@dataclasses.dataclass(frozen=True)
class Cells:
    """A block in 180 nm standard cells; ``memories``: ``[words, bits, read ports, write ports, how many]`` of each
    kind.

    ``worst_path_ps``, ``worst_path``: as ABC's `stime` adds the library's delays under the load of the gates driven,
    drivers sized and buffered for it; from register or memory to register or memory, without those ends' own time.
    """

    block: str
    configuration: str
    multipliers: int
    cells: int
    flip_flops: int
    area_um2: float
    memory_bits: int
    memories: list
    worst_path_ps: int
    worst_path: str

    def as_json(self):
        """Everything, for a report."""
        return {"target": "gf180"} | dataclasses.asdict(self)


def synthesise(configuration, block="lora", target="xc7", run=True):
    """The cost of ``block`` of a `Configuration`: a `Fabric` (``target`` "xc7") or `Cells` ("gf180").

    ``block`` is "lora", the LoRA unit on its buffer, or "chip", everything.

    Answers are kept, by everything they depend on; a new one takes from half a minute to an hour, with the multipliers.
    Without ``run`` a missing answer is None. Refuses other names, a missing Yosys, a missing library;
    raises `SynthesisFailure` where Yosys does not deliver.
    """
    if block not in BLOCKS:
        raise RefusedValue(f"block must be {' or '.join(BLOCKS)}, not {block!r}")
    if target not in TARGETS:
        raise RefusedValue(f"target must be {' or '.join(TARGETS)}, not {target!r}")
    require_yosys()
    configured = repr(dataclasses.replace(configuration, name="any"))
    known = ("known", target, block, configured, sources(), read_library() if target == "gf180" else "")
    if run:
        identity, find = TARGETS[target](lambda: convert(block, configuration))
        found = answer(known, lambda: answer(identity, find))
    else:       # without the netlist, which for a large one takes minutes
        found = recall(known)
    return found and KINDS[target](
        block=block, configuration=configuration.name, multipliers=configuration.lora.multipliers, **found)


@functools.cache
def sources():
    """Everything of ours that a netlist and its cost depend on, as a digest."""
    root = pathlib.Path(__file__).parents[1]
    paths = [*(root / "hdl").rglob("*.py"), *(root / "golden" / "spec").rglob("*.py"),
             *(root / "gen" / name for name in ("blocks.py", "synthesis.py", "yosys.py"))]
    digest = hashlib.sha256(importlib.metadata.version("amaranth").encode())
    for path in sorted(paths):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@functools.lru_cache(maxsize=1)
def convert(block, configuration):
    """The netlist of a block, as RTLIL: for a large one this takes minutes."""
    return rtlil.convert(BLOCKS[block](configuration), name="top", emit_src=False)


def on_fabric(make_design):
    """``(identity, find)`` of a design's cost on the fabric."""
    design = make_design()

    def find():
        texts = run_yosys({"design.il": design}, [XC7_MAP, XC7_TIME], ["stat.json", "mapped.il", "timing.txt"])
        counts, stat = cell_counts(texts["stat.json"])
        found = count_fabric(counts, texts["mapped.il"]) | read_timing(texts["timing.txt"], texts["mapped.il"])
        return found | {"lut_packed": stat["estimated_num_lc"] + found["lut_as_memory"]}

    return ("xc7", design, XC7_MAP, XC7_TIME), find


def in_cells(make_design):
    """``(identity, find)`` of a design's cost in 180 nm standard cells."""
    library, design = read_library(), make_design()

    def find():
        texts = run_yosys({"design.il": design, "cells.lib": library, "abc.txt": GF180_ABC}, [GF180_MAP],
                          ["stat.json", "memories.txt", "timing.txt"])
        counts, stat = cell_counts(texts["stat.json"])
        memories = count_memories(texts["memories.txt"])
        return read_delay(texts["timing.txt"]) | {
            "cells": sum(counts.values()), "area_um2": stat["area"],
            "flip_flops": sum(many for name, many in counts.items() if re.search(r"__s?dff", name)),
            "memory_bits": sum(words * bits * many for words, bits, *_, many in memories), "memories": memories}

    return ("gf180", design, GF180_MAP, GF180_ABC, library), find


TARGETS = {"xc7": on_fabric, "gf180": in_cells}
KINDS = {"xc7": Fabric, "gf180": Cells}


def cell_counts(stat):
    """``({cell type: how many}, all)`` from the text of ``stat -json``."""
    design = json.loads(stat)["design"]
    if not design.get("num_cells_by_type"):
        raise SynthesisFailure("Yosys counted no cells")
    return design["num_cells_by_type"], design


def count_fabric(counts, mapped):
    """Resources from the counts of cells and the text of the mapped netlist, whose names say what a DSP48E1 is of."""
    as_memory = sum(luts * counts.get(name, 0) for name, luts in MEMORY_LUTS.items())
    dsps = re.findall(r"^ *cell \\DSP48E1 (\S+)", mapped, re.MULTILINE)
    products = sum("\\multipliers." in name for name in dsps)
    calibration = sum("\\row_sums." in name for name in dsps)
    return {"lut": as_memory + counts.get("INV", 0) + sum(counts.get(f"LUT{inputs}", 0) for inputs in range(1, 7)),
            "lut_as_memory": as_memory, "ff": sum(counts.get(name, 0) for name in FLIP_FLOPS),
            "bram36": counts.get("RAMB36E1", 0), "bram18": counts.get("RAMB18E1", 0), "dsp_products": products,
            "dsp_calibration": calibration, "dsp_other": counts.get("DSP48E1", 0) - products - calibration}


def read_timing(text, mapped):
    """The worst path from what `sta` says of the netlist ``mapped``: how long, and from where through what to where."""
    found = re.search(r"^Latest arrival time in .* is (\d+):\n((?: .*\n)*)", text, re.MULTILINE)
    if not found:
        raise SynthesisFailure("Yosys named no worst path")
    steps = re.findall(r"^ +\d+ (\S+)(?: \((\w+)\.\S+\))?.*(?:\n {6,}(\S+)(?: \[(\d+)\])?$)?", found[2], re.MULTILINE)
    nets = [f"{net.removeprefix(BACKSLASH)}[{bit}]" if bit else net.removeprefix(BACKSLASH) for *_, net, bit in steps]
    start = next((nets[index] for index in reversed(range(len(steps))) if nets[index][:1] not in ("", "$")), "?")
    end, kind = steps[0][:2]
    passed = [f"{len(list(same))} {name}" for name, same in itertools.groupby(step[1] for step in reversed(steps[1:]))
              if name and name not in FLIP_FLOPS]
    if not kind:
        end = nets[0]
    elif kind in FLIP_FLOPS:
        register = re.search(rf"^ *cell \\{kind} {re.escape(end)}\n(?: +(?!cell ).*\n)*? +connect \\Q \\?(.*)$", mapped,
                             re.MULTILINE)
        end = register[1].replace(" ", "") if register else end
    return {"worst_path_ps": int(found[1]), "worst_path": " > ".join([start, *passed, end])}


def read_delay(text):
    """The worst path from what ABC's `stime -p` says."""
    steps = re.findall(r"Path +\d+ --.* Df =\s*([\d.]+)", text)
    ends = re.search(r"Start-point = \S+ \((.*?)\)\. +End-point = \S+ \((.*?)\)\.", text)
    if not (steps and ends):
        raise SynthesisFailure("ABC named no worst path")
    start, end = (name.removeprefix(BACKSLASH).replace(" ", "") for name in ends.groups())
    return {"worst_path_ps": round(float(steps[-1])), "worst_path": f"{start} > {len(steps) - 1} cells > {end}"}


def count_memories(text):
    """``[[words, bits of a word, read ports, write ports, how many]]`` from a dump of memory cells."""
    kinds = collections.Counter()
    for cell in text.split("cell $mem_v2 ")[1:]:
        numbers = {name: int(number) for name, number in re.findall(r"parameter \\(\w+) (\d+)$", cell, re.MULTILINE)}
        kinds[tuple(numbers[name] for name in ("SIZE", "WIDTH", "RD_PORTS", "WR_PORTS"))] += 1
    return [[*kind, many] for kind, many in sorted(kinds.items())]


def read_library():
    """The text of the standard-cell library: RMDLORA_PDK is the file, or the folder it lies in. Refuses its absence."""
    given = os.environ.get("RMDLORA_PDK")
    rule = f"RMDLORA_PDK must name the folder of {LIBRARY} (or .gz), of GF180MCU's open 7-track cells"
    if not given:
        raise RefusedValue(f"{rule}, not be unset")
    place = pathlib.Path(given)
    for path in (place, place / LIBRARY, place / f"{LIBRARY}.gz"):
        if path.is_file():
            text = path.read_bytes()
            return (gzip.decompress(text) if path.suffix == ".gz" else text).decode()
    raise RefusedValue(f"{rule}, not {given}, where it is not")


def design_points():
    """The configurations a table of resources shows: 8 to 256 multipliers, shared out as the tasks want them."""
    base = load_configuration("default")
    points = [load_configuration("face"), base, load_configuration("speaker"), load_configuration("image")]
    wide = dataclasses.replace(base, name="16 x 16 x 1", lora=Lanes(16, 16, 1), sram=Sram(1024))
    return [*points, wide]


def resource_table(configurations=None, block="lora", target="xc7", run=False):
    """What each configuration costs, as a list of dicts of JSON's kinds; without ``run`` only what is known already."""
    found = (synthesise(configuration, block, target, run) for configuration in configurations or design_points())
    return [cost.as_json() for cost in found if cost is not None]
