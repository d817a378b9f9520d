"""`rmdlora report`: one page about a configuration that needs nothing else, and the same figures as JSON.

The page shows what is asked for: the schedule of reads as simulated at the pins, and, for the whole report, the block
diagram, the configuration, registers, cycles, resources and test results as well. What has not been measured yet is not
made up: the page says which command measures it.
"""

import dataclasses
import json
import pathlib
import xml.etree.ElementTree as ElementTree

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rmdlora.golden.spec.configuration import load_configuration, named_configurations
from rmdlora.golden.spec.refusal import RefusedValue

from .drawing import as_svg, look, put, write_page

__all__ = ["ABOUT", "PARTS", "add_arguments", "run_report"]

ABOUT = """\
Write a report of a configuration: one HTML page with its pictures inside, and its figures as JSON. `schedule`: a Gantt
chart of one crossbar read and of a stream of them, recorded at the pins. `cells`: a programmed map and its errors,
pulses against tolerance, and the device presets beside the measured data they are fitted to. `all` (default): block
diagram, configuration, registers, cycles, resources, schedule, cells and test results.

example:
  rmdlora report schedule --config default"""


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of cells under ``columns``; the first column is text, the others are aligned as numbers unless ``text``."""

    columns: tuple
    rows: list
    text: bool = False


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page: ``text`` in sentences, then pictures and tables, these ``beside`` each other where they are
    narrow."""

    title: str
    text: str
    tables: tuple = ()
    pictures: tuple = ()
    diagram: bool = False
    beside: bool = False


def add_arguments(command):
    """Tell an argument parser what `rmdlora report` takes."""
    command.add_argument("what", nargs="?", choices=("all", *PARTS), default="all",
                         help="what to report (default: %(default)s)")
    command.add_argument("--config", default="default", metavar="CONFIG",
                         help=f"a TOML file, or one of {', '.join(named_configurations())} (default: %(default)s)")
    command.add_argument("--out", metavar="FOLDER", help="where to (default: build/report/CONFIG)")
    command.add_argument("--tests", metavar="FILE", default="build/tests.xml",
                         help="results of the tests as JUnit XML (default: %(default)s, where make test writes them)")


def show_diagram(configuration, figures, given):
    """The blocks."""
    from rmdlora.hdl.pins import BoardPins

    board, geometry = configuration.board, configuration.geometry
    facts = {"multipliers": configuration.lora.multipliers, "device": configuration.device.preset,
             "tiles": configuration.crossbar.arrays, "tile_rows": geometry.tile_rows,
             "tile_columns": geometry.tile_columns, "adcs": board.adcs(geometry.tile_columns),
             "conversion_us": f"{board.conversion_ticks * 1e6 / configuration.clock.frequency_hz:.2f}",
             "pins": sum(member.shape for member in BoardPins(configuration).members.values()),
             "verilog_lines": None}
    figures |= {key: facts[key] for key in ("multipliers", "tiles", "adcs", "pins")}
    given["facts"] = facts
    return Section("The system", "Frozen weights stand in the analogue arrays; the LoRA unit applies and trains the "
                   "adapters in the SRAM buffer. Parts and counts follow from the configuration.", diagram=True)


def show_configuration(configuration, figures, given):
    """Every key of the configuration."""
    parts = {section.name: getattr(configuration, section.name) for section in dataclasses.fields(configuration)}
    tables = tuple(Table((f"[{name}]", ""), list(dataclasses.asdict(part).items()))
                   for name, part in parts.items() if dataclasses.is_dataclass(part))
    return Section("Configuration", f"All keys of configuration {configuration.name}, those not in its file included.",
                   tables, beside=True)


def show_registers(configuration, figures, given):
    """The register map."""
    from rmdlora.gen.registers import reset_words
    from rmdlora.golden.spec.registers import REGISTERS

    resets = reset_words(configuration)
    rows = [(f"0x{entry.address:03X}", entry.name, entry.access, f"0x{resets[entry.name]:08X}", entry.text)
            for entry in REGISTERS]
    return Section("Registers", "Offsets on the AXI4-Lite port; fields, codes and windows are in the manual that "
                   "rmdlora generate writes (registers.html).",
                   (Table(("offset", "register", "access", "after reset", "what it is"), rows, text=True),))


