"""Two outcomes of one run, held against each other: which element differs first, and when it left the RTL."""

import dataclasses

import numpy as np

__all__ = ["Difference", "Outcome", "compare"]

SHOWN_BY_GOLDEN = ("p", "q")    # the RTL need not show them


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a backend gave: ``arrays`` as in the contract's section 7, and ``clocks``, {array: clocks since reset at
    which its elements left the RTL}, of the array's shape or one number for all of it; nothing from the oracle."""

    arrays: dict
    clocks: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Difference:
    """One array's first difference: by clock, then by index. ``clock`` is None for what no stream or memory gave.

    ``count`` of the array's ``size`` elements differ. Values are the elements as Python integers, or None for a missing
    array or a wrong shape, and then ``index`` is None too.
    """

    array: str
    index: tuple | None
    golden: int | None
    rtl: int | None
    clock: int | None
    count: int
    size: int

    def __str__(self):
        if self.index is None:
            return f"{self.array} is not of one shape, or there on one side only"
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        when = f", at clock {self.clock} since reset" if self.clock is not None else ""
        return (f"{self.array}{place} is {self.golden} from golden and {self.rtl} from rtl{when} "
                f"({self.count} of {self.size} differ)")


def compare(golden, rtl):
    """Every differing array's first `Difference`, in the order in which they left the RTL; empty where all is equal."""
    found = []
    for array in [*golden.arrays, *(key for key in rtl.arrays if key not in golden.arrays)]:
        if array in SHOWN_BY_GOLDEN and array not in rtl.arrays:
            continue
        left, right = golden.arrays.get(array), rtl.arrays.get(array)
        if left is None or right is None or np.shape(left) != np.shape(right):
            found.append(Difference(array, None, None, None, None, 0, 0))
            continue
        left, right = np.asarray(left), np.asarray(right)
        differs = np.argwhere(left != right)
        if len(differs):
            clocks = rtl.clocks.get(array)
            if clocks is None:
                first, clock = differs[0], None
            else:
                when = np.broadcast_to(clocks, left.shape)[tuple(differs.T)]
                first, clock = differs[when.argmin()], int(when.min())
            index = tuple(int(place) for place in first)
            found.append(Difference(array, index, int(left[index]), int(right[index]), clock, len(differs), left.size))
    return sorted(found, key=lambda difference: (difference.clock is None, difference.clock or 0))
