"""The chip's ports under cocotb: what drives them, in the shape of the native lane.

`PinLane` has the members of `cosim.lane.StreamLane` that a driver of the chip uses, so one driver serves both lanes
and the real board. They block: call them from a function that `cocotb.task.bridge` runs.
"""

import random
import re

import cocotb
import numpy as np
from cocotb.task import resume
from cocotb.triggers import Event, First, RisingEdge, Timer
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)
from rmdlora.cosim.benches.bench import TICK_NS, ClockCount, start, start_clock
from rmdlora.cosim.benches.monitors import RunningMonitor, StreamMonitor, resolved
from rmdlora.cosim.transport import Beats, LaneFailure
from rmdlora.golden.spec.registers import register

__all__ = ["PinLane", "open_pins"]

OUTSTANDING = 64        # register accesses handed to the AXI master at once
PAUSE = 50              # clocks between two looks at STATUS


class PatientSource:
    """Drives beats back to back and sleeps while one waits: for long runs in which little moves at the pins."""

    driving = None      # the task that does

    def __init__(self, bus, clk):
        self.bus, self.clk = bus, clk
        self.frames, self.filled = [], Event()
        bus.tdata.value = 0
        self.clear()

    def clear(self):
        """Drive nothing, and forget what was queued."""
        if self.driving:
            self.driving.cancel()
        self.frames.clear()
        self.bus.tvalid.value = self.bus.tlast.value = 0
        self.driving = cocotb.start_soon(self.drive())

    def send_nowait(self, frame):
        """Queue the bytes of whole beats."""
        self.frames.append(bytes(frame.tdata))
        self.filled.set()

    async def drive(self):
        """Drive for ever."""
        edge, taken = RisingEdge(self.clk), RisingEdge(self.bus.tready)
        size = len(self.bus.tdata) // 8
        while True:
            while not self.frames:
                self.filled.clear()
                await self.filled.wait()
                await edge
            frame = self.frames.pop(0)
            for at in range(0, len(frame), size):
                self.bus.tdata.value = int.from_bytes(frame[at:at + size], "little")
                self.bus.tlast.value = at + size == len(frame)
                self.bus.tvalid.value = 1
                await edge
                while not resolved(self.bus.tready):
                    await taken
                    await edge
            self.bus.tvalid.value = self.bus.tlast.value = 0


def stalls(probability, seed):
    """Endless booleans, true with ``probability``: when a source or a sink pauses."""
    generator = random.Random(seed)
    while True:
        yield generator.random() < probability


