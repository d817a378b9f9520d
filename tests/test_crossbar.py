# amaranth: UnusedElaboratable=no
"""The crossbar sequencer against a board at its pins."""

import dataclasses
import random

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.sim import Simulator
from pin_board import DEVICE_ID, PinBoard
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.crossbar import Crossbar as CrossbarSpecification
from rmdlora.golden.spec.geometry import Geometry, Lanes
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.golden.spec.registers import Fault
from rmdlora.hdl.crossbar import Crossbar
from rmdlora.hdl.pins import BoardPins

TINY = load_configuration("tiny")
# short times, so that simulations are: still every one of them is there to be kept
QUICK = dataclasses.replace(
    TINY.board, dac_wake_ticks=60, dac_half_ticks=1, dac_read_half_ticks=3, dac_lead_ticks=2, dac_trail_ticks=1,
    dac_high_ticks=2, dac_settle_ticks=17, tia_settle_ticks=7, shift_half_ticks=1, latch_ticks=3, clear_ticks=4,
    inhibit_ticks=5, connect_ticks=6, adc_half_ticks=4, adc_guard_ticks=2, start_settle_ticks=21)


def small(mapping="differential", tile=(8, 8), board=QUICK, arrays=64, lanes=TINY.lora, max_inputs=64, **crossbar):
    """A configuration of small tiles where a code is the sum itself: step 1, num / 2**shift = 1."""
    geometry = dataclasses.replace(TINY.geometry, tile_rows=tile[0], tile_columns=tile[1], max_inputs=max_inputs)
    read = {"step": 1, "num": 1, "shift": 0, "arrays": arrays} | crossbar
    return dataclasses.replace(TINY, geometry=geometry, board=board, lora=lanes,
                               sram=dataclasses.replace(TINY.sram, words=1 << 16),
                               crossbar=CrossbarSpecification(mapping=mapping, **read))


def draw_layer(configuration, draw, inputs, outputs, vectors, tile=0):
    """``(conductances, weights, x)``: ``c = x @ weights.T`` where no code saturates, and every cell not of the layer is
    at random."""
    geometry, mapping = configuration.geometry, configuration.crossbar.mapping
    column_tiles = configuration.column_tiles(outputs)
    count = tile + configuration.row_tiles(inputs) * column_tiles
    conductances = draw.integers(0, 8, (count, geometry.tile_rows, geometry.tile_columns))
    weights = np.zeros((outputs, inputs), dtype=np.int64)
    for i in range(inputs):
        row_tile, row = divmod(i, geometry.tile_rows)
        for o in range(outputs):
            column_tile, column = divmod(o, configuration.tile_outputs)
            cells = conductances[tile + row_tile * column_tiles + column_tile][row]
            if mapping == "differential":
                weights[o, i] = cells[2 * column] - cells[2 * column + 1]
            else:
                weights[o, i] = cells[column] - cells[-1]
    return conductances, weights, draw.integers(-128, 128, (vectors, inputs))


def to_beats(values, lanes, draw):
    """Beats of an operand: what is past the ends is at random, for it must be ignored."""
    vectors, width = values.shape
    blocks, groups = lanes.blocks(vectors), lanes.groups(width)
    padded = draw.integers(-128, 128, (blocks * lanes.vectors, groups * lanes.rows))
    padded[:vectors, :width] = values
    shaped = padded.reshape(blocks, lanes.vectors, groups, lanes.rows).transpose(0, 2, 1, 3)
    return shaped.reshape(blocks * groups, -1).tolist()


def from_beats(beats, lanes, vectors, width):
    """The operand of beats, and its padding."""
    blocks, groups = lanes.blocks(vectors), lanes.groups(width)
    shaped = np.array(beats).reshape(blocks, groups, lanes.vectors, lanes.rows).transpose(0, 2, 1, 3)
    whole = shaped.reshape(blocks * lanes.vectors, groups * lanes.rows)
    padding = whole.copy()
    padding[:vectors, :width] = 0
    return whole[:vectors, :width], padding


