"""What both lanes hand to a driver of the chip, and how they fail.

A transport has ``write(address, word)``, ``read(address)``, ``write_many(addresses, words)``, ``read_many(addresses)``,
``send(stream, beats)``, ``expect(stream, count)``, ``withdraw()``, ``run_until_idle(limit)``,
``run_until_high(port, limit)``, ``advance(clocks)``, ``cycles``, ``running_clocks`` and ``intervals``: see
`lane.StreamLane` and `benches.pins.PinLane`.
"""

import typing

import numpy as np

__all__ = ["Beats", "LaneFailure"]


class LaneFailure(RuntimeError):
    """The design did not do what a transport may rely on: an error response, a beat too many, no end in time."""


class Beats(typing.NamedTuple):
    """What moved at a stream: ``beats`` (n, elements), ``clocks`` (n,) of each since reset, ``lasts`` (n,) tlast."""

    beats: np.ndarray
    clocks: np.ndarray
    lasts: np.ndarray
