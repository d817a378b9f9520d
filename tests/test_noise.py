"""The definition of the array's random numbers (golden/spec/noise.py)."""

import math

import pytest
from rmdlora.golden.spec.noise import cell_sigma, normal, philox4x32, read_noise
from rmdlora.golden.spec.normal_table import TABLE, compute_table
from rmdlora.golden.spec.presets import PRESETS

# Random123's own known answers (kat_vectors, philox4x32 10): counter, key, block
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


@pytest.mark.parametrize("counter, key, block", KNOWN)
def test_philox_gives_the_published_known_answers(counter, key, block):
    assert philox4x32(counter, key) == block


def test_the_committed_normal_table_is_what_its_recipe_makes():
    assert compute_table() == TABLE
    assert list(TABLE) == sorted(TABLE)


def test_normal_numbers_have_the_stated_mean_spread_and_tails():
    draws = [normal(philox4x32((event, 0, 0, 0), (7, 3))) / 65536 for event in range(4000)]
    mean = math.fsum(draws) / len(draws)
    spread = math.sqrt(math.fsum((draw - mean) ** 2 for draw in draws) / len(draws))
    beyond = sum(abs(draw) > 1.96 for draw in draws) / len(draws)
    assert abs(mean) < 4 / math.sqrt(len(draws))
    assert abs(spread - 1) < 4 / math.sqrt(2 * len(draws))
    assert abs(beyond - 0.05) < 4 * math.sqrt(0.05 * 0.95 / len(draws))


def test_read_noise_is_rounded_once_and_scales_with_the_root_of_the_variance():
    assert cell_sigma(4500, 164) == 11              # 11.26
    assert read_noise(65536, 120 ** 2) == 120
    assert read_noise(-65536, 121 ** 2 - 1) == -120
    assert read_noise(98304, 1) == 2                # 1.5, a tie, to even
    assert read_noise(32768, 1) == 0


def test_the_ideal_preset_is_silent():
    ideal = PRESETS["ideal"]
    assert (ideal.read, ideal.floor, ideal.program_us, ideal.program_relative, ideal.on_resistance_ohm) == (0,) * 5
    assert PRESETS["taox"].noise_floor(21475, 32) == 35_747 * 2 ** 32 // (21475 * 65536)
