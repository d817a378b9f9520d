"""From what a cell was programmed to, to what a read sees of it: drift, and the resistance of lines and switches."""

import numpy as np
from rmdlora.golden.spec.pulses import DRIFT_WORD

from .device import normal
from .lines import SOLVERS

__all__ = ["History"]


class History:
    """Of every cell of an `array.Array`: where it was programmed to, and how long ago.

    ``start_us`` float64 (arrays, rows, columns): conductances as programmed; ``elapsed_s`` of the same shape: seconds
    at the temperature of the preset's bake since; ``born`` uint32: pulses the cell had then, which name its draw.
    What follows stands in the array's ``conductances``; where those are other than what was written there last,
    something else (a pulse at the pins) programmed the cell.
    """

    def __init__(self, array):
        self.array = array
        # zeros cost no memory until a tile is programmed
        self.start_us, self.elapsed_s = (np.zeros(array.conductances.shape) for _ in range(2))
        self.born, self.shown = np.zeros_like(array.pulses), np.zeros_like(array.conductances)

    def program(self, tiles, reached_us):
        """Cells of whole ``tiles`` now stand at ``reached_us``; the configuration's age passes."""
        device = self.array.configuration.device
        self.start_us[tiles], self.elapsed_s[tiles] = reached_us, 0.0
        self.born[tiles] = self.array.pulses[tiles]
        self.add(tiles, device.age_s, device.temperature_c)

    def pass_time(self, seconds, celsius):
        """Adopt what was programmed elsewhere, and let time pass over everything."""
        moved = self.array.conductances != self.shown
        self.start_us[moved] = self.array.conductances[moved] * self.array.configuration.device.g_lsb_us
        self.elapsed_s[moved] = 0.0
        self.born[moved] = self.array.pulses[moved]
        self.add(np.flatnonzero(self.start_us.any(axis=(1, 2))), seconds, celsius)

    def add(self, tiles, seconds, celsius):
        """Time for whole ``tiles``, and what a read sees of them then."""
        array = self.array
        law, device = array.preset.retention, array.configuration.device
        stand = self.start_us[tiles]
        if law is not None:
            self.elapsed_s[tiles] += law.equivalent_s(seconds, celsius)
            rows, columns = np.arange(array.rows)[:, None], np.arange(array.columns)
            draws = normal((self.born[tiles], rows, columns, DRIFT_WORD),
                           (device.seed, np.asarray(tiles)[:, None, None])) / 65536
            drifted = array.device.drift(stand, self.elapsed_s[tiles], draws)
            held = array.cells.stuck
            stand = drifted if held is None else np.where(held[tiles], stand, drifted)
        row_ohm = array.preset.on_resistance_ohm
        if device.lines == "row":
            seen = stand / (1 + row_ohm * 1e-6 * stand.sum(axis=2, keepdims=True))
        else:
            seen = SOLVERS[device.lines](stand, row_ohm, device.row_segment_ohm, device.column_segment_ohm,
                                         device.column_ohm)
        self.shown[tiles] = np.rint(seen / device.g_lsb_us)
        array.conductances[tiles] = self.shown[tiles]
