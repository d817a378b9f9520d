"""Clocks passed over because nothing but timers moves: none is missed, and nobody can tell."""

import dataclasses

import numpy as np
import pytest
from rmdlora.cosim.board import Board, conversions, hold_ticks, violations
from rmdlora.cosim.model import build_native
from rmdlora.cosim.native import NativeLane
from rmdlora.cosim.system import TIMERS, chip_design, system_design
from rmdlora.cosim.timers import Timer, find_timers
from rmdlora.gen.driver import Driver, Shifts
from rmdlora.gen.verilog import verilog_text
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.registers import Fault, Kind, register

TINY = load_configuration("tiny")
SHIFTS = Shifts(p=4, u=4, w=2, q=4, dx=4, va=1, vb=1, lra=2, lrb=2, momentum=1)
TOP = """\
module top(clk, o, limit);
  input clk;
  output o;
  input [7:0] limit;
  wire [7:0] \\t$1 ;
  \\top.unit  unit (
    .clk(clk),
    .count(\\t$1 ),
    .limit(limit),
    .o(o)
  );
  \\top.user  user (
    .clk(clk),
    .value(\\t$1 )
  );
endmodule
module \\top.unit (clk, limit, o, count);
  input clk;
  input [7:0] limit;
  output o;
  output [7:0] count;
  reg [7:0] count = 8'h00;
  wire [8:0] \\$1 ;
  assign \\$1  = count + 1'h1;
  assign o = count == 8'h2a;
  assign p = count >= limit;
  assign q = ! count;
  always @(posedge clk)
    begin
    if (o) begin
      count <= 8'h00;
    end
    count <= \\$1 [7:0];
    end
endmodule
module \\top.user (clk, value);
  input clk;
  input [7:0] value;
  reg [7:0] kept;
  always @(posedge clk)
    kept <= value;
endmodule
"""
WANTED = (("top.unit", "count"), ("top.unit", "other"), ("top.gone", "count"))


def test_a_timer_is_read_with_all_it_is_compared_with_and_all_its_names():
    assert find_timers(TOP, WANTED) == (Timer(("top.unit.count", "top.t$1"), ("top.unit.$1",), (0, 42, 1 << 32),
                                              (("top.unit.limit", "top.limit"),)),)


@pytest.mark.parametrize(("line", "other"), [
    ("assign q = ! count;", "assign q = count[3];"), ("assign q = ! count;", "assign q = count & limit;"),
    ("assign \\$1  = count + 1'h1;", "assign \\$1  = count + 2'h2;"), ("kept <= value;", "kept <= value + kept;"),
    ("kept <= value;", "if (value == 8'h11) kept <= 8'h00;"),
    ("  \\top.user  user", "  assign early = \\t$1  == 8'h11;\n  \\top.user  user"),
    ("  \\top.user  user", "  assign same = \\t$1 ;\n  assign early = same == 8'h11;\n  \\top.user  user")])
def test_a_register_used_in_any_other_way_is_no_timer(line, other):
    assert line in TOP and find_timers(TOP.replace(line, other), WANTED) == ()


def test_a_text_that_is_no_verilog_has_no_timers():
    assert find_timers("module top(\n", WANTED) == find_timers("", WANTED) == ()


@pytest.mark.parametrize("name", ["tiny", "default"])
def test_every_timer_listed_is_found_in_the_chip(name):
    text = verilog_text(load_configuration(name))
    assert len(find_timers(text, TIMERS)) == len(TIMERS)


def test_a_broken_chip_loses_its_timer_not_its_fault():
    whole = verilog_text(TINY)
    timer = chip_design(TINY).timers[-1]
    assert timer.names[0] == "chip.crossbar.adc_switch.timer"
    place = whole.index("module \\rmdlora.crossbar.adc_switch")
    broken = whole[:place] + whole[place:].replace("= timer - 1'h1;", "= timer - 2'h2;", 1)
    assert broken != whole and timer not in chip_design(TINY, broken).timers


def read_tiles(lane):
    """Everything that a read of some tiles shows: outputs, when they left, when ADCs held, counters, clocks."""
    generator = np.random.default_rng(3)
    weights, x = generator.normal(size=(20, 40)), generator.integers(-128, 128, (3, 40))
    board = Board(TINY)
    board.load(weights)
    lane.reset()
    board.attach(lane.library)
    driver = Driver(lane, TINY)
    driver.wait_board()
    layer = driver.load_adapter(generator.integers(-99, 99, (2, 40)), generator.integers(-99, 99, (20, 2)))
    driver.set_calibration(np.ones(20, int), np.zeros(20, int))
    driver.clear_counters()
    y = driver.forward(layer, x, crossbar=True)
    assert conversions(lane.library) and violations(lane.library) == (0, [])
    return [y, driver.clocks("y"), lane.intervals, hold_ticks(lane.library), lane.cycles, lane.running_clocks,
            np.array(list(driver.counters().values()))]


def starve(lane):
    """The clocks at which operations that get no activations are ended, by time-outs of several lengths."""
    lane.reset()
    driver, clocks = Driver(lane, TINY), []
    driver.wait_board()
    layer = driver.load_adapter(np.zeros((1, 4), int), np.zeros((4, 1), int))
    for timeout in (100, 333, 2000):
        driver.set_timeout(timeout)
        driver.start_counting()     # clears FAULT, and with it the halt
        driver.start({**dataclasses.asdict(dataclasses.replace(layer, active=1, trainable=0)),
                      **dataclasses.asdict(SHIFTS), "kind": Kind.FORWARD, "vectors": 2,
                      "crossbar": 0, "nearest": 0}, 1000)
        lane.run_until_high("irq", 10_000)
        clocks.append(lane.cycles)
        assert lane.read(register("FAULT").address) == Fault.STREAM
    return clocks


@pytest.fixture(scope="module")
def lanes():
    """The chip on its board, one that passes over clocks, and one that simulates each."""
    one, other = (NativeLane(TINY, board=True) for _ in range(2))
    other.dwell()
    return one, other


def test_of_units_that_rest_nothing_is_looked_at_but_whether_they_do():
    lines = dict(line.split(" ", 2)[1:] for line in
                 (build_native(system_design(TINY), waves=False) / "model.h").read_text().splitlines()
                 if line.count(" ") > 1)
    held, resting = lines["HELD_MEMBERS"], lines["RESTING(root)"]
    assert resting.count("__DOT__rest___05Fturn == 3") == 2
    assert "rest___05F" not in held and "__DOT__chip__DOT__lora__DOT__" not in held
    assert "__DOT__chip__DOT__crossbar__DOT__loader__DOT__" in held


def test_clocks_passed_over_are_as_if_each_had_been_simulated(lanes):
    passing, dwelling = (read_tiles(lane) for lane in lanes)
    for one, other in zip(passing, dwelling, strict=True):
        assert np.array_equal(one, other)
    assert lanes[0].passed_clocks > lanes[0].cycles / 4 and lanes[1].passed_clocks == 0


def test_a_time_out_comes_in_the_clock_it_is_due_in_whatever_is_passed_over(lanes):
    passing, dwelling = map(starve, lanes)
    assert passing == dwelling and np.diff(passing).min() > 333
    assert lanes[0].passed_clocks > 1500
