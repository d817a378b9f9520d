"""All ADS8324 of the board at once: one clock and one select, a data line each."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.refusal import need_integer

__all__ = ["Converter"]

CODE_BITS = 14
# rises of DCLOCK, and what they find on DOUT (SBAS172A p9): high impedance while the part samples, which the pins'
# pull-ups make a one; the null bit; 14 bits, highest first; two zeros
IDLE_RISE = 4
NULL_RISE = 6
FIRST_RISE = 7
ZERO_RISES = (21, 22)
SYNCHRONISER = 2    # clocks behind the pins


class Converter(wiring.Component):
    """Runs conversions and collects the codes of ``parts`` ADS8324.

    A conversion takes ``conversion_ticks`` clocks: DCLOCK starts low with the fall of CS_n, ``adc_clocks`` periods with
    CS_n low, ``adc_idle_clocks`` with it high. Another may follow at once. Codes are taken half a period after the fall
    that sends them, two clocks later for the synchroniser. Every line must be high while its part samples, and low in
    the null bit and in bits 21 and 22: so a line stuck at either level is noticed, and a part that does not convert.

    Parameters
    ----------
    parts : int
        ADCs.
    board : `rmdlora.golden.spec.board.Board`

    Members
    -------
    start : In(1)
        Begin: CS_n falls in the next clock. Ignored unless ``ready``.
    ready : Out(1)
        No conversion, or the last clock of one.
    held : Out(1)
        It holds, or does not convert: what is before it may change from the next clock on, until the next ``start``.
    trigger : Out(1)
        So may a DAC whose frame starts now (CS falls in the next clock): that much earlier than ``held``.
    done : Out(1)
        Pulse: ``codes``, ``framing`` and ``over`` are those of this conversion, until the next one's first bit.
    codes : Out(array of ``parts`` signed 14-bit codes)
    framing : Out(1)
        A line was not as it must be where no code is on it.
    over : Out(1)
        A code is at an end of its range.
    dclock, cs_n, dout
        The pins.
    """

    def __init__(self, parts, board):
        need_integer("parts of a converter", parts, 1, 256)
        self._parts = parts
        self._board = board
        super().__init__({
            "start": In(1), "ready": Out(1, init=1), "trigger": Out(1), "held": Out(1), "done": Out(1),
            "codes": Out(data.ArrayLayout(signed(CODE_BITS), parts)), "framing": Out(1), "over": Out(1),
            "dclock": Out(1), "cs_n": Out(1, init=1), "dout": In(parts)})

    def elaborate(self, platform):
        m = Module()
        board = self._board
        running = Signal()
        elapsed = Signal(range(board.conversion_ticks))                         # clocks since CS_n fell
        tick = Signal(range(board.adc_half_ticks))
        half = Signal(range(2 * (board.adc_clocks + board.adc_idle_clocks)))    # odd: DCLOCK high
        dout = Signal(self._parts)
        m.submodules.synchroniser = FFSynchronizer(self.dout, dout, stages=SYNCHRONISER)

        last = Signal()
        m.d.comb += [last.eq(elapsed == board.conversion_ticks - 1), self.ready.eq(~running | last)]
        with m.If(running):
            m.d.sync += [elapsed.eq(elapsed + 1), tick.eq(tick + 1)]
            with m.If(tick == board.adc_half_ticks - 1):
                m.d.sync += [tick.eq(0), half.eq(half + 1)]
                with m.If(half < 2 * board.adc_clocks - 1):
                    m.d.sync += self.dclock.eq(~self.dclock)
                with m.Else():
                    m.d.sync += [self.dclock.eq(0), self.cs_n.eq(1)]
            with m.If(last):
                m.d.sync += running.eq(0)
        with m.If(self.start & self.ready):
            m.d.sync += [running.eq(1), elapsed.eq(0), tick.eq(0), half.eq(0), self.dclock.eq(0), self.cs_n.eq(0),
                         self.framing.eq(0)]

        m.d.comb += [
            self.trigger.eq(~running | (elapsed >= max(0, board.hold_ticks - board.update_ticks - 1))),
            self.held.eq(~running | (elapsed >= board.hold_ticks - 1)),
        ]
        ends = (-1 << CODE_BITS - 1, (1 << CODE_BITS - 1) - 1)
        m.d.comb += self.over.eq(Cat(code == end for code in self.codes for end in ends).any())
        rise = half[1:]     # periods completed: this is rise number ``rise + 1``
        m.d.sync += self.done.eq(0)
        with m.If(running & half[0] & (tick == SYNCHRONISER)):
            with m.If((rise >= FIRST_RISE - 1) & (rise < FIRST_RISE - 1 + CODE_BITS)):
                m.d.sync += [code.eq(Cat(bit, code)) for code, bit in zip(self.codes, dout, strict=True)]
            with m.If((rise == IDLE_RISE - 1) & ~dout.all()):
                m.d.sync += self.framing.eq(1)
            for zero in (NULL_RISE, *ZERO_RISES):
                with m.If((rise == zero - 1) & dout.any()):
                    m.d.sync += self.framing.eq(1)
            with m.If(rise == ZERO_RISES[-1] - 1):
                m.d.sync += self.done.eq(1)
        return m
