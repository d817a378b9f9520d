# amaranth: UnusedElaboratable=no
"""The generated Verilog and what lies beside it: the same bytes always, whole or not at all, readable by every tool."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from rmdlora.gen.files import write_when_changed
from rmdlora.gen.generate import generate
from rmdlora.gen.verilog import MODULE, convert, interface, memories, verilog_text, write_verilog
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.formats import STREAMS
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.golden.spec.registers import WINDOWS, constant_words, register

TINY = load_configuration("tiny")
GENERATE = """
import sys
from rmdlora.gen.generate import generate
from rmdlora.golden.spec.configuration import load_configuration
list(generate(load_configuration("tiny"), sys.argv[1]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Everything generated for the tiny configuration."""
    place = tmp_path_factory.mktemp("generated")
    list(generate(TINY, place))
    return place


def digests(folder):
    """``{path: digest}`` of every file below a folder."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("seed", ["1", "4242"])
def test_the_same_configuration_gives_the_same_bytes_under_any_hash_seed(folder, tmp_path, seed):
    subprocess.run([sys.executable, "-c", GENERATE, str(tmp_path)], check=True,
                   env={**os.environ, "PYTHONHASHSEED": seed})
    assert digests(tmp_path) == digests(folder)


def test_the_interface_lists_every_file_that_lies_beside_it_and_the_readme_says_what_they_are(folder):
    listed = json.loads((folder / f"{MODULE}.json").read_text(encoding="utf-8"))["files"]
    assert {*listed, f"{MODULE}.json"} == set(digests(folder))
    assert all(listed.values())
    readme = (pathlib.Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert [name for name in digests(folder) if f"`{name}`" not in readme] == []


def test_every_generated_text_says_what_made_it_and_ends_with_a_line_end(folder):
    for path in folder.rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        assert text.endswith("\n"), path
        if path.suffix != ".json":
            assert "made by rmdlora from configuration 'tiny'; do not edit" in text[:200], path
        assert not re.search(r"/work|/home|/tmp|site-packages", text), path


def test_files_are_written_only_when_they_change(tmp_path):
    paths = write_verilog(TINY, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [f"{MODULE}.v", f"{MODULE}.json"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    for path in paths:
        os.utime(path, (1, 1))
    write_verilog(TINY, paths[0].parent)
    assert [path.stat().st_mtime for path in paths] == [1, 1]
    paths[0].write_text("something else", encoding="utf-8")
    write_verilog(TINY, paths[0].parent)
    assert paths[0].read_text(encoding="utf-8") == verilog_text(TINY)
    assert paths[1].stat().st_mtime == 1


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = write_when_changed(tmp_path / "file.txt", "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(RefusedValue, match=r"must be a folder that can be written, not one that cannot \(No space"):
        write_when_changed(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RefusedValue, match=r"sub must be a folder that can be written"):
        write_verilog(TINY, tmp_path / "file" / "sub")


def test_the_text_says_what_made_it_and_from_which_configuration():
    lines = verilog_text(TINY).splitlines()
    assert lines[0] == "// made by rmdlora from configuration 'tiny'; do not edit"
    heading = [line for line in lines[:20] if line.startswith("// [")]
    assert any(line.startswith("// [lora] lanes = 2, rows = 2") for line in heading)
    assert len(heading) == len(interface(TINY)["configuration"])
    assert not re.search(r"/work|/home|/usr|site-packages", verilog_text(TINY))


def test_the_interface_is_the_one_the_module_has():
    described = interface(TINY)
    text = verilog_text(TINY)
    body = re.search(rf"^module {MODULE}\(.*?^endmodule", text, re.MULTILINE | re.DOTALL)[0]
    declared = {}
    for direction, high, name in re.findall(r"^  (in|out)put (?:\[(\d+):0\] )?(\w+) ?;", body, re.MULTILINE):
        declared[name] = (direction, int(high or 0) + 1)
    assert {port["name"]: (port["direction"], port["bits"]) for port in described["ports"]} == declared
    assert set(described["streams"]) == set(STREAMS)
    for name, stream in described["streams"].items():
        assert declared[f"{name}__tdata"][1] == stream["elements"] * stream["container"]
        assert stream["bits"] <= stream["container"]
    assert json.loads(json.dumps(described)) == described


def test_every_memory_is_listed_and_none_is_cleared_word_by_word():
    text = verilog_text(TINY)
    found = memories(text)
    assert len(found) == len(re.findall(r"^  reg \[\d+:0\] \S+ +\[\d+:0\];", text, re.MULTILINE)) > 5
    assert all(entry["module"].startswith(MODULE) for entry in found)
    assert max(entry["words"] for entry in found) >= TINY.sram.words // 2
    for entry in found:
        assert not re.search(rf"^ +\\?{re.escape(entry['name'])} *\[\d+\] = \d+'[hd]0+;$", text, re.MULTILINE)
    assert text.count("`ifndef SYNTHESIS") == len(found)


class Corners(wiring.Component):
    """A memory of zeros, one that is not, and a register of which some bits are constant."""

    def __init__(self):
        super().__init__({"address": In(2), "word": In(8), "zeros": Out(8), "table": Out(8), "mixed": Out(6)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.zeros = zeros = Memory(shape=8, depth=4, init=[])
        m.submodules.table = table = Memory(shape=8, depth=4, init=[0, 7, 0, 9])
        write = zeros.write_port()
        m.d.comb += [write.addr.eq(self.address), write.data.eq(self.word), write.en.eq(self.word.any())]
        for memory, out in ((zeros, self.zeros), (table, self.table)):
            read = memory.read_port(domain="comb")
            m.d.comb += [read.addr.eq(self.address), out.eq(read.data)]
        state = Signal(2)
        m.d.sync += state.eq(state + 1)
        with m.If(state == 3):
            m.d.comb += self.mixed[:2].eq(Mux(self.word[0], 2, 1))
        m.d.comb += self.mixed[4:].eq(3)
        return m


CORNERS_BENCH = """
`timescale 1ns/1ps
module bench;
  reg clk = 0, rst = 0; reg [1:0] address = 0; reg [7:0] word = 0;
  wire [7:0] zeros, tables; wire [5:0] mixed;
  corners dut(.clk(clk), .rst(rst), .address(address), .word(word), .zeros(zeros), .\\table (tables), .mixed(mixed));
  integer i;
  initial begin
    for (i = 0; i < 4; i = i + 1) begin address = i; #1 $display("%b %b %b", zeros, tables, mixed); end
    $finish;
  end
endmodule
"""


CHIP_BENCH = """
`timescale 1ns/1ps
module bench;
  reg clk = 0, rst = 1; reg [25:0] address = 0; reg valid = 0;
  wire ready, answered; wire [31:0] word; wire [1:0] response; wire irq, running, y, dx;
  always #5 clk = ~clk;
  rmdlora chip(.clk(clk), .rst(rst), .s_axil__araddr(address), .s_axil__arvalid(valid), .s_axil__arready(ready),
    .s_axil__rvalid(answered), .s_axil__rready(1'b1), .s_axil__rdata(word), .s_axil__rresp(response),
    .s_axil__awvalid(1'b0), .s_axil__wvalid(1'b0), .s_axil__bready(1'b1), .s_axis_x__tvalid(1'b0),
    .s_axis_c__tvalid(1'b0), .s_axis_g__tvalid(1'b0), .m_axis_y__tready(1'b1), .m_axis_dx__tready(1'b1),
    .m_axis_y__tvalid(y), .m_axis_dx__tvalid(dx), .irq(irq), .running(running), .dac_sdo(1'b0), .adc_dout(8'b0),
    .b1500_trig_in(1'b0));
  task read(input [25:0] place); begin
    @(negedge clk) address = place; valid = 1; while (!ready) @(negedge clk); @(negedge clk) valid = 0;
    while (!answered) @(negedge clk); $display("%h %b %b", word, response, {irq, running, y, dx});
  end endtask
  initial begin #100 rst = 0; PLACES $finish; end
endmodule
"""


def test_memories_with_contents_keep_them_and_constant_bits_are_driven():
    text = convert(Corners(), "corners")
    assert {(entry["name"], entry["words"], entry["bits"]) for entry in memories(text)} >= {("zeros$15", 4, 8)}
    assert text.count("`ifndef SYNTHESIS") == 1
    assert re.search(r"\[3\] = 8'h09", text)
    assert not re.search(r"always @\*\n +\S.* = \d+'[hdb][0-9a-f]+;", text.replace("  always @*\n`else", ""))


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
def test_a_four_state_simulator_sees_no_unknown_bit(tmp_path):
    (tmp_path / "corners.v").write_text(convert(Corners(), "corners") + CORNERS_BENCH, encoding="utf-8")
    subprocess.run(["iverilog", "-g2005", "-Wall", "-o", "corners.vvp", "corners.v"], cwd=tmp_path, check=True)
    shown = subprocess.run(["vvp", "-n", "corners.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert shown.stdout.split("\n")[:4] == [f"00000000 {value:08b} 110000" for value in (0, 7, 0, 9)]


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
def test_after_reset_a_four_state_simulator_knows_every_word_of_the_chip(tmp_path):
    words = constant_words(TINY)
    places = [register(name).address for name in (*words, "STATUS", "FAULT", "GENERATOR", "OP_INPUTS", "FRAMES")]
    places += [entry.address for entry in WINDOWS]
    bench = CHIP_BENCH.replace("PLACES", " ".join(f"read({place});" for place in places))
    (tmp_path / "chip.v").write_text(verilog_text(TINY) + bench, encoding="utf-8")
    subprocess.run(["iverilog", "-g2005", "-s", "bench", "-o", "chip.vvp", "chip.v"], cwd=tmp_path, check=True)
    shown = subprocess.run(["vvp", "-n", "chip.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True,
                           timeout=60)
    expected = [*words.values(), 0, 0, 1, 0, 0, *(0 for _ in WINDOWS)]
    assert shown.stdout.splitlines()[:len(places)] == [f"{word:08x} 00 0000" for word in expected]
