"""The native lane: the chip of a configuration as a `lane.StreamLane`, alone or on its board."""

from rmdlora.golden.spec.registers import register

from .lane import StreamLane
from .system import chip_design, system_design

__all__ = ["NativeLane"]


class NativeLane(StreamLane):
    """The chip of a configuration in the native lane: alone, its board's inputs tied off, or with its board.

    Parameters: ``configuration`` (`golden.spec.configuration.Configuration`); ``board`` (bool); ``waves`` (path or
    None), a VCD file of everything; ``verilog`` (str or None), the chip's text where it is not the generated one;
    ``checks`` (bool), whether the board's parts judge their timing.
    """

    def __init__(self, configuration, board=False, waves=None, verilog=None, checks=True):
        self.configuration = configuration
        design = (system_design(configuration, verilog, checks=checks) if board else
                  chip_design(configuration, verilog))
        super().__init__(design, configuration.lora.beat_elements, waves)

    def busy(self):
        """Whether an operation runs or waits, as STATUS tells."""
        status = register("STATUS")
        return bool(self.read(status.address) >> status.field("busy").low & 1)
