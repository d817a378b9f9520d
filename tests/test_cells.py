"""Cells as they are: stuck, unlike each other, worn, adrift. And the numbers they came to their presets with."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest
from rmdlora.cosim.array import Array
from rmdlora.cosim.cells import read_stuck
from rmdlora.cosim.cli import main
from rmdlora.cosim.fit import baked, fit_cells_1t1r, fit_retention, fit_taox, open_data, width
from rmdlora.cosim.programmer import map_codes, program_tile
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.presets import PRESETS
from rmdlora.golden.spec.program import CellStatus, Schedule
from rmdlora.golden.spec.pulses import PULSE_MODELS, worn_range
from rmdlora.golden.spec.refusal import Refusal
from rmdlora.golden.spec.retention import RETENTION_1T1R as LAW

DEFAULT = load_configuration("default")
DATA = pathlib.Path(os.environ.get("RMDLORA_DATA", pathlib.Path(__file__).parents[1] / "../shared/data"))
needs_taox, needs_1t1r = (pytest.mark.skipif(not (DATA / name).is_file(), reason=f"{name} is not in RMDLORA_DATA")
                          for name in ("rram_taox.npz", "rram_1t1r_retention.npz"))


def array_of(arrays=4, **device):
    return Array(dataclasses.replace(DEFAULT, device=dataclasses.replace(DEFAULT.device, **device)), arrays)


# ---- stuck ----

def test_shares_of_stuck_cells_are_drawn_once_by_the_seed_and_programming_does_not_move_them():
    array, again, other = (array_of(seed=seed, stuck_low=0.02, stuck_high=0.05) for seed in (3, 3, 4))
    held, low = array.cells.stuck, array.cells.high == 0
    assert np.array_equal(held, again.cells.stuck) and not np.array_equal(held, other.cells.stuck)
    assert low.mean() == pytest.approx(0.02, abs=0.008) and (held & ~low).mean() == pytest.approx(0.05, abs=0.012)
    cycles = array.program(np.arange(4), np.full((4, 32, 32), 4500))
    assert (array.conductances[low] == 0).all() and (array.conductances[held & ~low] == 15_000).all()
    assert (array.conductances[~held] == 4500).all()
    assert (cycles[held] == array.preset.cycles).all() and (cycles[~held] == 1).all()


def test_a_map_names_stuck_cells_and_what_is_no_map_is_refused_by_its_line(tmp_path):
    path = tmp_path / "stuck.csv"
    path.write_text("# array, row, column, uS\n0, 3, 4, 0\n\n1, 31, 0, 77.5  # bright\n")
    array = array_of(2, stuck_map=str(path))
    assert np.argwhere(array.cells.stuck).tolist() == [[0, 3, 4], [1, 31, 0]]
    array.program([0, 1], np.full((2, 32, 32), 3000))
    assert array.conductances[0, 3, 4] == 0 and array.conductances[1, 31, 0] == 7750
    for text, words in (("0, 1, 2\n", "line 1 must be array, row, column, conductance"),
                        ("\n0, 32, 0, 1\n", r"line 2 must name a cell of \(2, 32, 32\)"),
                        ("a, b, c, d\n", "line 1 must be array")):
        path.write_text(text)
        with pytest.raises(Refusal, match=words):
            read_stuck(path, (2, 32, 32))
    with pytest.raises(Refusal, match=r"device\.stuck_map must be a CSV file, not"):
        array_of(2, stuck_map=str(tmp_path / "none.csv"))


# ---- unlike each other ----

def test_cells_differ_in_reach_and_strength_as_the_preset_says():
    array = array_of(8, preset="taox")
    assert array.cells.high.mean() == pytest.approx(15_000, rel=0.01)
    assert array.cells.high.std() / array.cells.high.mean() == pytest.approx(0.127, rel=0.05)
    assert np.median(array.cells.strength) == pytest.approx(65536, rel=0.02)
    assert width(array.cells.strength / 65536) == pytest.approx(0.59, rel=0.05)
    alike = array_of(8, preset="taox", limit_spread=0.0, strength_spread=0.0)
    assert alike.cells.high is None and alike.cells.strength is None


# ---- worn ----

def test_the_range_narrows_with_pulses_and_a_worn_cell_stays():
    model = dataclasses.replace(PULSE_MODELS["ideal"], endurance=1000, narrowing=1 << 15)
    assert worn_range(model, 0, 15_000, 0) == (0, 15_000)
    assert worn_range(model, 0, 15_000, 500) == (1875, 13_125)
    assert worn_range(model, 0, 15_000, 1000) == (3750, 11_250)     # half of it is gone
    assert worn_range(model, 700, 700, 1000) == (700, 700)


def test_programming_uses_up_the_endurance_and_narrows_what_can_be_reached():
    array = array_of(1, endurance=100, narrowing=0.9)
    targets = np.full((1, 32, 32), 1000)
    for _ in range(60):
        array.program([0], targets)
        if array.used_endurance.max() < 0.1:
            assert (array.conductances == 1000).all()
    assert (array.conductances > 1000).all()                        # the floor has risen past the target
    assert array.used_endurance.min() > 1                           # a worn cell is still pulsed, and given up
    fresh = array_of(1, endurance=3)
    for target in (1000, 2000, 3000, 4000):
        fresh.program([0], np.full((1, 32, 32), target))
    assert (fresh.conductances == 3000).all() and (fresh.used_endurance >= 1).all()


def test_a_map_at_the_pins_tells_what_it_took_of_the_endurance():
    array = array_of(1, preset="paper", seed=5)
    codes = map_codes(np.full((32, 32), 4000), array.configuration)
    skip = np.ones((32, 32), bool)
    skip[0, :8] = False
    done = program_tile(array, 0, codes, 105, Schedule(limit=2000), skip)
    assert np.array_equal(array.used_endurance[0], done.pulses / 30_000) and array.used_endurance.max() > 0


def test_the_loop_gives_up_stuck_cells_and_no_others():
    array = array_of(1, stuck_low=0.1, stuck_high=0.1, seed=2)
    skip = np.ones((32, 32), bool)
    skip[:2] = False
    codes = map_codes(np.full((32, 32), 4500), array.configuration)
    done = program_tile(array, 0, codes, 105, Schedule(limit=100), skip)
    assert np.array_equal(done.status[:2] == CellStatus.GIVEN_UP, array.cells.stuck[0, :2])
    assert array.cells.stuck[0, :2].sum() > 5 and (done.pulses[array.cells.stuck[0] & ~skip] == 100).all()


# ---- adrift ----

def test_nothing_drifts_in_no_time_and_the_bake_gives_back_its_own_numbers():
    assert LAW.growth(0) == 0 and LAW.growth(LAW.bake_s) == 1
    assert LAW.equivalent_s(100.0, LAW.bake_c) == 100.0
    assert LAW.growth(10 * LAW.bake_s) - 1 == pytest.approx(LAW.per_decade, rel=1e-6)
    assert LAW.equivalent_s(1.0, 25.0) < 1e-5 and LAW.equivalent_s(1.0, 120.0) > 1000
    array = array_of(16, preset="1t1r", age_s=1800.0, temperature_c=80.0)
    preset = dataclasses.replace(PRESETS["1t1r"], program_us=0.0, program_relative=0.0, on_resistance_ohm=0.0)
    array = Array(array.configuration, 16, preset)
    array.program(np.arange(16), np.full((16, 32, 32), 10_000))
    moved = array.conductances / 100 - 100
    assert np.median(moved) == pytest.approx(-15.7, abs=0.5) and width(moved) == pytest.approx(16.1, rel=0.05)


def test_a_cell_moves_along_one_curve_however_the_time_is_cut():
    once, twice = (array_of(2, preset="1t1r", seed=9) for _ in range(2))
    for array in (once, twice):
        array.program([0, 1], np.full((2, 32, 32), 6000))
    before = once.conductances.copy()
    once.settle(5e6)
    for _ in range(2):
        twice.settle(2.5e6)
    assert np.array_equal(once.conductances, twice.conductances)
    assert (once.conductances != before).mean() > 0.9
    hot = once.conductances.copy()
    once.settle(3600.0, temperature_c=150.0)
    further = np.abs(once.conductances.astype(int) - before) > np.abs(hot - before.astype(int))
    assert further.mean() > 0.8


def test_a_cell_pulsed_at_the_pins_begins_anew_and_stuck_ones_do_not_drift():
    array = array_of(1, preset="1t1r", stuck_high=0.2)
    array.program([0], np.full((1, 32, 32), 6000))
    array.settle(1e7)
    held = array.cells.stuck
    assert np.array_equal(np.rint(array.history.start_us[held] * 100), array.cells.high[held])
    cell = tuple(np.argwhere(~held)[0])
    array.conductances[cell] += 500
    before = array.history.elapsed_s.copy()
    array.settle(10.0)
    assert array.history.elapsed_s[cell] < before[cell]
    others = np.ones(held.shape, bool)
    others[cell] = False
    assert (array.history.elapsed_s[others] > before[others]).all()


def test_times_a_preset_knows_nothing_of_are_refused():
    with pytest.raises(Refusal, match=r"device\.age_s must be at most 0 for preset taox \(of longer times nothing"):
        array_of(1, preset="taox", age_s=1.0)
    with pytest.raises(Refusal, match=r"device\.age_s must be at most 1e\+06 for preset paper"):
        array_of(1, preset="paper", age_s=2e6)
    with pytest.raises(Refusal, match=r"seconds must be 0\.\.0 for preset taox, not 5"):
        array_of(1, preset="taox").settle(5.0)
    with pytest.raises(Refusal, match=r"device\.stuck_low and device\.stuck_high must be at most 1 together, not 1\.5"):
        array_of(1, stuck_low=0.75, stuck_high=0.75)


# ---- where the numbers come from ----

def same(fitted, kept):
    for field, value in fitted.items():
        assert value == pytest.approx(getattr(kept, field), rel=5e-3, abs=5e-3), field


@needs_taox
def test_the_numbers_of_taox_are_what_the_data_gives():
    same(fit_taox(DATA), PRESETS["taox"])


@needs_1t1r
def test_the_numbers_of_1t1r_are_what_the_data_gives():
    same(fit_cells_1t1r(DATA), PRESETS["1t1r"])
    same(fit_retention(DATA), LAW)


@needs_1t1r
def test_after_the_bake_the_model_stands_where_the_measured_cells_do():
    before, after = baked(open_data("1t1r", DATA), "relaxation")
    draws = np.random.default_rng(1).normal(size=(64, 1024))
    model = array_of(1, preset="1t1r").device.drift(before, LAW.bake_s, draws)
    level = (np.arange(1024) + np.arange(1024) // 32) % 32
    errors = [np.median(model[:, level == index]) - np.median(after[level == index]) for index in range(32)]
    assert np.abs(errors).max() < 11 and np.sqrt(np.mean(np.square(errors))) < 4        # uS, of 250


@needs_taox
@needs_1t1r
def test_the_fit_command_finds_its_own_numbers_again(capsys, monkeypatch):
    assert main(["fit", "--data", str(DATA)]) == 0
    assert "every number is that of the package" in capsys.readouterr().out
    monkeypatch.setitem(PRESETS, "taox", dataclasses.replace(PRESETS["taox"], program_us=2.4))
    assert main(["fit", "--data", str(DATA)]) == 1
    assert "1 of the numbers differ" in capsys.readouterr().out


def test_the_fit_command_says_what_is_missing_and_where_it_is_from(tmp_path, capsys):
    assert main(["fit", "--data", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "rram_taox.npz" in said and "sandialabs/cross-sim" in said and said.count("\n") == 1


def test_data_that_is_not_there_is_asked_for_by_name(tmp_path):
    with pytest.raises(Refusal, match=r"RMDLORA_DATA must be a folder with rram_1t1r_retention\.npz \(made from"):
        open_data("1t1r", tmp_path)
