"""The buffer's two doors: row words for the LoRA unit, elements for the host."""

from amaranth.hdl import signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["HostPort", "RowPort", "Space"]


class Space:
    """Codes of `HostPort.space`: which memory."""

    WEIGHTS = 0
    STATES = 1
    GAIN = 2
    OFFSET = 3


class RowPort(wiring.Signature):
    """Row words for the LoRA unit (the unit's view): three reads and a write of a row word each, every clock.

    ``read_*``: the row word at ``*_address`` is in ``weights``, ``states`` or ``gains`` and ``offsets``
    `Pipeline.memory` clocks later, until the next one comes. ``write_*``: stored at the clock's end. Dual-port ones:
    a read in the same clock still gives the old word. Single-port ones: a read and a write of one of ``weights`` and
    ``states`` in the same clock must be of an even and an odd row word. ``hold``: the host or the scrubber needs the
    memories; the unit issues no slot in this clock. ``settled``: no slot is under way that will still read or write a
    row word it is going to change.
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

    A request falls between the unit's slots: what it reads is from before or after a whole outer pass or update step of
    that row word, what it writes comes before one (and is then the step's operand) or after it, and is never lost.
    """

    def __init__(self):
        super().__init__({"valid": Out(1), "ready": In(1), "write": Out(1), "space": Out(2), "element": Out(24),
                          "w_data": Out(signed(40)), "r_data": In(signed(40))})
