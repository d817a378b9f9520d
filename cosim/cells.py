"""What each cell of an array is: how far it can be driven, how strongly a pulse moves it, and whether it is stuck.

Drawn once, by the configuration's seed, from `golden.spec.noise`'s generator, so that every program has the same cells.
"""

import csv
import dataclasses
import pathlib

import numpy as np
from rmdlora.golden.spec.noise import NORMAL_SHIFT
from rmdlora.golden.spec.pulses import CELL_WORD, WHOLE
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue

from .device import normal, philox4x32

__all__ = ["Cells", "draw_cells", "read_stuck"]

LIMIT, STRENGTH, STUCK = range(3)       # events of the draws
CHUNK = 256                             # arrays drawn at a time
WEAKEST, STRONGEST = WHOLE // 16, 8 * WHOLE


@dataclasses.dataclass(frozen=True)
class Cells:
    """``low``, ``high`` (in g_lsb) and ``strength`` (in 1/65536) of each cell, int32 (arrays, rows, columns), as
    `golden.spec.pulses` has them; each None where all cells are alike. ``stuck`` bool of the same shape, or None."""

    low: np.ndarray | None = None
    high: np.ndarray | None = None
    strength: np.ndarray | None = None
    stuck: np.ndarray | None = None


def draw_cells(configuration, preset, model, shape, stuck=None):
    """The `Cells` of an array of ``shape`` (arrays, rows, columns).

    Parameters: ``preset`` (`golden.spec.presets.Preset`) and ``model`` (`golden.spec.pulses.PulseModel`), whose
    spreads and ceiling hold where the configuration's [device] says nothing else; ``stuck``: conductances in uS of
    cells that are stuck, NaN elsewhere (by default `read_stuck` of ``device.stuck_map``, where one is named). Cells
    of the map come before the shares ``stuck_low`` and ``stuck_high``. A cell stuck low stands at 0, one stuck high
    at its own highest conductance.
    """
    device = configuration.device
    limit = preset.limit_spread if device.limit_spread < 0 else device.limit_spread
    strength = preset.strength_spread if device.strength_spread < 0 else device.strength_spread
    if stuck is None and device.stuck_map:
        stuck = read_stuck(device.stuck_map, shape)
    places = (np.arange(shape[1])[:, None], np.arange(shape[2]))

    def drawn(number, event):
        """``number`` (counter, key) of every cell, some arrays at a time: the generator needs ten times the memory."""
        for first in range(0, shape[0], CHUNK):
            arrays = slice(first, min(first + CHUNK, shape[0]))
            key = (device.seed, np.arange(arrays.start, arrays.stop)[:, None, None])
            yield arrays, number((event, *places, CELL_WORD), key)

    def spread_around(centre, share, event, least, most):
        values = np.empty(shape, np.int32)
        for arrays, draws in drawn(normal, event):
            values[arrays] = np.clip(centre + (draws * round(share * centre) >> NORMAL_SHIFT), least, most)
        return values

    strengths = spread_around(WHOLE, strength, STRENGTH, WEAKEST, STRONGEST) if strength else None
    shares = device.stuck_low + device.stuck_high
    if not limit and not shares and stuck is None:
        return Cells(strength=strengths)
    high = spread_around(model.ceiling, limit, LIMIT, 1, 1 << 20) if limit else np.full(shape, model.ceiling, np.int32)
    low, held = np.zeros(shape, np.int32), np.zeros(shape, bool)
    if shares:
        for arrays, words in drawn(philox4x32, STUCK):
            place = words[0] / 2 ** 32
            at_low, at_high = place < device.stuck_low, place >= 1 - device.stuck_high
            high[arrays][at_low] = 0
            low[arrays][at_high] = high[arrays][at_high]
            held[arrays] |= at_low | at_high
    if stuck is not None:
        stuck = np.asarray(stuck, dtype=np.float64)
        if stuck.shape != shape:
            raise RefusedValue(f"stuck must be of shape {shape}, not {stuck.shape}")
        named = np.isfinite(stuck)
        if (stuck[named] < 0).any():
            raise RefusedValue(f"stuck must be conductances of at least 0 uS, not {stuck[named].min():g}")
        low[named] = high[named] = np.rint(stuck[named] / device.g_lsb_us)
        held |= named
    return Cells(low, high, strengths, held if held.any() else None)


def read_stuck(path, shape):
    """Stuck cells of a CSV file with lines ``array, row, column, conductance in uS`` (# begins a comment): float64 of
    ``shape``, NaN where a cell is not named. Refused, line by line, where it is not that."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise RefusedValue(f"device.stuck_map must be a CSV file, not {str(path)!r}")
    stuck = np.full(shape, np.nan)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = next(csv.reader([line.partition("#")[0]], skipinitialspace=True), [])
        if not "".join(words).strip():
            continue
        where = f"{path}, line {number}"
        try:
            *place, conductance = (*map(int, words[:3]), float(words[3]))
        except (ValueError, IndexError):
            raise RefusedType(f"{where} must be array, row, column, conductance in uS, not {line!r}") from None
        if len(words) != 4 or not all(0 <= index < size for index, size in zip(place, shape, strict=True)):
            raise RefusedValue(f"{where} must name a cell of {shape}, not {line!r}")
        stuck[tuple(place)] = conductance
    return stuck
