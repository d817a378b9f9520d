"""Sums of products: over rows for the rank lanes (`p`, `q`), over rank lanes for the rows (`y`, `dx`)."""

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.timing import MULTIPLY

from ..arithmetic import RoundShift, ShiftPlan, saturate
from ..buffer.bank import Bank
from .slot import Pass, is_pass, slot_layout

__all__ = ["RankSums", "RowSums", "follow"]

WIDEST_OPERAND = 25     # bits of a DSP48E1's wider operand, the sign included


def follow(m, slot, clocks, name="slot"):
    """``[slot, slot one clock later, ...]``: what accompanies a pipeline of ``clocks`` stages."""
    stages = [slot]
    for stage in range(clocks):
        stages.append(Signal.like(slot, name=f"{name}_{stage + 1}"))
        m.d.sync += stages[-1].eq(stages[-2])
    return stages


def add_tree(m, terms, width, enables, name):
    """The exact sum of ``terms`` (a power of two), a register a level, level ``n`` moving with ``enables[n]``."""
    level = 0
    while len(terms) > 1:
        sums = [Signal(signed(width), name=f"{name}_level_{level + 1}_{index}") for index in range(len(terms) // 2)]
        with m.If(enables[level]):
            m.d.sync += [total.eq(left + right)
                         for total, left, right in zip(sums, terms[::2], terms[1::2], strict=True)]
        terms, level = sums, level + 1
    return terms[0]


def scale(m, value, gain, width, enables, name):
    """``value * gain`` in ``width`` bits, a register with each of ``enables``: product, product again, sum, as it is.

    A value too wide for one multiplier is cut in two, the lower part without a sign. Either multiplier keeps its
    registers, and an adder behind them joins the parts.
    """
    cut = WIDEST_OPERAND - 1
    parts = [value]
    if len(value) > WIDEST_OPERAND:
        parts = [Cat(value[:cut], C(0, 1)).as_signed(), value[cut:].as_signed()]
    terms = [part * gain for part in parts]
    for stage, enable in enumerate(enables):
        if stage == MULTIPLY - 1 and len(terms) == 2:
            low, high = terms
            terms = [Cat(low[:cut], (low >> cut) + high)[:width].as_signed()]
        later = [Signal.like(term, name=f"{name}_{stage + 1}_{part}") for part, term in enumerate(terms)]
        with m.If(enable):
            m.d.sync += [register.eq(term) for register, term in zip(later, terms, strict=True)]
        terms = later
    return terms[0]


class RankSums(wiring.Component):
    """`p` and `q`: products summed over the rows of a slot and then over the slots of a pass, requantised.

    A pass runs all rank groups side by side, so each has an accumulator. ``slot`` comes a clock before its
    ``products``; a result (``vectors x lanes`` codes, element ``v * lanes + j``; 0 in inactive lanes) leaves `latency`
    clocks after the last products of its sum, with their slot in ``slot_o`` and ``valid``. ``active``: the mask over
    all rank lanes; ``one_group``: they are of one rank group; ``plan``: p_shift or q_shift.

    Of a paged configuration's turns, sums begin at 0 where the stretch ``opens`` its matrix and are results where it
    ``closes`` it; else they begin at what a memory keeps of the stretch before, and end there. ``coming``: the slot,
    two clocks before ``slot``.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        lanes, formats, geometry = configuration.lora, configuration.formats, configuration.geometry
        self.width = formats.reduction(max(geometry.max_inputs, geometry.max_outputs))
        self.round = RoundShift(lanes.vectors * lanes.lanes, self.width)
        self.kept = None
        if configuration.paged:
            self.kept = Bank(data.ArrayLayout(signed(self.width), lanes.vectors * lanes.lanes),
                             lanes.rank_groups(geometry.max_rank) << (lanes.stores - 1).bit_length(),
                             configuration.sram.single_port, pair=True)
        super().__init__({
            "slot": In(slot_layout(configuration)), "active": In(32), "one_group": In(1), "plan": In(ShiftPlan),
            "coming": In(slot_layout(configuration)), "opens": In(1), "closes": In(1),
            "products": In(data.ArrayLayout(signed(formats.product), lanes.multipliers)),
            "o": Out(data.ArrayLayout(signed(formats.intermediate), lanes.vectors * lanes.lanes)),
            "slot_o": Out(slot_layout(configuration)), "valid": Out(1)})

    @property
    def latency(self):
        """Clocks from products to result."""
        return self.configuration.pipeline.rank_result - self.configuration.pipeline.product

    def elaborate(self, platform):
        m = Module()
        lanes, formats = self.configuration.lora, self.configuration.formats
        tree = self.configuration.pipeline.row_tree
        m.submodules.round = rounder = self.round
        coming, *slots = follow(m, self.slot, 1 + self.latency)
        next_added = [coming, *slots][tree]
        enables = [is_pass(slot, Pass.DOWN, Pass.SUM) for slot in slots]
        added, done = slots[tree], slots[-2]
        groups = lanes.rank_groups(self.configuration.geometry.max_rank)
        ends = enables[tree] & added.last
        m.d.sync += rounder.valid.eq(ends & self.closes if self.kept else ends)
        m.d.comb += rounder.plans[0].eq(self.plan)
        kept = self.keep(m, tree, added, ends) if self.kept else None
        for v in range(lanes.vectors):
            for j in range(lanes.lanes):
                index = v * lanes.lanes + j
                total = add_tree(m, [self.products[(v * lanes.rows + w) * lanes.lanes + j] for w in range(lanes.rows)],
                                 self.width, enables, f"sum_{index}")
                running = Array(Signal(signed(self.width), name=f"running_{index}_{group}") for group in range(groups))
                so_far = Mux(added.first, 0, running[0])
                if kept is not None:
                    chosen = Signal(signed(self.width), name=f"chosen_{index}")
                    m.d.sync += chosen.eq(Mux(next_added.first, kept[index], running[next_added.rank_group]))
                    so_far = Mux(self.one_group & ~added.first, running[0], chosen)
                elif groups > 1:      # chosen a clock ahead: the slot before is another group's, or there is but one
                    chosen = Signal(signed(self.width), name=f"chosen_{index}")
                    m.d.sync += chosen.eq(Mux(next_added.first, 0, running[next_added.rank_group]))
                    so_far = Mux(self.one_group, so_far, chosen)
                grown = Signal(signed(self.width), name=f"grown_{index}")
                m.d.comb += grown.eq(total + so_far)
                with m.If(enables[tree]):
                    m.d.sync += [running[added.rank_group].eq(grown), rounder.i[index].eq(grown)]
                lane_active = self.active.word_select(done.rank_group, lanes.lanes)[j]
                with m.If(rounder.valid_o):
                    m.d.sync += self.o[index].eq(Mux(lane_active, saturate(rounder.o[index], formats.intermediate), 0))
        m.d.sync += self.valid.eq(rounder.valid_o)
        m.d.comb += self.slot_o.eq(slots[-1])
        return m

    def keep(self, m, tree, added, ends):
        """Where sums of the next slot that is ``added`` up begin, a clock ahead; keeps those that ``ends`` ends."""
        m.submodules.kept = kept = self.kept
        begins = follow(m, self.coming, tree, "coming")[-1]
        was_read, begun = Signal(), Signal.like(kept.read_data, name="begun")
        written, ended = Signal(), Signal.like(added, name="ended")
        m.d.sync += [was_read.eq(kept.read), written.eq(ends & ~self.closes), ended.eq(added)]
        with m.If(was_read):
            m.d.sync += begun.eq(kept.read_data)
        m.d.comb += [
            kept.read.eq(is_pass(begins, Pass.DOWN, Pass.SUM) & begins.first & ~self.opens),
            kept.read_address.eq(Cat(begins.store, begins.rank_group)),
            kept.write.eq(written.replicate(len(kept.write))), kept.write_data.eq(self.round.i),
            kept.write_address.eq(Cat(ended.store, ended.rank_group))]
        return [Mux(self.opens, 0, code) for code in begun]


class RowSums(wiring.Component):
    """`y` and `dx`: products summed over the rank lanes of a slot and then over its rank groups; `y` with its
    crossbar part.

    ``slot`` accompanies the ``products``; ``c``, ``gains`` and ``offsets`` come `MULTIPLY` clocks earlier, beside the
    slot's operands, and count in the last slot of a sum. A beat of codes (element ``v * rows + w``, 0 outside the
    layer) leaves `latency` clocks after that slot's products, with ``valid``. ``plan``: u_shift or dx_shift;
    ``w_plan``: w_shift.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        lanes, formats = configuration.lora, configuration.formats
        beat = lanes.beat_elements
        self.width = formats.reduction(lanes.rank_groups(configuration.geometry.max_rank) * lanes.lanes)
        self.calibrated_width = formats.sum + 1 + formats.gain
        self.round = RoundShift(beat, self.width)
        self.round_calibrated = RoundShift(beat, self.calibrated_width)
        super().__init__({
            "slot": In(slot_layout(configuration)), "plan": In(ShiftPlan), "w_plan": In(ShiftPlan),
            "products": In(data.ArrayLayout(signed(formats.product), lanes.multipliers)),
            "calibrate": In(1), "c": In(data.ArrayLayout(signed(formats.sum), beat)),
            "gains": In(data.ArrayLayout(signed(formats.gain), lanes.rows)),
            "offsets": In(data.ArrayLayout(signed(formats.sum), lanes.rows)),
            "o": Out(data.ArrayLayout(signed(formats.output), beat)), "valid": Out(1)})

    @property
    def latency(self):
        """Clocks from products to codes."""
        return self.configuration.pipeline.row_result - self.configuration.pipeline.product

    def elaborate(self, platform):
        m = Module()
        lanes, formats = self.configuration.lora, self.configuration.formats
        tree = self.configuration.pipeline.lane_tree
        m.submodules.round = rounder = self.round
        m.submodules.round_calibrated = calibrated = self.round_calibrated
        slots = follow(m, self.slot, self.latency)
        enables = [is_pass(slot, Pass.UP, Pass.SPREAD) for slot in slots]
        calibrates = follow(m, self.calibrate, MULTIPLY + tree, "calibrate")
        combined = Signal()
        added, done = slots[tree], slots[-2]
        m.d.sync += [rounder.valid.eq(enables[tree] & added.last), calibrated.valid.eq(calibrates[-1])]
        m.d.comb += [rounder.plans[0].eq(self.plan), calibrated.plans[0].eq(self.w_plan)]
        for v in range(lanes.vectors):
            for w in range(lanes.rows):
                index = v * lanes.rows + w
                total = add_tree(m, [self.products[index * lanes.lanes + j] for j in range(lanes.lanes)],
                                 self.width, enables, f"sum_{index}")
                running = Signal(signed(self.width), name=f"running_{index}")
                m.d.comb += rounder.i[index].eq(running)
                with m.If(enables[tree]):
                    m.d.sync += running.eq(total + Mux(added.first, 0, running))

                # (c - offset) * gain in the multipliers' own three stages and the accumulator's, then beside the tree.
                centred = Signal(signed(formats.sum + 1), name=f"centred_{index}")
                gain = Signal(signed(formats.gain), name=f"gain_{index}")
                with m.If(calibrates[0]):
                    m.d.sync += [centred.eq(self.c[index] - self.offsets[w]), gain.eq(self.gains[w])]
                m.d.comb += calibrated.i[index].eq(
                    scale(m, centred, gain, self.calibrated_width, calibrates[1:], f"scaled_{index}"))

                whole = Signal(signed(max(self.width, self.calibrated_width) + 1), name=f"whole_{index}")
                inside = done.positions[w] & done.vectors[v]
                with m.If(rounder.valid_o):
                    m.d.sync += whole.eq(rounder.o[index] + Mux(calibrated.valid_o, calibrated.o[index], 0))
                with m.If(combined):
                    m.d.sync += self.o[index].eq(Mux(inside, saturate(whole, formats.output), 0))
        m.d.sync += [combined.eq(rounder.valid_o), self.valid.eq(combined)]
        return m
