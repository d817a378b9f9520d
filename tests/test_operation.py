"""Operations on their way to the units: queued in order, judged by every rule, started one at a time, fed."""

import dataclasses
import itertools
import random

import pytest
from access import access, simulate
from amaranth.hdl import Module
from amaranth.lib import wiring
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.crossbar import Crossbar
from rmdlora.golden.spec.pages import Region
from rmdlora.golden.spec.registers import OPERATION, OPERATION_QUEUE, SUMMED, Fault, Kind, register
from rmdlora.hdl.check import OperationCheck
from rmdlora.hdl.dispatch import Dispatcher, OperandRouter, Watchdog
from rmdlora.hdl.operation import OperationQueue, pack_operation
from rmdlora.hdl.registers import RegisterBank

TINY = load_configuration("tiny")
REFERENCE = dataclasses.replace(TINY, name="reference", crossbar=dataclasses.replace(
    TINY.crossbar, mapping="reference", arrays=9))
PAGED = dataclasses.replace(TINY, name="paged", sram=dataclasses.replace(TINY.sram, words=128))
LEGAL = {"kind": Kind.FORWARD, "vectors": 3, "inputs": 40, "outputs": 20, "rank": 5, "active": 0b11101,
         "trainable": 0b00101}
NO_MORE = [{"adapter": 0, "rank": 0}] * (SUMMED - 1)
BUSY_CLOCKS = 5     # of an operation in the benches


def verdict(operation, configuration, latest_forward, board_ready):
    """Code of the first rule of `Fault` that an operation breaks."""
    op = {**dict.fromkeys(OPERATION, 0), "unknown": 0, "more": NO_MORE, **operation}
    lanes, geometry = configuration.lora, configuration.geometry
    forward, backward = op["kind"] == Kind.FORWARD, op["kind"] == Kind.BACKWARD
    reads_board = forward and op["crossbar"]
    walks = op["kind"] in Kind.WALKS
    if op["unknown"] or (walks and op["slots"] > 1):
        return Fault.SLOT
    breaks_pages = breaks_page_rules(op, configuration)
    if op["kind"] == Kind.PROGRAM:
        past = op["tile"] >= configuration.crossbar.arrays
        return Fault.SPACE if past else Fault.BOARD if not board_ready else Fault.PAGE if breaks_pages else Fault.NONE
    if op["kind"] not in (Kind.FORWARD, Kind.BACKWARD, Kind.UPDATE) and not walks:
        return Fault.KIND
    adapters = [(op["adapter"], op["rank"]), *((part["adapter"], part["rank"]) for part in op["more"])]
    adapters = adapters[:max(1, op["slots"])]
    ranks = [rank for _, rank in adapters]
    *offsets, width = lanes.offsets(ranks)
    if not (1 <= op["inputs"] <= geometry.max_inputs and 1 <= op["outputs"] <= geometry.max_outputs
            and all(1 <= rank <= geometry.max_rank for rank in ranks)
            and width <= lanes.rank_groups(geometry.max_rank) * lanes.lanes
            and (op["kind"] == Kind.UPDATE or walks or op["vectors"] >= 1)):
        return Fault.SIZE
    tiles = configuration.row_tiles(op["inputs"]) * configuration.column_tiles(op["outputs"])
    places = [*adapters, (op["target"], op["rank"])] if op["kind"] == Kind.COPY else adapters
    matrices = {Region.WHOLE: ("a", "b"), Region.A: ("a",), Region.B: ("b",), Region.NONE: ()}[op["region"]]
    places = [range(base, base + sum(getattr(lanes.layout(op["inputs"], op["outputs"], rank), f"{matrix}_words")
                                     for matrix in matrices)) for base, rank in places]
    ends = [configuration.page_words if configuration.paged and op["region"] and place.start < configuration.page_words
            else configuration.sram.words for place in places]
    if (any(place.stop > end for place, end in zip(places, ends, strict=True))
            or any(max(one.start, other.start) < min(one.stop, other.stop)
                   for one, other in itertools.combinations(places, 2))
            or (forward and op["calibration"] + lanes.groups(op["outputs"]) > configuration.calibration_words)
            or (reads_board and op["tile"] + tiles > configuration.crossbar.arrays)):
        return Fault.SPACE
    if op["trainable"] & ~op["active"] or op["active"] & ~sum(
            (1 << rank) - 1 << offset for rank, offset in zip(ranks, offsets, strict=True)):
        return Fault.MASK
    shifts = {Kind.FORWARD: "p u w", Kind.BACKWARD: "q dx va vb", Kind.UPDATE: ""}.get(op["kind"], "").split()
    if any(op[name] > 47 for name in shifts):
        return Fault.SHIFT
    if backward and op["vectors"] > min(lanes.chunk, latest_forward):
        return Fault.CHUNK
    if reads_board and not board_ready:
        return Fault.BOARD
    return Fault.PAGE if breaks_pages else Fault.NONE


