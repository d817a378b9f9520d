"""What watches the pins and never drives them."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, First, RisingEdge

__all__ = ["RunningMonitor", "StreamMonitor", "resolved"]


def resolved(signal):
    """The value of ``signal`` as an integer; an unknown bit fails the bench."""
    value = signal.value
    assert value.is_resolvable, f"{signal._name} must be 0 or 1 in every bit, not {value}"
    return int(value)


class StreamMonitor:
    """Notes every beat that moves at one AXI4-Stream port, and holds it to the protocol.

    A beat once offered must stay offered, unchanged, until it is taken. Sleeps while nothing is offered, and while
    what is offered is not taken.

    Members: ``beats`` (list of integers, the whole tdata), ``clocks`` (of each, since reset), ``lasts``. ``moved`` is
    an event, set at every beat.
    """

    def __init__(self, dut, prefix, count, moved):
        self.name = prefix
        self.clk, self.count, self.moved = dut.clk, count, moved
        self.valid, self.ready, self.last, self.data = (
            getattr(dut, f"{prefix}__{name}") for name in ("tvalid", "tready", "tlast", "tdata"))
        self.held = None    # the beat that was offered and not taken at an earlier edge
        self.forget()
        cocotb.start_soon(self.watch())

    def forget(self):
        """Forget every beat so far."""
        self.beats, self.clocks, self.lasts = [], [], []

    def release(self):
        """Let the beat that is offered be taken back: whoever offers it, or the chip, is being reset."""
        self.held = None

    async def watch(self):
        """Watch for ever."""
        edge, offered = RisingEdge(self.clk), RisingEdge(self.valid)
        taken, dropped = RisingEdge(self.ready), FallingEdge(self.valid)
        while True:
            await edge
            if resolved(self.valid):
                beat = (resolved(self.data), resolved(self.last))
                assert self.held in (None, beat), (f"{self.name} must hold a beat until it is taken, not change it: "
                                                   f"{self.held} became {beat} at clock {self.count.cycles}")
                if resolved(self.ready):
                    self.beats.append(beat[0])
                    self.lasts.append(beat[1])
                    self.clocks.append(self.count.cycles)
                    self.held = None
                    self.moved.set()
                else:
                    self.held = beat
                    await First(taken, dropped)
            else:
                assert self.held is None, f"{self.name} must hold a beat until it is taken, not drop it: " \
                                          f"{self.held} at clock {self.count.cycles}"
                await offered

    def array(self, elements):
        """The beats so far as (n, elements) of the signed integer type a container of the stream holds."""
        size = len(self.data) // 8
        raw = b"".join(beat.to_bytes(size, "little") for beat in self.beats)
        return np.frombuffer(raw, np.dtype(f"<i{size // elements}")).reshape(-1, elements)


class RunningMonitor:
    """Notes when the pin ``running`` is high. Members: ``intervals``, list of [first clock, last clock].

    ``moved`` is an event, set when it falls.
    """

    def __init__(self, dut, count, moved):
        self.running, self.count, self.moved = dut.running, count, moved
        self.forget()
        cocotb.start_soon(self.watch())

    def forget(self):
        """Forget every interval so far."""
        self.intervals = []

    async def watch(self):
        """Watch for ever. A level set at an edge belongs to the clock after it."""
        while True:
            await RisingEdge(self.running)
            self.intervals.append([self.count.cycles + 1, None])
            await FallingEdge(self.running)
            self.intervals[-1][1] = self.count.cycles
            self.moved.set()

    @property
    def clocks(self):
        """Clocks in which `running` was high, in all the intervals that have ended."""
        return sum(last - first + 1 for first, last in self.intervals if last is not None)
