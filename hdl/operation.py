"""Operations of the LoRA unit: what one is, whether it is legal, and the queue it waits in."""

from amaranth.hdl import Module
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.registers import OPERATION, OPERATION_QUEUE, SUMMED

__all__ = ["Operation", "OperationQueue", "pack_operation"]


class Part(data.Struct):
    """One of the adapters whose sum an operation works on: its first row word and its rank; none where that is 0."""

    adapter: 20
    rank: 8


class Operation(data.Struct):
    """One forward, backward or update of one layer, a walk over its adapter, or a tile to program. Names, widths and
    meanings are the OP_* registers'; the last two are the slot table's: ``more``, the adapters beside the first, and
    ``unknown``, a slot was named that may not be.
    """

    kind: 3
    crossbar: 1
    high: 1
    nearest: 1
    vectors: 32
    inputs: 16
    outputs: 16
    rank: 8
    adapter: 20
    calibration: 20
    tile: 16
    active: 32
    trainable: 32
    p: 6
    u: 6
    w: 6
    q: 6
    dx: 6
    va: 6
    vb: 6
    lra: 5
    lrb: 5
    momentum: 4
    target: 20
    region: 2
    opens: 1
    closes: 1
    leaves_words: 20
    leaves_weights: 1
    leaves_states: 1
    enters_words: 20
    enters_weights: 1
    enters_states: 1
    slots: 3
    slot_0: 5
    slot_1: 5
    slot_2: 5
    slot_3: 5
    more: data.ArrayLayout(Part, SUMMED - 1)
    unknown: 1


def pack_operation(operation, registers):
    """Statements that drive ``operation`` from the OP_* members of a register bank."""
    return [operation[field].eq(getattr(registers, name.lower())[part]) for field, (name, part) in OPERATION.items()]


class OperationQueue(wiring.Component):
    """Holds up to `OPERATION_QUEUE` operations, first in, first out; latency 2 clocks.

    A start while the queue is full is not taken: ``refuse`` is high, and the register bank answers the write of
    OP_START with an error, so a full queue behind an operation that never ends cannot hang the bus.

    Members
    -------
    operation : what the OP_* registers describe now.
    start : queue it in this clock, unless ``refuse``.
    refuse : the queue is full.
    o : the operations in order.
    level : operations in the queue.
    """

    def __init__(self):
        super().__init__({"operation": In(Operation), "start": In(1), "refuse": Out(1),
                          "o": Out(stream.Signature(Operation)), "level": Out(range(OPERATION_QUEUE + 1))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.waiting = waiting = fifo.SyncFIFOBuffered(width=Operation.as_shape().size, depth=OPERATION_QUEUE)
        m.d.comb += [
            waiting.w_data.eq(self.operation), waiting.w_en.eq(self.start), self.refuse.eq(~waiting.w_rdy),
            self.o.payload.eq(waiting.r_data), self.o.valid.eq(waiting.r_rdy), waiting.r_en.eq(self.o.ready),
            self.level.eq(waiting.level)]
        return m
