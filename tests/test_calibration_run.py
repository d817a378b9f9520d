"""Calibration through the pins: stages with offsets and series resistance, measured by known reads and undone."""

import dataclasses

import numpy as np
import pytest
from rmdlora.cosim.board import Board, violations
from rmdlora.cosim.hybrid import BoardRead
from rmdlora.cosim.tile_reads import TileReads, draw_read, open_reads, readable
from rmdlora.gen.calibration import Calibration, exact_sums
from rmdlora.gen.driver import Driver, Layer, Shifts
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue

TINY = load_configuration("tiny")


def with_errors(configuration):
    """The stages err as the parts' data sheets let them."""
    return dataclasses.replace(configuration, board=dataclasses.replace(
        configuration.board, feedback_ohm=180.0, feedback_spread_ohm=5.0, offset_codes=13.0),
        device=dataclasses.replace(configuration.device, seed=11))


@pytest.fixture(scope="module", params=["voltage", "streamed"])
def lane(request):
    return open_reads(readable(TINY, request.param)).driver.transport


@pytest.mark.parametrize("high", [False, True])
def test_calibrated_sums_are_the_exact_ones_within_what_the_columns_differ_and_others_are_far_off(lane, high):
    configuration = with_errors(lane.configuration)
    if high and configuration.passes:
        pytest.skip("what rounding takes from planes is more than the high range's stages do")
    draw = np.random.default_rng(5)
    inputs, outputs = 40, 20
    weights = draw.normal(size=(outputs, inputs)) * (0.02 if high else 1)
    if high:
        weights[0, 0] = 1       # sets the scale: the others are small, and a high gain range is for those
    conductances = map_weights(weights, configuration)
    if high:
        conductances //= 20     # nor would the pairs' common part fit the ADCs
    board = Board(configuration)
    board.array.conductances[:len(conductances)] = conductances
    lane.reset()
    board.attach(lane.library)
    driver = Driver(lane, lane.configuration)
    driver.wait_board()
    layer = Layer(inputs, outputs, 1, active=0, high=high, calibration=3)
    low, top = configuration.crossbar.range_of(8)
    x = draw.integers(low, top + 1, (2, inputs))
    exact = exact_sums(configuration, conductances, x, outputs, high)
    scale = 0.5 ** max(0, np.ceil(np.log2(np.abs(exact).max() / 2**(configuration.formats.output - 1))))

    driver.set_calibration(np.ones(outputs, int), np.zeros(outputs, int), 3)
    before = driver.forward(layer, x, crossbar=True) * 1.0 - exact
    patterns = 4 if configuration.passes else 32
    found, w_shift = driver.calibrate(layer, conductances, scale, patterns=patterns, zeros=1)
    after = driver.forward(layer, x, shifts=Shifts(w=w_shift), crossbar=True) / scale - exact
    assert violations(lane.library) == (0, [])

    # what remains: half a code of the offset, what the columns of a pair differ on all they have in common, half a code
    # of each column's rounding (of every tile and plane), and as much again for what those roundings did to the fit
    worth = sum(abs(plane.weight) for plane in configuration.passes) or 1
    bound = 1 + np.abs(found.mismatch) * np.abs(x.sum(axis=1))[:, None] + 2 * worth * configuration.row_tiles(inputs)
    assert (np.abs(after) <= bound).all(), np.abs(after).max()
    assert np.abs(before).max() > 5 * np.abs(after).max()
    resistance = 180 / (40_000 if high else 2_000)
    assert np.median(found.gain) == pytest.approx(1 / (1 + resistance), abs=2e-3)
    offsets = board.array.stages.offset[int(high)] * (
        configuration.crossbar.verify_num / 2**configuration.crossbar.verify_shift if high
        else configuration.crossbar.num / 2**configuration.crossbar.shift)
    offsets = np.concatenate([offsets[0::2] - offsets[1::2]] * 2)[:outputs] * configuration.row_tiles(inputs)
    weight = sum(plane.weight for plane in configuration.passes) or 1
    assert np.abs(found.offset - weight * offsets).max() <= 2 * abs(weight) * configuration.row_tiles(inputs)


def test_stages_that_err_give_the_same_codes_at_the_pins_and_in_the_oracle(lane):
    configuration = with_errors(lane.configuration)
    configuration = dataclasses.replace(configuration, device=dataclasses.replace(configuration.device, preset="taox"))
    lane.reset()
    reads = TileReads(configuration, lane, lane.library)
    for seed in range(3):
        y, wanted = reads.read(draw_read(configuration, np.random.default_rng(seed)))
        assert np.array_equal(y, wanted)


def test_the_array_model_and_the_oracle_agree_about_stages_that_err():
    configuration = with_errors(TINY)
    board, twin = Board(configuration), Board(configuration)
    draw = np.random.default_rng(2)
    weights, x = draw.normal(size=(20, 50)), draw.integers(-128, 128, (3, 50))
    placement = board.load(weights)
    twin.load(weights)
    for high in (False, True):
        oracle = BoardRead(twin)(map_weights(weights, configuration), x, 20, 0, high)
        assert np.array_equal(board.read(placement, x, high), oracle)
    assert Board(TINY).array.stages is None


def test_a_calibration_gives_gains_and_offsets_the_digital_unit_takes():
    found = Calibration(np.array([3.4, -20.6]), np.array([0.9, 1.1]), np.zeros(2), np.zeros(2))
    gain, offset, w_shift = found.codes(0.25)
    assert offset.tolist() == [3, -21] and np.abs(gain).max() <= 32767 < 2 * np.abs(gain).max()
    assert gain / 2**w_shift == pytest.approx([0.225, 0.275], rel=1e-4)
    with pytest.raises(RefusedValue, match="scale must leave the largest gain above 0 and at most 32767, not 0"):
        found.codes(0.0)


@pytest.mark.parametrize("conductances, kind, words", [
    (np.zeros((1, 32, 32)), RefusedType, "conductances must be integers, not float64"),
    (np.zeros((2, 32, 32), int), RefusedValue, r"must be of shape \(1, 32, 32\), not \(2, 32, 32\)"),
])
def test_conductances_of_another_layer_are_refused(conductances, kind, words):
    with pytest.raises(kind, match=words):
        exact_sums(TINY, conductances, np.zeros((1, 32), int), 16)


def test_a_board_of_impossible_errors_is_refused():
    with pytest.raises(RefusedValue, match=r"board\.offset_codes must be a number of at least 0\.0 .* not -1"):
        dataclasses.replace(TINY.board, offset_codes=-1.0)
