"""Random AXI traffic at the chip's pins: bursts of transactions with stalls, operations, and resets in the middle.

Parameters: ``configuration`` (`describe_configuration`), ``transactions``, ``stall`` (most a channel pauses). The five
AXI4-Lite channels are driven one by one, so that addresses, words and responses stall independently and a misaligned
address reaches the pins. What a transaction must be answered with is known before it is sent: within a burst no address
is both read and written. Nothing may be unanswered after ``PATIENCE`` clocks. Noted: how many transactions of every
sort, and how every operation ended.
"""

import collections
import random

import cocotb
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer
from cocotbext.axi import AxiLiteBus, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource
from cocotbext.axi.axil_channels import (
    AxiLiteARSource,
    AxiLiteAWSource,
    AxiLiteBSink,
    AxiLiteRSink,
    AxiLiteWSource,
)
from rmdlora.cosim.benches.bench import RESET_CLOCKS, TICK_NS, configuration_of, note, parameters, start_clock
from rmdlora.cosim.benches.pins import stalls
from rmdlora.golden.spec.registers import (
    OPERATION,
    OPERATION_QUEUE,
    REGISTERS,
    Fault,
    Kind,
    constant_words,
    register,
    reset_values,
    window,
)

OKAY, SLVERR = 0, 2
PATIENCE = 5_000
UNKNOWN = None          # a word that a reset may have cut short
INPUTS, OUTPUTS, VECTORS = 5, 3, 2      # of the operations
EVENTS = ("CONTROL", "OP_START")        # written for what they do, not here
WATCHED = ("FAULT", "INTERRUPT")        # set by what happens


class Host:
    """The master's side of the pins, and what it knows of the chip."""

    def __init__(self, dut, configuration, chance, most_stall):
        self.dut, self.configuration, self.chance, self.most_stall = dut, configuration, chance, most_stall
        bus = AxiLiteBus.from_prefix(dut, "s_axil_")
        self.aw, self.w, self.b = (kind(part, dut.clk, dut.rst) for kind, part in (
            (AxiLiteAWSource, bus.write.aw), (AxiLiteWSource, bus.write.w), (AxiLiteBSink, bus.write.b)))
        self.ar, self.r = AxiLiteARSource(bus.read.ar, dut.clk, dut.rst), AxiLiteRSink(bus.read.r, dut.clk, dut.rst)
        self.sources = {name: AxiStreamSource(AxiStreamBus.from_prefix(dut, f"s_axis_{name}_"), dut.clk, dut.rst)
                        for name in "xcg"}
        self.sinks = {name: AxiStreamSink(AxiStreamBus.from_prefix(dut, f"m_axis_{name}_"), dut.clk, dut.rst)
                      for name in ("y", "dx")}
        self.channels = (self.aw, self.w, self.b, self.ar, self.r, *self.sources.values(), *self.sinks.values())
        for channel in self.channels:
            channel.log.setLevel("WARNING")
        self.counts = collections.Counter()
        self.collecting = []
        self.kept = {}          # of windows and slots: word by address; a reset leaves them
        self.stored = {}        # of registers
        self.wake()

    def wake(self):
        """What registers hold after a reset."""
        self.stored = {}
        for entry in REGISTERS:
            if entry.access == "rw":
                word = entry.pack(**reset_values(self.configuration).get(entry.name, {}))
                self.stored[entry.address] = word
        self.generators = {register("GENERATOR").address + 4 * lane: 1
                           for lane in range(self.configuration.geometry.max_rank)}

    def stall_anew(self):
        """Every channel pauses at random, more or less."""
        for channel in self.channels:
            channel.clear_pause_generator()
            channel.pause = False
            if (probability := self.chance.choice((0, 0, 0.5, self.most_stall))):
                channel.set_pause_generator(stalls(probability, self.chance.getrandbits(32)))

    async def burst(self, transactions):
        """Send ``(address, word or None, strobes)`` in order, reads and writes beside each other; their answers, in
        order: responses of writes, ``(response, word)`` of reads."""
        writes = [given for given in transactions if given[1] is not None]
        reads = [given for given in transactions if given[1] is None]
        self.counts["transactions"] += len(transactions)
        for address, word, strobes in writes:
            self.aw.send_nowait(self.aw._transaction_obj(awaddr=address, awprot=0))
            self.w.send_nowait(self.w._transaction_obj(wdata=word, wstrb=strobes))
        for address, _, _ in reads:
            self.ar.send_nowait(self.ar._transaction_obj(araddr=address, arprot=0))
        answers = [[], []]

        async def collect(sink, count, kept):
            while len(kept) < count:
                kept.append(await sink.recv())

        self.collecting = tasks = [cocotb.start_soon(collect(self.b, len(writes), answers[0])),
                 cocotb.start_soon(collect(self.r, len(reads), answers[1]))]
        limit = Timer(PATIENCE * TICK_NS * (1 + len(transactions)), "ns")
        for task in tasks:
            if not task.done():
                await First(task, limit)
            assert task.done(), (f"every transaction must be answered, not {len(answers[0])} of {len(writes)} writes "
                                 f"and {len(answers[1])} of {len(reads)} reads: {transactions}")
        await RisingEdge(self.dut.clk)
        assert self.b.empty() and self.r.empty(), "nothing may be answered that was not asked"
        return [int(answer.bresp) for answer in answers[0]], [(int(a.rresp), int(a.rdata)) for a in answers[1]]

    async def write(self, name, word):
        """Write a register that takes it."""
        (response,), _ = await self.burst([(register(name).address, word, 15)])
        assert response == OKAY, f"a write of {name} met {response}"
        if register(name).access == "rw":
            self.stored[register(name).address] = word & mask(register(name))

    async def read(self, name):
        """A register's word."""
        _, ((response, word),) = await self.burst([(register(name).address, None, 15)])
        assert response == OKAY, f"a read of {name} met {response}"
        return word

    async def withdraw(self):
        """Take back operands that were not taken, as a host stops its DMA."""
        for held in (True, False):
            for source in self.sources.values():
                source.assert_reset(held)
            await ClockCycles(self.dut.clk, 2)
        for source in self.sources.values():
            source.clear()

    async def reset(self):
        """Hold ``rst``; whatever was on its way is gone."""
        self.dut.rst.value = 1
        for task in self.collecting:
            task.cancel()
        await ClockCycles(self.dut.clk, RESET_CLOCKS)
        for channel in self.channels:
            channel.clear()
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)
        self.wake()
        self.counts["resets"] += 1


