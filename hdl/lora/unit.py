"""The LoRA compute unit: a schedule that issues slots, and the pipeline they run down."""

import itertools

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.pages import Region
from rmdlora.golden.spec.registers import Kind
from rmdlora.golden.spec.timing import HAND_OVER

from ..arithmetic import ShiftPlan
from ..buffer import RowPort
from ..buffer.bank import Bank
from ..operation import Operation
from .generators import GeneratorPort, Generators
from .multiply import Multipliers
from .plan import Plan
from .reduce import RankSums, RowSums, follow
from .results import Results
from .schedule import Schedule
from .slot import Pass, is_pass
from .train import Trainer

__all__ = ["LoraUnit"]

UNTOLD = 3      # result beats that `Schedule.room`, a register, does not yet know of


class LoraUnit(wiring.Component):
    """Forward, backward and update of an adapter or a sum, one row word a clock (contract, sections 2 to 4).

    Latency and throughput are `golden.spec.timing.Pipeline`, to the clock. Operands and results are beats of ``rows``
    elements of each of ``vectors`` vectors (`golden.spec.geometry`); a missing operand or a full result stream makes
    the unit wait, and loses nothing. Operations must be legal (`OperationCheck`).

    Members
    -------
    operation : operations, taken as they come; the next one is planned while one runs. x, c, g : operand beats. A
    forward takes ``x`` of the next block before ``c`` of this one; ``c`` is always taken. A backward
        takes ``g``, then ``x`` of a block.
    y, dx : result beats of forward and backward.
    running : from the clock an operation is accepted in to its last one; ``done`` : that last one.
    rows : to the `Buffer`. generator : to the lanes' random generators.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        lanes, formats, geometry = configuration.lora, configuration.formats, configuration.geometry
        beat, single_port = lanes.beat_elements, configuration.sram.single_port

        # g of a block is summed and then meets p: it waits in a memory of one block, written and read in the same
        # clock of a slot, so never both. p of a chunk, q of two blocks (in turns: a chunk): a rank group is a word
        # of `vectors x lanes` codes; an even block may be written while an odd one is read. Results: as many as are
        # on the way, and then some.
        codes = data.ArrayLayout(signed(formats.intermediate), lanes.vectors * lanes.lanes)
        rank_groups = lanes.rank_groups(geometry.max_rank)
        self.gradients = Bank(data.ArrayLayout(signed(formats.gradient), beat),
                              max(2, lanes.groups(geometry.max_outputs)), single_port)
        self.p_codes = Bank(codes, rank_groups << (lanes.stores - 1).bit_length(), single_port, pair=True)
        q_stores = lanes.stores if configuration.paged else 2
        self.q_codes = Bank(codes, rank_groups << (q_stores - 1).bit_length(), single_port, pair=True)
        self.results = Results(data.ArrayLayout(signed(formats.output), beat),
                               1 << (configuration.pipeline.row_result + HAND_OVER + UNTOLD).bit_length(), single_port)

        def beats(bits):
            return stream.Signature(data.ArrayLayout(signed(bits), beat))

        super().__init__({
            "operation": In(stream.Signature(Operation)), "x": In(beats(formats.activation)),
            "c": In(beats(formats.sum)), "g": In(beats(formats.gradient)), "y": Out(beats(formats.output)),
            "dx": Out(beats(formats.output)), "running": Out(1), "done": Out(1), "rows": Out(RowPort(configuration)),
            "generator": In(GeneratorPort())})

    def elaborate(self, platform):
        m = Module()
        configuration, rows = self.configuration, self.rows
        lanes, formats, pipeline = configuration.lora, configuration.formats, configuration.pipeline
        m.submodules.planner = planner = Plan(configuration)
        m.submodules.schedule = schedule = Schedule(configuration)
        m.submodules.multipliers = multipliers = Multipliers(configuration)
        m.submodules.rank_sums = rank_sums = RankSums(configuration)
        m.submodules.row_sums = row_sums = RowSums(configuration)
        m.submodules.trainer = trainer = Trainer(configuration)
        m.submodules.generators = generators = Generators(configuration)

        wiring.connect(m, wiring.flipped(self.operation), planner.i)
        wiring.connect(m, planner.o, schedule.plan)
        wiring.connect(m, wiring.flipped(self.generator), generators.port)
        operation = schedule.current.operation
        forward, updates = operation.kind == Kind.FORWARD, operation.kind == Kind.UPDATE

        # Operand beats: taken with the slot, masked to what exists, and beside the memories' words from there on.
        m.d.comb += [
            schedule.x_valid.eq(self.x.valid), self.x.ready.eq(schedule.take_x),
            schedule.g_valid.eq(self.g.valid), self.g.ready.eq(schedule.take_g),
            schedule.c_valid.eq(self.c.valid), self.c.ready.eq(schedule.take_c),
            schedule.hold.eq(rows.hold), self.running.eq(schedule.running)]
        slots = follow(m, schedule.slot, max(pipeline.state_result, pipeline.update_result, pipeline.product))
        issued, fetching, fetched, operands = slots[0], *slots[pipeline.memory - 2:pipeline.memory + 1]
        row_layout = data.ArrayLayout(signed(formats.row_operand), lanes.beat_elements)
        row_operand = Signal(row_layout)
        beats = [Signal(row_layout, name=f"beat_{stage}") for stage in range(pipeline.memory)]
        taken_c = [Signal.like(self.c.payload, name=f"c_{stage}") for stage in range(pipeline.memory)]
        with m.If(schedule.take_c):
            m.d.sync += taken_c[0].eq(self.c.payload)
        m.d.sync += [later.eq(earlier) for earlier, later in itertools.pairwise(taken_c)]
        for v in range(lanes.vectors):
            for w in range(lanes.rows):
                index = v * lanes.rows + w
                beat = Mux(is_pass(issued, Pass.SUM), self.g.payload[index], self.x.payload[index])
                m.d.comb += beats[0][index].eq(Mux(issued.positions[w] & issued.vectors[v], beat, 0))
        for slot, (earlier, later) in zip(slots, itertools.pairwise(beats), strict=False):
            with m.If(is_pass(slot, Pass.DOWN, Pass.SUM, Pass.OUTER_A)):
                m.d.sync += later.eq(earlier)

        m.submodules.gradients, m.submodules.p_codes, m.submodules.q_codes = gradients, p_codes, q_codes = (
            self.gradients, self.p_codes, self.q_codes)
        m.d.comb += [gradients.write.eq(is_pass(fetching, Pass.SUM).replicate(lanes.beat_elements)),
                     gradients.read.eq(is_pass(fetching, Pass.OUTER_B)), gradients.read_address.eq(fetching.group),
                     gradients.write_address.eq(fetching.group)]
        for index in range(lanes.beat_elements):
            m.d.comb += gradients.write_data[index].eq(beats[-2][index])
            m.d.sync += row_operand[index].eq(
                Mux(is_pass(fetched, Pass.OUTER_B), gradients.read_data[index], beats[-1][index]))
        result = rank_sums.slot_o
        for codes, made_by, used_by, bits in ((p_codes, (Pass.DOWN,), (Pass.UP, Pass.OUTER_B), len(issued.store)),
                                              (q_codes, (Pass.SUM,), (Pass.SPREAD, Pass.OUTER_A),
                                               len(issued.store) if configuration.paged else 1)):
            writes = rank_sums.valid & is_pass(result, *made_by)
            m.d.comb += [codes.write.eq(writes.replicate(len(codes.write))), codes.write_data.eq(rank_sums.o),
                         codes.write_address.eq(Cat(result.store[:bits], result.rank_group)),
                         codes.read.eq(is_pass(fetching, *used_by)),
                         codes.read_address.eq(Cat(fetching.store[:bits], fetching.rank_group))]
        rank_operand = Signal(data.ArrayLayout(signed(formats.rank_operand), lanes.vectors * lanes.lanes))
        trainable = operation.trainable.word_select(fetched.rank_group, lanes.lanes)
        outer = is_pass(fetched, Pass.OUTER_A, Pass.OUTER_B)
        for v in range(lanes.vectors):
            for j in range(lanes.lanes):
                index = v * lanes.lanes + j
                code = Mux(is_pass(fetched, Pass.UP, Pass.OUTER_B), p_codes.read_data[index], q_codes.read_data[index])
                m.d.sync += rank_operand[index].eq(Mux(outer & ~trainable[j], 0, code))

        # Row words. State meets outer products behind the multipliers and the shifters, weights meet the update's step
        # behind its shifters: each is read just in time, so nothing wide is delayed.
        outer_read = slots[pipeline.product + trainer.read_latency - pipeline.memory]
        update_read = slots[trainer.read_latency]
        late_weights = is_pass(update_read, Pass.UPDATE)
        late_states = is_pass(outer_read, Pass.OUTER_A, Pass.OUTER_B)
        m.d.comb += [
            rows.read_weights.eq(is_pass(issued, Pass.DOWN, Pass.UP, Pass.SUM, Pass.SPREAD) | late_weights),
            rows.weights_address.eq(Mux(late_weights, update_read.address, issued.address)),
            rows.read_states.eq(is_pass(issued, Pass.UPDATE) | late_states),
            rows.states_address.eq(Mux(late_states, outer_read.address, issued.address)),
            rows.read_calibration.eq(is_pass(issued, Pass.UP)),
            rows.calibration_address.eq(operation.calibration + issued.group)]

        # Down the pipeline.
        def plan_shift(shift, rounder):
            return ShiftPlan.decode(m, shift, rounder.shift_limit)

        products = slots[pipeline.product]
        m.d.sync += rank_sums.one_group.eq(schedule.current.last_rank_group == 0)
        m.d.comb += [
            multipliers.slot.eq(operands), multipliers.weights.eq(rows.weights),
            multipliers.row_operand.eq(row_operand), multipliers.rank_operand.eq(rank_operand),
            rank_sums.slot.eq(slots[pipeline.product - 1]), rank_sums.products.eq(multipliers.o),
            rank_sums.active.eq(operation.active), rank_sums.coming.eq(slots[pipeline.product - 3]),
            rank_sums.opens.eq(operation.opens | (operation.region == Region.WHOLE)),
            rank_sums.closes.eq(operation.closes | (operation.region == Region.WHOLE)),
            rank_sums.plan.eq(plan_shift(Mux(forward, operation.p, operation.q), rank_sums.round)),
            row_sums.slot.eq(products), row_sums.products.eq(multipliers.o),
            row_sums.plan.eq(plan_shift(Mux(forward, operation.u, operation.dx), row_sums.round)),
            row_sums.w_plan.eq(plan_shift(operation.w, row_sums.round_calibrated)),
            row_sums.calibrate.eq(is_pass(operands, Pass.UP) & operands.last), row_sums.c.eq(taken_c[-1]),
            row_sums.gains.eq(rows.gains), row_sums.offsets.eq(rows.offsets),
            generators.advance.eq(is_pass(fetched, Pass.UPDATE) & ~operation.nearest),
            generators.rank_group.eq(fetched.rank_group), generators.positions.eq(fetched.positions),
            generators.trainable.eq(operation.trainable),
            trainer.slot.eq(products), trainer.products.eq(multipliers.o), trainer.update_slot.eq(operands),
            trainer.states.eq(rows.states), trainer.weights.eq(rows.weights), trainer.draws.eq(generators.draws),
            trainer.stochastic.eq(~operation.nearest), trainer.trainable.eq(operation.trainable),
            trainer.momentum.eq(operation.momentum != 0),
            trainer.a_plan.eq(plan_shift(Mux(updates, operation.lra, operation.va), trainer.round)),
            trainer.b_plan.eq(plan_shift(Mux(updates, operation.lrb, operation.vb), trainer.round)),
            trainer.momentum_plan.eq(plan_shift(operation.momentum, trainer.decay))]
        m.d.sync += trainer.updates.eq(updates)

        # Back into the buffer: outer passes and updates never meet, the unit is empty between operations.
        m.d.comb += [
            rows.write_weights.eq(trainer.stepped), rows.write_states.eq(trainer.valid),
            rows.write_address.eq(trainer.address), rows.new_weights.eq(trainer.new_weights),
            rows.new_states.eq(trainer.new_states)]

        def writes(but):
            """Whether a slot on its way is going to write its row word, ``but`` for those ``but`` clocks before it."""
            return Cat(*(is_pass(slot, Pass.OUTER_A, Pass.OUTER_B) for slot in slots[:pipeline.state_result - but]),
                       *(is_pass(slot, Pass.UPDATE) for slot in slots[:pipeline.update_result - but])).any()

        writes_left = Signal()      # registers, told a clock ahead: a slot takes part from the clock after its issue
        m.d.sync += [writes_left.eq(writes(1)), rows.settled.eq(~writes(0))]

        # Results: a slot that makes a beat goes out only when there is room for it.
        m.submodules.results = results = self.results
        outstanding, promised = Signal(range(results.bank.depth + 1)), Signal()
        handed = results.o.valid & results.o.ready
        m.d.sync += [promised.eq(is_pass(issued, Pass.UP, Pass.SPREAD) & issued.last),
                     outstanding.eq(outstanding + promised - handed),
                     schedule.room.eq(outstanding <= results.bank.depth - UNTOLD)]
        m.d.comb += [
            results.write.eq(row_sums.valid), results.beat.eq(row_sums.o),
            self.y.payload.eq(results.o.payload), self.dx.payload.eq(results.o.payload),
            self.y.valid.eq(results.o.valid & forward), self.dx.valid.eq(results.o.valid & ~forward),
            results.o.ready.eq(Mux(forward, self.y.ready, self.dx.ready)),
            schedule.ended.eq(~writes_left & ~promised & (outstanding == handed)),
            self.done.eq(schedule.draining & schedule.ended)]
        return m
