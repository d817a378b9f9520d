"""Error correction of stored codes: a single flipped bit is corrected, two are reported.

The code is Hsiao's (IBM J. Res. Dev. 14(4), 1970): every bit of a stored word owns a column of check bits, all columns
differ and have an odd number of ones. So one flip leaves its own column as the syndrome, and two leave an even number
of ones, which is nobody's. Check bits lie above the code they protect and have the columns with a single one; the
others share their ones out evenly, for the shortest sums. A word of zeros is correct: an empty memory reads as zeros.
"""

import functools
import itertools

from .refusal import RefusedValue

__all__ = ["check_bits", "check_columns", "decode", "encode"]


def check_bits(bits):
    """Check bits of a code of ``bits`` bits: as many as there must be columns of three ones or more."""
    if bits < 1:
        raise RefusedValue(f"bits of a protected code must be at least 1, not {bits}")
    count = 1
    while (1 << (count - 1)) - count < bits:
        count += 1
    return count


@functools.cache
def check_columns(bits):
    """The column of each of the code's ``bits`` bits, an integer of `check_bits` bits each."""
    count = check_bits(bits)
    left = [ones for weight in range(3, count + 1, 2) for ones in itertools.combinations(range(count), weight)]
    load = [0] * count
    columns = []
    for _ in range(bits):
        least = len(left[0])
        best = min((ones for ones in left if len(ones) == least), key=lambda ones: sum(load[row] for row in ones))
        left.remove(best)
        for row in best:
            load[row] += 1
        columns.append(sum(1 << row for row in best))
    return tuple(columns)


def check_of(code, bits):
    """The check bits of ``code`` (non-negative, ``bits`` bits)."""
    check = 0
    for bit, column in enumerate(check_columns(bits)):
        if code >> bit & 1:
            check ^= column
    return check


def encode(code, bits):
    """The stored word of ``code``, any integer: its low ``bits`` bits count."""
    code &= (1 << bits) - 1
    return check_of(code, bits) << bits | code


def decode(word, bits):
    """``(code, corrected, uncorrectable)`` of a stored word; the code non-negative, as stored if uncorrectable."""
    code = word & (1 << bits) - 1
    syndrome = check_of(code, bits) ^ word >> bits
    columns = check_columns(bits)
    if syndrome in columns:
        return code ^ 1 << columns.index(syndrome), True, False
    return code, syndrome.bit_count() == 1, syndrome.bit_count() > 1
