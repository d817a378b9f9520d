"""The crossbar peripheral sequencer: whole layers read over the pins of the board."""

from .crossbar import Crossbar
from .walk import Command

__all__ = ["Command", "Crossbar"]
