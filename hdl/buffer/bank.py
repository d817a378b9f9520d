"""Memories of words of several elements, of the two kinds there are: with a port for each direction, or with one."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Bank", "SinglePort"]


class SinglePort(wiring.Component):
    """A memory that does one thing a clock: one address, a write or a read. A macro of an ASIC library takes its place.

    With ``enable``: the elements chosen by ``write`` are stored at the clock's end or, where none is, the word is in
    ``r_data`` one clock later, and stays there until the next read.

    Parameters: ``word`` (ArrayLayout), ``depth`` in words. Empty at first: zeros.
    """

    def __init__(self, word, depth):
        self.memory = memory.Memory(shape=word, depth=depth, init=[])
        super().__init__({"enable": In(1), "write": In(word.length), "address": In(range(depth)),
                          "w_data": In(word), "r_data": Out(word)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = self.memory
        write, read = self.memory.write_port(granularity=1), self.memory.read_port()
        m.d.comb += [read.addr.eq(self.address), read.en.eq(self.enable & ~self.write.any()),
                     self.r_data.eq(read.data), write.addr.eq(self.address), write.data.eq(self.w_data),
                     write.en.eq(Mux(self.enable, self.write, 0))]
        return m


class Bank(wiring.Component):
    """A read and a write a clock, on whichever memories there are.

    ``read``: the word at ``read_address`` is in ``read_data`` one clock later, until the next read. ``write``: the
    chosen elements of ``write_data`` are stored at the clock's end. Of one word in one clock, a read gives what was
    there before.

    With ``single_port`` one `SinglePort`, or a ``pair`` of them, of even and of odd words: a read and a write in the
    same clock must then be of different ones. ``collision`` says that they were not: the read is lost. Nothing needs
    the signal but tests.

    Parameters: ``word`` (ArrayLayout), ``depth`` in words, ``single_port``, ``pair``.
    """

    def __init__(self, word, depth, single_port, pair=False):
        self.depth, self.single_port = depth, single_port
        self.parts = 2 if single_port and pair else 1
        if single_port:
            self.memories = [SinglePort(word, max(2, -(-depth // self.parts))) for _ in range(self.parts)]
        else:
            self.memories = [memory.Memory(shape=word, depth=depth, init=[])]
        super().__init__({
            "read": In(1), "read_address": In(range(depth)), "read_data": Out(word),
            "write": In(word.length), "write_address": In(range(depth)), "write_data": In(word), "collision": Out(1)})

    def place(self, address):
        """Where a simulator finds the word at ``address``: a row of a memory's data."""
        part = self.memories[address % self.parts]
        return (part.memory if self.single_port else part).data[address // self.parts]

    def elaborate(self, platform):
        m = Module()
        if not self.single_port:
            m.submodules.memory = only = self.memories[0]
            write, read = only.write_port(granularity=1), only.read_port()
            m.d.comb += [read.en.eq(self.read), read.addr.eq(self.read_address), self.read_data.eq(read.data),
                         write.en.eq(self.write), write.addr.eq(self.write_address), write.data.eq(self.write_data)]
            return m

        bits = self.parts - 1       # of an address, that choose the memory
        latest = Signal(bits)       # which memory was read
        with m.If(self.read):
            m.d.sync += latest.eq(self.read_address[:bits])
        collisions = []
        for index, part in enumerate(self.memories):
            m.submodules[("even", "odd")[index] if bits else "memory"] = part
            reads, writes = Signal(name=f"reads_{index}"), Signal(name=f"writes_{index}")
            m.d.comb += [
                reads.eq(self.read & (self.read_address[:bits] == index)),
                writes.eq(self.write.any() & (self.write_address[:bits] == index)),
                part.enable.eq(reads | writes), part.write.eq(Mux(writes, self.write, 0)),
                part.address.eq(Mux(writes, self.write_address[bits:], self.read_address[bits:])),
                part.w_data.eq(self.write_data)]
            with m.If(latest == index):
                m.d.comb += self.read_data.eq(part.r_data)
            collisions.append(reads & writes)
        m.d.comb += self.collision.eq(collisions[0] | collisions[-1])
        return m
