"""When things happen in a read: what may change, when it has settled, when the next conversion starts."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .sums import conversion_layout
from .walk import step_layout

__all__ = ["ReadSequence"]


class ReadSequence(wiring.Component):
    """Goes through the conversions of all reads as fast as the parts allow.

    Once the ADCs hold, the next conversion is prepared beside the present one: the ADC switches move, or the next read
    is taken: its lines connect, its slice is applied (that frame starts early enough to end right after the hold), the
    switches go back. When all that has settled, and the stages behind it (``tia_settle_ticks``), and the conversion is
    over, the next one starts. With the default board that leaves no gap.

    Only positions in use are converted: those of the read's columns, and with a reference column its position, first.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    staged : In(stream of `step_layout`), lines_settled : In(1)
        As of `Lines`.
    loaded : In(1), trigger : Out(1), codes_settled : In(1)
        As of `SliceLoader`.
    free : In(1), open_block : Out(1), idle : In(1)
        As of `Sums`.
    held, may_trigger, adc_ready : In(1), start : Out(1)
        As of `Converter`.
    conversion : Out(`conversion_layout`)
        The one in flight, stable until the next ``start``.
    change : Out(1), position : Out(2), switch_settled : In(1)
        As of the ADCs' `Switch`, which must be at position 0 before the first read.
    halt : In(1), resting : Out(1)
        Take nothing and start nothing, and forget the read that was taken; it has been forgotten, and the ADCs hold.
    """

    def __init__(self, configuration):
        self._configuration = configuration
        super().__init__({
            "staged": In(stream.Signature(step_layout(configuration))), "lines_settled": In(1),
            "loaded": In(1), "trigger": Out(1), "codes_settled": In(1),
            "free": In(1), "open_block": Out(1), "idle": In(1),
            "held": In(1), "may_trigger": In(1), "adc_ready": In(1), "start": Out(1),
            "conversion": Out(conversion_layout(configuration)),
            "change": Out(1), "position": Out(2), "switch_settled": In(1), "halt": In(1), "resting": Out(1)})

    def elaborate(self, platform):
        m = Module()
        board = self._configuration.board
        staged, step = self.staged.payload, Signal(step_layout(self._configuration))
        first, following, is_last = self.order(m, step)

        triggered = Signal()    # the staged read's slice has been applied ahead of the read
        may_take = Signal()
        m.d.comb += may_take.eq(~self.halt & self.staged.valid & (self.free | ~staged.opens_block)
                                & (self.loaded | triggered | ~staged.opens_slice))
        calm = Signal()
        timer = Signal(range(max(2, board.tia_settle_ticks)))
        m.d.comb += calm.eq(self.lines_settled & self.codes_settled & self.switch_settled)

        def move_to(position):
            m.d.sync += [self.position.eq(position), timer.eq(board.tia_settle_ticks - 1)]
            m.d.comb += self.change.eq(position != self.position)
            m.next = "Settle"

        with m.FSM():
            with m.State("Take a read"):
                m.d.comb += self.resting.eq(1)
                with m.If(may_take):
                    m.d.comb += [self.staged.ready.eq(1), self.open_block.eq(staged.opens_block),
                                 self.trigger.eq(staged.opens_slice & ~triggered)]
                    m.d.sync += [step.eq(staged), triggered.eq(0)]
                    move_to(first)
            with m.State("Settle"):
                with m.If(self.halt):
                    m.next = "Take a read"
                with m.Elif(~calm):
                    m.d.sync += timer.eq(board.tia_settle_ticks - 1)
                with m.Elif(timer != 0):
                    m.d.sync += timer.eq(timer - 1)
                with m.Elif(self.adc_ready & self.idle):
                    m.d.comb += self.start.eq(1)
                    m.d.sync += [self.conversion.step.eq(step), self.conversion.position.eq(self.position),
                                 self.conversion.closes.eq(is_last)]
                    m.next = "Wait for the hold"
            with m.State("Wait for the hold"):
                early = self.may_trigger & is_last & may_take & staged.opens_slice & ~triggered
                with m.If(early):
                    m.d.comb += self.trigger.eq(1)
                    m.d.sync += triggered.eq(1)
                with m.If(self.held):
                    with m.If(is_last | self.halt):
                        m.next = "Take a read"
                    with m.Else():
                        move_to(following)
        with m.If(self.halt):
            m.d.sync += triggered.eq(0)
        return m

    def order(self, m, step):
        """``(first, following, is_last)``: the first position of any read, the one after ``self.position`` in ``step``,
        and whether there is none."""
        positions, mapping = self._configuration.board.positions, self._configuration.crossbar.mapping
        columns = self._configuration.geometry.tile_columns // positions    # converted together
        following, is_last = Signal(range(positions + 1)), Signal()
        reference = mapping == "reference"
        first = positions - 1 if reference else 0
        a_position = columns if reference else columns // 2                 # outputs it gives
        wrapped = Mux(self.position == first, 0, self.position + 1) if reference else self.position + 1
        m.d.comb += following.eq(wrapped)
        with m.Switch(following):
            for position in range(positions):
                with m.Case(position):
                    m.d.comb += is_last.eq(step.outputs <= position * a_position)
            with m.Default():
                m.d.comb += is_last.eq(1)
        if reference:
            # the last position came first, with what outputs it holds
            with m.If(following == first):
                m.d.comb += is_last.eq(1)
        return first, following, is_last
