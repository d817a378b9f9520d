"""Whether the adapters of an operation lie where they may: in the buffer, apart, on lanes that the unit has."""

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.pages import Region
from rmdlora.golden.spec.registers import SUMMED, Kind

from .operation import Operation

__all__ = ["PartCheck"]


class PartCheck(wiring.Component):
    """Counts the row words of every adapter of an operation, one after the other, and compares their places.

    20 clocks an adapter, no multiplier: ranks and groups are multiplied a bit a clock. ``operation`` and ``groups``, of
    its inputs and outputs together, are stable from ``start`` on; what comes out is true while ``ready``.

    Members
    -------
    start : begin in the next clock. ready : not at work.
    legal : every rank is 1 to the largest, and the unit has as many rank groups as all of them take.
    fits : every adapter, and a copy's target, ends inside the buffer, a turn's stretch inside its page.
    apart : none of these has a row word of another.
    lanes : mask of the operation's rank lanes that are an adapter's, the others being padding.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        super().__init__({"operation": In(Operation), "groups": In(17), "start": In(1), "ready": Out(1),
                          "legal": Out(1), "fits": Out(1), "apart": Out(1), "lanes": Out(32)})

    def elaborate(self, platform):
        m = Module()
        operation, lanes = self.operation, self.configuration.lora
        largest = self.configuration.geometry.max_rank
        part, latest = Signal(range(SUMMED)), Signal(range(SUMMED + 1))     # latest: all the bases and ends there are
        count = Signal(range(SUMMED + 1))
        base, words, end = Signal(20), Signal(26), Signal(27)
        bases, ends = ([Signal.like(of, name=f"{name}_{index}") for index in range(SUMMED)]
                       for name, of in (("base", base), ("end", end)))
        bits, step = Signal(9), Signal(range(9))        # of the rank groups, highest first
        ones, offset, taken = Signal(32), Signal(11), Signal(9)     # offset, taken: rank groups before, of this one
        given = [(operation.adapter, operation.rank), *((other.adapter, other.rank) for other in operation.more)]
        adapter, rank = (Array(values)[part] for values in zip(*given, strict=True))
        rank_groups = (rank + (lanes.lanes - 1)) >> (lanes.lanes.bit_length() - 1)
        m.d.comb += count.eq(Mux(operation.slots == 0, 1, Mux(operation.slots > SUMMED, SUMMED, operation.slots)))

        with m.FSM():
            with m.State("Wait for operation"):
                m.d.comb += self.ready.eq(1)
                with m.If(self.start):
                    m.d.sync += [part.eq(0), latest.eq(0), offset.eq(0), self.lanes.eq(0), self.legal.eq(1),
                                 self.fits.eq(1), self.apart.eq(1)]
                    m.next = "Take an adapter"

            with m.State("Take an adapter"):
                m.d.sync += [base.eq(adapter), bits.eq(rank_groups), taken.eq(rank_groups), words.eq(0), step.eq(8),
                             ones.eq((C(1, 33) << rank[:6]) - 1)]
                with m.If((rank == 0) | (rank > largest)):
                    m.d.sync += self.legal.eq(0)
                m.next = "Multiply"

            with m.State("Multiply"):
                m.d.sync += [words.eq((words << 1) + Mux(bits[-1], self.groups, 0)), bits.eq(bits << 1),
                             step.eq(step - 1)]
                with m.If(step == 0):
                    m.next = "Find its lanes"

            with m.State("Find its lanes"):
                shift = Cat(C(0, lanes.lanes.bit_length() - 1), offset[:5])[:5]
                m.d.sync += [self.lanes.eq(self.lanes | (ones << shift)), offset.eq(offset + taken)]
                m.next = "Find its end"

            with m.State("Find its end"):
                m.d.sync += end.eq(base + words)
                with m.If(offset > lanes.rank_groups(largest)):
                    m.d.sync += self.legal.eq(0)
                m.next = "Compare"

            with m.State("Compare"):
                meets = Cat((latest > index) & (base < other_end) & (other_base < end)
                            for index, (other_base, other_end) in enumerate(zip(bases, ends, strict=True)))
                with m.If(meets.any()):
                    m.d.sync += self.apart.eq(0)
                words, page_words = self.configuration.sram.words, self.configuration.page_words
                limit = words
                if self.configuration.paged:
                    in_page = (operation.region != Region.WHOLE) & (base < page_words)
                    limit = Mux(in_page, page_words, words)
                with m.If(end > limit):
                    m.d.sync += self.fits.eq(0)
                for index in range(SUMMED):
                    with m.If(latest == index):
                        m.d.sync += [bases[index].eq(base), ends[index].eq(end)]
                m.d.sync += [latest.eq(latest + 1), part.eq(part + 1)]
                m.next = "Wait for operation"
                with m.If(latest + 1 < count):
                    m.next = "Take an adapter"
                with m.Elif((operation.kind == Kind.COPY) & (latest == 0)):
                    m.d.sync += base.eq(operation.target)
                    m.next = "Find its end"
        return m
