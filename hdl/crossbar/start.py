"""What must happen between power-up and the first read."""

from amaranth.hdl import Array, C, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .frames import FRAME_BITS, DacRegister, frame_layout
from .loader import MID_SCALE, TRIGGER_LDAC

__all__ = ["StartUp"]

DSDO = 1 << 9           # CONFIG: SDO off
REF_PWDWN = 1 << 8      # CONFIG: internal reference off
ALL_SYNC = 0xFFFF       # SYNC: every channel waits for LDAC
SUPPLY_GAIN = 0x000F    # GAIN of the supplies' DAC: OUT0..3 at 5 V, the others at 2.5 V


class StartUp(wiring.Component):
    """Brings the board from power-up, or from wherever it was at a reset, to where reading is safe.

    Translators on, everything inhibited; ``dac_wake_ticks``; each DAC is asked who it is; SYNC, GAIN, REF; mid-scale on
    every row; the supplies (the programming voltages 0, V_WL_RD, VCM); one TRIGGER to all; ``start_settle_ticks``; then
    the lines go to READ and the ADC switches to position 0. The DACs wake at 0 V or mid-scale, so nothing is connected
    before that. A DAC that is not a DAC80508 (or does not answer: DEVICE ID must be read back with 16 bits and 8
    channels) ends it: everything stays inhibited.

    Each DAC's SDO is switched on by itself before the question, and off after it: after a reset without a power-up it
    was off, and two that are on must not be selected together.

    Parameters
    ----------
    parts : int
        DACs; the last gives the supplies.
    board : `rmdlora.golden.spec.board.Board`

    Members
    -------
    frames, ended, answer
        As of `FrameSender`.
    clear : In(1)
        The chains have cleared themselves.
    connect : Out(1)
        Pulse: connect lines and ADC switches.
    settled : In(1)
        They are.
    ready, failed : Out(1)
        Start-up has ended well, or badly. Both stay until reset.
    xlat_oe_n : Out(1)
        The pin.
    """

    def __init__(self, parts, board):
        self._parts = parts
        self._board = board
        super().__init__({
            "frames": Out(stream.Signature(frame_layout(parts))), "ended": In(1), "answer": In(FRAME_BITS),
            "clear": In(1), "connect": Out(1), "settled": In(1), "ready": Out(1), "failed": Out(1),
            "xlat_oe_n": Out(1, init=1)})

    def settings(self):
        """``(select, register, value)`` of the frames between the identities and the TRIGGER, that one included."""
        everybody, supplies = (1 << self._parts) - 1, 1 << (self._parts - 1)
        rows = everybody ^ supplies
        supply_codes = (0, 0, 0, self._board.wl_read_code, MID_SCALE)   # VP_BL, VP_SL, VP_WL, V_WL_RD, VCM
        return (
            (everybody, DacRegister.SYNC, ALL_SYNC),
            (rows, DacRegister.GAIN, 0),
            (supplies, DacRegister.GAIN, SUPPLY_GAIN),
            (rows, DacRegister.CONFIG, DSDO | REF_PWDWN),       # the supplies' reference serves all
            *((rows, DacRegister.DAC0 + channel, MID_SCALE) for channel in range(8)),
            *((supplies, DacRegister.DAC0 + channel, code) for channel, code in enumerate(supply_codes)),
            (everybody, DacRegister.TRIGGER, TRIGGER_LDAC),
        )

    def elaborate(self, platform):
        m = Module()
        board = self._board
        frame = self.frames.payload
        timer = Signal(range(max(board.dac_wake_ticks, board.start_settle_ticks)), init=board.dac_wake_ticks - 1)
        part = Signal(range(self._parts))
        settings = self.settings()
        index = Signal(range(len(settings)))
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)

        def send(follower, *, select, address, value=0, read=0, slow=0):
            m.d.comb += [self.frames.valid.eq(1), frame.select.eq(select), frame.address.eq(address),
                         frame.value.eq(value), frame.read.eq(read), frame.slow.eq(slow)]
            with m.If(self.frames.ready):
                m.next = follower

        one = C(1) << part
        off = Signal(init=1, reset_less=True)       # a reset must not take the switches' addresses away
        m.d.comb += self.xlat_oe_n.eq(off)
        with m.FSM():
            with m.State("Wake"):
                m.d.sync += off.eq(0)
                with m.If((timer == 0) & self.clear):
                    m.next = "Let it answer"
            with m.State("Let it answer"):
                send("Ask its identity", select=one, address=DacRegister.CONFIG)
            with m.State("Ask its identity"):
                send("Hear its identity", select=one, address=DacRegister.DEVICE_ID, read=1, slow=1)
            with m.State("Hear its identity"):
                send("Wait for the answer", select=one, address=DacRegister.NOP, slow=1)
            with m.State("Wait for the answer"), m.If(self.ended):
                m.next = "Check its identity"
            with m.State("Check its identity"):
                # the question's echo; then, above reset value and version, 16 bits (000) and 8 channels (1)
                with m.If((self.answer[16:] == 0x80 | DacRegister.DEVICE_ID) & (self.answer[11:15] == 0b0001)):
                    m.next = "Silence it"
                with m.Else():
                    m.next = "Failed"
            with m.State("Silence it"):
                send("Let it answer", select=one, address=DacRegister.CONFIG, value=DSDO)
                with m.If(self.frames.ready):
                    m.d.sync += part.eq(part + 1)
                    with m.If(part == self._parts - 1):
                        m.next = "Set up"
            with m.State("Set up"):
                select, address, value = (Array(C(int(setting[field]), width) for setting in settings)[index]
                                          for field, width in enumerate((self._parts, 4, 16)))
                send("Set up", select=select, address=address, value=value)
                with m.If(self.frames.ready):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == len(settings) - 1):
                        m.next = "Wait for the update"
            with m.State("Wait for the update"), m.If(self.ended):
                m.d.sync += timer.eq(board.start_settle_ticks - 1)
                m.next = "Settle"
            with m.State("Settle"), m.If(timer == 0):
                m.d.comb += self.connect.eq(1)
                m.next = "Connect"
            with m.State("Connect"), m.If(self.settled):
                m.next = "Ready"
            with m.State("Ready"):
                m.d.comb += self.ready.eq(1)
            with m.State("Failed"):
                m.d.comb += self.failed.eq(1)
        return m
