"""What is proved of streams and of the crossbar at its pins; and that each proof would notice.

A proof is k-induction: it holds for ever, from power-up on, for all inputs. Times are a few clocks each: the rules are
the same, and a solver sees a whole change within its depth. What happens only after start-up is met from there: a
simulation walks the first clocks with known inputs, then inputs are free.
"""

import dataclasses
import functools
import sys

import pytest
from amaranth.hdl import signed
from amaranth.lib import data
from formal import crossbar as promises
from formal import escort, streams
from formal.prove import Bench, prove
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.hdl import axi
from rmdlora.hdl.crossbar import crossbar, frames, lines, planes, program, switch
from rmdlora.hdl.lora import results
from spoil import spoil

TINY = load_configuration("tiny")
BOARD = dataclasses.replace(
    TINY.board, array_bits=0, dac_wake_ticks=2, dac_half_ticks=1, dac_read_half_ticks=3, dac_lead_ticks=1,
    dac_trail_ticks=1, dac_high_ticks=2, dac_settle_ticks=2, tia_settle_ticks=2, shift_half_ticks=1, latch_ticks=1,
    clear_ticks=1, inhibit_ticks=2, connect_ticks=2, adc_half_ticks=3, adc_guard_ticks=1, start_settle_ticks=3,
    line_settle_ticks=3, shortest_pulse_ticks=4, analyser_ticks=4)
SMALL = dataclasses.replace(
    TINY, geometry=dataclasses.replace(TINY.geometry, tile_rows=8, tile_columns=8, max_inputs=8, max_outputs=4),
    board=BOARD, crossbar=dataclasses.replace(TINY.crossbar, arrays=1))
STREAMED = dataclasses.replace(SMALL, crossbar=dataclasses.replace(SMALL.crossbar, reading="streamed"))

PROOFS = {
    "switch": (switch, "Switch", lambda kind: kind(4, BOARD), promises.switch(BOARD), 3),
    "lines": (lines, "Lines", lambda kind: kind(SMALL), promises.lines(BOARD), 3),
    "frame": (frames, "FrameSender", lambda kind: kind(2, BOARD), promises.frame, 4),
    "pins": (crossbar, "Crossbar", lambda kind: kind(SMALL), promises.pins(SMALL), 3),
    "lines, streamed": (lines, "Lines", lambda kind: kind(STREAMED), promises.lines(BOARD), 3),
    "pins, streamed": (crossbar, "Crossbar", lambda kind: kind(STREAMED), promises.pins(STREAMED), 3),
    "axi_lite": (axi, "AxiLiteSlave", lambda kind: kind(8), streams.axi_lite, 4),
    "results": (results, "Results", lambda kind: kind(data.ArrayLayout(signed(4), 1), 4, False), streams.results, 4),
}


@pytest.mark.parametrize("name", PROOFS)
def test_a_promise_holds_for_ever(name, tmp_path):
    module, kind, make, specify, depth = PROOFS[name]
    answer = prove(Bench(make(getattr(module, kind)), specify), tmp_path, "prove", depth)
    assert answer.verdict == "PASS", answer.text


BROKEN = {      # what to find in the text, and to put there; clocks within which it must be noticed
    "switch": ("self.inh.eq(1), timer.eq(board.inhibit_ticks - 1)", "self.inh.eq(1), timer.eq(0)", 10),
    "lines": ("chain.latch.eq(switch.apply)", "chain.latch.eq(switch.settled)", 12),
    "frame": ("self.sdi.eq(word[-1]), word", "self.sdi.eq(word[0]), word", 8),
    "pins": ("lines.connect.eq(start.connect)", "lines.connect.eq(start.clear)", 12),
    "axi_lite": ("with m.If(axi.bready):", "with m.If(axi.bready | axi.arvalid):", 10),
    "results": (" & free & (~self.o.valid | self.o.ready)", " & free", 10),
}


