"""A small design with the chip's kinds of ports, to try the lanes on: registers, streams, an interrupt."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.back import verilog
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out
from loopback_map import COUNT, ELEMENTS, FLAW, MISSING
from rmdlora.cosim.verilate import Design

__all__ = ["Loopback", "loopback_design"]


def stream_ports(bits):
    """AXI4-Stream without byte enables, from the side that sends."""
    return wiring.Signature({"tdata": Out(bits), "tvalid": Out(1), "tready": In(1), "tlast": Out(1)})


class Loopback(wiring.Component):
    """y = x + BIAS, element by element, wrong now and then while FLAW is set; dx = c as it is.

    Writing COUNT makes `running` high until as many y have left.

    Members: ``s_axil``; ``s_axis_x`` (8-bit elements), ``m_axis_y`` (16-bit); ``s_axis_c``, ``m_axis_dx`` (64-bit);
    ``running``; ``irq``, high from the last y on until the next start.
    """

    def __init__(self):
        master = {f"{c}{n}": Out(w) for c in ("aw", "ar") for n, w in (("addr", 12), ("prot", 3), ("valid", 1))}
        master |= {"wdata": Out(32), "wstrb": Out(4), "wvalid": Out(1), "bready": Out(1), "rready": Out(1)}
        master |= {"awready": In(1), "wready": In(1), "arready": In(1), "bvalid": In(1), "bresp": In(2)}
        master |= {"rvalid": In(1), "rdata": In(32), "rresp": In(2)}
        super().__init__({"s_axil": In(wiring.Signature(master)),
                          "s_axis_x": In(stream_ports(8 * ELEMENTS)), "m_axis_y": Out(stream_ports(16 * ELEMENTS)),
                          "s_axis_c": In(stream_ports(64 * ELEMENTS)), "m_axis_dx": Out(stream_ports(64 * ELEMENTS)),
                          "running": Out(1), "irq": Out(1)})

    def elaborate(self, platform):
        m = Module()
        bus = self.s_axil
        words = Array([Signal(32, name=f"word{i}") for i in range(32)])
        left = Signal(32)
        with m.If(bus.awvalid & bus.wvalid & ~bus.awready & (~bus.bvalid | bus.bready)):
            m.d.sync += [bus.awready.eq(1), bus.wready.eq(1), bus.bvalid.eq(1),
                         bus.bresp.eq(Mux(bus.awaddr >= MISSING, 2, 0))]
            with m.If(bus.awaddr < MISSING):
                m.d.sync += words[bus.awaddr[2:7]].eq(bus.wdata)
            with m.If(bus.awaddr == COUNT):
                m.d.sync += [left.eq(bus.wdata), self.irq.eq(0)]
        with m.Else():
            m.d.sync += [bus.awready.eq(0), bus.wready.eq(0)]
            with m.If(bus.bready):
                m.d.sync += bus.bvalid.eq(0)
        with m.If(bus.arvalid & ~bus.arready & (~bus.rvalid | bus.rready)):
            m.d.sync += [bus.arready.eq(1), bus.rvalid.eq(1), bus.rdata.eq(words[bus.araddr[2:7]]),
                         bus.rresp.eq(Mux(bus.araddr >= MISSING, 2, 0))]
        with m.Else():
            m.d.sync += bus.arready.eq(0)
            with m.If(bus.rready):
                m.d.sync += bus.rvalid.eq(0)

        m.submodules.narrow = narrow = fifo.SyncFIFO(width=16 * ELEMENTS, depth=4)
        sums = [(self.s_axis_x.tdata.word_select(i, 8).as_signed() + words[0][:16].as_signed())[:16]
                for i in range(ELEMENTS)]
        sums[2] ^= words[FLAW // 4].any() & (self.s_axis_x.tdata[:8] == 7)
        m.d.comb += [narrow.w_data.eq(Cat(sums)), narrow.w_en.eq(self.s_axis_x.tvalid),
                     self.s_axis_x.tready.eq(narrow.w_rdy), self.m_axis_y.tdata.eq(narrow.r_data),
                     self.m_axis_y.tvalid.eq(narrow.r_rdy), narrow.r_en.eq(self.m_axis_y.tready),
                     self.m_axis_y.tlast.eq(left == 1), self.running.eq(left != 0)]
        m.submodules.wide = wide = fifo.SyncFIFO(width=64 * ELEMENTS, depth=2)
        m.d.comb += [wide.w_data.eq(self.s_axis_c.tdata), wide.w_en.eq(self.s_axis_c.tvalid),
                     self.s_axis_c.tready.eq(wide.w_rdy), self.m_axis_dx.tdata.eq(wide.r_data),
                     self.m_axis_dx.tvalid.eq(wide.r_rdy), wide.r_en.eq(self.m_axis_dx.tready)]
        with m.If(self.m_axis_y.tvalid & self.m_axis_y.tready & (left != 0)):
            m.d.sync += left.eq(left - 1)
            with m.If(left == 1):
                m.d.sync += self.irq.eq(1)
        return m


def loopback_design():
    """The `Design` of a `Loopback`."""
    text = verilog.convert(Loopback(), name="loopback", emit_src=False, strip_internal_attrs=True)
    return Design("loopback", (("loopback.v", text),))
