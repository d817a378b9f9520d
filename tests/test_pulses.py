"""What a pulse does to a cell, and how many it takes to program one."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest
from rmdlora.cosim.array import Array
from rmdlora.cosim.fit import fit_taox_pulses
from rmdlora.cosim.programmer import map_codes, program_tile
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.program import Amplitude, CellStatus, Schedule, pack_cell, verify_code
from rmdlora.golden.spec.pulses import PULSE_MODELS, PulseModel, pulsed
from rmdlora.golden.spec.refusal import Refusal
from rmdlora.golden.spec.taox_pulses import PITCH, TABLES

DATA = pathlib.Path(os.environ.get("RMDLORA_DATA", pathlib.Path(__file__).parents[1] / "../shared/data"))
DEFAULT = load_configuration("default")


def never():
    raise AssertionError("an ideal device draws no random number")


def test_an_ideal_cell_moves_in_proportion_to_voltage_and_time_and_keeps_to_its_range():
    model = PULSE_MODELS["ideal"]
    step = {(over, ticks): pulsed(model, 5000, model.set_threshold + over, 60_000, ticks, 0, never) - 5000
            for over in (655, 1310) for ticks in (200, 400)}
    assert step[655, 200] == 100                                # 1 uS for 50 mV in 2 us
    assert step[1310, 200] == step[655, 400] == 200 and step[1310, 400] == 400
    assert pulsed(model, 5000, -(model.reset_threshold + 655), 60_000, 200, 0, never) == 4900
    for volt, gate in ((model.set_threshold, 60_000), (-model.reset_threshold, 60_000), (40_000, model.gate_threshold),
                       (0, 60_000)):
        assert pulsed(model, 5000, volt, gate, 200, 0, never) == 5000
    assert pulsed(model, 14_990, 60_000, 60_000, 2000, 0, never) == model.ceiling
    assert pulsed(model, 10, -60_000, 60_000, 2000, 0, never) == 0
    assert pulsed(model, 5000, 20_000, model.gate_threshold + 655, 200, 0, never) == 5100     # the gate limits it


def test_a_worn_cell_no_longer_moves():
    model = PulseModel(endurance=3)
    assert pulsed(model, 5000, 20_000, 60_000, 200, 2, never) > 5000
    assert pulsed(model, 5000, 20_000, 60_000, 200, 3, never) == 5000


def test_the_measured_tables_are_in_order():
    assert PITCH == 1000 and [len(table) for table in TABLES] == [16, 16]
    assert all(list(row) == sorted(row) and len(row) == 21 for table in TABLES for row in table)


@pytest.mark.skipif(not (DATA / "rram_taox.npz").is_file(), reason="rram_taox.npz is not in RMDLORA_DATA")
def test_the_measured_tables_are_those_of_the_data():
    assert fit_taox_pulses(DATA).tolist() == [[list(row) for row in table] for table in TABLES]


@pytest.mark.parametrize("tolerance_us, low, high", [(2, 20, 31), (1, 42, 62)])
def test_the_papers_cells_take_tens_of_cycles_for_two_microsiemens_and_about_fifty_for_one(tolerance_us, low, high):
    configuration = dataclasses.replace(DEFAULT, device=dataclasses.replace(DEFAULT.device, preset="paper", seed=3))
    array = Array(configuration)
    generator = np.random.default_rng(1)
    targets = generator.integers(1000, 8001, (32, 32))
    skip = generator.random((32, 32)) < 0.6
    done = program_tile(array, 0, map_codes(targets, configuration), verify_code(100 * tolerance_us, configuration),
                        Schedule(limit=2000), skip)
    assert (done.status[~skip] == CellStatus.VERIFIED).all()
    assert low < done.pulses[~skip].mean() < high
    assert np.abs(array.conductances[0] - targets)[~skip].max() < 100 * tolerance_us + 10
    assert np.array_equal(array.pulses[0], done.pulses) and not done.pulses[skip].any()


def test_what_makes_no_sense_is_refused():
    with pytest.raises(Refusal, match=r"start of a pulse must be at most its most \(10\), not 11"):
        Amplitude(11, 1, 10, 0)
    with pytest.raises(Refusal, match=r"limit of a schedule must be an integer of 0\.\.65535, not -1"):
        Schedule(limit=-1)
    with pytest.raises(Refusal, match=r"target code must be an integer of 0\.\.8191, not 8192"):
        pack_cell(8192, 0)
    with pytest.raises(Refusal, match=r"board\.shortest_pulse_ticks must be at least connect_ticks"):
        dataclasses.replace(DEFAULT.board, shortest_pulse_ticks=81)
