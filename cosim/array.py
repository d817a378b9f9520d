"""The array: tiles of integer conductances, programmed from weights and read as ADC codes, in numpy.

It is one array of `crossbar.arrays` modelled tiles that share rows and columns; the same memory serves the array behind
the simulated board (cosim/native/array.cpp), which gives the same codes.
"""

import ctypes
import dataclasses
import functools
import math
import pathlib

import numpy as np
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.native import compile_library
from rmdlora.golden.spec.noise import NORMAL_SHIFT, READ_ROW
from rmdlora.golden.spec.normal_table import TABLE
from rmdlora.golden.spec.pulses import PULSE_MODELS, WHOLE, worn_range
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue, need_integer

from .cells import draw_cells
from .device import QUANTILES, DeviceModel, normal
from .history import History
from .stages import draw_stages

__all__ = ["Array", "combine_codes"]

EXACT = 1 << 53     # float64 adds integers exactly below this
ROOTED = 1 << 52    # ... and the floor of its square root of them is right below this
COUNTED = 1 << 62
MID_SCALE = 32768   # the largest voltage in DAC codes
LARGEST_DRAW = 4 * max(TABLE)
NATIVE = 1 << 14    # codes from which on a read asks for the kernel in C++
KERNEL = pathlib.Path(__file__).parent / "native" / "read.cpp"


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
        What a programming pulse does; likewise, with the configuration's endurance.
    stuck : float (arrays, rows, columns), optional
        Conductances in uS of stuck cells, NaN elsewhere; by default as the configuration says.

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
        Pulses each cell had: at the pins of the board, from the twin of the programming loop (`programmer`), and one
        for every cycle of `program`. They use up the endurance (`used_endurance`).
    cells : `cells.Cells`
        What each cell is: its range, its strength, whether it is stuck.
    stages : `stages.Stages` or None
        How the columns' stages err.
    """

    def __init__(self, configuration, arrays=None, preset=None, pulses=None, stuck=None):
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
        self.noisy = bool(self.preset.read or any(self.floor))
        self.stages = draw_stages(configuration, self.columns)
        if self._variance_bound(2 * device.units(device.g_max_us), self.largest_volt) >= COUNTED:
            raise RefusedValue("read noise must keep a column's variance below 2**62, not exceed it: "
                               "raise device.g_lsb_us or lower the preset's noise")
        self.conductances = np.zeros((count, self.rows, self.columns), dtype=np.int32)
        self.events = np.zeros(count, dtype=np.uint32)
        self.cycles = np.zeros(count, dtype=np.uint32)
        self.pulses = np.zeros((count, self.rows, self.columns), dtype=np.uint32)
        self.pulse_model = dataclasses.replace(
            PULSE_MODELS[device.preset], endurance=device.endurance,
            narrowing=round(device.narrowing * WHOLE)) if pulses is None else pulses
        tables = self.pulse_model.tables
        self.pulse_tables = None if tables is None else np.array(tables, dtype=np.int32)
        self.cells = draw_cells(configuration, self.preset, self.pulse_model, self.conductances.shape, stuck)
        told = self.preset.retention or self.preset.on_resistance_ohm or device.lines != "row"
        self.history = History(self) if told else None
        if self.cells.stuck is not None:
            self.conductances[self.cells.stuck] = self.cells.high[self.cells.stuck]

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
        lsb, model, cells = self.configuration.device.g_lsb_us, self.pulse_model, self.cells
        if self.exact:
            self.conductances[tiles] = targets
            cycles = np.ones(targets.shape, dtype=np.int64)
        else:
            low, high = 0.0, np.inf
            if cells.high is not None or model.narrowing:
                ends = (np.broadcast_to(end, self.conductances.shape)[tiles].astype(np.int64) for end in (
                    0 if cells.low is None else cells.low, model.ceiling if cells.high is None else cells.high))
                before = np.minimum(self.pulses[tiles], model.endurance or 0).astype(np.int64)
                low, high = (end * lsb for end in worn_range(model, *ends, before))
            reached, cycles = self.device.program(targets * lsb, self.configuration.device.seed, tiles,
                                                  self.cycles[tiles], low, high)
            if model.endurance:
                worn = self.pulses[tiles] >= model.endurance
                stand = self.conductances[tiles] * lsb if self.history is None else self.history.start_us[tiles]
                reached[worn], cycles[worn] = stand[worn], self.preset.cycles
            if self.history is None:
                self.conductances[tiles] = np.rint(reached / lsb)
        self.pulses[tiles] += cycles.astype(np.uint32)
        if self.history is not None:
            self.history.program(tiles, reached)
        self.cycles[tiles] += cycles.max(axis=(1, 2)).astype(np.uint32)
        return cycles

    @property
    def exact(self):
        """Whether `program` leaves every cell where it is told to, for ever."""
        preset, model = self.preset, self.pulse_model
        return not (preset.program_us or preset.program_relative or self.history is not None or model.narrowing
                    or self.cells.high is not None or self.pulses.max(initial=0) >= (model.endurance or COUNTED))

    def settle(self, seconds=0.0, temperature_c=None):
        """Let ``seconds`` pass at ``temperature_c`` degC (default: the configuration's) over all cells.

        What has been programmed at the pins since the last call begins its life here: until then a read sees those
        cells as a verify does, without what lines and switches take of the voltage. Refused where the preset knows
        nothing of such a time.
        """
        device = self.configuration.device
        if not 0 <= seconds <= self.preset.holds_s:
            raise RefusedValue(f"seconds must be 0..{self.preset.holds_s:g} for preset {device.preset}, "
                               f"not {seconds:g}")
        if self.history is not None:
            self.history.pass_time(seconds, device.temperature_c if temperature_c is None else temperature_c)

    @property
    def used_endurance(self):
        """Share of its endurance that each cell has used: float64 (arrays, rows, columns); 0 where it is endless."""
        return self.pulses / self.pulse_model.endurance if self.pulse_model.endurance else np.zeros(self.pulses.shape)

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
        """As `read`, but vector v of a tile is its event ``events`` (S) + v, and nothing is counted.

        Every number is an integer; where none can pass 2**53 they are carried in float64, which has fast products, and
        large reads are drawn and narrowed in C++ where there is a compiler. The codes are the same on every way.
        """
        tiles, volts = self._indices(tiles), self._volts(volts)
        high = np.broadcast_to(np.asarray(high, dtype=bool), (self.columns,))
        cells = self.conductances[tiles]
        conductance = int(np.abs(cells).max(initial=0))
        if self.stages or not (self._stays_exact(MID_SCALE, conductance)
                               or self._stays_exact(int(np.abs(volts).max(initial=0)), conductance)):
            current = matrix_product(volts, cells)                                          # (S, n, columns)
            if self.noisy or self.stages:
                current += self.noise(tiles, volts, events, high)
            return np.where(high, *(narrow(current, num, shift, self.configuration.crossbar.adc_bits)
                                    for num, shift in self.ranges[::-1]))
        floor, scale = (np.where(high, last, first).astype(np.float64) for first, last in (
            [level ** 2 for level in self.floor], [num * 2.0 ** -shift for num, shift in self.ranges]))
        codes = tiles.size * volts.shape[-2] * self.columns
        kernel = find_kernel() if codes >= NATIVE else None
        if kernel:
            return kernel(self, tiles, volts, cells, events, floor, scale)
        volts, cells = volts.astype(np.float64), cells.astype(np.float64)
        current = volts @ cells
        if self.noisy:
            sigma = np.rint(cells * (self.preset.read / 65536))
            variance = np.square(volts) @ np.square(sigma) + floor
            draws = self._draws(tiles, events, volts.shape[-2])
            current += np.rint(draws * np.floor(np.sqrt(variance)) * 2.0 ** -NORMAL_SHIFT)
        current *= scale
        end = 1 << self.configuration.crossbar.adc_bits - 1
        return np.clip(np.rint(current, out=current), -end, end - 1, out=current).astype(np.int16)

    def _stays_exact(self, volt, conductance):
        """Whether float64 holds every number of a read of such voltages and conductances exactly."""
        noise = 0
        if self.noisy:
            variance = self._variance_bound(conductance, volt)
            noise = math.isqrt(variance) * LARGEST_DRAW
            if max(variance, noise, conductance * self.preset.read) >= ROOTED:
                return False
        current = self.rows * volt * conductance + (noise >> NORMAL_SHIFT) + 1
        return current * max(num for num, _ in self.ranges) < EXACT

    def _draws(self, tiles, events, vectors):
        return normal((np.asarray(events)[..., None, None] + np.arange(vectors)[:, None], READ_ROW,
                       np.arange(self.columns), 0), (self.configuration.device.seed, tiles[..., None, None]))

    def noise(self, tiles, volts, events, high=False):
        """Read noise of those reads and what the stages add to them, int64 (S, n, columns), in units of the current
        sum."""
        tiles, volts = self._indices(tiles), self._volts(volts)
        high = np.broadcast_to(np.asarray(high, dtype=bool), (self.columns,))
        variance = np.where(high, self.floor[1] ** 2, self.floor[0] ** 2)
        if self.preset.read:
            sigma = round_shift(self.conductances[tiles].astype(np.int64) * self.preset.read, 16)
            variance = variance + matrix_product(volts * volts, sigma * sigma)
        noise = round_shift(self._draws(tiles, events, volts.shape[-2]) * square_root(variance), NORMAL_SHIFT)
        if self.stages:
            noise += self.stages.error(matrix_product(volts, self.conductances[tiles]), high)
        return noise

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
        return volts.astype(np.int64, copy=False)


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


@functools.cache
def find_kernel():
    """The reads in C++ (cosim/native/read.cpp) as a function, or None where they cannot be had."""
    library = compile_library(KERNEL)
    if library is None:
        return None
    library.rmd_read_tiles.argtypes = [
        *[ctypes.c_int64] * 2, *[ctypes.c_int32] * 2, *[ctypes.c_void_p] * 3, *[ctypes.c_int32] * 2,
        *[ctypes.c_void_p] * 4, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_double, ctypes.c_void_p]

    def run(array, tiles, volts, cells, events, floor, scale):
        shape = np.broadcast_shapes(volts.shape[:-2], tiles.shape)
        given = np.arange(math.prod(volts.shape[:-2])).reshape(volts.shape[:-2])
        source, names, events = (np.ascontiguousarray(np.broadcast_to(part, shape), dtype=kind) for part, kind in (
            (given, np.int64), (tiles, np.uint32), (events, np.uint32)))
        volts = np.ascontiguousarray(volts)
        cells = np.ascontiguousarray(np.broadcast_to(cells, shape + cells.shape[-2:]))
        codes = np.empty((*shape, volts.shape[-2], array.columns), dtype=np.int16)
        pointers = [part.ctypes.data for part in (volts, source, cells, floor, scale, events, names, QUANTILES, codes)]
        library.rmd_read_tiles(
            names.size, volts.shape[-2], array.rows, array.columns, *pointers[:3], array.preset.read, array.noisy,
            *pointers[3:7], array.configuration.device.seed, pointers[7],
            float((1 << array.configuration.crossbar.adc_bits - 1) - 1), pointers[8])
        return codes

    return run
