"""Presets of the resistive memory: the few numbers a device model has, each with where it comes from.

`ideal` is exact and silent. `taox` is fitted to measured TaOx devices of Sandia National Laboratories' CrossSim
(lookup tables of 41 devices; BSD-3-Clause, Copyright Sandia National Laboratories): its 24 quality-filtered devices
("medium_set"), window 10..80 uS. `1t1r` is fitted to a 1T1R array of unstated material whose cells were read again
after a bake (github akashlevy/RRAM-RADAR-Tuning, doi 10.1109/TED.2021.3097975); it is the one that drifts. `rmdlora
fit` does both fits again from the data.

`paper` is the chip of arXiv 2601.10037 as far as its two figures tell: a cycle lands with a spread of 40 uS about its
target, which takes 1.25 x 40 / tolerance cycles, 50 to within 1 uS and 25 to within 2 uS. Inferred, not published.
"""

import dataclasses
import math

from .retention import RETENTION_1T1R, Retention

__all__ = ["PRESETS", "Preset"]


@dataclasses.dataclass(frozen=True)
class Preset:
    """Numbers of one device, and of the parts between it and the codes.

    ``program_us`` + ``program_relative`` * G: standard deviation in uS of where one programming cycle lands.
    ``tolerance_us``: write-verify repeats the cycle until the cell is that near its target, at most ``cycles`` times.
    ``read``: standard deviation of a cell's conductance in a read, in 1/65536 of the conductance.
    ``floor``: standard deviation of stage and ADC, in 1/65536 of an ADC code.
    ``on_resistance_ohm``: of the row's closed CD4051B; row i then sees 1 / (1 + RON * sum of its conductances).
    ``limit_spread``: relative standard deviation, from cell to cell, of the highest conductance pulses can reach;
    ``strength_spread``: the same of how far a pulse moves the cell.
    ``retention``: how cells drift, or None; ``holds_s``: for how long the preset can speak of a cell (inf: for ever).
    """

    program_us: float = 0.0
    program_relative: float = 0.0
    tolerance_us: float = 2.0
    cycles: int = 50
    read: int = 0
    floor: int = 0
    on_resistance_ohm: float = 0.0
    limit_spread: float = 0.0
    strength_spread: float = 0.0
    retention: Retention | None = None
    holds_s: float = math.inf

    def noise_floor(self, num, shift):
        """``floor`` in units of the current sum, for a gain range of ``num / 2**shift`` codes a unit."""
        return (self.floor << shift) // (num << 16)


PRESETS = {
    "ideal": Preset(),
    "paper": Preset(
        program_us=40.0, tolerance_us=2.0, cycles=200, floor=35_747,                # floor: the ADC's, as below
        holds_s=1e6,                # the retention published; no drift within it is
    ),
    "taox": Preset(
        program_us=2.29,            # spread (interquartile / 1.349) of the change one RESET pulse makes, median device,
        program_relative=0.165,     # ... as a straight line in G
        tolerance_us=2.0,           # arXiv 2601.10037: 2 uS after tens of cycles
        cycles=50,                  # same
        read=164,                   # 0.25 %: difference of two reads where SET has saturated, median device
        floor=35_747,               # 0.55 LSB rms at VREF 1.25 V: ADS8324 SBAS172A, 5 LSB p-p (6.6 rms) at 0.9 V
        on_resistance_ohm=180.0,    # CD4051B SCHS047, typical at VDD - VEE = 10 V
        limit_spread=0.127,         # top of the measured range, over the devices
        strength_spread=0.59,       # median change of a RESET pulse on 40..100 uS, over the devices
        holds_s=0.0,                # these devices were not measured over time
    ),
    "1t1r": Preset(
        program_us=9.15,            # where cells stand in a staircase of SET pulses, 10..120 uS: interquartile / 1.349,
        program_relative=0.168,     # ... as a straight line in G
        tolerance_us=3.75,          # its levels were 7.5 uS wide
        cycles=50,                  # ours
        read=139,                   # 0.21 %: two reads after a bake, 60..150 uS
        floor=35_747,               # the ADC's, as above
        on_resistance_ohm=180.0,    # the board's, as above
        limit_spread=0.1,           # median of 300 SETs, over 100 cells
        retention=RETENTION_1T1R,
    ),
}
