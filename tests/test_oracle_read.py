"""The oracle of a crossbar read: exact where nothing rounds, and the contract's integers where it does."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from rmdlora.cosim.array import Array, combine_codes
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.read import read_layer, read_tile
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import Refusal

DEFAULT = load_configuration("default")
MACRO = load_configuration("macro128")


def with_crossbar(configuration, **values):
    """``configuration`` with other crossbar values."""
    return dataclasses.replace(configuration, crossbar=dataclasses.replace(configuration.crossbar, **values))


def literal_code(voltages, conductances, noise, crossbar):
    """One column's code, straight from the contract."""
    current = sum(v * g for v, g in zip(voltages, conductances, strict=True)) + noise
    return max(-8192, min(8191, round(Fraction(current * crossbar.num, 2 ** crossbar.shift))))


@pytest.mark.parametrize("mapping", ["differential", "reference"])
def test_an_ideal_array_gives_the_exact_product_times_a_constant(mapping):
    random = np.random.default_rng(1)
    configuration = with_crossbar(DEFAULT, mapping=mapping, step=1, num=1, shift=0)
    # at g_max - g_mid = 7 units a unit of weight at most, no code leaves 14 bits
    configuration = dataclasses.replace(configuration, device=dataclasses.replace(
        configuration.device, g_min_us=0.0, g_mid_us=7.0, g_max_us=14.0, g_lsb_us=1.0))
    weights = random.integers(-7, 8, (40, 70))
    weights[0, 0] = 7
    x = random.integers(-5, 6, (6, 70))
    c = read_layer(map_weights(weights, configuration), x, 40, configuration)
    assert np.array_equal(c, (2 if mapping == "differential" else 1) * (x @ weights.T))


@pytest.mark.parametrize("configuration", [
    DEFAULT, MACRO, with_crossbar(DEFAULT, mapping="reference", num=21475 * 8),
    with_crossbar(DEFAULT, num=1 << 23, shift=41),
    with_crossbar(DEFAULT, shift=47, num=(1 << 24) - 1), with_crossbar(DEFAULT, shift=0, num=1)])
@pytest.mark.parametrize("codes", ["random", "low", "high", "zero"])
def test_codes_are_the_contracts_integers(configuration, codes):
    random = np.random.default_rng(2)
    rows, columns = configuration.geometry.tile_rows, configuration.geometry.tile_columns
    conductances = random.integers(1000, 8001, (rows, columns))
    x = {"random": random.integers(-128, 128, (3, rows)), "low": np.full((1, rows), -128),
         "high": np.full((1, rows), 127), "zero": np.zeros((1, rows), np.int64)}[codes]
    noise = random.integers(-10**6, 10**6, (len(x), columns))
    got = read_tile(conductances, x, configuration, noise)
    for vector in range(len(x)):
        voltages = [configuration.crossbar.step * int(code) for code in x[vector]]
        assert got[vector].tolist() == [
            literal_code(voltages, conductances[:, column].tolist(), int(noise[vector, column]), configuration.crossbar)
            for column in range(columns)]


def test_currents_past_63_bits_are_exact_too():
    crossbar = dict(step=255, num=(1 << 24) - 1, shift=47)
    configuration = with_crossbar(MACRO, **crossbar)
    conductances = np.full((128, 128), 1 << 40, dtype=np.int64)
    got = read_tile(conductances, np.full((1, 128), 1), configuration)
    assert set(got.ravel().tolist()) == {literal_code([255] * 128, [1 << 40] * 128, 0, configuration.crossbar)}
    small = read_tile(conductances // 10**7, np.full((1, 128), 1), configuration)
    assert set(small.ravel().tolist()) == {
        literal_code([255] * 128, [(1 << 40) // 10**7] * 128, 0, configuration.crossbar)}


def test_a_layer_adds_its_row_tiles_and_keeps_its_columns_apart():
    random = np.random.default_rng(4)
    conductances = random.integers(1000, 8001, (3 * 2, 32, 32))
    x = random.integers(-128, 128, (4, 70))
    c = read_layer(conductances, x, 20, DEFAULT)
    padded = np.zeros((4, 96), np.int64)
    padded[:, :70] = x
    wanted = np.zeros((4, 20), np.int64)
    for row_tile in range(3):
        for output in range(20):
            rows = slice(32 * row_tile, 32 * row_tile + 32)
            codes = read_tile(conductances[2 * row_tile + output // 16], padded[:, rows], DEFAULT)
            wanted[:, output] += codes[:, 2 * (output % 16)] - codes[:, 2 * (output % 16) + 1]
    assert np.array_equal(c, wanted)


def test_noise_of_a_tile_moves_that_tiles_outputs_only():
    conductances, x = np.full((2, 32, 32), 4500), np.ones((2, 32), np.int64)
    noise = np.zeros((2, 2, 32), np.int64)
    noise[1, 1, 0] = 10**7
    c = read_layer(conductances, x, 32, DEFAULT, noise)
    assert np.flatnonzero(c).tolist() == [32 + 16] and c[1, 16] == 50


@pytest.mark.parametrize(("arguments", "words"), [
    ((np.zeros((2, 32, 32), np.int64), np.zeros((1, 32), np.int64), 16), r"must be of shape .* not \(2, 32"),
    ((np.zeros((1, 32, 32)), np.zeros((1, 32), np.int64), 16), "conductances must be integers, not float64"),
    ((np.zeros((1, 32, 32), np.int64), np.zeros(32, np.int64), 16), "x must have 2 dimensions, not 1"),
    ((np.zeros((1, 32, 32), np.int64), np.full((1, 32), 800), 16), "must be below 32768 DAC steps, not 32800"),
])
def test_a_read_refuses_by_name(arguments, words):
    with pytest.raises(Refusal, match=words):
        read_layer(*arguments, DEFAULT)


@pytest.mark.parametrize("mapping", ["differential", "reference"])
def test_the_array_model_and_the_oracle_read_the_same(mapping):
    random = np.random.default_rng(6)
    configuration = dataclasses.replace(with_crossbar(load_configuration("face"), mapping=mapping), name="mapped")
    weights, x = random.normal(size=(40, 70)), random.integers(-128, 128, (5, 70))
    array = Array(configuration)
    array.load(weights, 3)
    row_tiles, column_tiles = configuration.row_tiles(70), configuration.column_tiles(40)
    tiles = np.arange(3, 3 + row_tiles * column_tiles).reshape(row_tiles, column_tiles)
    volts = np.zeros((5, 32 * row_tiles), np.int64)
    volts[:, :70] = configuration.crossbar.step * x
    volts = volts.reshape(5, row_tiles, 1, 32).transpose(1, 2, 0, 3)
    codes = combine_codes(array.read(tiles, volts), mapping)                    # (row tiles, column tiles, n, outputs)
    c = codes.sum(axis=0).transpose(1, 0, 2).reshape(5, -1)[:, :40]
    assert np.array_equal(c, read_layer(map_weights(weights, configuration), x, 40, configuration))
