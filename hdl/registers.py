"""The register bank: storage, status, events and ports, all of them from the one table of the specification."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.registers import ADDRESS_BITS, REGISTERS, constant_words, reset_values

from .axi import AccessPort

__all__ = ["EventPort", "IndexedPort", "RegisterBank", "StickyPort", "counter_pairs", "register_layout"]


def register_layout(register):
    """The layout of a register's word: its fields where the table puts them."""
    return data.FlexibleLayout(32, {field.name: data.Field(field.bits, field.low) for field in register.fields})


def counter_pairs():
    """``{name of the low half: register of the high half}`` of the table's 64-bit counters."""
    by_name = {register.name: register for register in REGISTERS}
    return {name: by_name[f"{name}_HIGH"] for name in by_name if f"{name}_HIGH" in by_name}


class EventPort(wiring.Signature):
    """A ``wo`` register, the bank's view: ``strobe`` is high in the clock of a write, ``word`` is what was written,
    and 0 in every other clock. The write is answered with an error where ``refuse`` is high in it."""

    def __init__(self, register):
        super().__init__({"strobe": Out(1), "word": Out(register_layout(register)), "refuse": In(1)})


class StickyPort(wiring.Signature):
    """A ``w1c`` register, the bank's view. A field that is 0 takes its value from ``set`` and keeps it until cleared,
    so the first of several codes stays. Cleared and set in one clock, it is set. ``taken``: in this clock a field takes
    a value that is not 0."""

    def __init__(self, register):
        layout = register_layout(register)
        super().__init__({"set": In(layout), "word": Out(layout), "taken": Out(1)})


class IndexedPort(wiring.Signature):
    """A ``rw_port`` register of several, the bank's view: ``r_data`` is the word of ``index`` in the same clock;
    ``w_data`` is written to it where ``w_en`` is high."""

    def __init__(self, register):
        super().__init__({"index": Out(range(register.count)), "w_en": Out(1), "w_data": Out(32), "r_data": In(32)})


def bank_member(register, wide, resets):
    """The member of the bank that stands for ``register``; ``wide``: the low half of a 64-bit counter. ``resets``:
    values of fields, by name, that are not the table's."""
    match register.access:
        case "rw":
            init = {field.name: field.reset for field in register.fields} | resets
            return Out(register_layout(register), init=init)
        case "ro":
            return In(64 if wide else register_layout(register))
        case "wo":
            return Out(EventPort(register))
        case "w1c":
            return Out(StickyPort(register))
        case "rw_port":
            return Out(IndexedPort(register))


class RegisterBank(wiring.Component):
    """Every register of `golden.spec.registers.REGISTERS`. An access is done in the clock that asks for it.

    Reading a ``wo`` register gives 0. Writing a ``ro`` register and any address without a register is an error. Reading
    the low half of a 64-bit counter holds its high half for the next read of that counter's high half.

    Parameters
    ----------
    configuration : Configuration
        Where the constant registers (`golden.spec.registers.constant_words`) and some reset values come from.

    Members
    -------
    access : reads and writes, byte addresses.
    one member a register, by its name in lower case; a field is an attribute of it:
        ``rw`` the stored word (out); ``ro`` the word to show (in), 64 bits for a counter of two registers and none for
        a constant; ``wo`` an `EventPort`; ``w1c`` a `StickyPort`; ``rw_port`` an `IndexedPort`.
    """

    def __init__(self, configuration):
        self.constants = constant_words(configuration)
        pairs, resets = counter_pairs(), reset_values(configuration)
        high_halves = {register.name for register in pairs.values()}
        members = {"access": In(AccessPort(ADDRESS_BITS))}
        for register in REGISTERS:
            if register.name in self.constants or register.name in high_halves:
                continue
            members[register.name.lower()] = bank_member(register, register.name in pairs,
                                                             resets.get(register.name, {}))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        access, pairs = self.access, counter_pairs()
        write, read = Signal(), Signal()
        held = {high.name: Signal(32, name=f"held_{high.name.lower()}") for high in pairs.values()}
        m.d.comb += [access.ready.eq(access.valid), write.eq(access.valid & access.write),
                     read.eq(access.valid & ~access.write)]

        for register in REGISTERS:
            if register.access == "w1c":
                self.keep(m, getattr(self, register.name.lower()), register)

        with m.Switch(access.address[2:]):
            for register in REGISTERS:
                with m.Case(*((register.address >> 2) + index for index in range(register.count))):
                    name = register.name
                    if name in self.constants:
                        m.d.comb += [access.r_data.eq(self.constants[name]), access.error.eq(write)]
                    elif name in held:
                        m.d.comb += [access.r_data.eq(held[name]), access.error.eq(write)]
                    else:
                        member = getattr(self, name.lower())
                        getattr(self, f"access_{register.access}")(m, member, register, write)
                    if name in pairs:
                        with m.If(read):
                            m.d.sync += held[pairs[name].name].eq(getattr(self, name.lower())[32:])
            with m.Default():
                m.d.comb += access.error.eq(1)
        return m

    def access_rw(self, m, word, register, write):
        """Storage: the bits of its fields, the others read 0."""
        m.d.comb += self.access.r_data.eq(word)
        written = data.View(register_layout(register), self.access.w_data)
        with m.If(write):
            m.d.sync += [word[field.name].eq(written[field.name]) for field in register.fields]

    def access_ro(self, m, word, register, write):
        """Status: the lower 32 bits of what is shown."""
        m.d.comb += [self.access.r_data.eq(word), self.access.error.eq(write)]

    def access_wo(self, m, port, register, write):
        """An event."""
        with m.If(write):
            m.d.comb += [port.strobe.eq(1), port.word.eq(self.access.w_data), self.access.error.eq(port.refuse)]

    def access_w1c(self, m, port, register, write):
        """Reading shows what was kept; clearing is done in `keep`."""
        m.d.comb += self.access.r_data.eq(port.word)

    def access_rw_port(self, m, port, register, write):
        """Reads and writes go through to the port."""
        offset = (self.access.address[2:] - (register.address >> 2))[:len(port.index)]
        m.d.comb += [port.index.eq(offset), port.w_en.eq(write), port.w_data.eq(self.access.w_data),
                     self.access.r_data.eq(port.r_data)]

    def keep(self, m, port, register):
        """The storage of a ``w1c`` register."""
        cleared = Signal(32, name=f"cleared_{register.name.lower()}")
        address = self.access.address == register.address
        m.d.comb += cleared.eq(Mux(self.access.valid & self.access.write & address, self.access.w_data, 0))
        takes = []
        for field in register.fields:
            stays = port.word[field.name] & ~cleared[field.low:field.low + field.bits]
            takes.append(~stays.any() & port.set[field.name].any())
            m.d.sync += port.word[field.name].eq(Mux(stays.any(), stays, port.set[field.name]))
        m.d.comb += port.taken.eq(Cat(takes).any())
