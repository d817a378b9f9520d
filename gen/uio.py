"""The board under plain Linux: UIO devices and u-dma-buf, or /dev/mem, through mmap.

The devices are those of the generated device-tree overlay (`linux/rmdlora.dtso`).
"""

import mmap
import os
import pathlib
import select
import struct
import time

import numpy as np
from rmdlora.golden.spec.refusal import RefusedValue

from .board import BoardTransport
from .zynq import CHIP_ADDRESS, CHIP_SIZE, DMA_SIZE, dma_engines

__all__ = ["MappedMemory", "MappedWords", "open_memory", "open_uio"]

PAGE = 4096
POLL_S = 0.0005         # between two looks, where interrupts do not reach the process


class MappedWords:
    """32-bit registers in a file: ``size`` bytes from its byte ``begin`` on, each access one aligned load or store."""

    def __init__(self, path, size, begin=0):
        self.size = size
        with open_device(path) as file:
            self.mapping = mmap.mmap(file.fileno(), size, offset=begin)
        self.words = np.frombuffer(self.mapping, np.uint32)

    def read(self, offset):
        """The word at byte ``offset``."""
        return int(self.words[self.place(offset)])

    def write(self, offset, word):
        """Write the word at byte ``offset``."""
        self.words[self.place(offset)] = word

    def place(self, offset):
        """The word's number. Refuses what is no word of it."""
        if offset % 4 or not 0 <= offset < self.size:
            raise RefusedValue(f"an offset must be a multiple of 4 below {self.size:#x}, not {offset:#x}")
        return offset >> 2


class MappedMemory:
    """Memory that DMA engines reach: ``size`` bytes from byte ``begin`` of a file on, at bus address ``address``.

    The mapping is synchronous (O_SYNC: u-dma-buf and /dev/mem map it uncached then), so nothing is to be flushed.
    """

    def __init__(self, path, address, size, begin=0):
        self.address, self.size = address, size
        with open_device(path) as file:
            self.mapping = mmap.mmap(file.fileno(), size, offset=begin)

    def store(self, data):
        """Put bytes at its start."""
        self.mapping[:len(data)] = data

    def load(self, length):
        """Its first ``length`` bytes."""
        return self.mapping[:length]


def open_device(path):
    """A file opened for synchronous reading and writing. Refuses one that cannot be."""
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_SYNC), "r+b", buffering=0)
    except OSError as problem:
        raise RefusedValue(f"{path} must be a device that can be opened, not one that cannot "
                           f"({problem.strerror})") from None


def find_uio(root):
    """``{name: (device, bytes)}`` of the UIO devices below ``root``."""
    devices = {}
    for folder in sorted((root / "sys/class/uio").glob("uio*")):
        name = (folder / "name").read_text(encoding="ascii").strip()
        size = int((folder / "maps/map0/size").read_text(encoding="ascii"), 0)
        devices[name] = (root / "dev" / folder.name, size)
    return devices


def share_memory(configuration, path, address, size, begin=0):
    """``{engine: its part}`` of ``size`` bytes: equal parts, whole pages."""
    engines = dma_engines(configuration)
    part = size // len(engines) // PAGE * PAGE
    if not part:
        raise RefusedValue(f"DMA memory must be at least {len(engines) * PAGE} bytes, not {size}")
    return {engine.name: MappedMemory(path, address + index * part, part, begin + index * part)
            for index, engine in enumerate(engines)}


class Interrupts:
    """Waits for the interrupts of UIO devices. A level that is still high comes again when it is enabled again."""

    def __init__(self, paths):
        self.files = [open_device(path) for path in paths]

    def __call__(self, seconds):
        for file in self.files:
            file.write(struct.pack("<I", 1))
        ready, _, _ = select.select(self.files, [], [], seconds)
        for file in ready:
            file.read(4)

    def close(self):
        """Give the devices back."""
        for file in self.files:
            file.close()


def open_uio(configuration, buffer="rmdlora", root="/"):
    """`BoardTransport` over UIO devices ``rmdlora`` and ``rmdlora_dma_*`` and the u-dma-buf named ``buffer``.

    ``root`` is where ``dev`` and ``sys`` lie. Refuses, by name, a device that is not there or too small.
    """
    root = pathlib.Path(root)
    devices = find_uio(root)
    needed = {"rmdlora": CHIP_SIZE} | {f"rmdlora_{engine.name}": DMA_SIZE for engine in dma_engines(configuration)}
    for name, size in needed.items():
        if name not in devices:
            raise RefusedValue(f"UIO device {name} must be there, not missing (linux/rmdlora.dtso makes it); "
                               f"there are: {', '.join(sorted(devices)) or 'none'}")
        if devices[name][1] < size:
            raise RefusedValue(f"UIO device {name} must map {size:#x} bytes, not {devices[name][1]:#x}")
    described = root / "sys/class/u-dma-buf" / buffer
    if not described.is_dir():
        raise RefusedValue(f"u-dma-buf {buffer} must be there, not missing (linux/rmdlora.dtso makes it)")
    address, size = (int((described / name).read_text(encoding="ascii"), 0) for name in ("phys_addr", "size"))
    words = {name: MappedWords(devices[name][0], size_needed) for name, size_needed in needed.items()}
    memories = share_memory(configuration, root / "dev" / buffer, address, size)
    interrupts = Interrupts([devices[name][0] for name in needed])
    return BoardTransport(configuration, words.pop("rmdlora"),
                          {name.removeprefix("rmdlora_"): found for name, found in words.items()}, memories,
                          interrupts, interrupts.close)


def open_memory(configuration, buffer_address, buffer_size, path="/dev/mem"):
    """`BoardTransport` through ``path`` at the block design's addresses; waits by looking.

    ``buffer_address`` and ``buffer_size``: memory kept from Linux (a ``reserved-memory`` node with ``no-map``).
    """
    engines = {engine.name: MappedWords(path, DMA_SIZE, engine.address) for engine in dma_engines(configuration)}
    return BoardTransport(configuration, MappedWords(path, CHIP_SIZE, CHIP_ADDRESS), engines,
                          share_memory(configuration, path, buffer_address, buffer_size, buffer_address),
                          lambda seconds: time.sleep(min(seconds, POLL_S)))
