"""The board's parts in SystemVerilog: they answer as their data sheets say, and notice every broken rule."""

import dataclasses
import subprocess

import numpy as np
import pytest
from pin_bench import READ, RESET, SAFE, SET, PinBench, board_design
from rmdlora.cosim.array import Array
from rmdlora.cosim.board import conversions, sources
from rmdlora.cosim.verilate import tool_environment
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.formats import requantise

CONFIGURATION = load_configuration("default")
CONFIGURATION = dataclasses.replace(
    CONFIGURATION, board=dataclasses.replace(CONFIGURATION.board, array_bits=16),
    crossbar=dataclasses.replace(CONFIGURATION.crossbar, arrays=3),
    device=dataclasses.replace(CONFIGURATION.device, preset="taox", seed=11))


@pytest.fixture(scope="module")
def design():
    return board_design(CONFIGURATION)


@pytest.fixture
def bench(design):
    return PinBench(CONFIGURATION, design)


@pytest.mark.parametrize("options", [(), ("-GARRAY_BITS=16",), ("-GCHECKS=0",),
                                     ("-GROWS=128", "-GCOLUMNS=128", "-GDACS=16", "-GADCS=32"),
                                     ("-GROWS=8", "-GCOLUMNS=16", "-GDACS=1", "-GADCS=8", "-GPOSITIONS=2")])
