"""Every part of the board broken in turn, at the pins: an operation ends with a named fault, or a self-test names it.
"""

import dataclasses
import re

import numpy as np
import pytest
from rmdlora.cosim.board import Board, violations
from rmdlora.cosim.faults import KINDS, PartFault
from rmdlora.cosim.native import NativeLane
from rmdlora.cosim.programmer import map_codes
from rmdlora.gen.driver import Driver, OperationFault
from rmdlora.gen.programming import Programming
from rmdlora.gen.selftest import find_suspects, verify_tile
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.program import Schedule
from rmdlora.golden.spec.refusal import Refusal
from rmdlora.golden.spec.registers import Fault, Kind, register, window

TINY = load_configuration("tiny")
SHAPE = (TINY.geometry.tile_rows, TINY.geometry.tile_columns)
ROWS, COLUMNS = 12, 11      # cells of the self-test: enough of them to tell parts apart
NOTICED = [kind for kind in KINDS if kind.noticed]
HIDDEN = {"dac dead": (1, "DAC 1"), "wl open": (2, "row 2: its WL or BL switch, or its DAC channel"),
          "bl open": (9, "row 9: its WL or BL switch, or its DAC channel"),
          "sl open": (10, "column 10: its SL switch or its stage"),
          "wl chain": (0, "a chain of SN74HC595, the ADCs' switch, or the supplies' DAC"),
          "bl chain": (0, "a chain of SN74HC595, the ADCs' switch, or the supplies' DAC"),
          "sl chain": (0, "a chain of SN74HC595, the ADCs' switch, or the supplies' DAC"),
          "stage at rail": (1, "column 1: its SL switch or its stage"), "adc switch": (0, "the ADCs' switch")}


@pytest.fixture(scope="module")
def lane():
    return NativeLane(TINY, board=True)


@pytest.fixture(scope="module")
def lane_of_resets():
    """One whose parts may complain."""
    return NativeLane(TINY, board=True)


def power_up(lane, *faults):
    """``(driver, board)`` of a board with faults, whose cells hold known conductances, its supplies just come up."""
    board = Board(TINY, faults=faults)
    board.array.conductances[0] = np.random.default_rng(5).integers(2000, 8001, SHAPE)
    board.attach(lane.library)
    lane.reset()
    return Driver(lane, TINY), board


def read(driver, lane):
    """A tile read through the driver: ``y``."""
    layer = dataclasses.replace(driver.load_adapter(np.zeros((1, 32), np.int64), np.zeros((16, 1), np.int64)), tile=0)
    driver.set_calibration(np.ones(16, np.int64), np.zeros(16, np.int64))
    return driver.forward(layer, np.full((2, 32), 100), crossbar=True)


def suspects(driver, board):
    """What the self-test says of tile 0."""
    skip = np.ones(SHAPE, dtype=bool)
    skip[:ROWS, :COLUMNS] = False
    failed = verify_tile(driver, 0, map_codes(board.array.conductances[0], TINY), 20, skip)
    return find_suspects(TINY, failed, skip)


def test_a_sound_board_reads_and_passes_its_self_test(lane):
    driver, board = power_up(lane)
    driver.wait_board()
    wanted = board.read(board.place(32, 16), np.full((2, 32), 100))
    assert np.array_equal(read(driver, lane), wanted)
    assert suspects(driver, board) == []
    assert board.array.pulses.sum() == 0 and driver.counters()["pulses"] == 0
    assert violations(lane.library) == (0, [])


CUT_SHORT = "DCLOCK falls in a conversion|bits in a frame|SCLK fall to CS_n"    # what a part throws away


