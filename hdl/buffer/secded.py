"""Error correction of stored codes as gateware: the code of `golden.spec.secded`, as functions of Values."""

from amaranth.hdl import Cat
from rmdlora.golden.spec.secded import check_bits, check_columns

__all__ = ["correct", "encode"]


def check_of(code):
    """The check bits of ``code``: each the parity of the code's bits that have a one in its row."""
    columns = check_columns(len(code))
    return Cat(Cat(code[bit] for bit, column in enumerate(columns) if column >> row & 1).xor()
               for row in range(check_bits(len(code))))


def encode(code):
    """The stored word of ``code``: the code, its check bits above it."""
    return Cat(code, check_of(code))


def correct(word, bits):
    """``(the word with a flipped bit put right, whether there was one, whether there were two)`` of a stored word
    of a code of ``bits`` bits. Where there were two, the word as it stands."""
    syndrome = check_of(word[:bits]) ^ word[bits:]
    columns = (*check_columns(bits), *(1 << row for row in range(check_bits(bits))))
    flips = Cat(syndrome == column for column in columns)
    return word ^ flips, flips.any(), syndrome.any() & ~flips.any()