def breaks_page_rules(op, configuration):
    """Whether an operation is a turn that may not be, or moves row words and is none."""
    moves, turn = op["leaves_words"] or op["enters_words"], op["region"] != Region.WHOLE
    if not turn or not configuration.paged:
        return bool(moves or turn)
    exchanges = [(op[f"{way}_words"], op[f"{way}_weights"] or op[f"{way}_states"]) for way in ("leaves", "enters")]
    forward = op["kind"] == Kind.FORWARD
    return (op["kind"] not in (Kind.FORWARD, Kind.BACKWARD, Kind.UPDATE) or op["slots"] > 0
            or (forward and (op["crossbar"] or op["vectors"] > configuration.lora.chunk))
            or any(words > configuration.page_words or (words and not codes) for words, codes in exchanges)
            or (op["region"] == Region.NONE and not moves))


def cases(configuration):
    """Operations at the edges of every rule, on both sides of it, and random ones: ``[(operation, board_ready)]``."""
    chance = random.Random(f"operations {configuration.name}")
    geometry, lanes = configuration.geometry, configuration.lora
    found = [({}, 1), ({"kind": 3}, 1), ({"crossbar": 1}, 1), ({"crossbar": 1}, 0), ({"kind": 1, "crossbar": 1}, 0)]
    found += [({"kind": Kind.PROGRAM, "tile": tile}, ready) for ready in (0, 1)
              for tile in (0, configuration.crossbar.arrays - 1, min(configuration.crossbar.arrays, 0xFFFF))]

    def edge(field, *values, **others):
        found.extend(({**others, field: value}, 1) for value in values)

    for kind in (Kind.FORWARD, Kind.BACKWARD, Kind.UPDATE):
        edge("inputs", 0, 1, geometry.max_inputs, geometry.max_inputs + 1, 65535, kind=kind)
        edge("outputs", 0, 1, geometry.max_outputs, geometry.max_outputs + 1, 65535, kind=kind)
        edge("rank", 0, 8, 9, 255, kind=kind)
        edge("vectors", 0, 1, 0xFFFFFFFF, kind=kind)
        words = lanes.layout(40, 20, 5).words
        edge("adapter", configuration.sram.words - words, configuration.sram.words - words + 1, 0xFFFFF, kind=kind)
        rest = configuration.calibration_words - lanes.groups(20)
        edge("calibration", rest, rest + 1, 0xFFFFF, kind=kind)
        edge("trainable", 0b00010, 0b11101, 0, kind=kind)
        edge("active", 0b111101, 0b1 << 31 | 0b11101, 0b111111, 0b11111, kind=kind)
        for shift in ("p", "u", "w", "q", "dx", "va", "vb"):
            edge(shift, 47, 48, 63, kind=kind)
        edge("momentum", 15, lra=31, lrb=31, kind=kind)
    for inputs, outputs in ((32, 16), (33, 16), (32, 17), (64, 64), (33, 31), (64, 62), (1, 1)):
        arrays = configuration.crossbar.arrays
        tiles = configuration.row_tiles(inputs) * configuration.column_tiles(outputs)
        edge("tile", 0, max(0, arrays - tiles), max(0, arrays - tiles) + 1, 65535, crossbar=1, inputs=inputs,
             outputs=outputs)
    words = lanes.layout(40, 20, 5).words
    for kind in Kind.WALKS:
        edge("adapter", configuration.sram.words - words, configuration.sram.words - words + 1, kind=kind, target=0)
        edge("target", 0, words + 6, words + 7, words + 8, 8, 7, configuration.sram.words - words,
             configuration.sram.words - words + 1, 0xFFFFF, kind=kind, adapter=7)
        edge("adapter", 0, words, words - 1, kind=kind, target=words)
        edge("vectors", 0, kind=kind, target=words, p=63)
        edge("rank", 0, 9, kind=kind, target=words)
    edge("unknown", 1, inputs=0, kind=3)
    rank = max(1, lanes.lanes - 1)
    words = lanes.layout(4, 3, rank).words
    sizes = {"inputs": 4, "outputs": 3, "rank": rank, "active": 1, "trainable": 1}

    def parts(*given):
        return [*({"adapter": base, "rank": rank} for base, rank in given), *NO_MORE][:SUMMED - 1]

    for count in (2, 3, 4):     # the last of so many adapters: behind all others, before them, at their edges
        others = [(50 + index * words, rank) for index in range(count - 2)]
        for base in (0, 20 + words, 19 + words, 20 - words, 21 - words, 20, configuration.sram.words - words,
                     configuration.sram.words - words + 1, *(50 - words, 51 - words)[:2 * (count > 2)]):
            found.extend(({**sizes, "kind": kind, "adapter": 20, "slots": count,
                           "more": parts(*others, (max(0, base), rank))}, 1) for kind in (0, 2, Kind.ERASE))
        for last in (0, 1, geometry.max_rank, geometry.max_rank + 1):
            found.append(({**sizes, "kind": 2, "slots": count, "more": parts(*others, (400, last))}, 1))
        for lane in range(lanes.lanes * count + 1):
            found.append(({**sizes, "kind": 2, "slots": count, "more": parts(*others, (400, rank)),
                           "active": 1 | 1 << lane}, 1))
    page = configuration.page_words
    for region, words in ((Region.A, 60), (Region.B, 30), (Region.NONE, 0)):
        turn = {"region": region, "enters_words": 1, "enters_weights": 1}
        for end in (page, 2 * page):
            edge("adapter", end - page, end - words, end - words + 1, end - 1, **turn)
        for way in ("leaves", "enters"):
            edge(f"{way}_words", 0, 1, page, page + 1, region=region, **{f"{way}_states": 1})
            edge(f"{way}_words", 0, 1, region=region)
        edge("vectors", lanes.chunk, lanes.chunk + 1, **turn)
        edge("slots", 0, 1, **turn)
        edge("crossbar", 0, 1, **turn)
        edge("kind", *range(8), **turn)
    edge("enters_words", 0, 1, enters_weights=1)
    for forward in (1, 4, lanes.chunk, lanes.chunk + 3):     # what a backward may follow
        found.append(({"vectors": forward}, 1))
        edge("vectors", 1, forward, forward + 1, lanes.chunk, lanes.chunk + 1, kind=Kind.BACKWARD)
    found += [({"vectors": 5}, 1), ({"vectors": 9, "p": 48}, 1), ({"kind": 1, "vectors": 6}, 1)]    # the 9 do not count
    for _ in range(120):
        operation = {field: chance.getrandbits(register(name).field(part).bits)
                     for field, (name, part) in OPERATION.items() if chance.random() < 0.1}
        found.append(({"kind": chance.randrange(8), **operation}, chance.randrange(2)))
    return [({**LEGAL, **operation}, board_ready) for operation, board_ready in found]


