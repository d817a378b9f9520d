"""`rmdlora bench NAME`: measures, prints a table, and writes the figures as one flat JSON object."""

import json

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rmdlora.gen.files import write_when_changed

__all__ = ["ABOUT", "BENCHES", "add_arguments", "run_bench"]

ABOUT = """\
Measure, and print what was measured on. `array`: reads of a 32 x 32 tile a second of the array model, beside AIHWKit
and CrossSim where they are installed. `cosim`: clock cycles a second of both simulation lanes. `crossbar`: the share
of time the ADCs convert, and what the adapters cost on top, at the board's pins. `lora`: the share of the multipliers'
clocks used on the layers of the three tasks, by the chip's own counters. `oracle`: the bit-exact oracle's time over a
float32 layer's, interleaved in one run.

example:
  rmdlora bench lora --json lora.json --plot lora.svg"""


def add_arguments(command):
    """Tell an argument parser what `rmdlora bench` takes."""
    command.add_argument("what", choices=sorted(BENCHES), help="what to measure")
    command.add_argument("--json", metavar="FILE", help="write the figures as one flat JSON object")
    command.add_argument("--sweep", action="store_true", help="lora: ranks 1 to 32 of every layer and other sizes, too")
    command.add_argument("--plot", metavar="FILE", help="lora: draw the sweep's curves over rank (.svg or .png)")


def percent(share):
    """A share as text."""
    return f"{100 * share:.2f} %"


def bench_lora(arguments, advance, console):
    """Shares of the multipliers' clocks used, by the chip's counters."""
    from .measure import lora

    shares = lora.measure_layers(advance=advance)
    figures = lora.summarise(shares)
    wide = arguments.sweep or arguments.plot
    sweep = lora.measure_ranks(advance=advance) + lora.measure_sweep(advance=advance) if wide else []
    for title, rows in (("Layers of the three tasks", shares), ("Sweep", sweep)):
        if rows:
            table = Table(title=f"{title}: multiplier clocks used / offered, in %", title_justify="left",
                          caption="train: backward and update; limit: the layout's", caption_justify="left")
            for column in ("chip", "ports", "d x k", "rank", "n", "forward", "limit", "train", "limit"):
                table.add_column(column, justify="left" if column == "chip" else "right", no_wrap=True)
            for row in rows:
                table.add_row(row.configuration.partition("_")[0], row.ports, f"{row.outputs} x {row.inputs}",
                              str(row.rank), str(row.vectors), *(f"{100 * part:.2f}" for part in (
                                  row.forward, row.forward_limit, row.train, row.train_limit)))
            console.print(table)
    if arguments.plot:
        lora.plot_ranks(sweep, arguments.plot)
        console.print(f"{arguments.plot}: the curves over rank")
    for share in (*shares, *sweep):
        case = f"{share.configuration}_{share.ports}_{share.outputs}x{share.inputs}_r{share.rank}_n{share.vectors}"
        figures |= {f"{case}_{key}": value for key, value in share._asdict().items() if not isinstance(value, str)}
    return figures


def bench_oracle(arguments, advance, console):
    """The oracle beside a float32 layer."""
    from .measure.oracle import measure_oracle

    advance("oracle and float layer in turn")
    figures = measure_oracle()
    console.print(f"oracle {1e3 * figures['oracle_seconds']:.1f} ms, float32 {1e3 * figures['float_seconds']:.1f} ms, "
                  f"ratio {figures['oracle_over_float']:.2f} with {figures['threads']} threads, "
                  f"{figures['oracle_over_float_1_thread']:.2f} with one ({figures['layers']}, batch "
                  f"{figures['batch']})")
    return figures


def bench_array(arguments, advance, console):
    """The array model beside its peers."""
    from .measure.array import INSTALL, measure_array
    from .measure.reading import SIMULATORS

    figures, missing = measure_array(advance=advance)
    table = Table(title=f"Reads of 32 x 32 tiles a second ({figures['tiles']} tiles x {figures['vectors']} vectors, "
                        f"one thread, {figures['processor']})", title_justify="left")
    for column in ("simulator", "version", "ideal", "noisy"):
        table.add_column(column, justify="right" if column in ("ideal", "noisy") else "left")
    for name in SIMULATORS:
        if name in missing:
            table.add_row(name, f"not measured: {missing[name]}", "", "")
        else:
            table.add_row(name, figures[f"version_{name}"],
                          *(f"{figures[f'vmm_per_second_{name}_{kind}']:,}" for kind in ("ideal", "noisy")))
    console.print(table)
    for name, way in INSTALL.items():
        if name in missing:
            console.print(f"{name}: {way}")
    for kind in ("ideal", "noisy"):
        ratio, best = figures[f"vmm_ratio_{kind}"], figures[f"vmm_best_peer_{kind}"]
        console.print(f"vmm_ratio_{kind}: " + (f"{ratio:.2f} (over {best})" if ratio else "nothing to compare"))
    return figures


