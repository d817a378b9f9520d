"""The multipliers: every one busy in every slot, whichever of the six loops it serves."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.timing import MULTIPLY

from .slot import Pass, is_pass, slot_layout

__all__ = ["Multipliers"]


class Multipliers(wiring.Component):
    """``vectors x rows x lanes`` exact products a clock; product ``(v * rows + w) * lanes + j``.

    ===========  =====================  ==========================
    pass         first operand          second operand
    ===========  =====================  ==========================
    down, sum    weight ``(w, j)``      row operand ``(v, w)``
    up, spread   weight ``(w, j)``      rank operand ``(v, j)``
    outer        row operand ``(v, w)``  rank operand ``(v, j)``
    ===========  =====================  ==========================

    Latency `MULTIPLY` clocks: operands, product and product again are the AREG/BREG, MREG and PREG of a DSP48E1.
    ``slot`` accompanies the operands; registers stand still where it is idle or an update.
    """

    latency = MULTIPLY

    def __init__(self, configuration):
        self.lanes = lanes = configuration.lora
        self.formats = formats = configuration.formats
        super().__init__({
            "slot": In(slot_layout(configuration)),
            "weights": In(data.ArrayLayout(signed(formats.adapter), lanes.row_elements)),
            "row_operand": In(data.ArrayLayout(signed(formats.row_operand), lanes.beat_elements)),
            "rank_operand": In(data.ArrayLayout(signed(formats.rank_operand), lanes.vectors * lanes.lanes)),
            "o": Out(data.ArrayLayout(signed(formats.product), lanes.multipliers))})

    def elaborate(self, platform):
        m = Module()
        lanes = self.lanes
        enable = [~is_pass(self.slot, Pass.NONE, Pass.UPDATE)]
        for stage in range(MULTIPLY - 1):
            enable.append(Signal(name=f"enable_{stage + 1}"))
            m.d.sync += enable[stage + 1].eq(enable[stage])
        outer, reduces_rows = Signal(), Signal()
        m.d.comb += [outer.eq(is_pass(self.slot, Pass.OUTER_A, Pass.OUTER_B)),
                     reduces_rows.eq(is_pass(self.slot, Pass.DOWN, Pass.SUM))]
        for v in range(lanes.vectors):
            for w in range(lanes.rows):
                for j in range(lanes.lanes):
                    row_operand = self.row_operand[v * lanes.rows + w]
                    first = Signal(signed(self.formats.row_operand), name=f"first_{v}_{w}_{j}")
                    second = Signal(signed(self.formats.rank_operand), name=f"second_{v}_{w}_{j}")
                    product = Signal(signed(self.formats.product), name=f"product_{v}_{w}_{j}")
                    output = self.o[(v * lanes.rows + w) * lanes.lanes + j]
                    with m.If(enable[0]):
                        m.d.sync += [
                            first.eq(Mux(outer, row_operand, self.weights[w * lanes.lanes + j])),
                            second.eq(Mux(reduces_rows, row_operand, self.rank_operand[v * lanes.lanes + j]))]
                    with m.If(enable[1]):
                        m.d.sync += product.eq(first * second)
                    with m.If(enable[2]):
                        m.d.sync += output.eq(product)
        return m
