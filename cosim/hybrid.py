"""The layers of a hybrid network on a board: the oracle's reading of it, and the RTL behind the driver.

Both are backends of `golden.hybrid.HybridNetwork`. They work on boards of the same configuration, programmed in the
same order, so that both see the same cells and, read for read, the same noise.
"""

import dataclasses

import numpy as np
from rmdlora.gen.driver import Shifts
from rmdlora.golden.hybrid import LayerRun, OracleLayers, map_network
from rmdlora.golden.read import read_layer

from .board import Board

__all__ = ["ArrayRead", "BoardRead", "Machine", "RtlLayers", "first_difference", "program_board"]


def program_board(board):
    """A ``program`` for `golden.hybrid.map_network`: it writes the tiles of ``board`` (`board.Board`)."""
    def program(targets, tile):
        tiles = np.arange(tile, tile + len(targets))
        board.array.program(tiles, targets)
        return board.array.conductances[tiles].astype(np.int64)

    return program


class BoardRead:
    """A ``read`` for `golden.hybrid`: the oracle's integers for the tiles of ``board``, its read noise included.

    Every call is one read event a vector, or one a pass where it is streamed, of each tile it touches, as on the board
    itself.
    """

    def __init__(self, board):
        self.board = board

    def __call__(self, conductances, x, outputs, tile, high=False):
        array, configuration = self.board.array, self.board.configuration
        tiles = np.arange(tile, tile + len(conductances))
        passes = len(configuration.passes)
        noise = None
        if array.noisy or array.stages:
            volts = self.board.row_volts(self.board.place(x.shape[1], outputs, tile), x)    # (row tiles, events, rows)
            volts = np.repeat(volts, len(conductances) // len(volts), axis=0)               # (tiles, events, rows)
            noise = array.noise(tiles, volts, array.events[tiles].astype(np.int64), high).transpose(1, 0, 2)
            if passes:
                noise = noise.reshape(len(x), passes, len(tiles), -1)
        array.events[tiles] += np.uint32(len(x) * max(1, passes))
        return read_layer(conductances, x, outputs, configuration, noise, high)


class ArrayRead:
    """As `BoardRead`, and the same codes, by the array model itself: faster, and what training reads through."""

    def __init__(self, board):
        self.board = board

    def __call__(self, conductances, x, outputs, tile):
        return self.board.read(self.board.place(x.shape[1], outputs, tile), x)


class Machine:
    """A board for a network: ``program`` writes all its weights, ``test`` reads with all noise, ``train`` with
    the cells as they are but no read noise (which would be averaged over a batch).

    ``pulses``: programming cycles of all cells with a weight so far, by the device model's own count.
    """

    def __init__(self, configuration, preset=None):
        self.configuration = configuration
        self.board = Board(configuration, preset=preset)
        self.test, self.train = OracleLayers(configuration, ArrayRead(self.board)), self.reader(read=0, floor=0)
        self.pulses = 0

    def reader(self, **numbers):
        """`OracleLayers` that read the same cells, as they are at any time, under other ``numbers`` of the preset."""
        board = Board(self.configuration, preset=dataclasses.replace(self.board.array.preset, **numbers))
        board.array.conductances = self.board.array.conductances
        return OracleLayers(self.configuration, ArrayRead(board))

    def program(self, model, inputs):
        """The `HybridNetwork` of ``model``'s weights, programmed and calibrated on training ``inputs``."""
        def write(targets, tile):
            tiles = np.arange(tile, tile + len(targets))
            cycles = self.board.array.program(tiles, targets)
            middle = self.configuration.device.units(self.configuration.device.g_mid_us)
            self.pulses += int(cycles[targets != middle].sum())
            return self.board.array.conductances[tiles].astype(np.int64)

        return map_network(model, inputs, self.configuration, self.test.read, write)


class RtlLayers:
    """Layers on the RTL: the chip behind ``driver`` (`gen.driver.Driver`), its board's array programmed like
    ``network``.

    `load` brings adapters and calibration into the chip. Called as a backend, it runs one forward whose `c` comes from
    the crossbar; the `LayerRun` holds the chip's own counts: its ``cycles``, and ``conversions``, ``tile_reads`` and
    ``frames`` among what was seen, with ``clocks`` (n, d), the clock since reset at which each `y` left. `sums` reads
    `c` itself.
    """

    def __init__(self, driver, network):
        self.driver = driver
        self.network = network
        self.places = {}
        last = list(network.layers.values())[-1]
        lanes = driver.lanes
        self.plain = last.calibration + lanes.groups(last.outputs)      # unit gains, for `sums`

    def load(self):
        """Load every layer's adapter, gains and offsets, and unit gains behind them."""
        for name, layer in self.network.layers.items():
            self.places[name] = dataclasses.replace(self.driver.load_adapter(layer.a, layer.b, layer.adapter),
                                                    calibration=layer.calibration, tile=layer.tile)
            self.driver.set_calibration(layer.gain, layer.offset, layer.calibration)
        widest = max(layer.outputs for layer in self.network.layers.values())
        self.driver.set_calibration(np.ones(widest, np.int64), np.zeros(widest, np.int64), self.plain)

    def __call__(self, layer, x, active):
        mask = sum(1 << lane for lane in np.flatnonzero(active).tolist())
        place = dataclasses.replace(self.places[layer.name], active=mask)
        return self.run(layer, place, x, Shifts(p=layer.p_shift, u=layer.u_shift, w=layer.w_shift))

    def sums(self, layer, x):
        """A `LayerRun` whose ``y`` is the crossbar sum `c` as far as an output code holds it: gain 1, no adapter."""
        place = dataclasses.replace(self.places[layer.name], active=0, calibration=self.plain)
        return self.run(layer, place, x, Shifts())

    def run(self, layer, place, x, shifts):
        """One forward, and what the chip counted in it."""
        before = self.driver.counters()
        y = self.driver.forward(place, x, shifts=shifts, crossbar=True).astype(np.int64)
        counts = {name: count - before[name] for name, count in self.driver.counters().items()}
        seen = {name: counts[name] for name in ("conversions", "tile_reads", "frames")}
        return LayerRun(layer, x, y, counts["forward"], seen | {"clocks": self.driver.clocks("y")})


def first_difference(name, given, wanted, clocks=None):
    """``(how many elements differ, the first of them in words or None)`` of two integer arrays (n, d)."""
    off = np.argwhere(given != wanted)
    if not len(off):
        return 0, None
    vector, position = off[0]
    when = f", at clock {int(clocks[vector, position])} since reset" if clocks is not None else ""
    return len(off), (f"{name}[{vector}, {position}] is {int(given[vector, position])} from the RTL, "
                      f"{int(wanted[vector, position])} from the oracle{when}")