@pytest.mark.parametrize("configuration", [TINY, REFERENCE, PAGED, load_configuration("face")], ids=lambda c: c.name)
def test_every_rule_is_judged_on_both_sides_of_its_edge(configuration):
    check = OperationCheck(configuration)
    seen = set()

    async def bench(ctx):
        latest_forward = 0
        for operation, board_ready in cases(configuration):
            expected = verdict(operation, configuration, latest_forward, board_ready)
            ctx.set(check.i.payload, operation)
            ctx.set(check.i.valid, 1)
            ctx.set(check.board_ready, 1 - board_ready)
            ctx.set(check.idle, 0)
            await ctx.tick().until(check.i.ready)
            ctx.set(check.i.valid, 0)
            for _ in range(2):     # not judged while the operation before may still run, however long that is
                await ctx.tick().repeat(25)
                assert not ctx.get(check.o.valid)
                assert ctx.get(check.holding)
            ctx.set(check.board_ready, board_ready)
            ctx.set(check.idle, 1)
            ctx.set(check.o.ready, 1)
            found, = await ctx.tick().sample(check.o.payload.fault).until(check.o.valid)
            ctx.set(check.o.ready, 0)
            names = Fault.NAMES[found], Fault.NAMES[expected]
            assert found == expected, (*names, operation, latest_forward, board_ready)
            given = check.o.payload.operation
            assert {field: ctx.get(given[field]) for field in operation.keys() - {"more"}} == {
                field: value for field, value in operation.items() if field != "more"}
            if operation["kind"] == Kind.FORWARD and not expected:
                latest_forward = operation["vectors"]
            seen.add(found)

    simulate(check, bench)
    assert seen == {*range(Fault.FRAMING), Fault.SLOT, Fault.PAGE}      # the others come of running


