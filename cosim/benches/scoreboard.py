"""What is compared, and how a difference is told."""

import numpy as np

__all__ = ["Scoreboard", "first_difference"]


def first_difference(name, expected, got, clocks=None):
    """None where two integer arrays agree, else a sentence that names the first differing code, its index and clock.

    ``clocks`` (shape of ``got``, or None): the clock since reset at which each element left the design.
    """
    expected, got = np.asarray(expected), np.asarray(got)
    if expected.shape != got.shape:
        return f"{name} must have shape {expected.shape}, not {got.shape}"
    different = np.argwhere(expected != got)
    if not len(different):
        return None
    index = tuple(int(i) for i in different[0])
    at = "" if clocks is None else f" at clock {int(clocks[index])}"
    place = str(list(index)) if index else ""
    return (f"{name}{place} must be {int(expected[index])}, not {int(got[index])}{at} "
            f"({len(different)} of {expected.size} differ)")


class Scoreboard:
    """Collects comparisons and judges them at the end. A scoreboard that compared nothing fails.

    Parameters: ``seed``, told with every failure.
    """

    def __init__(self, seed):
        self.seed = seed
        self.compared = 0
        self.troubles = []

    def compare(self, name, expected, got, clocks=None):
        """Compare two arrays (or integers); see `first_difference`."""
        self.compared += np.asarray(expected).size
        if trouble := first_difference(name, expected, got, clocks):
            self.troubles.append(trouble)

    def finish(self):
        """Fail at the first difference, or if there was nothing to compare."""
        assert not self.troubles, f"{self.troubles[0]} (seed {self.seed})"
        assert self.compared, f"a bench must compare something, not nothing (seed {self.seed})"
