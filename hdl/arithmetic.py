"""The places where bits are lost, as gateware: the same words as `golden.spec.formats`, computed in hardware's way.

Rounding is one addition before one arithmetic shift, whichever rounding it is: ``(v + addend) >> s``, where the addend
is ``2**(s-1) - 1`` and one more on a tie with an odd result (to nearest, ties to even), or ``draw mod 2**s``
(stochastic). What depends on the shift alone is decoded once an operation, into a `ShiftPlan`.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.timing import SHIFT

__all__ = ["RoundShift", "ShiftPlan", "saturate"]

SHIFT_BITS = 6
COARSE = 4      # bits of a shift below which the fine half of the shifter is in charge


def saturate(value, bits):
    """``value`` clamped to the codes of ``bits`` bits: a signed Value of that width.

    The top bits of a code that fits are all the sign; so the test is one wide AND and one wide OR, not two
    subtractions.
    """
    if len(value) <= bits:
        return value.as_signed()
    top = value[bits - 1:]
    fits = top.all() | ~top.any()
    return Mux(fits, value[:bits], Cat((~value[-1]).replicate(bits - 1), value[-1])).as_signed()


class ShiftPlan(data.Struct):
    """A shift of 0..47, decoded: ``shift`` itself, ``some`` (s > 0), ``below`` = 2**(s-1) - 1 and ``tie`` = 2**s
    (both 0 where s = 0)."""

    shift: SHIFT_BITS
    some: 1
    below: 47
    tie: 48

    @classmethod
    def decode(cls, m, shift, limit=47):
        """A registered plan of ``shift`` (Value of up to 6 bits), one clock behind it.

        A shift above ``limit`` counts as ``limit``: rounding to nearest, any shift from a value's own width on gives 0.
        Every bit is a table of the shift's six bits, with no carry anywhere.
        """
        plan = Signal(cls)
        ones = (~(C(-1, signed(64)) << shift))[:64]     # bit n: n < shift
        above = ones[limit - 1]
        m.d.sync += [plan.shift.eq(Mux(above, limit, shift)), plan.some.eq(ones[0]), plan.below.eq(ones[1:limit]),
                     plan.tie.eq(Cat(C(0, 1), ones[:limit - 1] & ~ones[1:limit], above))]
        return plan


class RoundShift(wiring.Component):
    """A row of ``count`` exact values, each divided by ``2**s`` and rounded; not saturated.

    Latency `SHIFT` clocks, one row a clock, no back-pressure: ``valid`` travels beside the row, and registers move only
    where it is set. ``plans`` hold the shifts in use, decoded with this component's `shift_limit` and stable while rows
    are inside; ``select`` says, row by row, which of them counts.

    Parameters: ``count`` values, ``width`` bits of each (signed); ``draws``: how many of them, the first ones, a `draw`
    may round, all by nearest or all stochastically (the row's ``stochastic``); ``shifts``: how many plans, 1 or 2;
    ``limit``: the largest shift; ``masked``: with a `mask` input.
    Members: ``i``, ``valid`` in; ``o``, ``valid_o`` out, of the same width: a shifted value never needs more.
    ``mask``, one clock before the row leaves: which of its values do; the others leave as 0.
    """

    latency = SHIFT

    def __init__(self, count, width, draws=0, shifts=1, limit=47, masked=False):
        self.count = count
        self.width = width
        self.draws = draws
        self.shifts = shifts
        self.limit = limit
        self.masked = masked
        row = data.ArrayLayout(signed(width), count)
        members = {"plans": In(data.ArrayLayout(ShiftPlan, shifts)), "select": In(1), "i": In(row), "valid": In(1),
                   "o": Out(row), "valid_o": Out(1)}
        if draws:
            members |= {"draw": In(data.ArrayLayout(32, draws)), "stochastic": In(1)}
        if masked:
            members["mask"] = In(count)
        super().__init__(members)

    @property
    def shift_limit(self):
        """Largest shift the sum before the shifter has room for; a draw of up to 31 bits must always fit."""
        return min(self.limit, max(self.width, 32) if self.draws else self.width)

    def elaborate(self, platform):
        m = Module()
        valid, select = [self.valid], [self.select]
        for stage in range(SHIFT):
            valid.append(Signal(name=f"valid_{stage + 1}"))
            select.append(Signal(name=f"select_{stage + 1}"))
            m.d.sync += [valid[stage + 1].eq(valid[stage]), select[stage + 1].eq(select[stage])]
        m.d.comb += self.valid_o.eq(valid[SHIFT])

        plans = [Signal(ShiftPlan, name=f"plan_{stage}") for stage in range(SHIFT)]
        for stage, plan in enumerate(plans):
            m.d.comb += plan.eq(self.plans[select[stage]] if self.shifts > 1 else self.plans[0])

        # The addend of a row: the same for all of its values, or of each draw the bits below the point, the one of
        # weight a half included; nothing is even or odd then.
        nearest, drawn = Signal(self.shift_limit), Signal(self.shift_limit)
        stochastic = self.stochastic if self.draws else 0
        with m.If(valid[0]):
            m.d.sync += [nearest.eq(Mux(stochastic, 0, plans[0].below)),
                         drawn.eq(Mux(stochastic, Cat(plans[0].some, plans[0].below), 0))]
        wide = max(self.width, self.shift_limit) + 1
        digits = [(low, plans[2 if low >= COARSE else 3].shift[low:low + 2])
                  for low in range(0, self.shift_limit.bit_length(), 2)]
        for index in range(self.count):
            value = Signal(signed(self.width), name=f"value_{index}")
            carry = Signal(name=f"carry_{index}")
            total = Signal(signed(wide), name=f"total_{index}")
            coarse = Signal(signed(wide), name=f"coarse_{index}")
            fine = Signal(signed(self.width), name=f"fine_{index}")
            extended = Signal(signed(wide), name=f"extended_{index}")
            addend = Signal(self.shift_limit, name=f"addend_{index}")
            m.d.comb += [extended.eq(self.i[index]), addend.eq(nearest)]
            odd = (extended & plans[0].tie[:wide]).any()
            if index < self.draws:
                draw = Signal(32, name=f"draw_{index}")
                m.d.comb += addend.eq((draw & drawn) | nearest)
                odd &= ~stochastic
                with m.If(valid[0]):
                    m.d.sync += draw.eq(self.draw[index])
            with m.If(valid[0]):
                m.d.sync += [value.eq(self.i[index]), carry.eq(odd)]
            with m.If(valid[1]):
                m.d.sync += total.eq(addend + value + carry)
            with m.If(valid[2]):
                m.d.sync += coarse.eq(shift_right(total, [digit for digit in digits if digit[0] >= COARSE]))
            with m.If(valid[3]):
                m.d.sync += fine.eq(shift_right(coarse, [digit for digit in digits if digit[0] < COARSE]))
                if self.masked:     # the reset of a register, and so without logic
                    with m.If(~self.mask[index]):
                        m.d.sync += fine.eq(0)
            m.d.comb += self.o[index].eq(fine)
        return m


def shift_right(value, digits):
    """``value >> s``; ``digits`` of ``s`` to base 4: a pair of the weight and the two bits of each.

    A digit is one choice of four, which is what a LUT of six inputs holds.
    """
    for low, digit in reversed(digits):
        ways = [value >> (way << low) for way in range(4)]
        value = Mux(digit[1], Mux(digit[0], ways[3], ways[2]), Mux(digit[0], ways[1], ways[0]))
    return value
