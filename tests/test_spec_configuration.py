"""Configurations: the named ones stand, files override them key by key, and what breaks a rule is refused by name."""

import dataclasses

import pytest
from rmdlora.golden.spec.configuration import Configuration, load_configuration, named_configurations
from rmdlora.golden.spec.refusal import Refusal


def test_the_named_configurations_are_those_promised_and_all_load():
    assert named_configurations() == ["default", "face", "image", "macro128", "speaker", "tiny"]
    for name in named_configurations():
        assert load_configuration(name).name == name


def test_the_default_is_the_contracts():
    configuration = load_configuration("default")
    assert configuration == Configuration()
    formats, geometry = configuration.formats, configuration.geometry
    assert dataclasses.astuple(formats) == (8, 16, 16, 16, 16, 32, 32) and formats.gain == 16
    assert (geometry.max_rank, geometry.max_inputs, geometry.max_outputs) == (16, 4096, 4096)
    assert (geometry.tile_rows, geometry.tile_columns, configuration.lora.chunk) == (32, 32, 64)
    macro = load_configuration("macro128").geometry
    assert (macro.tile_rows, macro.tile_columns) == (128, 128)


@pytest.mark.parametrize(("name", "least"), [("face", 8), ("speaker", 64), ("image", 16)])
def test_named_configurations_have_the_multipliers_promised(name, least):
    assert load_configuration(name).lora.multipliers >= least


@pytest.mark.parametrize(("name", "layers"), [
    ("face", [(32, 20, 8), (20, 32, 8), (6, 20, 8)]), ("speaker", [(512, 140, 8), (512, 512, 16)]),
    ("image", [(3072, 768, 8), (768, 3072, 8)])])
def test_a_tasks_configuration_serves_its_layers(name, layers):
    geometry = load_configuration(name).geometry
    for d, k, r in layers:
        assert d <= geometry.max_outputs and k <= geometry.max_inputs and r <= geometry.max_rank


def test_a_file_overrides_what_it_names_and_nothing_else(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "face"\n[lora]\nrows = 4\n[device]\ng_max_us = 100\n')
    mine, face = load_configuration(path), load_configuration("face")
    assert mine.name == "mine" and mine.lora.rows == 4 and mine.lora.vectors == face.lora.vectors
    assert mine.device.g_max_us == 100.0 and isinstance(mine.device.g_max_us, float)
    assert dataclasses.replace(mine, name="face", lora=face.lora, device=face.device) == face


@pytest.mark.parametrize(("text", "words"), [
    ("[lora]\nlanez = 4", "lora.lanez is not a key"), ("[lorry]\nlanes = 4", "lorry is not a table"),
    ("lora = 3", "lora must be a table, not 3"), ("[lora]\nlanes = 3", "lora.lanes must be a power of two, not 3"),
    ("[lora]\nlanes = true", "lora.lanes must be an integer, not True"),
    ("[lora]\nlanes = 4.0", "lora.lanes must be an integer, not 4.0"),
    ("[lora]\nlanes = 64", "lora.lanes must be an integer of 1..32, not 64"),
    ("[lora]\nvectors = 16\nchunk = 8", "lora.chunk must be a multiple of lora.vectors"),
    ("[formats]\nactivation = 3", "formats.activation must be an integer of 4..16, not 3"),
    ("[sram]\nwords = 101", "sram.words must be even and at least 8, .* or 8192 for the largest layer .* not 101"),
    ("[sram]\nwords = 6", "sram.words must be even and at least 8, .* not 6"),
    ('[sram]\nports = "none"', "sram.ports must be dual or single, not 'none'"),
    ("[sram]\nports = 1", "sram.ports must be a string, not 1"),
    ("[sram]\nsecded = 1", "sram.secded must be true or false, not 1"),
    ("[sram]\nscrub_clocks = 0", "sram.scrub_clocks must be an integer of 1..16777216, not 0"),
    ('[crossbar]\nmapping = "both"', "crossbar.mapping must be differential or reference, not 'both'"),
    ("[crossbar]\narrays = 2", "crossbar.arrays must be at most 1"),
    ("[board]\narray_bits = 8", "board.array_bits must be 0 or 16, not 8"),
    ("[geometry]\ntile_rows = 33", "geometry.tile_rows must be a multiple of 8"),
    ("[device]\ng_mid_us = 5", "device.g_mid_us must be a number of at least 10.0"),
    ("[device]\ng_max_us = inf", "device.g_max_us must be a number above"),
    ("[clock]\nfrequency_hz = 0", "clock.frequency_hz must be an integer of 1000000..500000000, not 0"),
    ('base = "nothing"', "base must be one of default, face, .* not 'nothing'"),
    ("[lora", "must be readable TOML"), ("lanes = \xff", "must be readable TOML"),
])
def test_a_broken_configuration_is_refused_in_one_line(text, words, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Refusal, match=words) as refused:
        load_configuration(path)
    assert "\n" not in str(refused.value)


def test_a_missing_configuration_names_the_ones_there_are():
    with pytest.raises(Refusal, match=r"must be a TOML file or one of default, face, .*, not 'nowhere'"):
        load_configuration("nowhere")
