"""The array: tiles of integer conductances, programmed from weights and read as ADC codes, in numpy.

It is one array of `crossbar.arrays` modelled tiles that share rows and columns; the same memory serves the array behind
the simulated board (cosim/native/array.cpp), which gives the same codes.
"""

import numpy as np
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.spec.noise import NORMAL_SHIFT, READ_ROW
from rmdlora.golden.spec.pulses import PULSE_MODELS
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue, need_integer

from .device import DeviceModel, normal

__all__ = ["Array", "combine_codes"]

EXACT = 1 << 53     # float64 adds integers exactly below this
COUNTED = 1 << 62


class Array:
    """`arrays` tiles of ``rows x columns`` cells.

    Parameters
    ----------
    configuration : `golden.spec.configuration.Configuration`
    arrays : int, optional
        Tiles; by default ``configuration.crossbar.arrays``.
    preset : `golden.spec.presets.Preset`, optional
        By default the one ``configuration.device`` names.
    pulses : `golden.spec.pulses.PulseModel`, optional
        What a programming pulse does; likewise.

    Attributes
    ----------
    conductances : int32 (arrays, rows, columns)
        What a read sees, in g_lsb: programmed conductance times what the row's switch leaves of the voltage. Cells
        never programmed stand at 0.
    events : uint32 (arrays,)
        Reads of each tile so far.
    cycles : uint32 (arrays,)
        Programming cycles of each tile so far.
    pulses : uint32 (arrays, rows, columns)
        Pulses each cell had at the pins of the board, or from the twin of the programming loop (`programmer`).
    """

    def __init__(self, configuration, arrays=None, preset=None, pulses=None):
        crossbar, geometry, device = configuration.crossbar, configuration.geometry, configuration.device
        self.configuration = configuration
        self.device = DeviceModel(device, preset)
        self.preset = self.device.preset
        count = need_integer("arrays", crossbar.arrays if arrays is None else arrays, 1, 65536)
        self.rows, self.columns = geometry.tile_rows, geometry.tile_columns
        self.largest_volt = crossbar.step << configuration.formats.activation - 1
        if self.largest_volt > 32768:
            raise RefusedValue("crossbar.step must be at most "
                               f"{32768 >> configuration.formats.activation - 1} for formats.activation = "
                               f"{configuration.formats.activation}, not {crossbar.step}")
        self.ranges = ((crossbar.num, crossbar.shift), (crossbar.verify_num, crossbar.verify_shift))
        self.floor = tuple(self.preset.noise_floor(num, shift) for num, shift in self.ranges)
        if self._variance_bound(2 * device.units(device.g_max_us), self.largest_volt) >= COUNTED:
            raise RefusedValue("read noise must keep a column's variance below 2**62, not exceed it: "
                               "raise device.g_lsb_us or lower the preset's noise")
        self.conductances = np.zeros((count, self.rows, self.columns), dtype=np.int32)
        self.events = np.zeros(count, dtype=np.uint32)
        self.cycles = np.zeros(count, dtype=np.uint32)
        self.pulses = np.zeros((count, self.rows, self.columns), dtype=np.uint32)
        self.pulse_model = PULSE_MODELS[device.preset] if pulses is None else pulses
        tables = self.pulse_model.tables
        self.pulse_tables = None if tables is None else np.array(tables, dtype=np.int32)

    def _variance_bound(self, conductance, volt):
        sigma = conductance * self.preset.read + 65535 >> 16
        return self.rows * (volt * sigma) ** 2 + max(self.floor) ** 2

    def program(self, tiles, targets):
        """Program whole tiles with write-verify.

        ``tiles`` (T,) different indices; ``targets`` integers (T, rows, columns) in g_lsb
        (`golden.mapping.map_weights`). Returns the programming cycles each cell took, int64 (T, rows, columns).
        """
        tiles = self._indices(tiles).reshape(-1)
        targets = np.asarray(targets)
        if targets.dtype.kind not in "iu":
            raise RefusedType(f"targets must be integers, not {targets.dtype}")
        if targets.shape != (len(tiles), self.rows, self.columns):
            raise RefusedValue(f"targets must be of shape {(len(tiles), self.rows, self.columns)}, not {targets.shape}")
        lsb = self.configuration.device.g_lsb_us
        if self.preset.program_us == self.preset.program_relative == self.preset.on_resistance_ohm == 0:
            self.conductances[tiles] = targets
            cycles = np.ones(targets.shape, dtype=np.int64)
        else:
            reached, cycles = self.device.program(targets * lsb, self.configuration.device.seed, tiles,
                                                  self.cycles[tiles])
            load = 1 + self.preset.on_resistance_ohm * 1e-6 * reached.sum(axis=2, keepdims=True)
            self.conductances[tiles] = np.rint(reached / load / lsb)
        self.cycles[tiles] += cycles.max(axis=(1, 2)).astype(np.uint32)
        return cycles

    def load(self, weights, tile=0):
        """Program a layer's ``weights`` (d, k) into the tiles from ``tile`` on; `program`'s answer."""
        targets = map_weights(weights, self.configuration)
        need_integer("tile", tile, 0, len(self.conductances) - 1)
        if tile + len(targets) > len(self.conductances):
            raise RefusedValue(f"tiles must be at most {len(self.conductances)} (crossbar.arrays), "
                               f"not {tile + len(targets)}")
        return self.program(np.arange(tile, tile + len(targets)), targets)

    def read(self, tiles, volts, high=False):
        """Read tiles, several vectors each: one event a vector and tile.

        ``tiles`` integers of any shape S, each index once; ``volts`` integers (..., n, rows) in DAC codes whose leading
        axes broadcast against S; ``high``: which columns have their high gain range, bool or (columns,). Returns codes
        int16 (S, n, columns).
        """
        tiles, volts = self._indices(tiles), self._volts(volts)
        events = self.events[tiles].astype(np.int64)
        codes = self.codes(tiles, volts, events, high)
        self.events[tiles] += np.uint32(volts.shape[-2])
        return codes

    def codes(self, tiles, volts, events, high=False):
        """As `read`, but vector v of a tile is its event ``events`` (S) + v, and nothing is counted."""
        tiles, volts = self._indices(tiles), self._volts(volts)
        cells = self.conductances[tiles]
        current = matrix_product(volts, cells)                                              # (S, n, columns)
        high = np.broadcast_to(np.asarray(high, dtype=bool), (self.columns,))
        if self.preset.read or any(self.floor):
            current += self.noise(tiles, volts, events, high)
        narrowed = [narrow(current, num, shift, self.configuration.crossbar.adc_bits)
                    for num, shift in self.ranges[int(high.all()):1 + int(high.any())]]
        return narrowed[0] if len(narrowed) == 1 else np.where(high, narrowed[1], narrowed[0])

    def noise(self, tiles, volts, events, high=False):
        """Read noise of those reads, int64 (S, n, columns), in units of the current sum."""
        tiles, volts = self._indices(tiles), self._volts(volts)
        high = np.broadcast_to(np.asarray(high, dtype=bool), (self.columns,))
        variance = np.where(high, self.floor[1] ** 2, self.floor[0] ** 2)
        if self.preset.read:
            sigma = round_shift(self.conductances[tiles].astype(np.int64) * self.preset.read, 16)
            variance = variance + matrix_product(volts * volts, sigma * sigma)
        draws = normal((np.asarray(events)[..., None, None] + np.arange(volts.shape[-2])[:, None], READ_ROW,
                        np.arange(self.columns), 0), (self.configuration.device.seed, tiles[..., None, None]))
        return round_shift(draws * square_root(variance), NORMAL_SHIFT)

    def _indices(self, tiles):
        tiles = np.asarray(tiles)
        if tiles.dtype.kind not in "iu":
            raise RefusedType(f"tiles must be integers, not {tiles.dtype}")
        if tiles.size and not 0 <= tiles.min() <= tiles.max() < len(self.conductances):
            raise RefusedValue(f"tiles must be 0..{len(self.conductances) - 1}, not {tiles.min()}..{tiles.max()}")
        if len(np.unique(tiles)) != tiles.size:
            raise RefusedValue("tiles must be different ones in one call, not repeat")
        return tiles

    def _volts(self, volts):
        volts = np.asarray(volts)
        if volts.dtype.kind not in "iu":
            raise RefusedType(f"volts must be integers, not {volts.dtype}")
        if volts.ndim < 2 or volts.shape[-1] != self.rows:
            raise RefusedValue(f"volts must be of shape (..., n, {self.rows}), not {volts.shape}")
        if volts.size and not -32768 <= volts.min() <= volts.max() <= 32768:
            raise RefusedValue(f"volts must be -32768..32768 DAC codes, not {volts.min()}..{volts.max()}")
        return volts.astype(np.int64)


