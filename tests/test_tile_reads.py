"""Tiles read at the pins, a voltage an input and plane by plane: the short part of `cosim.tile_reads`."""

import dataclasses

import numpy as np
import pytest
from rmdlora.cosim.cocotb_lane import describe_configuration, run_bench
from rmdlora.cosim.system import system_design
from rmdlora.cosim.tile_reads import READINGS, TileReads, draw_read, open_reads, readable, run_reads
from rmdlora.gen.driver import Driver, Layer
from rmdlora.golden.read import read_layer
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import RefusedValue

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


def test_a_noisy_device_gives_the_same_codes_in_the_oracle_and_in_both_lanes(reads, tmp_path):
    configuration = readable(TINY, reads.configuration.crossbar.reading, "taox")
    lane = reads.driver.transport
    lane.reset()
    noisy, seed, codes = TileReads(configuration, lane, lane.library), 7, []
    count = 1 if configuration.passes else 2
    for index in range(count):
        y, wanted = noisy.read(draw_read(configuration, np.random.default_rng((seed, index)), count))
        assert np.array_equal(y, wanted)
        codes.append(y.tolist())
    given = {"configuration": describe_configuration(configuration), "reads": count, "vectors": count}
    noted = run_bench(system_design(configuration), "rmdlora.cosim.benches.reads_bench", tmp_path / "run", given, seed)
    assert noted["y"] == codes
    first = draw_read(configuration, np.random.default_rng((seed, 0)), count)
    silent = read_layer(first.cells, first.x, first.outputs, configuration, high=first.high)
    assert not np.array_equal(codes[0], silent), "noise that changes no code proves nothing"


def test_activations_the_planes_cannot_present_are_refused_before_anything_runs(reads):
    configuration = reads.configuration
    if not configuration.passes:
        pytest.skip("a voltage read presents every activation")
    narrow = dataclasses.replace(configuration, crossbar=dataclasses.replace(configuration.crossbar, planes=3))
    driver = Driver(reads.driver.transport, narrow)
    with pytest.raises(RefusedValue, match=r"x must be -4\.\.3 for a read in 3 planes \(twos\), not 4"):
        driver.forward(Layer(8, 4, 1, active=0), np.full((1, 8), 4), crossbar=True)
