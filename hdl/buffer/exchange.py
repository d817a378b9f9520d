"""Moves row words between a page of the buffer and the streams, while the unit works on the other page."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.pages import Region

from ..axi import beat_signature
from ..operation import Operation
from .port import RowPort

__all__ = ["Exchanger"]


class Exchanger(wiring.Component):
    """Lets a stretch leave a page and the next one enter it, row word by row word (`golden.spec.pages.Exchange`), in
    `Pipeline.exchange` clocks.

    A row word that leaves is read, then goes out from its lower end, ``beat_elements`` elements a beat, first the
    weights, then the states; the one that enters comes in from the upper end of the same registers meanwhile, and is
    stored. A beat moves when every stream that takes part in it can; without one that can, the exchange waits. Host
    accesses to the page come in between two row words.

    Members
    -------
    operation : turns with an exchange, taken when idle; the exchange begins with the unit's first clock, or at once
        where the unit has no work in it.
    unit_runs : the unit's operation runs. running : an exchange runs. done : its last clock.
    page : which page is exchanged, stable from ``operation`` on. load, store : beats of row words.
    last : the beat at ``store`` is the exchange's last. rows : to that page.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        beats = beat_signature(configuration.formats.element, configuration.lora.beat_elements)
        super().__init__({
            "operation": In(stream.Signature(Operation)), "unit_runs": In(1), "running": Out(1), "done": Out(1),
            "page": Out(1), "load": In(beats), "store": Out(beats), "last": Out(1),
            "rows": Out(RowPort(configuration))})

    def elaborate(self, platform):
        m = Module()
        configuration, rows, given = self.configuration, self.rows, self.operation.payload
        lanes, formats = configuration.lora, configuration.formats
        turn = Signal(Operation)    # fields that are not read fall away
        count = range(configuration.page_words + 1)
        leaving, entering, index = Signal(count), Signal(count), Signal(count)      # row words, and which is next
        words = [Signal(data.ArrayLayout(signed(bits), lanes.row_elements), name=name)
                 for name, bits in (("weights", formats.adapter), ("states", formats.state))]
        beat = Signal(range(lanes.row_beats))
        leaves, enters, last_word = Signal(), Signal(), Signal()
        m.d.comb += [leaves.eq(index < leaving), enters.eq(index < entering),
                     last_word.eq((index + 1 >= leaving) & (index + 1 >= entering)),
                     self.page.eq(turn.adapter < configuration.page_words),
                     rows.weights_address.eq(index), rows.states_address.eq(index), rows.write_address.eq(index),
                     rows.new_weights.eq(words[0]), rows.new_states.eq(words[1])]

        # What the row word that comes next has to do, the first one's from the operation as it is given.
        moves = [Signal(name=f"moves_{name}") for name in ("weights", "states")]
        goes = [leaves & turn.leaves_weights, leaves & turn.leaves_states]
        comes = [enters & turn.enters_weights, enters & turn.enters_states]
        m.d.comb += [move.eq(go | come) for move, go, come in zip(moves, goes, comes, strict=True)]

        memory = configuration.pipeline.memory
        reads, flight = Signal(), Signal(memory)
        m.d.sync += [flight.eq(Cat(reads, flight)), rows.settled.eq(~(reads | flight[:-1].any()))]
        m.d.comb += [rows.read_weights.eq(reads), rows.read_states.eq(reads)]

        used = min(lanes.beat_elements, lanes.row_elements)     # elements of a beat
        half = Signal()     # which of the two is on its way
        taken = Signal()

        def move(which):
            """A beat of weights or of states, in and out."""
            word, bits = words[which], (formats.adapter, formats.state)[which]
            m.d.comb += [half.eq(which), self.store.valid.eq(goes[which] & (self.load.valid | ~comes[which])),
                         self.load.ready.eq(comes[which] & (self.store.ready | ~goes[which])),
                         taken.eq((self.load.valid | ~comes[which]) & (self.store.ready | ~goes[which]))]
            m.d.comb += [self.store.payload[place].eq(word[place]) for place in range(used)]
            new = Cat(self.load.payload[place][:bits] for place in range(used))
            with m.If(taken):
                m.d.sync += [word.as_value().eq(Cat(word.as_value()[used * bits:], new)),
                             beat.eq(Mux(beat == lanes.row_beats - 1, 0, beat + 1))]

        m.d.comb += self.running.eq(1)
        m.d.comb += self.last.eq((index + 1 == leaving) & (beat == lanes.row_beats - 1)
                                 & (half | ~turn.leaves_states))

        def next_word():
            """On to the next row word, or to the end."""
            m.d.sync += index.eq(index + 1)
            with m.If(last_word):
                m.d.comb += self.done.eq(1)
                m.next = "Wait for a turn"
            with m.Elif(index + 1 < leaving):
                m.next = "Fetch"
            with m.Elif(turn.enters_weights):
                m.next = "Move weights"
            with m.Else():
                m.next = "Move states"

        def begin(operation):
            """The first row word's first state."""
            with m.If(operation.leaves_words != 0):
                m.next = "Fetch"
            with m.Elif(operation.enters_weights):
                m.next = "Move weights"
            with m.Else():
                m.next = "Move states"

        with m.FSM():
            with m.State("Wait for a turn"):
                m.d.comb += [self.operation.ready.eq(1), self.running.eq(0)]
                m.d.sync += [index.eq(0), beat.eq(0)]
                with m.If(self.operation.valid):
                    m.d.sync += [turn.eq(given), leaving.eq(given.leaves_words), entering.eq(given.enters_words)]
                    with m.If(given.region == Region.NONE):
                        m.d.comb += self.running.eq(1)
                        begin(given)
                    with m.Else():
                        m.next = "Wait for the unit"
            with m.State("Wait for the unit"):
                m.d.comb += self.running.eq(0)
                with m.If(self.unit_runs):
                    m.d.comb += self.running.eq(1)
                    begin(turn)
            with m.State("Fetch"):
                m.d.comb += reads.eq(~rows.hold)
                with m.If(reads):
                    m.next = "Await row word"
            with m.State("Await row word"), m.If(flight[-1]):
                m.d.sync += [words[0].eq(rows.weights), words[1].eq(rows.states)]
                with m.If(moves[0]):
                    m.next = "Move weights"
                with m.Else():
                    m.next = "Move states"
            for which, name in enumerate(("weights", "states")):
                with m.State(f"Move {name}"):
                    move(which)
                    with m.If(taken & (beat == lanes.row_beats - 1)):
                        if which == 0:
                            with m.If(moves[1]):
                                m.next = "Move states"
                            with m.Elif(enters):
                                m.next = "Store"
                            with m.Else():
                                next_word()
                        else:
                            with m.If(enters):
                                m.next = "Store"
                            with m.Else():
                                next_word()
            with m.State("Store"), m.If(~rows.hold):
                m.d.comb += [rows.write_weights.eq(turn.enters_weights), rows.write_states.eq(turn.enters_states)]
                next_word()
        return m
