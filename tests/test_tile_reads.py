"""Tiles read at the pins, a voltage an input and plane by plane: the short part of `cosim.tile_reads`."""

import pytest
from rmdlora.cosim.tile_reads import READINGS, open_reads, readable, run_reads
from rmdlora.golden.spec.configuration import load_configuration

TINY = load_configuration("tiny")


@pytest.fixture(scope="module", params=READINGS)
def reads(request):
    return open_reads(readable(TINY, request.param))


def test_random_tile_reads_at_the_pins_are_the_contracts_integers(reads):
    found, met = run_reads(reads, 8 if reads.configuration.passes else 40, seed=1)
    assert found is None
    saturated = ["saturated high", *(["saturated low"] if not reads.configuration.passes else [])]
    assert all(met[word] > 0 for word in (*saturated, "sums above 0", "sums below 0", "sums of 0")), met


def test_a_difference_is_found_and_named(reads):
    oracle = reads.oracle
    reads.oracle = lambda *arguments: oracle(*arguments) + 1
    try:
        assert run_reads(reads, 1, seed=1)[0].startswith("read 0: y[0, 0] is ")
    finally:
        reads.oracle = oracle
