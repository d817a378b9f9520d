"""AXI4-Lite and AXI4-Stream at the pins, and the plain ports they become inside."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.formats import container_bits

__all__ = ["AccessPort", "AxiLite", "AxiLiteSlave", "AxiStream", "BeatIn", "BeatOut", "LastBeat", "beat_signature"]

OKAY, SLVERR = 0, 2


def beat_signature(width, elements):
    """The stream inside: beats of ``elements`` signed codes of ``width`` bits."""
    return stream.Signature(data.ArrayLayout(signed(width), elements))


class AxiLite(wiring.Signature):
    """AXI4-Lite with 32 data bits, the manager's view. Channels and handshakes: AMBA AXI (IHI 0022), B1."""

    def __init__(self, address_bits):
        super().__init__({
            "awaddr": Out(address_bits), "awprot": Out(3), "awvalid": Out(1), "awready": In(1),
            "wdata": Out(32), "wstrb": Out(4), "wvalid": Out(1), "wready": In(1),
            "bresp": In(2), "bvalid": In(1), "bready": Out(1),
            "araddr": Out(address_bits), "arprot": Out(3), "arvalid": Out(1), "arready": In(1),
            "rdata": In(32), "rresp": In(2), "rvalid": In(1), "rready": Out(1)})


class AxiStream(wiring.Signature):
    """AXI4-Stream, the transmitter's view: ``bits`` of data a beat, ``tlast`` on the last beat of an operation."""

    def __init__(self, bits):
        super().__init__({"tdata": Out(bits), "tvalid": Out(1), "tready": In(1), "tlast": Out(1)})


class AccessPort(wiring.Signature):
    """One 32-bit word read or written at a time; the initiator's view.

    While ``valid`` is high, ``write``, ``address`` (bytes, a multiple of 4) and ``w_data`` are stable. The clock in
    which ``ready`` is high too performs the access; ``r_data`` and ``error`` (nothing lies there, or it cannot be done
    now) hold in that clock alone.
    """

    def __init__(self, address_bits):
        super().__init__({"valid": Out(1), "ready": In(1), "write": Out(1), "address": Out(address_bits),
                          "w_data": Out(32), "r_data": In(32), "error": In(1)})


