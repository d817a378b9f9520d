"""The buffer: memories of either kind, error correction, and a host that does not wait for the unit to be done."""

import dataclasses
import functools
import itertools
import random
import re

import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data
from amaranth.sim import Simulator
from host_traffic import Referee, Traffic, draw_case
from lora_bench import Bench, World, expected_beats, shaped
from rmdlora.golden.spec import secded
from rmdlora.golden.spec.configuration import Sram, load_configuration
from rmdlora.golden.spec.geometry import Lanes
from rmdlora.golden.spec.refusal import Refusal
from rmdlora.golden.spec.registers import Kind
from rmdlora.hdl.buffer import Buffer, Space
from rmdlora.hdl.buffer.bank import Bank
from rmdlora.hdl.buffer.secded import encode, find_flip, find_syndrome

NARROW = {"activation": 4, "adapter": 8, "intermediate": 8, "gradient": 8, "output": 8, "state": 16, "sum": 24}
DUAL, SINGLE = {"ports": "dual"}, {"ports": "single"}
SECDED = {"secded": True, "scrub_clocks": 8}


def small(**sram):
    """A configuration with memories so small that the scrubber comes round soon."""
    tiny = load_configuration("tiny")
    return dataclasses.replace(
        tiny, geometry=dataclasses.replace(tiny.geometry, max_inputs=8, max_outputs=8, max_rank=4),
        formats=dataclasses.replace(tiny.formats, **NARROW), lora=Lanes(2, 1, 1, chunk=4),
        sram=Sram(words=33, **sram), crossbar=dataclasses.replace(tiny.crossbar, calibrated_outputs=9))


def simulate(design, bench):
    """Run a testbench on a design with a clock."""
    simulator = Simulator(design)
    simulator.add_clock(10e-9)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("bits", [1, 2, 8, 16, 18, 24, 32, 36, 40])
def test_every_flip_in_a_word_is_corrected_and_every_two_are_reported(bits):
    rng = random.Random(f"flips {bits}")
    length = bits + secded.check_bits(bits)
    for code in (0, (1 << bits) - 1, rng.getrandbits(bits)):
        word = secded.encode(code, bits)
        assert word < 1 << length and secded.decode(word, bits) == (code, False, False)
        for bit in range(length):
            assert secded.decode(word ^ 1 << bit, bits) == (code, True, False)
        for one, two in itertools.combinations(range(length), 2):
            assert secded.decode(word ^ 1 << one ^ 1 << two, bits)[1:] == (False, True)


@pytest.mark.parametrize("bits", [8, 18, 36])
def test_the_gateware_corrects_as_the_specification_does(bits):
    rng = random.Random(f"gateware {bits}")
    length = bits + secded.check_bits(bits)
    m = Module()
    code, word = Signal(bits), Signal(length)
    coded, syndrome, flip = Signal(length), Signal(length - bits), Signal(length)
    m.d.comb += [coded.eq(encode(code)), syndrome.eq(find_syndrome(word, bits)), flip.eq(find_flip(syndrome, bits))]

    async def bench(ctx):
        pairs = (1 << one | 1 << two for one, two in itertools.combinations(range(length), 2))
        for flips in (0, *(1 << bit for bit in range(length)), *pairs, *(rng.getrandbits(length) for _ in range(99))):
            given = rng.getrandbits(bits)
            ctx.set(code, given)
            ctx.set(word, secded.encode(given, bits) ^ flips)
            await ctx.delay(1e-9)
            assert ctx.get(coded) == secded.encode(given, bits)
            mended, corrected, uncorrectable = secded.decode(ctx.get(word), bits)
            assert (ctx.get(word) ^ ctx.get(flip)) & (1 << bits) - 1 == mended
            assert (ctx.get(flip) != 0, ctx.get(syndrome) != 0 and ctx.get(flip) == 0) == (corrected, uncorrectable)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("words", [4, 5])
@pytest.mark.parametrize(("single_port", "pair"), [(False, False), (True, False), (True, True)])
def test_a_bank_reads_what_was_written_and_tells_when_one_port_is_asked_for_two_things(single_port, pair, words):
    rng = random.Random(f"bank {single_port} {pair}")
    bank = Bank(data.ArrayLayout(signed(8), 2), words, single_port, pair)
    kept = [[0, 0] for _ in range(words)]
    collisions = 0

    async def bench(ctx):
        nonlocal collisions
        latest = [0, 0]
        for _ in range(400):
            read, mask, here, there = rng.random() < 0.6, rng.randrange(4), rng.randrange(words), rng.randrange(words)
            codes = [rng.randrange(-128, 128) for _ in range(2)]
            for signal, value in ((bank.read, read), (bank.read_address, here), (bank.write, mask),
                                  (bank.write_address, there), (bank.write_data, codes)):
                ctx.set(signal, value)
            collides = bool(read and mask and single_port and (not pair or here % 2 == there % 2))
            assert ctx.get(bank.collision) == collides
            collisions += collides
            if collides:
                ctx.set(bank.read, 0)
            elif read:
                latest = list(kept[here])
            await ctx.tick()
            for lane in range(2):
                if mask >> lane & 1:
                    kept[there][lane] = codes[lane]
            assert list(ctx.get(bank.read_data)) == latest
            assert [list(ctx.get(bank.place(address))) for address in range(words)] == kept

    simulate(bank, bench)
    assert (collisions > 0) == single_port


