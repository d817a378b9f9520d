"""`rmdlora bench lora`: the share of the multipliers' clocks the LoRA unit uses, counted by the simulated Verilog.

Skinny products are the hard case: two matrices of rank 1 to 32 and rank-one updates, where a plain array of multipliers
idles. The share is products / (multipliers x cycles), forward and (backward + update), batch = n; beside it stands the
limit that the layout sets: the share were every slot a clock and nothing else.
"""

import dataclasses
import typing

import numpy as np
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.geometry import ceil_div

from ..native import NativeLane

__all__ = ["TASK_LAYERS", "Share", "measure_layers", "measure_ranks", "measure_sweep", "plot_ranks", "summarise"]

RANKS = range(1, 33)
COLOURS = ("#1d4ed8", "#b45309", "#047857")

# configuration: (d, k) of its task's adapted layers, their ranks, vectors of a batch
TASK_LAYERS = {
    "face": (((32, 20), (20, 32), (6, 20)), (6, 8), 64),
    "speaker": (((512, 140), (512, 512)), (8, 16), 16),
    "image": (((3072, 768), (768, 3072)), (4, 8), 16),
}


class Share(typing.NamedTuple):
    """One layer, measured: shares are 0..1, cycles are the chip's own counters."""

    configuration: str
    ports: str
    outputs: int
    inputs: int
    rank: int
    vectors: int
    forward: float
    train: float
    forward_limit: float
    train_limit: float
    cycles_forward: int
    cycles_backward: int
    cycles_update: int


def limits(lanes, outputs, inputs, rank, vectors):
    """``(forward, train)``: the shares if slots alone took clocks."""
    positions = lanes.groups(inputs) + lanes.groups(outputs)
    slots = lanes.blocks(vectors) * positions * lanes.rank_groups(rank)
    update = positions * lanes.rank_groups(rank)
    products = vectors * rank * (inputs + outputs)
    return products / (lanes.multipliers * slots), 2 * products / (lanes.multipliers * (2 * slots + update))


def measure_layer(driver, outputs, inputs, rank, vectors, rng):
    """The `Share` of one layer on a chip: random codes, one forward, one backward, one update."""
    from rmdlora.gen.driver import Shifts

    lanes = driver.configuration.lora
    layer = driver.load_adapter(rng.integers(-99, 99, (rank, inputs)), rng.integers(-99, 99, (outputs, rank)))
    driver.set_calibration(np.zeros(outputs, np.int64), np.zeros(outputs, np.int64))
    driver.load_states(layer)
    x, g = rng.integers(-128, 128, (vectors, inputs)), rng.integers(-99, 99, (vectors, outputs))
    driver.clear_counters()
    driver.train(layer, x, g, batch=vectors, shifts=Shifts(p=9, u=9, q=9, dx=9))
    counts = driver.counters()
    products = vectors * rank * (inputs + outputs)
    forward, backward, update = counts["forward"], counts["backward"], counts["update"]
    return Share(driver.configuration.name, driver.configuration.sram.ports, outputs, inputs, rank, vectors,
                 products / (lanes.multipliers * forward), 2 * products / (lanes.multipliers * (backward + update)),
                 *limits(lanes, outputs, inputs, rank, vectors), forward, backward, update)


def open_chip(configuration):
    """A driver on a freshly reset chip in the native lane."""
    from rmdlora.gen.driver import Driver

    lane = NativeLane(configuration)
    lane.reset()
    return Driver(lane, configuration)


def measure_layers(names=tuple(TASK_LAYERS), ports=("dual", "single"), advance=lambda text: None):
    """``[Share]`` of every task's layers and ranks in its named configuration, with memories of either kind."""
    shares = []
    for name in names:
        layers, ranks, vectors = TASK_LAYERS[name]
        base = load_configuration(name)
        for kind in ports:
            advance(f"{name}, {kind} port: build")
            driver = open_chip(dataclasses.replace(base, sram=dataclasses.replace(base.sram, ports=kind)))
            for outputs, inputs in layers:
                for rank in ranks:
                    advance(f"{name}, {kind} port: {outputs} x {inputs}, rank {rank}")
                    shares.append(measure_layer(driver, outputs, inputs, rank, vectors, np.random.default_rng(rank)))
            driver.transport.close()
    return shares


