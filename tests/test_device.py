"""The device model: its random numbers, where programming lands, and its fit to measured data."""

import dataclasses

import numpy as np
import pytest
from rmdlora.cosim.device import DeviceModel, normal, philox4x32
from rmdlora.golden.spec import noise
from rmdlora.golden.spec.crossbar import Device
from rmdlora.golden.spec.presets import PRESETS
from rmdlora.golden.spec.refusal import RefusedValue


def test_numpys_philox_is_the_specifications_block_for_block():
    generator = np.random.default_rng(1)
    words = generator.integers(0, 1 << 32, (6, 200), dtype=np.uint64)
    words[:, :2] = 0, 0xFFFFFFFF
    blocks = np.transpose(philox4x32(words[:4], words[4:]))
    draws = normal(words[:4], words[4:])
    for word, block, draw in zip(words.T.tolist(), blocks.tolist(), draws.tolist(), strict=True):
        wanted = noise.philox4x32(word[:4], word[4:])
        assert tuple(block) == wanted
        assert draw == noise.normal(wanted)


def test_random_numbers_broadcast_over_events_tiles_and_columns():
    grid = normal((np.arange(3)[:, None, None], 5, np.arange(4), 0), (9, np.arange(2)[:, None]))
    assert grid.shape == (3, 2, 4)
    assert grid[2, 1, 3] == noise.normal(noise.philox4x32((2, 5, 3, 0), (9, 1)))


def test_the_ideal_device_stands_where_it_was_told_to():
    targets = np.random.default_rng(2).uniform(10, 80, (2, 8, 8))
    reached, cycles = DeviceModel(Device()).program(targets, 0, [0, 1], [0, 0])
    assert np.array_equal(reached, targets) and (cycles == 1).all()


def test_write_verify_ends_within_the_tolerance_after_tens_of_cycles():
    model = DeviceModel(Device(preset="taox"))
    targets = np.full((4, 32, 32), 45.0)
    reached, cycles = model.program(targets, 1, np.arange(4), np.zeros(4, int))
    error = reached - targets
    late = cycles == model.preset.cycles
    assert (np.abs(error[~late]) <= model.preset.tolerance_us).all()
    assert late.mean() < 0.01
    # a cycle is within the tolerance with probability p, so a cell takes 1/p of them
    spread = float(model.spread_us(45.0))
    within = 2 * model.preset.tolerance_us / (spread * np.sqrt(2 * np.pi))
    assert cycles.mean() == pytest.approx(1 / within, rel=0.1)
    assert abs(error.mean()) < 0.1


def test_one_cycle_without_verify_lands_with_the_presets_spread():
    preset = dataclasses.replace(PRESETS["taox"], cycles=1)
    model = DeviceModel(Device(preset="taox"), preset)
    for target in (20.0, 70.0):
        reached, _ = model.program(np.full((4, 32, 32), target), 3, np.arange(4), np.zeros(4, int))
        assert reached.std() == pytest.approx(float(model.spread_us(target)), rel=0.06)


def test_a_tile_programmed_again_lands_elsewhere_and_a_rerun_lands_the_same():
    model = DeviceModel(Device(preset="taox"))
    targets = np.full((1, 8, 8), 45.0)
    first, second, again = (model.program(targets, 5, [3], [start])[0] for start in (0, 50, 0))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_levels_span_the_window():
    assert DeviceModel(Device()).levels_us(8).tolist() == [10, 20, 30, 40, 50, 60, 70, 80]
    with pytest.raises(RefusedValue, match=r"levels must be an integer of 2\.\.65536, not 1"):
        DeviceModel(Device()).levels_us(1)


def test_something_else_than_a_preset_is_refused():
    with pytest.raises(RefusedValue, match="preset must be a Preset, not 'taox'"):
        DeviceModel(Device(), "taox")