def test_every_memory_of_the_single_port_build_has_one_address():
    def addresses(sram):
        """The names of the addresses of each memory in the Verilog."""
        bench = Bench(shaped(2, 1, 1, sram=sram, **NARROW))
        text = verilog.convert(bench, ports=[bench.collided], emit_src=False, strip_internal_attrs=True)
        for module in re.findall(r"^module .*?^endmodule", text, re.DOTALL | re.MULTILINE):
            if re.search(r"^  reg \[[\d:]+\] memory \[", module, re.MULTILINE):
                yield set(re.findall(r"\bmemory\[([^\]]*[^\]\d][^\]]*)\]", module))
            else:
                assert not re.search(r"^  reg \[[\d:]+\] \S+ \[", module, re.MULTILINE)

    assert [len(names) for names in addresses(SINGLE | SECDED)] == 13 * [1]
    assert sorted(len(names) for names in addresses(DUAL)) == [1] + 7 * [2]     # g is written and read in turn anyway


class Alone:
    """A buffer without a unit: a host, and a way to the stored bits."""

    def __init__(self, ctx, buffer):
        self.ctx, self.buffer = ctx, buffer
        ctx.set(buffer.rows.settled, 1)

    async def host(self, space, element, value=None):
        """One access; what it read."""
        port = self.buffer.host
        for signal, setting in ((port.valid, 1), (port.write, value is not None), (port.space, space),
                                (port.element, element), (port.w_data, value or 0)):
            self.ctx.set(signal, setting)
        *_, read = await self.ctx.tick().sample(port.r_data).until(port.ready)
        self.ctx.set(port.valid, 0)
        return read

    def word(self, space, element, flips=0):
        """An element as stored, after flipping the bits of ``flips``."""
        store = self.buffer.stores[space]
        row, lane = store.bank.place(element // store.elements), element % store.elements
        words = list(self.ctx.get(row))
        words[lane] ^= flips
        if flips:
            self.ctx.set(row, words)
        return words[lane]

    async def counters(self):
        """``(corrected, uncorrectable)``, the latest access included; cleared."""
        await self.ctx.tick().repeat(4)
        counts = self.ctx.get(self.buffer.corrected), self.ctx.get(self.buffer.uncorrectable)
        self.ctx.set(self.buffer.clear, 1)
        await self.ctx.tick()
        self.ctx.set(self.buffer.clear, 0)
        return counts


@pytest.mark.parametrize("ports", ["dual", "single"])
@pytest.mark.parametrize("space", [Space.WEIGHTS, Space.STATES, Space.GAIN, Space.OFFSET])
def test_a_host_read_mends_every_flip_and_reports_every_two(space, ports):
    rng = random.Random(f"host {space} {ports}")
    buffer = Buffer(small(ports=ports, secded=True, scrub_clocks=1 << 20))
    bits = buffer.stores[space].bits
    length = bits + secded.check_bits(bits)

    async def bench(ctx):
        alone = Alone(ctx, buffer)
        element, code = 5, rng.randrange(-1 << bits - 1, 1 << bits - 1)
        await alone.host(space, element, code)
        word = alone.word(space, element)
        assert word == secded.encode(code, bits) and await alone.counters() == (0, 0)
        pairs = list(itertools.combinations(range(length), 2))
        if space != Space.WEIGHTS:
            pairs = rng.sample(pairs, 20)
        for bit in range(length):
            alone.word(space, element, 1 << bit)
            assert await alone.host(space, element) == code
            assert await alone.counters() == (1, 0) and alone.word(space, element) == word
        for one, two in pairs:
            flips = 1 << one | 1 << two
            alone.word(space, element, flips)
            await alone.host(space, element)
            assert await alone.counters() == (0, 1) and alone.word(space, element) == word ^ flips
            alone.word(space, element, flips)

    simulate(buffer, bench)


@pytest.mark.parametrize("ports", ["dual", "single"])
def test_the_scrubber_mends_what_nobody_reads(ports):
    rng = random.Random(f"scrub {ports}")
    buffer = Buffer(small(ports=ports, secded=True, scrub_clocks=32))

    async def bench(ctx):
        alone = Alone(ctx, buffer)
        flipped, words = [], {}
        for space, store in buffer.stores.items():
            for row in (0, store.depth - 1, *rng.sample(range(1, store.depth - 2), 3)):
                element = row * store.elements + rng.randrange(store.elements)
                words[space, element] = alone.word(space, element)
                alone.word(space, element, 1 << rng.randrange(store.bits))
                flipped.append(space)
        beyond = Space.STATES, (buffer.stores[Space.STATES].depth - 2) * 2
        alone.word(*beyond, 0b11)
        await ctx.tick().repeat(32 * 33 + 40)
        assert {key: alone.word(*key) for key in words} == words
        assert alone.word(*beyond) == 0b11
        assert ctx.get(buffer.corrected) == len(flipped) and ctx.get(buffer.uncorrectable) == 1

    simulate(buffer, bench)


@pytest.mark.parametrize("ports", ["dual", "single"])
def test_flips_under_the_units_hands_change_no_result(ports):
    rng = random.Random(f"flips at work {ports}")
    configuration = shaped(2, 1, 1, sram={"ports": ports} | SECDED, **NARROW)
    world = World(configuration, rng)
    buffer = world.bench.buffer

    async def test(ctx):
        for _ in range(3):
            case = draw_case(configuration, rng, least=4)
            await world.load(ctx, case)
            for kind in (Kind.FORWARD, Kind.BACKWARD, Kind.UPDATE):
                rows = set()
                for space, element, _ in rng.sample(list(case.places()), 16):
                    store, row, lane = world.place(space, element)
                    if (space, element // store.elements) not in rows:
                        rows.add((space, element // store.elements))
                        words = list(ctx.get(row))
                        words[lane] ^= 1 << rng.randrange(store.bits)
                        ctx.set(row, words)
                await operate(ctx, world, case, kind)
                for space, element, value in case.places():
                    store, row, lane = world.place(space, element)
                    code, _, uncorrectable = secded.decode(ctx.get(row)[lane], store.bits)
                    assert (code, uncorrectable) == (value & (1 << store.bits) - 1, False)
                    world.poke(ctx, space, element, value)
        assert ctx.get(buffer.corrected) > 50 and ctx.get(buffer.uncorrectable) == 0

    world.simulate(test)


async def operate(ctx, world, case, kind):
    """One operation with its operands; its results are the contract's, and the case moves on."""
    streams = {Kind.FORWARD: ("x", "c"), Kind.BACKWARD: ("x", "g"), Kind.UPDATE: ()}[kind]
    for stream in streams:
        world.queues[stream] += case.beats(getattr(case, stream))
    await world.run(ctx, case.operation(kind))
    if kind == Kind.FORWARD:
        assert world.results["y"] == expected_beats(case, case.forward())
    elif kind == Kind.BACKWARD:
        assert world.results["dx"] == expected_beats(case, case.backward())
    else:
        case.update()
    for results in world.results.values():
        results.clear()


@pytest.mark.parametrize(("vectors", "sram", "rounds"), [
    (1, DUAL, 18), (1, SINGLE, 18), (2, DUAL | SECDED, 4), (2, SINGLE | SECDED, 4)], ids=lambda given: str(given))
def test_no_word_is_lost_torn_or_reordered_between_host_and_unit(vectors, sram, rounds):
    rng = random.Random(f"traffic {sram}")
    configuration = shaped(2, 1, vectors, sram=sram, **NARROW)
    world = World(configuration, rng, stall=0.1)
    traffic = Traffic(world, pause=12)

    async def test(ctx):
        for _ in range(rounds):
            case = draw_case(configuration, rng)
            await world.load(ctx, case)
            traffic.referee = referee = Referee(case, functools.partial(world.peek, ctx))
            for kind in (Kind.FORWARD, Kind.BACKWARD, Kind.UPDATE):
                referee.begin(kind)
                traffic.kind = kind
                await operate(ctx, world, case, kind)
                await traffic.settle(ctx)
                referee.end()
        assert traffic.met >= rounds and traffic.served > 6 * rounds

    world.simulate(test, traffic.run)


@pytest.mark.parametrize(("given", "words"), [
    ({"ports": "triple"}, "sram.ports must be dual or single, not 'triple'"),
    ({"secded": 1}, "sram.secded must be true or false, not 1"),
    ({"scrub_clocks": 0}, "sram.scrub_clocks must be an integer of 1..16777216, not 0"),
    ({"words": 1}, "sram.words must be an integer of 2..1048576, not 1")])
def test_memories_that_cannot_be_are_refused(given, words):
    with pytest.raises(Refusal) as refused:
        Sram(**given)
    assert str(refused.value) == words
