"""What trains: gradient accumulators that take outer products in vector order, and the step of the weights against
them."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.formats import MOMENTUM_SHIFT_LIMIT
from rmdlora.golden.spec.timing import SATURATE

from ..arithmetic import RoundShift, ShiftPlan, saturate
from .reduce import follow
from .slot import Pass, is_pass, slot_layout

__all__ = ["Trainer"]


class Trainer(wiring.Component):
    """`va`, `vb` of outer passes, and new weights and states of an update (contract, sections 3 and 4).

    The two never meet, so that one row of shifters rounds products in a backward and states in an update, and one row
    of registers holds the states that either makes. An outer pass adds ``saturate(v + round_shift(product))`` for one
    vector of the block after the other. An update steps one row word of weights and lets one of states decay or clear,
    in the trainable lanes; the others leave as they came.

    Outer: ``slot`` accompanies the ``products``; the row word of state is wanted `read_latency` clocks later, in
    ``states``; the new one leaves `state_latency` clocks after the products. Update: ``update_slot`` accompanies
    ``states`` and ``draws``; ``weights`` is wanted `read_latency` clocks later, and both new row words leave
    `update_latency` clocks after ``states``. In step with single-port memories either takes perhaps a clock more.

    Members beside these: ``updates``: the operation is an update; ``stochastic``, ``momentum`` (the state decays
    instead of clearing) and ``trainable``: how; ``a_plan``, ``b_plan``: the shifts of A's and of B's products or steps;
    ``momentum_plan``. Out: ``new_weights``, ``new_states``; ``address``, where to, and ``valid`` (of the states),
    ``stepped`` (of the weights).
    """

    read_latency = RoundShift.latency

    def __init__(self, configuration):
        self.configuration = configuration
        lanes, formats = configuration.lora, configuration.formats
        self.round = RoundShift(lanes.multipliers, max(formats.product, formats.state), draws=lanes.row_elements,
                                shifts=2, masked=True)
        self.decay = RoundShift(lanes.row_elements, formats.state, limit=MOMENTUM_SHIFT_LIMIT, masked=True)
        weights = data.ArrayLayout(signed(formats.adapter), lanes.row_elements)
        states = data.ArrayLayout(signed(formats.state), lanes.row_elements)
        super().__init__({
            "slot": In(slot_layout(configuration)), "update_slot": In(slot_layout(configuration)), "updates": In(1),
            "trainable": In(32), "stochastic": In(1), "momentum": In(1), "a_plan": In(ShiftPlan),
            "b_plan": In(ShiftPlan), "momentum_plan": In(ShiftPlan),
            "products": In(data.ArrayLayout(signed(formats.product), lanes.multipliers)), "states": In(states),
            "weights": In(weights), "draws": In(data.ArrayLayout(32, lanes.row_elements)),
            "new_weights": Out(weights), "new_states": Out(states), "address": Out(range(configuration.sram.words)),
            "valid": Out(1), "stepped": Out(1)})

    @property
    def state_latency(self):
        """Clocks from products to the new row word of state."""
        return self.configuration.pipeline.state_result - self.configuration.pipeline.product

    @property
    def update_latency(self):
        """Clocks from states to the new row words."""
        return self.configuration.pipeline.update_result - self.configuration.pipeline.memory

    def elaborate(self, platform):
        m = Module()
        lanes, formats = self.configuration.lora, self.configuration.formats
        m.submodules.round, m.submodules.decay = rounder, decay = self.round, self.decay
        outer_slots = follow(m, self.slot, self.state_latency, "outer_slot")
        update_slots = follow(m, self.update_slot, self.update_latency, "update_slot")
        outer = [is_pass(slot, Pass.OUTER_A, Pass.OUTER_B) for slot in outer_slots]
        update = [is_pass(slot, Pass.UPDATE) for slot in update_slots]

        trainable = self.trainable.word_select(update_slots[self.read_latency - 1].rank_group, lanes.lanes)
        stays = trainable.replicate(lanes.rows)
        cleared = Signal(lanes.lanes)
        m.d.sync += cleared.eq(Mux(self.momentum, 0, trainable))
        m.d.comb += [
            rounder.valid.eq(outer[0] | update[0]),
            rounder.select.eq(Mux(self.updates, self.update_slot.in_b, self.slot.in_b)),
            rounder.plans[0].eq(self.a_plan), rounder.plans[1].eq(self.b_plan), rounder.draw.eq(self.draws),
            rounder.stochastic.eq(self.stochastic & self.updates),
            # the products of a lane that is not trainable are 0 as they come
            rounder.mask.eq((stays | (~self.updates).replicate(len(stays))).replicate(lanes.vectors)),
            decay.valid.eq(update[0]), decay.i.eq(self.states), decay.plans[0].eq(self.momentum_plan),
            decay.mask.eq(stays)]
        for index in range(lanes.multipliers):
            product = self.products[index]
            m.d.comb += rounder.i[index].eq(
                Mux(self.updates, self.states[index], product) if index < lanes.row_elements else product)

        new_weights, new_states = Signal.like(self.new_weights), Signal.like(self.new_states)
        for w in range(lanes.rows):
            for j in range(lanes.lanes):
                element = w * lanes.lanes + j
                old = self.states[element]
                for stage in range(self.read_latency):
                    later = Signal(signed(formats.state), name=f"old_{element}_{stage + 1}")
                    with m.If(update[stage]):
                        m.d.sync += later.eq(old)
                    old = later
                state = self.states[element]
                for v in range(lanes.vectors):
                    change = rounder.o[v * lanes.row_elements + element]
                    for wait in range(v):
                        later = Signal(signed(formats.product), name=f"change_{v}_{element}_{wait + 1}")
                        with m.If(outer[self.read_latency + wait]):
                            m.d.sync += later.eq(change)
                        change = later
                    grown = saturate(state + change, formats.state)
                    if v < lanes.vectors - 1:
                        state = Signal(signed(formats.state), name=f"state_{v}_{element}")
                        with m.If(outer[self.read_latency + v]):
                            m.d.sync += state.eq(grown)
                with m.If(update[self.read_latency] | outer[self.read_latency + lanes.vectors - 1]):
                    m.d.sync += new_states[element].eq(Mux(self.updates, old - decay.o[element], grown))
                    with m.If(self.updates & cleared[j]):
                        m.d.sync += new_states[element].eq(0)
                with m.If(update[self.read_latency]):
                    m.d.sync += new_weights[element].eq(
                        saturate(self.weights[element] - rounder.o[element], formats.adapter))

        # Either kind's row words wait until they are in step.
        ends = {"outer": self.state_latency - self.read_latency - lanes.vectors,
                "update": self.update_latency - self.read_latency - SATURATE}
        waiting = [new_states]
        for wait in range(max(ends.values())):
            waiting.append(Signal.like(new_states, name=f"new_states_{wait + 1}"))
            m.d.sync += waiting[-1].eq(waiting[-2])
        for wait in range(ends["update"]):
            later = Signal.like(new_weights, name=f"new_weights_{wait + 1}")
            m.d.sync += later.eq(new_weights)
            new_weights = later
        m.d.comb += [
            self.new_weights.eq(new_weights),
            self.new_states.eq(Mux(self.updates, waiting[ends["update"]], waiting[ends["outer"]])),
            self.address.eq(Mux(self.updates, update_slots[-1].address, outer_slots[-1].address)),
            self.stepped.eq(update[-1]), self.valid.eq(update[-1] | outer[-1])]
        return m
