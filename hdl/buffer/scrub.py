"""Finds flipped bits before a second one joins them: looks at every row word in turn, in clocks nobody wants."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Scrubber"]


class Scrubber(wiring.Component):
    """Looks and remembers; mending, which needs the unit to stand still, is the buffer's.

    Every ``scrub_clocks`` clocks a look at the next row word of each of the ``depths`` memories falls due; it goes out
    in the first clock in which that memory is ``free``. The first row word of each memory in which a flip was
    ``found``, by whoever read it, is asked to be mended; others found meanwhile come up again when they are next read.

    Members (one element a memory)
    -------
    free : no other access in this clock. look : read the row word ``look_row``.
    found : ``found_row`` has been read and had a flipped bit.
    request : ``row`` of memory ``space`` needs mending; ``done`` : that of this memory is mended.
    """

    def __init__(self, depths, scrub_clocks):
        self.depths, self.scrub_clocks = depths, scrub_clocks
        rows = data.ArrayLayout(range(max(depths)), len(depths))
        super().__init__({
            "free": In(len(depths)), "look": Out(len(depths)), "look_row": Out(rows), "found": In(len(depths)),
            "found_row": In(rows), "request": Out(1), "space": Out(range(len(depths))), "row": Out(range(max(depths))),
            "done": In(len(depths))})

    def elaborate(self, platform):
        m = Module()
        left = Signal(range(self.scrub_clocks))
        m.d.sync += left.eq(Mux(left == 0, self.scrub_clocks - 1, left - 1))
        due, wanted = Signal.like(self.look), Signal.like(self.look)
        rows = Signal.like(self.found_row)
        m.d.comb += [self.look.eq(due & self.free), self.request.eq(wanted.any())]
        for space, depth in enumerate(self.depths):
            with m.If(self.look[space]):
                m.d.sync += [due[space].eq(0), self.look_row[space].eq(
                    Mux(self.look_row[space] == depth - 1, 0, self.look_row[space] + 1))]
            with m.Elif(left == 0):
                m.d.sync += due[space].eq(1)
            with m.If(self.done[space]):
                m.d.sync += wanted[space].eq(0)
            with m.Elif(self.found[space] & ~wanted[space]):
                m.d.sync += [wanted[space].eq(1), rows[space].eq(self.found_row[space])]
        for space in reversed(range(len(self.depths))):
            with m.If(wanted[space]):
                m.d.comb += [self.space.eq(space), self.row.eq(rows[space])]
        return m
