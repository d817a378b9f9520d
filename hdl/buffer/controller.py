"""Who may use the memories, and when."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .port import HostPort, RowPort, Space
from .scrub import Scrubber
from .store import Store

__all__ = ["Buffer"]


class Buffer(wiring.Component):
    """The memories: weights, states, gains and offsets; for the unit, the host and, with error correction, a scrubber.

    The unit has them by default. A host request asks for a clock without a slot (``hold``), waits until no
    read-modify-write is under way, then reads or writes in one clock and answers as soon as the word is there: so no
    word is lost or torn, whatever the unit does. Requests are served one at a time, in order; a forward loses one
    slot an access, three a read with error correction.

    With error correction a row word in which the host, the unit or the scrubber met a flipped bit is read again the
    same way and mended; an element with two flipped bits stays as it is. ``corrected``, ``uncorrectable``: row words
    read, by any of the three (but not to be mended), that had an element with one, with two flipped bits. They wrap;
    ``clear`` sets them to 0; without error correction they stay 0.

    Parameters: ``configuration``; ``configuration.sram`` says which memories. ``words``: row words, where they are
    not all of that (a page); ``calibrates``: with the calibration.
    """

    def __init__(self, configuration, words=None, calibrates=True):
        self.configuration = configuration
        lanes, formats, sram = configuration.lora, configuration.formats, configuration.sram
        words, calibration_words = words or sram.words, configuration.calibration_words
        self.stores = {
            Space.WEIGHTS: Store(formats.adapter, lanes.row_elements, words, sram, pair=True),
            Space.STATES: Store(formats.state, lanes.row_elements, words, sram, pair=True)}
        if calibrates:
            self.stores |= {Space.GAIN: Store(formats.gain, lanes.rows, calibration_words, sram),
                            Space.OFFSET: Store(formats.sum, lanes.rows, calibration_words, sram)}
        super().__init__({"rows": In(RowPort(configuration)), "host": In(HostPort()), "corrected": Out(32),
                          "uncorrectable": Out(32), "clear": In(1)})

    def elaborate(self, platform):
        m = Module()
        rows, host, stores = self.rows, self.host, self.stores
        secded, single_port = self.configuration.sram.secded, self.configuration.sram.single_port
        m.submodules.weights, m.submodules.states = stores[Space.WEIGHTS], stores[Space.STATES]
        if Space.GAIN in stores:
            m.submodules.gains, m.submodules.offsets = stores[Space.GAIN], stores[Space.OFFSET]
        if secded:
            m.submodules.scrubber = scrubber = Scrubber(
                [store.depth for store in stores.values()], self.configuration.sram.scrub_clocks)

        # The access under way: the host's request, or the scrubber's.
        scrubs, mended, mended_row = Signal(), Signal(2), Signal(range(max(store.depth for store in stores.values())))
        write, space = Signal(), Signal(2)
        m.d.comb += [write.eq(host.write & ~scrubs), space.eq(Mux(scrubs, mended, host.space))]
        waits, access, mend = Signal(), Signal(), Signal()
        with m.FSM():
            with m.State("Serve the unit"):
                m.d.comb += waits.eq(1)
                with m.If(host.valid):
                    m.next = "Hold"
                if secded:
                    m.d.sync += [scrubs.eq(~host.valid), mended.eq(scrubber.space), mended_row.eq(scrubber.row)]
                    with m.If(scrubber.request):
                        m.next = "Hold"
            with m.State("Hold"):
                m.d.comb += rows.hold.eq(1)
                with m.If(rows.settled):
                    m.d.comb += access.eq(1)
                    m.next = "Fetch"
                    with m.If(write):
                        m.next = "Answer"
            with m.State("Fetch"):
                m.next = "Answer"
                if secded:
                    m.d.comb += rows.hold.eq(1)
                    m.next = "Mend"
            if secded:
                with m.State("Mend"):
                    m.d.comb += [rows.hold.eq(1), mend.eq(1)]
                    m.next = "Answer"
            with m.State("Answer"):
                m.d.comb += host.ready.eq(~scrubs)
                m.next = "Serve the unit"

        unit_reads = {Space.WEIGHTS: (rows.read_weights, rows.weights_address, rows.weights),
                      Space.STATES: (rows.read_states, rows.states_address, rows.states),
                      Space.GAIN: (rows.read_calibration, rows.calibration_address, rows.gains),
                      Space.OFFSET: (rows.read_calibration, rows.calibration_address, rows.offsets)}
        unit_writes = {Space.WEIGHTS: (rows.write_weights, rows.new_weights),
                       Space.STATES: (rows.write_states, rows.new_states)}
        for code, store in stores.items():
            unit_read, unit_address, unit_data = unit_reads[code]
            unit_write, unit_word = unit_writes.get(code, (0, 0))
            lane_bits = (store.elements - 1).bit_length()
            lane = host.element[:lane_bits]
            row, chosen = Signal.like(store.row), Signal()
            m.d.comb += [
                row.eq(Mux(scrubs, mended_row, host.element[lane_bits:])), chosen.eq(access & (space == code)),
                unit_data.eq(store.read_data), store.read.eq(unit_read | (chosen & ~write)),
                store.read_address.eq(Mux(chosen, row, unit_address)), store.write_address.eq(row)]
            with m.If(space == code):
                m.d.comb += [host.r_data.eq(store.read_data[lane] if lane_bits else store.read_data[0]),
                             store.mend.eq(mend)]
            with m.If(chosen & write):
                m.d.comb += [store.write.eq(1 << lane), *(element.eq(host.w_data) for element in store.write_data)]
            if code in unit_writes:
                with m.Elif(unit_write):
                    m.d.comb += [store.write.eq(~0), store.write_address.eq(rows.write_address),
                                 store.write_data.eq(unit_word)]
            if secded:
                m.d.comb += scrubber.free[code].eq(waits & ~unit_read)
                if single_port and code in unit_writes:
                    with m.If(unit_write):
                        m.d.comb += scrubber.free[code].eq(0)
                with m.If(scrubber.look[code]):
                    m.d.comb += [store.read.eq(1), store.read_address.eq(scrubber.look_row[code])]
        if secded:
            self.judge(m, scrubber, mend, scrubs, space)
        return m

    def judge(self, m, scrubber, mend, scrubs, space):
        """Counts the row words that had flipped bits, and tells the scrubber of those nobody has mended. ``scrubs`` and
        ``space`` say whose the access is that mends in the clock of ``mend``, a clock before it is judged."""
        judged = Signal()
        m.d.sync += judged.eq(mend)
        counts = {"corrected": [], "uncorrectable": []}
        for code, store in self.stores.items():
            own = judged & (space == code)
            m.d.comb += [scrubber.found[code].eq(store.corrected & ~own), scrubber.found_row[code].eq(store.row),
                         scrubber.done[code].eq(own & scrubs)]
            for name, terms in counts.items():
                terms.append(getattr(store, name) & ~(own & scrubs))
        for name, terms in counts.items():
            more = Signal(range(len(terms) + 1), name=f"more_{name}")
            m.d.sync += [more.eq(sum(terms)), getattr(self, name).eq(getattr(self, name) + more)]
            with m.If(self.clear):
                m.d.sync += getattr(self, name).eq(0)
