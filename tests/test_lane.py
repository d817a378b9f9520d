import dataclasses
import gc
import pathlib
import sys

import numpy as np
import pytest
from loopback import loopback_design
from loopback_map import BIAS, COUNT, ELEMENTS, MEMORY, MISSING
from rmdlora.cosim.lane import StreamLane
from rmdlora.cosim.model import build_native
from rmdlora.cosim.transport import LaneFailure
from rmdlora.cosim.verilate import BuildFailure


@pytest.fixture(scope="module")
def design():
    return loopback_design()


@pytest.fixture
def lane(design):
    return StreamLane(design, ELEMENTS)


def test_the_models_record_of_its_clock_is_found_so_that_a_quiet_clock_is_evaluated_once(design):
    described = (build_native(design, waves=False) / "model.h").read_text()
    assert "#define CLOCK_BEFORE(model)" in described and "#define RISE(model)" in described


def draw(name, count, bits):
    generator = np.random.default_rng([len(name), *name.encode()])
    return generator.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1, (count, ELEMENTS), np.int64, endpoint=True)


def echo(lane, count, name="echo"):
    """Send ``count`` beats through both pairs of streams and return what was sent and what moved."""
    x, c = draw(name + "x", count, 8), draw(name + "c", count, 64)
    lane.write(COUNT, count)
    lane.send("x", x)
    lane.expect("y", count)
    lane.send("c", c)
    lane.expect("dx", count)
    return x, c, lane.run_until_idle(20 * count + 100)


@pytest.mark.parametrize("probability", [0, 0.1, 0.7])
def test_every_beat_arrives_once_in_order_whatever_stalls(lane, probability):
    lane.stall(probability, seed=3)
    lane.write(BIAS, -5 & 0xFFFFFFFF)
    x, c, moved = echo(lane, 500)
    assert np.array_equal(moved["y"].beats, x - 5)
    assert np.array_equal(moved["dx"].beats, c)
    for stream in moved.values():
        assert np.all(np.diff(stream.clocks.astype(np.int64)) > 0)
    assert np.flatnonzero(moved["y"].lasts).tolist() == [499]


def test_without_stalls_a_beat_moves_every_clock(lane):
    _, _, moved = echo(lane, 500)
    for stream in ("x", "y", "c", "dx"):
        assert np.all(np.diff(moved[stream].clocks) == 1)
    assert moved["y"].clocks[0] == moved["x"].clocks[0] + 1


def test_running_is_counted_clock_by_clock_at_the_pin(lane):
    assert lane.intervals.tolist() == [] and lane.running_clocks == 0
    _, _, moved = echo(lane, 50)
    lane.advance(7)
    first, last = lane.intervals[0].tolist()
    assert last == moved["y"].clocks[-1]
    assert lane.running_clocks == last - first + 1
    echo(lane, 5)
    assert len(lane.intervals) == 2


def test_one_seed_gives_one_run_and_another_a_different_one(design):
    def clocks(seed):
        lane = StreamLane(design, ELEMENTS)
        lane.stall(0.5, seed)
        return echo(lane, 60)[2]["y"].clocks.tolist()

    assert clocks(1) == clocks(1) != clocks(2)


def test_a_build_tuned_for_an_exercise_does_the_same(design, lane):
    exercise = pathlib.Path(__file__).with_name("exercise_loopback.py")
    tuned = dataclasses.replace(design, exercise=(sys.executable, str(exercise)))
    log = (build_native(tuned, waves=False) / "build.log").read_text()
    assert log.index("-fprofile-generate") < log.index(exercise.name) < log.index("-fprofile-use")
    (_, _, one), (_, _, other) = echo(lane, 300), echo(StreamLane(tuned, ELEMENTS), 300)
    for stream in one:
        assert np.array_equal(one[stream].beats, other[stream].beats)
        assert np.array_equal(one[stream].clocks, other[stream].clocks)


def test_an_exercise_that_fails_fails_the_build(design):
    with pytest.raises(BuildFailure, match="ended with status 3"):
        build_native(dataclasses.replace(design, exercise=(sys.executable, "-c", "raise SystemExit(3)")), waves=False)


def test_registers_are_written_and_read_in_bulk_in_order(lane):
    words = np.random.default_rng(1).integers(0, 1 << 32, 16)
    addresses = MEMORY + 4 * np.arange(16)
    lane.write_many(addresses, words)
    assert np.array_equal(lane.read_many(addresses), words)
    lane.write(MEMORY, 0xDEADBEEF)
    assert lane.read(MEMORY) == 0xDEADBEEF


