import dataclasses
import random
import re

import numpy as np
import pytest
from rmdlora.cosim import rest
from rmdlora.cosim.lane import StreamLane
from rmdlora.cosim.model import NativeModel
from rmdlora.cosim.rest import let_memories_rest, let_rest, resting_units
from rmdlora.cosim.system import RESTS, chip_design, simulated_text
from rmdlora.cosim.verilate import Design
from rmdlora.gen.driver import Driver, Shifts
from rmdlora.gen.verilog import verilog_text
from rmdlora.golden.spec.configuration import load_configuration

TOP = """\
module top(clk, go, data, count, other, late, read);
  input clk;
  input go;
  input [7:0] data;
  input [7:0] count;
  output late;
  output [7:0] read;
  output [7:0] other;
  wire [7:0] kept;
  wire [7:0] half;
  wire going;
  assign half = kept >> 1;
  \\top.slow  slow (
    .clk(clk),
    .count(count),
    .going(going),
    .data(data),
    .go(go),
    .kept(kept),
    .late(late)
  );
  \\top.store$7  \\store$7  (
    .clk(clk),
    .data(data),
    .half(half),
    .read(read)
  );
  \\top.free  free (
    .clk(clk),
    .other(other)
  );
endmodule
module \\top.slow (clk, go, data, count, going, kept, late);
  input clk;
  input go;
  input [7:0] data;
  input [7:0] count;
  output going;
  output [7:0] kept;
  output late;
  reg [5:0] left = 6'h00;
  reg [7:0] kept = 8'h00;
  reg late = 1'h0;
  assign going = | left;
  always @(posedge clk) begin
    late <= left == 6'h01;
    if (going) begin
      left <= left - 1'h1;
    end
    if (go) begin
      left <= 6'h28;
      kept <= data + count;
    end
  end
endmodule
module \\top.store$7 (clk, data, half, read);
  input clk;
  input [7:0] data;
  input [7:0] half;
  output [7:0] read;
  reg [7:0] read = 8'h00;
  reg [7:0] \\data.last  = 8'h00;
  reg [7:0] memory [3:0];
  always @(posedge clk)
    memory[2] <= data ^ half;
  always @(posedge clk) begin
    \\data.last  <= memory[2];
    read <= \\data.last ;
  end
endmodule
module \\top.free (clk, other);
  input clk;
  output [7:0] other;
  reg [7:0] other = 8'h00;
  always @(posedge clk)
    other <= other + 1'h1;
endmodule
"""
TINY = load_configuration("tiny")
UNITS = ("slow", "store", "absent")


def test_only_the_units_named_rest():
    text = let_rest(TOP, "top", UNITS)
    assert resting_units(text) == ("top.slow", "top.store$7")
    assert text.count("always @(posedge clk)\n") == 1 and "other <= other + 1'h1" in text


def test_only_what_comes_from_elsewhere_is_watched():
    text = let_rest(TOP, "top", UNITS, unwatched=("count",))
    [changed] = [line for line in text.splitlines() if line.startswith("  wire rest__changed = ")]
    assert "data != " in changed and "go != " in changed and changed.count("!=") == 2


def test_a_text_without_the_units_stays_as_it_is():
    assert let_rest(TOP, "top", ["absent"]) == let_rest(TOP, "other", UNITS) == TOP


def play(text):
    """``late``, ``read``, ``other`` and ``awake``, where there is that, in every clock of a run with long pauses."""
    model = NativeModel.build(Design("top", (("top.v", text),)))
    chance, seen = random.Random(3), []
    names = [name for name in ("late", "read", "other", "awake") if name in model.ports]
    for clock in range(4000):
        model.io["go"] = chance.randrange(90) == 0
        model.io["count"] = clock % 256
        if chance.randrange(90) == 0:
            model.io["data"] = chance.randrange(256)
        for level in (0, 1):
            model.io["clk"] = level
            model.eval()
        seen.append([int(model.io[name]) for name in names])
    return np.array(seen)


def test_units_that_rest_do_in_every_clock_what_they_would_have_done():
    text = let_rest(TOP, "top", UNITS, unwatched=("count",))
    shown = text.replace("module top(", "module top(awake, ").replace(
        "  input clk;\n  input go;", "  output awake;\n  assign awake = rest__awake;\n  input clk;\n  input go;", 1)
    rested, plain = play(shown), play(TOP)
    assert np.array_equal(rested[:, :3], plain) and np.ptp(plain, axis=0).min() > 0
    assert 0.3 < rested[:, 3].mean() < 0.9      # 40 of some 90 clocks it counts, and gives no sign of it


