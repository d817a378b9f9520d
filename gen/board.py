"""The driver's way to a chip on a board: registers in memory, streams through DMA engines.

What differs between boards (how registers and DMA memory are reached, how one waits for an interrupt) is handed in;
`uio` and `overlay` do that for plain Linux and for PYNQ. `Driver` runs over this as it runs over a simulation.
"""

import time
import typing

import numpy as np
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue
from rmdlora.golden.spec.registers import register

from .beats import beat_type
from .dma import LENGTH_MOST, Channel, TransferFailure
from .transport import Transport
from .zynq import dma_engines

__all__ = ["BoardTransport", "Moved"]

HOST_S = 5.0            # a wait may last this much longer than its clocks: Python and Linux take their time
LOOK_S = 0.05           # between two looks at everything, where no interrupt comes


class Moved(typing.NamedTuple):
    """What moved at a stream: ``beats`` (n, beat_elements). A board does not know their clocks."""

    beats: np.ndarray


class Lane:
    """One stream on its way: its channel, its DMA memory, and what is still to move."""

    def __init__(self, engine, channel, memory, kind, elements):
        self.engine, self.channel, self.memory, self.kind, self.elements = engine, channel, memory, kind, elements
        self.forget()

    def forget(self):
        """Nothing is to move, and nothing moved."""
        self.queued, self.expected, self.pieces = [], 0, []

    @property
    def pending(self):
        """Bytes that are still to move."""
        return self.expected + sum(len(piece) for piece in self.queued)

    def serve(self):
        """Take the end of a transfer, and start the next."""
        if self.channel.busy:
            length = self.channel.finished()
            if length is None:
                return
            if self.engine.sends:
                self.pieces.append(self.queued.pop(0))
            else:
                self.pieces.append(self.memory.load(length))
                self.expected -= length
        if self.engine.sends and self.queued:
            self.memory.store(self.queued[0])
            self.channel.start(self.memory.address, len(self.queued[0]))
        elif self.expected > 0:
            self.channel.start(self.memory.address, self.expected)

    def take(self):
        """What moved since the last call."""
        moved, self.pieces = b"".join(self.pieces), []
        return Moved(np.frombuffer(moved, self.kind).reshape(-1, self.elements))


class BoardTransport(Transport):
    """Registers, and a DMA engine a stream.

    Parameters
    ----------
    configuration : what the chip was generated from.
    chip : its registers: ``read(offset)`` and ``write(offset, word)`` of 32-bit words.
    engines : ``{name of the engine: its registers}``, names as in `zynq.dma_engines`.
    memories : ``{name: memory}``, each with ``size`` and ``address`` (as the engine sees it), ``store(bytes)`` at its
        start and ``load(length)`` from it, coherent with the engine.
    wait : called with seconds; returns at an interrupt of chip or engines, or when the time is over.
    release : called when the transport is closed.

    An access that the chip answers with an error ends the process on Linux (a bus error); nothing here can catch it.
    """

    def __init__(self, configuration, chip, engines, memories, wait, release=lambda: None):
        self.configuration, self.chip, self.wait, self.close = configuration, chip, wait, release
        self.lanes = {}
        for engine in dma_engines(configuration):
            channel = Channel(engine.name, engines[engine.name], engine.sends)
            self.lanes[engine.stream] = Lane(engine, channel, memories[engine.name],
                                             beat_type(configuration, engine.stream), configuration.lora.beat_elements)

    def write(self, address, word):
        """As `Transport.write`."""
        self.chip.write(int(address), int(word))

    def read(self, address):
        """As `Transport.read`."""
        return self.chip.read(int(address))

    def lane(self, stream, sends):
        """A stream that goes that way. Refuses another."""
        names = [name for name, lane in self.lanes.items() if lane.engine.sends == sends]
        if stream not in names:
            raise RefusedValue(f"stream must be one of {', '.join(names)}, not {stream!r}")
        return self.lanes[stream]

    def send(self, stream, beats):
        """As `Transport.send`."""
        lane, given = self.lane(stream, True), np.asarray(beats)
        if given.dtype.kind not in "iu":
            raise RefusedType(f"beats of {stream} must be integers, not {given.dtype}")
        if given.ndim != 2 or given.shape[1] != lane.elements:
            raise RefusedValue(f"beats of {stream} must be (n, {lane.elements}), not {given.shape}")
        own = given.astype(lane.kind)
        if not np.array_equal(own, given):
            raise RefusedValue(f"beats of {stream} must fit {lane.kind.itemsize * 8} bits, "
                               f"not {given.min()}..{given.max()}")
        text = own.tobytes()
        most = min(lane.memory.size, LENGTH_MOST) // (lane.elements * lane.kind.itemsize)
        most *= lane.elements * lane.kind.itemsize
        lane.queued += [text[begin:begin + most] for begin in range(0, len(text), most)]
        lane.serve()

    def expect(self, stream, count):
        """As `Transport.expect`. Refuses more than the engine's memory has room for."""
        lane = self.lane(stream, False)
        room = min(lane.memory.size, LENGTH_MOST)
        lane.expected += int(count) * lane.elements * lane.kind.itemsize
        if lane.expected > room:
            lane.expected -= int(count) * lane.elements * lane.kind.itemsize
            raise RefusedValue(f"beats expected of {stream} must fit {room} bytes of DMA memory, not {count} more "
                               f"after {lane.expected} bytes")
        if not lane.channel.busy:
            lane.serve()

    def serve(self):
        """Let every stream go on."""
        for lane in self.lanes.values():
            if lane.channel.busy or lane.pending:
                lane.serve()

    def run_until_high(self, port, limit):
        """As `Transport.run_until_high`; the port can be ``"irq"``, seen through INTERRUPT."""
        if port != "irq":
            raise RefusedValue(f"port must be irq, the one a board shows, not {port!r}")
        pending, enabled = register("INTERRUPT").address, register("INTERRUPT_ENABLE").address
        self.run_until(lambda: self.read(pending) & self.read(enabled), limit, "irq must rise")

    def run_until_idle(self, limit):
        """As `Transport.run_until_idle`."""
        busy, status = register("STATUS").field("busy").mask, register("STATUS").address
        self.run_until(lambda: not any(lane.pending for lane in self.lanes.values()) and not self.read(status) & busy,
                       limit, "the chip must come to rest")
        return {stream: lane.take() for stream, lane in self.lanes.items()}

    def run_until(self, ready, limit, rule):
        """Serve streams until ``ready()``. Raises `TransferFailure` where that takes longer than ``limit`` clocks."""
        end = time.monotonic() + limit / self.configuration.clock.frequency_hz + HOST_S
        while True:
            self.serve()
            if ready():
                return
            left = end - time.monotonic()
            if left <= 0:
                raise TransferFailure(f"{rule} within {limit} clocks, not wait: {self.describe()}")
            self.wait(min(left, LOOK_S))

    def withdraw(self):
        """Take back everything that has not moved, operands and room for results. The chip is left as it is."""
        for lane in self.lanes.values():
            lane.channel.reset()
            lane.forget()

    def describe(self):
        """Where everything stands, for a failure's message."""
        waiting = [f"{name} has {lane.pending} bytes to move" for name, lane in self.lanes.items() if lane.pending]
        return "; ".join([f"STATUS {self.read(register('STATUS').address):#x}", *waiting])