@pytest.mark.soak
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_noticed(name, tmp_path):
    module, kind, make, specify, _ = PROOFS[name]
    right, wrong, depth = BROKEN[name]
    ahead = (escort.pattern, 18) if name == "lines" else ()     # a word is shifted in before it can be latched
    answer = prove(Bench(make(spoil(module, kind, (right, wrong))), specify, *ahead), tmp_path, "bmc", depth)
    assert answer.verdict == "FAIL", answer.text


@pytest.mark.parametrize("name, depth", [("switch", 10), ("axi_lite", 12), ("results", 12)])
def test_a_promise_is_about_something(name, depth, tmp_path):
    module, kind, make, specify, _ = PROOFS[name]
    answer = prove(Bench(make(getattr(module, kind)), specify), tmp_path, "cover", depth)
    assert answer.verdict == "PASS", answer.text


# at the pins there is nothing to see before start-up has ended: (of what, whether it programs, when it is seen)
MOMENTS = {
    "a read": (SMALL, False, lambda component: ~component.pins.adc_cs_n),
    "a streamed read": (STREAMED, False, lambda component: ~component.pins.adc_cs_n),
    "a pulse": (SMALL, True, lambda component: ~component.pins.wl_mux_inh & component.pins.wl_mux_b),
    # frames of start-up, of the read voltage, of a pulse's supplies and of their end: its TRIGGER is on its way
    "the end of a pulse": (SMALL, True, lambda component: component.frames == 26 + 9 + 3 + 3),
    "a row's code": (SMALL, True, lambda component: component.ready & ~component.pins.dac_cs_n[0]),
    "the amplitude": (STREAMED, False, lambda component: component.ready & ~component.pins.dac_cs_n[0]),
}


@functools.cache
def clocks_until(name):
    """Clocks from power-up to a moment."""
    configuration, programs, moment = MOMENTS[name]
    component = crossbar.Crossbar(configuration)
    return Bench(component, lambda *_: None, escort.board(programs), 1 << 16).meet(moment(component), 10_000)


def bench_at(name, specify):
    """``specify`` of the sequencer, two clocks before the moment."""
    configuration, programs, _ = MOMENTS[name]
    return Bench(crossbar.Crossbar(configuration), specify, escort.board(programs), clocks_until(name) - 2)


@pytest.mark.parametrize("name, meets", [("a read", "a read"), ("a streamed read", "a read"), ("a pulse", "a pulse")])
def test_the_promises_at_the_pins_meet_a_read_and_a_pulse(name, meets, tmp_path):
    answer = prove(bench_at(name, promises.pins(MOMENTS[name][0], meets)), tmp_path, "cover", 8)
    assert answer.verdict == "PASS", answer.text


@pytest.mark.soak
@pytest.mark.parametrize("name, kind, right, wrong, depth", [
    ("the end of a pulse", program.Programmer, 'm.State("Wait for the supplies"), m.If(~updating & cell.loaded)',
     'm.State("Wait for the supplies"), m.If(cell.loaded)', 10),
    ("a row's code", program.Programmer, "MID_SCALE - verify_volt(configuration)",
     "MID_SCALE - 2 * verify_volt(configuration)", 6),
    ("the amplitude", planes.AmplitudeLoader, "MID_SCALE - self._configuration.amplitude",
     "MID_SCALE - 2 * self._configuration.amplitude", 6),
], ids=["the end of a pulse", "a row's code", "the amplitude"])
def test_a_part_that_breaks_a_promise_is_noticed(name, kind, right, wrong, depth, monkeypatch, tmp_path):
    spoilt = spoil(sys.modules[kind.__module__], kind.__name__, (right, wrong))
    monkeypatch.setattr(crossbar, kind.__name__, spoilt)
    answer = prove(bench_at(name, promises.pins(MOMENTS[name][0])), tmp_path, "bmc", depth)
    assert answer.verdict == "FAIL", answer.text