class Bench:
    """The sequencer, its board, a source of `x` and a sink of `c`."""

    def __init__(self, configuration, conductances, identities=None, x_pause=0.0, c_pause=0.0, seed=0, limit=30_000):
        self.configuration = configuration
        self.dut = Crossbar(configuration)
        self.board = PinBoard(configuration, conductances, identities)
        self.random = random.Random(seed)
        self.x_pause, self.c_pause = x_pause, c_pause
        self.c_open = True
        self.to_send, self.sent, self.received, self.faults = [], 0, [], []
        self.clock, self.limit = 0, limit
        self.names = [name for name, member in BoardPins(configuration).members.items() if member.flow.name == "Out"]
        pins = Cat(getattr(self.dut.pins, name) for name in self.names)
        self.word = Signal(len(pins))       # one signal to look at in every clock, instead of 40
        m = Module()
        self.reset = Signal()
        m.submodules.dut = ResetInserter(self.reset)(self.dut)
        m.d.comb += self.word.eq(pins)
        self.simulator = Simulator(m)
        self.simulator.add_clock(10e-9)
        self.simulator.add_testbench(self.watch, background=True)

    def run(self, body):
        """Simulate ``body(ctx)`` to its end; returns the rules of the board that were broken."""
        self.simulator.add_testbench(body)
        self.simulator.run()
        return self.board.wrong

    async def watch(self, ctx):
        """Everything outside the sequencer, clock by clock."""
        x, c, pins = self.dut.x, self.dut.c, self.dut.pins
        widths = [len(getattr(self.dut.pins, name)) for name in self.names]
        element = len(c.payload.as_value()) // self.configuration.lora.beat_elements
        previous, levels, outputs, offering, open_ = None, None, None, False, False
        signals = (self.word, self.dut.fault, x.ready, c.valid, c.payload.as_value())
        async for _, _, word, fault, x_ready, c_valid, payload in ctx.tick().sample(*signals):
            if word != previous:
                previous, levels, rest = word, {}, word
                for name, width in zip(self.names, widths, strict=True):
                    levels[name] = rest & (1 << width) - 1
                    rest >>= width
            answer = self.board.advance(levels)
            if answer != outputs:
                outputs = answer
                ctx.set(pins.dac_sdo, answer[0])
                ctx.set(pins.adc_dout, answer[1])
            if fault:
                self.faults.append(fault)
            if offering and x_ready:
                self.to_send.pop(0)
                self.sent += 1
            if not offering or x_ready:
                offers = bool(self.to_send) and self.random.random() >= self.x_pause
                if offers:
                    ctx.set(x.payload, self.to_send[0])
                if offers != offering:
                    offering = offers
                    ctx.set(x.valid, offers)
            if open_ and c_valid:
                codes = [payload >> element * index & (1 << element) - 1
                         for index in range(self.configuration.lora.beat_elements)]
                self.received.append([code - (code >> element - 1 << element) for code in codes])
            opens = self.c_open and (not self.c_pause or self.random.random() >= self.c_pause)
            if opens != open_:
                open_ = opens
                ctx.set(c.ready, opens)
            self.clock += 1
            assert self.clock < self.limit, f"not done after {self.limit} clocks"

    async def wait_ready(self, ctx):
        await ctx.tick().until(self.dut.ready | self.dut.failed)

    async def command(self, ctx, inputs, outputs, vectors, tile=0, high=0):
        """Hand over a command; returns the clock in which it was accepted."""
        command = self.dut.command
        ctx.set(command.payload, {"vectors": vectors, "inputs": inputs, "outputs": outputs, "tile": tile, "high": high})
        ctx.set(command.valid, 1)
        await ctx.tick().until(command.ready)
        ctx.set(command.valid, 0)
        return self.clock - 1


