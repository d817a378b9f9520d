"""A walker and the host on a buffer, in the Amaranth simulator; memories filled and read behind their backs."""

import dataclasses
import random
import zlib

import numpy as np
from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.geometry import Geometry, Lanes
from rmdlora.golden.spec.secded import encode
from rmdlora.hdl.buffer import Buffer, Space, Walker

__all__ = ["WalkerBench", "Words", "checksum_of", "small", "walk"]

SPACES = (Space.WEIGHTS, Space.STATES)


class WalkerBench(wiring.Component):
    """A walker that ``reset`` resets on a buffer. ``collided``: a memory of one port had two accesses in one clock."""

    def __init__(self, configuration):
        self.walker, self.buffer, self.reset = Walker(configuration), Buffer(configuration), Signal()
        self.configuration = configuration
        super().__init__({"collided": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker, m.submodules.buffer = ResetInserter(self.reset)(self.walker), self.buffer
        wiring.connect(m, self.walker.rows, self.buffer.rows)
        with m.If(Cat(store.bank.collision for store in self.buffer.stores.values()).any()):
            m.d.sync += self.collided.eq(1)
        return m

    def simulate(self, bench, *others):
        """Run ``bench``, and ``others`` in the background; no memory of one port may be asked for two things."""
        simulator = Simulator(self)
        simulator.add_clock(10e-9)

        async def whole(ctx):
            await bench(ctx)
            assert not ctx.get(self.collided)

        simulator.add_testbench(whole)
        for other in others:
            simulator.add_testbench(other, background=True)
        simulator.run()


class Words:
    """The row words of weights and states, as ``{space: [[code, ...], ...]}``, and the same in the memories."""

    def __init__(self, bench, seed):
        self.bench, chance = bench, random.Random(seed)
        self.codes = {}
        for space in SPACES:
            store = bench.buffer.stores[space]
            low = -1 << store.bits - 1
            self.codes[space] = [[chance.randint(low, -low - 1) for _ in range(store.elements)]
                                 for _ in range(store.depth)]

    def fill(self, ctx):
        """Put the row words into the memories."""
        for space, words in self.codes.items():
            store = self.bench.buffer.stores[space]
            for row, word in enumerate(words):
                ctx.set(store.bank.place(row), [encode(code, store.bits) if store.secded else code for code in word])

    def found(self, ctx, space):
        """The row words of a memory."""
        store = self.bench.buffer.stores[space]
        words = [list(ctx.get(store.bank.place(row))) for row in range(store.depth)]
        if not store.secded:
            return words
        codes = [[code & (1 << store.bits) - 1 for code in word] for word in words]
        return [[code - (code >> store.bits - 1 << store.bits) for code in word] for word in codes]

    def check(self, ctx):
        """The memories hold these row words."""
        for space, words in self.codes.items():
            assert self.found(ctx, space) == words, space

    def copy(self, words, source, target):
        """What a copy of so many row words makes of them."""
        for codes in self.codes.values():
            codes[target:target + words] = [list(word) for word in codes[source:source + words]]

    def erase(self, words, source):
        """What an erasure makes of them."""
        for codes in self.codes.values():
            codes[source:source + words] = [[0] * len(word) for word in codes[source:source + words]]


def checksum_of(words, layout):
    """CRC-32 of an adapter, said element by element: 4 bytes of weight, 8 of state; 0 for padding."""
    lanes = layout.lanes
    inside = {layout.a_element(j, i) for j in range(layout.rank) for i in range(layout.inputs)}
    inside |= {layout.b_element(o, j) for j in range(layout.rank) for o in range(layout.outputs)}
    elements = np.zeros(layout.words * lanes.row_elements, [("weight", "<i4"), ("state", "<i8")])
    for index in range(len(elements)):
        place = layout.base * lanes.row_elements + index
        if place in inside:
            elements[index] = tuple(words.codes[space][place // lanes.row_elements][place % lanes.row_elements]
                                    for space in SPACES)
    return zlib.crc32(elements.tobytes())


async def walk(ctx, walker, limit=100_000, **fields):
    """One operation to its end: ``(its clocks, the fault)``."""
    for field, value in fields.items():
        ctx.set(walker.operation.payload[field], value)
    ctx.set(walker.operation.valid, 1)
    _, _, taken = await ctx.tick().sample(walker.operation.ready)
    assert taken
    ctx.set(walker.operation.valid, 0)
    for clocks in range(2, limit):
        _, _, running, done, fault = await ctx.tick().sample(walker.running, walker.done, walker.fault)
        assert running
        if done:
            return clocks, fault
    raise AssertionError(f"the walk did not end in {limit} clocks")


def small(sram=None, lanes=(2, 2, 1), **formats):
    """The `tiny` configuration with few row words."""
    tiny = load_configuration("tiny")
    return dataclasses.replace(
        tiny, geometry=Geometry(8, 8, 6), lora=Lanes(*lanes, 4), formats=dataclasses.replace(tiny.formats, **formats),
        sram=dataclasses.replace(tiny.sram, words=144, **sram or {}))
