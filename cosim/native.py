"""The native lane: the chip of a configuration as a `lane.StreamLane`, alone or on its board."""

import dataclasses
import json
import sys

from rmdlora.gen.files import configuration_tables
from rmdlora.golden.spec.registers import register

from .lane import StreamLane
from .system import chip_design, system_design

__all__ = ["NativeLane"]


def exercise_command(configuration, checks):
    """The command that exercises the library, of a system of ``configuration``, in the folder it runs in."""
    tables = json.dumps(configuration_tables(configuration))
    return sys.executable, "-m", "rmdlora.cosim.exercise", ".", configuration.name, tables, str(int(checks))


class NativeLane(StreamLane):
    """The chip of a configuration in the native lane: alone, its board's inputs tied off, or with its board.

    Parameters: ``configuration`` (`golden.spec.configuration.Configuration`); ``board`` (bool); ``waves`` (path or
    None), a VCD file of everything; ``verilog`` (str or None), the chip's text where it is not the generated one;
    ``checks`` (bool), whether the board's parts judge their timing; ``tuned`` (bool, only with a board and the
    generated text), compiled for what `exercise` makes it do, for long runs: it takes three times as long to build and
    runs half as fast again; ``library``, the folder of one that is built.
    """

    def __init__(self, configuration, board=False, waves=None, verilog=None, checks=True, tuned=False, library=None):
        self.configuration = configuration
        design = (system_design(configuration, verilog, checks=checks) if board else
                  chip_design(configuration, verilog))
        if tuned:
            design = dataclasses.replace(design, exercise=exercise_command(configuration, checks))
        super().__init__(design, configuration.lora.beat_elements, waves, library)

    def busy(self):
        """Whether an operation runs or waits, as STATUS tells."""
        status = register("STATUS")
        return bool(self.read(status.address) >> status.field("busy").low & 1)
