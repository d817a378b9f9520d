"""What every way of loading the rows' DACs ends in: a TRIGGER frame, and the time their voltages take."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .frames import DacRegister, frame_layout

__all__ = ["MID_SCALE", "TRIGGER_LDAC", "Loader"]

MID_SCALE = 0x8000      # VCM
TRIGGER_LDAC = 1 << 4   # TRIGGER register, bit 4


class UpdateTimer(wiring.Component):
    """Knows when the DACs' voltages are those of the latest TRIGGER frame: ``dac_settle_ticks`` after its CS rises.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    trigger : In(1)
        From now on they are not.
    sent : In(1), applies : In(1)
        A frame is on its way; it is that TRIGGER.
    ended : In(1)
        As of `FrameSender`.
    settled : Out(1)
        They are.
    """

    def __init__(self, configuration):
        self._configuration = configuration
        super().__init__({"trigger": In(1), "sent": In(1), "applies": In(1), "ended": In(1), "settled": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        applying = Signal()     # the frame on its way is a TRIGGER
        settling = Signal()
        timer = Signal(range(max(2, self._configuration.board.dac_settle_ticks)))
        with m.If(self.sent):
            m.d.sync += applying.eq(self.applies)
        with m.If(settling):
            m.d.sync += timer.eq(timer - 1)
            with m.If(timer == 0):
                m.d.sync += [self.settled.eq(1), settling.eq(0)]
        with m.If(self.ended & applying):
            m.d.sync += [applying.eq(0), settling.eq(1),
                         timer.eq(max(0, self._configuration.board.dac_settle_ticks - 2))]
        with m.If(self.trigger):
            m.d.sync += self.settled.eq(0)
        return m


class Loader(wiring.Component):
    """What the ways of loading DACs have in common: what is loaded waits to be told, then a TRIGGER frame applies it.

    A subclass's FSM goes to "Loaded" with its last frame.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`
    members : dict
        The subclass's own.

    Members
    -------
    frames : Out(stream of `frame_layout`), ended : In(1)
        As of `FrameSender`.
    loaded : Out(1)
        The last frame is on its way.
    trigger : In(1)
        Apply what is loaded; only while ``loaded``.
    settled : Out(1)
        The voltages are those applied last.
    """

    def __init__(self, configuration, members):
        self._configuration = configuration
        parts = configuration.board.dacs(configuration.geometry.tile_rows) + 1
        self._rows = (1 << (parts - 1)) - 1         # all DACs but the supplies', which is left alone
        super().__init__(members | {
            "frames": Out(stream.Signature(frame_layout(parts))), "ended": In(1),
            "loaded": Out(1), "trigger": In(1), "settled": Out(1)})

    def apply_when_told(self, m, after):
        """Add the last states to the FSM that is open; ``after()`` sets the state that follows them."""
        frame = self.frames.payload

        def offer_trigger():
            m.d.comb += [self.frames.valid.eq(1), frame.address.eq(DacRegister.TRIGGER), frame.value.eq(TRIGGER_LDAC),
                         frame.select.eq(self._rows)]
            with m.If(self.frames.ready):
                after()

        with m.State("Loaded"):
            m.d.comb += self.loaded.eq(1)
            with m.If(self.trigger):
                m.next = "Apply"
                offer_trigger()
        with m.State("Apply"):
            offer_trigger()

    def time_update(self, m):
        """Say when the voltages are those applied last."""
        m.submodules.update = update = UpdateTimer(self._configuration)
        m.d.comb += [update.trigger.eq(self.trigger), update.sent.eq(self.frames.valid & self.frames.ready),
                     update.applies.eq(self.frames.payload.address == DacRegister.TRIGGER),
                     update.ended.eq(self.ended), self.settled.eq(update.settled)]
