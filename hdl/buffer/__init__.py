"""The SRAM buffer: adapter weights, optimiser state and calibration, for the unit and for the host."""

from .controller import Buffer
from .exchange import Exchanger
from .pages import PagedBuffer
from .port import HostPort, RowPort, Space
from .walker import RowShare, Walker

__all__ = ["Buffer", "Exchanger", "HostPort", "PagedBuffer", "RowPort", "RowShare", "Space", "Walker"]
