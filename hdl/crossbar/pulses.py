"""Programming pulses counted since power-up: RM writes."""

from amaranth.hdl import Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["PulseCounters"]

COUNTED_ARRAYS = 4096       # more are modelled ones of a simulation: a board has a few


class PulseCounters(wiring.Component):
    """Counts all pulses, and those of each array (of the first 4096). A soft reset, which resets the peripheral from
    outside, clears nothing; the reset of the clock domain clears the sum, but not the memory of the arrays' counts.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    tile : the array being programmed, stable for some clocks before ``pulsed``: one more pulse.
    pulses : all of them.
    shown : which array's ``tile_pulses`` to show, 2 clocks later; 0 for an array that is not counted.
    """

    def __init__(self, configuration):
        self.arrays = min(configuration.crossbar.arrays, COUNTED_ARRAYS)
        super().__init__({"tile": In(16), "pulsed": In(1), "pulses": Out(32), "shown": In(16), "tile_pulses": Out(32)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=32, depth=self.arrays, init=[])
        write, own, read = memory.write_port(), memory.read_port(), memory.read_port()
        pulses, more = Signal(32, reset_less=True), Signal(32)
        m.d.comb += [
            self.pulses.eq(pulses), own.addr.eq(self.tile), own.en.eq(1), write.addr.eq(self.tile),
            write.data.eq(more), write.en.eq(self.pulsed & (self.tile < self.arrays)),
            read.addr.eq(self.shown), read.en.eq(1), self.tile_pulses.eq(Mux(self.shown < self.arrays, read.data, 0))]
        m.d.sync += [pulses.eq(pulses + self.pulsed), more.eq(own.data + 1)]
        with m.If(ResetSignal(allow_reset_less=True)):
            m.d.sync += pulses.eq(0)
        return m
