"""The way of the inputs: beats of `x` into a buffer, from there as DAC codes into the frames of a slice."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.refusal import RefusedValue

from .frames import DacRegister
from .loader import MID_SCALE, Loader
from .walk import Command

__all__ = ["InputBuffer", "SliceLoader", "beat_layout", "check_step"]

BLOCKS = 4              # one at the DACs, one loading, and two beyond: a power of two


def beat_layout(configuration, width):
    """A beat of an operand or result stream: ``lora.beat_elements`` codes of ``width`` bits."""
    return data.ArrayLayout(signed(width), configuration.lora.beat_elements)


def check_step(configuration):
    """Refuse inputs whose codes leave the DACs' range."""
    bits = configuration.formats.activation
    limit = (0xFFFF - MID_SCALE) >> (bits - 1)
    if configuration.crossbar.step > limit:
        raise RefusedValue(f"crossbar.step must be at most {limit} with {bits}-bit activations and 16-bit DACs, "
                           f"not {configuration.crossbar.step}")


class InputBuffer(wiring.Component):
    """Keeps the blocks of `x` that are being read and at least two beyond, so that a unit fed from the same source can
    look ahead.

    Takes exactly the beats of the command, a beat a clock while one of its four blocks is free. A beat can be read from
    the second clock after it was taken.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    begin : In(1)
        Forget everything and take ``command``'s beats.
    command : In(`Command`)
        Stable while beats are taken.
    x : In(stream of `beat_layout`)
    group : In
        Beat to read of the oldest block.
    available : Out(1)
        That beat is here.
    beat : Out(`beat_layout`)
        It, a clock after ``group``.
    release : In(1)
        The oldest block is done with.
    """

    def __init__(self, configuration):
        self._configuration = configuration
        groups = configuration.lora.groups(configuration.geometry.max_inputs)
        self._beat = beat_layout(configuration, configuration.formats.activation)
        super().__init__({
            "begin": In(1), "command": In(Command), "x": In(stream.Signature(self._beat)), "group": In(range(groups)),
            "available": Out(1), "beat": Out(self._beat), "release": In(1)})

    def elaborate(self, platform):
        m = Module()
        lanes = self._configuration.lora
        bits = len(self.group)
        m.submodules.memory = memory = Memory(shape=self._beat, depth=BLOCKS << bits, init=[])
        write, read = memory.write_port(), memory.read_port()

        blocks = Signal(32)             # still to come, the present one included
        position = Signal(17)           # inputs of the present block that are here
        group = Signal(bits + 1)        # beats of it
        complete = Signal(range(BLOCKS + 1))
        block_in, block_out = Signal(range(BLOCKS)), Signal(range(BLOCKS))
        take, last = Signal(), Signal()
        m.d.comb += [
            self.x.ready.eq((blocks != 0) & (complete != BLOCKS)), take.eq(self.x.valid & self.x.ready),
            last.eq(position + lanes.rows >= self.command.inputs),
            write.addr.eq((block_in << bits) | group[:bits]), write.data.eq(self.x.payload), write.en.eq(take),
            read.addr.eq((block_out << bits) | self.group), read.en.eq(1), self.beat.eq(read.data),
            self.available.eq((complete != 0) | (self.group < group)),
        ]
        with m.If(take):
            m.d.sync += [position.eq(position + lanes.rows), group.eq(group + 1)]
            with m.If(last):
                m.d.sync += [position.eq(0), group.eq(0), blocks.eq(blocks - 1), block_in.eq(block_in + 1)]
        m.d.sync += complete.eq(complete + (take & last) - self.release)
        with m.If(self.release):
            m.d.sync += block_out.eq(block_out + 1)
        with m.If(self.begin):
            whole = self.command.vectors + (lanes.vectors - 1)
            m.d.sync += [blocks.eq(whole >> (lanes.vectors - 1).bit_length()), position.eq(0), group.eq(0),
                         complete.eq(0), block_in.eq(0), block_out.eq(0)]
        return m


class SliceLoader(Loader):
    """Sends each slice (the inputs of one vector and one row tile) to the DACs, then waits to be told to apply it.

    One frame a row in use, code ``0x8000 - step * x`` (the stage behind the array inverts); the DACs keep the codes
    back until one TRIGGER frame to all of them, sent on ``trigger``. The next slice's frames follow at once. Codes have
    settled `Board.dac_settle_ticks` after CS rises.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    begin : In(1)
        Start over with ``command``, which must be stable until the last slice is applied.
    command : In(`Command`)
    group, available, beat, release
        The read side of `InputBuffer`.
    frames, ended, loaded, trigger, settled
        As of `Loader`, of a slice.
    """

    def __init__(self, configuration):
        geometry, formats = configuration.geometry, configuration.formats
        super().__init__(configuration, {
            "begin": In(1), "command": In(Command), "group": Out(range(configuration.lora.groups(geometry.max_inputs))),
            "available": In(1), "beat": In(beat_layout(configuration, formats.activation)), "release": Out(1)})

    def elaborate(self, platform):
        m = Module()
        configuration = self._configuration
        lanes, tile_rows = configuration.lora, configuration.geometry.tile_rows
        frame = self.frames.payload
        vectors_left, inputs_left = Signal(32), Signal(16)  # the present one included
        row = Signal(range(tile_rows))
        element = Signal(range(lanes.rows))                 # within the beat
        lane = Signal(range(lanes.vectors))
        code = Signal(16)
        last_input, last_vector, last_lane = Signal(), Signal(), Signal()
        m.d.comb += [last_input.eq(inputs_left == row + 1), last_vector.eq(vectors_left == 1),
                     last_lane.eq(last_vector | (lane == lanes.vectors - 1))]

        def after_trigger():
            m.next = "Fetch"
            with m.If(vectors_left == 0):
                m.next = "Wait for a command"

        with m.FSM():
            with m.State("Wait for a command"), m.If(self.begin):
                m.d.sync += [vectors_left.eq(self.command.vectors), inputs_left.eq(self.command.inputs)]
                m.next = "Fetch"
            with m.State("Fetch"), m.If(self.available):
                m.next = "Scale"
            with m.State("Scale"):
                x = self.beat[lane * lanes.rows + element] if lanes.beat_elements > 1 else self.beat[0]
                m.d.sync += code.eq(MID_SCALE - configuration.crossbar.step * x)
                m.next = "Send"
            with m.State("Send"):
                m.d.comb += [self.frames.valid.eq(1), frame.address.eq(DacRegister.DAC0 + row[:3]),
                             frame.value.eq(code), frame.select.eq(1 << row[3:])]
                with m.If(self.frames.ready):
                    m.d.sync += [row.eq(row + 1), element.eq(element + 1)]
                    m.next = "Fetch"
                    with m.If(element == lanes.rows - 1):
                        m.d.sync += [element.eq(0), self.group.eq(self.group + 1)]
                    with m.If(last_input | (row == tile_rows - 1)):
                        m.d.sync += [row.eq(0), inputs_left.eq(inputs_left - tile_rows)]
                        m.next = "Loaded"
                    with m.If(last_input):
                        m.d.comb += self.release.eq(last_lane)
                        m.d.sync += [inputs_left.eq(self.command.inputs), vectors_left.eq(vectors_left - 1),
                                     element.eq(0), self.group.eq(0), lane.eq(Mux(last_lane, 0, lane + 1))]
            self.apply_when_told(m, after_trigger)
        self.time_update(m)
        return m
