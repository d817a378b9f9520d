"""Random tile reads at the pins against the oracle: ``python -m rmdlora.cosim.tile_reads --reads 500 --seed 1``.

A read is one vector of one layer of a tile or a few. Cells are drawn, not programmed: of any worth up to g_max, in some
reads with every other column at 0, so that the codes of single columns are seen and not differences alone. Activations
have every pattern of signs, the corners among them; one read in three is in the high gain range, in which the ADCs
saturate. Sums leave the chip as outputs wide enough, gain 1 and no adapter. Read ``i`` of a run is a function of the
seed and of ``i`` alone, but where the device is noisy of those before it too. Exit statuses as `rmdlora`'s.
"""

import argparse
import dataclasses
import functools
import sys

import numpy as np
from rmdlora.gen.driver import Driver, Layer
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.reading import count_forward

from .board import Board, violations
from .cli import carry_out
from .hybrid import BoardRead, first_difference
from .soak import counting_progress

__all__ = ["READINGS", "TileReads", "draw_read", "open_reads", "readable"]

READINGS = ("voltage", "streamed")
PATTERNS = ("random", "ends", "positive", "negative", "alternating", "one row", "small")


@dataclasses.dataclass(frozen=True)
class TileRead:
    """Activations ``x`` (n, k) into ``cells`` int32 (tiles, rows, columns) from array ``tile`` on, which have
    ``outputs`` outputs; ``high``: the gain range."""

    x: np.ndarray
    cells: np.ndarray
    outputs: int
    tile: int
    high: bool


def readable(configuration, reading, device="ideal", **crossbar):
    """``configuration`` with tiles read the way ``reading``, outputs that hold a whole sum where 24 bits can, and
    another device."""
    if reading == "voltage":
        crossbar = {"planes": 0, "plane_sign": "twos", "plane_order": "high"}
    changed = dataclasses.replace(
        configuration, crossbar=dataclasses.replace(configuration.crossbar, reading=reading, **crossbar),
        device=dataclasses.replace(configuration.device, preset=device))
    output = max(configuration.formats.output, min(24, changed.sum_bits))
    return dataclasses.replace(changed, formats=dataclasses.replace(configuration.formats, output=output))


def draw_inputs(draw, shape, low, high):
    """Activation codes of ``shape``, each vector with a pattern of its own, all of them within ``low .. high``."""
    x = np.zeros(shape, np.int64)
    for vector in x:
        pattern = PATTERNS[draw.integers(len(PATTERNS))]
        vector[:] = draw.integers(low, high + 1, len(vector))
        if pattern == "ends":
            vector[:] = draw.choice([low, high, 0], len(vector))
        elif pattern in ("positive", "negative"):
            vector[:] = draw.integers(1, high + 1, len(vector)) if pattern == "positive" or not low \
                else draw.integers(low, 0, len(vector))
        elif pattern == "alternating":
            vector[:] = np.where(np.arange(len(vector)) % 2, low, high)
        elif pattern == "one row":
            vector[np.arange(len(vector)) != draw.integers(len(vector))] = 0
        elif pattern == "small":
            vector[:] = draw.integers(max(low, -2), min(high, 2) + 1, len(vector))
    return x


def draw_read(configuration, draw, vectors=1):
    """A random `TileRead`: half of them of one full tile, the others of a layer of any size that there are arrays for.
    """
    geometry, device = configuration.geometry, configuration.device
    inputs, outputs = geometry.tile_rows, configuration.tile_outputs
    if draw.integers(2):
        inputs, outputs = (int(draw.integers(1, most + 1)) for most in (geometry.max_inputs, 2 * outputs))
    outputs = min(outputs, geometry.max_outputs)
    count = configuration.row_tiles(inputs) * configuration.column_tiles(outputs)
    if count > configuration.crossbar.arrays:
        inputs, outputs, count = geometry.tile_rows, configuration.tile_outputs, 1
    cells = draw.integers(0, device.units(device.g_max_us) + 1, (count, geometry.tile_rows, geometry.tile_columns))
    kept = draw.integers(3)     # every column, the even or the odd ones
    if kept:
        cells[..., kept - 1::2] = 0
    x = draw_inputs(draw, (vectors, inputs), *configuration.crossbar.range_of(configuration.formats.activation))
    return TileRead(x, cells.astype(np.int32), outputs, int(draw.integers(configuration.crossbar.arrays - count + 1)),
                    bool(draw.integers(3) == 0))


