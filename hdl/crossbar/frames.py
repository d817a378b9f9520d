"""DAC80508: its registers, and frames of 24 bits to any subset of the parts."""

import enum

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.refusal import need_integer

__all__ = ["FRAME_BITS", "DacRegister", "FrameSender", "frame_layout"]

FRAME_BITS = 24
SYNCHRONISER = 2    # clocks behind the pin


class DacRegister(enum.IntEnum):
    """Addresses of the DAC80508's registers (SLASEL1, register map)."""

    NOP = 0
    DEVICE_ID = 1
    SYNC = 2
    CONFIG = 3
    GAIN = 4
    TRIGGER = 5
    DAC0 = 8


def frame_layout(parts):
    """One frame to those of ``parts`` DACs whose bit of ``select`` is 1: ``value`` for register ``address`` or, with
    ``read``, the question what it holds. ``slow`` clocks it slowly enough for an answer on SDO."""
    return data.StructLayout({"value": 16, "address": 4, "read": 1, "slow": 1, "select": parts})


class FrameSender(wiring.Component):
    """Sends frames, highest bit first: SDI changes with the rise of SCLK and is taken with its fall (SPI mode 1).

    Times (`Board`): ``dac_lead_ticks`` from CS fall to the first SCLK, a half of it ``dac_half_ticks`` (slow:
    ``dac_read_half_ticks``), ``dac_trail_ticks`` to CS rise, ``dac_high_ticks`` with CS high. CS falls in the clock
    after a frame is accepted; frames follow each other every ``frame_ticks`` without a gap.

    Parameters
    ----------
    parts : int
        DACs, each with a CS_n of its own; SCLK, SDI and SDO are common.
    board : `rmdlora.golden.spec.board.Board`

    Members
    -------
    frames : In(stream of `frame_layout`)
    ended : Out(1)
        The clock in which CS_n is high again: an update has taken effect, ``answer`` is complete.
    answer : Out(24)
        What SDO said in the latest slow frame, taken just before each fall of SCLK.
    sclk, sdi, sdo, cs_n
        The pins.
    """

    def __init__(self, parts, board):
        need_integer("parts of a frame sender", parts, 1, 64)
        self._board = board
        super().__init__({
            "frames": In(stream.Signature(frame_layout(parts))), "ended": Out(1), "answer": Out(FRAME_BITS),
            "sclk": Out(1), "sdi": Out(1), "sdo": In(1), "cs_n": Out(parts, init=(1 << parts) - 1)})

    def elaborate(self, platform):
        m = Module()
        board = self._board
        fast, slow = board.dac_half_ticks, board.dac_read_half_ticks
        timer = Signal(range(max(fast, slow, board.dac_lead_ticks, board.dac_trail_ticks, board.dac_high_ticks)))
        left = Signal(range(FRAME_BITS))
        word = Signal(FRAME_BITS)
        slowly = Signal()
        half = Mux(slowly, slow - 1, fast - 1)
        sdo = Signal()
        m.submodules.synchroniser = FFSynchronizer(self.sdo, sdo, stages=SYNCHRONISER)
        frame = self.frames.payload
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)

        def accept_frame():
            m.d.comb += self.frames.ready.eq(1)
            with m.If(self.frames.valid):
                m.d.sync += [
                    word.eq(Cat(frame.value, frame.address, C(0, 3), frame.read)), self.sdi.eq(frame.read),
                    slowly.eq(frame.slow), left.eq(FRAME_BITS - 1), self.cs_n.eq(~frame.select),
                    timer.eq(board.dac_lead_ticks - 1)]
                m.next = "Lead"

        def raise_clock():
            m.d.sync += [self.sclk.eq(1), self.sdi.eq(word[-1]), word.eq(word << 1), timer.eq(half)]
            m.next = "Clock high"

        with m.FSM():
            with m.State("Wait for a frame"):
                accept_frame()
            with m.State("Lead"), m.If(timer == 0):
                raise_clock()
            with m.State("Clock high"), m.If(timer == 0):
                m.d.sync += [self.sclk.eq(0), timer.eq(half)]
                m.next = "Clock low"
            with m.State("Clock low"):
                # one clock into the low half the synchroniser shows the pin as it was just before the fall
                with m.If(slowly & (timer == slow - SYNCHRONISER)):
                    m.d.sync += self.answer.eq(Cat(sdo, self.answer))
                with m.If(timer == 0):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left != 0):
                        raise_clock()
                    with m.Else():
                        m.d.sync += timer.eq(board.dac_trail_ticks - 1)
                        m.next = "Trail"
            with m.State("Trail"), m.If(timer == 0):
                m.d.sync += [self.cs_n.eq(~0), timer.eq(board.dac_high_ticks - 1)]
                m.next = "Rise"
            with m.State("Rise"):
                m.d.comb += self.ended.eq(1)
                m.next = "Rest"
                if board.dac_high_ticks == 1:
                    m.next = "Wait for a frame"
                    accept_frame()
            with m.State("Rest"), m.If(timer == 0):
                m.next = "Wait for a frame"
                accept_frame()
        return m

