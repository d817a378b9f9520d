"""Decides, clock by clock, which slot the unit issues: the order of passes of `golden.spec.timing`, and their waits."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.pages import Region
from rmdlora.golden.spec.registers import SUMMED, Kind

from .plan import plan_layout
from .slot import Pass, slot_layout

__all__ = ["Schedule"]


class Schedule(wiring.Component):
    """Issues the slots of one operation after another.

    A pass walks the row words of A or of B in order, rank groups innermost, one a clock; of a sum, at every position
    those of one adapter after those of the other. A slot waits (an idle slot
    goes out) where its operand beat is not there, results have no room, or ``hold`` gives the clock to the host. With
    single-port memories slots that write their row word wait for a clock in step with it. Short passes are filled up to
    what later passes need (`Pipeline.turnaround`), by the clock, so waits are never added up. A turn
    (`golden.spec.pages`) has the passes of its matrix only, one block after another, and `Rest`s until its sums are
    where the next turn looks for them.

    Members
    -------
    plan : operations, taken one at a time when the unit is idle; ``current`` is the one that runs.
    slot : what goes out in this clock; ``take_x``, ``take_g``, ``take_c``: the operand beat it uses up.
    x_valid, g_valid, c_valid : operand beats are there. room : results have room for one more beat.
    hold : no slot in this clock. ended : the last result of the operation is handed over in this clock.
    running : from the clock that takes an operation to the one it ends in. draining : no more slots will come.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        super().__init__({
            "plan": In(stream.Signature(plan_layout(configuration))), "current": Out(plan_layout(configuration)),
            "slot": Out(slot_layout(configuration)), "take_x": Out(1), "take_g": Out(1), "take_c": Out(1),
            "x_valid": In(1), "g_valid": In(1), "c_valid": In(1), "room": In(1), "hold": In(1), "ended": In(1),
            "running": Out(1), "draining": Out(1)})

    def elaborate(self, platform):
        m = Module()
        lanes = self.configuration.lora
        turnaround = self.configuration.pipeline.turnaround
        stores, single_port = lanes.stores, self.configuration.sram.single_port
        current, slot = self.current, self.slot

        group, groups_left = Signal.like(slot.group), Signal.like(slot.group)
        rank_group = Signal.like(slot.rank_group)
        address = Signal.like(slot.address)
        others = [Signal.like(address, name=f"other_{index}") for index in range(SUMMED - 1)]   # whose turn comes next
        turns = Signal()                            # behind this row word it is the next adapter's turn
        first_group, first_rank_group = Signal(), Signal()
        last_group, last_rank_group = Signal(), Signal()    # registers, as all flags that a slot waits for
        due = Signal(range(turnaround))             # clocks the pass must still take after the next one, at least
        long_enough = Signal()                      # it may end in this clock
        filling = Signal()                          # all slots of the pass are out, its least clocks are not over
        blocks_left, ahead_left = Signal(32), Signal(32)    # after the block of up and spread; of the next down or sum
        block_last, ahead_last = Signal(), Signal()
        block_store, ahead_store = Signal.like(slot.store), Signal.like(slot.store)
        primed = Signal()                           # the first down or sum is out: passes alternate from here on
        more_ahead = Signal()                       # another block's down or sum is to be issued

        in_pass, ready, pass_end, is_ahead = Signal(), Signal(), Signal(), Signal()
        go = Signal()
        m.d.comb += [
            go.eq(in_pass & ~filling & ready & ~self.hold),
            slot.rank_group.eq(rank_group), slot.address.eq(address), slot.group.eq(group),
            slot.store.eq(Mux(is_ahead, ahead_store, block_store)),
            slot.positions.eq(Mux(last_group, Mux(slot.in_b, current.output_rest, current.input_rest), ~0)),
            slot.vectors.eq(Mux(Mux(is_ahead, ahead_last, block_last), current.vector_rest, ~0)),
            pass_end.eq((filling | (go & last_group & last_rank_group)) & long_enough),
        ]
        m.d.sync += [due.eq(Mux(due == 0, 0, due - 1)), long_enough.eq(due == 0)]
        with m.If(go):
            next_rank_group = Mux(last_rank_group, 0, rank_group + 1)
            m.d.sync += [address.eq(Mux(turns, others[0], address + 1)), rank_group.eq(next_rank_group),
                         turns.eq(current.part_ends.bit_select(next_rank_group, 1)),
                         first_rank_group.eq(last_rank_group),
                         last_rank_group.eq(next_rank_group == current.last_rank_group)]
            with m.If(turns):
                for index, other in enumerate(others):
                    following = others[index + 1] if index + 1 < len(others) else address + 1
                    m.d.sync += other.eq(Mux(current.last_part == index + 1, address + 1, following))
            with m.If(last_rank_group):
                m.d.sync += [group.eq(group + 1), first_group.eq(0),
                             groups_left.eq(groups_left - 1), last_group.eq(groups_left == 1)]
                with m.If(last_group):
                    m.d.sync += filling.eq(1)

        def start(state, region=None, least=0, plan=current):
            """Turn to the next pass, over A or B, of at least so many clocks; its first slot may go out in the next."""
            m.next = state
            m.d.sync += [group.eq(0), rank_group.eq(0), filling.eq(0), first_group.eq(1), first_rank_group.eq(1),
                         last_rank_group.eq(plan.last_rank_group == 0),
                         due.eq(Mux(least > 2, least - 2, 0)), long_enough.eq(least <= 1)]
            if region is not None:
                bases = {"A": plan.a_bases, "B": plan.b_bases}[region]
                last = {"A": plan.last_input_group, "B": plan.last_output_group}[region]
                m.d.sync += [address.eq(bases[0]), groups_left.eq(last), last_group.eq(last == 0),
                             turns.eq(plan.part_ends[0])]
                m.d.sync += [other.eq(bases[index + 1]) for index, other in enumerate(others)]

        step = Signal()     # of single-port memories: which of the even and the odd row words may go out
        if single_port:
            m.d.sync += step.eq(~step)

        def issue(kind, operand=1, reduces_rows=False):
            """This clock's slot, if its operand is there and its row word in step."""
            steps = single_port and kind in (Pass.OUTER_A, Pass.OUTER_B, Pass.UPDATE)
            m.d.comb += [in_pass.eq(1), ready.eq(operand & (address[0] == step) if steps else operand),
                         slot.first.eq(first_group if reduces_rows else first_rank_group),
                         slot.last.eq(last_group if reduces_rows else last_rank_group)]
            with m.If(go):
                m.d.comb += slot.kind.eq(kind)

        def advance_block():
            """One block is through."""
            m.d.sync += [blocks_left.eq(blocks_left - 1), block_last.eq(blocks_left == 1),
                         block_store.eq(Mux(block_store == stores - 1, 0, block_store + 1))]

        def advance_ahead():
            """One block more has its p or q."""
            m.d.sync += [ahead_left.eq(ahead_left - 1), ahead_last.eq(ahead_left == 1), more_ahead.eq(~ahead_last),
                         ahead_store.eq(Mux(ahead_store == stores - 1, 0, ahead_store + 1)), primed.eq(1)]

        m.d.comb += self.running.eq(1)
        paged = self.configuration.paged
        region = current.operation.region
        in_turn = region != Region.WHOLE

        with m.FSM():
            with m.State("Idle"):
                m.d.comb += [self.plan.ready.eq(1), self.running.eq(self.plan.valid)]
                plan = self.plan.payload
                m.d.sync += [current.eq(plan), primed.eq(0), block_store.eq(0), ahead_store.eq(0), more_ahead.eq(1),
                             blocks_left.eq(plan.last_block), ahead_left.eq(plan.last_block),
                             block_last.eq(plan.last_block == 0), ahead_last.eq(plan.last_block == 0)]
                if single_port:
                    m.d.sync += step.eq(plan.a_bases[0][0])
                b_alone = plan.operation.region == Region.B
                with m.If(self.plan.valid), m.Switch(plan.operation.kind):
                    with m.Case(Kind.FORWARD):
                        start("Down", "A", turnaround, plan)
                        if paged:
                            with m.If(b_alone):
                                start("Up", "B", plan=plan)
                    with m.Case(Kind.BACKWARD):
                        start("Sum", "B", plan.gap, plan)
                        if paged:
                            with m.If(plan.operation.region == Region.A):
                                start("Outer A", "A", plan=plan)
                    with m.Default():
                        start("Update A", "A", plan=plan)
                        if paged:
                            with m.If(b_alone):
                                start("Update B", "B", plan=plan)
            with m.State("Down"):
                m.d.comb += [is_ahead.eq(1), self.take_x.eq(go & last_rank_group)]
                issue(Pass.DOWN, self.x_valid, reduces_rows=True)
                with m.If(pass_end):
                    advance_ahead()
                    with m.If(primed):
                        start("Up", "B")
                    with m.Elif(~ahead_last):
                        start("Down", "A", turnaround)
                    with m.Else():
                        start("Wait for p", least=turnaround)
                    if paged:
                        with m.If(region == Region.A):
                            start("Down", "A", turnaround)
                            with m.If(ahead_last):
                                start("Rest", least=turnaround)
            with m.State("Up"):
                m.d.comb += [slot.in_b.eq(1), self.take_c.eq(go & last_rank_group)]
                issue(Pass.UP, ~last_rank_group | (self.c_valid & self.room))
                with m.If(pass_end):
                    advance_block()
                    with m.If(block_last):
                        m.next = "Drain"
                    with m.Elif(more_ahead):
                        start("Down", "A", turnaround)
                    with m.Else():
                        start("Wait for p", least=turnaround)
                    if paged:
                        with m.If(in_turn & ~block_last):
                            start("Up", "B")
            with m.State("Sum"):
                m.d.comb += [is_ahead.eq(1), slot.in_b.eq(1), self.take_g.eq(go & last_rank_group)]
                issue(Pass.SUM, self.g_valid, reduces_rows=True)
                with m.If(pass_end):
                    advance_ahead()
                    with m.If(primed):
                        start("Outer A", "A")
                    with m.Else():
                        start("Outer B", "B")
                    if paged:
                        with m.If(in_turn):
                            start("Outer B", "B")
            with m.State("Outer B"):
                m.d.comb += slot.in_b.eq(1)
                issue(Pass.OUTER_B)
                with m.If(pass_end):
                    with m.If(more_ahead):
                        start("Sum", "B", current.gap)
                    with m.Elif(current.gap != 0):
                        start("Wait for q", least=current.gap)
                    with m.Else():
                        start("Outer A", "A")
                    if paged:
                        with m.If(in_turn):
                            advance_block()
                            with m.If(~more_ahead):
                                start("Rest", least=turnaround)
            with m.State("Outer A"):
                m.d.comb += self.take_x.eq(go & last_rank_group)
                issue(Pass.OUTER_A, self.x_valid)
                with m.If(pass_end):
                    start("Spread", "A", Mux(in_turn, current.gap, 0) if paged else 0)
            with m.State("Spread"):
                issue(Pass.SPREAD, ~last_rank_group | self.room)
                with m.If(pass_end):
                    advance_block()
                    with m.If(block_last):
                        m.next = "Drain"
                    with m.Else():
                        start("Outer B", "B")
                    if paged:
                        with m.If(in_turn & ~block_last):
                            start("Outer A", "A")
            with m.State("Update A"):
                issue(Pass.UPDATE)
                with m.If(pass_end):
                    start("Update B", "B")
                    if paged:
                        with m.If(in_turn):
                            m.next = "Drain"
            with m.State("Update B"):
                m.d.comb += slot.in_b.eq(1)
                issue(Pass.UPDATE)
                with m.If(pass_end):
                    m.next = "Drain"
            with m.State("Wait for p"), m.If(long_enough):
                start("Up", "B")
            with m.State("Wait for q"), m.If(long_enough):
                start("Outer A", "A")
            if paged:
                with m.State("Rest"), m.If(long_enough):
                    m.next = "Drain"
            with m.State("Drain"):
                m.d.comb += self.draining.eq(1)
                with m.If(self.ended):
                    m.next = "Idle"
        return m