def test_registers_answer_while_streams_run(lane):
    x = draw("during", 400, 8)
    lane.write(COUNT, 400)
    lane.send("x", x)
    lane.expect("y", 400)
    for word in range(20):
        lane.write(MEMORY + 8, word)
        assert lane.read(MEMORY + 8) == word
    assert lane.library.rmd_moved(lane.harness, lane.streams["y"].index) > 50
    assert np.array_equal(lane.run_until_idle(1000)["y"].beats, x)


@pytest.mark.parametrize("access", ["read", "write"])
def test_an_error_response_is_a_failure_that_names_the_address(lane, access):
    with pytest.raises(LaneFailure, match=rf"{access} .*{MISSING:#x} met SLVERR at clock \d+"):
        lane.read(MISSING) if access == "read" else lane.write(MISSING, 1)
    lane.write(MEMORY, 1)
    assert lane.read(MEMORY) == 1


def test_a_run_that_does_not_end_fails_at_its_limit_and_says_what_is_missing(lane):
    lane.expect("y", 3)
    lane.send("x", draw("stuck", 2, 8))
    with pytest.raises(LaneFailure, match=r"within 50 clocks, not be stuck: .*y moved 2, waits for 1"):
        lane.run_until_idle(50)


def test_a_beat_that_nobody_expects_is_a_failure(lane):
    lane.send("x", draw("surplus", 3, 8))
    lane.expect("y", 2)
    with pytest.raises(LaneFailure, match="stream y must end after the beats expected, not offer one more"):
        lane.run_until_idle(50)


def test_running_until_a_pin_rises_is_bounded_too(lane):
    lane.write(COUNT, 2)
    lane.send("x", draw("irq", 2, 8))
    lane.expect("y", 2)
    lane.run_until_high("irq", 50)
    lane.write(COUNT, 1)
    with pytest.raises(LaneFailure, match="irq must rise within 50 clocks, not stay low"):
        lane.run_until_high("irq", 50)


def test_reset_forgets_beats_and_counts(lane):
    echo(lane, 10)
    lane.send("x", draw("reset", 5, 8))
    lane.reset()
    assert lane.cycles == 0 and lane.running_clocks == 0 and lane.intervals.tolist() == []
    x, _, moved = echo(lane, 10, "after")
    assert np.array_equal(moved["y"].beats, x)


def test_two_lanes_of_one_build_share_no_state(design):
    one, other = StreamLane(design, ELEMENTS), StreamLane(design, ELEMENTS)
    one.write(MEMORY, 1)
    other.write(MEMORY, 2)
    assert one.read(MEMORY) == 1
    del one
    gc.collect()
    assert other.read(MEMORY) == 2


def test_a_waveform_file_holds_the_ports_and_the_clock(design, tmp_path):
    lane = StreamLane(design, ELEMENTS, waves=tmp_path / "run.vcd")
    x, _, moved = echo(lane, 10)
    lane.close()
    assert np.array_equal(moved["y"].beats, x)
    text = (tmp_path / "run.vcd").read_text()
    assert "s_axis_x__tdata" in text and "\n#100\n" in text and "\n#105\n" in text


@pytest.mark.parametrize(("call", "text"), [
    (lambda lane: lane.send("z", [[0] * 4]), "stream must be one of c, dx, x, y, not 'z'"),
    (lambda lane: lane.send("y", [[0] * 4]), "stream must be an input to send to, not 'y'"),
    (lambda lane: lane.expect("x", 1), "stream must be an output to expect beats of, not 'x'"),
    (lambda lane: lane.send("x", [[0.0] * 4]), "beats of x must be integers, not float64"),
    (lambda lane: lane.send("x", [[0] * 3]), "beats of x must be (n, 4), not (1, 3)"),
    (lambda lane: lane.send("x", [[0, 0, 0, 128]]), "beats of x must fit 8 bits, not 0..128"),
    (lambda lane: lane.write(0, 1 << 32), "words must fit 32 bits, not 4294967296..4294967296"),
    (lambda lane: lane.stall(1, 0), "the stall probability must be at least 0 and below 1, not 1"),
    (lambda lane: lane.run_until_high("clk", 1), "port must be an output of one bit, not 'clk'"),
    (lambda lane: lane.run_until_idle(0), "the limit of a run must be an integer of at least 1, not 0"),
])
def test_what_a_lane_cannot_do_is_refused_by_name(lane, call, text):
    with pytest.raises((ValueError, TypeError)) as refused:
        call(lane)
    assert str(refused.value) == text