def mask(entry):
    """The bits of a register that fields cover."""
    return sum(((1 << field.bits) - 1) << field.low for field in entry.fields)


def places(configuration):
    """``{sort: addresses}``."""
    lanes = configuration.lora
    elements = configuration.sram.words * lanes.row_elements
    weights, gains = window("weights"), window("calibration")
    first = elements // 2       # below lie the operations' adapters
    mapped = {entry.address + 4 * index for entry in REGISTERS for index in range(entry.count)}
    constant = [register(name).address for name in constant_words(configuration)]
    return {
        "storage": [entry.address for entry in REGISTERS if entry.access == "rw"],
        "constant": constant,
        "counter": [entry.address for entry in REGISTERS if entry.access == "ro" and entry.address not in constant],
        "generator": [register("GENERATOR").address + 4 * lane for lane in range(configuration.geometry.max_rank)],
        "slot": [register("SLOT").address + 4 * index for index in range(register("SLOT").count)],
        "weight": [weights.address + 4 * element for element in range(first, first + 64)],
        "gain": [gains.address + 16 * output for output in range(32, 64)],
        "nowhere": [address for address in range(0, 0x400, 4) if address not in mapped]
        + [weights.address + 4 * (elements + extra) for extra in range(3)] + [gains.address + 16 * 40 + 4],
    }


