"""`rmdlora bench cosim`: clock cycles a second of both simulation lanes, on the same design and the same work.

The design is the system at its pins, chip and board with every part's timing checked; the work is full reads of one
tile. What was read is compared with the oracle each time: a rate of wrong answers is worth nothing.
"""

import pathlib
import statistics
import tempfile
import time

import numpy as np
from rmdlora.gen.driver import Driver
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.read import read_layer

from ..board import Board, violations
from ..cocotb_lane import describe_configuration, run_bench
from ..native import NativeLane
from ..system import system_design
from ..transport import LaneFailure

__all__ = ["measure_rates"]

SEED = 1


def measure_rates(configuration, vectors=16, repeats=3):
    """Measure both lanes and return a flat dict: rates in clock cycles a second, and what they were measured on.

    Parameters: ``configuration``; ``vectors``, full tile reads of a run; ``repeats``, runs of each lane, taken in turn:
    rates are medians over them. Builds what the cache lacks first.

    ``native_cycles_per_second``, ``cocotb_cycles_per_second``: of the system while it reads tiles;
    ``native_lora_cycles_per_second``: of the system while the LoRA unit is busy in every clock.
    """
    rng = np.random.default_rng(SEED)
    outputs, inputs = configuration.tile_outputs, configuration.geometry.tile_rows
    outputs = min(outputs, configuration.geometry.max_outputs)
    weights, x = rng.normal(size=(outputs, inputs)), rng.integers(-64, 64, (vectors, inputs))
    expected = read_layer(map_weights(weights, configuration), x, outputs, configuration)
    lane, board = NativeLane(configuration, board=True), Board(configuration)
    board.load(weights)
    board.attach(lane.library)
    driver = Driver(lane, configuration)
    driver.wait_board()
    layer = driver.load_adapter(rng.integers(-99, 99, (configuration.geometry.max_rank, inputs)),
                                np.zeros((outputs, configuration.geometry.max_rank), np.int64))
    driver.set_calibration(np.ones(outputs, np.int64), np.zeros(outputs, np.int64))
    design = system_design(configuration)
    tiles, lora, pins = [], [], []
    with tempfile.TemporaryDirectory(prefix="rmdlora-") as folder:
        path = pathlib.Path(folder) / "layer.npz"
        np.savez(path, weights=weights, x=x, y=expected)
        for _ in range(repeats):
            rate, clocks, y = measure_forward(lane, driver, layer, x, crossbar=True)
            tiles.append(rate)
            if not np.array_equal(y, expected):
                raise LaneFailure("the native lane's reads must be the oracle's, and are not")
            lora.append(measure_forward(lane, driver, layer, np.tile(x, (clocks // 2000, 1)))[0])
            noted = run_bench(design, "rmdlora.cosim.benches.tiles_bench", folder,
                              {"configuration": describe_configuration(configuration), "layer": str(path)}, seed=SEED)
            pins.append(noted["clocks"] / noted["seconds"])
    broken, texts = violations(lane.library)
    if broken:
        raise LaneFailure(f"the board's rules must hold, but {broken} times one did not: {texts[0]}")
    return {"cocotb_cycles_per_second": round(statistics.median(pins)),
            "native_cycles_per_second": round(statistics.median(tiles)),
            "native_lora_cycles_per_second": round(statistics.median(lora)),
            "configuration": configuration.name, "multipliers": configuration.lora.multipliers,
            "tile": f"{inputs}x{configuration.geometry.tile_columns}", "tile_reads": vectors, "clocks": clocks,
            "repeats": repeats}


def measure_forward(lane, driver, layer, x, crossbar=False):
    """``(rate, clocks, y)`` of one forward in the native lane."""
    before, began = lane.cycles, time.perf_counter()
    y = driver.forward(layer, x, crossbar=crossbar)
    seconds = time.perf_counter() - began
    return (lane.cycles - before) / seconds, lane.cycles - before, y
