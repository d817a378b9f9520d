# amaranth: UnusedElaboratable=no
"""Programming a tile at the pins: legal sequences, verified cells, pulses counted, and the twin's answer."""

import dataclasses

import numpy as np
import pytest
from program_board import READ, ProgramBoard
from rmdlora.cosim.array import Array
from rmdlora.cosim.programmer import program_tile
from rmdlora.golden.read import read_layer
from rmdlora.golden.spec.program import Amplitude, CellStatus, Schedule, pack_cell, unpack_result
from rmdlora.golden.spec.pulses import PulseModel
from rmdlora.golden.spec.registers import PULSES, Fault
from test_crossbar import QUICK, Bench, from_beats, small, to_beats

CONFIGURATION = small(arrays=4, shift=9, verify_num=1, verify_shift=7, board=dataclasses.replace(
    QUICK, array_bits=16, line_settle_ticks=19, shortest_pulse_ticks=12, analyser_ticks=200))     # a code is a g_lsb
MODEL = PulseModel(gain=13_000, endurance=0)
SCHEDULE = Schedule(
    set=Amplitude(12_600, 655, 32_768, 39_322, 12), reset=Amplitude(19_333, 655, 39_322, 52_429, 15),
    form=Amplitude(20_000, 1_000, 40_000, 30_000, 20), limit=40)


class ProgramBench(Bench):
    """A sequencer on a `ProgramBoard`, a host for its map, and an analyser that answers after ``answer`` clocks."""

    def __init__(self, model=MODEL, configuration=CONFIGURATION, answer=None, **others):
        geometry = configuration.geometry
        cells = np.zeros((configuration.crossbar.arrays, geometry.tile_rows, geometry.tile_columns), dtype=np.int64)
        super().__init__(configuration, cells, **{"limit": 400_000} | others)
        self.board = ProgramBoard(configuration, cells, model)
        self.answer = answer
        self.simulator.add_testbench(self.analyse, background=True)

    async def analyse(self, ctx):
        pins, waited = self.dut.pins, 0
        if self.answer is None:
            return
        async for _, _, asked in ctx.tick().sample(pins.b1500_trig_out):
            waited = waited + 1 if asked else 0
            self.board.triggers += waited == 1
            ctx.set(pins.b1500_trig_in, waited > self.answer)

    async def access(self, ctx, index, word=None):
        """Write or read a cell of the map."""
        port = self.dut.cells
        ctx.set(port.address, 4 * index)
        ctx.set(port.write, word is not None)
        ctx.set(port.w_data, word or 0)
        ctx.set(port.valid, 1)
        data, error = await ctx.tick().sample(port.r_data, port.error).until(port.ready)
        ctx.set(port.valid, 0)
        assert not error
        return data

    async def begin(self, ctx, tile, targets, tolerance, schedule=SCHEDULE):
        """Store a map of ``targets`` ({(row, column): code}) and hand over the job."""
        columns = self.configuration.geometry.tile_columns
        for index in range(self.configuration.geometry.tile_rows * columns):
            target = targets.get(divmod(index, columns))
            await self.access(ctx, index, 1 << 31 if target is None else pack_cell(target, tolerance))
        job = self.dut.job
        ctx.set(job.payload, {
            "tile": tile, "forming": schedule.forming, "analyser": schedule.analyser, "limit": schedule.limit,
            "pulses": [dataclasses.asdict(getattr(schedule, kind.lower())) for kind in PULSES]})
        ctx.set(job.valid, 1)
        await ctx.tick().until(job.ready)
        ctx.set(job.valid, 0)

    async def program(self, ctx, tile, targets, tolerance, schedule=SCHEDULE):
        """Program the cells of ``targets``; their results and the clocks that took."""
        await self.begin(ctx, tile, targets, tolerance, schedule)
        columns, dut, clocks = self.configuration.geometry.tile_columns, self.dut, 1
        while not ctx.get(dut.job_done):
            await ctx.tick()
            clocks += 1
            assert clocks < 300_000
        await ctx.tick()
        results = {cell: unpack_result(await self.access(ctx, cell[0] * columns + cell[1])) for cell in targets}
        return results, clocks + 1

    async def until_ready(self, ctx):
        await ctx.tick().until(self.dut.ready)


