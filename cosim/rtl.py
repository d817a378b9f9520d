"""A vector file through the simulated Verilog: the native lane, under the driver that also runs on the board.

Everything in the outcome was read out of the simulation: results from the streams, adapter and optimiser state from the
buffer, cycles and multipliers from the registers. Nothing is computed here.
"""

import dataclasses

import numpy as np
from rmdlora.gen.driver import Driver, Shifts

from .compare import Outcome
from .native import NativeLane

__all__ = ["native_lane", "run_rtl"]


def native_lane(configuration, verilog=None, waves=None):
    """The chip alone in the native lane; ``verilog``: its text, where it is not to be the generated one; ``waves``: the
    VCD file of all its signals, whole once the lane is closed."""
    return NativeLane(configuration, verilog=verilog, waves=waves)


def run_rtl(vectors, configuration, lane):
    """The `Outcome` of `golden.vectors.Vectors` in a `NativeLane`, from reset on.

    `y` and `dx` have the clock at which each element left; `a`, `b`, `va`, `vb` the end of the last update.
    """
    lane.reset()
    driver = Driver(lane, configuration)
    layer = driver.load_adapter(vectors.a, vectors.b)
    driver.set_calibration(vectors.gain, vectors.offset)
    layer = dataclasses.replace(layer, active=mask(vectors.active), trainable=mask(vectors.trainable))
    shifts = Shifts(**{field.name: getattr(vectors, f"{field.name}_shift") for field in dataclasses.fields(Shifts)})
    if not vectors.trains:
        arrays = {"y": driver.forward(layer, vectors.x, vectors.c, shifts)}
        clocks = {"y": driver.clocks("y")}
    else:
        driver.load_states(layer)
        driver.seed(vectors.seed, layer.rank)
        y, dx = driver.train(layer, vectors.x, vectors.g, vectors.c, vectors.batch, shifts,
                             nearest=vectors.rounding == "nearest")
        clocks = {"y": driver.clocks("y"), "dx": driver.clocks("dx")}
        clocks |= dict.fromkeys(("a", "b", "va", "vb"), int(lane.intervals[-1, 1]))
        arrays = {"y": y, "dx": dx}
        arrays["a"], arrays["b"] = driver.read_adapter(layer)
        arrays["va"], arrays["vb"] = driver.read_states(layer)
    counters = driver.counters()
    # 64 bits as they stand: a broken counter may well have run below 0
    arrays |= {f"cycles_{name}": np.uint64(counters[name]) for name in ("forward", "backward", "update")}
    arrays["multipliers"] = driver.read_constants()["MULTIPLIERS"]
    return Outcome({key: np.asarray(array).astype(np.int64) for key, array in arrays.items()}, clocks)


def mask(lanes):
    """Bool (r,) as an integer, bit ``j`` for rank lane ``j``."""
    return sum(1 << int(lane) for lane in np.flatnonzero(lanes))