def test_tiles_are_counted_with_the_reference_column_left_out():
    assert (TINY.tile_outputs, REFERENCE.tile_outputs) == (16, 31)
    assert Crossbar().mapping == "differential"


def test_operations_queue_in_order_and_a_full_queue_refuses():
    queue = OperationQueue()
    taken = []

    async def bench(ctx):
        for index in range(OPERATION_QUEUE + 3):
            ctx.set(queue.operation, {**LEGAL, "vectors": 100 + index, "momentum": index})
            ctx.set(queue.start, 1)
            _, _, refused = await ctx.tick().sample(queue.refuse)
            assert refused == (index >= OPERATION_QUEUE)
        ctx.set(queue.start, 0)
        await ctx.tick()
        assert ctx.get(queue.level) == OPERATION_QUEUE
        ctx.set(queue.o.ready, 1)
        for _ in range(OPERATION_QUEUE + 2):
            _, _, valid, vectors, momentum = await ctx.tick().sample(
                queue.o.valid, queue.o.payload.vectors, queue.o.payload.momentum)
            taken.extend([(vectors, momentum)] * valid)
        assert ctx.get(queue.level) == 0

    simulate(queue, bench)
    assert taken == [(100 + index, index) for index in range(OPERATION_QUEUE)]


class Described(wiring.Component):
    """A register bank and the operation it describes."""

    def __init__(self):
        self.bank, self.queue = RegisterBank(TINY), OperationQueue()
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.bank, m.submodules.queue = self.bank, self.queue
        m.d.comb += pack_operation(self.queue.operation, self.bank)
        return m


def test_every_field_of_an_operation_is_the_one_its_register_holds():
    top, chance = Described(), random.Random("fields")

    async def bench(ctx):
        operation = {field: chance.getrandbits(register(name).field(part).bits)
                     for field, (name, part) in OPERATION.items()}
        words = {}
        for field, value in operation.items():
            name, part = OPERATION[field]
            words.setdefault(name, {})[part] = value
        for name, parts in words.items():
            await access(ctx, top.bank.access, register(name).address, register(name).pack(**parts))
        assert {field: ctx.get(top.queue.operation[field]) for field in operation} == operation

    simulate(top, bench)