class PinLane:
    """AXI4-Lite master, a source or sink and a monitor at every stream, a monitor of ``running``.

    Parameters: ``dut``; ``count`` (`ClockCount`); ``elements`` of a beat; ``stall`` (probability, of every source and
    sink) and ``seed``; ``patient`` (sources that sleep while they wait and never stall); ``busy_register`` (whether the
    design has the chip's STATUS).
    """

    def __init__(self, dut, count, elements, stall=0.0, seed=0, patient=False, busy_register=True):
        self.dut, self.count, self.elements, self.busy_register = dut, count, elements, busy_register
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil_"), dut.clk, dut.rst)
        self.moved = Event()
        self.running = RunningMonitor(dut, count, self.moved)
        self.monitors, self.drivers, self.inputs = {}, {}, set()
        for port in [handle._name for handle in dut]:
            if not (found := re.fullmatch(r"((s|m)_axis_(\w+))__tvalid", port)):
                continue
            prefix, side, name = found.groups()
            bus = AxiStreamBus.from_prefix(dut, f"{prefix}_")
            if side == "s":
                self.inputs.add(name)
            if side == "s" and patient:
                self.drivers[name] = PatientSource(bus, dut.clk)
            else:
                driver = (AxiStreamSource if side == "s" else AxiStreamSink)(bus, dut.clk, dut.rst)
                driver.log.setLevel("WARNING")
                if stall:
                    driver.set_pause_generator(stalls(stall, f"{seed} {name}"))
                self.drivers[name] = driver
            self.monitors[name] = StreamMonitor(dut, prefix, count, self.moved)
        self.due = dict.fromkeys(self.monitors, 0)      # beats that must have moved, of each stream, since reset
        self.collected = dict.fromkeys(self.monitors, 0)

    def reset(self):
        """Hold `rst` for some clocks; every count starts again. Refuses to drop beats that have not moved."""
        assert not self.missing(), f"a lane must be at rest to be reset, not wait: {'; '.join(self.missing())}"
        resume(start)(self.dut, self.count)
        self.due = dict.fromkeys(self.monitors, 0)
        self.collected = dict.fromkeys(self.monitors, 0)
        for monitor in (*self.monitors.values(), self.running):
            monitor.forget()

    @property
    def cycles(self):
        """Rising clock edges since reset."""
        return self.count.cycles

    @property
    def running_clocks(self):
        """Clocks since reset in which ``running`` was high, counted at the pin."""
        return self.running.clocks

    @property
    def intervals(self):
        """(n, 2) array: first and last clock of every stretch in which ``running`` was high, since reset."""
        return np.array(self.running.intervals, np.uint64).reshape(-1, 2)

    def write(self, address, word):
        """Write one 32-bit register."""
        self.write_many([address], [word])

    def read(self, address):
        """One 32-bit register."""
        return int(self.read_many([address])[0])

    def write_many(self, addresses, words):
        """Write ``words[i]`` to ``addresses[i]``, in order, some of them under way at once."""
        resume(self.transfer)("write", addresses, words)

    def read_many(self, addresses):
        """The words at ``addresses`` (n,): (n,) uint32."""
        return np.array(resume(self.transfer)("read", addresses, [0] * len(addresses)), np.uint32)

    async def transfer(self, access, addresses, words):
        """Carry out register accesses in order; return the words read. Raises `LaneFailure` at an error response."""
        read = []
        for at in range(0, len(addresses), OUTSTANDING):
            part = [(int(a), int(w)) for a, w in zip(addresses[at:at + OUTSTANDING], words[at:at + OUTSTANDING],
                                                     strict=True)]
            if access == "write":
                events = [self.master.init_write(a, w.to_bytes(4, "little")) for a, w in part]
            else:
                events = [self.master.init_read(a, 4) for a, _ in part]
            for event, (address, _) in zip(events, part, strict=True):
                await event.wait()
                if event.data.resp != AxiResp.OKAY:
                    raise LaneFailure(f"{access} of {address:#x} met {AxiResp(event.data.resp).name} "
                                      f"at clock {self.cycles}")
                if access == "read":
                    read.append(int.from_bytes(event.data.data, "little"))
        return read

    def send(self, name, beats):
        """Queue ``beats`` (n, elements) for an input stream; tlast goes with the last of them."""
        size = len(self.monitors[name].data) // 8 // self.elements
        own = np.array(beats, np.dtype(f"<i{size}"))
        assert name in self.inputs and own.shape[1:] == (self.elements,) and np.array_equal(own, beats), \
            f"beats of {name} must be (n, {self.elements}) of {8 * size} bits, for an input"
        if len(own):
            self.drivers[name].send_nowait(AxiStreamFrame(own.tobytes()))
        self.due[name] += len(own)

    def expect(self, name, count):
        """Say that ``count`` more beats must leave at an output stream; its sink takes whatever is offered."""
        assert name in self.monitors and name not in self.inputs, f"{name} must be an output stream"
        self.due[name] += count

    def withdraw(self):
        """Take back every beat queued that has not moved, operands and room for results, as a host stops its DMA."""
        resume(self.take_back)()

    async def take_back(self):
        """Wait as `withdraw` says: a source lets go of the beat it offers in a reset of its own."""
        for held in (True, False):
            for name in self.inputs:
                if isinstance(self.drivers[name], AxiStreamSource):
                    self.drivers[name].assert_reset(held)
                self.monitors[name].release()
            await RisingEdge(self.dut.clk)
        for name, monitor in self.monitors.items():
            if name in self.inputs:
                self.drivers[name].clear()
            monitor.release()
        await RisingEdge(self.dut.clk)
        for name, monitor in self.monitors.items():
            self.due[name] = self.collected[name] = len(monitor.beats)

    def run_until_idle(self, limit):
        """Run until every beat due has moved, ``running`` is low and the chip is not busy.

        Returns a dict from stream to its `Beats` since the last call. Raises `LaneFailure` where that takes more than
        ``limit`` clocks, or where more beats moved than were due.
        """
        resume(self.rest)(limit)
        moved = {}
        for name, monitor in self.monitors.items():
            at, self.collected[name] = self.collected[name], len(monitor.beats)
            moved[name] = Beats(monitor.array(self.elements)[at:], np.array(monitor.clocks[at:], np.uint64),
                                np.array(monitor.lasts[at:], bool))
        return moved

    async def rest(self, limit):
        """Wait as `run_until_idle` says."""
        end = self.cycles + limit
        while True:
            while self.missing():
                self.moved.clear()
                await First(self.moved.wait(), Timer(max(1, end - self.cycles) * TICK_NS, "ns"))
                if self.missing() and self.cycles >= end:
                    raise LaneFailure(f"the design must come to rest within {limit} clocks, not be stuck: "
                                      f"clock {self.cycles}; {'; '.join(self.missing())}")
            await RisingEdge(self.dut.clk)
            if not self.busy_register or not await self.busy():
                break
            if self.cycles >= end:
                raise LaneFailure(f"the design must come to rest within {limit} clocks, not stay busy: "
                                  f"clock {self.cycles}")
            self.moved.clear()
            await First(self.moved.wait(), Timer(PAUSE * TICK_NS, "ns"))
        for name, monitor in self.monitors.items():
            if len(monitor.beats) > self.due[name] or (name not in self.inputs and resolved(monitor.valid)):
                raise LaneFailure(f"stream {name} must end after the {self.due[name]} beats expected, "
                                  f"not offer one more: clock {self.cycles}")

    def missing(self):
        """What still has to happen, in words; empty at rest."""
        parts = [f"{name} moved {len(monitor.beats)} of {self.due[name]}" for name, monitor in self.monitors.items()
                 if len(monitor.beats) < self.due[name]]
        return parts + (["running is high"] if resolved(self.dut.running) else [])

    async def busy(self):
        """Whether an operation runs or waits, as STATUS tells."""
        status = register("STATUS")
        word = (await self.transfer("read", [status.address], [0]))[0]
        return bool(word >> status.field("busy").low & 1)

    def run_until_high(self, port, limit):
        """Run until the one-bit output ``port`` (``irq``) is high. Raises `LaneFailure` after ``limit`` clocks."""
        async def rise():
            signal = getattr(self.dut, port)
            if not resolved(signal):
                await First(RisingEdge(signal), Timer(limit * TICK_NS, "ns"))
                if not resolved(signal):
                    raise LaneFailure(f"{port} must rise within {limit} clocks, not stay low: clock {self.cycles}")
            await RisingEdge(self.dut.clk)

        resume(rise)()

    def advance(self, clocks):
        """Run ``clocks`` clocks."""
        async def wait():
            await Timer(clocks * TICK_NS, "ns")

        resume(wait)()


async def open_pins(dut, elements, **options):
    """A `PinLane` on a design just out of reset."""
    count = ClockCount()
    start_clock(dut)
    lane = PinLane(dut, count, elements, **options)
    await start(dut, count)
    return lane