def widened(base, layers, rank):
    """The configuration ``base`` made for ``layers`` (d, k) of up to ``rank``, its buffer as large as the largest
    needs."""
    lanes, geometry = base.lora, base.geometry
    words = max(lanes.groups(outputs) + lanes.groups(inputs) for outputs, inputs in layers) * lanes.rank_groups(rank)
    return dataclasses.replace(
        base, name=f"{base.name}_rank{rank}",
        geometry=dataclasses.replace(
            geometry, max_rank=rank, max_outputs=max(geometry.max_outputs, *(outputs for outputs, _ in layers)),
            max_inputs=max(geometry.max_inputs, *(inputs for _, inputs in layers))),
        sram=dataclasses.replace(base.sram, words=max(base.sram.words, 1 << (words - 1).bit_length())))


def measure_cases(base, cases, advance):
    """``[Share]`` of ``cases`` (d, k, rank, n) on the configuration ``base``, widened for them."""
    configuration = widened(base, [case[:2] for case in cases], max(case[2] for case in cases))
    advance(f"{configuration.name}: build")
    driver, shares = open_chip(configuration), []
    for outputs, inputs, rank, vectors in cases:
        advance(f"{configuration.name}: {outputs} x {inputs}, rank {rank}, {vectors} vectors")
        shares.append(measure_layer(driver, outputs, inputs, rank, vectors, np.random.default_rng(rank)))
    driver.transport.close()
    return shares


def measure_ranks(names=tuple(TASK_LAYERS), advance=lambda text: None):
    """``[Share]`` of every task's layers at ranks 1 to 32, on the multipliers of its named configuration."""
    shares = []
    for name in names:
        layers, _, vectors = TASK_LAYERS[name]
        cases = [(outputs, inputs, rank, vectors) for outputs, inputs in layers for rank in RANKS]
        shares += measure_cases(load_configuration(name), cases, advance)
    return shares


def measure_sweep(name="default", advance=lambda text: None):
    """``[Share]`` of a sweep of ranks 1 to 32 at 256 x 256, and of sizes and vectors at rank 8, on one configuration.
    """
    cases = [(256, 256, rank, 16) for rank in RANKS]
    cases += [(size, size, 8, 16) for size in (1, 4, 16, 31, 64, 200, 1024)]
    cases += [(256, 256, 8, vectors) for vectors in (1, 2, 4, 8, 32, 64)]
    return measure_cases(load_configuration(name), cases, advance)


def summarise(shares):
    """The flat figures: the worst layer of all tasks at each rank, and ``_single`` of the single-port build."""
    figures = {}
    for ports, rank in sorted({(share.ports, share.rank) for share in shares}):
        of_rank = [share for share in shares if (share.ports, share.rank) == (ports, rank)]
        suffix = f"_r{rank}" + ("_single" if ports == "single" else "")
        figures[f"forward_utilisation{suffix}"] = min(share.forward for share in of_rank)
        figures[f"train_utilisation{suffix}"] = min(share.train for share in of_rank)
    return figures


def plot_ranks(shares, path):
    """Draw the shares over rank and their limits into an SVG or PNG file: a picture a configuration, its layers in
    colours."""
    from matplotlib.figure import Figure

    curves = {}
    for share in shares:
        layers = curves.setdefault(share.configuration, {})
        layers.setdefault((share.outputs, share.inputs, share.vectors), []).append(share)
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    grid = figure.subplots(2, ceil_div(len(curves), 2), squeeze=False, sharex=True, sharey=True)
    for axes, (name, layers) in zip(grid.flat, curves.items(), strict=False):
        complete = [rows for rows in layers.values() if {row.rank for row in rows} == set(RANKS)]
        for rows, colour in zip(complete, COLOURS, strict=False):
            rows = sorted(rows, key=lambda row: row.rank)
            ranks, label = [row.rank for row in rows], f"{rows[0].outputs} x {rows[0].inputs}"
            for key, marker, what in (("forward", "o", "forward"), ("train", "^", "backward + update")):
                axes.plot(ranks, [100 * getattr(row, key) for row in rows], marker=marker, markersize=3, linewidth=1,
                          color=colour, label=f"{label}, {what}")
                axes.plot(ranks, [100 * getattr(row, f"{key}_limit") for row in rows], linestyle=":", linewidth=1,
                          color=colour)
        axes.set(title=f"{name.partition('_')[0]}, {complete[0][0].vectors} vectors", ylim=(0, 102),
                 xlim=(1, max(RANKS)))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize=7)
    for axes in grid.flat[len(curves):]:
        axes.set_axis_off()
    figure.supxlabel("rank (dotted: the limit of the layout)")
    figure.supylabel("multiplier clocks used / offered (%)")
    figure.savefig(path, metadata={"Date": None} if str(path).endswith("svg") else None)
