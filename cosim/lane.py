"""A lane: any design of registers and streams, driven by loops in C++ and handed whole arrays from Python.

It is what the driver (`gen.driver`) calls a transport: registers are written and read, beats are queued for the
streams, and the design runs until all of them have moved. Python is called once a transaction, never once a clock.
"""

import ctypes
import re
import weakref
import zlib

import numpy as np
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue, need_integer

from .model import NativeModel
from .transport import Beats, LaneFailure

__all__ = ["StreamLane"]

RESET_CLOCKS = 8
TRANSFER_LIMIT = 10_000     # clocks a register access may take
SLICE = 1 << 20             # clocks between two looks at the keyboard

CHANNEL_SIGNALS = ("awvalid", "awready", "wvalid", "wready", "bvalid", "bready", "arvalid", "arready", "rvalid",
                   "rready", "awaddr", "wdata", "wstrb", "bresp", "araddr", "rdata", "rresp")
RESPONSES = {1: "EXOKAY", 2: "SLVERR", 3: "DECERR", 255: "no answer"}


class StreamPort(ctypes.Structure):
    """As `StreamPort` in the harness."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("valid", "ready", "last", "data")] + [
        ("bytes", ctypes.c_uint64), ("source", ctypes.c_uint64)]


class BusPort(ctypes.Structure):
    """As `BusPort` in the harness."""

    _fields_ = [(name, ctypes.c_void_p) for name in CHANNEL_SIGNALS] + [("address_bytes", ctypes.c_uint64)]


class Stream:
    """One stream port: its place in the harness, how its beats lie in memory, and the arrays on their way."""

    def __init__(self, index, name, bits, elements, source):
        self.index, self.name, self.elements, self.source = index, name, elements, source
        self.dtype = np.dtype(f"<i{bits // elements // 8}")
        self.queued = []


class StreamLane:
    """A design with one AXI4-Lite slave ``s_axil`` and any number of streams ``s_axis_*`` (in) and ``m_axis_*`` (out).

    Streams are called by the last part of their name (``x``, ``y``). Clocks are counted from 0, the first rising edge
    after reset. Register accesses and streams share the clock: beats queued move while registers are accessed.

    Parameters: ``design`` (`verilate.Design`); ``elements``, elements of a beat, each in a container of 8, 16, 32 or
    64 bits; ``waves`` (path or None), a VCD file of everything; ``library``, the folder of the design's library where
    it is built already.
    """

    def __init__(self, design, elements, waves=None, library=None):
        self.model = NativeModel(library) if library else NativeModel.build(design, waves=waves is not None)
        lib = self.library = self.model.lib
        declare(lib)
        ports, address = self.model.ports, self.model.address
        bus = BusPort(**{name: address(f"s_axil__{name}") for name in CHANNEL_SIGNALS},
                      address_bytes=2 if 8 < ports["s_axil__awaddr"][1] <= 16 else 4)
        self.streams = {}
        table = []
        for port in sorted(ports):
            if found := re.fullmatch(r"(s|m)_axis_(\w+)__tvalid", port):
                prefix, bits = port.removesuffix("tvalid"), ports[port.replace("tvalid", "tdata")][1]
                source = found[1] == "s"
                self.streams[found[2]] = Stream(len(table), found[2], bits, elements, source)
                table.append(StreamPort(*(address(prefix + n) for n in ("tvalid", "tready", "tlast", "tdata")),
                                        bytes=bits // 8, source=source))
        self.harness = lib.rmd_create(self.model.model, address("clk"), address("rst"), address("running"),
                                      ctypes.byref(bus), (StreamPort * len(table))(*table), len(table))
        # the finaliser holds the model, so the harness goes first
        self.finish = weakref.finalize(self, close, lib, self.harness, self.model)
        if waves is not None and not lib.rmd_trace(self.harness, str(waves).encode()):
            raise RefusedValue(f"the waveform file must be one that can be written, not {str(waves)!r}")
        self.reset()

    def close(self):
        """End the lane: its waveform file is complete then. Nothing else may be asked of it."""
        self.finish()
        self.library = None

    @property
    def cycles(self):
        """Rising clock edges since reset."""
        return self.library.rmd_clocks(self.harness)

    @property
    def passed_clocks(self):
        """Clocks since reset that were not simulated one by one, for nothing but timers moved (`native/leap.h`)."""
        return self.library.rmd_passed(self.harness)

    def dwell(self):
        """From now on simulate every clock by itself, for comparison."""
        self.library.rmd_dwell(self.harness)

    @property
    def running_clocks(self):
        """Clocks since reset in which ``running`` was high, counted at the pin."""
        return self.library.rmd_running_clocks(self.harness)

    @property
    def intervals(self):
        """(n, 2) array: first and last clock of every stretch in which ``running`` was high, since reset."""
        count = self.library.rmd_interval_count(self.harness)
        if not count:
            return np.zeros((0, 2), np.uint64)
        return np.ctypeslib.as_array(self.library.rmd_intervals(self.harness), (count, 2)).copy()

    def reset(self):
        """Hold `rst` for some clocks. Forgets every beat queued; every count starts again."""
        for stream in self.streams.values():
            stream.queued.clear()
        self.library.rmd_reset(self.harness, RESET_CLOCKS)

    def stall(self, probability, seed, streams=None):
        """Stall each clock of ``streams`` (names; all by default) with ``probability`` (below 1), from ``seed``."""
        if not 0 <= probability < 1:
            raise RefusedValue(f"the stall probability must be at least 0 and below 1, not {probability}")
        for name in self.streams if streams is None else streams:
            state = zlib.crc32(name.encode()) << 32 | need_integer("the stall seed", seed, 0, 0xFFFFFFFF)
            self.library.rmd_stall(self.harness, self.stream(name).index, int(probability * 2**32), state)

    def write(self, address, word):
        """Write one 32-bit register."""
        self.write_many([address], [word])

    def read(self, address):
        """One 32-bit register."""
        return int(self.read_many([address])[0])

    def write_many(self, addresses, words):
        """Write ``words[i]`` to ``addresses[i]`` one after the other; both (n,), words 0 .. 2**32 - 1."""
        addresses, words = np.asarray(addresses), np.asarray(words)
        if words.shape != addresses.shape:
            raise RefusedValue(f"words must be as many as addresses ({addresses.shape}), not {words.shape}")
        if words.size and not 0 <= int(words.min()) <= int(words.max()) < 1 << 32:
            raise RefusedValue(f"words must fit 32 bits, not {int(words.min())}..{int(words.max())}")
        self.transfer(1, addresses, words.astype(np.uint32))

    def read_many(self, addresses):
        """The words at ``addresses`` (n,), read one after the other: (n,) uint32."""
        return self.transfer(0, np.asarray(addresses), np.zeros(len(addresses), np.uint32))

    def transfer(self, write, addresses, words):
        """Carry out register accesses in order; return ``words``. Raises `LaneFailure` at an error response."""
        addresses = np.ascontiguousarray(addresses, np.uint64)
        response = ctypes.c_uint8()
        done = 0
        while done < len(words):
            count = min(len(words) - done, SLICE // 8)
            went = self.library.rmd_transfer(self.harness, write, addresses[done:].ctypes.data,
                                             words[done:].ctypes.data, count, TRANSFER_LIMIT, ctypes.byref(response))
            done += went
            if response.value:
                raise LaneFailure(f"{'write to' if write else 'read of'} {int(addresses[done]):#x} met "
                                  f"{RESPONSES.get(response.value, response.value)} at clock {self.cycles}")
        return words

    def stream(self, name):
        """One stream by name."""
        if name not in self.streams:
            raise RefusedValue(f"stream must be one of {', '.join(sorted(self.streams))}, not {name!r}")
        return self.streams[name]

    def send(self, name, beats):
        """Queue ``beats`` (n, elements) of an integer type for an input stream; tlast goes with the last of them."""
        stream = self.stream(name)
        if not stream.source:
            raise RefusedValue(f"stream must be an input to send to, not {name!r}")
        given = np.asarray(beats)
        if given.dtype.kind not in "iu":
            raise RefusedType(f"beats of {name} must be integers, not {given.dtype}")
        if given.ndim != 2 or given.shape[1] != stream.elements:
            raise RefusedValue(f"beats of {name} must be (n, {stream.elements}), not {given.shape}")
        own = np.array(given, stream.dtype, order="C")
        if not np.array_equal(own, given):
            raise RefusedValue(f"beats of {name} must fit {stream.dtype.itemsize * 8} bits, "
                               f"not {given.min()}..{given.max()}")
        self.queue(stream, own)

    def expect(self, name, count):
        """Make room for ``count`` more beats of an output stream. A sink is ready only for beats expected."""
        stream = self.stream(name)
        if stream.source:
            raise RefusedValue(f"stream must be an output to expect beats of, not {name!r}")
        need_integer(f"beats expected of {name}", int(count), 0, None)
        self.queue(stream, np.zeros((int(count), stream.elements), stream.dtype))

    def queue(self, stream, beats):
        """Hand ``beats`` (n, elements) to the harness and keep them until they are collected."""
        moving = Beats(beats, np.zeros(len(beats), np.uint64), np.zeros(len(beats), bool))
        stream.queued.append(moving)
        self.library.rmd_queue(self.harness, stream.index, beats.ctypes.data, len(beats),
                               moving.clocks.ctypes.data, moving.lasts.ctypes.data)

    def withdraw(self):
        """Take back every beat queued that has not moved, operands and room for results, as a host stops its DMA."""
        for stream in self.streams.values():
            stream.queued.clear()
        self.library.rmd_withdraw(self.harness)

    def busy(self):
        """Whether the design has more to do although nothing moves. Of a bare design: never."""
        return False

    def run_until_idle(self, limit):
        """Run until every beat queued has moved, ``running`` is low and the design is not busy.

        Returns a dict from stream to its `Beats` since the last call, inputs (with the clock that took each) included.
        Raises `LaneFailure` where that takes more than ``limit`` clocks, or where a stream offers a beat too many.
        """
        end = self.cycles + need_integer("the limit of a run", limit, 1, None)
        while True:
            while not self.run(min(SLICE, max(1, end - self.cycles))):
                if self.cycles >= end:
                    raise LaneFailure(f"the design must come to rest within {limit} clocks, not be stuck: "
                                      f"{self.describe()}")
            if not self.busy():
                break
            if self.cycles >= end:
                raise LaneFailure(f"the design must come to rest within {limit} clocks, not stay busy: "
                                  f"{self.describe()}")
        for stream in self.streams.values():
            if self.library.rmd_surplus(self.harness, stream.index):
                raise LaneFailure(f"stream {stream.name} must end after the beats expected, not offer one more: "
                                  f"{self.describe()}")
        return {name: self.collect(stream) for name, stream in self.streams.items()}

    def run(self, clocks):
        """Run until nothing queued is left and ``running`` is low, but for ``clocks`` clocks at most; whether it is so.
        """
        return bool(self.library.rmd_run(self.harness, clocks))

    def run_until_high(self, port, limit):
        """Run until the one-bit output ``port`` (``irq``) is high. Raises `LaneFailure` after ``limit`` clocks."""
        if self.model.ports.get(port) != ("out", 1):
            raise RefusedValue(f"port must be an output of one bit, not {port!r}")
        if not self.library.rmd_run_until(self.harness, self.model.address(port), limit):
            raise LaneFailure(f"{port} must rise within {limit} clocks, not stay low: {self.describe()}")

    def advance(self, count):
        """Run ``count`` clocks."""
        self.library.rmd_advance(self.harness, count)

    def collect(self, stream):
        """The `Beats` of ``stream`` that were queued and have all moved."""
        queued, stream.queued = stream.queued, []
        if not queued:
            queued = [Beats(np.zeros((0, stream.elements), stream.dtype), np.zeros(0, np.uint64), np.zeros(0, bool))]
        return Beats(*map(np.concatenate, zip(*queued, strict=True)))

    def describe(self):
        """Where everything stands, for a failure's message."""
        lib = self.library
        parts = [f"clock {self.cycles}"]
        for stream in self.streams.values():
            moved, pending = (f(self.harness, stream.index) for f in (lib.rmd_moved, lib.rmd_pending))
            if moved or pending or lib.rmd_surplus(self.harness, stream.index):
                parts.append(f"{stream.name} moved {moved}, waits for {pending}")
        if "running" in self.model.ports:
            parts.append(f"running {self.model.io['running'] & 1}")
        return "; ".join(parts)


