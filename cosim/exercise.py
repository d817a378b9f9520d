"""A native lane at work: full reads of one tile at the pins, and a LoRA unit that is busy in every clock.

It is what `measure.rates` measures and what a tuned `native.NativeLane` is compiled for, whose build runs
`python -m rmdlora.cosim.exercise LIBRARY NAME TABLES CHECKS`: the library's folder, the configuration's name and JSON.
"""

import json
import pathlib
import sys
import time

import numpy as np
from rmdlora.gen.driver import Driver, Shifts
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.read import read_layer
from rmdlora.golden.spec.configuration import build_configuration

from .board import Board, conversions, violations
from .native import NativeLane
from .transport import LaneFailure

__all__ = ["SEED", "Exercise", "TileReads"]

SEED = 1
TURNS = 3       # of an exercise a build is tuned for


class TileReads:
    """Full reads of a tile of ``weights``: inputs ``x`` (n, rows), outputs ``expected`` (n, d) of the oracle."""

    def __init__(self, configuration, vectors=16):
        generator = np.random.default_rng(SEED)
        outputs, inputs = configuration.tile_outputs, configuration.geometry.tile_rows
        outputs = min(outputs, configuration.geometry.max_outputs)
        self.weights, self.x = generator.normal(size=(outputs, inputs)), generator.integers(-64, 64, (vectors, inputs))
        self.expected = read_layer(map_weights(self.weights, configuration), self.x, outputs, configuration)
        self.adapter = generator.integers(-99, 99, (configuration.geometry.max_rank, inputs))


class Exercise:
    """A `native.NativeLane` ``lane`` on its board, with the tile of ``reads`` in its array and an adapter of full rank.

    Raises `LaneFailure` where an answer is not the oracle's; ``judged``: whether that is asked, since cells of a device
    that is not ideal read otherwise.
    """

    def __init__(self, lane, configuration, reads, judged=True):
        self.lane, self.reads, self.judged, self.board = lane, reads, judged, Board(configuration)
        self.board.load(reads.weights)
        self.board.attach(lane.library)
        self.driver = Driver(lane, configuration)
        self.driver.wait_board()
        outputs = len(reads.weights)
        self.layer = self.driver.load_adapter(reads.adapter, np.zeros((outputs, len(reads.adapter)), np.int64))
        self.driver.set_calibration(np.ones(outputs, np.int64), np.zeros(outputs, np.int64))

    def read_tiles(self):
        """``(clocks, seconds, conversions)`` of the reads; seconds: by the clock, and of the processor.

        ``passed``: how many of the clocks were passed over.
        """
        before, passed = conversions(self.lane.library), self.lane.passed_clocks
        clocks, seconds, y = self.forward(self.reads.x, crossbar=True)
        if self.judged and not np.array_equal(y, self.reads.expected):
            raise LaneFailure("the native lane's reads must be the oracle's, and are not")
        self.passed = self.lane.passed_clocks - passed
        return clocks, seconds, conversions(self.lane.library) - before

    def keep_lora_busy(self, clocks):
        """``(clocks, seconds)`` of forwards without a crossbar that take about so many ``clocks``."""
        return self.forward(np.tile(self.reads.x, (clocks // 2000, 1)))[:2]

    def forward(self, x, crossbar=False):
        """``(clocks, seconds, y)`` of a forward."""
        clocks, began = self.lane.cycles, np.array([time.perf_counter(), time.process_time()])
        y = self.driver.forward(self.layer, x, crossbar=crossbar)
        seconds = np.array([time.perf_counter(), time.process_time()]) - began
        return self.lane.cycles - clocks, seconds, y

    def train(self):
        """Backward passes and updates, a small part of the work. The adapter is another one then."""
        x = self.reads.x
        self.driver.load_states(self.layer)
        self.driver.train(self.layer, x, np.ones((len(x), len(self.reads.weights)), np.int64), batch=len(x),
                          shifts=Shifts(p=4, u=4, q=4, dx=4, va=1, vb=1, lra=2, lrb=2, momentum=1))

    def check(self):
        """Raise where the chip broke a rule of the board."""
        broken, texts = violations(self.lane.library)
        if broken:
            raise LaneFailure(f"the board's rules must hold, but {broken} times one did not: {texts[0]}")


def main(library, name, tables, checks):
    """Exercise the library in the folder ``library``."""
    configuration = build_configuration(json.loads(tables), name)
    lane = NativeLane(configuration, board=True, checks=bool(int(checks)), library=pathlib.Path(library).resolve())
    exercise = Exercise(lane, configuration, TileReads(configuration), judged=False)
    for _ in range(TURNS):
        clocks, _, _ = exercise.read_tiles()
        exercise.keep_lora_busy(clocks)
    exercise.train()
    exercise.check()


if __name__ == "__main__":
    main(*sys.argv[1:])
