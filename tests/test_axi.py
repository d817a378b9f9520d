"""AXI4-Lite and AXI4-Stream, clock by clock, against what the standard and the docstrings promise."""

import itertools
import random

import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In
from amaranth.sim import Simulator
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.hdl.axi import AxiLite, AxiLiteSlave, BeatIn, BeatOut, LastBeat

ADDRESS_BITS = 12
WORDS = 64      # of the memory behind the slave; above it every access is an error
SLVERR = 2


class SlowMemory(wiring.Component):
    """An `AxiLiteSlave` before a memory that takes ``wait`` clocks longer for every access."""

    def __init__(self, wait):
        self.wait = wait
        super().__init__({"axi": In(AxiLite(ADDRESS_BITS))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.slave = slave = AxiLiteSlave(ADDRESS_BITS)
        m.submodules.memory = memory = Memory(shape=32, depth=WORDS, init=[])
        wiring.connect(m, wiring.flipped(self.axi), slave.axi)
        access = slave.access
        waited = Signal(range(self.wait + 1))
        read, write = memory.read_port(domain="comb"), memory.write_port()
        beyond = access.address >= 4 * WORDS
        m.d.comb += [access.ready.eq(access.valid & (waited == self.wait)), access.error.eq(beyond),
                     read.addr.eq(access.address[2:]), write.addr.eq(access.address[2:]),
                     access.r_data.eq(Mux(access.ready, read.data, 0xDEADBEEF)), write.data.eq(access.w_data),
                     write.en.eq(access.ready & access.write & ~beyond)]
        m.d.sync += waited.eq(Mux(access.ready | ~access.valid, 0, waited + 1))
        return m


async def handshake(ctx, valid, ready):
    """Hold ``valid`` until the clock edge at which ``ready`` is high, then let go."""
    ctx.set(valid, 1)
    while True:
        _, _, accepted = await ctx.tick().sample(ready)
        if accepted:
            break
    ctx.set(valid, 0)


def run_bus(wait, writes, early, late, pauses, clocks=3000):
    """Responses to ``writes`` (address, word, strobes), to reads of addresses ``early`` meanwhile and ``late`` behind
    them, all with random ``pauses``: ``([bresp], [(rresp, rdata)], [(rresp, rdata)])``."""
    top = SlowMemory(wait)
    axi, reads = top.axi, early + late
    responses, answers = [], []

    async def pause(ctx, chance):
        while chance.random() < pauses:
            await ctx.tick()

    async def send_addresses(ctx, chance):
        for address, _, _ in writes:
            await pause(ctx, chance)
            ctx.set(axi.awaddr, address)
            await handshake(ctx, axi.awvalid, axi.awready)

    async def send_words(ctx, chance):
        for _, word, strobes in writes:
            await pause(ctx, chance)
            ctx.set(axi.wdata, word)
            ctx.set(axi.wstrb, strobes)
            await handshake(ctx, axi.wvalid, axi.wready)

    async def take_responses(ctx, chance):
        for _ in writes:
            await pause(ctx, chance)
            ctx.set(axi.bready, 1)
            responses.append(*await ctx.tick().sample(axi.bresp).until(axi.bvalid))
            ctx.set(axi.bready, 0)

    async def ask(ctx, chance):
        for count, address in enumerate(reads):
            while count >= len(early) and len(responses) < len(writes):
                await ctx.tick()
            await pause(ctx, chance)
            ctx.set(axi.araddr, address)
            await handshake(ctx, axi.arvalid, axi.arready)

    async def take_data(ctx, chance):
        for _ in reads:
            await pause(ctx, chance)
            ctx.set(axi.rready, 1)
            answers.append(await ctx.tick().sample(axi.rresp, axi.rdata).until(axi.rvalid))
            ctx.set(axi.rready, 0)

    def with_chance(body):
        async def bench(ctx):
            await body(ctx, random.Random(f"{body.__name__} {wait} {pauses}"))
        return bench

    simulator = Simulator(top)
    simulator.add_clock(10e-9)
    for body in (send_addresses, send_words, take_responses, ask, take_data):
        simulator.add_testbench(with_chance(body))
    simulator.run_until(clocks * 10e-9)
    assert (len(responses), len(answers)) == (len(writes), len(reads)), f"after {clocks} clocks"
    return responses, answers[:len(early)], answers[len(early):]


@pytest.mark.parametrize("pauses", [0.0, 0.6])
@pytest.mark.parametrize("wait", [0, 3])
def test_what_is_written_is_read_back_whatever_the_pace(wait, pauses):
    chance = random.Random(f"memory {wait} {pauses}")
    words = {4 * index: chance.getrandbits(32) for index in chance.sample(range(WORDS), 40)}
    untouched = [4 * index for index in range(WORDS) if 4 * index not in words]
    writes = [(address, word, 15) for address, word in words.items()]
    responses, early, late = run_bus(wait, writes, untouched, list(words), pauses)
    assert responses == [0] * len(writes)
    assert early == [(0, 0)] * len(untouched)
    assert late == [(0, word) for word in words.values()]


def test_partial_misaligned_and_missing_accesses_are_errors_and_change_nothing():
    writes = [(0, 7, 15), (0, 9, 7), (0, 9, 0), (2, 9, 15), (4 * WORDS, 9, 15), (4, 5, 15)]
    responses, _, answers = run_bus(1, writes, [], [4 * WORDS, 1, 0, 4], 0.0)
    assert responses == [0, SLVERR, SLVERR, SLVERR, SLVERR, 0]
    assert [response for response, _ in answers] == [SLVERR, SLVERR, 0, 0]
    assert [word for _, word in answers[2:]] == [7, 5]


def test_an_answer_comes_three_clocks_after_the_handshake_and_every_two_clocks_one_is_taken():
    top = SlowMemory(0)
    axi = top.axi
    taken, answered = [], []

    async def bench(ctx):
        ctx.set(axi.awvalid, 1)
        ctx.set(axi.wvalid, 1)
        ctx.set(axi.wstrb, 15)
        ctx.set(axi.bready, 1)
        for clock in range(20):
            _, _, ready, answer = await ctx.tick().sample(axi.awready & axi.wready, axi.bvalid)
            if ready:
                taken.append(clock)
            if answer:
                answered.append(clock)

    simulator = Simulator(top)
    simulator.add_clock(10e-9)
    simulator.add_testbench(bench)
    simulator.run()
    assert taken == list(range(0, 20, 2))
    assert answered == [clock + 3 for clock in taken if clock + 3 < 20]


def test_reads_and_writes_that_both_wait_take_turns():
    top = SlowMemory(2)
    axi, order = top.axi, []

    async def bench(ctx):
        for signal in (axi.awvalid, axi.wvalid, axi.arvalid, axi.bready, axi.rready):
            ctx.set(signal, 1)
        ctx.set(axi.wstrb, 15)
        for _ in range(80):
            _, _, wrote, read = await ctx.tick().sample(axi.bvalid, axi.rvalid)
            order.extend("w" * wrote + "r" * read)

    simulator = Simulator(top)
    simulator.add_clock(10e-9)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(order) > 15
    assert all(one != other for one, other in itertools.pairwise(order))


@pytest.mark.parametrize("width", [4, 8, 9, 16, 24, 32, 33, 40])
def test_codes_go_through_their_containers_with_their_sign(width):
    containers = {4: 8, 8: 8, 9: 16, 16: 16, 24: 32, 32: 32, 33: 64, 40: 64}
    elements, chance = 3, random.Random(f"containers {width}")
    inward, outward = BeatIn(width, elements), BeatOut(width, elements)
    top = Module()
    top.submodules.inward, top.submodules.outward = inward, outward
    wiring.connect(top, inward.o, outward.i)
    container = containers[width]
    assert inward.container == outward.container == container
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1

    async def bench(ctx):
        for last in (0, 1):
            ctx.set(outward.last, last)
            for codes in [(low, high, 0), (-1, 1, low)] + [tuple(chance.randint(low, high) for _ in range(3))] * 5:
                sent = sum((code & ((1 << width) - 1)) << container * index for index, code in enumerate(codes))
                garbage = chance.getrandbits(container - width) << width if container > width else 0
                ctx.set(inward.axis.tdata, sent | garbage << container)
                ctx.set(inward.axis.tvalid, 1)
                ctx.set(outward.axis.tready, last)
                await ctx.delay(1e-9)
                found = ctx.get(outward.axis.tdata)
                extended = sum((code & ((1 << container) - 1)) << container * index for index, code in enumerate(codes))
                assert found == extended, (codes, hex(found))
                assert (ctx.get(outward.axis.tvalid), ctx.get(outward.axis.tlast)) == (1, last)
                assert ctx.get(inward.axis.tready) == last

    simulator = Simulator(top)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("name", ["tiny", "face"])
def test_the_last_beat_is_the_one_that_completes_the_last_block(name):
    lanes = load_configuration(name).lora
    chance, top = random.Random(f"last {name}"), LastBeat(lanes)
    cases = [(1, 1), (1, 9), (5, 1)] + [(chance.randint(1, 9), chance.randint(1, 11)) for _ in range(12)]

    async def bench(ctx):
        for vectors, positions in cases:
            ctx.set(top.start, 1)
            ctx.set(top.vectors, vectors)
            ctx.set(top.positions, positions)
            await ctx.tick()
            ctx.set(top.start, 0)
            beats = lanes.blocks(vectors) * lanes.groups(positions)
            for beat in range(beats):
                while chance.random() < 0.4:
                    ctx.set(top.moved, 0)
                    await ctx.tick()
                ctx.set(top.moved, 1)
                assert ctx.get(top.last) == (beat == beats - 1), (vectors, positions, beat)
                await ctx.tick()
            ctx.set(top.moved, 0)

    simulator = Simulator(top)
    simulator.add_clock(10e-9)
    simulator.add_testbench(bench)
    simulator.run()
