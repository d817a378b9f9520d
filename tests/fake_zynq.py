"""A Zynq for tests: the simulated chip behind AXI DMA engines (PG021, simple mode) that move bytes of a memory.

Software sees registers and memory only. The engines are stricter than silicon: what PG021 leaves undefined fails.
"""

import numpy as np
from rmdlora.cosim.native import NativeLane
from rmdlora.gen.zynq import CHIP_ADDRESS, dma_engines

BASE = 0x1800_0000      # of the memory on the bus
STEP = 64               # clocks that go by at a look at an engine

RUN, RESET, IOC_ENABLE, ERROR_ENABLE = 1 << 0, 1 << 2, 1 << 12, 1 << 14
HALTED, IDLE, INTERNAL_ERROR, SLAVE_ERROR, IOC, ERROR = 1 << 0, 1 << 1, 1 << 4, 1 << 5, 1 << 12, 1 << 14


class EngineModel:
    """One engine with one direction. ``memory``: uint8 array, as the bus sees it."""

    def __init__(self, engine, lane, memory):
        self.engine, self.lane, self.memory = engine, lane, memory
        self.stream = lane.stream(engine.stream)
        self.beat_bytes = self.stream.elements * self.stream.dtype.itemsize
        self.base = 0x00 if engine.sends else 0x30
        self.waiting, self.seen, self.resets, self.packets = [], 0, 0, []   # (bytes, tlast) taken from the chip
        self.clear()

    def clear(self):
        """As after power-up."""
        self.control, self.status, self.address, self.length, self.running = 0, HALTED, 0, 0, None

    def read(self, offset):
        """A register."""
        self.lane.advance(STEP)
        self.move()
        registers = {0x00: self.control, 0x04: self.status, 0x18: self.address, 0x1C: 0, 0x28: self.length}
        return registers[offset - self.base]

    def write(self, offset, word):
        """Write a register."""
        offset -= self.base
        if offset == 0x00:
            if word & RESET:
                self.clear()
                self.resets += 1
                self.lane.withdraw()
                return
            self.control = word
            self.status = self.status & ~HALTED if word & RUN else self.status | HALTED
        elif offset == 0x04:
            self.status &= ~(word & (IOC | ERROR))
        elif offset == 0x18:
            self.address = word
        elif offset == 0x1C:
            assert word == 0, "the engine has 32 address bits"
        else:
            assert offset == 0x28
            self.start(word)

    def start(self, length):
        """A transfer begins."""
        assert self.control & RUN and not self.status & HALTED, "the engine does not run"
        assert self.running is None, "a length was written while a transfer went on"
        assert 0 < length < 1 << 26
        assert self.address % (self.engine.memory_bits // 8) == 0, "no realignment engine: the address must be aligned"
        self.status &= ~IDLE
        place = self.address - BASE
        if place < 0 or place + length > len(self.memory):
            self.status |= SLAVE_ERROR | ERROR | HALTED
            return
        self.running, self.length = length, length
        if self.engine.sends:
            assert length % self.beat_bytes == 0
            beats = np.frombuffer(bytes(self.memory[place:place + length]), self.stream.dtype)
            self.lane.send(self.engine.stream, beats.reshape(-1, self.stream.elements))
        else:
            self.expect(length // self.beat_bytes)

    def expect(self, beats):
        """Be ready for so many beats, those that wait already counted."""
        pending = self.lane.library.rmd_pending(self.lane.harness, self.stream.index)
        self.lane.expect(self.engine.stream, max(0, beats - len(self.waiting) - pending))

    def move(self):
        """What the clocks gone by have moved."""
        pending = self.lane.library.rmd_pending(self.lane.harness, self.stream.index)
        if self.engine.sends:
            if self.running is not None and not pending:
                self.finish(self.running)
            return
        beats = [(beat.tobytes(), bool(last)) for part in self.stream.queued
                 for beat, last in zip(part.beats, part.lasts, strict=True)]
        moved = len(beats) - pending
        self.waiting += beats[self.seen:moved]
        self.seen = moved
        if self.running is None:
            return
        count = self.running // self.beat_bytes
        ends = next((index + 1 for index, (_, last) in enumerate(self.waiting) if last), None)
        if ends is None and len(self.waiting) < count:
            return
        if ends is None or ends > count:        # the packet goes on past the length
            self.status |= INTERNAL_ERROR | ERROR | HALTED
            return
        data = b"".join(beat for beat, _ in self.waiting[:ends])
        del self.waiting[:ends]
        self.packets.append(ends)
        self.memory[self.address - BASE:self.address - BASE + len(data)] = np.frombuffer(data, np.uint8)
        self.finish(len(data))

    def finish(self, length):
        """The transfer has ended."""
        self.length, self.running = length, None
        self.status |= IDLE | IOC


class ChipModel:
    """The chip's registers."""

    def __init__(self, lane):
        self.lane, self.read, self.write = lane, lane.read, lane.write


class Zynq:
    """The simulated chip of a configuration, its engines, and ``size`` bytes of memory (or the array given)."""

    def __init__(self, configuration, memory):
        self.lane = NativeLane(configuration)
        self.memory = memory
        self.engines = {engine.name: EngineModel(engine, self.lane, memory) for engine in dma_engines(configuration)}
        self.chip = ChipModel(self.lane)

    def at(self, address):
        """What lies at a bus address."""
        if address == CHIP_ADDRESS:
            return self.chip
        return next(model for model in self.engines.values() if model.engine.address == address)
