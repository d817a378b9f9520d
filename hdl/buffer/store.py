"""A memory of codes, by row words, with or without error correction."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.secded import check_bits
from rmdlora.golden.spec.timing import CORRECT, MEMORY

from .bank import Bank
from .secded import encode, find_flip, find_syndrome

__all__ = ["Store"]


class Store(wiring.Component):
    """Row words of ``elements`` signed codes; a read and a write a clock (see `Bank`).

    ``read``: the row word at ``read_address`` is in ``read_data`` `latency` clocks later, until the next one comes.
    ``write``: the chosen elements of ``write_data`` are stored at the clock's end.

    With error correction: in the clock in which ``read_data`` comes, ``row`` is its address, ``corrected`` says that at
    least one element had one flipped bit, ``uncorrectable`` that at least one had two. With ``mend``, one clock before
    that, those elements that had one are stored at ``write_address`` as they should be.

    Parameters: ``bits`` of a code, ``elements`` of a row word, ``depth`` in row words, ``sram`` (Sram), ``pair``.
    """

    def __init__(self, bits, elements, depth, sram, pair=False):
        self.bits, self.elements, self.depth, self.secded = bits, elements, depth, sram.secded
        stored = unsigned(bits + check_bits(bits)) if sram.secded else signed(bits)
        self.bank = Bank(data.ArrayLayout(stored, elements), depth, sram.single_port, pair)
        word = data.ArrayLayout(signed(bits), elements)
        super().__init__({
            "read": In(1), "read_address": In(range(depth)), "read_data": Out(word), "row": Out(range(depth)),
            "write": In(elements), "write_address": In(range(depth)), "write_data": In(word), "mend": In(1),
            "corrected": Out(1), "uncorrectable": Out(1)})

    @property
    def latency(self):
        """Clocks from an address to its row word: the memory's, a register behind it, another behind correction."""
        return MEMORY + (CORRECT if self.secded else 0)

    def elaborate(self, platform):
        m = Module()
        m.submodules.bank = bank = self.bank
        was_read = Signal()
        m.d.sync += was_read.eq(self.read)
        m.d.comb += [bank.read.eq(self.read), bank.read_address.eq(self.read_address),
                     bank.write_address.eq(self.write_address)]
        if not self.secded:
            m.d.comb += [bank.write.eq(self.write), bank.write_data.eq(self.write_data)]
            with m.If(was_read):
                m.d.sync += self.read_data.eq(bank.read_data)
            return m

        fresh = Signal()    # the row word in raw has just come
        raw = Signal.like(bank.read_data)
        address, raw_address = Signal.like(self.row), Signal.like(self.row)
        m.d.sync += [fresh.eq(was_read), address.eq(self.read_address), raw_address.eq(address),
                     self.row.eq(raw_address)]
        with m.If(was_read):
            m.d.sync += raw.eq(bank.read_data)
        singles, doubles = Signal(self.elements), Signal(self.elements)
        for element in range(self.elements):
            m.submodules[f"corrector_{element}"] = corrector = Module()     # a module each, for the simulators' sake
            syndrome = Signal(check_bits(self.bits), name=f"syndrome_{element}")
            flip, mended, coded = (Signal.like(raw[element], name=f"{name}_{element}")
                                   for name in ("flip", "mended", "coded"))
            corrector.d.comb += [
                syndrome.eq(find_syndrome(raw[element], self.bits)), flip.eq(find_flip(syndrome, self.bits)),
                mended.eq(raw[element] ^ flip), singles[element].eq(flip.any()),
                doubles[element].eq(syndrome.any() & ~flip.any())]
            m.submodules[f"encoder_{element}"] = encoder = Module()
            encoder.d.comb += coded.eq(encode(self.write_data[element]))
            m.d.comb += bank.write_data[element].eq(Mux(self.mend, mended, coded))
            with m.If(fresh):
                m.d.sync += self.read_data[element].eq(mended[:self.bits])
        m.d.comb += bank.write.eq(Mux(self.mend, singles, self.write))
        m.d.sync += [self.corrected.eq(fresh & singles.any()), self.uncorrectable.eq(fresh & doubles.any())]
        return m