def scrubbed(configuration, words):
    """The configuration with a buffer of so many row words, small enough for pages, whose bits are protected."""
    return dataclasses.replace(configuration, name="scrubbed", sram=dataclasses.replace(
        configuration.sram, words=words, secded=True, scrub_clocks=7))


CONFIGURATIONS = {"default": load_configuration("default"), "tiny": TINY, "scrubbed": scrubbed(TINY, 24)}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_register_of_a_unit_that_rests_is_compared(name):
    text = simulated_text(CONFIGURATIONS[name], None, rest=True)
    modules = rest.split_modules(text)
    compared = 0
    for unit in resting_units(text):
        module = modules[unit]
        assert "always @(posedge clk)\n" not in module and "always @(posedge clk) begin" not in module
        taken = {found[1].strip() for line in module.splitlines() if (found := rest.TAKES.match(line.strip()))}
        for register in {taken for taken in taken if not taken.startswith(rest.WATCH)}:
            spelt = rest.spelt(register)
            memory = re.search(rf"^  reg \[[^\]]*\] {re.escape(spelt)} ?\[", module, re.MULTILINE)
            assert memory or (f" <= {spelt};\n" in module and f"{spelt} != rest__seen_" in module), (unit, register)
            compared += not memory
    assert compared > 500


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_chips_units_are_found(name):
    text = simulated_text(CONFIGURATIONS[name], None, rest=True)
    found = {unit.partition("$")[0] for unit in resting_units(text)}
    named = {f"{parent}.{unit}" for parent, units in RESTS.items() for unit in units}
    # without pages there is no exchanger; what has a scrubber never rests
    assert named - found == {"rmdlora.buffer" if name == "scrubbed" else "rmdlora.exchanger"}


MEMORY = """\
  always @(posedge clk) begin
    if (write[0])
      memory[address][7:0] <= data[7:0];
    if (write[1])
      memory[address][15:8] <= data[15:8];
  end
"""


def test_a_memory_rests_while_no_element_of_it_is_written():
    assert let_memories_rest(MEMORY) == MEMORY.replace("(posedge clk)", "(posedge clk iff |write)")


@pytest.mark.parametrize(("line", "other"), [("write[1]", "other[1]"), ("if (write[1])", "if (rst)"),
                                             ("<= data[7:0]", "= data[7:0]")])
def test_a_process_that_does_anything_else_does_not_rest(line, other):
    text = MEMORY.replace(line, other)
    assert text != MEMORY and let_memories_rest(text) == text


def test_the_chips_memories_are_found():
    assert let_memories_rest(verilog_text(TINY)).count("posedge clk iff |write)") == 4


def train(configuration, rest):
    """Everything a run of the chip alone shows: results, adapters, states, generators, counters, and when `running` was
    high."""
    rng = np.random.default_rng(12)
    lane = StreamLane(chip_design(configuration, rest=rest), configuration.lora.beat_elements)
    lane.stall(0.995, seed=1, streams=["c"])    # waits long enough to rest in
    driver = Driver(lane, configuration)
    layer = driver.load_adapter(rng.integers(-999, 999, (5, 12)), rng.integers(-999, 999, (9, 5)))
    driver.set_calibration(rng.integers(-9, 9, 9), rng.integers(-99, 99, 9))
    x, g, c = (rng.integers(-99, 99, (12, width)) for width in (12, 9, 9))
    driver.load_states(layer)
    driver.seed(7, 5)
    lane.advance(3000)
    shifts = Shifts(p=4, u=4, w=2, q=4, dx=4, va=1, vb=1, lra=2, lrb=2, momentum=1)
    y, dx = driver.train(layer, x, g, c, batch=5, shifts=shifts)
    clocks = driver.clocks("y")
    lane.advance(1001)
    driver.update(layer, shifts)
    return [y, dx, clocks, *driver.read_adapter(layer), *driver.read_states(layer), driver.read_generators(5),
            lane.intervals, np.array(list(driver.counters().values()))]


@pytest.mark.parametrize("configuration", [TINY, scrubbed(TINY, 256)], ids=["tiny", "scrubbed"])
def test_a_chip_whose_units_rest_does_in_every_clock_what_one_does_whose_units_never_do(configuration):
    one, other = (train(configuration, rest) for rest in (True, False))
    assert np.diff(one[2][:, 0]).max() > 1000       # there was time to rest
    for rested, woke in zip(one, other, strict=True):
        assert np.array_equal(rested, woke)
