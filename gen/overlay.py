"""The board under PYNQ: the bitstream as an overlay, registers through its MMIO, DMA memory from its allocator."""

import importlib
import time

import numpy as np
from rmdlora.golden.spec.refusal import RefusedValue

from .board import BoardTransport
from .zynq import CHIP_SIZE, DMA_SIZE, dma_engines

__all__ = ["AllocatedMemory", "open_overlay"]

POLL_S = 0.0005         # between two looks
MEMORY_BYTES = 1 << 22  # of an engine


class AllocatedMemory:
    """A contiguous buffer of PYNQ's: cached, so it is flushed before the engine reads and invalidated before we do."""

    def __init__(self, allocate, size):
        self.buffer = allocate(shape=(size,), dtype=np.uint8)
        self.address, self.size = self.buffer.device_address, size

    def store(self, data):
        """Put bytes at its start, for the engine."""
        self.buffer[:len(data)] = np.frombuffer(data, np.uint8)
        self.buffer.flush()

    def load(self, length):
        """Its first ``length`` bytes, as the engine left them."""
        self.buffer.invalidate()
        return bytes(self.buffer[:length])


def open_overlay(configuration, bitfile, memory_bytes=MEMORY_BYTES):
    """`BoardTransport` over the overlay ``bitfile`` (its ``.hwh`` beside it), with ``memory_bytes`` for each engine.

    Refuses a machine without PYNQ, and an overlay that is another design.
    """
    try:
        pynq = importlib.import_module("pynq")
    except ModuleNotFoundError:
        raise RefusedValue("pynq must be installed to open an overlay, not missing (it comes with the board's image; "
                           "under plain Linux use open_uio)") from None
    placed = pynq.Overlay(str(bitfile)).ip_dict
    needed = {"chip": CHIP_SIZE} | {engine.name: DMA_SIZE for engine in dma_engines(configuration)}
    words = {}
    for name, size in needed.items():
        if name not in placed:
            raise RefusedValue(f"the overlay must hold {name}, as the generated block design does, "
                               f"not {', '.join(sorted(placed)) or 'nothing'}")
        if placed[name]["addr_range"] < size:
            raise RefusedValue(f"{name} of the overlay must have {size:#x} bytes, not {placed[name]['addr_range']:#x}")
        words[name] = pynq.MMIO(placed[name]["phys_addr"], size)
    memories = {engine.name: AllocatedMemory(pynq.allocate, memory_bytes) for engine in dma_engines(configuration)}
    return BoardTransport(configuration, words.pop("chip"), words, memories,
                          lambda seconds: time.sleep(min(seconds, POLL_S)))