def test_operations_start_on_their_units_one_at_a_time_and_end_in_order():
    dispatcher, chance = Dispatcher(), random.Random("dispatch")
    given = [(chance.choice([0, 1, 2, Kind.PROGRAM, *Kind.WALKS]), chance.randrange(2),
              chance.choice([Fault.NONE, Fault.NONE, Fault.SHIFT])) for _ in range(40)]
    started = [index for index, (_, _, fault) in enumerate(given) if fault == Fault.NONE]
    ended, lora, crossbar, walker, program = [], [], [], [], []

    async def bench(ctx):
        units_of, offered, left = [], 0, 0    # operations offered so far; clocks the one that runs still does
        for _ in range(1500):
            if not ctx.get(dispatcher.i.valid) and offered < len(given) and chance.randrange(2):
                kind, uses, fault = given[offered]
                ctx.set(dispatcher.i.payload.operation, {"kind": kind, "crossbar": uses, "vectors": offered})
                ctx.set(dispatcher.i.payload.fault, fault)
                ctx.set(dispatcher.i.valid, 1)
                offered += 1
            ctx.set(dispatcher.lora.ready, left == 0 and chance.randrange(2))
            ctx.set(dispatcher.crossbar.ready, chance.randrange(2))
            ctx.set(dispatcher.walker.ready, left == 0 and chance.randrange(2))
            ctx.set(dispatcher.program.ready, left == 0 and chance.randrange(2))
            latest = units_of[-1] if units_of else lora
            ctx.set(dispatcher.lora_done, left == 1 and latest is lora)
            ctx.set(dispatcher.walker_done, left == 1 and latest is walker)
            ctx.set(dispatcher.program_done, left == 1 and latest is program)
            ctx.set(dispatcher.walker_fault, Fault.ERASURE)
            if left:
                running = latest[-1]
                kind, uses, _ = given[running]
                assert (ctx.get(dispatcher.idle), ctx.get(dispatcher.operands)) == (0, latest is not program)
                assert ctx.get(dispatcher.ended) == (left == 1)
                assert ctx.get(dispatcher.uses_crossbar) == (kind == Kind.FORWARD and uses)
                assert ctx.get(dispatcher.current.vectors) == running
            left = max(0, left - 1)
            for stream, units in ((dispatcher.lora, lora), (dispatcher.crossbar, crossbar),
                                  (dispatcher.walker, walker), (dispatcher.program, program)):
                if ctx.get(stream.valid) and ctx.get(stream.ready):
                    units.append(ctx.get(stream.payload.vectors))
                    if units is not crossbar:
                        left = BUSY_CLOCKS
                        units_of.append(units)
            if ctx.get(dispatcher.ended):
                ended.append(ctx.get(dispatcher.fault))
            taken = ctx.get(dispatcher.i.valid) and ctx.get(dispatcher.i.ready)
            await ctx.tick()
            if taken:
                ctx.set(dispatcher.i.valid, 0)

    simulate(dispatcher, bench)
    assert ended == [Fault.ERASURE if kind in Kind.WALKS and not fault else fault for kind, _, fault in given]
    assert sorted(lora + walker + program) == started
    assert walker == [index for index in started if given[index][0] in Kind.WALKS]
    assert program == [index for index in started if given[index][0] == Kind.PROGRAM] and program
    assert crossbar == [index for index in started if given[index][0] == Kind.FORWARD and given[index][1]]


@pytest.mark.parametrize("cause, waits, uses_crossbar, fault", [
    (Fault.FRAMING, 0, 1, Fault.FRAMING), ("still", 1, 1, Fault.STREAM), ("still", 0, 1, Fault.CROSSBAR),
    ("still", 0, 0, Fault.STREAM)])