def read_layer(configuration, inputs, outputs, vectors, tile=0, seed=0, **bench):
    """Read one layer at random; returns the bench, the `c` expected and the one received."""
    draw = np.random.default_rng(seed)
    conductances, weights, x = draw_layer(configuration, draw, inputs, outputs, vectors, tile)
    bench = Bench(configuration, conductances, seed=seed, **bench)
    bench.to_send = to_beats(x, configuration.lora, draw)

    async def body(ctx):
        await bench.wait_ready(ctx)
        await bench.command(ctx, inputs, outputs, vectors, tile)
        await ctx.tick().until(~bench.dut.busy)
        bench.counts = {name: ctx.get(getattr(bench.dut, name))
                        for name in ("conversions", "tile_reads", "frames", "pulses")}
        await ctx.tick().repeat(5)

    assert not bench.run(body)
    assert not bench.to_send, "beats of x were left over"
    groups = configuration.lora.blocks(vectors) * configuration.lora.groups(outputs)
    assert len(bench.received) == groups
    received, padding = from_beats(bench.received, configuration.lora, vectors, outputs)
    assert not padding.any(), "elements past the end are not 0"
    return bench, x @ weights.T, received


@pytest.mark.parametrize("mapping", ["differential", "reference"])
@pytest.mark.parametrize("inputs, outputs, vectors, tile", [
    (8, 4, 3, 0),       # one full tile (of outputs, with pairs)
    (1, 1, 2, 5),       # one cell
    (17, 6, 2, 1),      # several tiles both ways, remainders both ways
])
def test_c_is_the_integer_product(mapping, inputs, outputs, vectors, tile):
    bench, expected, received = read_layer(small(mapping), inputs, outputs, vectors, tile, seed=inputs)
    np.testing.assert_array_equal(received, expected)
    assert not bench.faults


@pytest.mark.parametrize("lanes, positions, tile", [
    (Lanes(lanes=2, rows=2, vectors=2, chunk=8), 4, (8, 8)),
    (Lanes(lanes=2, rows=16, vectors=4, chunk=8), 2, (16, 8)),
    (Lanes(lanes=1, rows=1, vectors=1, chunk=8), 1, (8, 16)),
])
@pytest.mark.parametrize("mapping", ["differential", "reference"])
def test_c_is_the_integer_product_with_other_lanes_and_positions(lanes, positions, tile, mapping):
    board = dataclasses.replace(QUICK, positions=positions)
    configuration = small(mapping, tile=tile, lanes=lanes, board=board)
    _, expected, received = read_layer(configuration, tile[0] + 2, 9, 3, seed=positions)
    np.testing.assert_array_equal(received, expected)


def test_codes_saturate_and_round_as_the_contract_says():
    configuration = small(step=41, num=3 << 4, shift=11)
    draw = np.random.default_rng(3)
    conductances, _, x = draw_layer(configuration, draw, 8, 4, 4)
    conductances *= 11
    x[0], x[1] = -128, 127
    bench = Bench(configuration, conductances)
    bench.to_send = to_beats(x, configuration.lora, draw)

    async def body(ctx):
        await bench.wait_ready(ctx)
        await bench.command(ctx, 8, 4, 4)
        await ctx.tick().until(~bench.dut.busy)

    assert not bench.run(body)
    from rmdlora.golden.spec.formats import requantise
    codes = np.vectorize(lambda current: requantise(int(current) * (3 << 4), 11, 14))(41 * x @ conductances[0])
    assert codes.max() == 8191 and codes.min() == -8192
    received, _ = from_beats(bench.received, configuration.lora, 4, 4)
    np.testing.assert_array_equal(received, codes[:, 0::2] - codes[:, 1::2])


@pytest.mark.parametrize("seed", range(2))
def test_starving_x_and_holding_c_back_changes_no_value(seed):
    lanes = Lanes(lanes=2, rows=2, vectors=2, chunk=8)
    _, expected, received = read_layer(small(lanes=lanes), 11, 6, 5, seed=seed, x_pause=0.99, c_pause=0.98)
    np.testing.assert_array_equal(received, expected)


