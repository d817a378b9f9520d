"""`rmdlora cost`: what the gateware costs in hardware, by Yosys, as a table over configurations."""

import dataclasses
import json
import time

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rmdlora.gen.files import write_when_changed
from rmdlora.golden.spec.configuration import load_configuration

__all__ = ["ABOUT", "add_arguments", "cost_table", "run_cost"]

ABOUT = """\
What the gateware costs, by Yosys, before placement. `xc7`: LUTs, flip-flops, block RAM and DSP48E1s of the Zynq's
fabric, their share of the xc7z045, and the worst path through logic alone. `gf180`: area and worst path in 180 nm
standard cells (RMDLORA_PDK names the library's folder) of the build with single-port memories, which stay macros and
are counted by bits.

A new estimate takes from a minute (8 multipliers) to hours (256), most of them in one process, and is kept;
RMDLORA_YOSYS=pyosys runs a native Yosys, which large ones need for their memory.

examples:
  rmdlora cost --config tiny --config default          two configurations
  rmdlora cost --known                                 all design points, as far as they are known already
  rmdlora cost --target gf180 --config tiny --json cost.json"""

TARGETS = ("gf180", "xc7")


def add_arguments(command):
    """Tell an argument parser what `rmdlora cost` takes."""
    command.add_argument("--target", choices=TARGETS, default="xc7", help="of what (default: %(default)s)")
    command.add_argument("--block", choices=("lora", "chip"), default="lora",
                         help="lora: the LoRA unit on its buffer (default); chip: everything")
    command.add_argument("--config", action="append", metavar="CONFIG",
                         help="a TOML file or a name, as often as wanted (default: 8, 16, 64 and 256 multipliers)")
    command.add_argument("--known", action="store_true", help="ask nothing of Yosys that was not asked before")
    command.add_argument("--json", metavar="FILE", help="write the rows as one list of objects")


def cost_table(rows, target):
    """The rows of `gen.synthesis.resource_table` as a `rich` table."""
    table = Table(title=f"{target}, logic only; ps: the worst path", title_justify="left")
    numbers = ("mult.", "LUT", "packed", "FF", "BRAM", "DSP", "ps") if target == "xc7" else (
        "mult.", "cells", "flip-flops", "um2", "memory bits", "ps")
    table.add_column("configuration")
    for number in numbers:
        table.add_column(number, justify="right")
    for row in rows:
        if target == "gf180":
            counts = (row[key] for key in ("multipliers", "cells", "flip_flops", "area_um2", "memory_bits"))
            table.add_row(row["configuration"], *(f"{count:,.0f}" for count in counts), f"{row['worst_path_ps']:,}")
            continue
        table.add_row(row["configuration"], str(row["multipliers"]), f"{row['lut']:,}", f"{row['lut_packed']:,}",
                      f"{row['ff']:,}", f"{row['bram36'] + row['bram18'] / 2:g}",
                      f"{row['dsp_products']} + {row['dsp_calibration'] + row['dsp_other']}",
                      f"{row['worst_path_ps']:,}")
        shares = (row["share"][kind] for kind in ("lut", "lut_packed", "ff", "bram36", "dsp"))
        table.add_row("  of xc7z045", "", *(f"{share:.1%}" for share in shares))
    return table


def run_cost(arguments):
    """`rmdlora cost`; progress goes to standard error."""
    from rmdlora.gen.synthesis import design_points, resource_table

    points = [load_configuration(name) for name in arguments.config or ()] or design_points()
    if arguments.target == "gf180":
        points = [dataclasses.replace(point, sram=dataclasses.replace(point.sram, ports="single")) for point in points]
    rows = []
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), transient=True,
                  console=Console(stderr=True)) as progress:
        task = progress.add_task("")
        for place, point in enumerate(points):
            progress.update(task, description=f"{point.name}, {point.lora.multipliers} multipliers "
                                              f"({place + 1} of {len(points)})")
            began = time.monotonic()
            found = resource_table([point], arguments.block, arguments.target, run=not arguments.known)
            rows += found
            if found and (seconds := time.monotonic() - began) > 10:
                progress.console.print(f"{point.name}: {seconds:.0f} s")
    console = Console()
    if rows:
        console.print(cost_table(rows, arguments.target))
    for row in rows:
        kept = f", {row['lut_as_memory']:,} LUTs as memory" if "lut_as_memory" in row else ""
        console.print(f"{row['configuration']}: {row['worst_path_ps']:,} ps {row['worst_path']}{kept}", highlight=False,
                      soft_wrap=True)
    if len(rows) < len(points):
        console.print(f"{len(points) - len(rows)} of {len(points)} not known: without --known they are found out")
    if arguments.json:
        write_when_changed(arguments.json, json.dumps(rows, indent=1) + "\n")
    return 0
