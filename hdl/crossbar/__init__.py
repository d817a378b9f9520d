"""The crossbar peripheral sequencer: whole layers read, and tiles programmed, over the pins of the board."""

from .crossbar import Crossbar
from .job import Job
from .walk import Command

__all__ = ["Command", "Crossbar", "Job"]
