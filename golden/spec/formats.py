"""Codes, their formats, and the only places where bits are lost.

A code is a signed two's-complement integer. Sums and products are exact everywhere; bits go only in `round_shift`,
`saturate` and, in the update, `stochastic_shift`. The functions here are the definition, on Python integers of any
size; the oracle and the gateware each have their own way of computing the same numbers.
"""

import dataclasses

from .refusal import RefusedValue, need_integer

__all__ = [
    "GAIN_BITS",
    "LEARNING_SHIFT_LIMIT",
    "MOMENTUM_SHIFT_LIMIT",
    "PAGE_STREAMS",
    "SHIFT_LIMIT",
    "STREAMS",
    "Format",
    "Formats",
    "Shifts",
    "container_bits",
    "count_bits",
    "lane_seed",
    "requantise",
    "round_shift",
    "saturate",
    "stochastic_shift",
    "xorshift32",
]

SHIFT_LIMIT = 47            # of every run-time shift but the next two
LEARNING_SHIFT_LIMIT = 31   # lra_shift, lrb_shift
MOMENTUM_SHIFT_LIMIT = 15
GAIN_BITS = 16


def round_shift(value, shift):
    """``value / 2**shift`` to the nearest integer, ties to even; ``shift = 0`` is the identity."""
    if shift == 0:
        return value
    half = 1 << (shift - 1)
    return (value + half - 1 + ((value >> shift) & 1)) >> shift


def saturate(value, bits):
    """``value`` clamped to the codes of ``bits`` bits."""
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, value))


def requantise(value, shift, bits):
    """`round_shift` and then `saturate`."""
    return saturate(round_shift(value, shift), bits)


def stochastic_shift(value, shift, draw):
    """``(value + (draw mod 2**shift)) >> shift``: the update's rounding, unbiased for a uniform ``draw``."""
    return (value + (draw & ((1 << shift) - 1))) >> shift


def xorshift32(state):
    """One step of Marsaglia's 32-bit generator (13 left, 17 right, 5 left; J. Stat. Software 8(14), 2003)."""
    state ^= (state << 13) & 0xFFFFFFFF
    state ^= state >> 17
    state ^= (state << 5) & 0xFFFFFFFF
    return state


def lane_seed(seed, lane):
    """First state of rank lane ``lane``'s generator: never 0, which would be a fixed point."""
    return (seed + 0x9E3779B9 * (lane + 1)) & 0xFFFFFFFF or 1


def container_bits(bits):
    """Smallest of 8, 16, 32 and 64 bits that holds a code: its place in a stream beat, sign-extended."""
    for container in (8, 16, 32, 64):
        if bits <= container:
            return container
    raise RefusedValue(f"bits of a code in a stream must be at most 64, not {bits}")


def count_bits(count):
    """Extra bits that a sum of ``count`` equal terms may need."""
    return (count - 1).bit_length()


@dataclasses.dataclass(frozen=True)
class Format:
    """A signed code of ``bits`` bits.

    >>> str(Format(8)), Format(8).low, Format(8).high
    ('8-bit code (-128..127)', -128, 127)
    """

    bits: int

    @property
    def low(self):
        """Smallest code."""
        return -(1 << (self.bits - 1))

    @property
    def high(self):
        """Largest code."""
        return (1 << (self.bits - 1)) - 1

    def __str__(self):
        return f"{self.bits}-bit code ({self.low}..{self.high})"


# what the codes on each AXI4-Stream of the chip are; s_ is taken, m_ is given
STREAMS = {"s_axis_x": "activation", "s_axis_c": "sum", "s_axis_g": "gradient", "m_axis_y": "output",
           "m_axis_dx": "output"}

# ... and of a paged configuration: row words that enter and leave the buffer
PAGE_STREAMS = {"s_axis_load": "element", "m_axis_store": "element"}

# key: (lowest width, highest width); the widths a generated unit may be asked for
WIDTHS = {"activation": (4, 16), "adapter": (8, 18), "intermediate": (8, 18), "gradient": (8, 18),
          "output": (8, 24), "state": (16, 36), "sum": (24, 40)}


@dataclasses.dataclass(frozen=True)
class Formats:
    """Widths in bits of every code of one configuration.

    ``activation`` is `x`; ``adapter`` `a` and `b`; ``intermediate`` `p` and `q`; ``gradient`` `g`; ``output`` `y`
    and `dx`; ``state`` `va` and `vb`; ``sum`` the crossbar sum `c` and the `offset`. The gain has 16 bits always.
    """

    activation: int = 8
    adapter: int = 16
    intermediate: int = 16
    gradient: int = 16
    output: int = 16
    state: int = 32
    sum: int = 32

    def __post_init__(self):
        for key, (low, high) in WIDTHS.items():
            need_integer(f"formats.{key}", getattr(self, key), low, high)

    @property
    def gain(self):
        """Width of the calibration gain: fixed."""
        return GAIN_BITS

    def of(self, key):
        """The `Format` of one of the widths above, by name."""
        return Format(getattr(self, key))

    @property
    def element(self):
        """Width of an element of a row word on its way in or out of the buffer: adapter weight or optimiser state."""
        return max(self.adapter, self.state)

    @property
    def rank_operand(self):
        """Widest code a rank lane holds: `p`, `q` against `x`, `g` share one multiplier input."""
        return max(self.intermediate, self.activation, self.gradient)

    @property
    def row_operand(self):
        """Widest code at the other multiplier input: an adapter weight, or `x` or `g` in an outer product."""
        return max(self.adapter, self.activation, self.gradient)

    @property
    def product(self):
        """Width of one multiplier's exact product, whichever of the six loops it serves."""
        return self.rank_operand + self.row_operand

    def reduction(self, terms):
        """Width of an exact sum of ``terms`` products."""
        if terms < 1:
            raise RefusedValue(f"terms of a reduction must be at least 1, not {terms}")
        return self.product + count_bits(terms)


@dataclasses.dataclass(frozen=True)
class Shifts:
    """The run-time shifts of a layer: 0..47, `lra` and `lrb` 0..31, `momentum` 0..15; `lra` is lra_shift and so on."""

    p: int = 0
    u: int = 0
    w: int = 0
    q: int = 0
    dx: int = 0
    va: int = 0
    vb: int = 0
    lra: int = 0
    lrb: int = 0
    momentum: int = 0

    def __post_init__(self):
        limits = {"lra": LEARNING_SHIFT_LIMIT, "lrb": LEARNING_SHIFT_LIMIT, "momentum": MOMENTUM_SHIFT_LIMIT}
        for field in dataclasses.fields(self):
            need_integer(f"{field.name}_shift", getattr(self, field.name), 0, limits.get(field.name, SHIFT_LIMIT))