def show_cycles(configuration, figures, given):
    """Cycles of some layers, by the specification that oracle and gateware are held to."""
    pipeline, lanes, geometry = configuration.pipeline, configuration.lora, configuration.geometry
    rows = []
    for inputs, outputs in ((20, 32), (32, 20), (140, 512), (512, 512), (768, 3072)):
        if inputs > geometry.max_inputs or outputs > geometry.max_outputs:
            continue
        for rank in (rank for rank in (4, 6, 8, 16) if rank <= geometry.max_rank):
            forward, backward, update = pipeline.run(16, inputs, outputs, rank, batch=16)
            products = 16 * rank * (inputs + outputs)
            rows.append((f"{outputs} x {inputs}", rank, f"{forward:,}", f"{backward:,}", f"{update:,}",
                         f"{100 * products / (lanes.multipliers * forward):.1f} %",
                         f"{100 * 2 * products / (lanes.multipliers * (backward + update)):.1f} %"))
            figures[f"cycles_forward_{outputs}x{inputs}_r{rank}"] = forward
    return Section("Cycles", "A batch of 16 vectors through the LoRA unit, and the share of its multipliers' clocks "
                   "that do a product. rmdlora bench lora measures the same with the chip's own counters.",
                   (Table(("layer", "rank", "forward", "backward", "update", "forward used", "training used"), rows),))


def show_resources(configuration, figures, given):
    """What is known of the hardware's cost."""
    from rmdlora.gen.synthesis import design_points, resource_table

    points = [configuration, *(point for point in design_points() if point.name != configuration.name)]
    costs = sorted(resource_table(points), key=lambda cost: cost["multipliers"])
    text = ("LoRA unit and buffer on the xc7z045, before placement, by Yosys, with their share of the device; worst "
            "path through logic alone. What has not been synthesised on this machine is left out: rmdlora cost "
            f"--config {configuration.name}, and make cost for all of these.")
    rows = []
    for cost in costs:
        used = {"dsp": cost["dsp"], "bram36": cost["bram36"] + cost["bram18"] / 2, "lut": cost["lut"], "ff": cost["ff"]}
        rows.append((cost["configuration"], cost["multipliers"],
                     *(f"{count:,} ({100 * cost['share'][name]:.1f} %)" for name, count in used.items()),
                     f"{cost['worst_path_ps']:,}"))
        figures[f"worst_path_ps_{cost['configuration']}"] = cost["worst_path_ps"]
    columns = ("configuration", "multipliers", "DSP48E1", "BRAM36", "LUT", "FF", "worst path, ps")
    return Section("Resources", text, (Table(columns, rows),) if rows else ())


def show_schedule(configuration, figures, given):
    """Charts of one read and of a stream, as simulated."""
    from .schedule import draw_schedule, record_schedule

    pictures = []
    for vectors in (1, 4):
        schedule = record_schedule(configuration, vectors)
        pictures.append(as_svg(draw_schedule(schedule), f"schedule of {vectors} reads"))
        figures |= {f"reads_{vectors}_clocks": int(schedule.clocks), f"reads_{vectors}_adc_busy": schedule.adc_busy}
    figures |= {"clocks_a_read": schedule.period, "bound": schedule.bound()}
    return Section("Schedule", "Reads of one full tile at the pins, recorded in simulation with every part's timing "
                   "checked and every code compared with the oracle's. The next vector's frames load while this one "
                   "converts; the switch moves once the ADCs hold.", pictures=tuple(pictures))


