"""Walks over an adapter's row words without the LoRA unit: copies them, erases them, sums them up."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.registers import Fault, Kind

from ..operation import Operation
from .port import RowPort

__all__ = ["RowShare", "Walker"]


class Walker(wiring.Component):
    """COPY, ERASE and CHECKSUM of one adapter (`golden.spec.registers.Kind`), in `Pipeline.copy`, `erase`, `checksum`
    clocks. Weights and states go together, whole row words, padding too; only a checksum takes padding for 0.

    A copy keeps reading while it writes; in single-port memories it reads in one clock and writes in the next. Host
    accesses come in between; what the host writes to a copy's source or target meanwhile is in the copy or not, word by
    word. Operations must be legal (`OperationCheck`): one adapter, source and target apart.

    Members
    -------
    operation : taken when idle. running : from the clock after that to the last one.
    done : that last clock; ``fault`` is then `Fault.ERASURE` where a row word did not read back as 0, or `Fault.NONE`.
    checksum : of the latest CHECKSUM. rows : to the `Buffer`.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        super().__init__({
            "operation": In(stream.Signature(Operation)), "running": Out(1), "done": Out(1), "fault": Out(8),
            "checksum": Out(32), "rows": Out(RowPort(configuration))})

    def elaborate(self, platform):
        m = Module()
        configuration, rows, given = self.configuration, self.rows, self.operation.payload
        lanes, pipeline, single_port = configuration.lora, configuration.pipeline, configuration.sram.single_port
        layer = Signal(Operation)       # fields that are not read fall away

        def last(count, by):
            return (count - 1) >> (by - 1).bit_length()

        # Where the walk is: groups of A, then of B; rank groups innermost.
        last_rank_group = Signal(range(lanes.rank_groups(configuration.geometry.max_rank)))
        rank_group = Signal.like(last_rank_group)
        group = Signal(range(lanes.groups(max(configuration.geometry.max_inputs, configuration.geometry.max_outputs))))
        address, target = Signal.like(rows.weights_address), Signal.like(rows.write_address)
        in_b, step, rewind = Signal(), Signal(), Signal()
        last_row, last_word = Signal(), Signal()
        m.d.comb += [last_row.eq(rank_group == last_rank_group), last_word.eq(in_b & (group == 0) & last_row)]
        with m.If(step):
            m.d.sync += [address.eq(address + 1), rank_group.eq(Mux(last_row, 0, rank_group + 1))]
            with m.If(last_row):
                m.d.sync += group.eq(group - 1)
                with m.If(group == 0):
                    m.d.sync += [group.eq(last(layer.outputs, lanes.rows)), in_b.eq(1)]
        with m.If(rewind):
            m.d.sync += [address.eq(layer.adapter), rank_group.eq(0), in_b.eq(0),
                         group.eq(last(layer.inputs, lanes.rows))]

        # Row words on their way: from the clock that reads them to the one that uses them.
        used = pipeline.copy_latency - 1    # of ``flight``: the clock in which a copy writes
        stages = max(pipeline.copy_latency, pipeline.memory + 1)
        reads, flight, ends = Signal(), Signal(stages), Signal(stages)
        held = Signal()     # the checksum still needs a row word that was read
        m.d.sync += [flight.eq(Cat(reads, flight)), ends.eq(Cat(last_word, ends)),
                     rows.settled.eq(~(reads | flight[:used].any() | held))]
        again = Signal()    # ... and is read on and on, or the scrubber would read another in its place
        m.d.comb += [rows.read_weights.eq(reads | again), rows.read_states.eq(reads | again),
                     rows.weights_address.eq(address), rows.states_address.eq(address), self.running.eq(1),
                     self.fault.eq(Fault.NONE)]
        copies, erases = layer.kind == Kind.COPY, Signal()
        writes = Signal()
        m.d.comb += [writes.eq(erases | (copies & flight[used])), rows.write_weights.eq(writes),
                     rows.write_states.eq(writes), rows.write_address.eq(Mux(copies, target, address))]
        with m.If(copies):
            m.d.comb += [rows.new_weights.eq(rows.weights), rows.new_states.eq(rows.states)]
        with m.If(writes):
            m.d.sync += target.eq(target + 1)

        left = Signal(lanes.row_elements)   # elements of the row word that has just come that are not 0
        stray, remains = Signal(), Signal()
        m.d.sync += left.eq(Cat(rows.weights[index].any() | rows.states[index].any()
                                for index in range(lanes.row_elements)))
        m.d.comb += stray.eq(left.any() & flight[pipeline.memory])

        # The checksum: three words an element. The one of the clock before is masked to what exists, and taken.
        m.submodules.crc = engine = CRC32_ETHERNET(data_width=32).create()
        element, part = Signal(range(lanes.row_elements)), Signal(range(3))
        sums, summed = Signal(), Signal()
        lane_bits = (lanes.lanes - 1).bit_length()
        row, lane = element[lane_bits:], Cat(element[:lane_bits], rank_group)
        rest = Mux(in_b, layer.outputs, layer.inputs)[:(lanes.rows - 1).bit_length()]
        exists, word = Signal(), Signal(32)
        m.d.comb += exists.eq((lane < layer.rank) & ((group != 0) | (rest == 0) | (row < rest)))
        weight, state, chosen = Signal(32), Signal(64), Signal(32)
        m.d.comb += [weight.eq(rows.weights[element]), state.eq(rows.states[element])]
        with m.Switch(part):
            with m.Case(0):
                m.d.comb += chosen.eq(weight)
            with m.Case(1):
                m.d.comb += chosen.eq(state[:32])
            with m.Default():
                m.d.comb += chosen.eq(state[32:])
        m.d.sync += [word.eq(Mux(exists, chosen, 0)), summed.eq(sums)]
        m.d.comb += [engine.data.eq(word), engine.valid.eq(summed)]

        with m.FSM():
            with m.State("Wait for operation"):
                m.d.comb += [self.running.eq(0), self.operation.ready.eq(1)]
                m.d.sync += [layer.eq(given), address.eq(given.adapter), target.eq(given.target), rank_group.eq(0),
                             in_b.eq(0), group.eq(last(given.inputs, lanes.rows)), remains.eq(0), element.eq(0),
                             last_rank_group.eq(last(given.rank, lanes.lanes)), part.eq(0)]
                with m.If(self.operation.valid), m.Switch(given.kind):
                    with m.Case(Kind.COPY):
                        m.next = "Copy"
                    with m.Case(Kind.ERASE):
                        m.next = "Erase"
                    with m.Default():
                        m.d.comb += engine.start.eq(1)
                        m.next = "Fetch"

            with m.State("Copy"):
                m.d.comb += [reads.eq(~rows.hold & ~(flight[0] if single_port else 0)), step.eq(reads)]
                with m.If(reads & last_word):
                    m.next = "Write the rest"
            with m.State("Write the rest"), m.If(flight[used] & ends[used]):
                m.d.comb += self.done.eq(1)
                m.next = "Wait for operation"

            with m.State("Erase"):
                m.d.comb += [erases.eq(~rows.hold), step.eq(erases), rewind.eq(erases & last_word)]
                with m.If(rewind):
                    m.next = "Read again"
            with m.State("Read again"):
                m.d.comb += [reads.eq(~rows.hold), step.eq(reads)]
                m.d.sync += remains.eq(remains | stray)
                with m.If(reads & last_word):
                    m.next = "Judge the rest"
            with m.State("Judge the rest"):
                m.d.sync += remains.eq(remains | stray)
                with m.If(flight[pipeline.memory] & ends[pipeline.memory]):
                    m.d.comb += [self.done.eq(1), self.fault.eq(Mux(remains | stray, Fault.ERASURE, Fault.NONE))]
                    m.next = "Wait for operation"

            with m.State("Fetch"):
                m.d.comb += reads.eq(~rows.hold)
                with m.If(reads):
                    m.next = "Await row word"
            with m.State("Await row word"):
                m.d.comb += [held.eq(1), again.eq(1)]
                with m.If(flight[pipeline.memory - 2]):
                    m.next = "Sum up"
            with m.State("Sum up"):
                m.d.comb += [held.eq(1), sums.eq(1), again.eq(element != lanes.row_elements - 1)]
                m.d.sync += part.eq(part + 1)
                with m.If(part == 2):
                    m.d.sync += [part.eq(0), element.eq(element + 1)]
                    with m.If(element == lanes.row_elements - 1):
                        m.d.sync += element.eq(0)
                        m.d.comb += [step.eq(1), held.eq(0)]
                        m.next = "Fetch"
                        with m.If(last_word):
                            m.next = "Take the last word"
            with m.State("Take the last word"):
                m.next = "Show the sum"
            with m.State("Show the sum"):
                m.d.sync += self.checksum.eq(engine.crc)
                m.d.comb += self.done.eq(1)
                m.next = "Wait for operation"
        return m


class RowShare(wiring.Component):
    """One `RowPort` for two who never work at a time: ``unit`` has it, but ``walker`` while ``walks``. Latency 0."""

    def __init__(self, configuration):
        port = RowPort(configuration)
        super().__init__({"unit": In(port), "walker": In(port), "walks": In(1), "rows": Out(port)})

    def elaborate(self, platform):
        m = Module()
        unit, walker, rows = self.unit, self.walker, self.rows
        for name, member in rows.signature.members.items():
            if member.flow == In:
                m.d.comb += [getattr(port, name).eq(getattr(rows, name)) for port in (unit, walker)]
            elif name != "settled":
                m.d.comb += getattr(rows, name).eq(Mux(self.walks, getattr(walker, name), getattr(unit, name)))
        m.d.comb += rows.settled.eq(unit.settled & walker.settled)
        return m
