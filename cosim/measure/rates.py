"""`rmdlora bench cosim`: clock cycles a second of both simulation lanes, on the same design and the same work.

The design is the system at its pins, chip and board, with every part's timing checked and, for comparison, without; the
work is full reads of one tile, back to back. What was read is compared with the oracle each time: a rate of wrong
answers is worth nothing.
"""

import pathlib
import statistics
import tempfile
import time

import numpy as np
from rmdlora.gen.driver import Driver
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.read import read_layer

from ..board import Board, conversions, violations
from ..cocotb_lane import describe_configuration, run_bench
from ..native import NativeLane
from ..system import system_design
from ..transport import LaneFailure

__all__ = ["measure_rates"]

SEED = 1
CHECKED = {True: "", False: "_unchecked"}


def measure_rates(configuration, vectors=16, repeats=3):
    """Measure both lanes and return a flat dict: rates in clock cycles a second, and what they were measured on.

    Parameters: ``configuration``; ``vectors``, full tile reads of a run; ``repeats``, runs of each lane, with checks
    and without, taken in turn: rates are medians over them. Builds what the cache lacks first.

    ``native_cycles_per_second``, ``cocotb_cycles_per_second``: of the system while it reads tiles, with checks;
    ``..._unchecked``: without; ``..._of_processor``: over the processor's time, which other work on the machine does
    not lengthen. ``conversions``: made in each run. ``native_dwelling_...``: where the native lane passes over no clock
    (`lane.StreamLane.dwell`); ``native_passed``: the share of clocks it otherwise passes over.
    ``native_lora_cycles_per_second``: of the system while the LoRA unit is busy in every clock.
    """
    rng = np.random.default_rng(SEED)
    outputs, inputs = configuration.tile_outputs, configuration.geometry.tile_rows
    outputs = min(outputs, configuration.geometry.max_outputs)
    weights, x = rng.normal(size=(outputs, inputs)), rng.integers(-64, 64, (vectors, inputs))
    expected = read_layer(map_weights(weights, configuration), x, outputs, configuration)
    adapter = rng.integers(-99, 99, (configuration.geometry.max_rank, inputs))
    native = {checks: NativeReads(configuration, weights, adapter, checks) for checks in CHECKED}
    dwelling = NativeReads(configuration, weights, adapter, checks=True)
    dwelling.lane.dwell()
    design = {checks: system_design(configuration, checks=checks) for checks in CHECKED}
    taken, made = {}, set()
    with tempfile.TemporaryDirectory(prefix="rmdlora-") as folder:
        path = pathlib.Path(folder) / "layer.npz"
        np.savez(path, weights=weights, x=x, y=expected)
        given = {"configuration": describe_configuration(configuration), "layer": str(path)}
        for _ in range(repeats):
            for checks, suffix in CHECKED.items():
                clocks, seconds, y, converted = native[checks].forward(x, crossbar=True)
                if not np.array_equal(y, expected):
                    raise LaneFailure("the native lane's reads must be the oracle's, and are not")
                taken.setdefault(f"native_cycles_per_second{suffix}", []).append(clocks / seconds)
                noted = run_bench(design[checks], "rmdlora.cosim.benches.tiles_bench", folder, given, seed=SEED)
                times = np.array([noted["seconds"], noted["processor_seconds"]])
                taken.setdefault(f"cocotb_cycles_per_second{suffix}", []).append(noted["clocks"] / times)
                made |= {converted, noted["conversions"]}
            passed = native[True].passed / clocks
            dwelt, seconds, y, converted = dwelling.forward(x, crossbar=True)
            taken.setdefault("native_dwelling_cycles_per_second", []).append(dwelt / seconds)
            made |= {converted}
            if dwelt != clocks or not np.array_equal(y, expected):
                raise LaneFailure("a lane that passes over clocks must count and read as one that does not")
            busy = np.tile(x, (clocks // 2000, 1))
            lora_clocks, seconds, _, _ = native[True].forward(busy)
            taken.setdefault("native_lora_cycles_per_second", []).append(lora_clocks / seconds)
    for lane in (*native.values(), dwelling):
        lane.check()
    if len(made) != 1:
        raise LaneFailure(f"both lanes must make the same conversions, not {sorted(made)}")
    rates = {f"{name}{suffix}": round(statistics.median(rate[index] for rate in both)) for name, both in taken.items()
             for index, suffix in enumerate(("", "_of_processor"))}
    return rates | {"conversions": made.pop(), "configuration": configuration.name,
                    "multipliers": configuration.lora.multipliers, "native_passed": round(passed, 3),
                    "tile": f"{inputs}x{configuration.geometry.tile_columns}", "tile_reads": vectors,
                    "clocks": clocks, "repeats": repeats}


class NativeReads:
    """A native lane on its board, with a tile of ``weights`` in the array and an ``adapter`` of full rank beside it."""

    def __init__(self, configuration, weights, adapter, checks):
        self.lane, self.board = NativeLane(configuration, board=True, checks=checks), Board(configuration)
        self.board.load(weights)
        self.board.attach(self.lane.library)
        self.driver = Driver(self.lane, configuration)
        self.driver.wait_board()
        outputs = len(weights)
        self.layer = self.driver.load_adapter(adapter, np.zeros((outputs, len(adapter)), np.int64))
        self.driver.set_calibration(np.ones(outputs, np.int64), np.zeros(outputs, np.int64))

    def forward(self, x, crossbar=False):
        """``(clocks, seconds, y, conversions)`` of one forward; seconds: by the clock, and of the processor.

        ``passed``: how many of the clocks were passed over.
        """
        lane, before = self.lane, conversions(self.lane.library)
        passed = lane.passed_clocks
        clocks, began = lane.cycles, np.array([time.perf_counter(), time.process_time()])
        y = self.driver.forward(self.layer, x, crossbar=crossbar)
        seconds = np.array([time.perf_counter(), time.process_time()]) - began
        self.passed = lane.passed_clocks - passed
        return lane.cycles - clocks, seconds, y, conversions(lane.library) - before

    def check(self):
        """Raise where the chip broke a rule of the board."""
        broken, texts = violations(self.lane.library)
        if broken:
            raise LaneFailure(f"the board's rules must hold, but {broken} times one did not: {texts[0]}")
