"""The register table as files: a C header, CMSIS-SVD, and a manual as Markdown and as one HTML page.

Everything in them comes from `golden.spec.registers`, with the words and sizes that a configuration gives.
"""

import dataclasses
import re

from rmdlora.golden.spec.formats import container_bits
from rmdlora.golden.spec.registers import (
    ADDRESS_BITS,
    OPERATION_QUEUE,
    REGISTERS,
    WINDOWS,
    Fault,
    Kind,
    constant_words,
    register,
    reset_values,
)

from .files import render
from .zynq import CHIP_ADDRESS, first_interrupt

__all__ = ["header_text", "html_text", "markdown_text", "svd_text"]

ACCESS = {"rw": "read and write", "ro": "read only", "wo": "write only", "w1c": "read; a written 1 clears",
          "rw_port": "read and write"}
SVD_ACCESS = {"rw": "read-write", "ro": "read-only", "wo": "write-only", "w1c": "read-write", "rw_port": "read-write"}
CODES = {("OP_CONTROL", "kind"): Kind, ("FAULT", "code"): Fault}     # fields whose values have names


@dataclasses.dataclass(frozen=True)
class Part:
    """Bits of a word for a picture of it, highest first: a field, or a gap where ``field`` is None."""

    high: int
    low: int
    field: object = None

    @property
    def bits(self):
        """How many."""
        return self.high - self.low + 1


def parts(entry):
    """The 32 bits of a register as `Part`s, from bit 31 down."""
    found, above = [], 31
    for field in sorted(entry.fields, key=lambda field: -field.low):
        high = field.low + field.bits - 1
        if high < above:
            found.append(Part(above, high + 1))
        found.append(Part(high, field.low, field))
        above = field.low - 1
    return [*found, Part(above, 0)] if above >= 0 else found


def reset_words(configuration):
    """``{register name: word}`` after a reset of the configuration's chip."""
    awake = {name: register(name).pack(**values) for name, values in reset_values(configuration).items()}
    return {entry.name: entry.pack() for entry in REGISTERS} | constant_words(configuration) | awake


def window_elements(configuration):
    """``{window name: elements}`` that a configuration's chip has."""
    lanes, geometry = configuration.lora, configuration.geometry
    elements = configuration.sram.words * lanes.row_elements
    return {"cells": geometry.tile_rows * geometry.tile_columns, "weights": elements, "states": elements,
            "calibration": configuration.calibration_words * lanes.rows}


def holding():
    """Names of the words whose reading holds another for the next read: low halves of what is wider than a word."""
    names = {entry.name for entry in REGISTERS}
    low_words = {word.name for place in WINDOWS for word in place.words if word.name.endswith("_LOW")}
    return {name for name in names if f"{name}_HIGH" in names} | low_words


def codes(described):
    """``[(name, code, meaning)]`` of a class of named codes."""
    return [(name, getattr(described, name), meaning) for name, meaning in described.MEANINGS]


def streams(configuration):
    """``[(name, code bits, container bits)]`` of the streams, by the last part of their names."""
    widths = [(name.rpartition("_")[2], getattr(configuration.formats, key))
              for name, key in configuration.streams.items()]
    return [(name, bits, container_bits(bits)) for name, bits in widths]


def render_table(template, configuration, comment):
    """A template filled with everything the table says."""
    return render(
        template, configuration, comment, registers=REGISTERS, windows=WINDOWS, resets=reset_words(configuration),
        elements=window_elements(configuration), kinds=codes(Kind), faults=codes(Fault), parts=parts, access=ACCESS,
        svd_access=SVD_ACCESS, value_names={key: codes(value) for key, value in CODES.items()},
        holding=holding(), streams=streams(configuration), queue=OPERATION_QUEUE, address_bits=ADDRESS_BITS,
        identifier=re.sub(r"\W", "_", configuration.name, flags=re.ASCII), chip_address=CHIP_ADDRESS,
        interrupt=first_interrupt() + 32)


def header_text(configuration):
    """C header: offsets, fields, reset words, codes and the configuration's sizes as macros. For C99 and C++."""
    return render_table("rmdlora_registers.h.j2", configuration, " *")


def svd_text(configuration):
    """CMSIS-SVD 1.3, at the addresses of the block design."""
    return render_table("rmdlora.svd.j2", configuration, "  ")


def markdown_text(configuration):
    """The register manual."""
    return render_table("registers.md.j2", configuration, "  ")


def html_text(configuration):
    """The register manual as one page that needs nothing else."""
    return render_table("registers.html.j2", configuration, "  ")
