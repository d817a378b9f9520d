"""The gateware's rounding against the specification's, exhaustively where small."""

import random

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.sim import Simulator
from rmdlora.golden.spec import formats
from rmdlora.hdl.arithmetic import RoundShift, ShiftPlan, saturate


class Rounder(wiring.Component):
    """One lane of a `RoundShift`, its plan decoded from a plain shift."""

    def __init__(self, width, draws):
        self.lane = RoundShift(1, width, draws)
        super().__init__({"shift": In(6)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.lane = self.lane
        m.d.comb += self.lane.plans[0].eq(ShiftPlan.decode(m, self.shift, self.lane.shift_limit))
        return m


def round_all(width, shift, values, draws=None):
    """``values`` streamed through at one ``shift``, one a clock; stochastic where ``draws`` are given."""
    top = Rounder(width, int(draws is not None))
    lane, results = top.lane, []

    async def bench(ctx):
        ctx.set(top.shift, shift)
        await ctx.tick()
        for index in range(len(values) + lane.latency):
            if index < len(values):
                ctx.set(lane.i[0], values[index])
                if draws is not None:
                    ctx.set(lane.draw[0], draws[index])
                    ctx.set(lane.stochastic, 1)
            ctx.set(lane.valid, index < len(values))
            await ctx.tick()
            if ctx.get(lane.valid_o):
                results.append(ctx.get(lane.o[0]))

    simulator = Simulator(top)
    simulator.add_clock(10e-9)
    simulator.add_testbench(bench)
    simulator.run()
    return results


@pytest.mark.parametrize("shift", [*range(12), 31, 47])
def test_every_8_bit_value_is_rounded_to_nearest_even(shift):
    values = list(range(-128, 128))
    assert round_all(8, shift, values) == [formats.round_shift(value, shift) for value in values]


@pytest.mark.parametrize("width", [16, 36, 44, 50])
def test_wide_values_are_rounded_to_nearest_even_at_every_shift(width):
    random.seed(f"wide {width}")
    low, high = -1 << (width - 1), (1 << (width - 1)) - 1
    for shift in range(48):
        ties = [(2 * random.randint(-3, 3) + 1) << max(0, shift - 1) for _ in range(8)]
        values = [low, high, low + 1, -1, 0, 1, *(max(low, min(high, tie)) for tie in ties),
                  *(random.randint(low, high) for _ in range(8))]
        assert round_all(width, shift, values) == [formats.round_shift(value, shift) for value in values], shift


@pytest.mark.parametrize("width", [16, 32, 36])
def test_stochastic_rounding_adds_the_draw_below_the_point(width):
    random.seed(f"stochastic {width}")
    low, high = -1 << (width - 1), (1 << (width - 1)) - 1
    for shift in range(32):
        values = [low, high, -1, 0, 1, *(random.randint(low, high) for _ in range(8))]
        draws = [random.choice([0, 0xFFFFFFFF, random.getrandbits(32)]) for _ in values]
        expected = [formats.stochastic_shift(*case) for case in zip(values, [shift] * len(values), draws, strict=True)]
        assert round_all(width, shift, values, draws) == expected, shift


def test_every_code_is_clamped_as_the_specification_says():
    m = Module()
    wide, narrow = Signal(signed(10)), Signal(signed(7))
    m.d.comb += narrow.eq(saturate(wide, 7))
    seen = []

    async def bench(ctx):
        for value in range(-512, 512):
            ctx.set(wide, value)
            seen.append(ctx.get(narrow))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [formats.saturate(value, 7) for value in range(-512, 512)]
