"""Programming: cell by cell read alone, pulsed, read again, until it is what the map says or is given up."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.program import CellStatus, verify_volt
from rmdlora.golden.spec.registers import PULSES, Fault

from .cells import Result, Target
from .converter import CODE_BITS
from .frames import DacRegister, frame_layout
from .job import Job, Pulse
from .lines import ANALYSER, READ, RESET, SAFE, SET, CellPort
from .loader import MID_SCALE, TRIGGER_LDAC

__all__ = ["Programmer"]

VP_BL, VP_SL, VP_WL = range(3)      # channels of the supplies' DAC
DAC_CHANNELS = 8
SYNCHRONISER = 2                    # clocks behind the pin


class Programmer(wiring.Component):
    """Programs a tile to the map in `CellMap`, as `golden.spec.program` says, over lines, DACs and ADCs that are the
    reads' otherwise. ``golden.spec.program.program_cycles`` says how long that takes.

    A cell that already verifies is not pulsed, so a map may be run again after an interruption. The order of a pulse:
    all lines to SAFE; the supplies' codes; BL and SL to SET or RESET, `Board.line_settle_ticks`; WL to VP_WL for the
    pulse's ticks (or to the analyser, for as long as it takes); WL to SAFE; BL and SL to SAFE; the supplies back to 0;
    only then READ again. So no programming voltage exists while a line is in READ, and no mode but SAFE and READ is
    asked for outside of the pulse's states.

    A pulse kind it may use that is narrower than `Board.shortest_pulse_ticks` ends the job at once with `Fault.PULSE`,
    unless the analyser makes the pulses. An analyser that does not follow a trigger within `Board.analyser_ticks`
    ends it with `Fault.ANALYSER`, and a verify whose framing bits are wrong with `Fault.FRAMING`: the cell given up,
    the cells behind it as they were, the board as after any other job.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    job : In(stream of `Job`)
        Taken while ``permit`` is high.
    permit : In(1)
        The board is ready, and nothing reads.
    active, finished : Out(1)
        A job is under way; it ends in this clock.
    index, target, result, store
        The map's side of `CellMap`.
    cell : Out(`CellPort`)
    frames : Out(stream of `frame_layout`), ended : In(1)
        As of `FrameSender`.
    start : Out(1), adc_ready, done, framing : In(1), codes : In(array of codes)
        As of `Converter`.
    change, position : Out, switch_settled : In(1), home : In(2)
        As of the ADCs' `Switch`; ``home`` is where it was found and is left.
    pulsed, verified, given_up : Out(1)
        Pulse: one more of these. ``pulsed`` comes before the pulse itself.
    fault : Out(8)
        A `Fault` code for one clock.
    trig_out, trig_in
        The pins of the analyser.
    """

    def __init__(self, configuration):
        self._configuration = configuration
        geometry, board = configuration.geometry, configuration.board
        self._parts = board.dacs(geometry.tile_rows) + 1
        self._adcs = board.adcs(geometry.tile_columns)
        super().__init__({
            "job": In(stream.Signature(Job)), "permit": In(1), "active": Out(1), "finished": Out(1),
            "index": Out(range(geometry.tile_rows * geometry.tile_columns)), "target": In(Target),
            "result": Out(Result), "store": Out(1), "cell": Out(CellPort(geometry)),
            "frames": Out(stream.Signature(frame_layout(self._parts))), "ended": In(1),
            "start": Out(1), "adc_ready": In(1), "done": In(1), "framing": In(1),
            "codes": In(data.ArrayLayout(signed(CODE_BITS), self._adcs)),
            "change": Out(1), "position": Out(2), "switch_settled": In(1), "home": In(2),
            "pulsed": Out(1), "verified": Out(1), "given_up": Out(1), "fault": Out(8),
            "trig_out": Out(1), "trig_in": In(1)})

    def elaborate(self, platform):
        m = Module()
        configuration, board, cell = self._configuration, self._configuration.board, self.cell
        geometry = configuration.geometry
        rows_dacs, supplies = (1 << (self._parts - 1)) - 1, 1 << (self._parts - 1)
        job = Signal(Job)
        target, low, high = Signal(Target), Signal(signed(16)), Signal(signed(16))
        code = Signal(signed(CODE_BITS))
        pulses, amplitude = Signal(16), Signal(16)  # spent on this cell; of the latest
        resetting = Signal()                        # the latest was a RESET
        raising = Signal()                          # the supplies are on their way up, or down
        ending = Signal()                           # the last cell is done, or the job is broken off
        adc = Signal(range(self._adcs))             # which converts the cell's column, at ``position``
        timer = Signal(range(max(board.tia_settle_ticks, board.line_settle_ticks, board.analyser_ticks, 1 << 20) + 1))
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)

        # A DAC's update: until its frame has ended, and then until it has settled
        updating = Signal()
        update_timer = Signal(range(board.dac_settle_ticks + 1))
        frame = self.frames.payload
        with m.If(update_timer != 0):
            m.d.sync += update_timer.eq(update_timer - 1)
        with m.If(updating & self.ended):
            m.d.sync += [updating.eq(0), update_timer.eq(board.dac_settle_ticks)]
        with m.If(self.frames.valid & self.frames.ready & (frame.address == DacRegister.TRIGGER)):
            m.d.sync += updating.eq(1)
        step = Signal(range(DAC_CHANNELS + 1))      # of a series of frames

        def send(series, follower):
            """Send the frames ``(select, address, value)`` of a series one after the other."""
            m.d.comb += self.frames.valid.eq(1)
            with m.Switch(step):
                for number, (select, address, value) in enumerate(series):
                    with m.Case(number):
                        m.d.comb += [frame.select.eq(select), frame.address.eq(address), frame.value.eq(value)]
            with m.If(self.frames.ready):
                m.d.sync += step.eq(step + 1)
                with m.If(step == len(series) - 1):
                    m.d.sync += step.eq(0)
                    m.next = follower

        # The pulse that follows from a verify
        below, above = Signal(), Signal()           # the code is, of its window
        kind, pulse = Signal(range(len(PULSES))), Signal(Pulse)
        longer = Signal(17)
        fresh = Signal()                            # none of this kind before it
        m.d.comb += [kind.eq(Mux(job.forming, PULSES.index("FORM"), resetting)), pulse.eq(job.pulses[kind])]
        narrow = [job.pulses[index].ticks < board.shortest_pulse_ticks for index in range(len(PULSES))]
        refused = ~job.analyser & Mux(job.forming, narrow[PULSES.index("FORM")], narrow[0] | narrow[1])

        # The lines: what the words hold beside zeros
        m.d.comb += [cell.owned.eq(self.active), cell.array.eq(job.tile), cell.wl.eq(~ending), cell.sl.eq(~ending),
                     cell.bl.eq(~ending & (~raising | resetting)), self.result.pulses.eq(pulses)]
        trig_in = Signal()
        m.submodules.synchroniser = FFSynchronizer(self.trig_in, trig_in, stages=SYNCHRONISER)

        def connect_all(mode):
            m.d.comb += [cell.connect.eq(1), cell.connect_word.eq(1)]
            m.d.sync += [cell.mode.eq(mode), cell.word_mode.eq(mode)]

        def switch_adcs(position):
            m.d.sync += self.position.eq(position)
            m.d.comb += self.change.eq(self.position != position)

        def settle_all(ticks, ready):
            """Wait ``ticks`` from when ``ready`` is high: a block for what follows."""
            with m.If(~ready):
                m.d.sync += timer.eq(ticks - 1)
            return m.If(ready & (timer == 0))

        def conclude(status):
            m.d.comb += [self.result.status.eq(status), self.store.eq(1)]
            m.next = "Next cell"

        def shut_word_line():
            m.d.comb += cell.connect_word.eq(1)
            m.d.sync += cell.word_mode.eq(SAFE)
            m.next = "Ground the word line"

        last_column, last_row = cell.column == geometry.tile_columns - 1, cell.row == geometry.tile_rows - 1
        wanted = Signal(2)      # the ADC position of the cell's column
        all_settled, calm = cell.settled & cell.word_settled, Signal()
        m.d.comb += calm.eq(all_settled & self.switch_settled & ~updating & (update_timer == 0) & self.adc_ready)
        with m.FSM():
            with m.State("Wait for a map"):
                m.d.comb += self.job.ready.eq(self.permit)
                m.d.sync += [self.index.eq(0), cell.row.eq(0), cell.column.eq(0), adc.eq(0), wanted.eq(0),
                             ending.eq(0), raising.eq(0), self.position.eq(self.home)]
                with m.If(self.job.valid & self.permit):
                    m.d.sync += [job.eq(self.job.payload), self.active.eq(1)]
                    m.next = "Judge pulses"
            with m.State("Judge pulses"):
                m.next = "Apply the read voltage"
                with m.If(refused):
                    m.d.comb += [self.fault.eq(Fault.PULSE), self.finished.eq(1)]
                    m.d.sync += self.active.eq(0)
                    m.next = "Wait for a map"
            with m.State("Apply the read voltage"):
                send([*((rows_dacs, DacRegister.DAC0 + channel, MID_SCALE - verify_volt(configuration))
                        for channel in range(DAC_CHANNELS)), (rows_dacs, DacRegister.TRIGGER, TRIGGER_LDAC)],
                     "Fetch a target")
            with m.State("Fetch a target"):
                m.d.sync += pulses.eq(0)
                m.next = "Take the target"
            with m.State("Take the target"):
                m.d.sync += target.eq(self.target)
                m.next = "Look at the target"
            with m.State("Look at the target"):
                m.d.sync += [low.eq(target.code - target.tolerance), high.eq(target.code + target.tolerance)]
                with m.If(target.skip):
                    conclude(CellStatus.SKIPPED)
                with m.Else():
                    m.d.comb += cell.load.eq(1)
                    m.next = "Shift in"
            with m.State("Shift in"), m.If(cell.loaded & self.switch_settled):
                connect_all(READ)
                switch_adcs(wanted)
                m.next = "Settle"
            with m.State("Settle"), settle_all(board.tia_settle_ticks, calm):
                m.d.comb += self.start.eq(1)
                m.next = "Verify"
            with m.State("Verify"), m.If(self.done):
                m.d.comb += self.verified.eq(1)
                m.d.sync += code.eq(self.codes[adc])
                m.next = "Compare"
                with m.If(self.framing):
                    m.d.comb += [self.fault.eq(Fault.FRAMING), self.given_up.eq(1)]
                    m.d.sync += ending.eq(1)
                    conclude(CellStatus.GIVEN_UP)
                    m.next = "Clear the lines"
            with m.State("Compare"):
                m.d.sync += [below.eq(code < low), above.eq((code > high) & ~job.forming)]
                m.next = "Judge the code"
            with m.State("Judge the code"):
                m.d.sync += [resetting.eq(above), fresh.eq((pulses == 0) | (resetting != above))]
                with m.If(~below & ~above):
                    conclude(CellStatus.VERIFIED)
                with m.Elif(pulses == job.limit):
                    m.d.comb += self.given_up.eq(1)
                    conclude(CellStatus.GIVEN_UP)
                with m.Else():
                    m.next = "Choose the amplitude"
            with m.State("Choose the amplitude"):
                m.d.sync += longer.eq(Mux(fresh, pulse.start, amplitude + pulse.step))
                m.next = "Bound the amplitude"
            with m.State("Bound the amplitude"):
                m.d.sync += [amplitude.eq(Mux(longer > pulse.most, pulse.most, longer)), raising.eq(1)]
                connect_all(SAFE)
                m.next = "Leave the read"
            with m.State("Leave the read"), m.If(all_settled):
                m.d.comb += cell.load.eq(1)
                m.next = "Set the supplies"
            with m.State("Set the supplies"):
                send([(supplies, DacRegister.DAC0 + Mux(resetting, VP_BL, VP_SL), Mux(raising, amplitude, 0)),
                      (supplies, DacRegister.DAC0 + VP_WL, Mux(raising, pulse.gate, 0)),
                      (supplies, DacRegister.TRIGGER, TRIGGER_LDAC)], "Wait for the supplies")
            with m.State("Wait for the supplies"), m.If(~updating & cell.loaded):
                with m.If(raising):
                    m.d.comb += cell.connect.eq(1)
                    m.d.sync += cell.mode.eq(Mux(resetting, RESET, SET))
                    m.next = "Settle the lines"
                with m.Else():
                    connect_all(READ)
                    m.next = "Settle"
                    with m.If(ending):
                        switch_adcs(self.home)
                        m.next = "Come to rest"
            with m.State("Settle the lines"), settle_all(board.line_settle_ticks, cell.settled & (update_timer == 0)):
                m.d.comb += cell.connect_word.eq(1)
                m.d.sync += cell.word_mode.eq(Mux(job.analyser, ANALYSER, SET))
                m.next = "Prepare the word line"
            with m.State("Prepare the word line"):
                m.d.comb += cell.hold.eq(1)
                with m.If(cell.word_opened):
                    m.d.comb += self.pulsed.eq(1)
                    m.d.sync += [pulses.eq(pulses + 1), timer.eq(pulse.ticks)]
                    m.next = "Pulse"
                    with m.If(job.analyser):
                        m.next = "Connect the analyser"
            with m.State("Pulse"), m.If(timer == 0):
                shut_word_line()
            with m.State("Connect the analyser"), m.If(cell.word_settled):
                m.d.sync += [self.trig_out.eq(1), timer.eq(board.analyser_ticks)]
                m.next = "Wait for the analyser"
            with m.State("Wait for the analyser"):
                with m.If(trig_in):
                    m.d.sync += [self.trig_out.eq(0), timer.eq(board.analyser_ticks)]
                    m.next = "Let the analyser go"
                with m.Elif(timer == 0):
                    m.next = "Break off"
            with m.State("Let the analyser go"):
                with m.If(~trig_in):
                    shut_word_line()
                with m.Elif(timer == 0):
                    m.next = "Break off"
            with m.State("Break off"):
                m.d.comb += [self.fault.eq(Fault.ANALYSER), self.given_up.eq(1)]
                m.d.sync += [self.trig_out.eq(0), ending.eq(1)]
                conclude(CellStatus.GIVEN_UP)
                shut_word_line()
            with m.State("Ground the word line"), m.If(cell.word_settled):
                m.d.comb += cell.connect.eq(1)
                m.d.sync += cell.mode.eq(SAFE)
                m.next = "Release the lines"
            with m.State("Release the lines"), m.If(cell.settled):
                m.d.sync += raising.eq(0)
                m.next = "Load what is read"
            with m.State("Load what is read"):
                m.d.comb += cell.load.eq(1)
                m.next = "Set the supplies"
            with m.State("Next cell"):
                m.d.sync += [self.index.eq(self.index + 1), cell.column.eq(cell.column + 1), adc.eq(adc + 1)]
                m.next = "Fetch a target"
                with m.If(adc == self._adcs - 1):
                    m.d.sync += [adc.eq(0), wanted.eq(wanted + 1)]
                with m.If(last_column):
                    m.d.sync += [cell.column.eq(0), cell.row.eq(cell.row + 1), wanted.eq(0)]
                with m.If(last_column & last_row):
                    m.d.sync += ending.eq(1)
                    m.next = "Clear the lines"
            with m.State("Clear the lines"):
                m.d.comb += cell.load.eq(1)
                m.next = "Shift zeros"
            with m.State("Shift zeros"), m.If(cell.loaded & self.switch_settled):
                connect_all(READ)
                switch_adcs(self.home)
                m.next = "Come to rest"
            with m.State("Come to rest"), m.If(calm):
                m.d.comb += self.finished.eq(1)
                m.d.sync += self.active.eq(0)
                m.next = "Wait for a map"
        return m
