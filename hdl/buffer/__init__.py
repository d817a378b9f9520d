"""The SRAM buffer: adapter weights, optimiser state and calibration, for the unit and for the host."""

from .controller import Buffer
from .port import HostPort, RowPort, Space
from .walker import RowShare, Walker

__all__ = ["Buffer", "HostPort", "RowPort", "RowShare", "Space", "Walker"]
