"""Cycles: the pipeline of the LoRA unit, and what every operation takes.

The unit issues one *slot* a clock: one row word read and one product in every multiplier. The six inner loops are six
kinds of *pass* over a block of vectors, each one slot a row word:

    down    p += A[:, i] x_i        up      u_o = B[o, :] . p
    sum     q += B[o, :] g_o        spread  dx_i = A[:, i] . q
    outer b VB[o, :] += g_o p       outer a VA[:, i] += q x_i

    forward    down 0 . [down 1 . up 0] . [down 2 . up 1] ... [wait . up last]
    backward   sum 0 . [outer b 0 . sum 1 . outer a 0 . spread 0] ... [outer b last . wait . outer a last . spread last]
    update     one slot a row word of A, then of B

So what a pass needs was issued at least `turnaround` slots before it: a short `down` or `sum` pass is filled up with
idle slots to keep that true for the smallest layer. The latencies below are the gateware's register stages; it is
built from these numbers, and the oracle counts with them.

An outer pass and an update read a row word and write it some clocks later. *Dual*-port memories do both in one clock.
*Single*-port ones do one thing a clock; they come in pairs, of the even and of the odd row words, so a read and a write
meet no memory twice where their addresses differ by an odd number. Hence two rules, and nothing else differs: reading
and writing a row word are an odd number of clocks apart (one more stage where they would not be), and slots of these
passes keep step: an even row word in one clock, an odd one in the next. The first of a pass waits a clock to fall in.
"""

import dataclasses

from .formats import count_bits
from .geometry import Lanes
from .pages import Region, plan_backward, plan_forward, plan_update
from .registers import Kind

__all__ = ["Pipeline"]

