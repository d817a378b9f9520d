"""A chain of SN74HC595: serial in, all outputs at once on a latch."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.refusal import need_integer

__all__ = ["Chain"]


class Chain(wiring.Component):
    """Shifts words into a chain of SN74HC595 and latches them into its outputs.

    After reset the chain clears itself: SRCLR_n low, then a latch, and only then, the first time, OE_n low; so the
    first outputs are zeros. A reset leaves OE_n low, and the outputs as they are until that latch, ``inhibit_ticks``
    later: switches that a reset inhibits go on conducting for a while. A word is shifted highest bit first, so bit 0
    ends in QA of the part next to the chip and the highest at the far end. Shifting does not touch the outputs, so the
    next word can be shifted while the present one is in use.

    Times (`Board`): SER changes with the fall of SRCLK, half a period before the rise that takes it; ``latch_ticks``
    from the last rise to RCLK, and RCLK's width; ``clear_ticks`` for SRCLR_n, and at least again until the first clock.
    A word takes ``2 * length * shift_half_ticks`` clocks and a few.

    Parameters
    ----------
    length : int
        Bits in the chain.
    board : `rmdlora.golden.spec.board.Board`

    Members
    -------
    words : In(stream)
        The next word; accepted when nothing is shifting and the word before has been latched.
    loaded : Out(1)
        A word is in the chain and waits for ``latch``.
    latch : In(1)
        Let the outputs take the word; ignored unless ``loaded``.
    drop : In(1)
        Forget it instead; ignored unless ``loaded``.
    latching : Out(1)
        RCLK is high, or about to be: the outputs change. Includes the clearing after reset.
    ser, srclk, rclk, srclr_n, oe_n : Out(1)
        The pins.
    """

    def __init__(self, length, board):
        need_integer("length of a chain", length, 1, 1024)
        self._length = length
        self._board = board
        super().__init__({
            "words": In(stream.Signature(length)), "loaded": Out(1), "latch": In(1), "drop": In(1), "latching": Out(1),
            "ser": Out(1), "srclk": Out(1), "rclk": Out(1), "srclr_n": Out(1), "oe_n": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        board = self._board
        half = board.shift_half_ticks
        rest = max(1, board.latch_ticks - half)     # after the last high half
        recover = max(board.clear_ticks, board.inhibit_ticks)
        timer = Signal(range(max(recover, half, rest, board.latch_ticks)), init=board.clear_ticks - 1)
        off = Signal(init=1, reset_less=True)
        m.d.comb += self.oe_n.eq(off)
        left = Signal(range(self._length))
        word = Signal(self._length)
        m.d.comb += self.ser.eq(word[-1])
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)

        with m.FSM():
            with m.State("Clear"):
                m.d.comb += self.latching.eq(1)
                with m.If(timer == 0):
                    m.d.sync += [self.srclr_n.eq(1), timer.eq(recover - 1)]
                    m.next = "Recover"
            with m.State("Recover"):
                m.d.comb += self.latching.eq(1)
                with m.If(timer == 0):
                    m.d.sync += [self.rclk.eq(1), timer.eq(board.latch_ticks - 1)]
                    m.next = "Latch"
            with m.State("Wait for a word"):
                m.d.comb += self.words.ready.eq(1)
                with m.If(self.words.valid):
                    m.d.sync += [word.eq(self.words.payload), left.eq(self._length - 1), timer.eq(half - 1)]
                    m.next = "Set up"
            with m.State("Set up"), m.If(timer == 0):
                m.d.sync += [self.srclk.eq(1), timer.eq(half - 1)]
                m.next = "Shift"
            with m.State("Shift"), m.If(timer == 0):
                m.d.sync += [self.srclk.eq(0), timer.eq(half - 1), left.eq(left - 1), word.eq(word << 1)]
                m.next = "Set up"
                with m.If(left == 0):
                    m.d.sync += timer.eq(rest - 1)
                    m.next = "Rest"
            with m.State("Rest"), m.If(timer == 0):
                m.next = "Loaded"
            with m.State("Loaded"):
                m.d.comb += [self.loaded.eq(1), self.latching.eq(self.latch)]
                with m.If(self.drop):
                    m.next = "Wait for a word"
                with m.If(self.latch):
                    m.d.sync += [self.rclk.eq(1), timer.eq(board.latch_ticks - 1)]
                    m.next = "Latch"
            with m.State("Latch"):
                m.d.comb += self.latching.eq(1)
                with m.If(timer == 0):
                    m.d.sync += [self.rclk.eq(0), off.eq(0)]
                    m.next = "Wait for a word"
        return m