def combine_codes(codes, mapping):
    """What the codes (..., columns) of a tile add to its outputs, int64 (..., tile outputs)."""
    codes = codes.astype(np.int64)
    return codes[..., 0::2] - codes[..., 1::2] if mapping == "differential" else codes[..., :-1] - codes[..., -1:]


def matrix_product(left, right):
    """``left @ right`` of integers, exact, int64: by float64 where no sum can pass 2**53."""
    largest = (int(np.abs(array).max(initial=0)) for array in (left, right))
    if next(largest) * next(largest) * right.shape[-2] < EXACT:
        return (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
    return left.astype(np.int64) @ right.astype(np.int64)


def round_shift(values, shift):
    """`golden.spec.formats.round_shift` of an int64 array."""
    if shift == 0:
        return values
    return values + ((1 << shift - 1) - 1) + (values >> shift & 1) >> shift


def narrow(current, num, shift, bits):
    """``saturate(round_shift(current * num, shift), bits)`` as int16; cut first, where the product would overflow."""
    high = (1 << bits - 1) - 1
    end = (high + 2 << shift) // num + 1
    codes = round_shift(np.clip(current, -end, end) * num, shift)
    return np.clip(codes, -high - 1, high).astype(np.int16)


def square_root(values):
    """Largest integers whose squares are not above ``values`` (int64, 0 .. 2**62)."""
    roots = np.sqrt(values.astype(np.float64)).astype(np.int64)
    roots -= roots * roots > values
    roots += (roots + 1) * (roots + 1) <= values
    return roots
