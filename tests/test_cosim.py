import numpy as np
import pytest
from loopback import loopback_design
from rmdlora.cosim.cocotb_lane import BenchFailure, run_bench

GIVEN = {"count": 40, "stall": 0.3, "patient": False, "limit": 2000}
FLAWED = GIVEN | {"count": 300, "limit": 9000, "flaw": 1}


@pytest.fixture(scope="module")
def design():
    return loopback_design()


@pytest.mark.parametrize(("stall", "patient"), [(0, False), (0.4, False), (0, True)])
def test_every_beat_arrives_once_in_order_at_the_pins(design, tmp_path, stall, patient):
    noted = run_bench(design, "loopback_bench", tmp_path, GIVEN | {"stall": stall, "patient": patient}, seed=5)
    assert "read of 0x80 met SLVERR" in noted["refused"]
    assert np.flatnonzero(noted["lasts"]).tolist() == [39]
    [[first, last]] = noted["intervals"]
    assert noted["running"] == last - first + 1 and last == noted["clocks"][-1]
    if not stall:
        assert np.all(np.diff(noted["clocks"]) == 1) and noted["clocks"][0] == noted["taken"][0] + 1


def test_a_difference_fails_the_bench_and_names_code_index_clock_and_seed(design, tmp_path):
    with pytest.raises(BenchFailure, match=r"y\[\d+, 2\] must be (\d+), not \d+ at clock \d+ \(.*\) \(seed 7\)"):
        run_bench(design, "loopback_bench", tmp_path, FLAWED, seed=7)


def test_a_difference_fails_the_bench_whoever_calls(design, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    with pytest.raises(BenchFailure, match="must be"):
        run_bench(design, "loopback_bench", tmp_path, FLAWED, seed=7)


def test_a_bench_that_hangs_fails_at_its_limit(design, tmp_path):
    with pytest.raises(BenchFailure, match=r"must come to rest within 10 clocks, not be stuck: .*y moved"):
        run_bench(design, "loopback_bench", tmp_path, GIVEN | {"limit": 10})


def test_a_bench_without_tests_fails(design, tmp_path):
    with pytest.raises(BenchFailure):
        run_bench(design, "empty_bench", tmp_path)
