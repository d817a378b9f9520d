"""`rmdlora bench lora`: the share of the multipliers' clocks the LoRA unit uses, counted by the simulated Verilog.

Skinny products are the hard case: two matrices of rank 1 to 32 and rank-one updates, where a plain array of multipliers
idles. The share is products / (multipliers x cycles), forward and (backward + update), batch = n; beside it stands the
limit that the layout sets: the share were every slot a clock and nothing else.
"""

import dataclasses
import typing

import numpy as np
from rmdlora.golden.spec.configuration import load_configuration

from ..native import NativeLane

__all__ = ["TASK_LAYERS", "Share", "measure_layers", "measure_sweep", "plot_sweep", "summarise"]

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
    return shares


def measure_sweep(name="default", advance=lambda text: None):
    """``[Share]`` of a sweep of rank 1..32 at 256 x 256, and of sizes and vectors at rank 8, on one configuration made
    for rank 32.
    """
    base = load_configuration(name)
    configuration = dataclasses.replace(
        base, name=f"{name}_rank32",
        geometry=dataclasses.replace(base.geometry, max_inputs=1024, max_outputs=1024, max_rank=32))
    advance(f"{name}: build for rank 32")
    driver = open_chip(configuration)
    cases = [(256, 256, rank, 16) for rank in range(1, 33)]
    cases += [(size, size, 8, 16) for size in (1, 4, 16, 31, 64, 200, 1024)]
    cases += [(256, 256, 8, vectors) for vectors in (1, 2, 4, 8, 32, 64)]
    shares = []
    for outputs, inputs, rank, vectors in cases:
        advance(f"sweep: {outputs} x {inputs}, rank {rank}, {vectors} vectors")
        shares.append(measure_layer(driver, outputs, inputs, rank, vectors, np.random.default_rng(rank)))
    return shares


def summarise(shares):
    """The flat figures: the worst layer of all tasks at each rank, and ``_single`` of the single-port build."""
    figures = {}
    for ports, rank in sorted({(share.ports, share.rank) for share in shares}):
        of_rank = [share for share in shares if (share.ports, share.rank) == (ports, rank)]
        suffix = f"_r{rank}" + ("_single" if ports == "single" else "")
        figures[f"forward_utilisation{suffix}"] = min(share.forward for share in of_rank)
        figures[f"train_utilisation{suffix}"] = min(share.train for share in of_rank)
    return figures


def plot_sweep(shares, path):
    """Draw the shares over rank (the 256 x 256 layer, 16 vectors) and their limits into an SVG or PNG file."""
    from matplotlib.figure import Figure

    rows = sorted((share for share in shares if (share.outputs, share.inputs, share.vectors) == (256, 256, 16)),
                  key=lambda share: share.rank)
    ranks = [share.rank for share in rows]
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for key, label, colour in (("forward", "forward", "#1d4ed8"), ("train", "backward + update", "#b45309")):
        axes.plot(ranks, [100 * getattr(share, key) for share in rows], marker="o", markersize=3, color=colour,
                  label=f"{label}, measured")
        axes.plot(ranks, [100 * getattr(share, f"{key}_limit") for share in rows], linestyle=":", color=colour,
                  label=f"{label}, limit of the layout")
    axes.set(xlabel="rank", ylabel="multiplier clocks used / offered (%)", ylim=(0, 102), xlim=(1, 32),
             title="Skinny products: 256 x 256 layer, 16 vectors, 4 lanes x 4 rows x 1 vector")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, metadata={"Date": None} if str(path).endswith("svg") else None)
