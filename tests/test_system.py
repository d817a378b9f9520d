"""Chip and board in one simulation: what the sequencer reads over the pins is what the array holds."""

import dataclasses

import numpy as np
import pytest
from rmdlora.cosim.board import Board, conversions, violations
from rmdlora.cosim.native import NativeLane
from rmdlora.gen.driver import Driver
from rmdlora.golden.spec.configuration import load_configuration


@pytest.fixture(scope="module")
def lane():
    return NativeLane(load_configuration("tiny"), board=True)


@pytest.mark.parametrize("preset", ["ideal", "taox"])
def test_a_layer_read_over_the_pins_is_the_boards_numpy_read_and_breaks_no_rule(lane, preset):
    configuration = lane.configuration
    configuration = dataclasses.replace(
        configuration, device=dataclasses.replace(configuration.device, preset=preset, seed=5))
    generator = np.random.default_rng(3)
    weights, x = generator.normal(size=(20, 40)), generator.integers(-128, 128, (3, 40))
    board, twin = Board(configuration), Board(configuration)
    placement = board.load(weights)
    twin.load(weights)
    lane.reset()
    board.attach(lane.library)
    driver = Driver(lane, lane.configuration)
    driver.wait_board()
    layer = driver.load_adapter(np.zeros((1, 40), int), np.zeros((20, 1), int))     # the crossbar's part alone
    driver.set_calibration(np.ones(20, int), np.zeros(20, int))
    for _ in range(2):      # the second read draws other noise
        y = driver.forward(layer, x, crossbar=True)
        wanted = twin.read(placement, x)
        assert np.abs(wanted).max() > 300
        assert np.array_equal(y, wanted)
    assert violations(lane.library) == (0, [])
    assert np.array_equal(board.array.events, twin.array.events)
    assert board.array.events[placement.tiles].min() == 6
    assert conversions(lane.library) == driver.counters()["conversions"] == 2 * 3 * 2 * (4 + 1)