def twin(bench, tile, targets, tolerance, schedule=SCHEDULE, before=None):
    """The programming loop in numpy on the same cells."""
    configuration = bench.configuration
    array = before or Array(configuration, pulses=bench.board.model)
    codes, skip = np.zeros((2, array.rows, array.columns), dtype=np.int64)
    skip[:] = 1
    for cell, code in targets.items():
        codes[cell], skip[cell] = code, 0
    return array, program_tile(array, tile, codes, tolerance, schedule, skip.astype(bool))


def agree(bench, array, done, results, clocks):
    """The chip did to its board what the twin did to its array."""
    assert np.array_equal(bench.board.conductances.astype(np.int64), array.conductances)
    assert results == {cell: (done.pulses[cell], done.status[cell]) for cell in results}
    assert clocks == done.cycles


TARGETS = {(0, 0): 1500, (0, 7): 4000, (3, 2): 2500, (7, 5): 8000}


@pytest.mark.parametrize("spread", [0, 1500])
def test_cells_are_pulsed_until_they_verify_exactly_as_the_twin_does_and_not_again(spread):
    bench = ProgramBench(dataclasses.replace(MODEL, spread=spread))

    async def body(ctx):
        await bench.until_ready(ctx)
        results, clocks = await bench.program(ctx, 2, TARGETS, 150)
        array, done = twin(bench, 2, TARGETS, 150)
        agree(bench, array, done, results, clocks)
        assert all(status == CellStatus.VERIFIED for _, status in results.values())
        assert all(abs(bench.board.conductances[(2, *cell)] - code) <= 150 for cell, code in TARGETS.items())
        assert ctx.get(bench.dut.pulses) == len(bench.board.pulses) == done.pulses.sum() > 4
        assert ctx.get(bench.dut.verifies) == len(bench.board.verified) == done.verifies
        ctx.set(bench.dut.shown, 2)
        await ctx.tick().repeat(3)
        assert ctx.get(bench.dut.tile_pulses) == done.pulses.sum()
        ctx.set(bench.dut.shown, 1)
        await ctx.tick().repeat(3)
        assert ctx.get(bench.dut.tile_pulses) == 0
        before = len(bench.board.pulses)
        results, clocks = await bench.program(ctx, 2, TARGETS, 150)
        agree(bench, array, twin(bench, 2, TARGETS, 150, before=array)[1], results, clocks)
        assert results == {cell: (0, CellStatus.VERIFIED) for cell in TARGETS} and len(bench.board.pulses) == before
    assert bench.run(body) == []
    kinds = {kind for _, _, _, kind, *_ in bench.board.pulses}
    assert kinds == {"SET", "RESET"}
    assert {ticks for *_, ticks in bench.board.pulses} <= {12, 15}


