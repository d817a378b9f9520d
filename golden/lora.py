"""The oracle: forward, backward and update of a layer's adapter, bit for bit (contract, sections 2 to 4), batched.

Everything here is integers in PyTorch tensors, on the CPU or on CUDA. ``n`` vectors, ``k`` inputs, ``d`` outputs, rank
``r``: a layer holds ``a (r, k)`` and ``b (d, r)``. Every vector of a call goes through at once; what the contract takes
in order (the saturating sums of the backward, the draws of the update) comes out as if taken in order.
"""

import dataclasses

import numpy as np
import torch

from .arithmetic import (
    FLOAT_BITS,
    INTEGERS,
    carrier,
    matmul,
    need_codes,
    need_integers,
    round_shift,
    saturate,
    stochastic_shift,
)
from .generator import draw, seed_generators
from .native import find_kernel, run_forward
from .spec.formats import Formats, Shifts
from .spec.formats import round_shift as round_shift_integer
from .spec.refusal import RefusedType, RefusedValue

__all__ = ["Layer", "Shifts", "backward", "forward", "run", "update"]

BLOCK = 1 << 16     # outputs of a forward's block, a thread
SLICE = 1 << 20     # products that an accumulation holds at once
NATIVE = 1 << 16    # outputs from which on a forward asks for the kernel in C++


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer's adapter, its calibration and its optimiser state; all tensors on one device.

    Parameters
    ----------
    a, b : integer (r, k), (d, r)
        Adapter codes.
    gain, offset : integer (d,), optional (0)
        Calibration of the crossbar sums.
    active, trainable : bool (r,), optional (all; as ``active``)
        Rank-lane masks.
    va, vb : integer (r, k), (d, r), optional (0)
        Optimiser state.
    shifts : `Shifts`
    formats : `Formats`
        Widths of all codes; a code outside its format is refused.
    float_bits : int
        Sums with a bound above 2**float_bits go through int64; 0: all of them. No result depends on it.
    """

    a: torch.Tensor
    b: torch.Tensor
    gain: torch.Tensor = None
    offset: torch.Tensor = None
    active: torch.Tensor = None
    trainable: torch.Tensor = None
    va: torch.Tensor = None
    vb: torch.Tensor = None
    shifts: Shifts = dataclasses.field(default_factory=Shifts)
    formats: Formats = dataclasses.field(default_factory=Formats)
    float_bits: int = FLOAT_BITS

    def __post_init__(self):
        need_codes("a", self.a, self.formats.adapter, (None, None))
        r, k = self.a.shape
        need_codes("b", self.b, self.formats.adapter, (None, r))
        d = self.b.shape[0]
        device = self.a.device
        formats = self.formats
        for key, shape, bits in (("gain", (d,), formats.gain), ("offset", (d,), formats.sum),
                                 ("va", (r, k), formats.state), ("vb", (d, r), formats.state)):
            if getattr(self, key) is None:
                object.__setattr__(self, key, torch.zeros(shape, dtype=torch.int64, device=device))
            need_codes(key, getattr(self, key), bits, shape)
        if self.active is None:
            object.__setattr__(self, "active", torch.ones(r, dtype=torch.bool, device=device))
        if self.trainable is None:
            object.__setattr__(self, "trainable", self.active)
        for key in ("active", "trainable"):
            if getattr(self, key).dtype is not torch.bool or getattr(self, key).shape != (r,):
                raise RefusedType(f"{key} must be a mask of ({r},) bool, not {tuple(getattr(self, key).shape)} "
                                  f"{getattr(self, key).dtype}")
        if bool((self.trainable & ~self.active).any()):
            raise RefusedValue(f"trainable must be a subset of active, not {self.trainable.tolist()} "
                               f"of {self.active.tolist()}")

    @property
    def lanes(self):
        """The trainable rank lanes, as an index: all of them, or their numbers."""
        return slice(None) if bool(self.trainable.all()) else self.trainable.nonzero()[:, 0]

    @property
    def rank(self):
        """r"""
        return self.a.shape[0]

    @property
    def inputs(self):
        """k"""
        return self.a.shape[1]

    @property
    def outputs(self):
        """d"""
        return self.b.shape[0]

    def product(self, left, right, left_bits, right_bits, shift):
        """``round_shift(left @ right, shift)`` of codes of the given widths: largest term x terms bounds every sum."""
        bound = left.shape[1] << (left_bits - 1 + right_bits - 1)
        return matmul(left, right, bound, shift, self.float_bits)


def forward(layer, x, c=None):
    """``(y, p)``: outputs int64 (n, d) and intermediates int64 (n, r) of activations ``x`` (n, k).

    ``c`` (n, d): crossbar sums; None is 0 everywhere.
    """
    formats, shifts = layer.formats, layer.shifts
    need_integers("x", x, (None, layer.inputs))
    if c is not None and c.shape != (len(x), layer.outputs):
        raise RefusedValue(f"c must be of shape {(len(x), layer.outputs)}, not {tuple(c.shape)}")
    if kernel := kernel_for(layer, x, c):
        results = run_forward(kernel, layer, x, c)
        if results:
            return results
    need_codes("x", x, formats.activation)
    a, b = (layer.a * layer.active[:, None]).T, layer.b.T                                       # (k, r), (r, d)
    calibrate = calibration(layer)
    y = torch.empty(len(x), layer.outputs, dtype=torch.int64, device=x.device)
    p = torch.empty(len(x), layer.rank, dtype=torch.int64, device=x.device)
    for part in blocks(len(x), layer.outputs, x.device):    # a block of vectors stays in the cache until it is done
        inner = saturate(layer.product(x[part], a, formats.activation, formats.adapter, shifts.p), formats.intermediate)
        u = layer.product(inner, b, formats.intermediate, formats.adapter, shifts.u)            # (block, d)
        w = calibrate(x.new_zeros(u.shape) if c is None else c[part])
        if u.dtype is not w.dtype:
            u, w = u.to(torch.int64), w.to(torch.int64)
        y[part] = saturate(w.add_(u), formats.output)
        p[part] = inner
    return y, p


def kernel_for(layer, x, c):
    """The kernel in C++ where the forward is large enough for it, on the CPU, and no sum passes 53 bits; else None."""
    if len(x) * layer.outputs < NATIVE or x.device.type != "cpu":
        return None
    formats = layer.formats
    bounds = (layer.inputs << formats.activation + formats.adapter - 2,
              layer.rank << formats.intermediate + formats.adapter - 2, ((1 << formats.sum) - 1) << formats.gain - 1)
    if any(carrier(bound, layer.float_bits) is not torch.float64 for bound in bounds):
        return None
    if c is not None and (not isinstance(c, torch.Tensor) or c.dtype not in INTEGERS or c.device != x.device):
        return None
    return find_kernel()


def blocks(vectors, positions, device):
    """Slices of the vectors, each of about `BLOCK` elements a thread on the CPU; all at once elsewhere."""
    step = max(1, BLOCK * torch.get_num_threads() // positions) if device.type == "cpu" else vectors
    return (slice(start, start + step) for start in range(0, vectors, step))


def calibration(layer):
    """A function of crossbar sums ``c`` (m, d): ``round_shift((c - offset) gain, w_shift)``, on either carrier."""
    formats, shift = layer.formats, layer.shifts.w
    kind = carrier(((1 << formats.sum) - 1) << (formats.gain - 1), layer.float_bits)
    gain, offset = layer.gain.to(kind), layer.offset.to(kind)       # (d,)
    scaled = gain * 2.0 ** -shift                                   # exact in float64, and so is all that follows
    shifted = -offset * scaled

    def calibrate(c):
        need_codes("c", c, formats.sum, (None, layer.outputs))
        if kind is torch.float64:
            w = c.to(kind, copy=True)
            return torch.addcmul(shifted, w, scaled, out=w).round_()
        return round_shift((c.to(kind) - offset) * gain, shift)

    return calibrate


def backward(layer, x, p, g):
    """``(dx, q, va, vb)`` of gradients ``g`` (n, d), for the vectors whose ``x`` (n, k) gave ``p`` (n, r) in `forward`.

    ``dx`` int64 (n, k), ``q`` int64 (n, r); ``va``, ``vb``: the optimiser state after all ``n`` vectors, in order.
    """
    formats, shifts = layer.formats, layer.shifts
    need_codes("x", x, formats.activation, (None, layer.inputs))
    need_codes("g", g, formats.gradient, (len(x), layer.outputs))
    need_codes("p", p, formats.intermediate, (len(x), layer.rank))
    b = layer.b * layer.active                                                                  # (d, r)
    q = saturate(layer.product(g, b, formats.gradient, formats.adapter, shifts.q), formats.intermediate)        # (n, r)
    dx = saturate(layer.product(q, layer.a, formats.intermediate, formats.adapter, shifts.dx), formats.output)  # (n, k)
    dx, q = dx.to(torch.int64), q.to(torch.int64)
    va, vb = layer.va.to(torch.int64, copy=True), layer.vb.to(torch.int64, copy=True)
    if bool(layer.trainable.any()):
        lanes = layer.lanes
        kind = carrier(1 << (max(formats.activation, formats.gradient) + formats.intermediate - 2), layer.float_bits)
        vb[:, lanes] = accumulate(vb[:, lanes], g, p[:, lanes], shifts.vb, formats.state, kind)
        va[lanes] = accumulate(va[lanes], q[:, lanes], x, shifts.va, formats.state, kind)
    return dx, q, va, vb


def accumulate(v, left, right, shift, bits, kind):
    """``v (l, m)`` after ``v = saturate(v + round_shift(left[t] right[t]^T, shift), bits)`` for vector t = 0, 1, ...

    ``left`` (n, l), ``right`` (n, m): codes whose products ``kind`` carries. Where a bound shows that no sum of a slice
    of vectors can leave the format, however its terms fall, the slice is summed at once: rounding is monotone and odd,
    so vector t moves no element by more than its largest product, rounded.
    """
    limit = (1 << (bits - 1)) - 1
    left, right = left.to(torch.int64), right.to(torch.int64)
    reach = [round_shift_integer(left_most * right_most, shift) for left_most, right_most in
             zip(left.abs().amax(dim=1).tolist(), right.abs().amax(dim=1).tolist(), strict=True)]
    step = max(1, SLICE // v.numel())
    for start in range(0, len(left), step):
        part = slice(start, start + step)
        products = left[part].to(kind)[:, :, None] * right[part].to(kind)[:, None, :]           # (t, l, m)
        terms = round_shift(products, shift)
        if int(v.abs().max()) + sum(reach[part]) <= limit:
            v = v + terms.sum(dim=0).to(torch.int64)
        else:
            for term in terms.to(torch.int64):
                v = saturate(v + term, bits)
    return v


def update(layer, generators=None):
    """``(a, b, va, vb, generators)`` after one update of the trainable lanes.

    ``generators``: int64 (r,), the lanes' xorshift32 states (`seed_generators`), for stochastic rounding; None rounds
    to nearest and draws nothing.
    """
    formats, shifts = layer.formats, layer.shifts
    a, b, va, vb = (matrix.to(torch.int64, copy=True) for matrix in (layer.a, layer.b, layer.va, layer.vb))
    if not bool(layer.trainable.any()):
        return a, b, va, vb, generators
    lanes = layer.lanes
    v = torch.cat([va[lanes], vb.T[lanes]], dim=1)              # (l, k + d): the order in which elements are updated
    weights = torch.cat([a[lanes], b.T[lanes]], dim=1)
    inputs = layer.inputs
    parts = ((slice(None, inputs), shifts.lra), (slice(inputs, None), shifts.lrb))
    if generators is None:
        moves = [round_shift(v[:, part], shift) for part, shift in parts]
    else:
        draws = draw(generators[lanes], v.shape[1])             # (l, k + d)
        generators = generators.clone()
        generators[lanes] = draws[:, -1]
        moves = [stochastic_shift(v[:, part], shift, draws[:, part]) for part, shift in parts]
    weights = saturate(weights - torch.cat(moves, dim=1), formats.adapter)
    v = v - round_shift(v, shifts.momentum) if shifts.momentum else torch.zeros_like(v)
    a[lanes], b[:, lanes] = weights[:, :inputs], weights[:, inputs:].T
    va[lanes], vb[:, lanes] = v[:, :inputs], v[:, inputs:].T
    return a, b, va, vb, generators


def run(vectors, configuration, device="cpu", float_bits=FLOAT_BITS):
    """What the contract's section 7 says comes out of `Vectors`, from the oracle: a dict of int64 numpy arrays.

    ``y``, ``p``, ``cycles_forward``, ``cycles_backward``, ``cycles_update`` and ``multipliers`` always; with training
    also ``dx``, ``q``, and ``a``, ``b``, ``va``, ``vb`` as they stand at the end.
    """
    def tensor(array):
        return None if array is None else torch.from_numpy(array).to(device)

    shifts = Shifts(**{field.name: getattr(vectors, f"{field.name}_shift") for field in dataclasses.fields(Shifts)})
    layer = Layer(tensor(vectors.a), tensor(vectors.b), tensor(vectors.gain), tensor(vectors.offset),
                  tensor(vectors.active), tensor(vectors.trainable), shifts=shifts, formats=configuration.formats,
                  float_bits=float_bits)
    x, c, g = tensor(vectors.x), tensor(vectors.c), tensor(vectors.g)
    sizes = (len(x), layer.inputs, layer.outputs, layer.rank)
    if g is None:
        y, p = forward(layer, x, c)
        out = {"y": y, "p": p}
        cycles = configuration.pipeline.run(*sizes)
    else:
        out, layer = train(layer, x, c, g, vectors)
        out |= {key: getattr(layer, key) for key in ("a", "b", "va", "vb")}
        cycles = configuration.pipeline.run(*sizes, batch=vectors.batch)
    out = {key: value.cpu().numpy() for key, value in out.items()}
    out |= {f"cycles_{kind}": np.array(count, dtype=np.int64)
            for kind, count in zip(("forward", "backward", "update"), cycles, strict=True)}
    return out | {"multipliers": np.array(configuration.lora.multipliers, dtype=np.int64)}


def train(layer, x, c, g, vectors):
    """``(y, p, dx, q by name, layer at the end)`` of a training run, an update every ``vectors.batch`` vectors."""
    generators = seed_generators(vectors.seed, layer.rank, x.device) if vectors.rounding == "stochastic" else None
    results = []
    for start in range(0, len(x), vectors.batch):
        part = slice(start, start + vectors.batch)
        y, p = forward(layer, x[part], None if c is None else c[part])
        dx, q, va, vb = backward(layer, x[part], p, g[part])
        results.append((y, p, dx, q))
        layer = dataclasses.replace(layer, va=va, vb=vb)
        a, b, va, vb, generators = update(layer, generators)
        layer = dataclasses.replace(layer, a=a, b=b, va=va, vb=vb)
    return dict(zip(("y", "p", "dx", "q"), map(torch.cat, zip(*results, strict=True)), strict=True)), layer
