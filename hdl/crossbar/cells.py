"""The map of a programming operation: a target a cell from the host, a result a cell back."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.registers import ADDRESS_BITS

from ..axi import AccessPort

__all__ = ["CellMap", "Result", "Target"]


class Target(data.Struct):
    """What a cell shall be, as `golden.spec.program.pack_cell` packs it."""

    code: 13
    unused: 3
    tolerance: 10
    unused_too: 5
    skip: 1


class Result(data.Struct):
    """What became of it: ``status`` is a `golden.spec.program.CellStatus`."""

    pulses: 16
    unused: 14
    status: 2


class CellMap(wiring.Component):
    """A memory of targets the host writes and one of results it reads, at the same addresses, cells in row-major order.

    A write takes 1 clock, a read 3; past the last cell either is an error. Both memories keep what they hold through a
    reset.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    access : the host; the address counts from the window's start.
    cell : which target to show; ``target`` is it, a clock later.
    result, store : with ``store``, the ``result`` of ``cell``.
    """

    def __init__(self, configuration):
        geometry = configuration.geometry
        self.cells = geometry.tile_rows * geometry.tile_columns
        super().__init__({"access": In(AccessPort(ADDRESS_BITS)), "cell": In(range(self.cells)), "target": Out(Target),
                          "result": In(Result), "store": In(1)})

    def elaborate(self, platform):
        m = Module()
        access = self.access
        m.submodules.targets = targets = Memory(shape=Target, depth=self.cells, init=[])
        m.submodules.results = results = Memory(shape=Result, depth=self.cells, init=[])
        written, shown = targets.write_port(), targets.read_port()
        stored, read = results.write_port(), results.read_port()
        element = access.address[2:20]
        exists, fetched, shown_word = Signal(), Signal(2), Signal(32)
        m.d.comb += [
            exists.eq(element < self.cells), written.addr.eq(element), written.data.eq(access.w_data),
            written.en.eq(access.valid & access.write & exists), read.addr.eq(element), read.en.eq(1),
            shown.addr.eq(self.cell), shown.en.eq(1), self.target.eq(shown.data),
            stored.addr.eq(self.cell), stored.data.eq(self.result), stored.en.eq(self.store),
            access.ready.eq(access.valid & (access.write | ~exists | fetched[1])), access.error.eq(~exists),
            access.r_data.eq(shown_word)]
        m.d.sync += [fetched.eq(Mux(access.valid & ~access.ready, Cat(1, fetched[0]), 0)), shown_word.eq(read.data)]
        return m
