"""Error correction of stored codes as gateware: the code of `golden.spec.secded`, as functions of Values.

A stored word is put right by ``word ^ find_flip(find_syndrome(word, bits), bits)``; it has two flipped bits where the
syndrome is not 0 and no flip is found.
"""

from amaranth.hdl import Cat
from rmdlora.golden.spec.secded import check_bits, check_columns

__all__ = ["encode", "find_flip", "find_syndrome"]


def check_of(code):
    """The check bits of ``code``: each the parity of the code's bits that have a one in its row."""
    columns = check_columns(len(code))
    return Cat(Cat(code[bit] for bit, column in enumerate(columns) if column >> row & 1).xor()
               for row in range(check_bits(len(code))))


def encode(code):
    """The stored word of ``code``: the code, its check bits above it."""
    return Cat(code, check_of(code))


def find_syndrome(word, bits):
    """The syndrome of a stored word of a code of ``bits`` bits: 0 where nothing has flipped."""
    return check_of(word[:bits]) ^ word[bits:]


def find_flip(syndrome, bits):
    """The one bit of the stored word that has flipped, as a mask; 0 where none or more than one has."""
    return Cat(syndrome == column for column in (*check_columns(bits), *(1 << row for row in range(check_bits(bits)))))
