"""The open tools read what is generated for them: Verilator, Icarus, Yosys, FuseSoC, GTKWave, the device tree."""

import importlib.util
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from rmdlora.cosim.cli import main
from rmdlora.cosim.generated import verilog_text
from rmdlora.cosim.verilate import tool_environment
from rmdlora.gen.flows import WAIVERS, core_text, overlay_text, waivers_text, waves_text
from rmdlora.gen.verilog import MODULE
from rmdlora.gen.vivado import clock_text
from rmdlora.gen.yosys import run_yosys
from rmdlora.gen.zynq import CHIP_ADDRESS, CHIP_SIZE, DMA_SIZE, dma_engines
from rmdlora.golden.spec.configuration import build_configuration, load_configuration

TINY = load_configuration("tiny")
CONFIGURATIONS = [TINY, load_configuration("face"),
                  build_configuration({"base": "tiny", "sram": {"ports": "single", "secded": True}}, "guarded")]
EVERY = pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda configuration: configuration.name)
ICARUS = pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt: iverilog)")
LONG = pytest.mark.parametrize("configuration", [
    pytest.param(found, marks=[pytest.mark.soak] if found != TINY else [], id=found.name) for found in CONFIGURATIONS])
FUSESOC = pytest.mark.skipif(importlib.util.find_spec("fusesoc") is None,
                             reason="FuseSoC is not installed (pip install '.[test]')")
DUMP = f"""
module alone;
  {MODULE} chip();
  initial begin $dumpfile("waves.vcd"); $dumpvars(0, alone); #1 $finish; end
endmodule
"""


def lint(folder, *files):
    """Verilator's rules broken by files of a folder, as a set; its last words where it failed otherwise."""
    said = subprocess.run(["verilator", "--lint-only", "-Wall", "--top-module", MODULE, *files], cwd=folder,
                          env=tool_environment(), capture_output=True, text=True, check=False)
    return set(re.findall(r"^%(?:Warning-)?(\w+)", said.stdout + said.stderr, re.MULTILINE)), said.returncode


@LONG
def test_verilator_has_nothing_to_say_of_the_chip_under_its_waivers(configuration, tmp_path):
    (tmp_path / f"{MODULE}.v").write_text(verilog_text(configuration), encoding="utf-8")
    (tmp_path / f"{MODULE}.vlt").write_text(waivers_text(configuration), encoding="utf-8")
    assert lint(tmp_path, f"{MODULE}.vlt", f"{MODULE}.v") == (set(), 0)


def test_every_waiver_is_needed_and_none_hides_a_wire_without_a_driver(tmp_path):
    text = verilog_text(TINY)
    (tmp_path / f"{MODULE}.v").write_text(text, encoding="utf-8")
    rules, _ = lint(tmp_path, f"{MODULE}.v")
    others = {"UNOPTFLAT", "VARHIDDEN"}     # the face configuration's, and single-port memories
    assert (rules - {"Error"}) | others == set(WAIVERS)
    broken = text.replace("\nendmodule", "\n  wire never;\n  assign irq = never;\nendmodule", 1)
    (tmp_path / f"{MODULE}.v").write_text(broken, encoding="utf-8")
    (tmp_path / f"{MODULE}.vlt").write_text(waivers_text(TINY), encoding="utf-8")
    rules, status = lint(tmp_path, f"{MODULE}.vlt", f"{MODULE}.v")
    assert status and "UNDRIVEN" in rules


@ICARUS
@EVERY
def test_icarus_reads_the_chip_without_a_word(configuration, tmp_path):
    (tmp_path / "chip.v").write_text(verilog_text(configuration), encoding="utf-8")
    said = subprocess.run(["iverilog", "-g2005", "-Wall", "-s", MODULE, "-o", "chip.vvp", "chip.v"], cwd=tmp_path,
                          check=True, capture_output=True, text=True)
    assert said.stdout + said.stderr == ""


@LONG
def test_yosys_reads_the_chip_and_finds_nothing_undriven(configuration):
    script = (f"read_verilog chip.v\nhierarchy -check -top {MODULE}\nproc\ncheck -assert\n"
              "tee -q -o modules.txt ls\n")
    modules = run_yosys({"chip.v": verilog_text(configuration)}, [script], ["modules.txt"])["modules.txt"]
    assert {MODULE, f"{MODULE}.lora", f"{MODULE}.crossbar", f"{MODULE}.buffer"} <= set(modules.split())


@pytest.fixture
def core_folder(tmp_path):
    """A folder with the core and the files it names."""
    for name, text in {f"{MODULE}.v": verilog_text(TINY), f"{MODULE}.vlt": waivers_text(TINY),
                       f"{MODULE}.core": core_text(TINY), "vivado/clock.xdc": clock_text(TINY)}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_core_begins_as_fusesoc_wants_it_and_names_files_that_are_there(core_folder):
    text = core_text(TINY)
    assert text.startswith("CAPI=2:\n")
    named = re.findall(r"^ {6}- (\S+): \{file_type", text, re.MULTILINE)
    assert named and all((core_folder / name).is_file() for name in named)


