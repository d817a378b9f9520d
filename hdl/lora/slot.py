"""A slot: what the unit does with one row word, as it travels down the pipeline beside its operands."""

from amaranth.hdl import Cat
from amaranth.lib import data, enum

__all__ = ["Pass", "is_pass", "slot_layout"]


class Pass(enum.Enum, shape=3):
    """The six inner loops, and the update. `NONE` is an idle slot."""

    NONE = 0
    DOWN = 1      # p += A[:, i] x_i
    UP = 2        # u_o = B[o, :] . p
    SUM = 3       # q += B[o, :] g_o
    SPREAD = 4    # dx_i = A[:, i] . q
    OUTER_A = 5   # VA[:, i] += q x_i
    OUTER_B = 6   # VB[o, :] += g_o p
    UPDATE = 7    # weights and state of one row word


def is_pass(slot, *kinds):
    """Whether a slot is of one of the given `Pass` kinds."""
    return Cat(slot.kind == kind for kind in kinds).any()


def slot_layout(configuration):
    """The layout of a slot.

    ``first``/``last``: first and last term of the slot's sum. ``in_b``: a row word of B. ``rank_group``: which lanes.
    ``address``: row word. ``group``: which group of positions. ``positions``: which of its rows lie inside the layer;
    ``vectors``: which of the block's vectors exist; ``store``: where the block's `p` (`q`: its lowest bit) lies.
    """
    lanes = configuration.lora
    groups = lanes.rank_groups(configuration.geometry.max_rank)
    return data.StructLayout({
        "kind": Pass, "first": 1, "last": 1, "in_b": 1, "rank_group": range(groups), "store": range(lanes.stores),
        "address": range(configuration.sram.words), "group": range(max(
            lanes.groups(configuration.geometry.max_inputs), lanes.groups(configuration.geometry.max_outputs))),
        "positions": lanes.rows, "vectors": lanes.vectors})
