"""The update: weights step against their accumulated gradient, the accumulator decays to a momentum."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.timing import SATURATE

from ..arithmetic import RoundShift, ShiftPlan, saturate
from .reduce import follow
from .slot import Pass, is_pass, slot_layout

__all__ = ["Update"]


class Update(wiring.Component):
    """One row word of weights and one of state a clock (contract, section 4), in the trainable lanes.

    ``slot`` accompanies ``states`` and ``draws``; ``weights`` is wanted `weight_latency` clocks later. Both new row
    words leave `latency` clocks after ``states``, with their slot in ``slot_o`` and ``valid``. Lanes that are not
    trainable leave as they came; without ``valid``, ``new_states`` is 0. ``lra_plan``, ``lrb_plan``,
    ``momentum_plan``: the shifts; ``momentum``: whether the state decays instead of clearing.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        lanes, formats = configuration.lora, configuration.formats
        self.step = RoundShift(lanes.row_elements, formats.state, draws=True, shifts=2, masked=True)
        self.decay = RoundShift(lanes.row_elements, formats.state, masked=True)
        weights = data.ArrayLayout(signed(formats.adapter), lanes.row_elements)
        states = data.ArrayLayout(signed(formats.state), lanes.row_elements)
        super().__init__({
            "slot": In(slot_layout(configuration)), "trainable": In(32), "stochastic": In(1), "momentum": In(1),
            "lra_plan": In(ShiftPlan), "lrb_plan": In(ShiftPlan), "momentum_plan": In(ShiftPlan),
            "states": In(states), "weights": In(weights), "draws": In(data.ArrayLayout(32, lanes.row_elements)),
            "new_weights": Out(weights), "new_states": Out(states), "slot_o": Out(slot_layout(configuration)),
            "valid": Out(1)})

    @property
    def weight_latency(self):
        """Clocks from ``states`` to the clock in which ``weights`` must hold the row word."""
        return RoundShift.latency

    @property
    def latency(self):
        """Clocks from ``states`` to the new row words; in step with single-port memories perhaps one more."""
        return self.configuration.pipeline.update_result - self.configuration.pipeline.memory

    def elaborate(self, platform):
        m = Module()
        lanes, formats = self.configuration.lora, self.configuration.formats
        m.submodules.step, m.submodules.decay = step, decay = self.step, self.decay
        slots = follow(m, self.slot, self.latency)
        enables = [is_pass(slot, Pass.UPDATE) for slot in slots]
        m.d.comb += [
            step.valid.eq(enables[0]), step.i.eq(self.states), step.draw.eq(self.draws), step.select.eq(self.slot.in_b),
            step.stochastic.eq(self.stochastic), step.plans[0].eq(self.lra_plan), step.plans[1].eq(self.lrb_plan),
            decay.valid.eq(enables[0]), decay.i.eq(self.states), decay.plans[0].eq(self.momentum_plan)]
        new_weights, new_states = Signal.like(self.new_weights), Signal.like(self.new_states)
        trainable = self.trainable.word_select(slots[self.weight_latency - 1].rank_group, lanes.lanes)
        cleared = Signal(lanes.lanes)
        m.d.sync += cleared.eq(Mux(self.momentum, 0, trainable))
        m.d.comb += [step.mask.eq(trainable.replicate(lanes.rows)), decay.mask.eq(trainable.replicate(lanes.rows))]
        for w in range(lanes.rows):
            for j in range(lanes.lanes):
                element = w * lanes.lanes + j
                state = self.states[element]
                for stage in range(self.weight_latency):
                    later = Signal(signed(formats.state), name=f"state_{element}_{stage + 1}")
                    with m.If(enables[stage]):
                        m.d.sync += later.eq(state)
                    state = later
                weight = self.weights[element]
                with m.If(enables[self.weight_latency]):
                    m.d.sync += [new_weights[element].eq(saturate(weight - step.o[element], formats.adapter)),
                                 new_states[element].eq(Mux(cleared[j], 0, state - decay.o[element]))]
                with m.Else():
                    m.d.sync += new_states[element].eq(0)
        for _ in range(self.weight_latency + SATURATE, self.latency):
            weights, states = Signal.like(new_weights, name="late_weights"), Signal.like(new_states, name="late_states")
            m.d.sync += [weights.eq(new_weights), states.eq(new_states)]
            new_weights, new_states = weights, states
        m.d.comb += [self.new_weights.eq(new_weights), self.new_states.eq(new_states)]
        m.d.comb += [self.slot_o.eq(slots[-1]), self.valid.eq(enables[-1])]
        return m
