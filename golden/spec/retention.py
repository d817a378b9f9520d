"""How conductances change while nobody touches them: what cells measured before and after baking did.

A cell programmed to G0 stands after ``t`` seconds at

    G(t)      = G0 + growth(t) * (shift(G0) + spread(G0) * z)   z: the cell's own normal number, drawn when programmed
    growth(t) = log(1 + t' / onset) / log(1 + bake / onset)     t': seconds that do the same at the bake's temperature
    onset     = bake * 10**(-1 / per_decade)                    (Arrhenius)

so a cell moves along one curve, and growth is 1 at the end of the bake. The logarithm is a slow law: most of what
happens in a bake of half an hour has happened within minutes.

`RETENTION_1T1R` is fitted to `rram_1t1r_retention.npz`: 1,024 1T1R cells at 32 levels, read before and after 30
minutes at 80 degC (Levy et al., doi 10.1109/TED.2021.3097975; data and the note on the bakes: github
akashlevy/RRAM-RADAR-Tuning; material not stated). `cosim.fit.fit_retention` does it again from the data.

* ``shift``, ``spread``: median and interquartile range / 1.349 of the change of the cells within 12.5 uS of each knot.
* ``per_decade``: from three further runs of the same set-up baked at 80, 100 and 120 degC: by how much of its 80 degC
  value the median change grows with every tenfold of equivalent time. Few levels and other cells: take it for the
  trend.
* ``activation_ev``: 2.25 eV, the authors' own figure (their `retcalc.py`), not fitted here.

The run with 32 levels is the harsher one: the later runs at 8 levels, written with margins, moved about a quarter as
far in the same bake.
"""

import dataclasses
import math

__all__ = ["RETENTION_1T1R", "Retention"]

BOLTZMANN_EV = 8.617333262e-5       # per kelvin; CODATA 2018
ZERO_CELSIUS = 273.15


@dataclasses.dataclass(frozen=True)
class Retention:
    """The law above. ``knots_us``, ``shift_us``, ``spread_us``: tuples of one length, straight lines between the knots,
    level outside. ``bake_s`` at ``bake_c`` degC: what the numbers were measured with."""

    knots_us: tuple
    shift_us: tuple
    spread_us: tuple
    per_decade: float
    bake_s: float = 1800.0
    bake_c: float = 80.0
    activation_ev: float = 2.25

    @property
    def onset_s(self):
        """Where the logarithm begins, in seconds at the bake's temperature."""
        return self.bake_s * 10 ** (-1 / self.per_decade)

    def equivalent_s(self, seconds, celsius):
        """Seconds at the bake's temperature that do what ``seconds`` at ``celsius`` degC do."""
        inverse = 1 / (self.bake_c + ZERO_CELSIUS) - 1 / (celsius + ZERO_CELSIUS)
        return seconds * math.exp(self.activation_ev / BOLTZMANN_EV * inverse)

    def growth(self, equivalent_s):
        """Share of the bake's change that ``equivalent_s`` seconds at its temperature make."""
        return math.log1p(equivalent_s / self.onset_s) / math.log1p(self.bake_s / self.onset_s)


RETENTION_1T1R = Retention(
    knots_us=(0.0, 25.0, 50.0, 75.0, 100.0, 125.0, 150.0, 175.0, 200.0, 225.0),
    shift_us=(-0.332, -8.04, -20.8, -17.1, -15.7, -10.9, -6.67, -3.56, -2.66, -1.35),
    spread_us=(3.51, 11.3, 23.6, 28.9, 16.1, 11.3, 7.16, 4.40, 2.68, 2.64),
    per_decade=0.134)
