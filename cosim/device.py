"""The resistive memory as a device: its window, where a programming cycle lands, and how it came to its numbers.

Random numbers are those of `golden.spec.noise`, here for whole numpy arrays at once.
"""

import numpy as np
from rmdlora.golden.spec.noise import MULTIPLIERS, ROUNDS, WEYL
from rmdlora.golden.spec.normal_table import TABLE
from rmdlora.golden.spec.presets import PRESETS, Preset
from rmdlora.golden.spec.refusal import RefusedValue, need_integer

__all__ = ["DeviceModel", "normal", "philox4x32"]

MASK = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)
QUANTILES = np.array(TABLE + tuple(-entry for entry in TABLE), dtype=np.int32)  # by bits 31..22: the sign is bit 31


def philox4x32(counter, key):
    """`golden.spec.noise.philox4x32` of arrays: ``counter`` four and ``key`` two integer arrays that broadcast against
    each other; four uint64 arrays of 32-bit words."""
    a, b, c, d = (np.asarray(word).astype(np.uint64) for word in counter)
    low, high = (np.asarray(word).astype(np.uint64) for word in key)
    for _ in range(ROUNDS):
        first, second = np.uint64(MULTIPLIERS[0]) * a, np.uint64(MULTIPLIERS[1]) * c
        a, b, c, d = (second >> WORD) ^ b ^ low, second & MASK, (first >> WORD) ^ d ^ high, first & MASK
        low, high = (low + np.uint64(WEYL[0])) & MASK, (high + np.uint64(WEYL[1])) & MASK
    return a, b, c, d


def normal(counter, key):
    """Normal numbers of standard deviation 2**16, int64, of the blocks of ``counter`` and ``key`` (`philox4x32`)."""
    shape = np.broadcast_shapes(*(np.shape(word) for word in (*counter, *key)))
    draws = np.zeros(shape, dtype=np.int64)
    for word in philox4x32(counter, key):
        draws += QUANTILES[(word >> np.uint64(22)).astype(np.intp)]
    return draws


class DeviceModel:
    """One kind of cell: window, levels, and write-verify in numpy.

    A programming cycle (SET, then RESET down to the target) lands normally distributed about the target with a standard
    deviation of ``program_us + program_relative * target``; write-verify repeats it until the cell is within
    ``tolerance_us``, at most ``cycles`` times. The spread of `taox` is that of one measured RESET pulse at that
    conductance. A cell's own range bounds where it can land; between programming and reading it may drift.

    Parameters: ``device`` (`golden.spec.crossbar.Device`); ``preset`` (`golden.spec.presets.Preset`), by default the
    one ``device`` names.
    """

    def __init__(self, device, preset=None):
        self.device = device
        self.preset = PRESETS[device.preset] if preset is None else preset
        if not isinstance(self.preset, Preset):
            raise RefusedValue(f"preset must be a Preset, not {preset!r}")

    @property
    def window_us(self):
        """``(g_min, g_max)`` in uS."""
        return self.device.g_min_us, self.device.g_max_us

    def levels_us(self, count):
        """``count`` target conductances in uS, evenly spread over the window: float64 (count,)."""
        need_integer("levels", count, 2, 65536)
        return np.linspace(*self.window_us, count)

    def spread_us(self, target_us):
        """Standard deviation in uS of where one programming cycle lands, for targets in uS of any shape."""
        return self.preset.program_us + self.preset.program_relative * np.asarray(target_us, dtype=np.float64)

    def drift(self, conductances_us, equivalent_s, draws):
        """Where cells of ``conductances_us`` stand after ``equivalent_s`` seconds at the temperature of the bake.

        ``equivalent_s`` is `golden.spec.retention.Retention.equivalent_s`; ``draws`` each cell's own normal number (of
        standard deviation 1). float64 in uS, of the shape all three broadcast to, never negative.
        """
        law, start = self.preset.retention, np.asarray(conductances_us, dtype=np.float64)
        if law is None:
            return start
        growth = np.log1p(np.asarray(equivalent_s) / law.onset_s) / np.log1p(law.bake_s / law.onset_s)
        shift, spread = (np.interp(start, law.knots_us, values) for values in (law.shift_us, law.spread_us))
        return np.maximum(start + growth * (shift + spread * draws), 0.0)

    def program(self, targets_us, seed, tiles, first_cycle, low_us=0.0, high_us=np.inf):
        """Program cells with write-verify.

        Parameters: ``targets_us`` (T, rows, columns) in uS; ``seed`` of the random numbers; ``tiles`` (T,) their
        indices; ``first_cycle`` (T,) programming cycles the tiles had before; ``low_us``, ``high_us``: the cells' own
        ranges, of any shape that broadcasts. Returns ``(conductances_us, cycles)``, both (T, rows, columns): where the
        cells stand, and how many cycles each took. A cell that never came within the tolerance stands where its last
        cycle left it. Conductances are never negative.
        """
        targets = np.asarray(targets_us, dtype=np.float64)
        low_us, high_us = (np.broadcast_to(limit, targets.shape) for limit in (low_us, high_us))
        reached = np.clip(targets, low_us, high_us)
        cycles = np.ones(targets.shape, dtype=np.int64)
        spread = self.spread_us(targets)
        if not spread.any():
            cycles[np.abs(reached - targets) > self.preset.tolerance_us] = self.preset.cycles
            return reached, cycles
        tiles, first_cycle = np.asarray(tiles), np.asarray(first_cycle)
        tile, row, column = (index.ravel() for index in np.indices(targets.shape))     # cells not yet in place
        for cycle in range(self.preset.cycles):
            draws = normal((first_cycle[tile] + cycle, row, column, 0), (seed, tiles[tile])) / 65536
            cell = (tile, row, column)
            reached[cell] = np.clip(targets[cell] + spread[cell] * draws, np.maximum(low_us[cell], 0.0), high_us[cell])
            cycles[cell] = cycle + 1
            out = np.abs(reached[cell] - targets[cell]) > self.preset.tolerance_us
            tile, row, column = tile[out], row[out], column[out]
            if not len(tile):
                break
        return reached, cycles
