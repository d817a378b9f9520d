"""A LoRA unit on its buffer in the Amaranth simulator, and the contract written out in plain integers beside it."""

import dataclasses
import functools

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator
from rmdlora.golden.spec import secded
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.formats import lane_seed, requantise, round_shift, saturate, stochastic_shift, xorshift32
from rmdlora.golden.spec.geometry import Lanes
from rmdlora.golden.spec.registers import Kind
from rmdlora.hdl.buffer import Buffer, Space
from rmdlora.hdl.lora import LoraUnit

__all__ = ["Bench", "Case", "World", "expected_beats", "shaped", "train_once"]

SHIFTS = ("p", "u", "w", "q", "dx", "va", "vb", "lra", "lrb", "momentum")


class Bench(wiring.Component):
    """A unit on its buffer. ``collided``: a memory of one port was once asked for a read and a write in one clock."""

    def __init__(self, configuration):
        self.unit, self.buffer = unit, buffer = LoraUnit(configuration), Buffer(configuration)
        self.banks = [unit.gradients, unit.p_codes, unit.q_codes, unit.results.bank,
                      *(store.bank for store in buffer.stores.values())]
        super().__init__({"collided": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit, m.submodules.buffer = self.unit, self.buffer
        wiring.connect(m, self.unit.rows, self.buffer.rows)
        with m.If(Cat(bank.collision for bank in self.banks).any()):
            m.d.sync += self.collided.eq(1)
        return m


class Case:
    """One layer, its adapter, its vectors and its shifts, drawn at random; and what the contract makes of them."""

    def __init__(self, configuration, rng, sizes=None, nearest=None):
        self.configuration = configuration
        lanes, formats, geometry = configuration.lora, configuration.formats, configuration.geometry
        self.n, self.k, self.d, self.r = sizes or (
            rng.randint(1, min(lanes.chunk, 7)), rng.randint(1, 11), rng.randint(1, 11),
            rng.randint(1, geometry.max_rank))
        self.base, self.calibration = rng.randint(0, 9), rng.randint(0, 3)

        def codes(bits, *shape):
            low, high = -1 << (bits - 1), (1 << (bits - 1)) - 1
            extreme = rng.random() < 0.3
            if len(shape) == 1:
                return [rng.choice([low, high, 0]) if extreme else rng.randint(low, high) for _ in range(shape[0])]
            return [codes(bits, *shape[1:]) for _ in range(shape[0])]

        self.x, self.g = codes(formats.activation, self.n, self.k), codes(formats.gradient, self.n, self.d)
        self.c, self.offset = codes(formats.sum, self.n, self.d), codes(formats.sum, self.d)
        self.gain = codes(formats.gain, self.d)
        self.a, self.b = codes(formats.adapter, self.r, self.k), codes(formats.adapter, self.d, self.r)
        self.va, self.vb = codes(formats.state, self.r, self.k), codes(formats.state, self.d, self.r)
        self.active = [rng.random() < 0.8 for _ in range(self.r)]
        self.trainable = [on and rng.random() < 0.8 for on in self.active]
        self.seed = rng.getrandbits(32)
        self.generators = [lane_seed(self.seed, lane) for lane in range(self.r)]
        self.nearest = rng.random() < 0.5 if nearest is None else nearest
        limit = {"lra": 31, "lrb": 31, "momentum": 15}
        self.shifts = {name: rng.choice([0, 3, 8, 13, 20, 31, 47, rng.randint(0, 47)]) for name in SHIFTS}
        self.shifts |= {name: min(self.shifts[name], most) for name, most in limit.items()}

    def forward(self):
        """y (n, d); keeps p."""
        formats, s = self.configuration.formats, self.shifts
        self.p = [[requantise(sum(a * x for a, x in zip(self.a[j], xs, strict=True)), s["p"], formats.intermediate)
                   if self.active[j] else 0 for j in range(self.r)] for xs in self.x]
        return [[saturate(
            round_shift((c[o] - self.offset[o]) * self.gain[o], s["w"])
            + round_shift(sum(b * p for b, p in zip(self.b[o], ps, strict=True)), s["u"]), formats.output)
            for o in range(self.d)] for ps, c in zip(self.p, self.c, strict=True)]

    def backward(self):
        """dx (n, k); moves va and vb."""
        formats, s = self.configuration.formats, self.shifts
        results = []
        for x, g, p in zip(self.x, self.g, self.p, strict=True):
            q = [requantise(sum(self.b[o][j] * g[o] for o in range(self.d)), s["q"], formats.intermediate)
                 if self.active[j] else 0 for j in range(self.r)]
            results.append([requantise(sum(self.a[j][i] * q[j] for j in range(self.r)), s["dx"], formats.output)
                            for i in range(self.k)])
            for j in range(self.r):
                if self.trainable[j]:
                    for o in range(self.d):
                        self.vb[o][j] = saturate(self.vb[o][j] + round_shift(g[o] * p[j], s["vb"]), formats.state)
                    for i in range(self.k):
                        self.va[j][i] = saturate(self.va[j][i] + round_shift(q[j] * x[i], s["va"]), formats.state)
        return results

    def update(self):
        """Moves a, b, va, vb and the generators."""
        formats, s = self.configuration.formats, self.shifts

        def step(lane, weight, state, shift):
            if self.nearest:
                change = round_shift(state, shift)
            else:
                self.generators[lane] = xorshift32(self.generators[lane])
                change = stochastic_shift(state, shift, self.generators[lane])
            left = state - round_shift(state, s["momentum"]) if s["momentum"] else 0
            return saturate(weight - change, formats.adapter), left

        for j in range(self.r):
            if self.trainable[j]:
                for i in range(self.k):
                    self.a[j][i], self.va[j][i] = step(j, self.a[j][i], self.va[j][i], s["lra"])
                for o in range(self.d):
                    self.b[o][j], self.vb[o][j] = step(j, self.b[o][j], self.vb[o][j], s["lrb"])

    def operation(self, kind):
        """The fields of the operation."""
        return {"kind": kind, "nearest": self.nearest, "vectors": self.n, "inputs": self.k, "outputs": self.d,
                "rank": self.r, "adapter": self.base, "calibration": self.calibration,
                "active": sum(on << j for j, on in enumerate(self.active)),
                "trainable": sum(on << j for j, on in enumerate(self.trainable)), **self.shifts}

    def cycles(self, kind):
        """What the specification says that an operation takes."""
        pipeline, sizes = self.configuration.pipeline, (self.k, self.d, self.r)
        if kind == Kind.UPDATE:
            return pipeline.update(*sizes)
        return (pipeline.forward if kind == Kind.FORWARD else pipeline.backward)(self.n, *sizes)

    def beats(self, rows):
        """``rows`` (n, length) as operand beats."""
        lanes = self.configuration.lora
        length = len(rows[0])
        return [[rows[block * lanes.vectors + v][group * lanes.rows + w]
                 if block * lanes.vectors + v < self.n and group * lanes.rows + w < length else 77
                 for v in range(lanes.vectors) for w in range(lanes.rows)]
                for block in range(lanes.blocks(self.n)) for group in range(lanes.groups(length))]

    def places(self):
        """``(space, element, read the code, store the code)`` of everything that lies in the buffer."""
        layout = self.configuration.lora.layout(self.k, self.d, self.r, self.base)
        first = self.calibration * self.configuration.lora.rows
        for j in range(self.r):
            for i in range(self.k):
                yield Space.WEIGHTS, layout.a_element(j, i), self.a[j][i]
                yield Space.STATES, layout.a_element(j, i), self.va[j][i]
            for o in range(self.d):
                yield Space.WEIGHTS, layout.b_element(o, j), self.b[o][j]
                yield Space.STATES, layout.b_element(o, j), self.vb[o][j]
        for o in range(self.d):
            yield Space.GAIN, first + o, self.gain[o]
            yield Space.OFFSET, first + o, self.offset[o]


class World:
    """Processes around the bench: streams with random stalls, the host, and a count of clocks."""

    def __init__(self, configuration, rng, stall=0.0):
        self.bench, self.rng, self.stall = Bench(configuration), rng, stall
        self.queues = {name: [] for name in ("x", "c", "g")}
        self.results = {name: [] for name in ("y", "dx")}
        self.clocks = None

    async def host(self, ctx, space, element, value=None):
        port = self.bench.buffer.host
        for name, setting in (("valid", 1), ("write", value is not None), ("space", space), ("element", element),
                              ("w_data", value or 0)):
            ctx.set(getattr(port, name), setting)
        *_, read = await ctx.tick().sample(port.r_data).until(port.ready)
        ctx.set(port.valid, 0)
        return read

    def place(self, space, element):
        """Where the simulator finds an element: the store, its stored row word, the lane."""
        store = self.bench.buffer.stores[space]
        return store, store.bank.place(element // store.elements), element % store.elements

    def peek(self, ctx, space, element):
        """An element as it is stored; where it has check bits, they must be right."""
        store, row, lane = self.place(space, element)
        word = ctx.get(row)[lane]
        if not store.secded:
            return word
        code = word & (1 << store.bits) - 1
        assert word == secded.encode(code, store.bits), (space, element)
        return code - (code >> store.bits - 1 << store.bits)

    def poke(self, ctx, space, element, value):
        """Store an element behind everyone's back."""
        store, row, lane = self.place(space, element)
        words = list(ctx.get(row))
        words[lane] = secded.encode(value, store.bits) if store.secded else value
        ctx.set(row, words)

    async def load(self, ctx, case):
        for space, element, value in case.places():
            self.poke(ctx, space, element, value)
        port = self.bench.unit.generator
        for lane, state in enumerate(case.generators):
            ctx.set(port.lane, lane)
            ctx.set(port.w_data, state)
            ctx.set(port.w_en, 1)
            await ctx.tick()
            ctx.set(port.w_en, 0)

    def check_memory(self, ctx, case):
        for space, element, value in case.places():
            assert self.peek(ctx, space, element) == value, (space, element)
        for lane, state in enumerate(case.generators):
            ctx.set(self.bench.unit.generator.lane, lane)
            assert ctx.get(self.bench.unit.generator.r_data) == state, lane

    async def run(self, ctx, fields):
        """One operation to its end; its clocks."""
        unit = self.bench.unit
        for field, value in fields.items():
            ctx.set(unit.operation.payload[field], value)
        ctx.set(unit.operation.valid, 1)
        await ctx.tick().until(unit.operation.ready)
        ctx.set(unit.operation.valid, 0)
        clocks = 0
        for _ in range(100_000):
            running, done = ctx.get(unit.running), ctx.get(unit.done)
            clocks += running
            await ctx.tick()
            if done:
                return clocks
        raise AssertionError("the operation did not end")

    async def source(self, ctx, name):
        port = getattr(self.bench.unit, name)
        while True:
            offer = bool(self.queues[name]) and self.rng.random() >= self.stall
            ctx.set(port.valid, offer)
            if offer:
                for index, code in enumerate(self.queues[name][0]):
                    ctx.set(port.payload[index], code)
            _, _, taken = await ctx.tick().sample(port.ready)
            while offer and not taken:
                _, _, taken = await ctx.tick().sample(port.ready)
            if offer:
                self.queues[name].pop(0)

    async def sink(self, ctx, name):
        port = getattr(self.bench.unit, name)
        size = self.bench.unit.configuration.lora.beat_elements
        while True:
            ctx.set(port.ready, self.rng.random() >= self.stall)
            _, _, ready, valid, payload = await ctx.tick().sample(port.ready, port.valid, port.payload)
            if ready and valid:
                self.results[name].append([payload[index] for index in range(size)])

    def simulate(self, test, *others):
        """Run ``test``, the streams and ``others`` in the background."""
        simulator = Simulator(self.bench)
        simulator.add_clock(10e-9)
        for name in self.queues:
            simulator.add_testbench(functools.partial(self.source, name=name), background=True)
        for name in self.results:
            simulator.add_testbench(functools.partial(self.sink, name=name), background=True)
        for other in others:
            simulator.add_testbench(other, background=True)

        async def whole(ctx):
            await test(ctx)
            assert not ctx.get(self.bench.collided)

        simulator.add_testbench(whole)
        simulator.run()


def expected_beats(case, rows):
    """Result beats of ``rows``: as operand beats, but 0 outside."""
    lanes, length = case.configuration.lora, len(rows[0])
    return [[rows[block * lanes.vectors + v][group * lanes.rows + w]
             if block * lanes.vectors + v < case.n and group * lanes.rows + w < length else 0
             for v in range(lanes.vectors) for w in range(lanes.rows)]
            for block in range(lanes.blocks(case.n)) for group in range(lanes.groups(length))]


def shaped(lanes, rows, vectors, chunk=8, sram=None, **formats):
    """The `tiny` configuration with other multipliers, memories (keys of Sram) and formats."""
    tiny = load_configuration("tiny")
    return dataclasses.replace(
        tiny, lora=Lanes(lanes, rows, vectors, chunk), formats=dataclasses.replace(tiny.formats, **formats),
        sram=dataclasses.replace(tiny.sram, words=1024, **sram or {}))


async def train_once(ctx, world, case, timed):
    """Forward, backward and update of one case, everything compared."""
    await world.load(ctx, case)
    world.queues["x"] += case.beats(case.x)
    world.queues["c"] += case.beats(case.c)
    await ctx.tick().repeat(2)
    clocks = await world.run(ctx, case.operation(Kind.FORWARD))
    assert world.results["y"] == expected_beats(case, case.forward())
    assert not timed or clocks == case.cycles(Kind.FORWARD)
    world.queues["x"] += case.beats(case.x)
    world.queues["g"] += case.beats(case.g)
    await ctx.tick().repeat(2)
    clocks = await world.run(ctx, case.operation(Kind.BACKWARD))
    assert world.results["dx"] == expected_beats(case, case.backward())
    assert not timed or clocks == case.cycles(Kind.BACKWARD)
    world.check_memory(ctx, case)
    clocks = await world.run(ctx, case.operation(Kind.UPDATE))
    case.update()
    assert not timed or clocks == case.cycles(Kind.UPDATE)
    world.check_memory(ctx, case)
    assert not any(world.queues.values())
    for results in world.results.values():
        results.clear()
