"""The gradient accumulators: outer products rounded one by one and added to the optimiser state, in vector order."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import RoundShift, ShiftPlan, saturate
from .reduce import follow
from .slot import Pass, is_pass, slot_layout

__all__ = ["StateSums"]


class StateSums(wiring.Component):
    """`va` and `vb`: ``saturate(v + round_shift(product))`` for one vector of the block after the other.

    ``slot`` accompanies the ``products``. The row word of state is wanted `read_latency` clocks later, in ``states``;
    the new one leaves `latency` clocks after the products, in ``o`` with its slot in ``slot_o`` and ``valid``: a
    saturating add a vector lies between the two, and in step with single-port memories perhaps a stage more. Without
    ``valid``, ``o`` is 0.
    ``va_plan``, ``vb_plan``: the shifts of A's and of B's outer products.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        lanes, formats = configuration.lora, configuration.formats
        self.round = RoundShift(lanes.multipliers, formats.product, shifts=2)
        word = data.ArrayLayout(signed(formats.state), lanes.row_elements)
        super().__init__({
            "slot": In(slot_layout(configuration)), "va_plan": In(ShiftPlan), "vb_plan": In(ShiftPlan),
            "products": In(data.ArrayLayout(signed(formats.product), lanes.multipliers)),
            "states": In(word), "o": Out(word), "slot_o": Out(slot_layout(configuration)), "valid": Out(1)})

    @property
    def read_latency(self):
        """Clocks from products to the clock in which ``states`` must hold the row word."""
        return RoundShift.latency

    @property
    def latency(self):
        """Clocks from products to the new row word."""
        return self.configuration.pipeline.state_result - self.configuration.pipeline.product

    def elaborate(self, platform):
        m = Module()
        lanes, formats = self.configuration.lora, self.configuration.formats
        m.submodules.round = rounder = self.round
        slots = follow(m, self.slot, self.latency)
        enables = [is_pass(slot, Pass.OUTER_A, Pass.OUTER_B) for slot in slots]
        m.d.comb += [rounder.valid.eq(enables[0]), rounder.i.eq(self.products), rounder.select.eq(self.slot.in_b),
                     rounder.plans[0].eq(self.va_plan), rounder.plans[1].eq(self.vb_plan)]
        for element in range(lanes.row_elements):
            state = self.states[element]
            for v in range(lanes.vectors):
                change = rounder.o[v * lanes.row_elements + element]
                for wait in range(v):
                    later = Signal(signed(formats.product), name=f"change_{v}_{element}_{wait + 1}")
                    with m.If(enables[self.read_latency + wait]):
                        m.d.sync += later.eq(change)
                    change = later
                grown = Signal(signed(formats.state), name=f"state_{v}_{element}")
                with m.If(enables[self.read_latency + v]):
                    m.d.sync += grown.eq(saturate(state + change, formats.state))
                state = grown
            with m.If(~enables[self.read_latency + lanes.vectors - 1]):
                m.d.sync += state.eq(0)
            for _ in range(self.read_latency + lanes.vectors, self.latency):
                later = Signal(signed(formats.state), name=f"new_state_{element}")
                m.d.sync += later.eq(state)
                state = later
            m.d.comb += self.o[element].eq(state)
        m.d.comb += [self.slot_o.eq(slots[-1]), self.valid.eq(enables[-1])]
        return m