def close(lib, harness, model):
    """Free the harness, then (by letting go of it) the model."""
    lib.rmd_destroy(harness)
    del model


def declare(lib):
    """Tell ctypes the harness's functions."""
    pointer, count, flag = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int
    for name, result, *arguments in (
            ("rmd_create", pointer, *(pointer,) * 6, count), ("rmd_destroy", None, pointer),
            ("rmd_reset", None, pointer, count), ("rmd_stall", None, pointer, count, count, count),
            ("rmd_queue", None, pointer, count, pointer, count, pointer, pointer),
            ("rmd_pending", count, pointer, count), ("rmd_moved", count, pointer, count),
            ("rmd_clocks", count, pointer), ("rmd_running_clocks", count, pointer),
            ("rmd_passed", count, pointer), ("rmd_dwell", None, pointer),
            ("rmd_interval_count", count, pointer), ("rmd_intervals", ctypes.POINTER(count), pointer),
            ("rmd_withdraw", None, pointer), ("rmd_surplus", flag, pointer, count),
            ("rmd_transfer", count, pointer, flag, pointer, pointer, count, count, pointer),
            ("rmd_run", flag, pointer, count), ("rmd_run_until", flag, pointer, pointer, count),
            ("rmd_advance", None, pointer, count), ("rmd_trace", flag, pointer, ctypes.c_char_p)):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