def test_a_cell_out_of_pulses_is_given_up_and_reads_go_on_as_before():
    bench = ProgramBench()
    schedule = dataclasses.replace(SCHEDULE, limit=2)
    targets = {(1, 1): 6000, (2, 6): 0}
    x = np.random.default_rng(1).integers(-128, 128, (1, 8))
    lanes = CONFIGURATION.lora

    async def read(ctx):
        bench.to_send = to_beats(x, lanes, np.random.default_rng(2))
        bench.received.clear()
        await bench.command(ctx, 8, 4, 1, 2)
        await ctx.tick().until(~bench.dut.busy)
        wanted = read_layer(bench.board.conductances[2:3].astype(np.int64), x, 4, CONFIGURATION)
        np.testing.assert_array_equal(from_beats(bench.received, lanes, 1, 4)[0], wanted)
        return wanted

    async def body(ctx):
        await bench.until_ready(ctx)
        assert not (await read(ctx)).any()
        results, clocks = await bench.program(ctx, 2, targets, 150, schedule)
        array, done = twin(bench, 2, targets, 150, schedule)
        agree(bench, array, done, results, clocks)
        assert results == {(1, 1): (2, CellStatus.GIVEN_UP), (2, 6): (0, CellStatus.VERIFIED)}
        assert (ctx.get(bench.dut.given_up), ctx.get(bench.dut.pulses)) == (1, 2)
        assert (await read(ctx)).any()
        assert ctx.get(bench.dut.tile_reads) == 2

    assert bench.run(body) == []
    assert [(row, column) for _, row, column, *_ in bench.board.pulses] == [(1, 1)] * 2
    first, second = SCHEDULE.set.start, SCHEDULE.set.start + SCHEDULE.set.step
    assert [(amplitude, gate) for *_, amplitude, gate, _ in bench.board.pulses] == [(first, 39_322), (second, 39_322)]
    assert not bench.faults


def test_forming_pulses_what_is_below_and_leaves_what_is_above():
    bench = ProgramBench()
    bench.board.conductances[1, 0, 1] = 7000
    schedule = dataclasses.replace(SCHEDULE, forming=True)
    targets = {(0, 0): 2000, (0, 1): 2000}

    async def body(ctx):
        await bench.until_ready(ctx)
        results, _ = await bench.program(ctx, 1, targets, 10, schedule)
        assert results[0, 1] == (0, CellStatus.VERIFIED)
        assert results[0, 0] == (len(bench.board.pulses), CellStatus.VERIFIED)

    assert bench.run(body) == []
    amplitudes = [amplitude for *_, amplitude, _, _ in bench.board.pulses]
    assert amplitudes == [20_000 + 1_000 * index for index in range(len(amplitudes))] and amplitudes
    assert {(kind, gate, ticks) for *_, kind, _, gate, ticks in bench.board.pulses} == {("SET", 30_000, 20)}
    assert bench.board.conductances[1, 0, 0] >= 1990 and bench.board.conductances[1, 0, 1] == 7000


@pytest.mark.parametrize("narrow, refused", [("set", True), ("reset", True), ("form", False)])
def test_a_pulse_the_boards_switches_cannot_make_is_refused(narrow, refused):
    bench = ProgramBench()
    schedule = dataclasses.replace(SCHEDULE, **{narrow: dataclasses.replace(getattr(SCHEDULE, narrow), ticks=11)})

    async def body(ctx):
        await bench.until_ready(ctx)
        frames = ctx.get(bench.dut.frames)
        _, clocks = await bench.program(ctx, 0, {(0, 0): 0}, 10, schedule)
        await ctx.tick().repeat(3)
        assert (clocks == 2) == (ctx.get(bench.dut.frames) == frames) == refused

    assert bench.run(body) == []
    assert bench.faults == [Fault.PULSE] * refused and not bench.board.pulses


def test_narrow_pulses_go_to_the_analyser_which_is_triggered_once_a_pulse():
    bench = ProgramBench(answer=37)
    schedule = dataclasses.replace(SCHEDULE, analyser=True, limit=3, set=dataclasses.replace(SCHEDULE.set, ticks=1))

    async def body(ctx):
        await bench.until_ready(ctx)
        results, _ = await bench.program(ctx, 0, {(4, 4): 3000, (5, 5): 0}, 10, schedule)
        assert results == {(4, 4): (3, CellStatus.GIVEN_UP), (5, 5): (0, CellStatus.VERIFIED)}    # nobody moves it here
        assert ctx.get(bench.dut.pulses) == bench.board.triggers == 3

    assert bench.run(body) == []
    assert not bench.faults and not bench.board.pulses


