"""The rank lanes' random generators (xorshift32), several steps a clock."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, ResetSignal, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.formats import xorshift32

__all__ = ["GeneratorPort", "Generators", "step_masks"]


class GeneratorPort(wiring.Signature):
    """A look at one lane's generator (initiator's view): ``r_data`` is its state in the same clock; ``w_en`` stores
    ``w_data`` (1 where that is 0) at the clock's end. For the host, between operations."""

    def __init__(self):
        super().__init__({"lane": Out(5), "w_en": Out(1), "w_data": Out(32), "r_data": In(32)})


def step_masks(steps):
    """``steps`` steps of the generator as a matrix over GF(2): bit ``n`` of the new state is the parity of old &
    mask[n]."""
    columns = []
    for bit in range(32):
        state = 1 << bit
        for _ in range(steps):
            state = xorshift32(state)
        columns.append(state)
    return [sum((columns[bit] >> n & 1) << bit for bit in range(32)) for n in range(32)]


class Generators(wiring.Component):
    """A generator a rank lane; ``rows`` draws of every lane of a rank group in one clock.

    With ``advance``, each lane of ``rank_group`` that is ``trainable`` takes as many steps as there are set bits in
    ``positions`` (ones from bit 0 up); one clock later ``draws`` (element ``w * lanes + j``) holds the states on the
    way. The same group may come again in the next clock: the steps are one matrix product, not a chain.
    """

    def __init__(self, configuration):
        self.lanes = configuration.lora
        self.groups = self.lanes.rank_groups(configuration.geometry.max_rank)
        super().__init__({
            "advance": In(1), "rank_group": In(range(self.groups)), "positions": In(self.lanes.rows),
            "trainable": In(32), "draws": Out(data.ArrayLayout(32, self.lanes.row_elements)),
            "port": In(GeneratorPort())})

    def elaborate(self, platform):
        m = Module()
        lanes = self.lanes
        # A soft reset, which resets the unit from outside, leaves them; the reset of the clock domain does not.
        states = Array(Signal(32, init=1, reset_less=True, name=f"generator_{lane}")
                       for lane in range(self.groups * lanes.lanes))
        draws = Signal.like(self.draws, reset_less=True)
        moves = Signal()    # the one condition of all that follows: idle, no simulator computes a step
        m.d.comb += [self.port.r_data.eq(states[self.port.lane]), self.draws.eq(draws),
                     moves.eq(self.advance | self.port.w_en)]

        steps = [[Const(mask, 32) for mask in step_masks(w + 1)] for w in range(lanes.rows)]
        trainable = self.trainable.word_select(self.rank_group, lanes.lanes)
        for j in range(lanes.lanes):
            old = Signal(32, name=f"old_{j}")
            m.d.comb += old.eq(Array(states[group * lanes.lanes + j] for group in range(self.groups))[self.rank_group])
            ways = []
            for w in range(lanes.rows):
                way = Signal(32, name=f"way_{w}_{j}")
                # an even number of steps costs as many terms as any other, so each odd one is a step behind it
                before, taken = (ways[-1], 1) if w % 2 else (old, w + 1)
                m.d.comb += way.eq(Cat((before & mask).xor() for mask in steps[taken - 1]))
                ways.append(way)
                with m.If(moves), m.If(self.advance):
                    m.d.sync += draws[w * lanes.lanes + j].eq(way)
            # The last position inside the layer is the one whose successor lies outside.
            ends = [self.positions[w] & (~self.positions[w + 1] if w + 1 < lanes.rows else 1)
                    for w in range(lanes.rows)]
            new = Signal(32, name=f"new_{j}")
            m.d.comb += new.eq(Cat(Cat(way[bit] & end for way, end in zip(ways, ends, strict=True)).any()
                                   for bit in range(32)))
            for group in range(self.groups):
                lane, state = group * lanes.lanes + j, states[group * lanes.lanes + j]
                with m.If(moves):
                    with m.If(self.port.w_en & (self.port.lane == lane)):
                        m.d.sync += state.eq(Mux(self.port.w_data == 0, 1, self.port.w_data))
                    with m.If(self.advance & trainable[j] & (self.rank_group == group)):
                        m.d.sync += state.eq(new)
        with m.If(ResetSignal(allow_reset_less=True)):
            m.d.sync += [draws.eq(0), *(state.eq(1) for state in states)]
        return m