def test_x_is_taken_two_blocks_ahead_and_reading_stops_while_nobody_takes_c():
    configuration = small()
    draw = np.random.default_rng(0)
    conductances, weights, x = draw_layer(configuration, draw, 8, 4, 7)
    bench = Bench(configuration, conductances)
    bench.to_send = to_beats(x, configuration.lora, draw)
    bench.c_open = False
    beats = configuration.lora.groups(8)

    async def body(ctx):
        await bench.wait_ready(ctx)
        await bench.command(ctx, 8, 4, 7)
        await ctx.tick().repeat(40)
        assert bench.sent >= 3 * beats and not bench.board.conversions
        await ctx.tick().repeat(6000)
        assert len(bench.board.conversions) == 8, "two blocks of four conversions each"
        assert bench.sent >= 4 * beats
        bench.c_open = True
        await ctx.tick().until(~bench.dut.busy)

    assert not bench.run(body)
    received, _ = from_beats(bench.received, configuration.lora, 7, 4)
    np.testing.assert_array_equal(received, x @ weights.T)


def test_each_slice_is_sent_once_and_only_positions_in_use_are_converted():
    configuration = small()
    inputs, outputs, vectors = 13, 9, 2
    bench, _, _ = read_layer(configuration, inputs, outputs, vectors)
    start = 2 * 4 + 18
    row_tiles, column_tiles = 2, 3
    assert bench.counts["frames"] - start == vectors * (inputs + row_tiles)
    assert bench.counts["tile_reads"] == vectors * row_tiles * column_tiles
    # two whole column tiles of four positions, and one output: a pair, the first position
    assert bench.counts["conversions"] == len(bench.board.conversions) == vectors * row_tiles * (4 + 4 + 1)
    assert bench.counts["pulses"] == 0


def test_a_second_command_starts_over_on_another_layer():
    configuration = small()
    draw = np.random.default_rng(5)
    first, first_weights, first_x = draw_layer(configuration, draw, 9, 5, 2)
    second, second_weights, second_x = draw_layer(configuration, draw, 6, 3, 3)
    bench = Bench(configuration, np.concatenate([first, second]))
    lanes = configuration.lora
    bench.to_send = to_beats(first_x, lanes, draw) + to_beats(second_x, lanes, draw)

    async def body(ctx):
        await bench.wait_ready(ctx)
        await bench.command(ctx, 9, 5, 2)
        await bench.command(ctx, 6, 3, 3, tile=len(first))
        await ctx.tick().until(~bench.dut.busy)

    assert not bench.run(body)
    cut = 2 * lanes.groups(5)
    np.testing.assert_array_equal(from_beats(bench.received[:cut], lanes, 2, 5)[0], first_x @ first_weights.T)
    np.testing.assert_array_equal(from_beats(bench.received[cut:], lanes, 3, 3)[0], second_x @ second_weights.T)


@pytest.mark.parametrize("identities", [
    (None, DEVICE_ID), (DEVICE_ID, 0x1890), (DEVICE_ID, DEVICE_ID & ~0x0800), (0x2890, DEVICE_ID),
])
def test_a_wrong_identity_leaves_everything_inhibited_and_refuses_commands(identities):
    configuration = small()
    bench = Bench(configuration, np.zeros((1, 8, 8), dtype=int), identities=identities)

    async def body(ctx):
        await ctx.tick().repeat(3)
        await bench.command(ctx, 8, 4, 1)
        await ctx.tick().repeat(3)
        assert bench.faults == [Fault.BOARD], "a command before start-up has ended"
        await bench.wait_ready(ctx)
        assert ctx.get(bench.dut.failed) and not ctx.get(bench.dut.ready)
        await bench.command(ctx, 8, 4, 1)
        await ctx.tick().repeat(400)
        assert bench.faults == [Fault.BOARD] * 2 and not ctx.get(bench.dut.busy)
        pins = bench.dut.pins
        assert all(ctx.get(getattr(pins, f"{group}_mux_inh")) for group in ("wl", "bl", "sl", "adc"))

    assert not bench.run(body)
    assert not bench.board.conversions


