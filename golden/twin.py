"""The float twin: the same layer in float64 without rounding, and how far the oracle may lie from it.

The twin saturates where the contract does and rounds nowhere. Saturation never widens a difference and its ends are
integers, so what is left is the rounding, half a code each, carried on by the weights (|.| element by element):

    p, q     1/2                                  where the shift is not 0, else 0
    y        1/2 [w_shift] + 1/2 [u_shift] + 2**-u_shift  sum_j |b[o,j]| 1/2 [p_shift]
    dx       1/2 [dx_shift]                + 2**-dx_shift sum_j |a[j,i]| 1/2 [q_shift]

float64 itself carries integers to 2**53 exactly; past that, and in products of fractions, every one of the at most
``terms`` operations of an element adds 2**-53 of the magnitudes summed, which the bounds include.
"""

import dataclasses

import torch

__all__ = ["Twin", "backward", "forward"]

EPSILON = 2.0 ** -53


@dataclasses.dataclass(frozen=True)
class Twin:
    """``value`` float64 in units of the oracle's codes, and the largest distance ``bound`` of the oracle from it."""

    value: torch.Tensor
    bound: torch.Tensor


def forward(layer, x, c=None):
    """``(y, p)`` as `Twin`, (n, d) and (n, r), of what `lora.forward` takes."""
    formats, shifts = layer.formats, layer.shifts
    a, b = (layer.a * layer.active[:, None]).double(), layer.b.double()
    p = narrow(x.double() @ a.T, shifts.p, formats.intermediate)                                # (n, r)
    p_error = half(shifts.p) * layer.active.double().expand_as(p)
    u, u_size = p @ b.T, p.abs() @ b.abs().T                                                    # (n, d)
    crossbar = torch.zeros_like(u) if c is None else c.double()
    w = (crossbar - layer.offset.double()) * layer.gain.double()
    value = narrow(w * 2.0 ** -shifts.w + u * 2.0 ** -shifts.u, 0, formats.output)
    bound = half(shifts.w) + half(shifts.u) + 2.0 ** -shifts.u * (p_error @ b.abs().T)
    noise = EPSILON * ((layer.rank + 4) * u_size * 2.0 ** -shifts.u + 4 * w.abs() * 2.0 ** -shifts.w)
    return Twin(value, bound + noise), Twin(p, p_error)


def backward(layer, g):
    """``(dx, q)`` as `Twin`, (n, k) and (n, r), of gradients ``g`` (n, d)."""
    formats, shifts = layer.formats, layer.shifts
    a, b = layer.a.double(), (layer.b * layer.active).double()
    q = narrow(g.double() @ b, shifts.q, formats.intermediate)                                  # (n, r)
    q_error = half(shifts.q) * layer.active.double().expand_as(q)
    value = narrow(q @ a, shifts.dx, formats.output)                                            # (n, k)
    noise = EPSILON * (layer.rank + 4) * (q.abs() @ a.abs()) * 2.0 ** -shifts.dx
    return Twin(value, half(shifts.dx) + 2.0 ** -shifts.dx * (q_error @ a.abs()) + noise), Twin(q, q_error)


def narrow(value, shift, bits):
    """``value / 2**shift`` within the codes of ``bits`` bits, unrounded."""
    return (value * 2.0 ** -shift).clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def half(shift):
    """Largest error of one rounding by ``shift``."""
    return 0.5 if shift else 0.0