@pytest.mark.parametrize("programs", [False, True], ids=["read", "programming"])
@pytest.mark.parametrize("clocks", [60, 2_500, 4_321, 9_000, 20_000])
def test_a_soft_reset_at_any_time_leaves_a_board_that_starts_up_and_reads_right(lane_of_resets, clocks, programs):
    lane = lane_of_resets
    driver, board = power_up(lane)
    driver.wait_board()
    wanted = board.read(board.place(32, 16), np.full((2, 32), 100))
    layer = driver.load_adapter(np.zeros((1, 32), np.int64), np.zeros((16, 1), np.int64))
    if programs:        # cells that are as the map wants them: verified one after the other
        programming = Programming(driver, None)
        words, _ = programming.pack(map_codes(board.array.conductances[0], TINY), 20, False)
        lane.write_many(window("cells").address + 4 * np.arange(words.size), words.ravel())
        programming.describe()
        driver.start({"kind": Kind.PROGRAM, "tile": 0}, 1)
    else:
        run = driver.run(layer, None, crossbar=True)
        run.forward(np.full((2, 32), 100), None)
        lane.send("x", np.concatenate(run.operands["x"]))
        driver.start(run.operations[0], 1)
    lane.advance(clocks)
    assert register("STATUS").unpack(lane.read(register("STATUS").address))["busy"]
    driver.soft_reset()
    with pytest.raises(OperationFault, match="board"):      # it starts up anew
        read(driver, lane)
    driver.soft_reset()
    driver.wait_board()
    assert np.array_equal(read(driver, lane), wanted)
    assert all(re.search(CUT_SHORT, said) for said in violations(lane.library)[1])
    assert driver.counters()["pulses"] == board.array.pulses.sum() == 0


@pytest.mark.parametrize("kind", NOTICED, ids=lambda kind: kind.name)
@pytest.mark.parametrize("last", [False, True])
def test_a_broken_part_ends_an_operation_with_its_fault_and_the_board_safe(lane, kind, last):
    driver, board = power_up(lane, PartFault(kind.name, kind.count(TINY) - 1 if last else 0))
    before = board.array.conductances.copy()
    with pytest.raises(OperationFault) as caught:
        driver.wait_board()
        if kind.noticed == Fault.ANALYSER:
            driver.program_tile(0, 4000, 1, Schedule(analyser=True), np.arange(1024).reshape(SHAPE) > 0)
        else:
            read(driver, lane)
    assert caught.value.code == kind.noticed
    lane.withdraw()
    lane.advance(20_000 if kind.noticed == Fault.ANALYSER else 1)       # the lines back to where they are safe
    driver.start_counting()
    status = register("STATUS").unpack(lane.read(register("STATUS").address))
    assert (status["busy"], status["board_fault"]) == (0, kind.noticed == Fault.BOARD)
    assert np.array_equal(board.array.conductances, before)
    if kind.noticed == Fault.BOARD:     # and so for ever: nothing is connected
        with pytest.raises(OperationFault, match="board"):
            read(driver, lane)
        assert all(lane.model.io[f"pin_{group}_mux_inh"] & 1 for group in ("wl", "bl", "sl", "adc"))
        lane.withdraw()
    if kind.noticed == Fault.FRAMING:
        with pytest.raises(OperationFault, match="framing"):
            suspects(driver, board)
    assert not violations(lane.library)[1]


def test_the_rest_cannot_be_noticed_by_a_read_and_is_named_by_the_self_test():
    assert set(HIDDEN) == {kind.name for kind in KINDS if not kind.noticed}


@pytest.mark.parametrize("kind", HIDDEN)
def test_a_part_without_read_back_gives_wrong_sums_and_is_named_by_the_self_test(lane, kind):
    index, name = HIDDEN[kind]
    driver, board = power_up(lane, PartFault(kind, index))
    driver.wait_board()
    wanted = board.read(board.place(32, 16), np.full((2, 32), 100))
    assert kind == "sl chain" or not np.array_equal(read(driver, lane), wanted)     # the low range needs no SL bit
    saturated = lane.read(register("SATURATED").address)
    assert (saturated > 0) == (kind == "stage at rail")
    assert suspects(driver, board) == [name]
    assert not violations(lane.library)[1]


def test_faults_of_parts_that_a_board_has_not_are_refused():
    with pytest.raises(Refusal, match="kind of a fault must be one of dac silent"):
        Board(TINY, faults=[PartFault("dac asleep")])
    with pytest.raises(Refusal, match=r"index of fault adc high must be an integer of 0\.\.7, not 8"):
        Board(TINY, faults=[PartFault("adc high", 8)])
