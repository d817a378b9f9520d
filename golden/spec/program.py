"""Programming a tile cell by cell: what the host asks for, what a pulse is, what comes back, and the clocks it takes.

A cell is read alone (*verify*: one row, one column in its high gain range, the row at the largest read voltage), its
code compared with a window ``target - tolerance .. target + tolerance``; below it a SET pulse follows, above it a RESET
pulse, and a verify again, until the code lies inside or ``limit`` pulses were spent (*given up*). The amplitude begins
at ``start``, grows by ``step`` with every further pulse of the same kind up to ``most``, and begins anew when the kind
changes. A forming run uses the FORM pulse where it would SET and leaves a cell above its window alone.

Amplitudes are codes of the supplies' DAC (full scale 5 V): SET and FORM drive VP_SL, RESET VP_BL; ``gate`` is VP_WL
meanwhile. The default amplitudes lie above the thresholds of comparable TaOx devices (SET 0.91 V, RESET 1.425 V, Sandia
TiN/TaOx/Ta/TiN; forming 2.5..4 V is general knowledge): none are published for this chip.
"""

import dataclasses

from .formats import round_shift
from .refusal import RefusedValue, need_integer

__all__ = ["FULL_SCALE_MV", "Amplitude", "CellStatus", "Schedule", "pack_cell", "program_cycles", "unpack_result",
           "verify_code", "verify_volt"]

FULL_SCALE_MV = 5000        # of the DAC that gives VP_BL, VP_SL, VP_WL
CODE_HIGH = 8191            # of a verify
TOLERANCE_HIGH = 1023


class CellStatus:
    """What became of a cell of a map."""

    SKIPPED, VERIFIED, GIVEN_UP = range(3)
    NAMES = ("skipped", "verified", "given up")


def dac_code(millivolts):
    """A voltage as a code of the supplies' DAC."""
    return round(millivolts * 65536 / FULL_SCALE_MV)


@dataclasses.dataclass(frozen=True)
class Amplitude:
    """One kind of pulse: codes ``start``, ``step``, ``most`` and ``gate``, and its width in ``ticks`` of 10 ns."""

    start: int
    step: int
    most: int
    gate: int
    ticks: int = 200

    def __post_init__(self):
        for key in ("start", "step", "most", "gate"):
            need_integer(f"{key} of a pulse", getattr(self, key), 0, 0xFFFF)
        need_integer("ticks of a pulse", self.ticks, 1, (1 << 20) - 1)
        if self.start > self.most:
            raise RefusedValue(f"start of a pulse must be at most its most ({self.most}), not {self.start}")

    def following(self, amplitude):
        """The amplitude after ``amplitude``; None where there was none of this kind."""
        return self.start if amplitude is None else min(amplitude + self.step, self.most)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How cells are programmed: the three kinds of pulse, at most ``limit`` pulses a cell (0 verifies only), ``form``
    for a forming run, ``analyser`` where the external analyser makes the pulses (their ticks are its own then)."""

    set: Amplitude = Amplitude(dac_code(960), dac_code(50), dac_code(2500), dac_code(3000))
    reset: Amplitude = Amplitude(dac_code(1475), dac_code(50), dac_code(3000), dac_code(4000))
    form: Amplitude = Amplitude(dac_code(2500), dac_code(100), dac_code(4000), dac_code(2000))
    limit: int = 200
    forming: bool = False
    analyser: bool = False

    def __post_init__(self):
        need_integer("limit of a schedule", self.limit, 0, 0xFFFF)

    @property
    def kinds(self):
        """The kinds of pulse it may use."""
        return (self.form,) if self.forming else (self.set, self.reset)

    def check(self, board):
        """Refuse pulses too narrow for the board's own switches."""
        for kind in () if self.analyser else self.kinds:
            if kind.ticks < board.shortest_pulse_ticks:
                raise RefusedValue(f"ticks of a pulse must be at least {board.shortest_pulse_ticks} without the "
                                   f"analyser, not {kind.ticks}")


def verify_volt(configuration):
    """Voltage of the verified row about VCM, in DAC codes: the largest a read uses."""
    return configuration.amplitude


def verify_code(conductance, configuration):
    """Code of a noiseless verify of a cell of ``conductance`` g_lsb, before it saturates."""
    crossbar = configuration.crossbar
    return round_shift(verify_volt(configuration) * conductance * crossbar.verify_num, crossbar.verify_shift)


def pack_cell(code, tolerance, skip=False):
    """The word of a cell in a map: bits 12..0 target code, 25..16 tolerance, 31 skip."""
    need_integer("target code", code, 0, CODE_HIGH)
    need_integer("tolerance", tolerance, 0, TOLERANCE_HIGH)
    return code | tolerance << 16 | int(skip) << 31


def unpack_result(word):
    """``(pulses, status)`` of a cell's result word: bits 15..0 and 31..30."""
    return word & 0xFFFF, word >> 30


def program_cycles(configuration, visited, pulses, widths, skipped_first=0):
    """Clocks of a programming operation, from the one in which the crossbar accepts it to its last.

    ``visited`` cells are verified and not skipped, ``pulses`` were made, ``widths`` is the sum of their ticks; every
    pulse is followed by a verify. ``skipped_first`` cells come before the first one visited: they cost nothing while
    the read voltage settles. Not for pulses that the analyser makes, which takes the time it wants.
    """
    geometry, board = configuration.geometry, configuration.board
    bits = max(geometry.tile_rows + board.array_bits, geometry.tile_columns)
    shift = 2 + 2 * board.shift_half_ticks * bits + max(1, board.latch_ticks - board.shift_half_ticks)
    change = board.inhibit_ticks + board.connect_ticks + 2      # of a switch; ...
    latched = change + board.latch_ticks                        # and with new bits
    frame, settle = board.frame_ticks, board.dac_settle_ticks
    verify = board.tia_settle_ticks + 43 * board.adc_half_ticks + 4     # from all calm to the comparison
    after = board.conversion_ticks - 43 * board.adc_half_ticks - 8      # of the conversion, beyond the comparison

    def update(frames):
        """From the first of a series of frames to the voltages under way."""
        return (frames - 1) * frame + board.update_ticks + 2

    applied = 2 + update(9) + settle
    if not visited:
        cells = geometry.tile_rows * geometry.tile_columns
        return max(3 + 8 * frame + 4 * cells + shift + latched, applied) + 1
    first = max(5 + 8 * frame + 4 * skipped_first + shift + latched, applied) + verify
    further = 5 + max(shift + latched, after - 2) + verify
    raised = 1 + update(3)
    connected = max(raised, shift)
    calm = max(connected + latched, raised + settle) + board.line_settle_ticks - 1
    opened = calm + board.inhibit_ticks + board.latch_ticks + 2
    lowered = 2 + update(3)
    back = max(max(lowered, shift + 1) + latched, lowered + settle)
    pulse = 3 + change + opened + 2 * change + back + verify
    skipped = geometry.tile_rows * geometry.tile_columns - visited - skipped_first
    return first + (visited - 1) * further + pulses * pulse + widths + 4 * skipped + 4 + max(shift + latched, after)
