# amaranth: UnusedElaboratable=no
"""The sequencer built with a wrong time, or spoilt: the part whose rule it breaks says so.

The sequencer runs beside a board in plain Python that takes whatever times it keeps; every level of its pins is written
down and played to the co-simulation's parts, which keep their own data sheets.
"""

import dataclasses

import numpy as np
import pytest
from pin_bench import PinBench, board_design
from rmdlora.golden.spec.board import Board
from rmdlora.golden.spec.program import Amplitude, Schedule
from rmdlora.hdl.crossbar import chain, converter, crossbar, frames, lines, start
from spoil import spoil
from test_crossbar import Bench, small
from test_program import ProgramBench

WAKE = 25_000
TIMES = Board(dac_wake_ticks=30, positions=2)       # the rest of the wait lies before the chip's reset ends
PULSE = Amplitude(12_600, 655, 32_768, 39_322, 200)


def configured(times):
    return small(tile=(8, 16), board=dataclasses.replace(TIMES, **times), arrays=1)


@pytest.fixture(scope="module")
def design():
    return board_design(configured({}))


def write_down(bench):
    """The list that pin changes go to, from now on: (clock, {name: level})."""
    tape, before, answer = [], {}, bench.board.advance

    def advance(levels):
        changed = {name: level for name, level in levels.items() if before.get(name) != level}
        if changed:
            tape.append((bench.clock, changed))
            before.update(changed)
        return answer(levels)
    bench.board.advance = advance
    return tape


def sequence(times, scenario):
    """What the sequencer does at its pins: the first frames of start-up; or all of it, and two tile reads, a
    pulse, or a second start-up after a reset."""
    configuration = configured(times)
    cells = np.zeros((1, 8, 16), dtype=int)
    bench = (ProgramBench(configuration=configuration, limit=200_000) if scenario == "pulse"
             else Bench(configuration, cells, limit=200_000))
    # its ADCs hold when ADS8324 do, whatever the sequencer believes
    bench.board.board = dataclasses.replace(configuration.board, adc_hold_clocks=TIMES.adc_hold_clocks)
    tape = write_down(bench)

    async def body(ctx):
        if scenario == "frames":
            await ctx.tick().repeat(1500)
            return
        await bench.wait_ready(ctx)
        if scenario == "reset":
            ctx.set(bench.reset, 1)
            await ctx.tick()
            ctx.set(bench.reset, 0)
            await ctx.tick().repeat(400)
        elif scenario in ("read", "one row"):
            bench.to_send = [[0] * configuration.lora.beat_elements] * 8
            await bench.command(ctx, 10 if scenario == "read" else 1, 1 if scenario == "one row" else 8, 1)
            await ctx.tick().until(~bench.dut.busy)
        elif scenario == "pulse":
            schedule = Schedule(set=PULSE, reset=PULSE, form=PULSE, limit=1)
            schedule = dataclasses.replace(schedule, set=dataclasses.replace(
                PULSE, ticks=configuration.board.shortest_pulse_ticks))
            await bench.begin(ctx, 0, {(0, 0): 4000}, 10, schedule)
            await ctx.tick().until(bench.dut.job_done)
        await ctx.tick().repeat(10)
    bench.run(body)
    return tape


def play(design, tape, wait):
    """Rules of the parts that a tape breaks, ``wait`` ticks after power-up."""
    bench = PinBench(configured({}), design)
    for clock, levels in tape:
        bench.tick = wait + 1 + clock
        bench.set(**levels)
    return bench.broken()


@pytest.mark.parametrize("scenario", ["reset", "read", "pulse"])
def test_the_times_of_the_default_board_break_no_rule(design, scenario):
    assert play(design, sequence({}, scenario), WAKE) == []