def show_cells(configuration, figures, given):
    """Programmed cells, what they cost in pulses, and the presets beside measured data."""
    from . import cell_pictures as cells

    programmed, counts = cells.program_map(configuration), cells.count_pulses(configuration)
    retention, switching = cells.compare_retention(), cells.compare_switching()
    figures |= programmed.figures | retention.figures
    figures |= {f"mean_pulses_{tolerance:g}us": mean for tolerance, (mean, _, _) in counts.items()}
    rows = [(f"+-{tolerance:g} uS", f"{mean:.1f} +- {2 * error:.1f}", given_up)
            for tolerance, (mean, error, given_up) in sorted(counts.items())]
    known = retention.measured is not None and switching.measured is not None
    used = 100 * programmed.used
    text = (f"A map of normal weights on preset {programmed.preset} within +-{programmed.tolerance_us:g} uS: "
            f"{programmed.pulses.mean():.1f} pulses a cell, {int(programmed.given_up.sum())} cells given up, "
            f"{used.mean():.2f} % of the endurance used (at most {used.max():.2f} %). "
            'The paper (arXiv 2601.10037) says "tens" of cycles for 2 uS and about 50 for less than 1 uS; its preset '
            "is made from those two figures. ")
    text += "" if known else "Measured data is not in RMDLORA_DATA: models alone."
    drawn = ((cells.draw_map(programmed), "programmed map"), (cells.draw_pulses(counts), "pulses against tolerance"),
             (cells.draw_retention(retention), "retention"), (cells.draw_switching(switching), "switching"))
    return Section("Cells", text, (Table(("tolerance, preset paper", "pulses a cell", "given up"), rows),),
                   tuple(as_svg(figure, title) for figure, title in drawn))


def show_tests(configuration, figures, given):
    """What the tests said when they ran last."""
    path = pathlib.Path(given["tests"])
    if not path.is_file():
        return Section("Tests", f"No results at {path}: make test writes them.")
    try:
        suites = ElementTree.parse(path).getroot().iter("testsuite")
    except ElementTree.ParseError as error:
        raise RefusedValue(f"--tests must be JUnit XML, not {path} ({error})") from None
    by_file = {}
    for case in (case for suite in suites for case in suite.iter("testcase")):
        outcome = next((kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None), "passed")
        counts = by_file.setdefault(case.get("classname", "?").rsplit(".", 1)[-1], dict.fromkeys(OUTCOMES, 0))
        counts[outcome] += 1
    rows = [(name, *(counts[outcome] for outcome in OUTCOMES)) for name, counts in sorted(by_file.items())]
    totals = [sum(counts[outcome] for counts in by_file.values()) for outcome in OUTCOMES]
    figures |= {f"tests_{outcome}": total for outcome, total in zip(OUTCOMES, totals, strict=True)}
    return Section("Tests", "", (Table(("file", *OUTCOMES), [*rows, ("all", *totals)]),))


OUTCOMES = ("passed", "skipped", "failure", "error")
PARTS = {"schedule": (show_schedule,), "cells": (show_cells,)}
ALL = (show_diagram, show_configuration, show_cycles, show_resources, show_schedule, show_cells, show_tests,
       show_registers)


def run_report(arguments):
    """Carry out the command; gives the exit status."""
    configuration = load_configuration(arguments.config)
    folder = pathlib.Path(arguments.out or pathlib.Path("build", "report", configuration.name))
    if folder.exists() and not folder.is_dir():
        raise RefusedValue(f"--out must be a folder, not {folder}")
    figures, given = {"configuration": configuration.name}, {"tests": arguments.tests, "facts": None}
    sections = []
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
                  console=Console(stderr=True), transient=True) as progress, look():
        task = progress.add_task("report")
        for show in PARTS.get(arguments.what, ALL):
            progress.update(task, description=f"{show.__name__.removeprefix('show_')}")
            sections.append(show(configuration, figures, given))
    put(folder / "report.json", json.dumps(figures, indent=1) + "\n")
    page = write_page("report.html.j2", folder / "report.html", configuration=configuration, sections=sections,
                      facts=given["facts"])
    Console().print(f"{page}: {', '.join(section.title.lower() for section in sections)}", soft_wrap=True,
                    highlight=False)
    return 0
