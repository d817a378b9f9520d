"""What a programming pulse does to a cell, in integers, so that every program finds the same conductances.

Voltages are codes of the supplies' DAC (65536 are 5 V), conductances units of ``g_lsb``. A pulse drives a cell by

    drive   = min(|V| - threshold, gate - gate_threshold)       V = V(SL) - V(BL): SET above 0, RESET below; gate V(WL)
    change  = round_shift((round_shift(drive * ticks * gain, shift) + round_shift(normal * spread, 16)) * strength, 16)
    G       = clip(G + change, low, high) of a SET, clip(G - change, low, high) of a RESET

and does nothing where ``drive`` is not above 0, or once the cell has had ``endurance`` pulses (0: never worn). Each
cell has its own ``low``, ``high`` and ``strength`` (in 1/65536); without a spread from cell to cell they are 0,
``ceiling`` and 65536. Of a stuck cell low and high are where it stands. Each end of the range comes in by

    loss = (high - low) * narrowing * pulses // (endurance << 17)                   (narrowing in 1/65536)

with the ``pulses`` the cell had before, up to ``endurance``: at the end ``narrowing`` of the range is gone. The
normal number is `noise.normal` of key ``(seed, tile)`` and counter ``(event, row, column, PULSE_WORD)``; event: pulses
the cell had before. With ``tables`` the change is drawn instead, from measured quantiles at the nearest conductance:
at the place ``word / 2**32`` of the block's first word, between two quantiles in proportion; and the amplitude only
decides whether the cell moves at all, since the measured pulses were all alike.

`ideal` is that without the random part: in proportion to voltage and time, 1 uS for 50 mV over the threshold in 2 us.
`paper` has a part so large that it takes about 50 pulses to come within 1 uS and about half of that for 2 uS, as
arXiv 2601.10037 says ("< 1 uS needs ~50 cycles", "2 uS after tens of cycles"). How its cells really move is not
published: that a cell lands at random about where it is sent, with a spread far above the tolerance, is inferred from
those two figures alone. Thresholds: SET 0.91 V, RESET 1.425 V (Sandia TiN/TaOx/Ta/TiN); of the gate, 0.7 V, and the
ceiling, 150 uS: general knowledge. Endurance: 30,000 cycles (the paper's).

`1t1r` moves like `paper`, with the spread that the staircase of a measured 1T1R array shows (`presets`); how far a
pulse moves its cells on average is ours, since the measured pulses differ in the gate voltage alone.

`taox` is measured: 24 devices of Sandia's CrossSim (`taox_pulses`). There a SET jumps to the top of the window and a
RESET steps down, so a cell is found by stepping down to it, again and again.
"""

import dataclasses

from .formats import round_shift
from .noise import NORMAL_SHIFT, normal
from .taox_pulses import PITCH, TABLES

__all__ = ["CELL_WORD", "DRIFT_WORD", "PULSE_MODELS", "PULSE_WORD", "WHOLE", "PulseModel", "pulsed",
           "worn_range"]

PULSE_WORD = 1      # last word of the counter: apart from reads and from `cosim.array.Array.program`
CELL_WORD = 2       # ... of what a cell is: event 0 its highest conductance, 1 its strength, 2 whether it is stuck
DRIFT_WORD = 3      # ... of where it drifts; event: pulses the cell had when it was last programmed
WHOLE = 1 << 16


@dataclasses.dataclass(frozen=True)
class PulseModel:
    """Numbers of the model above. Thresholds and gate in DAC codes, the rest in ``g_lsb`` of 10 nS."""

    set_threshold: int = 11_927         # 0.91 V
    reset_threshold: int = 18_678       # 1.425 V
    gate_threshold: int = 9_175         # 0.7 V
    gain: int = 800
    shift: int = 20
    spread: int = 0
    ceiling: int = 15_000
    endurance: int = 30_000
    narrowing: int = 0                  # in 1/65536 of the range
    tables: tuple | None = None         # [SET, RESET][conductance][quantile], in g_lsb, quantiles evenly spread
    pitch: int = 1                      # g_lsb between two conductances of the tables

    def drive(self, volt, gate):
        """How far a pulse of ``volt`` (signed) under ``gate`` lies above what moves a cell; 0 where it does not."""
        threshold = self.set_threshold if volt > 0 else self.reset_threshold
        return max(0, min(abs(volt) - threshold, gate - self.gate_threshold))


def drawn_change(table, pitch, conductance, word):
    """A change out of a measured ``table``, by a random word."""
    row = table[min((conductance + pitch // 2) // pitch, len(table) - 1)]
    place = word * (len(row) - 1)
    low, high = row[place >> 32], row[(place >> 32) + 1]
    return low + ((high - low) * (place >> 16 & 0xFFFF) >> 16)


def worn_range(model, low, high, before):
    """``(low, high)`` of a cell after ``before`` pulses (integers, or integer arrays of numpy)."""
    if not (model.narrowing and model.endurance):
        return low, high
    loss = (high - low) * model.narrowing * before // (model.endurance << 17)
    return low + loss, high - loss


def pulsed(model, conductance, volt, gate, ticks, before, draw, low=0, high=None, strength=WHOLE):
    """Conductance after a pulse: of a cell at ``conductance`` that had ``before`` pulses.

    ``draw`` () is its block of four random words; ``low``, ``high`` (None: the model's ceiling), ``strength``: its own.
    """
    drive = model.drive(volt, gate)
    if drive == 0 or (model.endurance and before >= model.endurance):
        return conductance
    if model.tables:
        change = drawn_change(model.tables[volt <= 0], model.pitch, conductance, draw()[0])
    else:
        change = round_shift(drive * ticks * model.gain, model.shift)
        if model.spread:
            change += round_shift(normal(draw()) * model.spread, NORMAL_SHIFT)
        change = change if volt > 0 else -change
    low, high = worn_range(model, low, model.ceiling if high is None else high, before)
    return min(max(conductance + round_shift(change * strength, 16), low), high)


PULSE_MODELS = {
    "ideal": PulseModel(),
    "paper": PulseModel(gain=4_000, spread=3_000),
    "taox": PulseModel(tables=TABLES, pitch=PITCH),
    "1t1r": PulseModel(gain=4_000, spread=1_550, ceiling=25_000),   # spread at 38 uS, ceiling: the measured range's top
}
