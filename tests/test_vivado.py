"""The generated Tcl and constraints, run in a Tcl shell against stubs that know every command, port, file and address.

The stubs (`vivado_stubs.tcl`) fail on whatever they do not know; that they do is shown by faults put into good files.
"""

import pathlib
import shutil
import subprocess
import sys

import pytest
from amaranth.lib import wiring
from rmdlora.gen.generate import FILES, generate, left_out
from rmdlora.gen.verilog import MODULE
from rmdlora.gen.zc706 import xdc_text
from rmdlora.gen.zynq import CHIP_ADDRESS, CHIP_SIZE, DMA_SIZE, dma_engines
from rmdlora.golden.spec.configuration import build_configuration, load_configuration
from rmdlora.hdl.top import chip_members

HERE = pathlib.Path(__file__).parent
EMBEDDED = """
import tkinter
tcl = tkinter.Tcl()
tcl.setvar("argc", {argc})
tcl.setvar("argv", {argv!r})
tcl.eval("source {{{stubs}}}")
"""


def shell_command(*words):
    """What runs the stubs on a script: tclsh, else the Tcl inside Python's tkinter."""
    if shutil.which("tclsh"):
        return ["tclsh", str(HERE / "vivado_stubs.tcl"), *words]
    pytest.importorskip("tkinter", reason="neither tclsh nor Python's tkinter is installed: nothing runs Tcl")
    return [sys.executable, "-c", EMBEDDED.format(argc=len(words), argv=tuple(words), stubs=HERE / "vivado_stubs.tcl")]