def test_an_operation_that_ends_early_waits_for_the_crossbar_and_halts_the_queue_until_the_fault_is_cleared(
        cause, waits, uses_crossbar, fault):
    m = Module()
    m.submodules.dispatcher, m.submodules.watchdog = dispatcher, watchdog = Dispatcher(), Watchdog()
    m.d.comb += [watchdog.waits.eq(dispatcher.waits), dispatcher.expired.eq(watchdog.expired)]

    async def offer(ctx):
        ctx.set(dispatcher.i.payload.operation, {"kind": Kind.FORWARD, "crossbar": uses_crossbar})
        ctx.set(dispatcher.i.valid, 1)
        await ctx.tick()
        ctx.set(dispatcher.i.valid, 0)

    async def bench(ctx):
        for signal in (dispatcher.lora.ready, dispatcher.crossbar.ready):
            ctx.set(signal, 1)
        ctx.set(watchdog.timeout, 20)
        ctx.set(dispatcher.crossbar_waits, waits)
        for _ in range(2):      # idle clocks count for nobody
            await ctx.tick().repeat(30)
            await offer(ctx)
        for _ in range(5):
            await ctx.tick().repeat(15)
            ctx.set(watchdog.moved, 1)
            await ctx.tick()
            ctx.set(watchdog.moved, 0)
            assert not ctx.get(dispatcher.abandon)
        ctx.set(dispatcher.crossbar_busy, 1)
        if cause != "still":
            ctx.set(dispatcher.crossbar_fault, cause)
            await ctx.tick()
            ctx.set(dispatcher.crossbar_fault, 0)
        else:
            await ctx.tick().repeat(21)
        for _ in range(40):
            assert ctx.get(dispatcher.abandon) and not ctx.get(dispatcher.ended)
            await ctx.tick()
        ctx.set(dispatcher.crossbar_busy, 0)
        assert (ctx.get(dispatcher.ended), ctx.get(dispatcher.fault)) == (1, fault)
        await ctx.tick()
        ctx.set(dispatcher.pending, fault)
        await ctx.tick()
        assert ctx.get(dispatcher.halted) and not ctx.get(dispatcher.abandon)
        ctx.set(dispatcher.i.payload.operation, {"kind": Kind.UPDATE})
        ctx.set(dispatcher.i.valid, 1)
        assert (ctx.get(dispatcher.ended), ctx.get(dispatcher.fault)) == (1, fault)
        await ctx.tick()
        assert not ctx.get(dispatcher.lora.valid)
        ctx.set(dispatcher.i.valid, 0)
        ctx.set(dispatcher.pending, 0)
        await ctx.tick()
        assert not ctx.get(dispatcher.halted)
        await offer(ctx)
        assert ctx.get(dispatcher.lora.valid)

    simulate(m, bench)


@pytest.mark.parametrize("uses_crossbar", [0, 1])
def test_every_beat_reaches_each_unit_once_and_c_comes_from_its_source(uses_crossbar):
    router, chance = OperandRouter(TINY), random.Random(f"router {uses_crossbar}")
    taken = {"lora": [], "crossbar": []}
    sent, clocks = [], 400

    async def bench(ctx):
        value, waits = 0, False
        ctx.set(router.uses_crossbar, uses_crossbar)
        for clock in range(clocks):
            operands = clock % 100 >= 10
            ctx.set(router.operands, operands)
            if not waits and chance.random() < 0.7:
                value = value + 1 & 63
                ctx.set(router.i_x.payload, [value, -value])
                ctx.set(router.i_x.valid, 1)
                waits = True
            units = {"lora": router.lora_x, "crossbar": router.crossbar_x}
            for unit in units.values():
                ctx.set(unit.ready, chance.randrange(2))
            ctx.set(router.host_c.valid, chance.randrange(2))
            ctx.set(router.crossbar_c.valid, chance.randrange(2))
            ctx.set(router.host_c.payload, [1, 2])
            ctx.set(router.crossbar_c.payload, [3, 4])
            ctx.set(router.lora_c.ready, chance.randrange(2))
            source, other = ((router.crossbar_c, router.host_c) if uses_crossbar
                             else (router.host_c, router.crossbar_c))
            assert ctx.get(router.lora_c.valid) == ctx.get(source.valid)
            assert ctx.get(router.lora_c.payload[0]) == (3 if uses_crossbar else 1)
            assert (ctx.get(source.ready), ctx.get(other.ready)) == (ctx.get(router.lora_c.ready), 0)
            for name, unit in units.items():
                if ctx.get(unit.valid) and ctx.get(unit.ready):
                    assert operands
                    taken[name].append(tuple(ctx.get(code) for code in unit.payload))
            if ctx.get(router.i_x.ready) and waits:
                sent.append((value, -value))
                waits = False
            await ctx.tick()
            if not waits:
                ctx.set(router.i_x.valid, 0)

    simulate(router, bench)
    assert len(sent) > 60
    assert taken["lora"][:len(sent)] == sent
    assert taken["crossbar"][:len(sent)] == (sent if uses_crossbar else [])
    assert all(len(codes) <= len(sent) + 1 for codes in taken.values())
