"""What programming is asked for: a tile, and the pulses it may use."""

from amaranth.lib import data
from rmdlora.golden.spec.registers import PULSES

__all__ = ["Job", "Pulse"]


class Pulse(data.Struct):
    """One kind of pulse, as `golden.spec.program.Amplitude`."""

    start: 16
    step: 16
    most: 16
    gate: 16
    ticks: 20


class Job(data.Struct):
    """A tile to program: array ``tile``, how (`golden.spec.program.Schedule`; ``pulses`` in the order of `PULSES`)."""

    tile: 16
    forming: 1
    analyser: 1
    limit: 16
    pulses: data.ArrayLayout(Pulse, len(PULSES))
