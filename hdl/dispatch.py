"""Starts operations, one at a time, on the units they need, and routes the operands of the one that runs."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.pages import Region
from rmdlora.golden.spec.registers import Fault, Kind

from .axi import beat_signature
from .check import CheckedOperation
from .operation import Operation

__all__ = ["Dispatcher", "OperandRouter", "Watchdog"]


class Watchdog(wiring.Component):
    """Says when somebody has waited too long: ``expired`` from the clock on before which there were ``timeout`` clocks
    (0: never), one after the other, in which ``waits`` was high and ``moved`` was not.
    """

    def __init__(self):
        super().__init__({"waits": In(1), "moved": In(1), "timeout": In(32), "expired": Out(1)})

    def elaborate(self, platform):
        m = Module()
        still = Signal(32)      # clocks since something moved
        m.d.comb += self.expired.eq((self.timeout != 0) & (still >= self.timeout))
        m.d.sync += still.eq(Mux(self.waits & ~self.moved, still + 1, 0))
        return m


class Dispatcher(wiring.Component):
    """Gives a legal operation to the LoRA unit and, where its `c` comes from the crossbar, to the crossbar as well;
    programming to the crossbar alone; an illegal one it ends at once. The next one starts when this one has ended, so
    results and endings keep their order.

    Latency 1 clock from ``i`` to the units. Each unit takes its command when it can; neither waits for the other.

    A forward, a backward or a turn ends early where the crossbar finds a fault, or where the watchdog has ``expired``:
    the units are told to abandon it, and it ends when the crossbar has come to rest, with `Fault.FRAMING`,
    `Fault.STREAM` or `Fault.CROSSBAR`. Its operands and those of the operations behind it are out of step then, so
    these end with the same fault and do not start, until the host has cleared FAULT.

    Members
    -------
    i : operations with their verdicts.
    lora, crossbar : operations to start.
    exchange : turns that move row words, beside the unit's work or without any; ``exchange_done`` as below.
    program : tiles to program, by the crossbar alone.
    walker : walks over adapters to start, on the walker alone; ``walker_fault`` is how one ended.
    lora_done, program_done, walker_done : the unit is in the last clock of its operation.
    crossbar_fault : why the crossbar has given a command or a job up, in one clock; otherwise `Fault.NONE`.
    crossbar_busy : it is not at rest.
    crossbar_waits : the crossbar waits for someone else: for `x`, or for its `c` to be taken.
    waits : something ought to move: a beat of any stream, or a conversion. expired : the `Watchdog` says it did not.
    abandon : the operation is ending early: units other than the crossbar are in reset, that one comes to rest.
    halted : an operation ended early and ``pending``, what FAULT holds, was not cleared since.
    idle : nothing runs, nothing is about to start.
    started : an operation was let through in the clock before; ``current`` is what it is, until the next one.
    uses_crossbar : the current operation has its `c` from the crossbar; ``operands`` may move.
    ended : an operation ends in this clock, or is refused in it; ``fault`` is why (`Fault.NONE` if it ran). A fault of
        programming comes in a clock of its own, before or right after it ends.
    """

    def __init__(self):
        super().__init__({
            "i": In(stream.Signature(CheckedOperation)), "lora": Out(stream.Signature(Operation)),
            "crossbar": Out(stream.Signature(Operation)), "program": Out(stream.Signature(Operation)),
            "lora_done": In(1), "program_done": In(1), "idle": Out(1), "started": Out(1),
            "crossbar_fault": In(8), "crossbar_busy": In(1), "crossbar_waits": In(1), "waits": Out(1),
            "expired": In(1), "pending": In(8), "abandon": Out(1), "halted": Out(1),
            "exchange": Out(stream.Signature(Operation)), "exchange_done": In(1),
            "walker": Out(stream.Signature(Operation)), "walker_done": In(1), "walker_fault": In(8),
            "current": Out(Operation), "uses_crossbar": Out(1), "operands": Out(1), "ended": Out(1), "fault": Out(8)})

    def elaborate(self, platform):
        m = Module()
        checked, current = self.i.payload, self.current
        crossbar = (checked.operation.kind == Kind.FORWARD) & checked.operation.crossbar
        walks = Cat(checked.operation.kind == kind for kind in Kind.WALKS).any()
        program, programs = checked.operation.kind == Kind.PROGRAM, Signal()
        units = (self.lora, self.crossbar, self.program, self.walker, self.exchange)
        works, moves = Signal(), Signal()       # of a turn: the unit has to do, row words have to move
        unit_left, exchange_left, through = Signal(), Signal(), Signal()
        m.d.comb += [unit.payload.eq(current) for unit in units]
        m.d.comb += [works.eq(checked.operation.region != Region.NONE),
                     moves.eq((checked.operation.leaves_words != 0) | (checked.operation.enters_words != 0)),
                     through.eq((self.lora_done | ~unit_left) & (self.exchange_done | ~exchange_left))]
        m.d.sync += self.started.eq(0)
        with m.If(self.lora.ready):
            m.d.sync += self.lora.valid.eq(0)
        with m.If(self.crossbar.ready):
            m.d.sync += self.crossbar.valid.eq(0)
        with m.If(self.program.ready):
            m.d.sync += self.program.valid.eq(0)
        with m.If(self.walker.ready):
            m.d.sync += self.walker.valid.eq(0)
        with m.If(self.exchange.ready):
            m.d.sync += self.exchange.valid.eq(0)
        with m.If(self.lora_done):
            m.d.sync += unit_left.eq(0)
        with m.If(self.exchange_done):
            m.d.sync += exchange_left.eq(0)

        watched = ((current.kind == Kind.FORWARD) | (current.kind == Kind.BACKWARD)
                   | (current.region != Region.WHOLE))
        early = Signal(8)       # why the latest operation that ended early did
        m.d.comb += self.waits.eq(self.operands & watched)
        with m.If(self.pending == Fault.NONE):
            m.d.sync += self.halted.eq(0)
        with m.If(programs):
            m.d.comb += self.fault.eq(self.crossbar_fault)

        with m.FSM():
            with m.State("Wait for operation"):
                m.d.comb += [self.idle.eq(~self.i.valid), self.i.ready.eq(1)]
                with m.If(self.i.valid & self.halted):
                    m.d.comb += [self.ended.eq(1), self.fault.eq(early)]
                with m.Elif(self.i.valid & (checked.fault == Fault.NONE)):
                    m.d.sync += [current.eq(checked.operation), self.lora.valid.eq(~walks & ~program & works),
                                 self.crossbar.valid.eq(crossbar), self.uses_crossbar.eq(crossbar), self.started.eq(1),
                                 self.program.valid.eq(program), programs.eq(program), self.walker.valid.eq(walks),
                                 self.exchange.valid.eq(moves), exchange_left.eq(moves), unit_left.eq(works)]
                    m.next = "Operation runs"
                with m.Elif(self.i.valid):
                    m.d.comb += [self.ended.eq(1), self.fault.eq(checked.fault)]
            with m.State("Operation runs"):
                m.d.comb += self.operands.eq(~programs)
                with m.If(self.uses_crossbar & (self.crossbar_fault != Fault.NONE)):
                    m.d.sync += early.eq(self.crossbar_fault)
                    m.next = "Abandon"
                with m.Elif(self.expired):
                    m.d.sync += early.eq(Mux(self.uses_crossbar & ~self.crossbar_waits, Fault.CROSSBAR, Fault.STREAM))
                    m.next = "Abandon"
                with m.If(Mux(programs, self.program_done, through)):
                    m.d.comb += self.ended.eq(1)
                    m.next = "Wait for operation"
                with m.If(self.walker_done):
                    m.d.comb += [self.ended.eq(1), self.fault.eq(self.walker_fault)]
                    m.next = "Wait for operation"
            with m.State("Abandon"):
                m.d.comb += self.abandon.eq(1)
                m.d.sync += [self.lora.valid.eq(0), self.crossbar.valid.eq(0), self.exchange.valid.eq(0)]
                with m.If(~self.crossbar_busy & ~self.crossbar.valid):
                    m.d.comb += [self.ended.eq(1), self.fault.eq(early)]
                    m.d.sync += self.halted.eq(1)
                    m.next = "Wait for operation"
        return m


class OperandRouter(wiring.Component):
    """Routes `x` and `c` of the operation that runs. Latency 0, nothing stored.

    With ``uses_crossbar`` every beat of `x` goes to the LoRA unit and to the crossbar, each of which takes it when it
    can and once, and `c` comes from the crossbar; else `x` goes to the LoRA unit alone and `c` comes from the host.
    `x` moves only while ``operands`` is high, so a beat never meets the operation before its own.
    """

    def __init__(self, configuration):
        formats, elements = configuration.formats, configuration.lora.beat_elements
        x, c = beat_signature(formats.activation, elements), beat_signature(formats.sum, elements)
        super().__init__({"uses_crossbar": In(1), "operands": In(1), "i_x": In(x), "lora_x": Out(x),
                          "crossbar_x": Out(x), "host_c": In(c), "crossbar_c": In(c), "lora_c": Out(c)})

    def elaborate(self, platform):
        m = Module()
        lora_has, crossbar_has = Signal(), Signal()     # the unit has taken the beat that waits
        lora_takes, crossbar_takes = Signal(), Signal()
        m.d.comb += [
            self.lora_x.payload.eq(self.i_x.payload), self.crossbar_x.payload.eq(self.i_x.payload),
            self.lora_x.valid.eq(self.i_x.valid & self.operands & ~lora_has),
            self.crossbar_x.valid.eq(self.i_x.valid & self.operands & self.uses_crossbar & ~crossbar_has),
            lora_takes.eq(self.lora_x.valid & self.lora_x.ready),
            crossbar_takes.eq(self.crossbar_x.valid & self.crossbar_x.ready),
            self.i_x.ready.eq((lora_takes | lora_has) & (crossbar_takes | crossbar_has | ~self.uses_crossbar))]
        m.d.sync += [lora_has.eq((lora_has | lora_takes) & ~self.i_x.ready),
                     crossbar_has.eq((crossbar_has | crossbar_takes) & ~self.i_x.ready)]

        with m.If(self.uses_crossbar):
            m.d.comb += [self.lora_c.payload.eq(self.crossbar_c.payload), self.lora_c.valid.eq(self.crossbar_c.valid),
                         self.crossbar_c.ready.eq(self.lora_c.ready)]
        with m.Else():
            m.d.comb += [self.lora_c.payload.eq(self.host_c.payload), self.host_c.ready.eq(self.lora_c.ready),
                         self.lora_c.valid.eq(self.host_c.valid)]
        return m
