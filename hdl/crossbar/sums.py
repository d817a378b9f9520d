"""From codes to `c`: pairs or reference subtracted, added up over row tiles, and handed out in beats."""

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .converter import CODE_BITS
from .inputs import beat_layout
from .walk import Command, step_layout

__all__ = ["Sums", "conversion_layout"]


def conversion_layout(configuration):
    """One conversion: its read, the position of the ADC switches, and whether it is the read's last."""
    return data.StructLayout({"step": step_layout(configuration), "position": range(configuration.board.positions),
                              "closes": 1})


class Sums(wiring.Component):
    """Adds the codes of every conversion to the sums of their outputs, and sends a block's sums when they are complete.

    ``c[o] += code(+) - code(-)`` or ``code - code(reference)``, times what its bit plane is worth where the read is
    streamed, exact; the first share starts an output over. With a reference column the position that holds it must be
    the first of its read. Two clocks an output. Two blocks are
    kept: one that adds up, one that is sent. A beat takes one or two clocks an element, once its outputs are final.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    begin : In(1)
        Start over with ``command``, which must be stable until ``finished``.
    command : In(`Command`)
    conversion : In(`conversion_layout`), codes : In(array of codes), take : In(1)
        With ``take``, the codes of a conversion. Both stable from then until ``idle``.
    idle : Out(1)
        Codes can be taken.
    open_block : In(1)
        A block's first read begins: it occupies one of the two places.
    free : Out(1)
        There is such a place.
    c : Out(stream of `beat_layout`)
    finished : Out(1)
        Pulse: the command's last beat has been accepted.
    """

    def __init__(self, configuration):
        self._configuration = configuration
        geometry, formats = configuration.geometry, configuration.formats
        self._bits = configuration.sum_bits
        self._adcs = configuration.board.adcs(geometry.tile_columns)
        super().__init__({
            "begin": In(1), "command": In(Command), "conversion": In(conversion_layout(configuration)),
            "codes": In(data.ArrayLayout(signed(CODE_BITS), self._adcs)), "take": In(1), "idle": Out(1),
            "open_block": In(1), "free": Out(1), "c": Out(stream.Signature(beat_layout(configuration, formats.sum))),
            "finished": Out(1)})

    def elaborate(self, platform):
        m = Module()
        configuration = self._configuration
        lanes, outputs = configuration.lora, self.command.outputs
        output_bits = (configuration.geometry.max_outputs - 1).bit_length()
        lane_bits = (lanes.vectors - 1).bit_length()
        m.submodules.memory = memory = Memory(shape=signed(self._bits), depth=2 << (output_bits + lane_bits), init=[])
        write, read = memory.write_port(), memory.read_port()
        complete = Array(Signal(17, name=f"complete_{bank}") for bank in range(2))  # outputs of a block that are final

        # adding up
        step, position = self.conversion.step, self.conversion.position
        bank_in = Signal()
        difference, share, places = self.subtract(m)
        place = Signal(range(places))
        first_output = Array(p * places for p in range(configuration.board.positions))[position]
        output = Signal(16)             # within the tile
        address, reading = Signal(output_bits + lane_bits + 1), Signal()
        before, after = Signal(signed(self._bits)), Signal(signed(self._bits))
        m.d.comb += [share.eq(place), address.eq(Cat((step.base + output)[:output_bits], step.lane, bank_in)),
                     write.addr.eq(address), before.eq(Mux(step.first_share, 0, read.data)), write.data.eq(after)]
        m.d.comb += after.eq(self.add(m, before, difference))
        with m.FSM(name="add"):
            with m.State("Wait for codes"):
                m.d.comb += self.idle.eq(1)
                with m.If(self.take):
                    m.d.sync += [place.eq(0), output.eq(first_output)]
                    m.next = "Look up"
            with m.State("Look up"):
                with m.If(output < step.outputs):
                    m.d.comb += reading.eq(1)
                    m.next = "Add"
                with m.Else():
                    m.next = "Close"
            with m.State("Add"):
                m.d.comb += write.en.eq(1)
                m.d.sync += [place.eq(place + 1), output.eq(output + 1)]
                m.next = "Look up"
                with m.If(place == places - 1):
                    m.next = "Close"
            with m.State("Close"):
                m.next = "Wait for codes"
                with m.If(self.conversion.closes & step.final):
                    m.d.sync += complete[bank_in].eq(step.base + step.outputs)
                    with m.If(step.base + step.outputs == outputs):
                        m.d.sync += bank_in.eq(~bank_in)

        # sending
        bank_out, active = Signal(), Signal()
        vectors_left = Signal(32)
        group = Signal(17)              # first output of the beat
        row, lane = Signal(range(lanes.rows)), Signal(range(lanes.vectors))
        wanted, last_element = Signal(), Signal()
        beat = Signal(self.c.payload.shape().size)
        element = Signal(signed(configuration.formats.sum))
        send_address = Cat((group + row)[:output_bits], lane, bank_out)
        m.d.comb += [
            wanted.eq((group + row < outputs) & (lane < vectors_left)),
            last_element.eq((row == lanes.rows - 1) & (lane == lanes.vectors - 1)),
            read.en.eq(1), read.addr.eq(Mux(reading, address, send_address)), self.c.payload.eq(beat),
        ]

        def keep_element():
            m.d.sync += [beat.eq(Cat(beat, element)[len(element):]), row.eq(row + 1)]
            m.next = "Gather"
            with m.If(row == lanes.rows - 1):
                m.d.sync += [row.eq(0), lane.eq(Mux(last_element, 0, lane + 1))]
            with m.If(last_element):
                m.next = "Hand over"

        drained = Signal()
        with m.FSM(name="send"):
            with m.State("Gather"), m.If(active):
                with m.If(~wanted):
                    keep_element()
                with m.Elif((complete[bank_out] > group + row) & ~reading):
                    m.next = "Keep"
            with m.State("Keep"):
                m.d.comb += element.eq(read.data)
                keep_element()
            with m.State("Hand over"):
                m.d.comb += self.c.valid.eq(1)
                with m.If(self.c.ready):
                    m.d.sync += group.eq(group + lanes.rows)
                    m.next = "Gather"
                    with m.If(group + lanes.rows >= outputs):
                        m.d.comb += drained.eq(1)
                        m.d.sync += [group.eq(0), complete[bank_out].eq(0), bank_out.eq(~bank_out),
                                     vectors_left.eq(vectors_left - lanes.vectors)]
                        with m.If(vectors_left <= lanes.vectors):
                            m.d.comb += self.finished.eq(1)
                            m.d.sync += active.eq(0)
        with m.If(self.begin):
            m.d.sync += [active.eq(1), vectors_left.eq(self.command.vectors)]
        occupied = Signal(range(3))
        m.d.comb += self.free.eq(occupied != 2)
        m.d.sync += occupied.eq(occupied + self.open_block - drained)
        return m

    def add(self, m, before, difference):
        """``before`` and the difference; streamed, times what its plane is worth, known the clock after the look-up."""
        passes = self._configuration.passes
        if not passes:
            return before + difference
        plane = self.conversion.step.plane
        bit = Array(C(entry.bit, 4) for entry in passes)[plane]
        subtracted = Array(C(entry.subtracted, 1) for entry in passes)[plane]
        worth = Signal(signed(self._bits))
        m.d.sync += worth.eq(difference << bit)
        return Mux(subtracted, before - worth, before + worth)

    def subtract(self, m):
        """``(difference, share, count)``: the share-th difference of the conversion's codes, of ``count`` there are."""
        difference = Signal(signed(CODE_BITS + 1))
        if self._configuration.crossbar.mapping == "differential":
            share = Signal(range(self._adcs // 2))
            pair = data.ArrayLayout(signed(CODE_BITS), 2)
            pairs = data.View(data.ArrayLayout(pair, self._adcs // 2), self.codes.as_value())
            m.d.comb += difference.eq(pairs[share][0] - pairs[share][1])
            return difference, share, self._adcs // 2
        share, reference = Signal(range(self._adcs)), Signal(signed(CODE_BITS))
        with m.If(self.take & (self.conversion.position == self._configuration.board.positions - 1)):
            m.d.sync += reference.eq(self.codes[-1])
        m.d.comb += difference.eq(self.codes[share] - reference)
        return difference, share, self._adcs