def bench_crossbar(arguments, advance, console):
    """ADCs' time used, and the adapters' cost on top of a read."""
    from rmdlora.golden.spec.configuration import load_configuration

    from .measure.crossbar import measure_adc, measure_overhead
    from .tile_reads import readable

    advance("build chip and board, read 16 full tiles")
    figures = measure_adc(load_configuration("default"))
    advance("the same plane by plane")
    streamed = measure_adc(readable(load_configuration("default"), "streamed"))
    figures |= {f"{key}_streamed": streamed[key] for key in ("adc_busy", "adc_busy_steady", "clocks", "conversions")}
    console.print(f"ADCs busy {percent(figures['adc_busy'])} of {figures['clocks']} clocks ({figures['reads']} full "
                  f"reads), {percent(figures['adc_busy_steady'])} in the steady state; "
                  f"{percent(figures['adc_useful'])} of the columns converted were used")
    console.print(f"streamed: busy {percent(streamed['adc_busy'])} of {streamed['clocks']} clocks, "
                  f"{percent(streamed['adc_busy_steady'])} in the steady state")
    layers = measure_overhead(advance=advance)
    table = Table(title="Clocks of a layer's read at the pins, adapters on and off; tail: after the last crossbar sum",
                  title_justify="left")
    for column in ("layer", "with", "without", "overhead", "tail"):
        table.add_column(column, justify="left" if column == "layer" else "right", no_wrap=True)
    for layer, found in layers.items():
        table.add_row(layer, f"{found.active:,}", f"{found.inactive:,}", percent(found.overhead),
                      percent(found.tail / found.active))
    console.print(table)
    for task in sorted({layer.partition("_")[0] for layer in layers}):
        worst = max((layer for layer in layers if layer.startswith(f"{task}_")),
                    key=lambda layer: (layers[layer].overhead, layers[layer].tail / layers[layer].active))
        console.print(f"{task}: worst layer {worst}, overhead {percent(layers[worst].overhead)}")
        figures[f"lora_overhead_worst_layer_{task}"] = worst
    figures["lora_overhead"] = max(found.overhead for found in layers.values())
    figures["lora_tail_share"] = max(found.tail / found.active for found in layers.values())
    return figures | {f"lora_overhead_{layer}": found.overhead for layer, found in layers.items()}


def bench_cosim(arguments, advance, console):
    """Clock cycles a second of both lanes."""
    from rmdlora.golden.spec.configuration import load_configuration

    from .measure.rates import measure_rates

    advance("build both lanes, read tiles in turn")
    figures = measure_rates(load_configuration("default"))
    table = Table(title=f"Clock cycles a second while {figures['tile_reads']} tile reads take {figures['clocks']:,} "
                  f"clocks and {figures['conversions']} conversions", title_justify="left")
    for column in ("lane", "by the clock", "of processor time"):
        table.add_column(column, justify="left" if column == "lane" else "right")
    for name, text in (("native_cycles_per_second", "native, chip and board reading tiles"),
                       ("native_cycles_per_second_unchecked", "native, the parts' timing unchecked"),
                       ("native_dwelling_cycles_per_second", "native, passing over no clock"),
                       ("native_untuned_cycles_per_second", "native, not tuned"),
                       ("cocotb_cycles_per_second", "cocotb, chip and board reading tiles"),
                       ("cocotb_cycles_per_second_unchecked", "cocotb, the parts' timing unchecked"),
                       ("cocotb_dwelling_cycles_per_second", "cocotb, passing over no clock"),
                       ("native_lora_cycles_per_second", "native, LoRA unit busy in every clock")):
        table.add_row(text, f"{figures[name]:,}", f"{figures[f'{name}_of_processor']:,}")
    console.print(table)
    console.print(f"The native lane passes over {figures['native_passed']:.0%} of these clocks, the cocotb lane over "
                  f"{figures['cocotb_passed']:.0%}: only timers move.")
    return figures


BENCHES = {"array": bench_array, "cosim": bench_cosim, "crossbar": bench_crossbar, "lora": bench_lora,
           "oracle": bench_oracle}


def run_bench(arguments):
    """Measure what ``arguments.what`` names; progress goes to standard error."""
    console, errors = Console(), Console(stderr=True)
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=errors,
                  transient=True) as progress:
        task = progress.add_task(f"bench {arguments.what}")
        figures = BENCHES[arguments.what](arguments, lambda text: progress.update(task, description=text), console)
    if arguments.json:
        write_when_changed(arguments.json, json.dumps(figures, indent=1) + "\n")
    return 0