def test_the_parts_have_no_lint(options):
    files = [str(path) for path in sources()[0]]
    files.insert(0, files[-1].replace(".sv", ".vlt"))
    done = subprocess.run(["verilator", "--lint-only", "-Wall", "--top-module", "board", *options, *files],
                          env=tool_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def codes_of(answers, rises):
    """Frames (ADCs, rises) of DOUT, and the codes in them."""
    frames = np.array([[answers[rise, 0] >> part & 1 for rise in rises] for part in range(8)])
    values = frames[:, 6:20] @ (1 << np.arange(13, -1, -1))
    return frames, np.where(values >= 8192, values - 16384, values)


def test_a_tile_read_at_the_pins_gives_the_arrays_codes_bit_by_bit_and_breaks_no_rule(bench):
    generator = np.random.default_rng(1)
    bench.board.array.conductances[:] = generator.integers(1000, 8001, (3, 32, 32))
    twin = Array(CONFIGURATION)
    twin.conductances[:] = bench.board.array.conductances
    volts = generator.integers(-5248, 5249, (2, 32))
    wl, sl = int(generator.integers(1 << 32)), int(generator.integers(1 << 32))
    bench.start(32768 - volts[0])
    bench.connect(wl=wl, sl=sl, array=2)
    taken = [bench.convert()]
    for position in (1, 2, 3):
        bench.switch("adc", position)
        bench.wait(200)
        taken.append(bench.convert())
    bench.write_rows(32768 - volts[1])
    taken.append(bench.convert())           # written, but not yet let through
    bench.frame(0b01111, 0x050010)
    bench.wait(1400)
    taken.append(bench.convert())
    answers = bench.run()
    rows = np.array([wl >> row & 1 for row in range(32)])
    high = [sl >> column & 1 for column in range(32)]
    wanted = [twin.read(np.array([2]), (volts[vector] * rows)[None, None], high)[0, 0] for vector in (0, 0, 1)]
    wanted = [*(wanted[0][8 * position:8 * position + 8] for position in range(4)), wanted[1][24:], wanted[2][24:]]
    for rises, codes in zip(taken, wanted, strict=True):
        frames, read = codes_of(answers, rises)
        assert (frames[:, :5] == 1).all()       # high impedance, pulled up
        assert (frames[:, [5, 20, 21]] == 0).all()
        assert read.tolist() == codes.tolist()
    assert bench.board.array.events.tolist() == [0, 0, 3]
    assert conversions(bench.library) == 6
    assert bench.broken() == []


def test_dout_shows_the_opposite_until_the_data_sheets_delay_has_passed(bench):
    bench.board.array.conductances[:] = np.random.default_rng(2).integers(1000, 8001, (3, 32, 32))
    bench.start([30000] * 32)
    bench.connect()
    rises = bench.convert()
    answers = bench.run()
    for rise in rises[5:20]:        # the fall before it is 42 ticks earlier
        assert (answers[rise - 42 + 25:rise, 0] == answers[rise, 0]).all()
        assert (answers[rise - 42 + 1:rise - 42 + 25, 0] == answers[rise, 0] ^ 0xFF).all()


def test_further_clocks_repeat_the_code_lowest_bit_first(bench):
    bench.board.array.conductances[:] = np.random.default_rng(3).integers(1000, 8001, (3, 32, 32))
    bench.start([30000] * 32)
    bench.connect()
    rises = bench.convert(falls=37)
    frames, _ = codes_of(bench.run(), rises)
    assert (frames[:, 22] == 0).all()
    assert np.array_equal(frames[:, 23:37], frames[:, 19:5:-1])
    assert bench.broken() == []


def sdo(bench, select, word):
    """Answer to a slow read command to one DAC."""
    bench.frame(select, word, half=10)
    bench.set(dac_cs_n=0b11111 & ~select)
    bench.wait(10)
    falls = []
    for _ in range(24):
        bench.set(dac_sclk=1)
        bench.wait(10)
        falls.append(bench.tick)
        bench.set(dac_sclk=0)
        bench.wait(10)
    bench.set(dac_cs_n=0b11111)
    bench.wait(3)
    bits = bench.run()[np.array(falls), 1]
    return int(bits @ (1 << np.arange(23, -1, -1)))


def test_a_dac_answers_what_its_registers_hold(bench):
    bench.power_up()
    identity = sdo(bench, 0b00100, 0x810000)
    assert identity >> 16 == 0x81 and identity >> 12 & 7 == 0 and identity >> 11 & 1 == 1 and identity >> 7 & 1 == 0
    assert sdo(bench, 0b00100, 0x820000) == 0x82FF00
    bench.frame(0b00100, 0x02FFFF)
    bench.frame(0b00100, 0x09ABCD)
    bench.frame(0b00100, 0x0400A5)
    bench.frame(0b00100, 0x061234)      # broadcast: every channel enabled for it
    assert sdo(bench, 0b00100, 0x820000) == 0x82FFFF
    assert sdo(bench, 0b00100, 0x890000) == 0x891234
    assert sdo(bench, 0b00100, 0x840000) == 0x8400A5
    bench.frame(0b00100, 0x05000A)      # soft reset
    bench.wait(25_000)
    assert sdo(bench, 0b00100, 0x820000) == 0x82FF00
    assert sdo(bench, 0b00100, 0x890000) == 0x890000
    assert sdo(bench, 0b01000, 0x890000) == 0x890000
    bench.frame(0b00100, 0x030200)      # DSDO: the line is pulled up
    assert sdo(bench, 0b00100, 0x810000) == 0xFFFFFF
    assert bench.broken() == []


def test_bits_reach_the_outputs_only_by_a_latch_and_only_while_enabled(bench):
    bench.board.array.conductances[:] = 5000
    bench.start([32768 - 1000] * 32)
    bench.connect(wl=0x0000000F)
    read = []

    def convert():
        bench.wait(400)
        rises = bench.convert()
        read.append(codes_of(bench.run(), rises)[1][0])

    convert()
    for place in range(48):     # into the shift register, not beyond
        bench.set(wl_ser=1)
        bench.wait(5)
        bench.set(wl_srclk=1)
        bench.wait(5)
        bench.set(wl_srclk=0)
        bench.wait(5 + place % 2)
    convert()
    bench.set(wl_mux_inh=1)
    bench.wait(50)
    bench.set(wl_oe_n=1)        # pulled down: no row is on
    bench.wait(10)
    bench.set(wl_mux_inh=0)
    convert()
    bench.set(wl_mux_inh=1)
    bench.wait(50)
    bench.set(wl_srclr_n=0, wl_oe_n=0)
    bench.wait(20)
    bench.set(wl_srclr_n=1)
    bench.wait(10)
    bench.set(wl_mux_inh=0)
    convert()                   # the clear reached the shift register alone
    assert bench.broken() == []
    four = read[0]
    assert four > 0 and [int(code) for code in read] == [four, four, 0, four]


def test_a_chain_held_clear_since_power_up_latches_zeros(bench):
    bench.board.array.conductances[:] = 5000
    bench.start([32768 - 100] * 32)
    for line, length in (("wl", 48), ("bl", 32)):
        bench.shift(line, 0xFFFFFFFF, length)
    for group in ("sl", "bl", "wl"):
        bench.switch(group, READ)
    bench.switch("adc", 0)
    bench.wait(400)
    rises = bench.convert()         # SL: zeros, so the low range
    code = requantise(100 * 5000 * 32 * 21475, 32, 14)
    assert abs(codes_of(bench.run(), rises)[1] - code).max() < 10
    assert bench.broken() == []


# ---- broken rules: what is done, and which part must say what ----

def ready(bench):
    bench.start([32768 - 1000] * 32)
    bench.connect()


def chain(**times):
    def act(bench):
        bench.power_up()
        bench.shift("wl", 0x5555_5555_5555, 48, **times)
    return act


def clear_pulse(bench):
    bench.power_up()
    bench.set(sl_srclr_n=0)
    bench.wait(1)
    bench.set(sl_srclr_n=1)


def clock_after_clear(bench):
    bench.power_up()
    bench.set(sl_srclr_n=0)
    bench.wait(20)
    bench.set(sl_srclr_n=1)
    bench.wait(1)
    bench.set(sl_srclk=1)
    bench.wait(5)
    bench.set(sl_srclk=0)


def clear_under_clock(bench):
    bench.power_up()
    bench.set(sl_srclk=1)
    bench.wait(5)
    bench.set(sl_srclr_n=0)
    bench.wait(20)
    bench.set(sl_srclr_n=1)


def latch_in_clear(bench):
    bench.power_up()
    bench.set(sl_srclr_n=0)
    bench.wait(1)
    bench.set(sl_rclk=1)
    bench.wait(20)
    bench.set(sl_rclk=0)


def two_latches(bench):
    bench.power_up()
    for value, ticks in ((1, 2), (0, 1), (1, 5), (0, 5)):
        bench.set(sl_rclk=value)
        bench.wait(ticks)


def early_change(bench):
    ready(bench)
    bench.switch("adc", 1, inhibit=44)


def change_while_on(bench):
    ready(bench)
    bench.set(adc_mux_a=1)


def live_bit(bench):
    ready(bench)
    bench.shift("sl", 1, 32)


def dac_frame(select=0b00001, word=0x080000, **times):
    def act(bench):
        bench.power_up()
        bench.frame(select, word, **times)
        bench.frame(select, 0)
    return act


def dac_answer(half=10, lead=10):
    def act(bench):
        bench.power_up()
        bench.frame(0b00001, 0x810000)
        bench.frame(0b00001, 0, half=half, lead=lead)
    return act


def early_frame(bench):
    bench.wait(20_000)
    bench.frame(0b00001, 0)


def moving_data(bench):
    bench.power_up()
    bench.set(dac_cs_n=0b11110)
    bench.wait(4)
    for place in range(24):
        bench.set(dac_sclk=1)
        bench.wait(2)
        bench.set(dac_sclk=0, dac_sdi=place == 3)
        bench.wait(2)
    bench.set(dac_cs_n=0b11111)


def two_updates(bench):
    bench.power_up()
    bench.frame(0b00001, 0x080001, half=1, lead=2, trail=1, high=2)
    bench.frame(0b00001, 0x080002, half=1, lead=2, trail=1, high=2)


def two_answers(bench):
    bench.power_up()
    bench.frame(0b00011, 0x810000)


def conversion(falls=22, **times):
    def act(bench):
        ready(bench)
        bench.convert(falls=falls, **times)
    return act


def conversions_too_close(bench):
    ready(bench)
    bench.convert(idle=20)
    bench.convert()


def clock_high_at_select(bench):
    ready(bench)
    bench.set(adc_dclock=1)
    bench.wait(50)
    bench.set(adc_cs_n=0)


def slow_clock(bench):
    ready(bench)
    bench.convert(half=2200)


def uneven_clock(low):
    def act(bench):
        ready(bench)
        bench.set(adc_cs_n=0)
        bench.wait(42)
        for _ in range(22):
            bench.set(adc_dclock=1)
            bench.wait(19 if not low else 65)
            bench.set(adc_dclock=0)
            bench.wait(65 if not low else 19)
        bench.set(adc_cs_n=1)
    return act


def read_before_start(group):
    def act(bench):
        bench.power_up()
        bench.shift(group, 1, 48 if group == "wl" else 32)
        bench.switch(group, READ)
    return act


def read_too_soon(bench):
    bench.start(settle=100)
    bench.shift("wl", 1, 48)
    bench.switch("wl", READ)


def reset_while_reading(bench):
    ready(bench)
    bench.frame(0b00001, 0x05000A)


def mixed_modes(bench):
    ready(bench)
    bench.switch("sl", SET)


def supplies_while_reading(bench):
    ready(bench)
    bench.frame(0b10000, 0x080001)


def pulse(width=300, settle=1000, group=None, supplies=False):
    def act(bench):
        bench.start()
        bench.shift("wl", 1, 48)
        bench.switch("bl", SET)
        bench.switch("sl", SET)
        bench.wait(1000)
        if supplies:
            bench.frame(0b10000, 0x080001)
            bench.frame(0b10000, 0x050010)
        if group:
            bench.switch(group, SET)
        bench.wait(settle)
        bench.switch("wl", SET, connect=width)
        bench.set(wl_mux_inh=1)
    return act


def strange_pulse(wl=1, sl=1, bl=SET, trigger=False, early=False):
    """A pulse that is not at one cell in one mode; or a trigger with WL not on the analyser."""
    def act(bench):
        bench.start()
        bench.shift("wl", wl, 48)
        bench.shift("sl", sl, 32)
        bench.switch("bl", bl)
        bench.switch("sl", SET)
        bench.wait(1000)
        bench.switch("wl", SET, connect=300)
        if trigger:
            bench.set(b1500_trig_out=1)
            bench.wait(10)
        if early:
            bench.set(bl_mux_inh=1)
            bench.wait(10)
        bench.set(wl_mux_inh=1)
    return act


def sampled(**changes):
    """A conversion after ``changes``: a function of the bench, or a group to leave in another mode."""
    def act(bench):
        ready(bench)
        for group, mode in changes.items():
            bench.switch(group, mode)
        bench.wait(400)
        bench.convert()
    return act


def unsettled(group):
    def act(bench):
        ready(bench)
        bench.set(adc_cs_n=0)
        bench.wait(42)
        for fall in range(22):
            if fall == 2:       # connected 2 DCLOCKs before the hold: 168 ticks, not 272
                bench.set(**{f"{group}_mux_inh": 1})
            bench.set(adc_dclock=1)
            bench.wait(42)
            if fall == 2:
                bench.set(**{f"{group}_mux_inh": 0})
            bench.set(adc_dclock=0)
            bench.wait(42)
        bench.set(adc_cs_n=1)
    return act


def unsettled_dac(bench):
    ready(bench)
    bench.write_rows([30000] * 32)
    bench.frame(0b01111, 0x050010)
    bench.wait(700)         # 700 + 42 + 4.5 DCLOCKs: 1,120 ticks at the hold, not 1,200
    bench.convert()


def configured(*frames, codes=(32768 - 1000,) * 32, supplies=(0, 0, 0, 43254, 0x8000)):
    def act(bench):
        bench.start(codes, supplies)
        for select, word in frames:
            bench.frame(select, word)
        bench.connect()
        bench.wait(1000)
        bench.convert()
    return act


def inhibited(group):
    def act(bench):
        ready(bench)
        bench.set(**{f"{group}_mux_inh": 1})
        bench.wait(400)
        bench.convert()
    return act


BROKEN = [
    (chain(setup=2, low=2, high=8), "HC595 WL: tsu SER to SRCLK: limit 25, measured 20"),
    (chain(setup=1, low=1, high=8), "HC595 WL: tw SRCLK low: limit 20, measured 10"),
    (chain(setup=8, high=1), "HC595 WL: tw SRCLK high: limit 20, measured 10"),
    (chain(setup=3, low=3, high=3), "HC595 WL: cascade period of SRCLK: limit 65, measured 60"),
    (chain(high=1, setup=8, latch=0), "HC595 WL: tsu SRCLK to RCLK: limit 19, measured 10"),
    (chain(width=1), "HC595 WL: tw RCLK high: limit 20, measured 10"),
    (two_latches, "HC595 SL: tw RCLK low: limit 20, measured 10"),
    (clear_pulse, "HC595 SL: tw SRCLR_n low: limit 20, measured 10"),
    (clock_after_clear, "HC595 SL: tsu SRCLR_n high to SRCLK: limit 12, measured 10"),
    (clear_under_clock, "HC595 SL: SRCLK low while SRCLR_n rises: limit 0, measured 0"),
    (latch_in_clear, "HC595 SL: tsu SRCLR_n low to RCLK: limit 13, measured 10"),
    (early_change, "CD4051B ADC: INH high before an address changes: limit 450, measured 440"),
    (change_while_on, "CD4051B ADC: INH high before an address changes: limit 450, measured 0"),
    (live_bit, "CD4051B SL: INH high before an address changes: limit 450, measured 0"),
    (early_frame, "DAC80508 0: wait after power-up or reset: limit 250000, measured 2000"),
    (dac_frame(high=1), "DAC80508 0: CS_n high: limit 15, measured 10"),
    (dac_frame(bits=23), "DAC80508 0: bits in a frame: limit 24, measured 23"),
    (dac_frame(bits=25), "DAC80508 0: bits in a frame: limit 24, measured 25"),
    (dac_frame(word=0x180000), "DAC80508 0: reserved bits of a frame: limit 0, measured 1"),
    (dac_frame(word=0x030A00), "DAC80508 0: CRC frames are not modelled: limit 0, measured 1"),
    (dac_frame(lead=0, half=1), "DAC80508 0: CS_n fall to SCLK fall: limit 13, measured 10"),
    (dac_frame(half=1, trail=0), "DAC80508 0: SCLK fall to CS_n rise: limit 10, measured 0"),
    (moving_data, "DAC80508 0: SDI stable around SCLK fall: limit 5, measured 0"),
    (dac_answer(half=3), "DAC80508 0: SCLK high while answering: limit 35, measured 30"),
    (dac_answer(half=3), "DAC80508 0: SCLK low while answering: limit 35, measured 30"),
    (dac_answer(half=4), "DAC80508 0: SCLK period: limit 83, measured 80"),
    (dac_answer(half=1, lead=1), "DAC80508 0: CS_n fall to SCLK fall: limit 32, measured 20"),
    (two_updates, "DAC80508 0: update to update of a channel: limit 1000, measured 520"),
    (two_answers, "DAC80508: parts that drive SDO: limit 1, measured 2"),
    (conversion(half=41), "ADS8324: DCLOCK period: limit 833, measured 820"),
    (conversion(select=4), "ADS8324: CS_n fall to DCLOCK rise (tSUCS): limit 50, measured 40"),
    (conversion(falls=20), "ADS8324: DCLOCK falls in a conversion: limit 21, measured 20"),
    (conversions_too_close, "ADS8324: CS_n fall to CS_n fall: limit 20000, measured 19300"),
    (clock_high_at_select, "ADS8324: DCLOCK low at CS_n fall (tCSD): limit 0, measured 0"),
    (slow_clock, "ADS8324: DCLOCK period, at most: limit 41660, measured 44000"),
    (uneven_clock(low=True), "ADS8324: DCLOCK low: limit 200, measured 190"),
    (uneven_clock(low=False), "ADS8324: DCLOCK high: limit 200, measured 190"),
    (read_before_start("wl"), "board: WL in READ before START has ended: limit 0, measured 1"),
    (read_before_start("bl"), "board: BL in READ before START has ended: limit 0, measured 1"),
    (read_too_soon, "board: WL in READ before START has ended: limit 0, measured 1"),
    (reset_while_reading, "board: WL in READ before START has ended: limit 0, measured 1"),
    (mixed_modes, "board: groups in READ while others program: limit 0, measured 1"),
    (supplies_while_reading, "board: supplies selected while reading: limit 0, measured 1"),
    (pulse(width=199), "board: width of a pulse by wl_mux_inh: limit 2000, measured 1990"),
    (pulse(group="bl", settle=800), "settling: BL before a pulse: limit 10000"),
    (pulse(group="sl", settle=800), "settling: SL before a pulse: limit 10000"),
    (pulse(supplies=True, settle=800), "settling: supplies before a pulse: limit 10000"),
    (strange_pulse(wl=3), "array: cells under a pulse: limit 1, measured 2"),
    (strange_pulse(sl=0x80000001), "array: cells under a pulse: limit 1, measured 2"),
    (strange_pulse(bl=RESET), "board: BL and SL both in SET or both in RESET at a pulse: limit 1, measured 0"),
    (strange_pulse(trigger=True), "board: a trigger with WL on the analyser: limit 1, measured 0"),
    (strange_pulse(early=True), "board: lines that move in a pulse: limit 0, measured 1"),
    (unsettled("wl"), "settling: WL switch to the hold: limit 2720, measured 1680"),
    (unsettled("bl"), "settling: BL switch to the hold: limit 2720, measured 1680"),
    (unsettled("sl"), "settling: SL switch to the hold: limit 2720, measured 1680"),
    (unsettled("adc"), "settling: ADC switch to the hold: limit 2720, measured 1680"),
    (unsettled_dac, "settling: DAC to the hold: limit 12000"),
    (sampled(wl=SAFE), "board: WL in READ at the hold: limit 1, measured 0"),
    (sampled(bl=SAFE), "board: BL in READ at the hold: limit 1, measured 0"),
    (sampled(sl=RESET), "board: SL in READ at the hold: limit 1, measured 0"),
    (inhibited("wl"), "board: WL in READ at the hold: limit 1, measured 0"),
    (inhibited("adc"), "board: ADC switch connected at the hold: limit 1, measured 0"),
    (configured((0b00001, 0x030200)), "DAC80508: reference from the last part alone: limit 0, measured 1"),
    (configured((0b10000, 0x030300)), "DAC80508: reference from the last part alone: limit 0, measured 1"),
    (configured((0b00010, 0x040001)), "DAC80508: full scale of the rows 2.5 V: limit 0, measured 1"),
    (configured((0b00010, 0x040100)), "DAC80508: full scale of the rows 2.5 V: limit 0, measured 1"),
    (configured((0b00010, 0x030303)), "DAC80508: driven rows powered down: limit 0, measured 2"),
    (configured(supplies=(0, 0, 0, 100, 0x8000)),
     "board: V_WL_RD at least 2.5 V, in codes of 5 V: limit 32768, measured 100"),
    (configured((0b10000, 0x040000)), "board: V_WL_RD at least 2.5 V"),
    (configured(supplies=(0, 0, 0, 43254, 0x7FFF)),
     "board: VCM 1.25 V, in codes of 2.5 V: limit 32768, measured 32767"),
    (configured(codes=[32768 - 5249] * 32), "array: read voltage of a row, in DAC codes: limit 5248, measured 5249"),
]


@pytest.mark.parametrize("act, rule", BROKEN, ids=[f"{place} {rule.split(': limit')[0]}"
                                                   for place, (_, rule) in enumerate(BROKEN)])
def test_every_broken_rule_is_noticed(bench, act, rule):
    act(bench)
    assert any(text.startswith(rule) for text in bench.broken()), bench.broken()


@pytest.mark.parametrize("act", [
    chain(setup=4, low=4, high=3, latch=2, width=2), dac_frame(half=1, lead=2, trail=1, high=2),
    dac_answer(half=5, lead=4), conversion(falls=21), pulse(width=200), pulse(group="bl"),
])
def test_moves_at_the_limits_are_allowed(bench, act):
    act(bench)
    assert bench.broken() == []


def test_a_smaller_board_without_array_select_reads_its_positions_and_notices_one_it_has_not():
    configuration = dataclasses.replace(
        CONFIGURATION, board=dataclasses.replace(CONFIGURATION.board, array_bits=0, positions=2),
        crossbar=dataclasses.replace(CONFIGURATION.crossbar, arrays=1),
        geometry=dataclasses.replace(CONFIGURATION.geometry, tile_rows=8, tile_columns=16),
        device=dataclasses.replace(CONFIGURATION.device, preset="ideal"))
    bench = PinBench(configuration, board_design(configuration))
    cells = np.random.default_rng(4).integers(1000, 8001, (8, 16))
    bench.board.array.conductances[0] = cells
    bench.start([32768 + 5000] * 8)
    bench.connect()
    taken = [bench.convert()]
    bench.switch("adc", 1)
    bench.wait(200)
    taken.append(bench.convert())
    read = np.concatenate([codes_of(bench.run(), rises)[1] for rises in taken])
    assert bench.broken() == []
    assert read.tolist() == [requantise(-5000 * int(total) * 21475, 32, 14) for total in cells.sum(axis=0)]
    bench.switch("adc", 2)
    bench.wait(200)
    bench.convert()
    assert any(text.startswith("board: ADC switch position, below: limit 2, measured 2") for text in bench.broken())
