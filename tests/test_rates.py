import dataclasses

import pytest
from rmdlora.cosim.exercise import Exercise, TileReads
from rmdlora.cosim.measure.rates import measure_rates
from rmdlora.cosim.native import NativeLane
from rmdlora.cosim.transport import LaneFailure
from rmdlora.golden.spec.configuration import load_configuration


def test_both_lanes_are_measured_on_the_same_checked_reads():
    figures = measure_rates(load_configuration("tiny"), vectors=2, repeats=1, tuned=False)
    for name in ("cocotb_cycles_per_second", "native_cycles_per_second"):
        for checks in ("", "_unchecked"):
            assert figures[f"{name}{checks}"] > 1000 and figures[f"{name}{checks}_of_processor"] > 1000
    for lane in ("native", "cocotb"):
        assert figures[f"{lane}_dwelling_cycles_per_second"] > 1000
        assert 0.2 < figures[f"{lane}_passed"] == figures[f"{lane}_passed_unchecked"] < 0.7
    assert figures["native_untuned_cycles_per_second"] > 1000
    assert figures["native_lora_cycles_per_second"] > 1000
    assert figures["conversions"] == 2 * load_configuration("tiny").board.positions
    assert figures["configuration"] == "tiny" and figures["tile_reads"] == 2 and figures["clocks"] > 2 * 8064


@pytest.mark.soak
def test_a_tuned_chip_counts_and_reads_as_one_that_is_not():
    configuration = load_configuration("tiny")
    reads, found = TileReads(configuration, vectors=3), []
    for tuned in (False, True):
        exercise = Exercise(NativeLane(configuration, board=True, tuned=tuned), configuration, reads)
        found.append((*exercise.read_tiles()[::2], exercise.keep_lora_busy(20_000)[0], exercise.passed))
        exercise.train()
        exercise.check()
        found[-1] += (exercise.lane.cycles,)
    assert found[0] == found[1]


def test_what_a_build_is_tuned_for_reads_as_the_oracle_and_keeps_every_rule():
    configuration = load_configuration("tiny")
    exercise = Exercise(NativeLane(configuration, board=True), configuration, TileReads(configuration))
    clocks, _, converted = exercise.read_tiles()
    assert converted == 16 * configuration.board.positions and 0 < exercise.passed < clocks
    before = exercise.driver.counters()["update"]
    exercise.train()
    assert exercise.driver.counters()["update"] > before
    exercise.check()


def test_cells_that_are_not_ideal_are_read_but_not_judged():
    ideal = load_configuration("tiny")
    noisy = dataclasses.replace(ideal, device=dataclasses.replace(ideal.device, preset="taox"))
    lane = NativeLane(ideal, board=True)
    Exercise(lane, noisy, TileReads(noisy), judged=False).read_tiles()
    with pytest.raises(LaneFailure, match="must be the oracle's"):
        Exercise(lane, noisy, TileReads(noisy)).read_tiles()