def test_a_data_line_stuck_at_either_level_ends_the_read_with_a_fault_and_the_next_read_is_whole():
    configuration = small()
    draw = np.random.default_rng(3)
    conductances, weights, x = draw_layer(configuration, draw, 13, 5, 2)
    bench = Bench(configuration, conductances)

    async def body(ctx):
        await bench.wait_ready(ctx)
        for level in (0, 1):
            bench.board.stuck = 1 << level, level
            bench.to_send = to_beats(x, configuration.lora, draw)
            await bench.command(ctx, 13, 5, 2)
            await ctx.tick().until(~bench.dut.busy)
            assert not bench.received and bench.faults == [Fault.FRAMING] * (level + 1)
            assert len(bench.board.conversions) == level + 1
        bench.board.stuck = None
        bench.to_send = to_beats(x, configuration.lora, draw)
        await bench.command(ctx, 13, 5, 2)
        await ctx.tick().until(~bench.dut.busy)
        assert ctx.get(bench.dut.saturated) == 0

    assert not bench.run(body)
    np.testing.assert_array_equal(from_beats(bench.received, configuration.lora, 2, 5)[0], x @ weights.T)


@pytest.mark.parametrize("seed", range(2))
def test_a_command_abandoned_at_any_moment_leaves_the_board_at_rest_and_the_next_one_is_whole(seed):
    configuration = small(lanes=Lanes(lanes=2, rows=2, vectors=2, chunk=8))
    draw = np.random.default_rng(seed)
    conductances, weights, x = draw_layer(configuration, draw, 13, 9, 3)
    bench = Bench(configuration, conductances, seed=seed, x_pause=0.5 * seed, c_pause=0.5 * seed, limit=60_000)
    dut, pins = bench.dut, bench.dut.pins
    still = [pins.adc_cs_n, pins.dac_cs_n, *(getattr(pins, f"{line}_mux_inh") for line in ("wl", "bl", "sl", "adc"))]

    async def body(ctx):
        await bench.wait_ready(ctx)
        for _ in range(8):
            bench.to_send = to_beats(x, configuration.lora, draw)
            await bench.command(ctx, 13, 9, 3)
            await ctx.tick().repeat(int(draw.integers(1, 3000)))
            ctx.set(dut.abandon, 1)
            await ctx.tick().repeat(int(draw.integers(1, 30)))
            ctx.set(dut.abandon, 0)
            await ctx.tick().until(~dut.busy)
            assert [ctx.get(pin) for pin in still] == [1, 3, 0, 0, 0, 0]
            bench.to_send.clear()
            await ctx.tick()
            bench.received.clear()
        bench.to_send = to_beats(x, configuration.lora, draw)
        await bench.command(ctx, 13, 9, 3)
        await ctx.tick().until(~dut.busy)

    assert not bench.run(body)
    np.testing.assert_array_equal(from_beats(bench.received, configuration.lora, 3, 9)[0], x @ weights.T)
    assert not bench.faults


def test_a_reset_in_the_middle_of_a_read_starts_the_board_over():
    configuration = small()
    draw = np.random.default_rng(2)
    conductances, weights, x = draw_layer(configuration, draw, 8, 4, 2)
    bench = Bench(configuration, conductances)
    bench.to_send = to_beats(x, configuration.lora, draw)

    async def body(ctx):
        await bench.wait_ready(ctx)
        await bench.command(ctx, 8, 4, 2)
        while len(bench.board.conversions) < 3:
            await ctx.tick()
        await ctx.tick().repeat(30)
        ctx.set(bench.reset, 1)
        await ctx.tick()
        ctx.set(bench.reset, 0)
        for name, member in BoardPins(configuration).members.items():
            if member.flow.name == "Out" and not name.endswith(("mux_a", "mux_b", "oe_n")):     # these stay
                assert ctx.get(getattr(bench.dut.pins, name)) == (member.init or 0), name
        await ctx.tick().repeat(2)
        bench.board.wrong.clear()       # a frame or a conversion cut short
        bench.received.clear()
        bench.to_send = to_beats(x, configuration.lora, draw)
        await bench.wait_ready(ctx)
        await bench.command(ctx, 8, 4, 2)
        await ctx.tick().until(~bench.dut.busy)

    assert not bench.run(body)
    np.testing.assert_array_equal(from_beats(bench.received, configuration.lora, 2, 4)[0], x @ weights.T)


