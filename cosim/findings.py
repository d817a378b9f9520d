"""What a demonstration found: the numbers of its table, its report and its JSON."""

import dataclasses

import numpy as np
from amaranth.hdl import Shape
from rich import box
from rich.table import Table
from rmdlora.golden.face import accuracy, accuracy_by_identity, confusion
from rmdlora.hdl.pins import BoardPins

__all__ = ["Findings", "LayerRow", "closing_lines", "gather", "layer_table", "numbers_of"]


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """A row of the table: one layer over all images of the co-simulation.

    ``cycles`` are clocks from the operation's acceptance to its last `y` beat, crossbar reads included; ``lora_cycles``
    what the LoRA unit alone would take; ``adc_us`` the time its ADCs spend converting; ``compared`` and ``differing``
    count codes.
    """

    name: str
    outputs: int
    inputs: int
    rank: int
    tiles: int
    reads: int
    vectors: int
    cycles: int
    lora_cycles: int
    conversions: int
    adc_us: float
    compared: int
    differing: int


@dataclasses.dataclass(frozen=True)
class Findings:
    """All that the report shows.

    ``facts`` {name: number or text} goes into the JSON as it stands; ``headlines`` a list of ``(what, number in
    words)``. ``faces``: a list of ``(picture (side, side), identity, before, after)``, the identities the RTL's
    network gave without and with the adapter (None where it did not run). ``accuracy`` {"float"|"integer":
    {"before"|"after": {identity: share}}} on test pictures; ``confusion`` {"before"| "after": counts}.
    ``conductances`` int (tiles, rows, columns) in units of ``g_lsb_us``, ``tile_names`` a name each. ``sums`` and
    ``outputs`` each a pair of equally shaped integer arrays: crossbar sums and outputs of the RTL, and the oracle's.
    ``troubles``: a line for everything that differs or broke a rule.
    """

    facts: dict
    headlines: list
    rows: list
    faces: list
    accuracy: dict
    confusion: dict
    conductances: np.ndarray
    tile_names: list
    g_lsb_us: float
    g_window_us: tuple
    sums: tuple
    outputs: tuple
    forgotten: int
    source: str
    passed_over: tuple = ()
    troubles: tuple = ()


def numbers_of(findings):
    """The findings as one dictionary of plain numbers and text, for `json`."""
    rows = [dataclasses.asdict(row) for row in findings.rows]
    return {**findings.facts, "data_source": findings.source, "data_passed_over": list(findings.passed_over),
            "codes_compared": sum(row.compared for row in findings.rows),
            "codes_differing": sum(row.differing for row in findings.rows),
            "troubles": list(findings.troubles), "layers": rows,
            **{f"accuracy_{kind}_{when}": {str(key): value for key, value in shares.items()}
               for kind, cases in findings.accuracy.items() for when, shares in cases.items()}}


