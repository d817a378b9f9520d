"""`rmdlora bench crossbar`: how busy the sequencer keeps the ADCs, and what the adapters cost on top, at the pins.

Conversions are seen where they happen, at the board's converters: the tick of every hold. Every code read on the way is
compared with the oracle, and a broken timing rule of any part ends the measurement: a fast read of wrong codes, or of
codes that had not settled, is worth nothing.
"""

import dataclasses
import typing

import numpy as np
from rmdlora.gen.driver import Driver, Shifts
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.read import read_layer
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.reading import count_forward
from rmdlora.golden.spec.timing import HAND_OVER

from ..board import Board, hold_ticks, violations
from ..native import NativeLane
from ..transport import LaneFailure
from .lora import TASK_LAYERS

__all__ = ["measure_adc", "measure_overhead"]

READS = 16


class Bench:
    """A chip on its board in the native lane (``lane``, where it is not to be a plain one), after start-up, with one
    layer's random weights in its first tiles.
    """

    def __init__(self, configuration, outputs, inputs, rank, lane=None):
        rng = np.random.default_rng((outputs, inputs))
        self.configuration, self.rng, self.outputs = configuration, rng, outputs
        self.weights = rng.normal(size=(outputs, inputs))
        self.conductances = map_weights(self.weights, configuration)
        self.lane, self.board = lane or NativeLane(configuration, board=True), Board(configuration)
        self.board.load(self.weights)
        self.board.attach(self.lane.library)
        self.driver = Driver(self.lane, configuration)
        self.driver.wait_board()
        self.layer = self.driver.load_adapter(rng.integers(-99, 99, (rank, inputs)),
                                              rng.integers(-99, 99, (outputs, rank)))
        self.driver.set_calibration(np.ones(outputs, np.int64), np.zeros(outputs, np.int64))

    def read(self, vectors, active):
        """Read ``vectors`` random vectors with the ``active`` lanes; ``(first clock, last clock)`` of the operation.

        The adapter's part is computed and then shifted out of sight, so that y is c, which the oracle of the read has.
        """
        x = self.rng.integers(-64, 64, (vectors, self.layer.inputs))
        layer = dataclasses.replace(self.layer, active=active)
        y = self.driver.forward(layer, x, shifts=Shifts(p=12, u=47), crossbar=True)
        low, high = (getattr(self.configuration.formats.of("output"), end) for end in ("low", "high"))
        expected = np.clip(read_layer(self.conductances, x, self.outputs, self.configuration), low, high)
        if not np.array_equal(y, expected):
            raise LaneFailure("the codes read at the pins must be the oracle's, and are not")
        count, texts = violations(self.lane.library)
        if count:
            raise LaneFailure(f"no part's timing rule may be broken, and {count} were, first: {texts[0]}")
        return tuple(int(clock) for clock in self.lane.intervals[-1])


def measure_adc(configuration):
    """The flat figures of `READS` full reads of one tile.

    ``adc_busy``: conversion clocks over clocks from the acceptance of the first read to the end of the last conversion
    cycle, fill included. ``adc_busy_steady``: the same from the first CS fall. ``adc_useful``: columns used over
    columns converted. Only conversions whose settling times had passed count, which the board's own checks see to.
    """
    board, inputs = configuration.board, configuration.geometry.tile_rows
    bench = Bench(configuration, configuration.tile_outputs, inputs, rank=1)
    first, _ = bench.read(READS, active=1)
    falls = hold_ticks(bench.lane.library) - 2 * board.adc_half_ticks * board.adc_hold_clocks
    clocks, end = board.conversion_ticks * len(falls), falls[-1] + board.conversion_ticks
    used = 2 * bench.outputs if configuration.crossbar.mapping == "differential" else bench.outputs + 1
    reads = READS * max(1, len(configuration.passes))
    converted = configuration.board.adcs(configuration.geometry.tile_columns) * len(falls)
    return {"adc_busy": clocks / float(end - first), "adc_busy_steady": clocks / float(end - falls[0]),
            "adc_useful": used * reads / converted, "conversions": len(falls), "clocks": int(end - first),
            "reads": READS, "configuration": configuration.name}


class Overhead(typing.NamedTuple):
    """What the adapter of one layer costs on top of its read, in clocks from the start of the operation to its last
    result: ``active`` with all rank lanes, ``inactive`` with none. ``tail``: those of them after the last crossbar sum
    has been taken.
    """

    active: int
    inactive: int
    tail: int

    @property
    def overhead(self):
        """Part of 1 by which the layer takes longer."""
        return (self.active - self.inactive) / self.inactive


def measure_overhead(seen=tuple(TASK_LAYERS), advance=lambda text: None):
    """``{layer: Overhead}`` of every layer of every task at its largest rank, a block of vectors each.

    The tasks ``seen`` run at the pins, on the same chip with the same number of vectors both times, and must take the
    clocks of the specification, which is asked of the others.
    """
    figures = {}
    for name, (layers, ranks, _) in TASK_LAYERS.items():
        configuration, rank = load_configuration(name), max(ranks)
        vectors, tail = configuration.lora.vectors, configuration.pipeline.row_result + HAND_OVER
        for outputs, inputs in layers:
            # masks neither cost nor save clocks (contract, section 2)
            spans = 2 * [count_forward(configuration, vectors, inputs, outputs, rank)]
            if name in seen:
                advance(f"{name}: {outputs} x {inputs} at the pins")
                bench = Bench(configuration, outputs, inputs, rank)
                for place, active in enumerate(((1 << rank) - 1, 0)):
                    first, last = bench.read(vectors, active)
                    if last - first + 1 != spans[place]:
                        raise LaneFailure(f"a forward of {name}, {outputs} x {inputs}, must take {spans[place]} clocks "
                                          f"as specified, and took {last - first + 1}")
                bench.lane.close()
            figures[f"{name}_{outputs}x{inputs}_r{rank}"] = Overhead(*spans, tail)
    return figures
