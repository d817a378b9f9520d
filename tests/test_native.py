import numpy as np
import pytest
from rmdlora.cosim.board import Board, conversions, violations
from rmdlora.cosim.native import NativeLane
from rmdlora.gen.driver import Driver
from rmdlora.golden.read import read_layer
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.registers import register


@pytest.fixture(scope="module")
def configuration():
    return load_configuration("tiny")


@pytest.fixture(scope="module")
def chip(configuration):
    return NativeLane(configuration)


def test_the_chip_alone_says_who_it_is_and_that_it_rests(chip):
    chip.reset()
    assert chip.read(register("IDENTITY").address) == 0x524D444C
    assert not chip.busy()


def test_cycles_at_the_pin_are_the_counters_and_the_specifications(chip, configuration):
    chip.reset()
    driver = Driver(chip, configuration)
    rng = np.random.default_rng(2)
    n, k, d, r = 9, 20, 14, 6
    layer = driver.load_adapter(rng.integers(-99, 99, (r, k)), rng.integers(-99, 99, (d, r)))
    driver.set_calibration(np.ones(d, np.int64), np.zeros(d, np.int64))
    driver.forward(layer, rng.integers(-128, 128, (n, k)))
    [[first, last]] = chip.intervals
    assert last - first + 1 == driver.counters()["forward"] == configuration.pipeline.forward(n, k, d, r)
    assert last == driver.clocks("y").max()


def test_stalls_change_when_but_not_what(chip, configuration):
    rng = np.random.default_rng(3)
    a, b = rng.integers(-999, 999, (5, 13)), rng.integers(-999, 999, (8, 5))
    x, c = rng.integers(-128, 128, (6, 13)), rng.integers(-9999, 9999, (6, 8))

    def forward(probability):
        chip.reset()
        chip.stall(probability, seed=4)
        driver = Driver(chip, configuration)
        layer = driver.load_adapter(a, b)
        driver.set_calibration(np.full(8, 3), np.arange(8))
        y = driver.forward(layer, x, c)
        chip.stall(0, seed=0)
        return y, driver.counters()["forward"]

    straight, cycles = forward(0)
    stalled, longer = forward(0.5)
    assert np.array_equal(straight, stalled) and longer > cycles


def test_a_layer_read_at_the_pins_is_the_oracles(configuration):
    rng = np.random.default_rng(6)
    weights, x = rng.normal(size=(20, 30)), rng.integers(-128, 128, (3, 30))
    board = Board(configuration)
    board.load(weights)
    lane = NativeLane(configuration, board=True)
    board.attach(lane.library)
    driver = Driver(lane, configuration)
    driver.wait_board()
    layer = driver.load_adapter(np.zeros((1, 30), np.int64), np.zeros((20, 1), np.int64))
    driver.set_calibration(np.ones(20, np.int64), np.zeros(20, np.int64))
    y = driver.forward(layer, x, crossbar=True)
    tiles = configuration.row_tiles(30) * configuration.column_tiles(20)
    assert np.array_equal(y, read_layer(board.array.conductances[:tiles], x, 20, configuration))
    counters = driver.counters()
    assert counters["conversions"] == conversions(lane.library) and counters["tile_reads"] == 3 * tiles
    assert counters["forward"] == lane.running_clocks
    assert violations(lane.library) == (0, [])