class AxiLiteSlave(wiring.Component):
    """Turns AXI4-Lite transactions into accesses, one at a time, reads and writes in turn where both wait.

    A write needs all four byte strobes: an address that is no multiple of 4 and a partial write are answered SLVERR and
    go no further, as is an access that ends in ``error``; what an error reads is meaningless. Every channel is
    registered both ways, and so is ``access``. With an access port that is always ready, a response comes 3 clocks
    after the handshake of its address (and data), and a transaction is taken every 2 clocks. ``awprot`` and ``arprot``
    are ignored.

    Parameters
    ----------
    address_bits : int
        Width of the byte address.

    Members
    -------
    axi : the port at the pins.
    access : the accesses.
    """

    def __init__(self, address_bits):
        super().__init__({"axi": In(AxiLite(address_bits)), "access": Out(AccessPort(address_bits))})

    def elaborate(self, platform):
        m = Module()
        axi, access = self.axi, self.access
        write_address, write_here = Signal.like(axi.awaddr), Signal()
        word, strobes, word_here = Signal(32), Signal(4), Signal()
        read_address, read_here = Signal.like(axi.araddr), Signal()
        write_waits, read_waits, writing = Signal(), Signal(), Signal()
        busy, refused, finished = Signal(), Signal(), Signal()      # one transaction is under way, and not to be done

        m.d.comb += [
            axi.awready.eq(~write_here), axi.wready.eq(~word_here), axi.arready.eq(~read_here),
            write_waits.eq(write_here & word_here & (~axi.bvalid | axi.bready)),
            read_waits.eq(read_here & (~axi.rvalid | axi.rready)),
            writing.eq(write_waits & ~(read_waits & access.write)),
            access.valid.eq(busy & ~refused), finished.eq(busy & (refused | access.ready))]

        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [write_address.eq(axi.awaddr), write_here.eq(1)]
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += [word.eq(axi.wdata), strobes.eq(axi.wstrb), word_here.eq(1)]
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += [read_address.eq(axi.araddr), read_here.eq(1)]
        with m.If(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        with m.If(axi.rready):
            m.d.sync += axi.rvalid.eq(0)

        with m.If(~busy & writing):
            m.d.sync += [busy.eq(1), access.write.eq(1), access.address.eq(write_address), access.w_data.eq(word),
                         refused.eq(write_address[:2].any() | ~strobes.all()), write_here.eq(0), word_here.eq(0)]
        with m.Elif(~busy & read_waits):
            m.d.sync += [busy.eq(1), access.write.eq(0), access.address.eq(read_address),
                         refused.eq(read_address[:2].any()), read_here.eq(0)]
        response = Mux(refused | access.error, SLVERR, OKAY)
        with m.If(finished):
            m.d.sync += busy.eq(0)
            with m.If(access.write):
                m.d.sync += [axi.bvalid.eq(1), axi.bresp.eq(response)]
            with m.Else():
                m.d.sync += [axi.rvalid.eq(1), axi.rresp.eq(response), axi.rdata.eq(access.r_data)]
        return m


class BeatIn(wiring.Component):
    """Takes beats of an AXI4-Stream inside: the low ``width`` bits of each container. Latency 0, nothing stored.

    A container is the smallest of 8, 16, 32 and 64 bits that holds the format; its upper bits and ``tlast`` are
    ignored.
    """

    def __init__(self, width, elements):
        self.container = container_bits(width)
        super().__init__({"axis": In(AxiStream(elements * self.container)), "o": Out(beat_signature(width, elements))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.o.valid.eq(self.axis.tvalid), self.axis.tready.eq(self.o.ready)]
        for index, code in enumerate(self.o.payload):
            m.d.comb += code.eq(self.axis.tdata.word_select(index, self.container))
        return m


class BeatOut(wiring.Component):
    """Hands beats out as an AXI4-Stream, codes sign-extended to their containers. Latency 0, nothing stored.

    ``last`` says whether the beat at ``i`` is the operation's last; it becomes ``tlast``.
    """

    def __init__(self, width, elements):
        self.container = container_bits(width)
        super().__init__({"i": In(beat_signature(width, elements)), "last": In(1),
                          "axis": Out(AxiStream(elements * self.container))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.axis.tvalid.eq(self.i.valid), self.i.ready.eq(self.axis.tready),
                     self.axis.tlast.eq(self.last)]
        for index, code in enumerate(self.i.payload):
            container = Signal(signed(self.container), name=f"container_{index}")
            m.d.comb += [container.eq(code), self.axis.tdata.word_select(index, self.container).eq(container)]
        return m


class LastBeat(wiring.Component):
    """Knows the last of an operation's ``blocks x groups`` beats (`golden.spec.geometry`).

    Members
    -------
    start : an operation of ``vectors`` vectors and ``positions`` positions begins; its beats come in later clocks.
    moved : a beat is handed over in this clock.
    last : the beat that waits, or moves in this clock, is the operation's last.
    """

    def __init__(self, lanes):
        self.lanes = lanes
        super().__init__({"start": In(1), "vectors": In(32), "positions": In(16), "moved": In(1), "last": Out(1)})

    def elaborate(self, platform):
        m = Module()
        vectors, positions, left = Signal(32), Signal(16), Signal(16)   # left: positions of this block
        last_block, last_group = Signal(), Signal()
        m.d.comb += [last_block.eq(vectors <= self.lanes.vectors), last_group.eq(left <= self.lanes.rows),
                     self.last.eq(last_block & last_group)]
        with m.If(self.start):
            m.d.sync += Cat(vectors, positions, left).eq(Cat(self.vectors, self.positions, self.positions))
        with m.Elif(self.moved):
            m.d.sync += left.eq(left - self.lanes.rows)
            with m.If(last_group):
                m.d.sync += [left.eq(positions), vectors.eq(vectors - self.lanes.vectors)]
        return m
