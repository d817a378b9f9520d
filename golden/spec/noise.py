"""Random numbers of the array: who draws which, so that every program draws the same, in whatever order it reads.

Generator: Philox4x32-10 (Salmon et al., SC 2011), key ``(seed, tile)``, counter ``(event, row, column, 0)``. The four
words of a block give one normal number `normal`, of standard deviation 2**16, through the table of `normal_table`.

    read        event   how often the tile (array index) was read since it was configured: the first read is 0. All ADC
                        positions of one vector's read share the event; each bit plane of a streamed read is an event
                row     `READ_ROW`: a read draws one number a column, for all its cells together
                column  the tile's column
    stages      event   0 their resistance, 1 their offset (cosim/stages.py), for tile 0
                row     `STAGE_ROW`
                column  the stage's column
    programming event   how many programming cycles the tile had before; row and column are the cell's

Noise of a read. A cell's conductance fluctuates by ``sigma`` (in g_lsb), the stage and the ADC by ``floor`` (in units
of the current sum); being independent, they add up in a column to one normal number of variance

    variance[j] = sum_i (V[i] * sigma[i,j])**2 + floor**2          sigma[i,j] = round_shift(G[i,j] * read, 16)
    noise[j]    = round_shift(normal * isqrt(variance[j]), 16)     isqrt: largest integer whose square is not above

where ``read`` and ``floor`` come from the device's preset (`presets.Preset`). No noise is the case read = floor = 0.
"""

import math

from .formats import round_shift
from .normal_table import TABLE

__all__ = ["NORMAL_SHIFT", "READ_ROW", "STAGE_ROW", "cell_sigma", "normal", "philox4x32", "read_noise"]

READ_ROW = 0xFFFFFFFF
STAGE_ROW = 0xFFFFFFFE
NORMAL_SHIFT = 16           # `normal` has a standard deviation of 2**16
ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
MASK = 0xFFFFFFFF


def philox4x32(counter, key):
    """The block of four 32-bit words of Philox4x32-10 for a ``counter`` of four words and a ``key`` of two."""
    a, b, c, d = counter
    low, high = key
    for _ in range(ROUNDS):
        first, second = MULTIPLIERS[0] * a, MULTIPLIERS[1] * c
        a, b, c, d = (second >> 32) ^ b ^ low, second & MASK, (first >> 32) ^ d ^ high, first & MASK
        low, high = (low + WEYL[0]) & MASK, (high + WEYL[1]) & MASK
    return a, b, c, d


def normal(words):
    """A normal number of standard deviation 2**16 from four words.

    Each word gives ``TABLE[bits 30..22]``, negative where bit 31 is set; the number is their sum.
    """
    return sum(-TABLE[word >> 22 & 511] if word >> 31 else TABLE[word >> 22 & 511] for word in words)


def cell_sigma(conductance, read):
    """Standard deviation of one cell's conductance in a read, in g_lsb."""
    return round_shift(conductance * read, 16)


def read_noise(draw, variance):
    """Noise of a column in units of the current sum: a `normal` number scaled to ``variance``."""
    return round_shift(draw * math.isqrt(variance), NORMAL_SHIFT)
