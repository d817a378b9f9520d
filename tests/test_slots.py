"""The slot table: one write makes a slot another adapter, at whatever clock a reset comes; operations look it up."""

import random

from access import simulate
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.registers import ADDRESS_BITS, SLOTS, SUMMED, register
from rmdlora.hdl.axi import AxiLiteSlave
from rmdlora.hdl.registers import RegisterBank
from rmdlora.hdl.slots import SlotTable

SLOT = register("SLOT")


class Committed(wiring.Component):
    """The way of a commit: bus, registers and slot table, all of which ``reset`` resets."""

    def __init__(self):
        self.slave, self.bank = AxiLiteSlave(ADDRESS_BITS), RegisterBank(load_configuration("tiny"))
        self.table, self.reset = SlotTable(), Signal()
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        inside = Module()
        inside.submodules += [self.slave, self.bank, self.table]
        wiring.connect(inside, self.slave.access, self.bank.access)
        wiring.connect(inside, self.bank.slot, self.table.port)
        m.submodules.inside = ResetInserter(self.reset)(inside)
        return m


def test_a_reset_at_any_clock_of_a_commit_leaves_the_old_entry_or_the_new_one():
    top, clocks = Committed(), 12
    old, new = SLOT.pack(base=0x12345, rank=6, valid=1), SLOT.pack(base=0xEDCBA, rank=9, valid=1)
    found = []

    async def bench(ctx):
        bus, place = top.slave.axi, top.table.memory.data[7]
        entry = SLOT.unpack(old)
        for reset_at in range(clocks):
            ctx.set(place, entry)
            for name, value in (("awaddr", SLOT.address + 28), ("wdata", new), ("wstrb", 15), ("awvalid", 1),
                                ("wvalid", 1), ("bready", 1)):
                ctx.set(getattr(bus, name), value)
            for clock in range(clocks):
                ctx.set(top.reset, clock == reset_at)
                awready, wready = ctx.get(bus.awready), ctx.get(bus.wready)
                await ctx.tick()
                if awready or clock == reset_at:
                    ctx.set(bus.awvalid, 0)
                if wready or clock == reset_at:
                    ctx.set(bus.wvalid, 0)
            ctx.set(top.reset, 0)
            await ctx.tick().repeat(3)
            word = SLOT.pack(**{field.name: ctx.get(place[field.name]) for field in SLOT.fields})
            assert word in (old, new), hex(word)
            found.append(word == new)
            assert all(not ctx.get(top.table.memory.data[slot].valid) for slot in range(SLOTS) if slot != 7)

    simulate(top, bench)
    assert found[0] is False and found[-1] is True
    assert found == sorted(found)


def test_an_operation_has_the_row_words_and_ranks_of_the_slots_it_names():
    table, chance = SlotTable(), random.Random("slots")
    entries = [{"base": chance.getrandbits(20), "rank": chance.getrandbits(8), "valid": int(chance.random() < 0.8)}
               for _ in range(SLOTS)]
    unknown = []

    async def bench(ctx):
        for slot, entry in enumerate(entries):
            ctx.set(table.port.index, slot)
            ctx.set(table.port.w_data, SLOT.pack(**entry))
            ctx.set(table.port.w_en, 1)
            await ctx.tick()
            ctx.set(table.port.w_en, 0)
            assert ctx.get(table.port.r_data) == SLOT.pack(**entry)
        for _ in range(300):
            named = [chance.randrange(SLOTS if chance.random() < 0.8 else 2) for _ in range(SUMMED)]
            count = chance.randrange(SUMMED + 2)
            given = {"adapter": chance.getrandbits(20), "rank": chance.getrandbits(8), "slots": count, "vectors": 5,
                     **{f"slot_{index}": slot for index, slot in enumerate(named)}}
            ctx.set(table.described, given)
            await ctx.delay(1e-9)
            found = table.resolved
            chosen = named[:count]
            expected = [(entries[slot]["base"], entries[slot]["rank"]) for slot in chosen]
            expected = (expected or [(given["adapter"], given["rank"])]) + [(0, 0)] * SUMMED
            parts = [found, *(found.more[index] for index in range(SUMMED - 1))]
            for part, (base, rank) in zip(parts, expected, strict=False):
                assert (ctx.get(part.adapter), ctx.get(part.rank)) == (base, rank)
            wrong = count > SUMMED or len(set(chosen)) < len(chosen) or any(not entries[slot]["valid"]
                                                                            for slot in chosen)
            assert ctx.get(found.unknown) == wrong
            assert ctx.get(found.vectors) == 5
            unknown.append(wrong)

    simulate(table, bench)
    assert {True, False} == set(unknown)
