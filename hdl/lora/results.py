"""The queue of result beats between the pipeline, which cannot wait, and the host, which may make it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..buffer.bank import Bank

__all__ = ["Results"]


class Results(wiring.Component):
    """A queue of ``beat`` (ArrayLayout), a beat in and a beat out a clock.

    Latency 2 clocks (`golden.spec.timing.HAND_OVER`). There is no back-pressure: ``write`` at most ``depth`` beats more
    than have left. In single-port memories a read gives way to a write of the same memory, a clock; while ``o`` is
    never stalled that does not happen.

    Parameters: ``beat``, ``depth`` (a power of two), ``single_port``. Members: ``write``, ``beat`` in; ``o`` out.
    """

    def __init__(self, beat, depth, single_port):
        self.bank = Bank(beat, depth, single_port, pair=True)
        super().__init__({"write": In(1), "beat": In(beat), "o": Out(stream.Signature(beat))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.bank = bank = self.bank
        level = Signal(range(bank.depth + 1))
        free = Signal()     # no write of the same memory
        m.d.comb += [
            free.eq(1), bank.write.eq(self.write.replicate(len(bank.write))), bank.write_data.eq(self.beat),
            bank.read.eq((level != 0) & free & (~self.o.valid | self.o.ready)), self.o.payload.eq(bank.read_data)]
        if bank.single_port:
            m.d.comb += free.eq(~self.write | (bank.write_address[0] != bank.read_address[0]))
        m.d.sync += level.eq(level + self.write - bank.read)
        with m.If(self.write):
            m.d.sync += bank.write_address.eq(bank.write_address + 1)
        with m.If(bank.read):
            m.d.sync += [bank.read_address.eq(bank.read_address + 1), self.o.valid.eq(1)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
