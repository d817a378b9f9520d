"""Faults of the board's parts, to be put into the simulated board: what breaks, and who notices.

A fault is there from the supplies' coming up on (`Board.attach` a board that has some, then reset). Where nothing on
the board is read back, the chip cannot notice: a read then gives wrong sums and ends well. `gen.selftest` finds these,
by verifying cells whose conductances are known.
"""

import dataclasses

from rmdlora.golden.spec.refusal import RefusedValue, need_integer
from rmdlora.golden.spec.registers import Fault

__all__ = ["KINDS", "FaultKind", "PartFault"]


@dataclasses.dataclass(frozen=True)
class FaultKind:
    """A way to break: ``count(configuration)`` parts or lines can; ``noticed`` is the `Fault` an operation ends with,
    or None where only a self-test finds it."""

    name: str
    text: str
    count: object
    noticed: int | None = None


def one(configuration):
    """The one part of its kind."""
    return 1


def rows(configuration):
    """A line a row."""
    return configuration.geometry.tile_rows


def columns(configuration):
    """A line a column."""
    return configuration.geometry.tile_columns


def dacs(configuration):
    """Row DACs and the supplies'."""
    return configuration.board.dacs(configuration.geometry.tile_rows) + 1


def adcs(configuration):
    """The converters."""
    return configuration.board.adcs(configuration.geometry.tile_columns)


# in the order of cosim/native/array.h
KINDS = (
    FaultKind("dac silent", "a DAC80508 that never drives SDO: dead, missing, or its line cut", dacs, Fault.BOARD),
    FaultKind("dac strange", "another part in a DAC80508's place: its DEVICE ID differs", dacs, Fault.BOARD),
    FaultKind("dac dead", "a DAC80508 that answers, but whose outputs drive nothing", dacs),
    FaultKind("adc high", "an ADS8324's DOUT stuck high, or not driven at all", adcs, Fault.FRAMING),
    FaultKind("adc low", "an ADS8324's DOUT stuck low", adcs, Fault.FRAMING),
    FaultKind("wl open", "a word line's CD4051B that never conducts", rows),
    FaultKind("bl open", "a bit line's CD4051B that never conducts", rows),
    FaultKind("sl open", "a source line's CD4051B that never conducts", columns),
    FaultKind("wl chain", "the word lines' SN74HC595 chain gives zeros", one),
    FaultKind("bl chain", "the bit lines' SN74HC595 chain gives zeros", one),
    FaultKind("sl chain", "the source lines' SN74HC595 chain gives zeros", one),
    FaultKind("stage at rail", "an OPA4322 section whose output lies at its rail: over-range", columns),
    FaultKind("adc switch", "the ADCs' CD4051B stay on channel 0", one),
    FaultKind("analyser silent", "the external analyser never answers a trigger", one, Fault.ANALYSER),
)


@dataclasses.dataclass(frozen=True)
class PartFault:
    """Fault ``kind`` (a name of `KINDS`) of part or line ``index``."""

    kind: str
    index: int = 0

    @property
    def code(self):
        """Its number."""
        names = [kind.name for kind in KINDS]
        if self.kind not in names:
            raise RefusedValue(f"kind of a fault must be one of {', '.join(names)}, not {self.kind!r}")
        return names.index(self.kind)

    def check(self, configuration):
        """Refuse a part that the board has not."""
        need_integer(f"index of fault {self.kind}", self.index, 0, KINDS[self.code].count(configuration) - 1)
