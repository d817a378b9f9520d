"""The way of a streamed read's inputs: the amplitude to the DACs once a command, a bit plane to the lines a pass."""

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .frames import DacRegister
from .inputs import beat_layout
from .loader import MID_SCALE, Loader
from .walk import step_layout

__all__ = ["AmplitudeLoader", "PlaneCollector"]

DAC_CHANNELS = 8


class AmplitudeLoader(Loader):
    """Puts the full read amplitude on every row's voltage, once a command: a frame a channel to all the rows' DACs
    together, and a TRIGGER when told. What was there before (mid-scale after start-up, a verify's after programming) is
    of no concern then, and a vector needs no frame.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    begin : In(1)
        A command begins.
    frames, ended, loaded, trigger, settled
        As of `Loader`; ``loaded`` once a command.
    """

    def __init__(self, configuration):
        super().__init__(configuration, {"begin": In(1)})

    def elaborate(self, platform):
        m = Module()
        frame = self.frames.payload
        channel = Signal(range(DAC_CHANNELS))
        m.d.comb += [frame.select.eq(self._rows), frame.address.eq(DacRegister.DAC0 + channel),
                     frame.value.eq(MID_SCALE - self._configuration.amplitude)]

        def after_trigger():
            m.next = "Wait for a command"

        with m.FSM():
            with m.State("Wait for a command"), m.If(self.begin):
                m.next = "Send"
            with m.State("Send"):
                m.d.comb += self.frames.valid.eq(1)
                with m.If(self.frames.ready):
                    m.d.sync += channel.eq(channel + 1)
                    with m.If(channel == DAC_CHANNELS - 1):
                        m.next = "Loaded"
            self.apply_when_told(m, after_trigger)
        self.time_update(m)
        return m


class PlaneCollector(wiring.Component):
    """Gives every pass its bits, a row each: of the inputs in use whether they are in the pass's plane, else 0.

    Two clocks a row in use, and one to hand over: far less than the chain takes to shift them. The inputs of a slice
    are fetched again for every pass, so no slice is stored but the beats of `InputBuffer`.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    begin : In(1)
        Start over.
    steps : In(stream of `step_layout`)
    collected : Out(stream of `step_layout`), bits : Out
        The same passes, and the bits of each.
    group, available, beat, release
        The read side of `InputBuffer`.
    """

    def __init__(self, configuration):
        self._configuration = configuration
        geometry, steps = configuration.geometry, stream.Signature(step_layout(configuration))
        super().__init__({
            "begin": In(1), "steps": In(steps), "collected": Out(steps), "bits": Out(geometry.tile_rows),
            "group": Out(range(configuration.lora.groups(geometry.max_inputs))), "available": In(1),
            "beat": In(beat_layout(configuration, configuration.formats.activation)), "release": Out(1)})

    def elaborate(self, platform):
        m = Module()
        lanes, step = self._configuration.lora, self.steps.payload
        tile_rows, element_bits = self._configuration.geometry.tile_rows, (lanes.rows - 1).bit_length()
        row = Signal(range(tile_rows + 1))
        position = Signal(16)       # the row's input
        element = step.lane * lanes.rows + position[:element_bits]
        x = Signal(signed(self._configuration.formats.activation))
        m.d.comb += [position.eq(step.input + row), self.group.eq(position >> element_bits),
                     x.eq(self.beat[element] if lanes.beat_elements > 1 else self.beat[0]),
                     self.collected.payload.eq(step), self.steps.ready.eq(self.collected.valid & self.collected.ready)]

        with m.FSM():
            with m.State("Fetch"), m.If(self.steps.valid & self.available):
                m.next = "Collect"
            with m.State("Collect"):
                m.d.sync += [self.bits.bit_select(row, 1).eq(self.look_up(x)), row.eq(row + 1)]
                m.next = "Fetch"
                with m.If(row == step.rows - 1):
                    m.d.comb += self.release.eq(step.closes_block)
                    m.next = "Hand over"
            with m.State("Hand over"):
                m.d.comb += self.collected.valid.eq(1)
                with m.If(self.collected.ready):
                    m.d.sync += [self.bits.eq(0), row.eq(0)]
                    m.next = "Fetch"
        with m.If(self.begin):
            m.d.sync += [self.bits.eq(0), row.eq(0)]
        return m

    def look_up(self, x):
        """The bit of input ``x`` in the plane of the present pass."""
        shares = {"all": x, "positive": Mux(x < 0, 0, x), "negative": Mux(x < 0, -x, 0)}
        return Array(shares[plane.share][plane.bit] for plane in self._configuration.passes)[self.steps.payload.plane]