MEMORY = 2      # a row word: block RAM, then a register in the fabric
CORRECT = 1     # ... and one more behind the correction of flipped bits, where there is one
MULTIPLY = 3    # operand registers, product, product again: AREG/BREG, MREG, PREG of a DSP48E1
SHIFT = 4       # round_shift: tie bit, addend, coarse and fine half of the shifter
COMBINE = 1     # the adapter's part and the crossbar's
SATURATE = 1
ACCUMULATE = 1
STORE = 1       # into the memory of p or q, or back into the buffer
HAND_OVER = 2   # through the result FIFO
JUDGE = 1       # an erased row word: which elements are not 0, then whether any
SHOW = 2        # a checksum: the last word taken, the sum shown
REST = 1        # a turn that gives no results ends a clock after its last idle slot
ELEMENT_WORDS = 3   # of a checksum: an element's weight, and its state in two words


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """Latencies and cycle counts of a LoRA unit with the given `Lanes`.

    Every count runs from the clock that accepts the command to the one that hands over the last result beat (update:
    the last memory write), both included, with no stall at a stream and no host traffic (contract, section 6).
    ``single_port``, ``secded``: what the buffer's memories are (`configuration.Sram`); no flipped bit to mend.
    ``buffer_words``: its row words; a larger layer runs in turns (`pages`). None: as many as a layer needs.
    """

    lanes: Lanes
    single_port: bool = False
    secded: bool = False
    buffer_words: int | None = None

    @property
    def memory(self):
        """Clocks from the address of a row word to the row word at the multipliers or adders."""
        return MEMORY + (CORRECT if self.secded else 0)

    @property
    def row_tree(self):
        """Stages that add ``rows`` products: one a level."""
        return count_bits(self.lanes.rows)

    @property
    def lane_tree(self):
        """Stages that add ``lanes`` products."""
        return count_bits(self.lanes.lanes)

    @property
    def product(self):
        """Clocks from a slot's issue to its products."""
        return self.memory + MULTIPLY

    @property
    def rank_result(self):
        """Clocks from the last slot of a `down` or `sum` pass to the clock in which `p` or `q` is written."""
        return self.product + self.row_tree + ACCUMULATE + SHIFT + SATURATE

    @property
    def row_result(self):
        """Clocks from a slot of an `up` or `spread` pass to its codes at the input of the result FIFO."""
        return self.product + self.lane_tree + ACCUMULATE + SHIFT + COMBINE + SATURATE

    @property
    def state_result(self):
        """Clocks from a slot of an outer pass to the write of its row word: a saturating add a vector.

        The row word is read `memory` clocks before the first of these.
        """
        return self.product + SHIFT + self.lanes.vectors + self.fall_in(self.memory + self.lanes.vectors)

    @property
    def update_result(self):
        """Clocks from a slot of an update to the write of its row word.

        The state is read with the slot, the weights `SHIFT` clocks later, an even number.
        """
        return self.memory + SHIFT + SATURATE + self.fall_in(self.memory + SATURATE)

    def fall_in(self, clocks):
        """Clocks to wait on top of ``clocks`` to fall in with the memories' step: 1 where that is even, in
        single-port memories."""
        return int(self.single_port and clocks % 2 == 0)

    @property
    def turnaround(self):
        """Slots between the last slot that makes a value (`p`, `q` or a row word) and the first that may use it."""
        return max(self.rank_result, self.state_result) + STORE

    def forward_slots(self, vectors, inputs, outputs, rank):
        """Slots of a forward, idle ones included."""
        groups = self.lanes.rank_groups(rank)
        down = self.lanes.groups(inputs) * groups
        up = self.lanes.groups(outputs) * groups
        return self.lanes.blocks(vectors) * (max(down, self.turnaround) + up) + self.turnaround

    def backward_slots(self, vectors, inputs, outputs, rank):
        """Slots of a backward, idle ones included."""
        groups = self.lanes.rank_groups(rank)
        a = self.lanes.groups(inputs) * groups
        b = self.lanes.groups(outputs) * groups
        gap = max(0, self.turnaround - min(b, 2 * a))
        blocks, sums = self.lanes.blocks(vectors), max(b, gap)
        slots = blocks * (sums + b + 2 * a) + gap
        if self.single_port:
            # A's first row word is in step with the first slot; B's come next. Outer b begins behind a sum, outer
            # a behind outer b and a sum (the last one: a wait), outer b again behind outer a and spread.
            slots += (sums - a) % 2 + (b + gap + a) % 2 + (blocks - 1) * ((b + sums + a) % 2 + (2 * a - a) % 2)
        return slots

    def forward(self, vectors, inputs, outputs, rank):
        """Cycles of one forward over ``vectors`` vectors."""
        return 1 + self.forward_slots(vectors, inputs, outputs, rank) + self.row_result + HAND_OVER

    def backward(self, vectors, inputs, outputs, rank):
        """Cycles of one backward over ``vectors`` vectors.

        It ends with its last `dx` beat, but never before the state of the last outer pass is written, one ``spread``
        pass earlier: with many vectors side by side that can come later.
        """
        spread = self.lanes.groups(inputs) * self.lanes.rank_groups(rank)
        tail = max(self.row_result + HAND_OVER, self.state_result - spread)
        return 1 + self.backward_slots(vectors, inputs, outputs, rank) + tail

    def update(self, inputs, outputs, rank):
        """Cycles of one update of a whole adapter."""
        groups = self.lanes.rank_groups(rank)
        words = (self.lanes.groups(inputs) + self.lanes.groups(outputs)) * groups
        return 1 + words + self.update_result

    def sum_backward(self, vectors, inputs, outputs, ranks, bases):
        """Cycles of one backward over the sum of adapters of such ``ranks`` from row words ``bases`` on.

        A forward's and, in dual-port memories, this are those of one adapter with all of their lanes
        (`Lanes.offsets`). In single-port memories the step from one adapter's row word to the other's may be out of
        step, and wait a clock.
        """
        rank = self.lanes.offsets(ranks)[-1]
        if not self.single_port:
            return self.backward(vectors, inputs, outputs, rank)
        a, b = self.parities(inputs, outputs, ranks, bases)
        gap = max(0, self.turnaround - min(len(b), 2 * len(a)))
        blocks, sums = self.lanes.blocks(vectors), max(len(b), gap)
        clock = sums
        for block in range(blocks):
            clock = self.fall_in_step(clock, a[0], b)
            clock += gap if block == blocks - 1 else sums
            clock = self.fall_in_step(clock, a[0], a) + len(a)
        tail = max(self.row_result + HAND_OVER, self.state_result - len(a))
        return 1 + clock + tail

    def sum_update(self, inputs, outputs, ranks, bases):
        """Cycles of one update of a sum of adapters (`sum_backward`)."""
        if not self.single_port:
            return self.update(inputs, outputs, self.lanes.offsets(ranks)[-1])
        a, b = self.parities(inputs, outputs, ranks, bases)
        return 1 + self.fall_in_step(0, a[0], a + b) + self.update_result

    def parities(self, inputs, outputs, ranks, bases):
        """Which row words of A and of B are even (0) and odd (1), in the order of a pass over a sum."""
        walks = []
        for region, positions in enumerate((inputs, outputs)):
            places = []
            for base, rank in zip(bases, ranks, strict=True):
                groups = self.lanes.rank_groups(rank)
                places.append((base + region * self.lanes.groups(inputs) * groups, groups))
            walks.append([(place + group * groups + rank_group) % 2 for group in range(self.lanes.groups(positions))
                          for place, groups in places for rank_group in range(groups)])
        return walks

    def fall_in_step(self, clock, first, parities):
        """The clock behind a pass that begins in ``clock``: each of its row words, of these parities, waits for a clock
        in step, where clock 0 is for row words of parity ``first``."""
        for parity in parities:
            clock += 1 + (clock + parity - first) % 2
        return clock

    def words(self, inputs, outputs, rank):
        """Row words of an adapter."""
        return (self.lanes.groups(inputs) + self.lanes.groups(outputs)) * self.lanes.rank_groups(rank)

    @property
    def copy_latency(self):
        """Clocks from the read of a row word to the write of its copy; odd in single-port memories, which are read in
        one clock and written in the next."""
        return self.memory | 1 if self.single_port else self.memory

    def copy(self, inputs, outputs, rank):
        """Cycles of a copy of an adapter, weights and states together."""
        words = self.words(inputs, outputs, rank)
        reads = 2 * words - 1 if self.single_port else words
        return 1 + reads + self.copy_latency

    def erase(self, inputs, outputs, rank):
        """Cycles of an erasure: every row word written, then every one read again."""
        return 1 + 2 * self.words(inputs, outputs, rank) + self.memory + JUDGE

    def checksum(self, inputs, outputs, rank):
        """Cycles of a checksum: a row word is fetched, then taken 32 bits a clock."""
        taken = ELEMENT_WORDS * self.lanes.row_elements
        return 1 + self.words(inputs, outputs, rank) * (self.memory + taken) + SHOW

    def run(self, vectors, inputs, outputs, rank, batch=None):
        """``(cycles_forward, cycles_backward, cycles_update)`` of a whole run.

        Inference (``batch`` None) is one forward. Training is cut at batch ends and every ``chunk`` vectors; each
        chunk is one forward and one backward, each batch end one update.
        """
        if self.buffer_words is not None and self.words(inputs, outputs, rank) > self.buffer_words:
            return self.run_turns(vectors, inputs, outputs, rank, batch)
        if batch is None:
            return self.forward(vectors, inputs, outputs, rank), 0, 0
        forward = backward = update = 0
        for chunk, ends_batch in self.chunks(vectors, batch):
            forward += self.forward(len(chunk), inputs, outputs, rank)
            backward += self.backward(len(chunk), inputs, outputs, rank)
            update += self.update(inputs, outputs, rank) if ends_batch else 0
        return forward, backward, update

    def run_turns(self, vectors, inputs, outputs, rank, batch=None):
        """`run` of a layer larger than the buffer."""
        sizes = inputs, outputs, rank, self.buffer_words // 2

        def count(turns):
            return sum(self.turn(turn, rank) for turn in turns)

        if batch is None:
            return count(plan_forward(self.lanes, vectors, *sizes)), 0, 0
        forward = backward = update = 0
        for chunk, ends_batch in self.chunks(vectors, batch):
            forward += count(plan_forward(self.lanes, len(chunk), *sizes))
            backward += count(plan_backward(self.lanes, len(chunk), *sizes))
            update += count(plan_update(self.lanes, *sizes)) if ends_batch else 0
        return forward, backward, update

    def turn(self, turn, rank):
        """Cycles of a `pages.Turn` of a layer of such a rank: until work and exchange, begun together, are through."""
        work = self.stretch(turn, rank) if turn.stretch else 0
        return max(work, self.exchange(turn.exchange) if turn.exchange else 0)

    def stretch(self, turn, rank):
        """Cycles of a turn's work.

        Sums of a stretch are written before the turn ends. In single-port memories slots of outer passes keep step with
        the turn's first clock.
        """
        words, blocks = turn.stretch.words, self.lanes.blocks(len(turn.vectors))
        if turn.kind == Kind.UPDATE:
            return 1 + words + self.update_result
        if turn.kind == Kind.FORWARD and turn.stretch.region == Region.A:
            return 1 + blocks * max(words, self.turnaround) + self.turnaround + REST
        if turn.kind == Kind.FORWARD:
            return 1 + blocks * words + self.row_result + HAND_OVER
        filled = max(words, self.turnaround - words)    # of the pass between two outer passes
        clock = 0
        for _ in range(blocks):
            if turn.stretch.region == Region.B:
                clock += filled
            clock += words + (clock % 2 if self.single_port else 0)
            if turn.stretch.region == Region.A:
                clock += filled
        if turn.stretch.region == Region.B:
            return 1 + clock + self.turnaround + REST
        # the last spread pass is filled up too, and its last slot is that many clocks before its end
        return 1 + clock + max(self.row_result + HAND_OVER - (filled - words), self.state_result - filled, 1)

    def exchange(self, exchange):
        """Cycles of a `pages.Exchange`: row words one after the other, each read if it leaves, moved beat by beat with
        its successor coming in as it goes out, and stored if one has come."""
        leaving = exchange.leaves.words if exchange.leaves else 0
        entering = exchange.enters.words if exchange.enters else 0
        clocks = 1 + leaving * (self.memory + 1) + entering
        for leaves, enters in ((exchange.leaves_weights, exchange.enters_weights),
                               (exchange.leaves_states, exchange.enters_states)):
            clocks += self.lanes.row_beats * max(leaving if leaves else 0, entering if enters else 0)
        return clocks

    def chunks(self, vectors, batch):
        """The chunks of a training run, in order: ``(range of vectors, whether an update follows)``."""
        for start in range(0, vectors, batch):
            stop = min(start + batch, vectors)
            for begin in range(start, stop, self.lanes.chunk):
                end = min(begin + self.lanes.chunk, stop)
                yield range(begin, end), end == stop
