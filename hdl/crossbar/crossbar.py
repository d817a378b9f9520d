"""The crossbar peripheral sequencer, connected."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from rmdlora.golden.spec.registers import ADDRESS_BITS, Fault

from ..axi import AccessPort
from ..pins import CHAINS, BoardPins
from .cells import CellMap
from .converter import Converter
from .frames import FrameSender
from .inputs import InputBuffer, SliceLoader, beat_layout, check_step
from .job import Job
from .lines import Lines
from .planes import AmplitudeLoader, PlaneCollector
from .program import Programmer
from .pulses import PulseCounters
from .sequence import ReadSequence
from .start import StartUp
from .sums import Sums
from .switch import Switch
from .walk import Command, Walk

__all__ = ["Crossbar"]


class Crossbar(wiring.Component):
    """Reads whole layers from the board's arrays: `x` in, the crossbar sums `c` out; and programs whole tiles.

    After reset it brings the board up by itself (`StartUp`); until that has ended well, and for ever where it has not,
    it refuses commands with `Fault.BOARD` and leaves every switch inhibited. A command must be legal (sizes of at
    least 1 and within the configuration, tiles within ``crossbar.arrays``). A second waits until the first has ended.

    `x` is taken at least two blocks ahead of the one being read, `c` is sent as outputs become final, a block behind at
    most: with `c` held back reading stops after two blocks, with no `x` it waits. Either may last for ever.

    N reads of one full tile take ``rows * frame_ticks + update_ticks + dac_settle_ticks + tia_settle_ticks +
    N * positions * conversion_ticks`` clocks and five, from the clock that accepts the command, `x` being there;
    streamed, 8 frames instead of ``rows``, and ``positions`` conversions a pass.

    An ADC whose framing bits are wrong (`Converter`) ends the command, or breaks off the job, with `Fault.FRAMING`.
    A command that ends so, or that is abandoned, gives no more of `c`; the conversion, the frame and the switches on
    their way come to their end, then ``busy`` falls, `x` and `c` that are left are forgotten, and the next command
    starts over.

    A job (`Programmer`) and a command wait for each other; during a job nothing of a read moves.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    command : In(stream of `Command`)
    job : In(stream of `Job`), job_done : Out(1)
        A tile to program, to the map behind ``cells``; it ends in this clock, well or with a ``fault``.
    cells : In(AccessPort)
        The host's side of `CellMap`.
    x : In(stream of beats of ``formats.activation`` bits)
    c : Out(stream of beats of ``formats.sum`` bits)
        Both as in golden/spec/geometry.py; elements of `c` past the layer's or the vectors' end are 0.
    pins : Out(`BoardPins`)
    abandon : In(1)
        Give up the command that runs, if one does.
    busy : Out(1)
        From the clock after a command is accepted to that in which its last beat of `c` is, or all is at rest again.
    waits : Out(1)
        It waits for `x`, or for `c` to be taken; it may do other things meanwhile. converted : Out(1)
        A conversion has ended, in this clock.
    ready, failed : Out(1)
        Start-up has ended well, or badly; neither while it runs.
    fault : Out(8)
        A `Fault` code for one clock, otherwise 0.
    conversions, tile_reads, frames, verifies, given_up, saturated : Out(32)
        ADC conversion cycles, tiles read, DAC frames sent (start-up's too), cells read alone, cells given up,
        conversions with a code at an end of its range.
    clear : In(1)
        Those to 0.
    pulses : Out(32), shown : In(16), tile_pulses : Out(32)
        As of `PulseCounters`.
    """

    def __init__(self, configuration):
        check_step(configuration)
        configuration.check_sums()
        self._configuration = configuration
        formats = configuration.formats
        super().__init__({
            "command": In(stream.Signature(Command)),
            "x": In(stream.Signature(beat_layout(configuration, formats.activation))),
            "c": Out(stream.Signature(beat_layout(configuration, formats.sum))),
            "pins": Out(BoardPins(configuration)),
            "job": In(stream.Signature(Job)), "job_done": Out(1), "cells": In(AccessPort(ADDRESS_BITS)),
            "busy": Out(1), "ready": Out(1), "failed": Out(1), "fault": Out(8), "clear": In(1),
            "conversions": Out(32), "tile_reads": Out(32), "frames": Out(32), "pulses": Out(32),
            "verifies": Out(32), "given_up": Out(32), "saturated": Out(32), "shown": In(16), "tile_pulses": Out(32),
            "abandon": In(1), "waits": Out(1), "converted": Out(1)})

    def elaborate(self, platform):
        m = Module()
        configuration, board, pins = self._configuration, self._configuration.board, self.pins
        parts = board.dacs(configuration.geometry.tile_rows) + 1
        m.submodules.start = start = StartUp(parts, board)
        m.submodules.sender = sender = FrameSender(parts, board)
        halt, forget = Signal(), Signal()       # a command is being given up; all is at rest
        streamed = configuration.crossbar.streamed
        loading = AmplitudeLoader if streamed else SliceLoader
        buffer, loader, walk, sums = (part(configuration) for part in (InputBuffer, loading, Walk, Sums))
        reader = PlaneCollector(configuration) if streamed else loader      # of the buffer
        for name, part in (("buffer", buffer), ("loader", loader), ("walk", walk), ("sums", sums)):
            m.submodules[name] = ResetInserter(forget)(part)
        m.submodules.lines = lines = Lines(configuration)
        m.submodules.adc_switch = adc_switch = Switch(board.positions, board)
        m.submodules.converter = converter = Converter(board.adcs(configuration.geometry.tile_columns), board)
        m.submodules.sequence = sequence = ReadSequence(configuration)
        m.submodules.programmer = programmer = Programmer(configuration)
        m.submodules.cells = cells = CellMap(configuration)
        m.submodules.pulse_counters = pulse_counters = PulseCounters(configuration)

        # commands
        begin, command = Signal(), Signal(Command)
        halting = Signal()
        framing = Signal()
        m.d.comb += [self.command.ready.eq(~self.busy & ~halting & ~programmer.active),
                     begin.eq(self.command.valid & self.command.ready & start.ready),
                     self.ready.eq(start.ready), self.failed.eq(start.failed)]
        current = Command(Mux(begin, self.command.payload.as_value(), command.as_value()))
        m.d.sync += command.eq(current)
        m.d.sync += self.busy.eq(begin | (((self.busy & ~sums.finished) | halting) & ~forget))
        m.d.sync += self.fault.eq(Mux(self.command.valid & self.command.ready & ~start.ready, Fault.BOARD,
                                      Mux(framing, Fault.FRAMING, programmer.fault)))
        m.d.comb += [
            framing.eq(converter.done & converter.framing & ~programmer.active & ~halting),
            halt.eq((self.busy & (self.abandon | framing)) | halting), lines.halt.eq(halt), sequence.halt.eq(halt),
            forget.eq(halting & converter.ready & sender.frames.ready & lines.resting & sequence.resting
                      & adc_switch.settled),
            self.waits.eq((buffer.x.ready & ~buffer.x.valid) | (sums.c.valid & ~sums.c.ready)),
            self.converted.eq(converter.done)]
        m.d.sync += halting.eq(halt & ~forget)
        for part in (buffer, loader, walk, sums):
            m.d.comb += part.begin.eq(begin)
        for part in (buffer, walk, sums, *(() if streamed else (loader,))):
            m.d.comb += part.command.eq(current)

        # inputs, to the DACs or, streamed, to the lines
        connect(m, flipped(self.x), buffer.x)
        m.d.comb += [buffer.group.eq(reader.group), buffer.release.eq(reader.release),
                     reader.available.eq(buffer.available), reader.beat.eq(buffer.beat)]
        if streamed:
            m.submodules.planes = ResetInserter(forget)(reader)
            connect(m, walk.steps, reader.steps)
            connect(m, reader.collected, lines.steps)
            m.d.comb += [reader.begin.eq(begin), lines.bits.eq(reader.bits)]
        else:
            connect(m, walk.steps, lines.steps)
        sources = ((start, ~start.ready), (programmer, programmer.active),
                   (loader, start.ready & ~programmer.active & ~halt))
        for source, sends in sources:
            m.d.comb += source.frames.ready.eq(sender.frames.ready & sends)
            with m.If(sends):
                m.d.comb += [sender.frames.payload.eq(source.frames.payload),
                             sender.frames.valid.eq(source.frames.valid)]
        m.d.comb += [
            start.ended.eq(sender.ended), start.answer.eq(sender.answer), loader.ended.eq(sender.ended)]

        # reads
        connect(m, lines.staged, sequence.staged)
        m.d.comb += [
            start.clear.eq(lines.clear), start.settled.eq(lines.settled & adc_switch.settled),
            lines.connect.eq(start.connect),
            adc_switch.change.eq(sequence.change | start.connect | programmer.change),
            adc_switch.position.eq(Mux(programmer.active, programmer.position, sequence.position)),
            sequence.switch_settled.eq(adc_switch.settled),
            sequence.lines_settled.eq(lines.settled),
            sequence.loaded.eq(loader.loaded), loader.trigger.eq(sequence.trigger),
            sequence.codes_settled.eq(loader.settled),
            sequence.held.eq(converter.held), sequence.may_trigger.eq(converter.trigger),
            sequence.adc_ready.eq(converter.ready),
            converter.start.eq(sequence.start | programmer.start),
            sequence.free.eq(sums.free), sums.open_block.eq(sequence.open_block), sequence.idle.eq(sums.idle)]

        # codes, to the sums
        m.d.comb += [sums.take.eq(converter.done & ~programmer.active & ~halt), sums.codes.eq(converter.codes),
                     sums.conversion.eq(sequence.conversion)]
        connect(m, sums.c, flipped(self.c))

        # programming
        connect(m, flipped(self.job), programmer.job)
        connect(m, flipped(self.cells), cells.access)
        connect(m, programmer.cell, lines.cell)
        m.d.comb += [
            programmer.permit.eq(start.ready & ~self.busy & ~halting & ~self.command.valid & lines.resting
                                 & sequence.resting & adc_switch.settled),
            programmer.framing.eq(converter.framing),
            self.job_done.eq(programmer.finished),
            cells.cell.eq(programmer.index), programmer.target.eq(cells.target), cells.result.eq(programmer.result),
            cells.store.eq(programmer.store), programmer.ended.eq(sender.ended),
            programmer.adc_ready.eq(converter.ready), programmer.done.eq(converter.done),
            programmer.codes.eq(converter.codes), programmer.switch_settled.eq(adc_switch.settled),
            programmer.home.eq(sequence.position), pins.b1500_trig_out.eq(programmer.trig_out),
            programmer.trig_in.eq(pins.b1500_trig_in), pulse_counters.tile.eq(programmer.cell.array),
            pulse_counters.pulsed.eq(programmer.pulsed), pulse_counters.shown.eq(self.shown),
            self.pulses.eq(pulse_counters.pulses), self.tile_pulses.eq(pulse_counters.tile_pulses)]

        # counters
        counts = ((self.conversions, converter.done), (self.frames, sender.frames.valid & sender.frames.ready),
                  (self.tile_reads, sums.take & sequence.conversion.closes & sequence.conversion.step.closes_tile),
                  (self.verifies, programmer.verified), (self.given_up, programmer.given_up),
                  (self.saturated, converter.done & converter.over))
        for count, event in counts:
            m.d.sync += count.eq(Mux(self.clear, 0, count + event))

        # pins
        m.d.comb += [
            pins.adc_dclock.eq(converter.dclock), pins.adc_cs_n.eq(converter.cs_n), converter.dout.eq(pins.adc_dout),
            pins.dac_sclk.eq(sender.sclk), pins.dac_sdi.eq(sender.sdi), pins.dac_cs_n.eq(sender.cs_n),
            sender.sdo.eq(pins.dac_sdo), pins.xlat_oe_n.eq(start.xlat_oe_n),
            pins.adc_mux_a.eq(adc_switch.a), pins.adc_mux_b.eq(adc_switch.b), pins.adc_mux_inh.eq(adc_switch.inh)]
        m.d.comb += [getattr(pins, name).eq(getattr(lines, name))
                     for name in (f"{line}_{pin}" for line in CHAINS for pin in lines.PINS)]
        return m
