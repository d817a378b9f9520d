"""Works an operation out before it starts: how many groups, where A and B begin, what the last beats hold."""

from amaranth.hdl import Array, C, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.pages import Region
from rmdlora.golden.spec.registers import SUMMED

from ..operation import Operation

__all__ = ["Plan", "plan_layout"]


def plan_layout(configuration):
    """An `Operation` with what follows from its sizes.

    ``last_input_group``, ``last_output_group``, ``last_rank_group``, ``last_block``: counts less one.
    ``a_bases``, ``b_bases``: first row words of every adapter's A and B. ``part_ends``: of a sum, which rank groups are
    the last of an adapter; 0 of a single one. ``last_part``: adapters less one. ``gap``: least clocks of a
    `sum` pass (`golden.spec.timing.Pipeline.backward_slots`), in a turn of the pass between two outer ones.
    ``input_rest``, ``output_rest``, ``vector_rest``: which rows of the last group, which vectors of the last block
    exist.
    """
    lanes, geometry = configuration.lora, configuration.geometry
    return data.StructLayout({
        "operation": Operation,
        "last_input_group": range(lanes.groups(geometry.max_inputs)),
        "last_output_group": range(lanes.groups(geometry.max_outputs)),
        "last_rank_group": range(lanes.rank_groups(geometry.max_rank)), "last_block": 32,
        "a_bases": data.ArrayLayout(range(configuration.sram.words), SUMMED),
        "b_bases": data.ArrayLayout(range(configuration.sram.words), SUMMED),
        "part_ends": lanes.rank_groups(geometry.max_rank), "last_part": range(SUMMED),
        "gap": range(configuration.pipeline.turnaround + 1),
        "input_rest": lanes.rows, "output_rest": lanes.rows, "vector_rest": lanes.vectors})


def rest(count, width):
    """The ``width`` low bits of which the first ``count mod width`` (all, where that is 0) are set; ``width`` 2**n."""
    bits = (width - 1).bit_length()
    left = count[:bits] if bits else C(0, 1)
    return Mux(left == 0, (1 << width) - 1, (C(1, width + 1) << left) - 1)[:width]


class Plan(wiring.Component):
    """Takes an operation, gives it worked out; runs ahead of the unit, so planning costs an operation no cycles.

    Row words of A and of B are ``groups x rank groups``: added up one rank group a clock, so the latency is 2 clocks,
    one an adapter and one a rank group. ``o`` is registered and stable until taken. Operations must be legal
    (`OperationCheck`).
    """

    def __init__(self, configuration):
        self.configuration = configuration
        super().__init__({"i": In(stream.Signature(Operation)),
                          "o": Out(stream.Signature(plan_layout(configuration)))})

    def elaborate(self, platform):
        m = Module()
        lanes = self.configuration.lora
        turnaround = self.configuration.pipeline.turnaround
        plan, operation = self.o.payload, self.i.payload

        def last(count, by):
            return (count - 1) >> (by - 1).bit_length()

        word_bits = range(2 * self.configuration.sram.words)
        left, rank_group = Signal.like(plan.last_rank_group), Signal.like(plan.last_rank_group)
        part, place = Signal.like(plan.last_part), Signal(word_bits)    # place: behind the words of A counted so far
        more = plan.operation.more
        next_adapter, next_rank = (Array(getattr(more[index], key) for index in range(SUMMED - 1))[part]
                                   for key in ("adapter", "rank"))
        a_words, b_words = Signal(word_bits), Signal(word_bits)
        gap = Signal.like(plan.gap)         # what the shorter of a sum and the two passes over A lacks

        def lack(words):
            """Clocks that a pass of so many row words lacks of a turnaround."""
            return Mux(words < turnaround, turnaround - words[:turnaround.bit_length()], 0)[:turnaround.bit_length()]

        lacks = lack(b_words), lack(a_words << 1)
        m.d.comb += gap.eq(Mux(lacks[0] < lacks[1], lacks[1], lacks[0]))
        region = plan.operation.region      # of a turn: the one matrix begins where the adapter does
        if self.configuration.paged:
            with m.If(region == Region.A):
                m.d.comb += gap.eq(lack(a_words))
            with m.Elif(region == Region.B):
                m.d.comb += gap.eq(lacks[0])

        with m.FSM():
            with m.State("Take an operation"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [
                        plan.operation.eq(operation), plan.part_ends.eq(0),
                        plan.last_part.eq(Mux(operation.slots == 0, 0, operation.slots - 1)),
                        *(base.eq(given) for base, given in zip(plan.a_bases, (
                            operation.adapter, *(other.adapter for other in operation.more)), strict=True)),
                        plan.last_input_group.eq(last(operation.inputs, lanes.rows)),
                        plan.last_output_group.eq(last(operation.outputs, lanes.rows)),
                        plan.last_block.eq(last(operation.vectors, lanes.vectors)),
                        plan.input_rest.eq(rest(operation.inputs, lanes.rows)),
                        plan.output_rest.eq(rest(operation.outputs, lanes.rows)),
                        plan.vector_rest.eq(rest(operation.vectors, lanes.vectors)),
                        left.eq(last(operation.rank, lanes.lanes)), a_words.eq(0), b_words.eq(0), rank_group.eq(0),
                        part.eq(0), place.eq(operation.adapter)]
                    m.next = "Count row words"
            with m.State("Count row words"):
                m.d.sync += [a_words.eq(a_words + plan.last_input_group + 1),
                             place.eq(place + plan.last_input_group + 1), left.eq(left - 1),
                             b_words.eq(b_words + plan.last_output_group + 1)]
                with m.If(left == 0):
                    m.d.sync += plan.part_ends.bit_select(rank_group, 1).eq(plan.last_part != 0)
                    m.next = "End an adapter"
                with m.Else():
                    m.d.sync += rank_group.eq(rank_group + 1)
            with m.State("End an adapter"):
                m.d.sync += [plan.b_bases[part].eq(place), place.eq(next_adapter), part.eq(part + 1),
                             left.eq(last(next_rank, lanes.lanes)), rank_group.eq(rank_group + 1),
                             plan.last_rank_group.eq(rank_group)]
                m.next = "Count row words"
                with m.If(part == plan.last_part):
                    m.next = "Find the gap"
            with m.State("Find the gap"):
                m.d.sync += plan.gap.eq(gap)
                if self.configuration.paged:
                    with m.If(region == Region.B):
                        m.d.sync += plan.b_bases[0].eq(plan.operation.adapter)
                m.next = "Hand over"
            with m.State("Hand over"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "Take an operation"
        return m