HOLD, READY = "to the hold: limit 2720", "before START has ended"
SENT = "self.sdi.eq(word[-1]), "
# times of the board, spoilt text, what is done, the rules broken. At 10 ns a tick SCLK's period cannot be too short.
BROKEN = {
    "too fast": ({"shift_half_ticks": 1, "latch_ticks": 1, "dac_high_ticks": 1, "adc_half_ticks": 4}, (), "read", (
        "HC595 WL: tsu SER to SRCLK: limit 25, measured 10", "HC595 BL: tw SRCLK low: limit 20, measured 10",
        "HC595 WL: tw SRCLK high: limit 20, measured 10", "HC595 WL: cascade period of SRCLK: limit 65, measured 20",
        "HC595 WL: tw RCLK high: limit 20, measured 10", "DAC80508 0: CS_n high: limit 15, measured 10",
        "ADS8324: DCLOCK period: limit 833, measured 80", "ADS8324: DCLOCK low: limit 200, measured 40",
        "ADS8324: DCLOCK high: limit 200, measured 40", "ADS8324: CS_n fall to DCLOCK rise (tSUCS): limit 50",
        "ADS8324: CS_n fall to CS_n fall: limit 20000")),
    "READ too early": ({"start_settle_ticks": 1}, (), "one row", (f"board: WL in READ {READY}",
                                                                  f"board: BL in READ {READY}")),
    "held too early": ({"adc_hold_clocks": 2, "dac_settle_ticks": 100, "inhibit_ticks": 40}, (
        (lines, "Lines", ("switch.change.eq(moves[line])", "switch.change.eq(1)")),), "read", (
        f"settling: ADC switch {HOLD}", f"settling: WL switch {HOLD}", f"settling: BL switch {HOLD}",
        f"settling: SL switch {HOLD}", "settling: DAC to the hold: limit 12000",
        *(f"CD4051B {group}: INH high before an address changes: limit 450, measured 4" for group in ("BL", "ADC")))),
    "pulsed too early": (
        {"line_settle_ticks": 800, "dac_settle_ticks": 100, "shortest_pulse_ticks": 150, "inhibit_ticks": 40}, (),
        "pulse", ("settling: BL before a pulse: limit 10000", "settling: SL before a pulse: limit 10000",
                  "settling: supplies before a pulse: limit 10000", "settling: supplies to the hold: limit 12000",
                  "board: width of a pulse by wl_mux_inh: limit 2000, measured 15",
                  *(f"CD4051B {group}: INH high before an address changes: limit 450" for group in ("WL", "SL")))),
    "cleared too short": ({"clear_ticks": 1}, (), "reset", ("HC595 WL: tw SRCLR_n low: limit 20, measured 10",)),
    "asked too early": ({}, (), "asleep", ("DAC80508 0: wait after power-up or reset: limit 250000",)),
    "answered too fast": ({"dac_lead_ticks": 1}, (
        (frames, "FrameSender", ("half = Mux(slowly, slow - 1, fast - 1)", "half = fast - 1")),), "frames", (
        "DAC80508 0: SCLK high while answering: limit 35", "DAC80508 0: SCLK low while answering: limit 35",
        "DAC80508 0: SCLK period: limit 83", "DAC80508 0: CS_n fall to SCLK fall: limit 32")),
    "selected too late": ({"dac_half_ticks": 1}, ((frames, "FrameSender", (
        "left.eq(FRAME_BITS - 1), self.cs_n.eq(~frame.select),", "left.eq(FRAME_BITS - 1),"), (
        'm.State("Lead"), m.If(timer == 0):\n', 'm.State("Lead"), m.If(timer == 0):\n'
        "                m.d.sync += self.cs_n.eq(~1)\n")),), "frames",
        ("DAC80508 0: CS_n fall to SCLK fall: limit 13",)),
    "released too early": ({}, ((frames, "FrameSender", (
        "[self.sclk.eq(0), timer", "[self.sclk.eq(0), self.cs_n.eq(Mux(left == 0, ~0, self.cs_n)), timer")),), "frames",
        ("DAC80508 0: SCLK fall to CS_n rise: limit 10, measured 0",)),
    "data with the wrong edge": ({}, ((frames, "FrameSender", (SENT, ""), (
        "[self.sclk.eq(0), timer", f"[self.sclk.eq(0), {SENT}timer")),), "frames",
        ("DAC80508 0: SDI stable around SCLK fall: limit 5, measured 0",)),
    "a bit too few": ({}, ((frames, "FrameSender", ("left.eq(FRAME_BITS - 1)", "left.eq(FRAME_BITS - 2)")),), "frames",
                      ("DAC80508 0: bits in a frame: limit 24, measured 23",)),
    "updated twice": ({"dac_half_ticks": 1}, ((start, "StartUp", (
        "            (everybody, DacRegister.TRIGGER, TRIGGER_LDAC),\n",
        "            (everybody, DacRegister.TRIGGER, TRIGGER_LDAC),\n" * 2)),), "start",
        ("DAC80508 0: update to update of a channel: limit 1000",)),
    "latched with every bit": ({"shift_half_ticks": 1}, ((chain, "Chain", (
        "[self.srclk.eq(1), timer", "[self.srclk.eq(1), self.rclk.eq(1), timer"), (
        "[self.srclk.eq(0), timer", "[self.srclk.eq(0), self.rclk.eq(0), timer")),), "one row", (
        "HC595 WL: tsu SRCLK to RCLK: limit 19, measured 0", "HC595 WL: tw RCLK low: limit 20, measured 10")),
    "clocked after a clear": ({"shift_half_ticks": 1}, ((chain, "Chain", (
        "[self.srclk.eq(0), timer", "[self.srclk.eq(0), self.srclr_n.eq(left[0]), timer")),), "one row",
        ("HC595 WL: tsu SRCLR_n high to SRCLK: limit 12, measured 10",)),
    "cleared under a clock": ({}, ((chain, "Chain", (
        "[self.srclk.eq(1), timer", "[self.srclk.eq(1), self.srclr_n.eq(left[0]), timer")),), "one row",
        ("HC595 WL: SRCLK low while SRCLR_n rises: limit 0",)),
    "latched in a clear": ({"clear_ticks": 1}, ((chain, "Chain", (
        "[self.srclr_n.eq(1), timer.eq(recover - 1)]", "self.rclk.eq(1)"), (
        "self.rclk.eq(0), off.eq(0)", "self.rclk.eq(0), self.srclr_n.eq(1), off.eq(0)")),), "reset",
        ("HC595 WL: tsu SRCLR_n low to RCLK: limit 13, measured 10",)),
    "converted too short": ({}, ((converter, "Converter", (
        "half < 2 * board.adc_clocks - 1", "half < 2 * 20 - 1")),), "one row",
        ("ADS8324: DCLOCK falls in a conversion: limit 21, measured 19",)),
    "selected under a clock": ({}, ((converter, "Converter", (
        "self.dclock.eq(0), self.cs_n.eq(0)", "self.dclock.eq(1), self.cs_n.eq(0)")),), "one row",
        ("ADS8324: DCLOCK low at CS_n fall (tCSD): limit 0",)),
    "stopped in a conversion": ({}, ((converter, "Converter", (
        "tick = Signal(range(board.adc_half_ticks))", "tick = Signal(16)"), (
        "elapsed.eq(elapsed + 1)", "elapsed.eq(elapsed + (half != 12))"), (
        "tick == board.adc_half_ticks - 1", "tick == board.adc_half_ticks - 1 + 4158 * (half == 12)")),), "one row",
        ("ADS8324: DCLOCK period, at most: limit 41660, measured 4",)),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.soak] * bool(spoilt))
                                  for name, (_, spoilt, *_) in BROKEN.items()])
def test_a_wrong_time_of_the_sequencer_is_noticed_by_the_part_whose_rule_it_breaks(design, name, monkeypatch):
    times, spoilt, scenario, rules = BROKEN[name]
    for module, kind, *pairs in spoilt:
        monkeypatch.setattr(lines if module is chain else crossbar, kind, spoil(module, kind, *pairs))
    wait = WAKE if scenario != "asleep" else 100
    broken = play(design, sequence(times, "frames" if scenario == "asleep" else scenario), wait)
    for rule in rules:
        assert any(text.startswith(rule) for text in broken), (rule, sorted({text.split(", at")[0] for text in broken}))