def gather(demo, seconds):
    """The `Findings` of a `demo.Demonstration` that has run its pictures; ``seconds`` the whole took."""
    configuration, board = demo.configuration, demo.configuration.board
    geometry, tick_us = configuration.geometry, configuration.clock.tick_ns / 1000
    conversion_us = board.conversion_ticks * tick_us
    rows = []
    for name, layer in demo.network.layers.items():
        tally = demo.tallies[name]
        rows.append(LayerRow(name, layer.outputs, layer.inputs, layer.rank if layer.slots else 0, layer.tiles,
                             tally.reads, tally.vectors, tally.cycles, tally.lora_cycles, tally.conversions,
                             tally.conversions * conversion_us, tally.compared, tally.differing))
    identity, pictures = demo.task.test[1], demo.task.pictures
    faces = [(pictures.images[demo.task.split.test[place]], int(identity[place]),
              demo.given["before"].get(index), demo.given["after"].get(index))
             for index, place in enumerate(demo.chosen)]
    cycles = sum(row.cycles for row in rows)
    passes = 2 * len(faces) + 1
    busy = sum(row.conversions for row in rows) * board.conversion_ticks / cycles
    facts = {
        "configuration": configuration.name, "device": configuration.device.preset, "seed": demo.seed,
        "images": len(faces), "layers_in_network": len(demo.network.layers),
        "passes": "without and with the adapter; the first picture once more for its bare sums",
        "kind": demo.task.pictures.kind, "learned_identities": demo.learned,
        "forgotten_identity": demo.forget, "rank": demo.rank,
        "test_pictures": len(identity), "train_pictures": len(demo.task.train[0]),
        "rm_writes": demo.counters["pulses"], "tile_reads": demo.counters["tile_reads"],
        "tiles": demo.network.tiles, "tile_rows": geometry.tile_rows, "tile_columns": geometry.tile_columns,
        "adcs": board.adcs(geometry.tile_columns), "conversion_us": conversion_us, "pins": count_pins(configuration),
        "tick_ns": configuration.clock.tick_ns, "g_mid_us": configuration.device.g_mid_us,
        "multipliers": configuration.lora.multipliers, "verilog_lines": demo.verilog_lines,
        "cycles": cycles, "clocks_simulated": demo.clocks, "clocks_per_second": round(demo.clocks / demo.seconds),
        "adc_converting": busy, "seconds": round(seconds, 1), "simulation_seconds": round(demo.seconds, 1),
        **{f"{kind}_accuracy_{when}": accuracy(demo.logits[kind, when], identity)
           for kind in ("float", "integer") for when in ("before", "after")}}
    headlines = [("clocks simulated, chip and board", f"{demo.clocks / 1e6:.1f} M"),
                 ("clocks a second", f"{demo.clocks / demo.seconds / 1e3:,.0f} k"),
                 ("tile reads at the pins", f"{facts['tile_reads']:,}"),
                 ("of the time ADCs convert", f"{100 * busy:.1f} %"),
                 ("a picture on a real board", f"{cycles / passes * tick_us / 1000:.1f} ms"),
                 ("programming pulses", f"{facts['rm_writes']}")]
    names = [layer.name.replace("_", " ") + (f", {tile + 1} of {layer.tiles}" if layer.tiles > 1 else "")
             for layer in demo.network.layers.values() for tile in range(layer.tiles)]
    return Findings(
        facts, headlines, rows, faces,
        {kind: {when: accuracy_by_identity(demo.logits[kind, when], identity) for when in ("before", "after")}
         for kind in ("float", "integer")},
        {when: confusion(demo.logits["integer", when], identity) for when in ("before", "after")},
        demo.network.conductances, names, configuration.device.g_lsb_us,
        (configuration.device.g_min_us, configuration.device.g_max_us),
        *(tuple(map(np.concatenate, zip(*demo.pairs[what], strict=True))) for what in ("c", "y")),
        demo.forget, pictures.source, pictures.passed_over, tuple(demo.troubles))


def count_pins(configuration):
    """Pins between chip and board."""
    return sum(Shape.cast(member.shape).width for member in BoardPins(configuration).members.values())


def layer_table(rows):
    """The one table: a row a layer."""
    table = Table(title="every layer at the pins against the oracle", title_justify="left", box=box.SIMPLE_HEAD,
                  padding=(0, 1, 0, 0))
    table.add_column("layer", no_wrap=True)
    for heading in ("tiles", "vectors", "tile\nreads", "cycles", "ADC\ntime, ms", "codes\ncompared", "differing"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.name, *(f"{number:,}" for number in (row.tiles, row.vectors, row.reads, row.cycles)),
                      f"{row.adc_us / 1000:.3f}", f"{row.compared:,}",
                      f"[bold red]{row.differing:,}[/]" if row.differing else "[green]0[/]")
    table.add_section()
    sums = [sum(getattr(row, key) for row in rows) for key in ("tiles", "vectors", "reads", "cycles")]
    table.add_row("all", *(f"{count:,}" for count in sums),
                  f"{sum(row.adc_us for row in rows) / 1000:.3f}", f"{sum(row.compared for row in rows):,}",
                  f"{sum(row.differing for row in rows):,}")
    return table


def closing_lines(findings):
    """What is said below the table."""
    facts = findings.facts
    yield f"data: {findings.source}"
    for kind in ("float", "integer"):
        yield (f"{kind + ' network:':17} {100 * facts[f'{kind}_accuracy_before']:.1f} % of {facts['test_pictures']} "
               f"test pictures; with the adapter {100 * facts[f'{kind}_accuracy_after']:.1f} %, "
               f"person {findings.forgotten} {100 * findings.accuracy[kind]['after'][findings.forgotten]:.0f} %")
    yield (f"{facts['clocks_simulated']:,} clocks simulated at {facts['clocks_per_second']:,} a second; "
           f"{facts['rm_writes']} programming pulses")
    for trouble in findings.troubles:
        yield f"differs: {trouble}"
    if not findings.troubles:
        yield "agreed: every code equals the oracle's"