def run_script(script, *words):
    """``(status, output lines, error text)`` of a script under the stubs."""
    done = subprocess.run(shell_command(str(script), *words), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr.strip()


def shell_module(configuration):
    """Verilog of a module with the chip's ports and nothing in it."""
    signature = wiring.Signature(chip_members(configuration))
    lines = ["  input clk ;", "  input rst ;"]
    for path, member, value in signature.flatten(signature.create()):
        name, bits = "__".join(path), len(value)
        width = f"[{bits - 1}:0] " if bits > 1 else ""
        lines.append(f"  {'in' if member.flow is wiring.In else 'out'}put {width}{name} ;")
    return f"module {MODULE}();\n" + "\n".join(lines) + "\nendmodule\n"


def write_files(configuration, folder):
    """Everything generated but the Verilog, which is a shell."""
    for name, file in FILES.items():
        if name not in left_out(configuration):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            text = shell_module(configuration) if name == f"{MODULE}.v" else file.text(configuration)
            (folder / name).write_text(text, encoding="utf-8")


def packaged(configuration, folder):
    """The folder with every file, its IP packaged."""
    write_files(configuration, folder)
    assert run_script(folder / "vivado" / "package_ip.tcl")[::2] == (0, "")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The tiny configuration's files, packaged."""
    return packaged(load_configuration("tiny"), tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("name", ["default", "face", "speaker", "image"])
def test_packaging_and_system_name_only_what_there_is_and_every_address_is_where_the_driver_looks(name, tmp_path):
    configuration = load_configuration(name)
    folder = packaged(configuration, tmp_path)
    status, lines, said = run_script(folder / "vivado" / "zc706.tcl", "bitstream")
    assert (status, said) == (0, "")
    places = {words[2]: (int(words[3], 16), int(words[4], 16))
              for words in (line.split() for line in lines) if words[0] == "address"}
    assert places.pop("ps/S_AXI_HP0/HP0_DDR_LOWOCM") == (0, 1 << 30)
    engines = {f"{engine.name}/S_AXI_LITE/Reg": (engine.address, DMA_SIZE) for engine in dma_engines(configuration)}
    assert places == {"chip/s_axil/registers": (CHIP_ADDRESS, CHIP_SIZE), **engines}
    assert {"pins 48", "wrote rmdlora.xsa"} <= set(lines)


def test_the_stubs_read_the_ports_of_the_real_verilog(tmp_path):
    configuration = load_configuration("tiny")
    list(generate(configuration, tmp_path))
    for script in ("package_ip", "zc706"):
        assert run_script(tmp_path / "vivado" / f"{script}.tcl")[::2] == (0, "")


# by file: what is wrong, the good text, the bad text, what the stubs say of it
FAULTS = {
    "vivado/package_ip.tcl": (
        ("a misspelt port", "AWADDR s_axil__awaddr", "AWADDR s_axil__awadr", "has no port s_axil__awadr"),
        ("a port of the wrong side", "ARREADY s_axil__arready", "ARREADY s_axil__arvalid", "s_axil__arvalid"),
        ("a signal left out", "  TLAST m_axis_y__tlast\n", "", "has no TLAST"),
        ("an unknown command", "ipx::save_core", "ipx::store_core", "ipx::store_core"),
        ("an unknown option", "-taxonomy", "-taxonomi", "no option -taxonomi"),
        ("an unknown property", "interface_mode", "interface_side", "no property interface_side"),
        ("an unknown interface", "interface axis slave", "interface axist slave", "no interface axist"),
        ("a missing file", "rmdlora.v", "rmdlora.sv", "rmdlora.sv does not exist"),
        ("another top", "top rmdlora", "top chip", "no module chip"),
        ("a register elsewhere", "STATUS 0x01C", "STATUS 0x02C", "the header says"),
        ("a register of another name", "COMPLETED 0x02C", "FINISHED 0x02C", "no register FINISHED"),
        ("fields that overlap", "  board_ready 1 1", "  board_ready 0 1", "overlaps"),
        ("a bus without a clock", ":s_axis_g:", ":", "s_axis_g has no clock"),
        ("a range that is not the port's", "range 67108864", "range 65536", "range 65536"),
    ),
    "vivado/clock.xdc": (
        ("a clock of a port that is not", "get_ports clk", "get_ports clock", "no port clock"),
    ),
    "vivado/zc706.tcl": (
        ("a pin of an IP that is not", "dma_x/axi_resetn", "dma_x/aresetn", "dma_x has no aresetn"),
        ("a parameter that is not", "c_include_sg 0", "c_include_sgs 0", "no parameter c_include_sgs"),
        ("a stream of another width", "c_m_axis_mm2s_tdata_width 16",
         "c_m_axis_mm2s_tdata_width 32", "32 bits meet 16"),
        ("a width that cannot be", "c_m_axis_mm2s_tdata_width 16", "c_m_axis_mm2s_tdata_width 24", "cannot be 24"),
        ("an IP that is not", "ip:axi_dma:7.1", "ip:axi_dma:7.0", "axi_dma:7.0"),
        ("an address within another", "-offset 0x44010000", "-offset 0x44000000", "overlaps"),
        ("an address off its range", "-offset 0x40000000", "-offset 0x40010000", "a multiple of its range"),
        ("an address nobody reaches", "-offset 0x40000000", "-offset 0x80000000", "outside of M_AXI_GP0"),
        ("an engine without memory", "get_bd_addr_spaces dma_c/Data_MM2S",
         "get_bd_addr_spaces dma_x/Data_MM2S", "overlaps"),
        ("a clock not connected", " [get_bd_pins chip/clk]", "", "chip/clk is not connected"),
        ("the reset of the wrong sense", "reset/peripheral_reset]", "reset/interconnect_aresetn]", "active high"),
        ("a bus of another width", "-from 7 -to 0 adc_dout", "-from 6 -to 0 adc_dout", "a net has one width"),
        ("an interrupt left out", "[get_bd_pins chip/irq] [get_bd_pins interrupts/In0]",
         "[get_bd_pins chip/irq]", "interrupts/In0 is not connected"),
        ("constraints that are not there", "zc706.xdc]", "zc702.xdc]", "zc702.xdc does not exist"),
    ),
    "zc706.xdc": (
        ("a constraint of no port", "{dac_sdi}", "{dac_sdo_n}", "no port dac_sdo_n"),
        ("a pin twice", "PACKAGE_PIN AF13", "PACKAGE_PIN AE13", "has adc_dclock already"),
        ("a pin that is not the connector's", "PACKAGE_PIN AF13", "PACKAGE_PIN A8", "no pin of the connector"),
        ("a standard the bank has not", "LVCMOS25 DRIVE", "LVCMOS33 DRIVE", "no LVCMOS33"),
        ("a port without a pin", "set_property -dict {PACKAGE_PIN AF13",
         "# {PACKAGE_PIN AF13", "adc_cs_n has no package pin"),
        ("timing left open", "adc_dclock adc_cs_n dac_sclk", "adc_cs_n dac_sclk", "timing of adc_dclock"),
        ("an input as an output", "adc_dclock adc_cs_n dac_sclk", "adc_dclock dac_sdo adc_cs_n", "dac_sdo is no end"),
        ("a script in the constraints", "set_false_path", "foreach x {1} {}\nset_false_path", "foreach"),
    ),
}


@pytest.mark.parametrize(("name", "good", "bad", "said"), [
    pytest.param(name, *fault, id=what.replace(" ", "_")) for name, rows in FAULTS.items() for what, *fault in rows])
def test_the_stubs_find(name, good, bad, said, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "copy")
    text = (folder / name).read_text(encoding="utf-8")
    assert good in text
    (folder / name).write_text(text.replace(good, bad, 1), encoding="utf-8")
    script = "zc706" if name.endswith(("zc706.tcl", "zc706.xdc")) else "package_ip"
    status, _, error = run_script(folder / "vivado" / f"{script}.tcl")
    assert status == 1
    assert said in error


def test_the_committed_constraints_are_those_of_the_default_configuration():
    committed = (HERE.parent / "constraints" / "zc706.xdc").read_text(encoding="utf-8")
    lines = xdc_text(load_configuration("default")).splitlines()
    assert committed.splitlines() == [line for line in lines if not line.startswith("# [")]     # without its tables


@pytest.mark.parametrize(("tables", "reason"), [
    ({"base": "macro128"}, r"its board has 84 signals"),
    ({"clock": {"frequency_hz": 300_000_000}}, r"250 MHz at most"),
    ({"clock": {"frequency_hz": 200_000_000}}, r"board.dac_half_ticks leaves 0 ns of skew"),
])
def test_a_configuration_that_cannot_sit_on_the_zc706_gets_no_files_for_it_and_is_told_why(tables, reason):
    without = left_out(build_configuration(tables, "other"))
    assert set(without) == {"vivado/zc706.tcl", "zc706.xdc", "linux/rmdlora.dtso"}
    assert all(reason in why for why in without.values())
