import numpy as np
import pytest
from rmdlora.cosim.lane import StreamLane
from rmdlora.cosim.native import NativeLane
from rmdlora.cosim.sleep import let_memories_rest, let_sleep
from rmdlora.cosim.system import chip_design
from rmdlora.gen.driver import Driver, Shifts
from rmdlora.gen.verilog import verilog_text
from rmdlora.golden.spec.configuration import load_configuration

TOP = """\
module top(clk, rst, i, o);
  input clk;
  \\top.unit  unit (
    .clk(clk),
    .i(i),
    .o(o)
  );
endmodule
module \\top.unit (clk, i, o);
  always @(posedge clk)
    o <= i;
endmodule
module \\top.united (clk, i, o);
  always @(posedge clk)
    o <= i;
endmodule
"""


@pytest.fixture(scope="module")
def configuration():
    return load_configuration("tiny")


def test_only_the_unit_and_what_is_in_it_may_sleep():
    text = let_sleep(TOP, "top.unit", 8)
    assert text.count("iff awake") == 1 and ".clk(clk), .awake(unit_awake)" in text
    assert "module \\top.united (clk, i, o);\n  always @(posedge clk)\n" in text


def test_a_text_without_the_unit_stays_as_it_is():
    assert let_sleep(TOP, "top.other", 8) == TOP


def test_the_chips_lora_unit_is_found(configuration):
    text = verilog_text(configuration)
    assert let_sleep(text, "rmdlora.lora", 8).count("iff awake") > 20


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


def test_the_chips_memories_are_found(configuration):
    assert let_memories_rest(verilog_text(configuration)).count("posedge clk iff |write)") == 4


class ChipLane(NativeLane):
    """The chip alone, free to sleep or not."""

    def __init__(self, configuration, sleep):
        StreamLane.__init__(self, chip_design(configuration, sleep=sleep), configuration.lora.beat_elements)


def outcome(lane, configuration):
    """Everything a run shows: results, adapters, states, generators, counters, and when `running` was high."""
    rng = np.random.default_rng(12)
    lane.stall(0.995, seed=1, streams=["c"])    # waits long enough to fall asleep in
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


def test_a_chip_that_may_sleep_does_in_every_clock_what_one_that_never_does(configuration):
    one, other = (outcome(ChipLane(configuration, sleep), configuration) for sleep in (True, False))
    assert np.diff(one[2][:, 0]).max() > 1000       # there was time to sleep
    for slept, woke in zip(one, other, strict=True):
        assert np.array_equal(slept, woke)
