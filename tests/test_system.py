"""Chip and board in one simulation: what the sequencer reads over the pins is what the array holds."""

import dataclasses

import numpy as np
import pytest
from rmdlora.cosim.board import Board, conversions, violations
from rmdlora.cosim.native import NativeLane
from rmdlora.gen.driver import Driver
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.read import read_layer
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


def corner_activations(inputs, generator):
    """Activation codes (n, inputs): both ends, zeros, ones, alternating signs, one row alone at either end, random."""
    alternating = np.where(np.arange(inputs) % 2, 127, -128)
    rows = [np.full(inputs, code) for code in (-128, -127, -1, 0, 1, 127)] + [alternating, -1 - alternating]
    rows += [end * np.eye(inputs, dtype=int)[row] for row in (0, inputs - 1) for end in (-128, 127)]
    return np.array([*rows, *generator.integers(-128, 128, (8, inputs))])


@pytest.mark.parametrize("amplified", [1, 4])
def test_every_column_of_an_ideal_tile_gives_the_contracts_integers_at_corner_and_random_codes(lane, amplified):
    """``amplified`` times the stage's gain: with 4 the ADCs saturate at both ends."""
    configuration = lane.configuration
    crossbar = configuration.crossbar
    configuration = dataclasses.replace(configuration, crossbar=dataclasses.replace(
        crossbar, num=amplified * crossbar.num))
    inputs, outputs = configuration.geometry.tile_rows, configuration.tile_outputs
    generator = np.random.default_rng(7)
    x = corner_activations(inputs, generator)
    ends = [configuration.formats.of("output").low, configuration.formats.of("output").high]
    for weights in (np.ones((outputs, inputs)), generator.choice([-1.0, 1.0], (outputs, inputs)),
                    generator.normal(size=(outputs, inputs))):
        board = Board(configuration)
        board.load(weights)
        lane.reset()
        board.attach(lane.library)
        driver = Driver(lane, lane.configuration)
        driver.wait_board()
        layer = driver.load_adapter(np.zeros((1, inputs), int), np.zeros((outputs, 1), int))
        driver.set_calibration(np.ones(outputs, int), np.zeros(outputs, int))
        wanted = read_layer(map_weights(weights, configuration), x, outputs, configuration)
        assert np.array_equal(driver.forward(layer, x, crossbar=True), np.clip(wanted, *ends))
        assert violations(lane.library) == (0, [])
        if weights.min() == 1:      # all of a column's cells at one end of the window
            exact = [amplified * 5e-6 * 41 * (8000 - 1000) * inputs * code for code in (-128, 127)]
            reached = (wanted.min(), wanted.max())
            assert reached == pytest.approx(exact, abs=2) if amplified == 1 else reached[0] > exact[0] + 8191