def draw(host, table):
    """A burst and what must answer it: ``(transactions, responses of writes, (response, word or UNKNOWN) of reads)``.
    """
    chance, entries = host.chance, {entry.address: entry for entry in REGISTERS}
    transactions, responses, answers, seen = [], [], [], {}
    for _ in range(chance.randint(1, 12)):
        sort = chance.choice((*table, "misaligned", "partial"))
        wrong = sort in ("misaligned", "partial")
        group = chance.choice(("storage", "weight", "gain", "slot")) if wrong else sort
        address = chance.choice(table[group])
        writes = chance.random() < 0.5 or sort == "partial"
        if seen.setdefault(address, writes) != writes or (group == "storage" and entries[address].name == "TIMEOUT"):
            continue
        host.counts[f"{'write' if writes else 'read'} {sort}"] += 1
        word = chance.getrandbits(32)
        refused = wrong or sort == "nowhere" or (writes and sort in ("constant", "counter"))
        if sort == "misaligned":
            address += chance.randint(1, 3)
        transactions.append((address, word if writes else None, chance.randrange(15) if sort == "partial" else 15))
        if writes:
            responses.append(SLVERR if refused else OKAY)
            if not refused:
                remember(host, group, address, word, entries)
            continue
        known = {"storage": host.stored, "generator": host.generators, "slot": host.kept, "weight": host.kept,
                 "gain": host.kept, "constant": {register(name).address: word for name, word
                                                in constant_words(host.configuration).items()}}.get(group, {})
        answers.append((SLVERR, UNKNOWN) if refused else (OKAY, known.get(address, UNKNOWN)))
    return transactions, responses, answers


def remember(host, group, address, word, entries):
    """What a write leaves."""
    if group == "storage":
        host.stored[address] = word & mask(entries[address])
    elif group == "generator":
        host.generators[address] = word or 1
    elif group == "slot":
        host.kept[address] = word & mask(register("SLOT"))
    else:
        bits = host.configuration.formats.adapter if group == "weight" else 16
        code = word & (1 << bits) - 1
        host.kept[address] = code | (0xFFFFFFFF >> bits << bits if code >> bits - 1 else 0)


def judge(given, found):
    """Hold answers to what must come."""
    transactions, responses, answers = given
    assert found[0] == responses, f"writes of {transactions} must be answered {responses}, not {found[0]}"
    for (response, word), (wanted, expected) in zip(found[1], answers, strict=True):
        assert response == wanted and expected in (UNKNOWN, word), \
            f"reads of {[hex(a) for a, w, _ in transactions if w is None]} must give {answers}, not {found[1]}"


async def describe(host, **fields):
    """Write the OP_* registers: an operation on an empty adapter, gains of 1 before it."""
    values = dict.fromkeys(OPERATION, 0) | {
        "kind": Kind.FORWARD, "vectors": VECTORS, "inputs": INPUTS, "outputs": OUTPUTS, "rank": 1} | fields
    words = {}
    for field, value in values.items():
        name, part = OPERATION[field]
        words.setdefault(name, {})[part] = value
    for name, parts in words.items():
        await host.write(name, register(name).pack(**parts))


def beats(host, positions, values):
    """``values[vector][position]`` as the bytes of a stream of 32-bit or 8-bit containers."""
    lanes = host.configuration.lora
    order = []
    for block in range(lanes.blocks(VECTORS)):
        for group in range(lanes.groups(positions)):
            for lane in range(lanes.vectors):
                for row in range(lanes.rows):
                    vector, position = block * lanes.vectors + lane, group * lanes.rows + row
                    order.append(values[vector][position] if vector < VECTORS and position < positions else 0)
    return order


async def until_ended(host, before, count):
    """Wait until ``count`` more operations have ended."""
    for _ in range(400):
        if ((await host.read("COMPLETED")) - before) & 0xFFFFFFFF == count:
            return
    raise AssertionError(f"{count} operations must end, not {(await host.read('COMPLETED')) - before}")