@pytest.mark.parametrize("lets_go", [False, True])
def test_an_analyser_that_does_not_answer_ends_the_operation_with_the_lines_safe(lets_go):
    bench = ProgramBench()
    schedule = dataclasses.replace(SCHEDULE, analyser=True)

    async def body(ctx):
        await bench.until_ready(ctx)
        ctx.set(bench.dut.pins.b1500_trig_in, lets_go)       # stuck: low never answers, high never lets go
        results, _ = await bench.program(ctx, 0, {(0, 1): 3000, (0, 2): 3000}, 10, schedule)
        assert results == {(0, 1): (1, CellStatus.GIVEN_UP), (0, 2): (0, CellStatus.SKIPPED)}   # not reached
        assert [*bench.board.modes.values()] == [READ] * 3 and not any(bench.board.supplies)
        assert not ctx.get(bench.dut.pins.b1500_trig_out)
        results, _ = await bench.program(ctx, 0, {(0, 1): 0}, 10)
        assert results == {(0, 1): (0, CellStatus.VERIFIED)}

    assert bench.run(body) == []
    assert bench.faults == [Fault.ANALYSER]


@pytest.mark.parametrize("level", [0, 1])
def test_a_data_line_that_is_stuck_ends_the_operation_before_any_pulse_and_gives_its_cell_up(level):
    bench = ProgramBench()

    async def body(ctx):
        await bench.until_ready(ctx)
        bench.board.stuck = 2, level
        results, _ = await bench.program(ctx, 0, {(0, 1): 3000, (0, 2): 3000}, 10)
        assert results == {(0, 1): (0, CellStatus.GIVEN_UP), (0, 2): (0, CellStatus.SKIPPED)}   # not reached
        assert [*bench.board.modes.values()] == [READ] * 3 and not bench.board.pulses
        bench.board.stuck = None
        results, _ = await bench.program(ctx, 0, {(0, 1): 0}, 10)
        assert results == {(0, 1): (0, CellStatus.VERIFIED)}

    assert bench.run(body) == []
    assert bench.faults == [Fault.FRAMING]


def test_an_interrupted_map_goes_on_where_it_was_and_counts_on():
    bench = ProgramBench()

    async def body(ctx):
        await bench.until_ready(ctx)
        await bench.begin(ctx, 3, TARGETS, 150)
        while len(bench.board.pulses) < 9 or not bench.board.falls:     # in the middle of the second cell, in a verify
            await ctx.tick()
        ctx.set(bench.reset, 1)
        await ctx.tick()
        ctx.set(bench.reset, 0)
        await ctx.tick().repeat(3)
        bench.board.wrong.clear()       # a conversion cut short
        before = list(bench.board.pulses)
        await bench.until_ready(ctx)
        results, _ = await bench.program(ctx, 3, TARGETS, 150)
        assert all(status == CellStatus.VERIFIED for _, status in results.values())
        assert results[0, 0] == (0, CellStatus.VERIFIED) and {pulse[1:3] for pulse in before} == {(0, 0), (0, 7)}
        assert ctx.get(bench.dut.pulses) == len(bench.board.pulses) > len(before)
        ctx.set(bench.dut.shown, 3)
        await ctx.tick().repeat(3)
        assert ctx.get(bench.dut.tile_pulses) == len(bench.board.pulses)

    assert bench.run(body) == []


def test_the_programming_loops_first_and_last_clocks_are_counted_with_nothing_to_do():
    bench = ProgramBench()

    async def body(ctx):
        await bench.until_ready(ctx)
        _, clocks = await bench.program(ctx, 0, {}, 0)
        assert clocks == twin(bench, 0, {}, 0)[1].cycles
        _, clocks = await bench.program(ctx, 0, {(7, 7): 0}, 0)     # the read voltage has long settled by then
        assert clocks == twin(bench, 0, {(7, 7): 0}, 0)[1].cycles

    assert bench.run(body) == []