def test_every_output_is_safe_at_reset():
    dut = Crossbar(TINY)
    simulator = Simulator(dut)
    simulator.add_clock(10e-9)

    async def body(ctx):
        for name, member in BoardPins(TINY).members.items():
            if member.flow.name == "Out":
                assert ctx.get(getattr(dut.pins, name)) == (member.init or 0), name

    simulator.add_testbench(body)
    simulator.run()


def test_full_reads_follow_each_other_without_a_gap_at_the_default_times():
    times = {"dac_wake_ticks": 100, "array_bits": 0}     # the wait after power-up is not part of a read
    default = load_configuration("default")
    configuration = dataclasses.replace(
        default, board=dataclasses.replace(default.board, **times), geometry=Geometry(max_inputs=64, max_outputs=64),
        crossbar=CrossbarSpecification(step=1, num=1, shift=2))
    board, reads = configuration.board, 2
    draw = np.random.default_rng(1)
    conductances = draw.integers(0, 8, (1, 32, 32))
    x = draw.integers(-128, 128, (reads, 32))
    bench = Bench(configuration, conductances)
    bench.to_send = to_beats(x, configuration.lora, draw)

    async def body(ctx):
        await bench.wait_ready(ctx)
        bench.accepted = await bench.command(ctx, 32, 16, reads)
        await ctx.tick().until(~bench.dut.busy)

    assert not bench.run(body)
    starts = bench.board.conversions
    assert np.diff(starts).tolist() == [board.conversion_ticks] * (4 * reads - 1)
    total = starts[-1] + board.conversion_ticks - bench.accepted
    fill = 32 * board.frame_ticks + board.update_ticks + board.dac_settle_ticks + board.tia_settle_ticks
    assert fill <= total - reads * 4 * board.conversion_ticks <= fill + 5
    received, _ = from_beats(bench.received, configuration.lora, reads, 16)
    from rmdlora.golden.spec.formats import round_shift
    codes = np.vectorize(lambda current: round_shift(int(current), 2))(x @ conductances[0])
    np.testing.assert_array_equal(received, codes[:, 0::2] - codes[:, 1::2])


def test_changing_arrays_costs_nothing_where_the_conversion_is_long_enough():
    board = dataclasses.replace(QUICK, adc_half_ticks=10)
    bench, expected, received = read_layer(small(board=board), 20, 5, 2, seed=8)
    np.testing.assert_array_equal(received, expected)
    assert np.diff(bench.board.conversions).tolist() == [board.conversion_ticks] * (len(bench.board.conversions) - 1)
    assert len({change for change in bench.board.line_changes if change[1] == "wl"}) == 2 * 3 * 2


@pytest.mark.parametrize("name", ["default", "tiny", "face", "speaker", "macro128"])
def test_the_sequencer_converts_to_verilog(name):
    configuration = load_configuration(name)
    text = verilog.convert(Crossbar(configuration), name="crossbar", emit_src=False, strip_internal_attrs=True)
    assert "module crossbar(" in text


def test_the_default_board_has_48_pins():
    assert BoardPins(load_configuration("default")).count == 48


def test_a_step_that_leaves_the_dac_is_refused():
    with pytest.raises(RefusedValue, match=r"crossbar\.step must be at most 255 with 8-bit activations"):
        Crossbar(small(step=256))


def test_sums_that_could_wrap_are_refused():
    configuration = small(max_inputs=8192)
    narrow = dataclasses.replace(configuration, formats=dataclasses.replace(configuration.formats, sum=24))
    with pytest.raises(RefusedValue, match=r"formats\.sum must be at least 25"):
        Crossbar(narrow)


def test_the_board_of_these_tests_notices_a_time_that_is_not_kept():
    # the sequencer is built for shorter settling than the board asks for
    hasty = small(board=dataclasses.replace(QUICK, tia_settle_ticks=6))
    bench = Bench(hasty, np.zeros((1, 8, 8), dtype=int))
    bench.board.board = QUICK
    bench.to_send = [[0, 0]] * 4

    async def body(ctx):
        await bench.wait_ready(ctx)
        await bench.command(ctx, 8, 4, 1)
        await ctx.tick().until(~bench.dut.busy)

    wrong = bench.run(body)
    assert wrong and all("1 ticks before all has settled" in text for text in wrong)
