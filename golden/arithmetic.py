"""Exact integers in tensors: the places where bits are lost, and products that lose none.

A value is carried by float64 where its bound says that it and every partial sum on the way stays within 2**53, since
float64 products run at the speed of a float network and are then exact; by int64 otherwise. The same functions serve
both carriers; results are `==` on either. (float64 never passes through TF32 or another short format, on CPU or CUDA.)
"""

import torch

from .spec.refusal import RefusedType, RefusedValue

__all__ = ["FLOAT_BITS", "INTEGERS", "carrier", "matmul", "need_codes", "need_integers", "round_shift", "saturate",
           "stochastic_shift"]

FLOAT_BITS = 53     # integers of magnitude up to 2**53 are exact in float64
SMALL = 1 << 14     # products for which waking the threads of a matrix product takes longer than making them
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def carrier(bound, float_bits=FLOAT_BITS):
    """The dtype that carries integers of magnitude up to ``bound`` (a Python integer): torch.float64 or torch.int64.

    ``float_bits`` lowers the limit; 0 asks for int64 always.
    """
    return torch.float64 if bound <= 1 << float_bits and float_bits else torch.int64


def matmul(left, right, bound, shift=0, float_bits=FLOAT_BITS):
    """``round_shift(left @ right, shift)`` of integer tensors, exactly.

    ``bound``: at least the sum of the magnitudes of the terms of any element of ``left @ right``, a Python integer.
    Shapes (n, m) and (m, l) -> (n, l), in the carrier of ``bound``.
    """
    kind = carrier(bound, float_bits)
    if kind is torch.float64:   # a power of two scales every term exactly, and the right side is the small one
        left, right = left.to(kind), right.to(kind).mul(2.0 ** -shift)
        small = len(left) * right.numel() <= SMALL
        product = (left[:, :, None] * right).sum(dim=1) if small else left @ right
        return product.round_() if shift else product
    product = left.to(kind) @ right.to(kind) if left.device.type == "cpu" else split_matmul(left, right)
    return round_shift(product, shift)


def split_matmul(left, right, low_bits=16):
    """``left @ right`` in int64 where the device multiplies only float matrices: ``left`` in three 16-bit limbs.

    Exact while a limb times ``right``, summed, stays within 2**53.
    """
    mask = (1 << low_bits) - 1
    right = right.to(torch.float64)
    left = left.to(torch.int64)
    limbs = [left & mask, left >> low_bits & mask, left >> 2 * low_bits]
    return sum((limb.to(torch.float64) @ right).to(torch.int64) << low_bits * place for place, limb in enumerate(limbs))


def round_shift(value, shift):
    """``value / 2**shift`` to the nearest integer, ties to even, on either carrier; ``shift = 0`` is the identity."""
    if shift == 0:
        return value
    if value.dtype is torch.float64:
        return torch.mul(value, 2.0 ** -shift).round_()     # scaling by a power of two is exact; round_ ties to even
    half = 1 << (shift - 1)
    return (value + (half - 1) + (value >> shift & 1)) >> shift


def saturate(value, bits):
    """``value`` clamped to the codes of ``bits`` bits, in place: it is given up for the result."""
    return value.clamp_(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def stochastic_shift(value, shift, draw):
    """``(value + (draw mod 2**shift)) >> shift`` on int64."""
    return (value + (draw & (1 << shift) - 1)) >> shift


def need_codes(thing, codes, bits, shape=None):
    """Refuse ``codes`` unless it is an integer tensor of ``shape`` whose every element is a code of ``bits`` bits.

    ``shape`` may hold None for a free length.
    """
    need_integers(thing, codes, shape)
    if codes.numel():
        low, high = (int(end) for end in codes.aminmax())
        if low < -(1 << (bits - 1)) or high >= 1 << (bits - 1):
            given = low if low < -(1 << (bits - 1)) else high
            raise RefusedValue(f"{thing} must be {bits}-bit codes ({-(1 << (bits - 1))}..{(1 << (bits - 1)) - 1}), "
                               f"not {given}")


def need_integers(thing, codes, shape=None):
    """Refuse ``codes`` unless it is an integer tensor of ``shape``, which may hold None for a free length."""
    if not isinstance(codes, torch.Tensor) or codes.dtype not in INTEGERS:
        raise RefusedType(f"{thing} must be a tensor of integers, not {getattr(codes, 'dtype', type(codes).__name__)}")
    if shape is not None and (codes.ndim != len(shape) or
                              any(want not in (None, have) for want, have in zip(shape, codes.shape, strict=True))):
        words = ", ".join("any" if want is None else str(want) for want in shape)
        raise RefusedValue(f"{thing} must be of shape ({words}), not {tuple(codes.shape)}")
