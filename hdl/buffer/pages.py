"""A buffer of two pages: the unit works on one while the other is exchanged."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .controller import Buffer
from .port import HostPort, RowPort, Space

__all__ = ["PagedBuffer"]


class PagedBuffer(wiring.Component):
    """Two `Buffer`s, the lower and the upper half of the row words; together as one `Buffer`, latencies and all.

    While ``exchanges``, page ``page`` of weights and states belongs to ``exchanged``, whose addresses count from the
    page's first row word; the unit must keep to the other page then. The calibration lies beside the lower page and is
    the unit's always. Neither slows the other down; a host access holds them both, as it does the unit of one `Buffer`.

    Parameters: ``configuration``, a paged one.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        self.pages = [Buffer(configuration, configuration.page_words, calibrates=page == 0) for page in range(2)]
        super().__init__({
            "rows": In(RowPort(configuration)), "exchanged": In(RowPort(configuration)), "exchanges": In(1),
            "page": In(1), "host": In(HostPort()), "corrected": Out(32), "uncorrectable": Out(32), "clear": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.lower, m.submodules.upper = lower, upper = self.pages
        rows, exchanged, host = self.rows, self.exchanged, self.host
        words = self.configuration.page_words
        elements = words * self.configuration.lora.row_elements

        # The host: calibration below, weights and states where they lie.
        above = Signal()
        m.d.comb += [above.eq((host.element >= elements) & ((host.space == Space.WEIGHTS)
                                                            | (host.space == Space.STATES))),
                     lower.host.valid.eq(host.valid & ~above), upper.host.valid.eq(host.valid & above),
                     host.ready.eq(Mux(above, upper.host.ready, lower.host.ready)),
                     host.r_data.eq(Mux(above, upper.host.r_data, lower.host.r_data))]
        for page, part in enumerate(self.pages):
            m.d.comb += [part.host.write.eq(host.write), part.host.space.eq(host.space), part.clear.eq(self.clear),
                         part.host.w_data.eq(host.w_data),
                         part.host.element.eq(host.element - elements if page else host.element)]

        # Row words: each page is the unit's or the exchanger's.
        reads = (("read_weights", "weights_address", "weights"), ("read_states", "states_address", "states"))
        writes = Signal()
        m.d.comb += writes.eq(rows.write_address >= words)
        for enable, address, word in reads:
            latest = Signal(name=f"latest_{word}")      # which page was read, beside the row word
            upper_read = getattr(rows, address) >= words
            with m.If(getattr(rows, enable)):
                m.d.sync += latest.eq(upper_read)
            for stage in range(1, self.configuration.pipeline.memory):
                later = Signal(name=f"latest_{word}_{stage}")
                m.d.sync += later.eq(latest)
                latest = later
            m.d.comb += getattr(rows, word).eq(Mux(latest, getattr(upper.rows, word), getattr(lower.rows, word)))
        for page, part in enumerate(self.pages):
            mine = Signal(name=f"exchanged_{page}")
            m.d.comb += [mine.eq(self.exchanges & (self.page == page)),
                         part.rows.settled.eq(Mux(mine, exchanged.settled, rows.settled)),
                         part.rows.write_address.eq(Mux(mine, exchanged.write_address,
                                                        rows.write_address - words * page))]
            for enable, address, word in reads:
                m.d.comb += [
                    getattr(part.rows, enable).eq(Mux(mine, getattr(exchanged, enable), getattr(rows, enable) & (
                        (getattr(rows, address) >= words) == page))),
                    getattr(part.rows, address).eq(Mux(mine, getattr(exchanged, address),
                                                       getattr(rows, address) - words * page))]
                for name in (f"write_{word}", f"new_{word}"):
                    own = getattr(rows, name)
                    if name == f"write_{word}":
                        own = own & (writes == page)
                    m.d.comb += getattr(part.rows, name).eq(Mux(mine, getattr(exchanged, name), own))
        m.d.comb += [
            lower.rows.read_calibration.eq(rows.read_calibration),
            lower.rows.calibration_address.eq(rows.calibration_address),
            rows.gains.eq(lower.rows.gains), rows.offsets.eq(lower.rows.offsets),
            rows.hold.eq(lower.rows.hold | upper.rows.hold),
            exchanged.hold.eq(Mux(self.page, upper.rows.hold, lower.rows.hold)),
            *(getattr(exchanged, word).eq(Mux(self.page, getattr(upper.rows, word), getattr(lower.rows, word)))
              for _, _, word in reads),
            self.corrected.eq(lower.corrected + upper.corrected),
            self.uncorrectable.eq(lower.uncorrectable + upper.uncorrectable)]
        return m
