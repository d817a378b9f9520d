"""Three ways to read the array, one answer: integers, float64 within its 53 bits, and the kernel in C++."""

import dataclasses
import shutil

import numpy as np
import pytest
from rmdlora.cosim import array as module
from rmdlora.cosim.array import Array
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.presets import PRESETS, Preset

WAYS = ("integers", "floats", "kernel")


def choose(monkeypatch, way):
    """Let every read take ``way``."""
    monkeypatch.setattr(module, "EXACT", 0 if way == "integers" else 1 << 53)
    monkeypatch.setattr(module, "NATIVE", 1 if way == "kernel" else 1 << 60)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
@pytest.mark.parametrize("preset", [PRESETS["ideal"], PRESETS["taox"], Preset(read=600), Preset(floor=1 << 18)])
@pytest.mark.parametrize("rows, columns, vectors", [(32, 32, 5), (8, 40, 4), (64, 8, 1), (16, 136, 3)])
def test_integers_floats_and_the_kernel_give_the_same_codes(monkeypatch, preset, rows, columns, vectors):
    default = load_configuration("default")
    configuration = dataclasses.replace(
        default, geometry=dataclasses.replace(default.geometry, tile_rows=rows, tile_columns=columns),
        device=dataclasses.replace(default.device, seed=0xC0FFEE))
    array = Array(configuration, 12, preset)
    generator = np.random.default_rng([rows, columns])
    array.conductances[:] = generator.integers(0, 16000, array.conductances.shape)
    array.events[:] = generator.integers(0, 1 << 32, 12)
    cases = [(np.array([3]), (1, vectors)), (np.arange(12).reshape(3, 4)[::-1], (3, 1, vectors)),
             (np.array([[7, 1], [2, 0]]), (vectors,))]
    for tiles, leading in cases:
        volts = generator.integers(-5248, 5249, (*leading, rows))
        high = generator.integers(0, 2, columns).astype(bool)
        found = {}
        for way in WAYS:
            choose(monkeypatch, way)
            found[way] = array.codes(tiles, volts, array.events[tiles].astype(np.int64), high)
        assert found["integers"].shape == (*tiles.shape, vectors, columns) and found["integers"].any()
        for way in WAYS[1:]:
            assert found[way].dtype == np.int16 and np.array_equal(found[way], found["integers"]), way


def test_numbers_past_53_bits_are_read_in_integers(monkeypatch):
    default = load_configuration("default")
    configuration = dataclasses.replace(
        default, crossbar=dataclasses.replace(default.crossbar, num=(1 << 24) - 1, shift=34))
    array = Array(configuration, 1, Preset(read=600))
    array.conductances[:] = np.random.default_rng(1).integers(0, 16000, array.conductances.shape)
    volts = np.random.default_rng(2).integers(-5248, 5249, (1, 1, 32))
    assert not array._stays_exact(5248, 16000)
    codes = array.codes(np.array([0]), volts, np.array([0]))
    choose(monkeypatch, "kernel")
    assert np.array_equal(codes, array.codes(np.array([0]), volts, np.array([0])))


def test_a_machine_without_a_compiler_reads_in_numpy(monkeypatch):
    monkeypatch.setattr(module, "NATIVE", 1)
    array = Array(load_configuration("default"), 1, PRESETS["taox"])
    array.conductances[:] = 4000
    volts = np.full((1, 2, 32), 300)
    codes = array.codes(np.array([0]), volts, np.array([0]))
    monkeypatch.setattr(module, "find_kernel", lambda: None)
    assert np.array_equal(codes, array.codes(np.array([0]), volts, np.array([0])))
