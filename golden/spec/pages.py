"""Layers larger than the buffer: what is worked on when, and what goes in and out meanwhile.

The buffer of a *paged* configuration (one whose largest layer does not fit it) is two halves, its *pages*. A layer that
fits the buffer lies in it as in any other. A larger one stays with the host and runs in *turns*: the unit works on a
*stretch* of A or of B in one page, while the other page's stretch leaves (where its codes have changed) and the next
one enters (`Exchange`), through streams of their own. Sums over a stretch that is not the last of its matrix are kept
in full and go on with the next one, so cutting a layer changes no bit:

    forward    for every chunk of vectors: down over A's stretches, then up over B's
    backward   sum and outer b over B's stretches, then outer a and spread over A's
    update     A's stretches, then B's

A turn lasts until both are through. The first stretch enters before the first turn and the last one leaves behind the
last, in turns without work: those, and what an exchange takes longer than the work beside it, are the load clocks not
hidden (contract, section 6).
"""

import dataclasses

from .geometry import ceil_div
from .registers import Kind

__all__ = ["Exchange", "Region", "Stretch", "Turn", "cut_layer", "plan_backward", "plan_forward", "plan_update"]


class Region:
    """Codes of ``OP_PAGE.region``: what of a layer an operation works on."""

    WHOLE = 0
    A = 1
    B = 2
    NONE = 3    # an exchange alone


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Positions ``start .. stop - 1`` of A (its columns) or of B (its rows): whole groups, ``words`` row words."""

    region: int
    start: int
    stop: int
    words: int

    def __len__(self):
        return self.stop - self.start


@dataclasses.dataclass(frozen=True)
class Exchange:
    """What leaves a page and what enters it: a `Stretch` or None each, its weights, its states or both."""

    leaves: Stretch | None = None
    leaves_weights: bool = False
    leaves_states: bool = False
    enters: Stretch | None = None
    enters_weights: bool = False
    enters_states: bool = False


@dataclasses.dataclass(frozen=True)
class Turn:
    """One operation of kind ``kind`` (`Kind`) on the ``stretch`` in ``page``, for ``vectors`` (a range of them).

    ``stretch`` None: no work. ``opens``, ``closes``: the stretch is the first, the last of its matrix. ``exchange``: of
    the other page; None where nothing goes in or out.
    """

    kind: int
    stretch: Stretch | None
    page: int
    vectors: range
    opens: bool
    closes: bool
    exchange: Exchange | None


def cut_layer(lanes, inputs, outputs, rank, page_words):
    """``(A's stretches, B's stretches)``: as few as fit pages of so many row words, of one size but for the last."""
    cut = []
    for region, positions in ((Region.A, inputs), (Region.B, outputs)):
        groups, rank_groups = lanes.groups(positions), lanes.rank_groups(rank)
        count = ceil_div(groups, page_words // rank_groups)
        size = ceil_div(groups, count)
        cut.append([Stretch(region, start * lanes.rows, min((start + size) * lanes.rows, positions),
                            min(size, groups - start) * rank_groups) for start in range(0, groups, size)])
    return cut


def plan_forward(lanes, vectors, inputs, outputs, rank, page_words):
    """The `Turn`s of a forward over ``vectors`` vectors."""
    matrices = cut_layer(lanes, inputs, outputs, rank, page_words)
    chunks = [range(start, min(start + lanes.chunk, vectors)) for start in range(0, vectors, lanes.chunk)]
    return plan_turns(Kind.FORWARD, [(chunk, matrix) for chunk in chunks for matrix in matrices])


def plan_backward(lanes, vectors, inputs, outputs, rank, page_words):
    """The `Turn`s of a backward over ``vectors`` vectors, at most a chunk."""
    a, b = cut_layer(lanes, inputs, outputs, rank, page_words)
    return plan_turns(Kind.BACKWARD, [(range(vectors), b), (range(vectors), a)])


def plan_update(lanes, inputs, outputs, rank, page_words):
    """The `Turn`s of an update."""
    matrices = cut_layer(lanes, inputs, outputs, rank, page_words)
    return plan_turns(Kind.UPDATE, [(range(1), matrix) for matrix in matrices])


def plan_turns(kind, passes):
    """The `Turn`s of operations of one kind over ``passes``: ``(vectors, stretches of a matrix)``, in this order."""
    trains, learns = kind != Kind.FORWARD, kind == Kind.UPDATE
    work = [(stretch, vectors, index == 0, index == len(stretches) - 1)
            for vectors, stretches in passes for index, stretch in enumerate(stretches)]
    inside = [None, None]       # the stretch in each page
    turns = []
    for index in range(-1, len(work) + 1):
        stretch, vectors, opens, closes = work[index] if 0 <= index < len(work) else (
            None, work[max(0, min(index, len(work) - 1))][1], False, False)
        other = (index + 1) % 2
        following = work[index + 1][0] if index + 1 < len(work) else None
        leaves = inside[other] if trains else None
        enters = following if following != inside[other] else None
        exchange = Exchange(leaves, learns and leaves is not None, leaves is not None,
                            enters, enters is not None, trains and enters is not None) if leaves or enters else None
        if following or leaves:
            inside[other] = following
        if stretch or exchange:
            turns.append(Turn(kind, stretch, 1 - other, vectors, opens, closes, exchange))
    return turns
