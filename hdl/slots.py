"""The slot table: which adapter a slot is, whatever is reset."""

from amaranth.hdl import Cat, Module
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.registers import SLOTS, SUMMED, register

from .operation import Operation
from .registers import IndexedPort, register_layout

__all__ = ["SlotTable"]


class SlotTable(wiring.Component):
    """Entries of the SLOT register, and the operation described with its slots looked up. Latency 0.

    An entry is a word: one write changes it whole, so a slot is one adapter or the other, at whatever clock a reset
    comes. The table is a memory: neither the reset of the clock domain nor a soft reset changes it.

    Members
    -------
    port : the host's entry, read in the same clock, written at the clock's end.
    described : an operation as the OP_* registers have it.
    resolved : the same with first row words and ranks from the table, where it names slots: the first of them in
        ``adapter`` and ``rank``, the others in ``more``. ``unknown``: one is not valid, is named twice, or there are
        too many.
    """

    def __init__(self):
        entry = register("SLOT")
        self.memory = memory.Memory(shape=data.StructLayout({field.name: field.bits for field in entry.fields}),
                                    depth=SLOTS, init=[])
        super().__init__({"port": In(IndexedPort(entry)), "described": In(Operation), "resolved": Out(Operation)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = self.memory
        described, resolved, port = self.described, self.resolved, self.port
        write, look = self.memory.write_port(), self.memory.read_port(domain="comb")
        written, shown = (data.View(register_layout(register("SLOT")), word) for word in (port.w_data, port.r_data))
        m.d.comb += [write.addr.eq(port.index), write.en.eq(port.w_en), look.addr.eq(port.index),
                     *(write.data[field.name].eq(written[field.name]) for field in register("SLOT").fields),
                     *(shown[field.name].eq(look.data[field.name]) for field in register("SLOT").fields)]

        slots = [described[f"slot_{index}"] for index in range(SUMMED)]
        m.d.comb += resolved.eq(described)
        missing = [described.slots > SUMMED]
        for index, slot in enumerate(slots):
            named = described.slots > index
            entry = self.memory.read_port(domain="comb")
            m.d.comb += entry.addr.eq(slot)
            part = resolved if index == 0 else resolved.more[index - 1]
            with m.If(named):
                m.d.comb += [part.adapter.eq(entry.data.base), part.rank.eq(entry.data.rank)]
            missing += [named & ~entry.data.valid, *(named & (slot == other) for other in slots[:index])]
        m.d.comb += resolved.unknown.eq(Cat(missing).any())
        return m
