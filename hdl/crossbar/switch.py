"""A group of CD4051B that share their mode and their inhibit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.refusal import need_integer

__all__ = ["Switch"]


class Switch(wiring.Component):
    """Changes what a group of CD4051B connects: INH high, wait, change, INH low, wait.

    Nothing else moves A and B or lowers INH, and after reset INH stays high until the first ``change``; A and B stay as
    they were, since the parts go on conducting for a while. ``positions``
    is the number of positions there are: address bits that none of them needs are constants, so a position above is
    never driven, whatever happens inside.

    Times (`Board`): ``inhibit_ticks`` from INH's rise to the change, ``connect_ticks`` from its fall until the signals
    are through. A change takes ``inhibit_ticks + connect_ticks`` clocks and a few, and as long as ``hold`` lasts.

    Parameters
    ----------
    positions : int
        1..4.
    board : `rmdlora.golden.spec.board.Board`

    Members
    -------
    change : In(1)
        Start a change to ``position``; taken when ``settled``, or where nothing was ever connected.
    position : In(2)
        Read at the change itself, so it must be stable until ``settled``.
    apply : Out(1)
        The clock in which A and B change, for a chain to latch with it.
    hold : In(1)
        Keeps INH high after the change.
    opened : Out(1)
        The change is made and INH still high; without ``hold`` it falls in the next clock.
    settled : Out(1)
        Connected, and the signals are through.
    a, b, inh : Out(1)
        The pins.
    """

    def __init__(self, positions, board):
        need_integer("positions of a switch", positions, 1, 4)
        self._positions = positions
        self._board = board
        super().__init__({
            "change": In(1), "position": In(2), "apply": Out(1), "hold": In(1), "opened": Out(1),
            "settled": Out(1),
            "a": Out(1), "b": Out(1), "inh": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        board = self._board
        timer = Signal(range(max(board.inhibit_ticks, board.connect_ticks)))
        address = Signal(2, reset_less=True)
        m.d.comb += Cat(self.a, self.b).eq(address)
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)

        with m.FSM():
            with m.State("Open"), m.If(self.change):
                m.d.sync += timer.eq(board.inhibit_ticks - 1)
                m.next = "Inhibit"
            with m.State("Inhibit"), m.If(timer == 0):
                m.d.comb += self.apply.eq(1)
                if self._positions > 1:
                    m.d.sync += address[0].eq(self.position[0])
                if self._positions > 2:
                    m.d.sync += address[1].eq(self.position[1])
                m.next = "Change"
            with m.State("Change"):
                m.d.comb += self.opened.eq(1)
                with m.If(~self.hold):
                    m.d.sync += [self.inh.eq(0), timer.eq(board.connect_ticks - 1)]
                    m.next = "Connect"
            with m.State("Connect"), m.If(timer == 0):
                m.next = "Connected"
            with m.State("Connected"):
                m.d.comb += self.settled.eq(1)
                with m.If(self.change):
                    m.d.sync += [self.inh.eq(1), timer.eq(board.inhibit_ticks - 1)]
                    m.next = "Inhibit"
        return m
