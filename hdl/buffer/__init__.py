"""The SRAM buffer: adapter weights, optimiser state and calibration, for the unit and for the host."""

from .controller import Buffer
from .port import HostPort, RowPort, Space

__all__ = ["Buffer", "HostPort", "RowPort", "Space"]
