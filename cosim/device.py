"""The resistive memory as a device: its window, where a programming cycle lands, and how it came to its numbers.

Random numbers are those of `golden.spec.noise`, here for whole numpy arrays at once.
"""

import dataclasses
import pathlib

import numpy as np
from rmdlora.golden.spec.noise import MULTIPLIERS, ROUNDS, WEYL
from rmdlora.golden.spec.normal_table import TABLE
from rmdlora.golden.spec.presets import PRESETS, Preset
from rmdlora.golden.spec.refusal import RefusedValue, need_integer

__all__ = ["DeviceModel", "fit_taox", "fit_taox_pulses", "normal", "philox4x32"]

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
    conductance. Retention, endurance and stuck cells are not modelled.

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

    def program(self, targets_us, seed, tiles, first_cycle):
        """Program cells with write-verify.

        Parameters: ``targets_us`` (T, rows, columns) in uS; ``seed`` of the random numbers; ``tiles`` (T,) their
        indices; ``first_cycle`` (T,) programming cycles the tiles had before. Returns ``(conductances_us, cycles)``,
        both (T, rows, columns): where the cells stand, and how many cycles each took. A cell that never came within
        the tolerance stands where its last cycle left it. Conductances are never negative.
        """
        targets = np.asarray(targets_us, dtype=np.float64)
        reached = targets.copy()
        cycles = np.ones(targets.shape, dtype=np.int64)
        spread = self.spread_us(targets)
        if not spread.any():
            return reached, cycles
        tiles, first_cycle = np.asarray(tiles), np.asarray(first_cycle)
        tile, row, column = (index.ravel() for index in np.indices(targets.shape))     # cells not yet in place
        for cycle in range(self.preset.cycles):
            draws = normal((first_cycle[tile] + cycle, row, column, 0), (seed, tiles[tile])) / 65536
            cell = (tile, row, column)
            reached[cell] = np.maximum(targets[cell] + spread[cell] * draws, 0.0)
            cycles[cell] = cycle + 1
            out = np.abs(reached[cell] - targets[cell]) > self.preset.tolerance_us
            tile, row, column = tile[out], row[out], column[out]
            if not len(tile):
                break
        return reached, cycles


@dataclasses.dataclass(frozen=True)
class Fit:
    """Numbers of the preset `taox` that come from data."""

    program_us: float
    program_relative: float
    read: int


def fit_taox(path):
    """Fit the preset `taox` to `rram_taox.npz` again; a `Fit`.

    Data: Sandia National Laboratories, CrossSim (BSD-3-Clause): for each device a grid of conductances and quantiles of
    the change that one SET or RESET pulse makes there. Of the quality-filtered "medium_set":

    * ``program``: interquartile range / 1.349 of a RESET pulse's change on 10, 15 .. 80 uS, median over devices, as a
      straight line in G (least squares);
    * ``read``: the same of a SET pulse's change at the top of each device's range, where SET has saturated and what
      changes is the difference of two reads: / sqrt 2 / G, median over devices, in 1/65536. (The ends of the tables
      are extrapolated: take it as an order of magnitude.)
    """
    data = np.load(pathlib.Path(path))
    quantiles = list(data["cdf_q"])
    lower, upper = quantiles.index(0.25), quantiles.index(0.75)
    devices = data["medium_set"]
    grid_us = data["G_S"][devices] * 1e6                                                        # (devices, points)
    reset, set_ = (1e6 * (data[key][devices, upper] - data[key][devices, lower]) / 1.349
                   for key in ("dG_dec_S", "dG_inc_S"))
    points = np.arange(10.0, 81.0, 5.0)
    inside = [np.interp(points, *pair, left=np.nan, right=np.nan) for pair in zip(grid_us, reset, strict=True)]
    spread = np.array([np.median(column[np.isfinite(column)]) for column in np.transpose(inside)])
    slope, start = np.polyfit(points, spread, 1)
    relative = np.median(set_[:, -1] / np.sqrt(2) / grid_us[:, -1])
    return Fit(float(start), float(slope), round(float(relative) * 65536))


def fit_taox_pulses(path, points=16, pitch_us=10.0, places=21):
    """The tables of `golden.spec.taox_pulses` again from `rram_taox.npz`: int64 (2, points, places), in 10 nS.

    Of the "medium_set", for SET and RESET, at 0, 10 .. 150 uS: evenly spread quantiles of the change one pulse makes,
    each the median over the devices whose measured range has that conductance, in order; where none has, those of the
    nearest that some have.
    """
    data = np.load(pathlib.Path(path))
    devices, wanted = data["medium_set"], np.linspace(0, 1, places)
    tables = np.full((2, points, places), np.nan)
    for kind, key in enumerate(("dG_inc_S", "dG_dec_S")):
        for point in range(points):
            found = []
            for grid, changes in zip(data["G_S"][devices] * 1e6, data[key][devices] * 1e6, strict=True):
                if grid[0] <= point * pitch_us <= grid[-1]:
                    at = [np.interp(point * pitch_us, grid, change) for change in changes]
                    found.append(np.interp(wanted, data["cdf_q"], at))
            if found:
                tables[kind, point] = np.sort(np.median(found, axis=0))
        known = np.flatnonzero(np.isfinite(tables[kind, :, 0]))
        nearest = [known[np.abs(known - point).argmin()] for point in range(points)]
        tables[kind] = tables[kind, nearest]
    return np.rint(tables * 100).astype(np.int64)
