"""The register bank and the windows, against the table they are made from."""

import itertools
import random

import pytest
from access import access, simulate
from amaranth.hdl import Module
from amaranth.lib import wiring
from rmdlora.golden.spec import registers as table
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.registers import OPERATION, REGISTERS, WINDOWS, constant_words, register, reset_values, window
from rmdlora.hdl.buffer import Buffer
from rmdlora.hdl.operation import Operation
from rmdlora.hdl.registers import RegisterBank, counter_pairs
from rmdlora.hdl.windows import Windows

TINY = load_configuration("tiny")
ERROR, FINE = 1, 0


def bench_of_bank(body):
    """Run ``body(ctx, bank)`` on a bank."""
    bank = RegisterBank(TINY)

    async def bench(ctx):
        await body(ctx, bank)

    simulate(bank, bench)


def mask(entry):
    """The bits of a register that fields cover."""
    return sum(((1 << field.bits) - 1) << field.low for field in entry.fields)


def test_the_table_has_no_two_registers_and_no_two_windows_in_one_place():
    places = [entry.address + 4 * index for entry in REGISTERS for index in range(entry.count)]
    assert len(places) == len(set(places))
    assert all(place % 4 == 0 and place < min(entry.address for entry in WINDOWS) for place in places)
    ends = sorted((entry.address, entry.address + entry.size) for entry in WINDOWS)
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(ends))
    assert ends[-1][1] <= 1 << table.ADDRESS_BITS
    assert all(entry.size & (entry.size - 1) == 0 and entry.address % entry.size == 0 for entry in WINDOWS)
    for entry in REGISTERS:
        covered = [bit for field in entry.fields for bit in range(field.low, field.low + field.bits)]
        assert len(covered) == len(set(covered)), entry.name
        assert max(covered) < 32, entry.name


def test_an_operation_has_the_fields_of_its_registers_and_their_widths():
    widths = {name: field.width for name, field in Operation.as_shape()}
    assert widths.keys() - OPERATION.keys() == {"more", "unknown"}      # these are the slot table's
    assert {name: widths[name] for name in OPERATION} == {
        name: register(entry).field(part).bits for name, (entry, part) in OPERATION.items()}


def test_storage_keeps_the_bits_of_its_fields_and_shows_them():
    async def body(ctx, bank):
        chance = random.Random("storage")
        for entry in REGISTERS:
            if entry.access == "rw":
                wakes = entry.pack(**reset_values(TINY).get(entry.name, {}))
                assert await access(ctx, bank.access, entry.address) == (wakes, FINE), entry.name
                for word in (0xFFFFFFFF, chance.getrandbits(32), 0):
                    assert (await access(ctx, bank.access, entry.address, word))[1] == FINE
                    assert await access(ctx, bank.access, entry.address) == (word & mask(entry), FINE), entry.name
                    shown = getattr(bank, entry.name.lower())
                    assert {field.name: ctx.get(shown[field.name]) for field in entry.fields} == entry.unpack(word)
    bench_of_bank(body)


def test_constants_tell_the_configuration_and_status_shows_what_is_fed():
    async def body(ctx, bank):
        constants, chance = constant_words(TINY), random.Random("status")
        assert constants["IDENTITY"] == int.from_bytes(b"RMDL", "big")
        for entry in REGISTERS:
            if entry.access != "ro":
                continue
            expected = constants.get(entry.name)
            if expected is None and hasattr(bank, entry.name.lower()) and entry.name not in counter_pairs():
                expected = chance.getrandbits(32) & mask(entry)
                ctx.set(getattr(bank, entry.name.lower()).as_value(), expected)
            if expected is not None:
                assert await access(ctx, bank.access, entry.address) == (expected, FINE), entry.name
            assert (await access(ctx, bank.access, entry.address, 5))[1] == ERROR, entry.name
    bench_of_bank(body)


def test_the_high_half_of_a_counter_is_the_one_of_the_moment_the_low_half_was_read():
    async def body(ctx, bank):
        for name, high in counter_pairs().items():
            counter = getattr(bank, name.lower())
            ctx.set(counter, 0x1_FFFFFFFF)
            assert await access(ctx, bank.access, register(name).address) == (0xFFFFFFFF, FINE)
            ctx.set(counter, 0x2_00000000)
            assert await access(ctx, bank.access, high.address) == (1, FINE)
            assert await access(ctx, bank.access, register(name).address) == (0, FINE)
            assert await access(ctx, bank.access, high.address) == (2, FINE)
    assert counter_pairs()
    bench_of_bank(body)


def test_an_event_is_seen_in_the_clock_of_its_write_and_reads_zero():
    async def body(ctx, bank):
        control, start = register("CONTROL"), register("OP_START")
        seen = []
        for entry, word, refuse in ((control, 2, 0), (control, 1, 0), (start, 0, 0), (start, 7, 1)):
            port = getattr(bank, entry.name.lower())
            ctx.set(port.refuse, refuse)
            ctx.set(bank.access.valid, 1)
            ctx.set(bank.access.write, 1)
            ctx.set(bank.access.address, entry.address)
            ctx.set(bank.access.w_data, word)
            _, _, strobe, shown, error = await ctx.tick().sample(port.strobe, port.word.as_value(), bank.access.error)
            seen.append((strobe, shown, error))
            ctx.set(bank.access.valid, 0)
            _, _, strobe, shown = await ctx.tick().sample(port.strobe, port.word.as_value())
            assert (strobe, shown) == (0, 0)
            assert await access(ctx, bank.access, entry.address) == (0, FINE)
        assert seen == [(1, 2, 0), (1, 1, 0), (1, 0, 0), (1, 7, 1)]
    bench_of_bank(body)


