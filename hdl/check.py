"""Whether an operation is legal: what the units never have to ask themselves."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.formats import SHIFT_LIMIT
from rmdlora.golden.spec.pages import Region
from rmdlora.golden.spec.registers import Fault, Kind

from .operation import Operation
from .parts import PartCheck

__all__ = ["CheckedOperation", "OperationCheck"]

SHIFTS = {Kind.FORWARD: ("p", "u", "w"), Kind.BACKWARD: ("q", "dx", "va", "vb")}     # an update's fit their fields


class CheckedOperation(data.Struct):
    """An operation and why it may not start: a code of `golden.spec.registers.Fault`, 0 if it may."""

    operation: Operation
    fault: 8


class Divider(wiring.Component):
    """``ceil(dividend / divisor)`` of a 16-bit count by a constant: there 16 clocks with ``step`` after ``start``.
    """

    def __init__(self, divisor):
        self.divisor = divisor
        super().__init__({"start": In(1), "step": In(1), "dividend": In(16), "quotient": Out(16),
                          "rest": Out(range(divisor))})

    def elaborate(self, platform):
        m = Module()
        count = Signal(16)      # bits of dividend - 1 still to come, then bits of its quotient
        longer = Signal(range(2 * self.divisor))
        fits = Signal()
        m.d.comb += [longer.eq(Cat(count[-1], self.rest)), fits.eq(longer >= self.divisor),
                     self.quotient.eq(count + 1)]
        with m.If(self.start):
            m.d.sync += [count.eq(self.dividend - 1), self.rest.eq(0)]
        with m.Elif(self.step):
            m.d.sync += [count.eq(Cat(fits, count)), self.rest.eq(Mux(fits, longer - self.divisor, longer))]
        return m


class OperationCheck(wiring.Component):
    """Takes operations one by one and says of each why it may not start (contract 6, and the rules of `Fault`).

    Of several broken rules the one with the lowest code is named. Only a forward and a backward have vectors, only a
    forward reads the calibration and only a copy has a target, so what an operation does not use is not checked; masks
    are, always. Of a turn, the row words are those of its matrix, in one page. Programming names nothing but an
    array, and needs the board. A slot that may not be named goes before all: nobody knows what the other rules are
    to be about. Counting (row words, tiles) needs no multiplier: about 40 clocks, and some more for every further
    adapter, which pass while the operation before still runs. The verdict waits for ``idle``, since it may depend
    on that one: ``CHUNK`` on the latest forward that was let through, ``BOARD`` on the board as it is then.

    Parameters
    ----------
    configuration : Configuration

    Members
    -------
    i : operations as the host described them.
    o : the same with a verdict; registered, stable until taken.
    idle : no operation let through earlier is still running.
    halted : one has ended early, or is about to: a backward finds no forward before it.
    board_ready : the board's start-up has ended well.
    holding : an operation has been taken and not yet given on.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        super().__init__({"i": In(stream.Signature(Operation)), "o": Out(stream.Signature(CheckedOperation)),
                          "idle": In(1), "halted": In(1), "board_ready": In(1), "holding": Out(1)})

    def exchange_breaks(self, operation, way):
        """What is wrong with the row words that leave or enter: more than a page, or nothing of them."""
        words = operation[f"{way}_words"]
        return (words > self.configuration.page_words) | (
            (words != 0) & ~operation[f"{way}_weights"] & ~operation[f"{way}_states"])

    def elaborate(self, platform):
        m = Module()
        configuration, lanes = self.configuration, self.configuration.lora
        geometry = configuration.geometry
        m.submodules.row_tiles = row_tiles = Divider(geometry.tile_rows)
        m.submodules.parts = parts = PartCheck(configuration)
        m.submodules.column_tiles = column_tiles = Divider(configuration.tile_outputs)
        operation = self.o.payload.operation
        latest_forward = Signal(32)                 # vectors of the latest forward let through
        both_groups = Signal(17)
        rows_left, tiles = Signal(16), Signal(33)   # tiles: added up by shift and add
        addend, step = Signal(32), Signal(range(17))
        broken = Signal(len(Fault.NAMES))           # bit: a rule of that code is broken
        output_groups = Signal(17)
        ends = [Signal(33, name=f"end_{name}") for name in ("calibration", "tiles")]
        limits = (configuration.calibration_words, configuration.crossbar.arrays)
        fits = Signal(2)                            # each of them ends inside its memory

        def ceil_shift(count, by):
            return (count + (by - 1)) >> (by.bit_length() - 1)

        def beyond(count, limit):
            return (count == 0) | (count > limit)

        forward, backward = operation.kind == Kind.FORWARD, operation.kind == Kind.BACKWARD
        walks = Cat(operation.kind == kind for kind in Kind.WALKS).any()
        crossbar, program = Signal(), operation.kind == Kind.PROGRAM
        turn, in_a, in_b = operation.region != Region.WHOLE, Signal(), Signal()     # row words of which matrix
        m.d.comb += [in_a.eq((operation.region == Region.WHOLE) | (operation.region == Region.A)),
                     in_b.eq((operation.region == Region.WHOLE) | (operation.region == Region.B))]
        exchanged = Cat(self.exchange_breaks(operation, way) for way in ("leaves", "enters")).any()
        moves = (operation.leaves_words != 0) | (operation.enters_words != 0)
        pages = ((~turn & moves) | ((operation.region == Region.NONE) & ~moves) | (turn & (
            walks | program | crossbar | (operation.slots != 0) | exchanged
            | (forward & (operation.vectors > lanes.chunk)))))
        if not configuration.paged:
            pages = turn | moves
        m.d.comb += [parts.operation.eq(operation), parts.groups.eq(both_groups)]
        m.d.comb += [crossbar.eq(forward & operation.crossbar), row_tiles.dividend.eq(operation.inputs),
                     column_tiles.dividend.eq(operation.outputs), self.holding.eq(1)]

        with m.FSM():
            with m.State("Wait for operation"):
                m.d.comb += [self.holding.eq(0), self.i.ready.eq(1)]
                with m.If(self.i.valid):
                    m.d.sync += operation.eq(self.i.payload)
                    m.next = "Count groups"

            with m.State("Count groups"):
                m.d.sync += [step.eq(16), both_groups.eq(Mux(in_a, ceil_shift(operation.inputs, lanes.rows), 0)),
                             output_groups.eq(ceil_shift(operation.outputs, lanes.rows))]
                m.next = "Add groups"

            with m.State("Add groups"):
                m.d.comb += [row_tiles.start.eq(1), column_tiles.start.eq(1), parts.start.eq(1)]
                m.d.sync += both_groups.eq(both_groups + Mux(in_b, output_groups, 0))
                m.next = "Divide into tiles"

            with m.State("Divide into tiles"):
                m.d.sync += [rows_left.eq(row_tiles.quotient), addend.eq(column_tiles.quotient), tiles.eq(0)]
                with m.If(step == 0):
                    m.next = "Multiply tiles"
                with m.Else():
                    m.d.comb += [row_tiles.step.eq(1), column_tiles.step.eq(1)]
                    m.d.sync += step.eq(step - 1)

            with m.State("Multiply tiles"):
                m.d.sync += [tiles.eq(tiles + Mux(rows_left[0], addend, 0)), rows_left.eq(rows_left >> 1),
                             addend.eq(addend << 1)]
                with m.If(rows_left == 0):
                    m.next = "Measure"

            with m.State("Measure"):
                m.d.sync += [ends[0].eq(operation.calibration + output_groups),
                             ends[1].eq(operation.tile + Mux(program, 1, tiles))]
                m.next = "Compare"

            with m.State("Compare"):
                m.d.sync += fits.eq(Cat(end <= limit for end, limit in zip(ends, limits, strict=True)))
                with m.If(parts.ready):
                    m.next = "Weigh"

            with m.State("Weigh"):
                sizes = [beyond(operation.inputs, geometry.max_inputs), beyond(operation.outputs, geometry.max_outputs),
                         ~parts.legal, (operation.vectors == 0) & (operation.kind != Kind.UPDATE) & ~walks]
                shifts = [(operation.kind == kind) & (operation[name] > SHIFT_LIMIT)
                          for kind, names in SHIFTS.items() for name in names]
                m.d.sync += [
                    broken[Fault.KIND].eq((operation.kind >= len(Kind.NAMES)) & ~walks & ~program),
                    broken[Fault.SIZE].eq(Cat(sizes).any() & ~program),
                    broken[Fault.SPACE].eq(Mux(program, ~fits[1], ~parts.fits | ~parts.apart | (forward & ~fits[0])
                                               | (crossbar & ~fits[1]))),
                    broken[Fault.MASK].eq(((operation.trainable & ~operation.active).any()
                                           | ((operation.active | operation.trainable) & ~parts.lanes).any())
                                          & ~program),
                    broken[Fault.SHIFT].eq(Cat(shifts).any()),
                    broken[Fault.CHUNK].eq(backward & ((operation.vectors > lanes.chunk)
                                                       | (operation.vectors > latest_forward))),
                    broken[Fault.BOARD].eq((crossbar | program) & ~self.board_ready),
                    broken[Fault.PAGE].eq(pages),
                    broken[Fault.SLOT].eq(operation.unknown | (walks & (operation.slots > 1)))]
                with m.If(self.idle):
                    m.next = "Judge"

            with m.State("Judge"):
                m.d.sync += self.o.payload.fault.eq(Fault.NONE)
                for code in reversed(range(len(Fault.NAMES))):
                    with m.If(broken[code]):
                        m.d.sync += self.o.payload.fault.eq(code)
                with m.If(broken[Fault.SLOT]):
                    m.d.sync += self.o.payload.fault.eq(Fault.SLOT)
                m.next = "Hand over"

            with m.State("Hand over"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "Wait for operation"
                    with m.If(forward & (self.o.payload.fault == Fault.NONE)):
                        m.d.sync += latest_forward.eq(operation.vectors)
        with m.If(self.halted):
            m.d.sync += latest_forward.eq(0)
        return m
