"""The places where bits are lost, against exact rationals; formats and their widths."""

from fractions import Fraction

import pytest
from rmdlora.golden.spec.formats import (
    Format,
    Formats,
    count_bits,
    lane_seed,
    requantise,
    round_shift,
    saturate,
    stochastic_shift,
    xorshift32,
)
from rmdlora.golden.spec.refusal import Refusal, RefusedType, RefusedValue, need_integer


@pytest.mark.parametrize("shift", [0, 1, 2, 3, 5, 8, 47])
def test_rounding_is_to_nearest_with_ties_to_even(shift):
    values = [*range(-600, 601), *(sign * ((odd << shift) // 2 + near) for sign in (-1, 1) for odd in range(8)
                                   for near in (-1, 0, 1))]
    for value in values:
        assert round_shift(value, shift) == round(Fraction(value, 2**shift))


@pytest.mark.parametrize("shift", [0, 1, 4, 31])
def test_the_stochastic_shift_is_unbiased_over_all_draws(shift):
    for value in (-17, -16, -1, 0, 1, 5, 1 << 40):
        assert stochastic_shift(value, shift, 0) == value >> shift
        assert stochastic_shift(value, shift, 0xFFFFFFFF) == -(-value >> shift)
        if shift < 5:
            assert sum(stochastic_shift(value, shift, draw) for draw in range(2**shift)) == value


def test_saturation_clamps_to_the_ends():
    assert [saturate(value, 8) for value in (-129, -128, 0, 127, 128)] == [-128, -128, 0, 127, 127]
    assert requantise(255, 1, 8) == 127 and requantise(-257, 1, 8) == -128


def test_the_generator_is_marsaglias_and_never_0():
    state, seen = 1, set()
    for _ in range(5000):
        state = xorshift32(state)
        seen.add(state)
    assert len(seen) == 5000 and 0 not in seen
    assert xorshift32(1) == 270369 and xorshift32(2463534242) == 723471715   # the second: in Marsaglia's paper
    assert lane_seed(0x61C88647, 0) == 1 and lane_seed(0, 0) == 0x9E3779B9


def test_a_sum_of_so_many_codes_fits_its_width():
    for formats in (Formats(), Formats(16, 18, 18, 18, 24, 36, 40), Formats(4, 8, 8, 8, 8, 16, 24)):
        for terms in (1, 2, 3, 4096, 65535):
            width = Format(formats.reduction(terms))
            largest = max(formats.rank_operand, formats.row_operand)
            assert terms * (1 << (formats.rank_operand - 1 + formats.row_operand - 1)) - 1 <= width.high, largest
    assert [count_bits(count) for count in (1, 2, 3, 4, 5)] == [0, 1, 2, 2, 3]


@pytest.mark.parametrize(("key", "low", "high"), [
    ("activation", 4, 16), ("adapter", 8, 18), ("intermediate", 8, 18), ("gradient", 8, 18), ("output", 8, 24),
    ("state", 16, 36), ("sum", 24, 40)])
def test_widths_outside_the_contracts_range_are_refused(key, low, high):
    for bits in (low, high):
        assert Formats(**{key: bits}).of(key).bits == bits
    for bits in (low - 1, high + 1):
        with pytest.raises(RefusedValue, match=f"formats.{key} must be an integer of {low}..{high}, not {bits}"):
            Formats(**{key: bits})


def test_refusals_name_the_kind_and_the_value():
    for given in (True, 1.0, "1", None):
        with pytest.raises(RefusedType, match=r"thing must be an integer of 0..3, not"):
            need_integer("thing", given, 0, 3)
    with pytest.raises(RefusedValue, match="thing must be an integer of at least 1, not 0"):
        need_integer("thing", 0, 1, None)
    assert issubclass(RefusedType, Refusal) and issubclass(RefusedValue, Refusal)
