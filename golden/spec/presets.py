"""Presets of the resistive memory: the few numbers a device model has, each with where it comes from.

`ideal` is exact and silent. `taox` is fitted to measured TaOx devices of Sandia National Laboratories' CrossSim
(lookup tables of 41 devices; BSD-3-Clause, Copyright Sandia National Laboratories): its 24 quality-filtered devices
("medium_set"), window 10..80 uS. `cosim.device.fit_taox` does the fit again from the data.

`paper` is the chip of arXiv 2601.10037 as far as its two figures tell: a cycle lands with a spread of 40 uS about its
target, which takes 1.25 x 40 / tolerance cycles, 50 to within 1 uS and 25 to within 2 uS. Inferred, not published.
"""

import dataclasses

__all__ = ["PRESETS", "Preset"]


@dataclasses.dataclass(frozen=True)
class Preset:
    """Numbers of one device, and of the parts between it and the codes.

    ``program_us`` + ``program_relative`` * G: standard deviation in uS of where one programming cycle lands.
    ``tolerance_us``: write-verify repeats the cycle until the cell is that near its target, at most ``cycles`` times.
    ``read``: standard deviation of a cell's conductance in a read, in 1/65536 of the conductance.
    ``floor``: standard deviation of stage and ADC, in 1/65536 of an ADC code.
    ``on_resistance_ohm``: of the row's closed CD4051B; row i then sees 1 / (1 + RON * sum of its conductances).
    """

    program_us: float = 0.0
    program_relative: float = 0.0
    tolerance_us: float = 2.0
    cycles: int = 50
    read: int = 0
    floor: int = 0
    on_resistance_ohm: float = 0.0

    def noise_floor(self, num, shift):
        """``floor`` in units of the current sum, for a gain range of ``num / 2**shift`` codes a unit."""
        return (self.floor << shift) // (num << 16)


PRESETS = {
    "ideal": Preset(),
    "paper": Preset(program_us=40.0, tolerance_us=2.0, cycles=200, floor=35_747),   # floor: the ADC's, as below
    "taox": Preset(
        program_us=2.29,            # spread (interquartile / 1.349) of the change one RESET pulse makes, median device,
        program_relative=0.165,     # ... as a straight line in G
        tolerance_us=2.0,           # arXiv 2601.10037: 2 uS after tens of cycles
        cycles=50,                  # same
        read=164,                   # 0.25 %: difference of two reads where SET has saturated, median device
        floor=35_747,               # 0.55 LSB rms at VREF 1.25 V: ADS8324 SBAS172A, 5 LSB p-p (6.6 rms) at 0.9 V
        on_resistance_ohm=180.0,    # CD4051B SCHS047, typical at VDD - VEE = 10 V
    ),
}
