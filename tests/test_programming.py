"""Programming end to end: the driver, the chip and its board in the native lane, beside the loop in numpy."""

import dataclasses

import numpy as np
import pytest
from rmdlora.cosim.board import Board, violations
from rmdlora.cosim.native import NativeLane
from rmdlora.cosim.programmer import map_codes, program_tile
from rmdlora.gen.driver import Driver, OperationFault
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.program import CellStatus, Schedule
from rmdlora.golden.spec.refusal import Refusal
from rmdlora.golden.spec.registers import Fault, register

TWO_US = 105        # codes of a verify


@pytest.fixture(scope="module")
def lane():
    return NativeLane(load_configuration("tiny"), board=True)


def set_up(lane, preset, **device):
    """``(driver, array, twin)`` on a fresh array of the preset."""
    configuration = lane.configuration
    configuration = dataclasses.replace(
        configuration, device=dataclasses.replace(configuration.device, preset=preset, seed=7, **device))
    board, twin = Board(configuration), Board(configuration)
    lane.reset()
    board.attach(lane.library)
    driver = Driver(lane, lane.configuration)
    driver.wait_board()
    return driver, board.array, twin.array


@pytest.mark.parametrize("preset, cells, analyser", [
    ("ideal", 9, False), ("paper", 3, False), ("taox", 2, False), ("taox", 2, True)])
def test_a_tile_programmed_at_the_pins_is_the_twins_cell_by_cell_and_breaks_no_rule(lane, preset, cells, analyser):
    driver, array, twin = set_up(lane, preset)
    generator = np.random.default_rng(4)
    targets = generator.integers(1000, 8001, array.conductances.shape[1:])
    codes, skip = map_codes(targets, lane.configuration), np.ones(targets.shape, dtype=bool)
    skip.flat[generator.choice(skip.size, cells, replace=False)] = False
    schedule = Schedule(analyser=analyser, limit=60)
    tile_before = [driver.tile_pulses(tile) for tile in (4, 5)]     # no reset clears them
    for again in range(2):
        before, counted = lane.cycles, driver.counters()
        pulses, status = driver.program_tile(5, codes, TWO_US, schedule, skip)
        done = program_tile(twin, 5, codes, TWO_US, schedule, skip)
        assert np.array_equal(pulses, done.pulses) and np.array_equal(status, done.status)
        for name in ("conductances", "pulses", "events"):
            assert np.array_equal(getattr(array, name), getattr(twin, name)), name
        counters = driver.counters()
        assert counters["pulses"] - counted["pulses"] == pulses.sum()
        assert counters["verifies"] - counted["verifies"] == done.verifies
        assert counters["given_up"] - counted["given_up"] == (status == CellStatus.GIVEN_UP).sum()
        assert analyser or done.cycles < lane.cycles - before < done.cycles + 30_000    # the host's own clocks beside
        if again:
            assert not pulses[status == CellStatus.VERIFIED].any() or preset != "ideal"
        else:
            assert pulses.sum() > cells
    assert driver.counters()["pulses"] == array.pulses.sum()
    assert [driver.tile_pulses(tile) for tile in (4, 5)] == [tile_before[0], tile_before[1] + array.pulses.sum()]
    verified = np.abs(array.conductances[5] - targets)[status == CellStatus.VERIFIED]
    assert len(verified) and verified.max() <= 203      # 105 codes are 199.97 g_lsb; the ADC's noise beside
    assert violations(lane.library) == (0, [])


def test_stuck_cells_end_in_the_give_up_list_of_the_chip_and_worn_and_unlike_ones_where_the_twin_has_them(lane):
    rough = {"stuck_low": 0.15, "stuck_high": 0.15, "limit_spread": 0.2, "strength_spread": 0.5, "narrowing": 0.3,
             "endurance": 300}
    driver, array, twin = set_up(lane, "ideal", **rough)
    for cells in (array, twin):
        cells.pulses[2] = 100       # it has seen use
    codes = map_codes(np.full(array.conductances.shape[1:], 4500), lane.configuration)
    skip = np.ones(codes.shape, dtype=bool)
    skip[0, :10] = False
    schedule = Schedule(limit=20)
    pulses, status = driver.program_tile(2, codes, TWO_US, schedule, skip)
    done = program_tile(twin, 2, codes, TWO_US, schedule, skip)
    assert np.array_equal(pulses, done.pulses) and np.array_equal(status, done.status)
    for name in ("conductances", "pulses", "events"):
        assert np.array_equal(getattr(array, name), getattr(twin, name)), name
    stuck = array.cells.stuck[2] & ~skip
    assert stuck.sum() > 1 and np.array_equal(status == CellStatus.GIVEN_UP, stuck)
    assert driver.counters()["given_up"] == stuck.sum() and (pulses[stuck] == 20).all()
    assert violations(lane.library) == (0, [])


def test_what_cannot_be_programmed_is_refused_by_driver_and_chip(lane):
    driver, _, _ = set_up(lane, "ideal")
    codes = np.zeros((32, 32), int)
    narrow = Schedule(reset=dataclasses.replace(Schedule().reset, ticks=199))
    for words, arguments in (
            ("tile must be an integer of 0..7, not 8", (8, codes, 1)),
            (r"codes must be \(32, 32\), not \(32, 31\)", (0, codes[:, 1:], 1)),
            ("codes must be 0..8191, not 0..8192", (0, codes + 8192 * np.eye(32, dtype=int), 1)),
            ("tolerance must be 0..1023, not 1024..1024", (0, codes, 1024)),
            ("codes must be integers, not float64", (0, codes * 1.0, 1)),
            ("ticks of a pulse must be at least 200 without the analyser, not 199", (0, codes, 1, narrow))):
        with pytest.raises(Refusal, match=words):
            driver.program_tile(*arguments)
    entry = register("PROGRAM_SET_TICKS")
    driver.program_tile(0, codes, 1, Schedule(limit=0), skip=True)
    lane.write(entry.address, entry.pack(value=199))
    driver.start({"tile": 0}, 100_000)
    with pytest.raises(OperationFault) as raised:
        driver.wait_for_end(100_000)
    assert raised.value.code == Fault.PULSE
    assert driver.counters()["pulses"] == 0
