"""Vector files through the simulated Verilog: equal to the oracle in every number, unequal where a line is broken."""

import dataclasses
import re

import numpy as np
import pytest
from rmdlora.cosim import cli, generated, mutation
from rmdlora.cosim.compare import compare
from rmdlora.cosim.rtl import native_lane, run_rtl
from rmdlora.cosim.run import run_golden
from rmdlora.cosim.soak import Tally, soak
from rmdlora.gen.verilog import verilog_text
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.vectors import check_vectors

TINY = load_configuration("tiny")


@pytest.fixture(scope="module")
def lane():
    """The chip of the tiny configuration in the native lane."""
    return native_lane(TINY)


@pytest.fixture
def training(tmp_path):
    """The path of a small training file in which every adder of the datapath matters, and its `Vectors`."""
    random = np.random.default_rng(8)
    arrays = {"x": random.integers(-128, 128, (5, 9)), "a": random.integers(-999, 999, (3, 9)),
              "b": random.integers(-999, 999, (7, 3)), "g": random.integers(-99, 99, (5, 7)),
              "c": random.integers(-999, 999, (5, 7)), "gain": random.integers(1, 9, 7),
              "p_shift": np.array(4), "u_shift": np.array(10), "q_shift": np.array(5), "dx_shift": np.array(10),
              "batch": np.array(2), "lra_shift": np.array(12), "lrb_shift": np.array(12)}
    np.savez(tmp_path / "vectors.npz", **arrays)
    return tmp_path / "vectors.npz", check_vectors(arrays, TINY)


def test_random_files_agree_in_every_number_and_every_cycle(lane):
    tally = Tally(TINY.lora.rows)
    found = soak(TINY, 25, 3, lane=lane, report=tally.add)
    assert found is None, f"file {found[0]}: {found[2][0]}"
    assert tally.ones >= 1 and tally.numbers > 25 * 5
    assert all(seen == {0, 1} for seen in tally.remainders.values())


def test_a_training_run_of_a_thousand_updates_replays_bit_for_bit(lane):
    tally = Tally(TINY.lora.rows)
    found = soak(TINY, 1, 3, first=99, lane=lane, report=tally.add)
    assert found is None, f"{found[2][0]}"
    assert tally.trained == 1 and tally.updates == 1000


def test_a_difference_names_array_index_values_and_the_clock_it_left_at(lane, training):
    _, vectors = training
    rtl = run_rtl(vectors, TINY, lane)
    assert compare(run_golden(vectors, TINY), rtl) == []
    assert rtl.clocks["y"].shape == rtl.arrays["y"].shape and rtl.clocks["dx"].shape == rtl.arrays["dx"].shape
    assert rtl.clocks["y"].max() < rtl.clocks["dx"].max() < rtl.clocks["a"] < lane.cycles
    changed = vectors.x.copy()
    changed[3, 0] ^= 64
    other = compare(run_golden(dataclasses.replace(vectors, x=changed), TINY), rtl)[0]
    assert other.array == "y" and other.index[0] == 3 and other.clock == rtl.clocks["y"][other.index]
    assert other.rtl == rtl.arrays["y"][other.index] != other.golden


def test_the_same_file_gives_the_same_outcome_after_another(lane, training):
    first = run_rtl(training[1], TINY, lane)
    soak(TINY, 2, 11, lane=lane)
    again = run_rtl(training[1], TINY, lane)
    assert all(np.array_equal(first.arrays[key], again.arrays[key]) for key in first.arrays)
    assert np.array_equal(first.clocks["y"], again.clocks["y"])


def test_the_command_compares_both_and_writes_what_the_rtl_gave(training, tmp_path, capsys):
    path, vectors = training
    out = tmp_path / "out.npz"
    words = ["run", str(path), "--config", "tiny", "--backend", "rtl", "--compare", "--out", str(out)]
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("rtl: 5 vectors") and "agreed: golden and rtl" in shown
    golden = run_golden(vectors, TINY).arrays
    with np.load(out) as archive:
        assert set(archive.files) == set(golden) - {"p", "q"}
        for key in archive.files:
            assert archive[key].dtype == np.int64 and np.array_equal(archive[key], golden[key])


def test_broken_lines_are_found_by_array_index_and_clock(training, capsys, monkeypatch):
    text = verilog_text(TINY)
    counter = next(number for number in mutation.adder_lines(text, ".counters")
                   if "forward" in text.splitlines()[number - 1])
    # the cycle counter is broken beforehand: one build shows both
    monkeypatch.setattr(generated, "verilog_text", lambda _: mutation.break_adder(text, counter))
    line = mutation.adder_lines(text, ".lora.rank_sums")[0]
    assert cli.main(["run", str(training[0]), "--config", "tiny", "--compare", "--break", str(line)]) == 1
    differences = [shown for shown in capsys.readouterr().out.splitlines() if shown.startswith(("differs", "also"))]
    assert re.match(r"differs: y\[0, \d\] is -?\d+ from golden and -?\d+ from rtl, at clock \d+ since", differences[0])
    assert differences[-1].startswith("also: cycles_forward is ")


def test_verilog_that_cannot_be_built_is_refused_in_one_line(training, tmp_path, capsys):
    for text, words in (("module rmdlora(\n", "--verilog must be Verilog that can be built: %Error"),
                        ("module other;\nendmodule\n", "--verilog must hold module rmdlora")):
        (tmp_path / "bad.v").write_text(text)
        command = ["run", str(training[0]), "--config", "tiny", "--compare", "--verilog", str(tmp_path / "bad.v")]
        assert cli.main(command) == 2
        shown = capsys.readouterr().err
        assert words in shown and shown.count("\n") == 1