async def operate(host, way):
    """Run an operation in one of the ways there are, and see that it ends as it must."""
    chance, dut = host.chance, host.dut
    await host.write("FAULT", 0xFFFFFFFF)
    await host.write("INTERRUPT", 0xFFFFFFFF)
    await host.write("INTERRUPT_ENABLE", 3)
    await host.write("TIMEOUT", 400 if way == "time-out" else 0)
    illegal = {"inputs": 0} if way == "illegal" else {}
    await describe(host, **illegal)
    before = await host.read("COMPLETED")
    c = [[chance.randint(-30_000, 30_000) for _ in range(OUTPUTS)] for _ in range(VECTORS)]
    count = host.configuration.lora.blocks(VECTORS) * host.configuration.lora.groups(OUTPUTS)
    if way in ("run", "blocked"):
        x = beats(host, INPUTS, [[chance.randint(-128, 127) for _ in range(INPUTS)] for _ in range(VECTORS)])
        host.sources["x"].send_nowait(AxiStreamFrame(b"".join(v.to_bytes(1, "little", signed=True) for v in x)))
        host.sources["c"].send_nowait(AxiStreamFrame(
            b"".join(v.to_bytes(4, "little", signed=True) for v in beats(host, OUTPUTS, c))))
    if way == "blocked":
        host.sinks["y"].clear_pause_generator()
        host.sinks["y"].pause = True
    starts = OPERATION_QUEUE + 3 if way == "full" else 1
    answered = []
    for _ in range(starts):
        answered += (await host.burst([(register("OP_START").address, 1, 15)]))[0]
        await ClockCycles(dut.clk, 80 if way == "full" else 1)
    # one runs, one is being checked, the rest fill the queue
    assert answered == [OKAY] * min(starts, OPERATION_QUEUE + 2) + [SLVERR] * (starts - OPERATION_QUEUE - 2), answered
    fault = Fault.NONE
    if way == "run":
        y = b""
        while len(y) < 2 * len(beats(host, OUTPUTS, c)):
            y += bytes((await host.sinks["y"].recv()).tdata)
        wanted = b"".join(v.to_bytes(2, "little", signed=True) for v in beats(host, OUTPUTS, c))
        assert y == wanted and len(y) == 2 * count * host.configuration.lora.beat_elements, "y must be c here"
        await until_ended(host, before, 1)
    elif way in ("illegal", "time-out"):
        fault = Fault.SIZE if way == "illegal" else Fault.STREAM
        await until_ended(host, before, 1)
    else:
        await ClockCycles(dut.clk, chance.randint(1, 400))
        await host.write("CONTROL", register("CONTROL").pack(soft_reset=1))
        await ClockCycles(dut.clk, 4)
        assert await host.read("COMPLETED") == before, "what a soft reset abandons has not ended"
        host.counts["soft resets"] += 1
        await host.withdraw()
    if way in ("run", "illegal", "time-out"):
        assert int(dut.irq.value) == 1, "irq must be high"
        pending = register("INTERRUPT").unpack(await host.read("INTERRUPT"))
        assert pending == {"done": 1, "fault": int(fault != Fault.NONE)}, pending
    assert await host.read("FAULT") == fault
    await host.write("FAULT", 0xFFFFFFFF)
    await host.write("INTERRUPT", 0xFFFFFFFF)
    status = register("STATUS").unpack(await host.read("STATUS"))
    assert (status["busy"], status["queued"], status["halted"], int(dut.irq.value)) == (0, 0, 0, 0), status
    host.counts[f"operation {way}"] += 1
    host.sinks["y"].pause = False
    host.sinks["y"].clear()
    await host.write("TIMEOUT", 0)


@cocotb.test(timeout_time=10, timeout_unit="sec")
async def every_transaction_is_answered_as_documented_and_every_reset_recovers(dut):
    given = parameters()
    configuration = configuration_of(given)
    chance = random.Random(f"traffic {given['seed']}")
    start_clock(dut)
    host = Host(dut, configuration, chance, given["stall"])
    await host.reset()
    table = places(configuration)
    gains = window("calibration").address
    empty = [(window("weights").address + 4 * element, 0, 15) for element in range(
        configuration.lora.layout(INPUTS, OUTPUTS, 1).words * configuration.lora.row_elements)]
    calibration = [(gains + 16 * output + 4 * word, int(word == 0), 15) for output in range(4) for word in (0, 2, 3)]
    await host.burst([*empty, *calibration])
    ways = ("run", "illegal", "time-out", "starving", "blocked", "full")
    operations = 0
    while host.counts["transactions"] < given["transactions"]:
        host.stall_anew()
        happens = chance.random()
        if happens < 0.02 or operations < len(ways):
            await operate(host, ways[operations % len(ways)])
            operations += 1
        drawn = draw(host, table)
        if happens > 0.99:
            cut = [address for address, word, _ in drawn[0] if word is not None]
            task = cocotb.start_soon(host.burst(drawn[0]))
            await ClockCycles(dut.clk, chance.randint(1, 40))
            task.cancel()
            await host.reset()
            for address in cut:
                host.kept.pop(address & ~3, None)      # it may have been stored, or not
            continue
        judge(drawn, await host.burst(drawn[0]))
    note(**{name.replace(" ", "_"): count for name, count in sorted(host.counts.items())})
