"""The crossbar: how weights become conductances, and the integers of a read (contract, section 5)."""

import dataclasses
import math

from .presets import PRESETS
from .refusal import RefusedValue, need_integer

__all__ = ["Crossbar", "Device", "Plane"]

READINGS = ("voltage", "streamed")
SIGNS = ("twos", "magnitude", "none")
ORDERS = ("high", "low")

LINES = ("row", "exact", "fast")


def need_real(thing, value, low, high=None, above=False):
    """Refuse a real ``value`` outside ``low..high`` (``low`` itself too, where ``above``) or not finite."""
    fits = math.isfinite(value) and (value > low if above else value >= low) and (high is None or value <= high)
    if not fits:
        rule = f"a number {'above' if above else 'of at least'} {low}"
        rule += f" and at most {high}" if high is not None else ""
        raise RefusedValue(f"{thing} must be {rule}, not {value}")


@dataclasses.dataclass(frozen=True)
class Plane:
    """One pass of a streamed read: rows whose input has bit ``bit`` are at the full read amplitude, and what the codes
    give is worth ``2**bit`` a unit, or minus that where ``subtracted``. ``share``: bit of what? Of ``all`` inputs in
    two's complement, or of the magnitude of the ``positive`` or the ``negative`` ones (0 for the others).
    """

    bit: int
    subtracted: bool = False
    share: str = "all"

    @property
    def weight(self):
        """What a unit of the plane is worth in ``c``."""
        return -(1 << self.bit) if self.subtracted else 1 << self.bit

    def of(self, x):
        """The plane of an activation code, 0 or 1; element by element of an integer array too."""
        if self.share == "all":
            return x >> self.bit & 1
        return (x * (x > 0) if self.share == "positive" else -x * (x < 0)) >> self.bit & 1


@dataclasses.dataclass(frozen=True)
class Crossbar:
    """Mapping and reading of tiles.

    ``mapping``: ``differential`` (columns 2o, 2o+1 are G+ and G- of output o) or ``reference`` (one column an output,
    the tile's last column at g_mid). ``step``: DAC codes a unit of `x` (41: +-0.2 V for 8-bit `x` at a full scale of
    2.5 V; BOARD, INPUTS). ``num``/``shift`` (low gain range, VMM) and ``verify_num``/``verify_shift`` (high range):
    ``code = saturate(round_shift(I * num, shift), adc_bits)`` with I in units of DAC step x g_lsb, so num / 2**shift
    is r_f * g_lsb * v_dac_lsb / adc_lsb = r_f * 1e-8 S * 38.147 uV / 152.588 uV: 5e-6 at 2 kOhm, 1e-4 at 40 kOhm.

    ``reading``: ``voltage`` (an input is a voltage) or ``streamed`` (weighted-bit streaming: one bit plane of the
    inputs a pass, at the full read amplitude). Of a streamed read, ``planes``: bits of an input that are presented, 0
    for all of ``formats.activation``; an input must fit them. ``plane_sign``: ``twos`` (complement; the sign plane is
    subtracted: the contract's), ``magnitude`` (a plane of the positive inputs' magnitudes, then one of the negative
    ones', subtracted: twice the passes, but small inputs leave the high planes empty) or ``none`` (inputs of 0 and
    above, no sign plane). ``plane_order``: ``high`` (most significant plane first) or ``low``; the sums are equal, the
    noise each plane meets is not.

    ``arrays``: modelled arrays that share BL and SL. ``calibrated_outputs``: outputs with a gain and an offset.
    """

    mapping: str = "differential"
    step: int = 41
    adc_bits: int = 14
    num: int = 21475
    shift: int = 32
    verify_num: int = 26844
    verify_shift: int = 28
    reading: str = "voltage"
    planes: int = 0
    plane_sign: str = "twos"
    plane_order: str = "high"
    arrays: int = 1
    calibrated_outputs: int = 4096

    def __post_init__(self):
        if self.mapping not in ("differential", "reference"):
            raise RefusedValue(f"crossbar.mapping must be differential or reference, not {self.mapping!r}")
        need_integer("crossbar.step", self.step, 1, 32767)
        need_integer("crossbar.adc_bits", self.adc_bits, 14, 14)
        for key in ("num", "verify_num"):
            need_integer(f"crossbar.{key}", getattr(self, key), 1, (1 << 24) - 1)
        for key in ("shift", "verify_shift"):
            need_integer(f"crossbar.{key}", getattr(self, key), 0, 47)
        for key, choices in (("reading", READINGS), ("plane_sign", SIGNS), ("plane_order", ORDERS)):
            if getattr(self, key) not in choices:
                raise RefusedValue(f"crossbar.{key} must be one of {', '.join(choices)}, not {getattr(self, key)!r}")
        need_integer("crossbar.planes", self.planes, 0, 16)
        if not self.streamed:
            for key, default in (("planes", 0), ("plane_sign", "twos"), ("plane_order", "high")):
                if getattr(self, key) != default:
                    raise RefusedValue(f"crossbar.{key} must be {default!r} where crossbar.reading is 'voltage', "
                                       f"not {getattr(self, key)!r}")
        need_integer("crossbar.arrays", self.arrays, 1, 65536)
        need_integer("crossbar.calibrated_outputs", self.calibrated_outputs, 1, 1 << 20)

    @property
    def streamed(self):
        """Whether inputs are presented plane by plane."""
        return self.reading == "streamed"

    def range_of(self, bits):
        """``(low, high)`` of the activation codes of ``bits`` bits that can be read."""
        planes = self.planes or bits
        if not self.streamed or self.plane_sign == "twos":
            return -(1 << planes - 1), (1 << planes - 1) - 1
        high = min((1 << planes) - 1, (1 << bits - 1) - 1)
        if self.plane_sign == "none":
            return 0, high
        return max(-(1 << planes) + 1, -(1 << bits - 1)), high

    def passes(self, bits):
        """The passes of a read of activations of ``bits`` bits, in order: `Plane` each; none for a voltage read."""
        if not self.streamed:
            return ()
        places = range(self.planes or bits)
        places = tuple(reversed(places)) if self.plane_order == "high" else tuple(places)
        if self.plane_sign == "magnitude":
            return tuple(Plane(bit, share == "negative", share) for bit in places for share in ("positive", "negative"))
        return tuple(Plane(bit, self.plane_sign == "twos" and bit == max(places)) for bit in places)

    def check_planes(self, bits):
        """Refuse planes that activations of ``bits`` bits do not have."""
        low, high = (1, bits - 1) if self.plane_sign == "none" else (0, bits)
        if not low <= self.planes <= high:
            raise RefusedValue(f"crossbar.planes must be {low}..{high} for activations of {bits} bits with "
                               f"crossbar.plane_sign = {self.plane_sign!r}, not {self.planes}")