@FUSESOC
@pytest.mark.parametrize("target", ["lint", "icarus", "yosys", "vivado"])
def test_fusesoc_sets_up_every_target_of_the_core(core_folder, target):
    words = ["--cores-root", ".", "run", "--no-export", f"--target={target}", "--setup", f"{MODULE}:user:{MODULE}:1.0"]
    said = subprocess.run([sys.executable, "-c", "import sys; from fusesoc.main import main; sys.exit(main())", *words],
                          cwd=core_folder, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert not re.search("ERROR|WARNING", said.stdout + said.stderr)
    assert list(core_folder.glob("build/**/*.eda.yml"))


def declared_signals(path):
    """``{name with its range}`` of every variable a VCD file declares, its scope before it."""
    scopes, names = [], set()
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            match words[:1]:
                case ["$scope"]:
                    scopes.append(words[2])
                case ["$upscope"]:
                    scopes.pop()
                case ["$var"]:
                    names.add(".".join([*scopes, "".join(words[4:-1])]))
                case ["$enddefinitions"]:
                    return names
    return names


def named_signals():
    """The signals that the GTKWave file of the tiny configuration shows."""
    named = re.findall(r"^TOP\..+$", waves_text(TINY), re.MULTILINE)
    assert len(named) == len(set(named)) > 90
    assert sum("fsm_state[" in name for name in named) > 10
    return named


@ICARUS
def test_every_signal_of_the_gtkwave_file_is_in_a_simulation_of_the_chip(tmp_path):
    (tmp_path / "chip.v").write_text(verilog_text(TINY) + DUMP, encoding="utf-8")
    subprocess.run(["iverilog", "-g2005", "-s", "alone", "-o", "chip.vvp", "chip.v"], cwd=tmp_path, check=True,
                   capture_output=True)
    subprocess.run(["vvp", "-n", "chip.vvp"], cwd=tmp_path, check=True, capture_output=True)
    declared = declared_signals(tmp_path / "waves.vcd")
    assert [name for name in named_signals() if name.removeprefix("TOP.") not in declared] == []


@pytest.mark.soak
def test_every_signal_of_the_gtkwave_file_is_in_what_a_run_writes(tmp_path, capsys):
    np.savez(tmp_path / "v.npz", x=np.ones((4, 9), int), a=np.ones((2, 9), int), b=np.ones((5, 2), int))
    waves = tmp_path / "waves.vcd"
    words = ["run", str(tmp_path / "v.npz"), "--config", "tiny", "--backend", "rtl", "--waves", str(waves)]
    assert main(words) == 0, capsys.readouterr().err
    declared = declared_signals(waves)
    assert [name for name in named_signals() if name not in declared] == []


def test_waves_are_refused_where_nothing_is_simulated(tmp_path, capsys):
    np.savez(tmp_path / "v.npz", x=np.ones((4, 9), int), a=np.ones((2, 9), int), b=np.ones((5, 2), int))
    assert main(["run", str(tmp_path / "v.npz"), "--config", "tiny", "--waves", str(tmp_path / "w.vcd")]) == 2
    assert "--waves must come with --compare or --backend rtl" in capsys.readouterr().err


def test_the_device_tree_has_chip_and_engines_where_the_block_design_has_them():
    text = overlay_text(TINY)
    nodes = dict(re.findall(r"^\t\S*@([0-9a-f]{8}) \{(.*?)^\t\};", text, re.MULTILINE | re.DOTALL))
    expected = {CHIP_ADDRESS: (CHIP_SIZE, 29)} | {
        engine.address: (DMA_SIZE, 29 + engine.interrupt) for engine in dma_engines(TINY)}
    assert set(nodes) == {f"{address:08x}" for address in expected}
    for address, (size, interrupt) in expected.items():
        body = nodes[f"{address:08x}"]
        assert f"reg = <0x{address:08x} 0x{size:08x}>;" in body
        assert f"interrupts = <0 {interrupt} 4>;" in body


@pytest.mark.skipif(shutil.which("dtc") is None, reason="dtc is not installed (Debian: device-tree-compiler)")
def test_the_device_tree_compiles(tmp_path):
    (tmp_path / "rmdlora.dtso").write_text(overlay_text(TINY), encoding="utf-8")
    said = subprocess.run(["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", "rmdlora.dtbo", "rmdlora.dtso"], check=True,
                          cwd=tmp_path, capture_output=True, text=True)
    assert said.stderr == ""
