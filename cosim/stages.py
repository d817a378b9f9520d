"""The transimpedance stages as they are: each column's own gain and offset, drawn once by the configuration's seed.

A stage's feedback is Rf and, in series, the on-resistance of the SL switch that closes it; so a column's current counts
``1 + R / Rf`` times, more in the low gain range (2 kOhm) than in the high one (40 kOhm). Its offset, the ADC's with it,
is the same code in both. All tiles share the stages. To a read both are integers that add to the current sum, as noise
does (contract, section 5):

    I[j] + round_shift(I[j] * slope[j], 16) + offset[j]
"""

import dataclasses

import numpy as np
from rmdlora.golden.spec.noise import NORMAL_SHIFT, STAGE_ROW

from .device import normal

__all__ = ["Stages", "draw_stages"]

FEEDBACK_OHM = (2_000, 40_000)      # low and high gain range
RESISTANCE, OFFSET = range(2)       # events of the draws


@dataclasses.dataclass(frozen=True)
class Stages:
    """``slope`` int32 and ``offset`` int64, both (2, columns): low range, high range; in 1/65536 and in units of the
    current sum."""

    slope: np.ndarray
    offset: np.ndarray

    def error(self, current, high):
        """What the stages add to ``current`` int64 (..., columns); ``high`` (columns,): which are in their high range.
        """
        slope, offset = (np.where(high, part[1], part[0]).astype(np.int64) for part in (self.slope, self.offset))
        product = current * slope
        half = (1 << NORMAL_SHIFT - 1) - 1
        return (product + half + (product >> NORMAL_SHIFT & 1) >> NORMAL_SHIFT) + offset


def draw_stages(configuration, columns):
    """The `Stages` of a board of ``columns`` columns, or None where all are as they should be."""
    board, crossbar = configuration.board, configuration.crossbar
    if not (board.feedback_ohm or board.feedback_spread_ohm or board.offset_codes):
        return None
    places, key = (STAGE_ROW, np.arange(columns), 0), (configuration.device.seed, 0)
    ohm, codes = (normal((event, *places), key) / (1 << NORMAL_SHIFT) for event in (RESISTANCE, OFFSET))
    ohm = np.maximum(board.feedback_ohm + board.feedback_spread_ohm * ohm, 0.0)
    ranges = ((crossbar.num, crossbar.shift), (crossbar.verify_num, crossbar.verify_shift))
    return Stages(np.array([np.rint(ohm / whole * (1 << NORMAL_SHIFT)) for whole in FEEDBACK_OHM], dtype=np.int32),
                  np.array([np.rint(board.offset_codes * codes * 2.0**shift / num) for num, shift in ranges],
                           dtype=np.int64))