@dataclasses.dataclass(frozen=True)
class Device:
    """The resistive memory: window, grain and preset.

    ``preset``: ``ideal`` (exact, silent), ``taox`` (fitted to measured TaOx devices), ``1t1r`` (fitted to a measured
    1T1R array, drifts) or ``paper`` (as many programming cycles as published, the spread inferred from them).
    Conductances in uS; ``g_lsb_us`` is the unit of the integer conductances a read uses (10 nS). Window 10..80 uS:
    the paper's Fig. 3a. ``seed``: of every random number of the array.

    ``age_s`` at ``temperature_c`` degC: time between programming and reading, for presets that know what it does.
    ``stuck_low``, ``stuck_high``: shares of the cells, drawn by the seed, that stand at the lowest or highest
    conductance for ever; ``stuck_map``: a CSV file that names cells (`cosim.cells.read_stuck`). ``limit_spread``,
    ``strength_spread``: from cell to cell, as in `presets.Preset`; below 0: the preset's own. ``endurance``: pulses
    after which a cell no longer moves (0: never; the paper's 30,000); ``narrowing``: share of its range that a cell has
    lost by then, in proportion to its pulses (0: what is published and measured shows none).

    ``lines``: what a read loses on its way. ``row``: only the switch of each row, as a fixed factor a row. ``exact``,
    ``fast``: the network of `cosim.lines` with ``row_segment_ohm`` and ``column_segment_ohm`` from cell to cell and
    ``column_ohm`` before the stage, solved when a tile is programmed (as if all its gates were on).
    """

    preset: str = "ideal"
    g_min_us: float = 10.0
    g_mid_us: float = 45.0
    g_max_us: float = 80.0
    g_lsb_us: float = 0.01
    seed: int = 0
    age_s: float = 0.0
    temperature_c: float = 25.0
    stuck_low: float = 0.0
    stuck_high: float = 0.0
    stuck_map: str = ""
    limit_spread: float = -1.0
    strength_spread: float = -1.0
    endurance: int = 30_000
    narrowing: float = 0.0
    lines: str = "row"
    row_segment_ohm: float = 0.0
    column_segment_ohm: float = 0.0
    column_ohm: float = 0.0

    def __post_init__(self):
        if self.preset not in PRESETS:
            *names, last = PRESETS
            raise RefusedValue(f"device.preset must be {', '.join(names)} or {last}, not {self.preset!r}")
        need_real("device.g_min_us", self.g_min_us, 0.0)
        need_real("device.g_mid_us", self.g_mid_us, self.g_min_us)
        need_real("device.g_max_us", self.g_max_us, self.g_mid_us, above=True)
        need_real("device.g_lsb_us", self.g_lsb_us, 0.0, above=True)
        if self.g_max_us / self.g_lsb_us > (1 << 20):
            raise RefusedValue(f"device.g_lsb_us must be at least g_max_us / 2**20, not {self.g_lsb_us}")
        need_integer("device.seed", self.seed, 0, (1 << 32) - 1)
        need_real("device.age_s", self.age_s, 0.0)
        need_real("device.temperature_c", self.temperature_c, -55.0, 150.0)
        longest = PRESETS[self.preset].holds_s
        if self.age_s > longest:
            raise RefusedValue(f"device.age_s must be at most {longest:g} for preset {self.preset} (of longer times "
                               f"nothing is known), not {self.age_s:g}")
        for key in ("stuck_low", "stuck_high", "narrowing"):
            need_real(f"device.{key}", getattr(self, key), 0.0, 1.0)
        if self.stuck_low + self.stuck_high > 1:
            raise RefusedValue("device.stuck_low and device.stuck_high must be at most 1 together, not "
                               f"{self.stuck_low + self.stuck_high:g}")
        for key in ("limit_spread", "strength_spread"):
            need_real(f"device.{key}", getattr(self, key), -1.0, 1.0)
        if self.lines not in LINES:
            raise RefusedValue(f"device.lines must be {', '.join(LINES[:-1])} or {LINES[-1]}, not {self.lines!r}")
        for key in ("row_segment_ohm", "column_segment_ohm", "column_ohm"):
            need_real(f"device.{key}", getattr(self, key), 0.0, 1e6)
            if getattr(self, key) and self.lines == "row":
                raise RefusedValue(f"device.{key} must be 0 where device.lines is row, not {getattr(self, key):g}")
        need_integer("device.endurance", self.endurance, 0, (1 << 31) - 1)

    def units(self, siemens_u):
        """A conductance in uS as the nearest integer of g_lsb (ties to even)."""
        return round(siemens_u / self.g_lsb_us)