def test_the_first_code_stays_until_it_is_cleared_and_a_new_one_is_never_lost():
    async def body(ctx, bank):
        fault = register("FAULT")

        async def set_code(code, **with_write):
            ctx.set(bank.fault.set.code, code)
            taken = ctx.get(bank.fault.taken)
            await (access(ctx, bank.access, fault.address, **with_write) if with_write else ctx.tick())
            ctx.set(bank.fault.set.code, 0)
            return taken

        assert await set_code(3) == 1
        assert await set_code(5) == 0
        assert await access(ctx, bank.access, fault.address) == (3, FINE)
        await set_code(6, word=0xFFFFFFFF)      # cleared and set in one clock
        assert await access(ctx, bank.access, fault.address) == (6, FINE)
        await access(ctx, bank.access, fault.address, 0xFFFFFFFF)
        assert await access(ctx, bank.access, fault.address) == (0, FINE)
    bench_of_bank(body)


def test_interrupts_pend_bit_by_bit():
    async def body(ctx, bank):
        interrupt = register("INTERRUPT")
        for done, fault in ((1, 0), (0, 1)):
            ctx.set(bank.interrupt.set.done, done)
            ctx.set(bank.interrupt.set.fault, fault)
            await ctx.tick()
        ctx.set(bank.interrupt.set.fault, 0)
        assert await access(ctx, bank.access, interrupt.address) == (3, FINE)
        await access(ctx, bank.access, interrupt.address, interrupt.pack(done=1))
        assert await access(ctx, bank.access, interrupt.address) == (interrupt.pack(fault=1), FINE)
    bench_of_bank(body)


def test_every_generator_has_its_address():
    async def body(ctx, bank):
        entry, port = register("GENERATOR"), bank.generator
        for index in range(entry.count):
            ctx.set(bank.access.valid, 1)
            ctx.set(bank.access.write, 1)
            ctx.set(bank.access.address, entry.address + 4 * index)
            ctx.set(bank.access.w_data, 1000 + index)
            ctx.set(port.r_data, 77 + index)
            _, _, *seen = await ctx.tick().sample(port.index, port.w_en, port.w_data, bank.access.r_data)
            assert seen == [index, 1, 1000 + index, 77 + index]
        ctx.set(bank.access.write, 0)
        assert ctx.get(port.w_en) == 0
    bench_of_bank(body)


def test_an_address_without_a_register_is_an_error():
    async def body(ctx, bank):
        places = {entry.address + 4 * index for entry in REGISTERS for index in range(entry.count)}
        for address in [*range(0, 0x200, 4), 0x800000, 0xFFFFFC]:
            _, error = await access(ctx, bank.access, address)
            assert error == (address not in places), hex(address)
    bench_of_bank(body)


class Memories(wiring.Component):
    """`Windows` in front of a `Buffer` whose unit is at rest."""

    def __init__(self, configuration):
        self.windows, self.buffer = Windows(configuration), Buffer(configuration)
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.windows, m.submodules.buffer = self.windows, self.buffer
        wiring.connect(m, self.windows.host, self.buffer.host)
        m.d.comb += [self.buffer.rows.settled.eq(1), self.windows.registers.ready.eq(self.windows.registers.valid),
                     self.windows.registers.r_data.eq(self.windows.registers.address)]
        return m


@pytest.mark.parametrize("name", ["tiny", "face"])
def test_every_window_holds_its_elements_and_nothing_beyond_them(name):
    configuration, top = load_configuration(name), Memories(load_configuration(name))
    lanes, formats = configuration.lora, configuration.formats
    chance = random.Random(f"windows {name}")
    elements = configuration.sram.words * lanes.row_elements
    outputs = configuration.calibration_words * lanes.rows

    def some(count):
        return [0, count - 1, *chance.sample(range(1, count - 1), 12)]

    def code(bits):
        return chance.randrange(-(1 << (bits - 1)), 1 << (bits - 1))

    async def bench(ctx):
        port = top.windows.access
        weights, states, calibration = (window(entry) for entry in ("weights", "states", "calibration"))
        written = {}
        for element in some(elements):
            written[weights.address + 4 * element] = code(formats.adapter)
        for element in some(elements):
            written[states.address + 8 * element] = code(formats.state)
        gains, offsets = {}, {}
        for output in some(outputs):
            gains[calibration.address + 16 * output] = code(formats.gain)
            offsets[calibration.address + 16 * output + 8] = code(formats.sum)
        wide = {address: value for address, value in {**written, **offsets}.items() if address >= states.address}
        narrow = {address: value for address, value in {**written, **gains}.items() if address not in wide}
        for address, value in narrow.items():
            assert (await access(ctx, port, address, value & 0xFFFFFFFF))[1] == FINE
        for address, value in wide.items():
            assert (await access(ctx, port, address, value & 0xFFFFFFFF))[1] == FINE
            assert (await access(ctx, port, address + 4, value >> 32 & 0xFFFFFFFF))[1] == FINE
        for address, value in narrow.items():
            assert await access(ctx, port, address) == (value & 0xFFFFFFFF, FINE), hex(address)
        for address, value in wide.items():
            assert await access(ctx, port, address) == (value & 0xFFFFFFFF, FINE), hex(address)
            assert await access(ctx, port, address + 4) == (value >> 32 & 0xFFFFFFFF, FINE), hex(address)
        missing = [weights.address + 4 * elements, states.address + 8 * elements, calibration.address + 16 * outputs,
                   calibration.address + 4, states.address - 4]
        for address in missing:
            assert (await access(ctx, port, address))[1] == ERROR, hex(address)
            assert (await access(ctx, port, address, 1))[1] == ERROR, hex(address)
        assert await access(ctx, port, 0x104) == (0x104, FINE)      # below the windows: the registers' own

    simulate(top, bench)