class TileReads:
    """A chip on its board behind ``transport``, and the oracle beside it.

    ``library``: the simulation's (`Board.attach`). Board and oracle have arrays of their own, with the same cells,
    and draw the same noise in the same order.
    """

    def __init__(self, configuration, transport, library):
        self.configuration, self.library = configuration, library
        self.board, self.twin = Board(configuration), Board(configuration)
        self.board.attach(library)
        self.oracle = BoardRead(self.twin)
        self.driver = Driver(transport, configuration)
        self.driver.wait_board()
        outputs = min(2 * configuration.tile_outputs, configuration.geometry.max_outputs)
        self.driver.set_calibration(np.ones(outputs, np.int64), np.zeros(outputs, np.int64))
        self.lines = None       # array, rows and gain range that the last read left on them
        self.cycles = None

    def read(self, given):
        """``(y, wanted)`` of a `TileRead`, both int64 (n, d); then ``cycles`` is what the chip counted and what is
        specified."""
        tiles = slice(given.tile, given.tile + len(given.cells))
        for board in (self.board, self.twin):
            board.array.conductances[tiles] = given.cells
        layer = Layer(given.x.shape[1], given.outputs, 1, tile=given.tile, active=0, high=given.high)
        before = self.driver.counters()["forward"]
        y = self.driver.forward(layer, given.x, crossbar=True).astype(np.int64)
        self.cycles = self.driver.counters()["forward"] - before, self.count(given)
        wanted = self.oracle(given.cells.astype(np.int64), given.x, given.outputs, given.tile, given.high)
        output = self.configuration.formats.of("output")
        return y, np.clip(wanted, output.low, output.high)

    def count(self, given):
        """Cycles of the forward that reads ``given`` next, as specified."""
        configuration, inputs = self.configuration, given.x.shape[1]
        rows = configuration.geometry.tile_rows
        left = (given.tile + len(given.cells) - 1, inputs - (configuration.row_tiles(inputs) - 1) * rows, given.high)
        first, was = (given.tile, min(rows, inputs), given.high), self.lines
        self.lines = left
        shifted = None
        if was is not None and first[:2] == was[:2]:
            shifted = configuration.geometry.tile_columns if first != was else 0
        return count_forward(configuration, len(given.x), inputs, given.outputs, 1, shifted)


def open_reads(configuration):
    """`TileReads` in the native lane."""
    from .native import NativeLane

    lane = NativeLane(configuration, board=True)
    return TileReads(configuration, lane, lane.library)


def run_reads(reads, count, seed, first=0, report=None):
    """What differs first in ``count`` random reads, in words, or None; and what they met: {word: how many}.

    ``report()`` is called after each read.
    """
    met = dict.fromkeys(("columns", "saturated high", "saturated low", "sums above 0", "sums below 0", "sums of 0"), 0)
    for index in range(first, first + count):
        given = draw_read(reads.configuration, np.random.default_rng((seed, index)))
        y, wanted = reads.read(given)
        off, text = first_difference("y", y, wanted)
        broken, texts = violations(reads.library)
        if off or broken:
            return (f"read {index}: {text or texts[0]}"), met
        counted, specified = reads.cycles
        if counted != specified:
            return f"read {index}: cycles are {counted} from the RTL, {specified} as specified", met
        count_met(met, reads.configuration, given, wanted)
        if report:
            report()
    return None, met


def count_met(met, configuration, given, wanted):
    """Add to ``met`` what one read met, noise left aside."""
    crossbar, rows = configuration.crossbar, configuration.geometry.tile_rows
    num, shift = (crossbar.verify_num, crossbar.verify_shift) if given.high else (crossbar.num, crossbar.shift)
    row_tiles = configuration.row_tiles(given.x.shape[1])
    padded = np.zeros((len(given.x), row_tiles * rows), np.int64)
    padded[:, :given.x.shape[1]] = given.x
    planes = [plane.of(padded) for plane in configuration.passes] or [padded]
    for index, cells in enumerate(given.cells.astype(np.float64)):
        row_tile = index // (len(given.cells) // row_tiles)
        for plane in planes:
            part = plane[:, row_tile * rows:(row_tile + 1) * rows]
            codes = np.rint(configuration.unit_volt * part @ cells * num / 2.0**shift)
            met["columns"] += codes.size
            met["saturated high"] += int((codes > 8191).sum())
            met["saturated low"] += int((codes < -8192).sum())
    for word, holds in (("above", wanted > 0), ("below", wanted < 0), ("of", wanted == 0)):
        met[f"sums {word} 0"] += int(holds.sum())


def main(arguments=None):
    """Run from the command line; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rmdlora.cosim.tile_reads", description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default="tiny", help="a TOML file or a name (default: %(default)s)")
    parser.add_argument("--reading", choices=(*READINGS, "both"), default="both", help="how (default: %(default)s)")
    parser.add_argument("--device", default="ideal", help="preset of the device (default: %(default)s)")
    parser.add_argument("--reads", type=int, default=500, help="how many, each way (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the run (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="index of the first read (default: %(default)s)")
    given = parser.parse_args(arguments)
    base = load_configuration(given.config)
    for reading in READINGS if given.reading == "both" else (given.reading,):
        configuration = readable(base, reading, given.device)
        with counting_progress() as progress:
            task = progress.add_task(f"{reading} reads, {base.name}, {given.device}", total=given.reads)
            advance = functools.partial(progress.advance, task)
            found, met = run_reads(open_reads(configuration), given.reads, given.seed, given.first, advance)
        if found:
            print(f"differs: {reading}, seed {given.seed}, {found}")
            return 1
        counts = ", ".join(f"{count:,} {word}" for word, count in met.items())
        print(f"agreed: {given.reads} {reading} tile reads of seed {given.seed} from {given.first} on, "
              f"configuration {base.name}, device {given.device}: {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(carry_out(main))
