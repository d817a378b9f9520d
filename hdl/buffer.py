"""The SRAM buffer: adapter weights, optimiser state and calibration, for the unit and for the host."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Buffer", "HostPort", "RowPort", "Space"]


class Space:
    """Codes of `HostPort.space`: which memory."""

    WEIGHTS = 0
    STATES = 1
    GAIN = 2
    OFFSET = 3


class RowPort(wiring.Signature):
    """Row words for the LoRA unit (the unit's view): three reads and a write of a row word each, every clock.

    ``read_*``: the row word at ``*_address`` is in ``weights``, ``states`` or ``gains`` and ``offsets`` one clock
    later, and stays there until the next read. ``write_*``: stored at the clock's end; a read in the same clock still
    gives the old word. ``hold``: the host needs the memories; the unit issues no slot in this clock. ``settled``: no
    slot is under way that will still read or write a row word it is going to change.
    """

    def __init__(self, configuration):
        lanes, formats = configuration.lora, configuration.formats
        weights = data.ArrayLayout(signed(formats.adapter), lanes.row_elements)
        states = data.ArrayLayout(signed(formats.state), lanes.row_elements)
        address = range(configuration.sram.words)
        super().__init__({
            "read_weights": Out(1), "weights_address": Out(address), "weights": In(weights),
            "read_states": Out(1), "states_address": Out(address), "states": In(states),
            "read_calibration": Out(1), "calibration_address": Out(range(configuration.calibration_words)),
            "gains": In(data.ArrayLayout(signed(formats.gain), lanes.rows)),
            "offsets": In(data.ArrayLayout(signed(formats.sum), lanes.rows)),
            "write_weights": Out(1), "write_states": Out(1), "write_address": Out(address),
            "new_weights": Out(weights), "new_states": Out(states), "hold": In(1), "settled": Out(1)})


class HostPort(wiring.Signature):
    """One element at a time for the host (the host's view).

    A request stands (``valid``, with ``write``, ``space``, ``element``, ``w_data``) until ``ready``; in that clock it
    has been performed and ``r_data`` holds what was read, sign-extended. ``element`` counts elements of row words
    laid end to end (`golden.spec.geometry`), of gain and offset the outputs. Elements past the end are the host's
    fault: they alias.
    """

    def __init__(self):
        super().__init__({"valid": Out(1), "ready": In(1), "write": Out(1), "space": Out(2), "element": Out(24),
                          "w_data": Out(signed(40)), "r_data": In(signed(40))})


class Buffer(wiring.Component):
    """The memories, and who may use them when.

    The unit has them by default. A host request asks for a clock without a slot (``hold``), waits until no
    read-modify-write is under way, then reads or writes in one clock and answers in the next: so no word is lost or
    torn, whatever the unit does, and a forward loses two or three slots an access.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        super().__init__({"rows": In(RowPort(configuration)), "host": In(HostPort())})

    def elaborate(self, platform):
        m = Module()
        configuration, rows, host = self.configuration, self.rows, self.host
        lanes, formats = configuration.lora, configuration.formats
        shapes = {
            Space.WEIGHTS: ("weights", formats.adapter, lanes.row_elements, configuration.sram.words),
            Space.STATES: ("states", formats.state, lanes.row_elements, configuration.sram.words),
            Space.GAIN: ("gains", formats.gain, lanes.rows, configuration.calibration_words),
            Space.OFFSET: ("offsets", formats.sum, lanes.rows, configuration.calibration_words)}
        access = Signal()

        with m.FSM():
            with m.State("Serve the unit"), m.If(host.valid):
                m.next = "Hold"
            with m.State("Hold"):
                m.d.comb += rows.hold.eq(1)
                with m.If(rows.settled):
                    m.d.comb += access.eq(1)
                    m.next = "Answer"
            with m.State("Answer"):
                m.d.comb += host.ready.eq(1)
                m.next = "Serve the unit"

        unit_reads = {Space.WEIGHTS: (rows.read_weights, rows.weights_address, rows.weights),
                      Space.STATES: (rows.read_states, rows.states_address, rows.states),
                      Space.GAIN: (rows.read_calibration, rows.calibration_address, rows.gains),
                      Space.OFFSET: (rows.read_calibration, rows.calibration_address, rows.offsets)}
        unit_writes = {Space.WEIGHTS: (rows.write_weights, rows.new_weights),
                       Space.STATES: (rows.write_states, rows.new_states)}
        for space, (name, bits, elements, depth) in shapes.items():
            word = data.ArrayLayout(signed(bits), elements)
            m.submodules[name] = bank = memory.Memory(shape=word, depth=depth, init=[])
            read = bank.read_port()
            write = bank.write_port(granularity=1)
            lane_bits = (elements - 1).bit_length()
            lane, row = host.element[:lane_bits], host.element[lane_bits:]
            chosen = access & (host.space == space)
            unit_read, unit_address, unit_data = unit_reads[space]
            m.d.comb += [
                read.en.eq(unit_read | (chosen & ~host.write)), read.addr.eq(Mux(chosen, row, unit_address)),
                unit_data.eq(read.data)]
            with m.If(host.space == space):
                m.d.comb += host.r_data.eq(read.data[lane] if lane_bits else read.data[0])
            for element in range(elements):
                m.d.comb += write.data[element].eq(host.w_data)
            with m.If(chosen):
                m.d.comb += [write.addr.eq(row), write.en.eq(Mux(host.write, 1 << lane, 0))]
            if space in unit_writes:
                unit_write, unit_word = unit_writes[space]
                with m.Else():
                    m.d.comb += [write.addr.eq(rows.write_address), write.en.eq(unit_write.replicate(elements)),
                                 write.data.eq(unit_word)]
        return m
