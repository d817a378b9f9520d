"""Where everything lies: rank lanes, rows and vectors of the LoRA unit, and the layout of its memories.

A is stored by column and B by row. A *row word* of the buffer holds ``rows x lanes`` elements: ``rows`` neighbouring
columns of A (or rows of B), each with ``lanes`` neighbouring rank lanes. So one row word a cycle feeds every
multiplier, and a layer of small rank idles none of them. Where a rank has more lanes than the unit, the *rank
groups* of one position follow each other:

    A region   word (i // rows) * rank_groups + j // lanes             element (i % rows) * lanes + j % lanes
    B region   word A_words + (o // rows) * rank_groups + j // lanes   element (o % rows) * lanes + j % lanes

Weights and optimiser state have one layout. Elements past the layer's ends are padding: the unit neither uses nor
preserves them.

The sum of several adapters of one layer is an operation on all of their rank lanes: those of the first adapter, then
those of the second, and so on, each adapter's rounded up to whole rank groups (`Lanes.offsets`). Lane ``j`` of a mask
and of the random generators is the operation's lane ``j``, that padding counted; it is never active.

A *block* is ``vectors`` neighbouring vectors; a beat of an operand or result stream holds ``rows`` elements of each
of them: beat ``(block, group)``, element ``v * rows + w`` is vector ``block * vectors + v``, position
``group * rows + w``. Elements past ``n`` or past the layer's end are ignored on the way in and 0 on the way out.
"""

import dataclasses

from .refusal import RefusedValue, need_integer

__all__ = ["Geometry", "Lanes", "Layout", "ceil_div"]


def ceil_div(value, by):
    """``value / by`` rounded up, for positive integers."""
    return -(-value // by)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Largest layer a configuration serves, and the size of a crossbar tile in cells."""

    max_inputs: int = 4096
    max_outputs: int = 4096
    max_rank: int = 16
    tile_rows: int = 32
    tile_columns: int = 32

    def __post_init__(self):
        need_integer("geometry.max_inputs", self.max_inputs, 1, 65535)
        need_integer("geometry.max_outputs", self.max_outputs, 1, 65535)
        need_integer("geometry.max_rank", self.max_rank, 1, 32)
        need_integer("geometry.tile_rows", self.tile_rows, 8, 256)
        need_integer("geometry.tile_columns", self.tile_columns, 8, 256)


@dataclasses.dataclass(frozen=True)
class Lanes:
    """How the multipliers are shared out: ``lanes`` rank lanes x ``rows`` rows x ``vectors`` vectors.

    ``chunk`` is the number of vectors whose `p` the unit keeps between a forward and its backward.
    """

    lanes: int = 4
    rows: int = 4
    vectors: int = 1
    chunk: int = 64

    def __post_init__(self):
        need_integer("lora.lanes", self.lanes, 1, 32)
        need_integer("lora.rows", self.rows, 1, 64)
        need_integer("lora.vectors", self.vectors, 1, 16)
        need_integer("lora.chunk", self.chunk, 1, 4096)
        for key in ("lanes", "rows", "vectors"):
            if getattr(self, key) & (getattr(self, key) - 1):
                raise RefusedValue(f"lora.{key} must be a power of two, not {getattr(self, key)}")

    @property
    def multipliers(self):
        """Multipliers of the LoRA products, all of them."""
        return self.lanes * self.rows * self.vectors

    @property
    def row_elements(self):
        """Elements of a row word of the buffer."""
        return self.lanes * self.rows

    @property
    def beat_elements(self):
        """Elements of a beat of an operand or result stream."""
        return self.rows * self.vectors

    @property
    def row_beats(self):
        """Beats of the streams `load` and `store` that a row word takes: ``beat_elements`` of its elements each, in
        order, or all of them and padding."""
        return ceil_div(self.row_elements, self.beat_elements)

    def rank_groups(self, rank):
        """Row words a position (a column of A, a row of B) takes."""
        return ceil_div(rank, self.lanes)

    def offsets(self, ranks):
        """First rank lane of each adapter of a sum, and the lane behind the last: whole rank groups each."""
        offsets = [0]
        for rank in ranks:
            offsets.append(offsets[-1] + self.rank_groups(rank) * self.lanes)
        return offsets

    def groups(self, positions):
        """Groups of ``rows`` positions that cover ``positions``."""
        return ceil_div(positions, self.rows)

    def blocks(self, vectors):
        """Blocks that cover ``vectors`` vectors."""
        return ceil_div(vectors, self.vectors)

    @property
    def stores(self):
        """Blocks whose `p` is kept, an even number: of two neighbouring blocks one may be read while the other is
        written, in the even or the odd of two memories."""
        return 2 * ceil_div(self.blocks(self.chunk), 2)

    def layout(self, inputs, outputs, rank, base=0):
        """The `Layout` of one adapter."""
        return Layout(self, inputs, outputs, rank, base)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the elements of one adapter (``A (rank, inputs)``, ``B (outputs, rank)``) lie from row word ``base`` on."""

    lanes: Lanes
    inputs: int
    outputs: int
    rank: int
    base: int = 0

    @property
    def a_words(self):
        """Row words of A."""
        return self.lanes.groups(self.inputs) * self.lanes.rank_groups(self.rank)

    @property
    def b_words(self):
        """Row words of B."""
        return self.lanes.groups(self.outputs) * self.lanes.rank_groups(self.rank)

    @property
    def words(self):
        """Row words of the adapter."""
        return self.a_words + self.b_words

    def _place(self, position, lane):
        lanes = self.lanes
        word = position // lanes.rows * lanes.rank_groups(self.rank) + lane // lanes.lanes
        return word * lanes.row_elements + position % lanes.rows * lanes.lanes + lane % lanes.lanes

    def a_element(self, lane, position):
        """Index of ``a[lane, position]`` among the buffer's elements, row words laid end to end."""
        return self.base * self.lanes.row_elements + self._place(position, lane)

    def b_element(self, position, lane):
        """Index of ``b[position, lane]`` among the buffer's elements."""
        return (self.base + self.a_words) * self.lanes.row_elements + self._place(position, lane)
