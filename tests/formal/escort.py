"""The way to where something happens: known inputs for the first clocks; free ones from there on."""

from amaranth.hdl import Cat, Mux, Signal

__all__ = ["board", "pattern"]

ANSWER = 0x810800   # a DAC80508's, asked for its DEVICE_ID: 16 bits, 8 channels
SAMPLE, NULL, LAST = 5, 6, 20   # falls of DCLOCK: until then DOUT is pulled up; the null bit; the last bit of a code


def pattern(m, lines):
    """Inputs of `Lines` that connect it and give it a read to stage."""
    step = lines.steps.payload
    return [(lines.connect, 1), (lines.steps.valid, 1), (step.as_value(), 0), (step.rows, 3), (lines.staged.ready, 0),
            (lines.halt, 0), (lines.cell.owned, 0), (lines.cell.load, 0)]


def board(programs):
    """A function of ``(m, crossbar)`` that gives ``(input, value)`` pairs: DACs that say what they are, ADCs that
    always read -1; and a layer of one input and four outputs that is read again and again or, with ``programs``, the
    tile 0 to be programmed to zeros with pulses of the shortest width."""
    def drive(m, crossbar):
        pins = crossbar.pins
        selected, clocked, answer, sdo = Signal(), Signal(), Signal(24), Signal()
        begins = ~pins.dac_cs_n.all() & ~selected
        m.d.sync += [selected.eq(~pins.dac_cs_n.all()), clocked.eq(pins.dac_sclk)]
        with m.If(begins):
            m.d.sync += answer.eq(ANSWER)
        with m.Elif(pins.dac_sclk & ~clocked):
            m.d.sync += Cat(answer, sdo).eq(answer << 1)
        falls, dclock = Signal(8), Signal()
        m.d.sync += [dclock.eq(pins.adc_dclock), falls.eq(Mux(pins.adc_cs_n, 0, falls + (dclock & ~pins.adc_dclock)))]
        high = (falls < SAMPLE) | ((falls >= NULL) & (falls < LAST))
        command, job = crossbar.command, crossbar.job
        return [
            (pins.dac_sdo, sdo), (pins.adc_dout, high.replicate(len(pins.adc_dout))),
            (command.valid, crossbar.ready & (not programs)), (command.payload.vectors, 1),
            (command.payload.inputs, 1), (command.payload.outputs, 4), (command.payload.tile, 0),
            (crossbar.x.valid, 1), (crossbar.x.payload.as_value(), 0), (crossbar.c.ready, 1), (crossbar.clear, 0),
            (pins.b1500_trig_in, 0), (crossbar.abandon, 0), (job.valid, programs), (job.payload.as_value(), ~0),
            (job.payload.tile, 0), (job.payload.forming, 0), (job.payload.analyser, 0),
            *((pulse.ticks, 8) for pulse in job.payload.pulses), (crossbar.cells.valid, 0)]
    return drive
