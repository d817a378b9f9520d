"""Copies, erasures and checksums of adapters, in the Amaranth simulator: every row word and every clock."""

import random

import pytest
from rmdlora.golden.spec.registers import Fault, Kind
from rmdlora.hdl.buffer import Space
from walker_bench import WalkerBench, Words, checksum_of, small, walk

MEMORIES = [{}, {"ports": "single"}, {"secded": True, "scrub_clocks": 5},
            {"ports": "single", "secded": True, "scrub_clocks": 5}]
SIZES = [(1, 1, 1), (5, 7, 3), (8, 3, 6), (2, 2, 2)]    # k, d, r


def fields_of(sizes, base=0, target=0):
    """Fields of an operation that say which row words it is about."""
    return {**dict(zip(("inputs", "outputs", "rank"), sizes, strict=True)), "adapter": base, "target": target}


@pytest.mark.parametrize("lanes", [(2, 2, 1), (1, 1, 1), (1, 4, 1)], ids=str)
@pytest.mark.parametrize("memory", MEMORIES, ids=str)
def test_walks_change_the_row_words_they_are_about_and_take_the_clocks_promised(memory, lanes):
    bench = WalkerBench(small(memory, lanes))
    words, chance = Words(bench, f"walks {memory} {lanes}"), random.Random(f"walk {memory} {lanes}")
    pipeline = bench.configuration.pipeline

    async def test(ctx):
        words.fill(ctx)
        await ctx.tick()
        for sizes in SIZES[:2] if memory else SIZES:
            count = pipeline.words(*sizes)
            base = chance.randrange(len(words.codes[0]) - 2 * count + 1)
            target = chance.randint(base + count, len(words.codes[0]) - count)
            base, target = chance.choice([(base, target), (target, base)])
            assert await walk(ctx, bench.walker, kind=Kind.CHECKSUM, **fields_of(sizes, base)) == (
                pipeline.checksum(*sizes), Fault.NONE)
            await ctx.tick()
            before = checksum_of(words, bench.configuration.lora.layout(*sizes, base))
            assert ctx.get(bench.walker.checksum) == before
            assert await walk(ctx, bench.walker, kind=Kind.COPY, **fields_of(sizes, base, target)) == (
                pipeline.copy(*sizes), Fault.NONE)
            words.copy(count, base, target)
            words.check(ctx)
            assert checksum_of(words, bench.configuration.lora.layout(*sizes, target)) == before
            assert await walk(ctx, bench.walker, kind=Kind.ERASE, **fields_of(sizes, base)) == (
                pipeline.erase(*sizes), Fault.NONE)
            words.erase(count, base)
            words.check(ctx)

    bench.simulate(test)


@pytest.mark.parametrize("space", [Space.WEIGHTS, Space.STATES])
@pytest.mark.parametrize("stuck", [0, 7, 11])
def test_a_row_word_that_will_not_be_erased_is_reported(stuck, space):
    bench = WalkerBench(small())
    words = Words(bench, "stuck")
    sizes = (5, 7, 3)
    assert bench.configuration.pipeline.words(*sizes) > stuck
    place = bench.buffer.stores[space].bank.place(20 + stuck)

    async def test(ctx):
        words.fill(ctx)
        await ctx.tick()
        _, fault = await walk(ctx, bench.walker, kind=Kind.ERASE, **fields_of(sizes, 20))
        assert fault == Fault.ERASURE

    async def flip(ctx):
        while True:
            await ctx.tick()
            code = list(ctx.get(place))
            ctx.set(place, [*code[:-1], code[-1] | 1])

    bench.simulate(test, flip)


@pytest.mark.parametrize("memory", MEMORIES, ids=str)
def test_no_word_of_host_or_walk_is_lost_while_both_are_at_work(memory):
    bench = WalkerBench(small(memory))
    words, chance = Words(bench, f"host {memory}"), random.Random(f"host {memory}")
    sizes, base, target = (8, 7, 5), 3, 30
    count, elements = bench.configuration.pipeline.words(*sizes), bench.configuration.lora.row_elements
    over = []
    apart = [row for row in range(144) if row < base or row >= target + count]

    async def test(ctx):
        words.fill(ctx)
        await ctx.tick()
        for _ in range(1 + (not memory)):
            for kind in (Kind.COPY, Kind.CHECKSUM, Kind.ERASE):
                expected = checksum_of(words, bench.configuration.lora.layout(*sizes, base))
                clocks, fault = await walk(ctx, bench.walker, kind=kind, **fields_of(sizes, base, target))
                assert fault == Fault.NONE and clocks > count
                if kind == Kind.COPY:
                    words.copy(count, base, target)
                elif kind == Kind.ERASE:
                    words.erase(count, base)
                else:
                    await ctx.tick()
                    assert ctx.get(bench.walker.checksum) == expected
        while not over:
            await ctx.tick()
        words.check(ctx)

    async def host(ctx):
        port = bench.buffer.host
        await ctx.tick()
        for _ in range(60):
            space, row, lane = chance.randrange(2), chance.choice(apart), chance.randrange(elements)
            write, value = chance.randrange(2), chance.randint(-99, 99)
            for name, setting in (("valid", 1), ("write", write), ("space", space), ("element", row * elements + lane),
                                  ("w_data", value)):
                ctx.set(getattr(port, name), setting)
            if write:
                words.codes[space][row][lane] = value
            *_, read = await ctx.tick().sample(port.r_data).until(port.ready)
            assert write or read == words.codes[space][row][lane]
            ctx.set(port.valid, 0)
            await ctx.tick().repeat(chance.randrange(1, 4))
        over.append(1)

    bench.simulate(test, host)


def test_a_reset_at_any_clock_of_a_copy_leaves_what_is_copied_as_it_was():
    configuration = small()
    sizes, base, target = (3, 5, 3), 9, 40
    clocks = configuration.pipeline.copy(*sizes)
    bench = WalkerBench(configuration)
    words = Words(bench, "reset")
    count = configuration.pipeline.words(*sizes)

    async def test(ctx):
        for reset_at in range(clocks + 2):
            words.fill(ctx)
            for field, value in {"kind": Kind.COPY, **fields_of(sizes, base, target)}.items():
                ctx.set(bench.walker.operation.payload[field], value)
            ctx.set(bench.walker.operation.valid, 1)
            for clock in range(clocks + 2):
                ctx.set(bench.reset, clock == reset_at)
                await ctx.tick()
                ctx.set(bench.walker.operation.valid, 0)
            ctx.set(bench.reset, 0)
            await ctx.tick().repeat(4)
            for space, codes in words.codes.items():
                found = words.found(ctx, space)
                assert found[:target] == codes[:target], (reset_at, space)
                assert found[target + count:] == codes[target + count:]
                assert found[target] != codes[target] or reset_at < clocks
            assert await walk(ctx, bench.walker, kind=Kind.COPY, **fields_of(sizes, base, target)) == (
                clocks, Fault.NONE)     # and it still works

    bench.simulate(test)
