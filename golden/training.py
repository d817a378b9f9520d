"""Training the adapters of a hybrid network, straight through its integers: by the hardware's update or an optimiser.

The network's forward is the integers themselves (crossbar sums and LoRA unit, as `golden.hybrid` runs them). Backwards,
rounding counts as the identity:

* `HardwareTraining`: the chip's own arithmetic (contract, sections 3 and 4). The host turns the real gradient of a
  layer's output into codes, the unit gives `dx`, adds to its states and updates its weights; the host adds the share
  of the frozen weights to `dx`, from its own copy of them, since no array is read backwards. The unit is the oracle
  (`OracleUnit`) or the RTL behind its driver, which end in the same codes.
* `OptimiserTraining`: real adapters that any torch optimiser moves, rounded to codes for every forward.

Worth of the codes of rank lane j (real value = worth x code), from those of `x`, `y`, `g` and `a[j]`:

    p[j]   a[j] * x * 2**p_shift                 b[j]   y / (p[j] * 2**u_shift)
    q[j]   b[j] * g * 2**q_shift                 dx     g * y / x * 2**(q_shift + dx_shift - p_shift - u_shift)
    va[j]  q[j] * x * 2**va_shift                vb[j]  g * p[j] * 2**vb_shift

so lanes may differ in `a`, and `dx` has one worth over all of them.
"""

import contextlib
import dataclasses
import math

import numpy as np
import torch

from . import lora
from .calibration import fit
from .generator import seed_generators
from .hybrid import HybridNetwork
from .spec.formats import LEARNING_SHIFT_LIMIT, SHIFT_LIMIT, Shifts
from .spec.refusal import RefusedValue

__all__ = ["HardwareTraining", "OptimiserTraining", "OracleUnit", "Rates", "grow", "one_thread", "run_through"]

A_ROOM = 4.0        # between the first A, drawn within +- 1 / sqrt(k), and the end of its codes
P_ROOM = 4.0        # between the first p and the end of its codes
G_ROOM = 2.0        # likewise of g
B_REACH = 4.0       # real value at the end of b's codes
B_USUAL = 0.1       # root mean square of b once it has learned, to judge how fast a will then learn


@dataclasses.dataclass(frozen=True)
class Rates:
    """How fast the hardware's update learns.

    ``a``, ``b``: real root mean square of what one update moves a weight by (of ``a``, once b is as large as usual),
    taken at the nearest power of two; ``momentum``: the shift of the contract's section 4 (0: none), whose states then
    add up to 2**momentum as much; ``halve``: numbers of updates after which both rates halve; ``kept``: whether a
    code of a layer's gradients is worth the same through a whole training (`HardwareTraining`); ``floor``: where it is
    not, share of the largest gradient met so far below which gradients are taken for what they are.
    """

    a: float
    b: float
    momentum: int = 0
    halve: tuple = ()
    kept: bool = False
    floor: float = 1 / 64


@contextlib.contextmanager
def one_thread():
    """Torch on one thread: sums then fall in one order, whatever the machine, and matrices this small gain by it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def grow(network, slot, rank, x, seed=0):
    """``network`` with one adapter more, of ``rank``, on the layers of ``x`` {name: real inputs (m, k) in training}.

    A is drawn as torch.nn.Linear draws its weights, B is 0, so the network computes what it did. A layer's first
    adapter sets its shifts; a later one keeps them, and takes the worth of its codes from them. Raises a refusal where
    the buffer is too small.
    """
    draw = np.random.default_rng((seed, *slot.encode()))
    layers, row_word = {}, 0
    for name, layer in network.layers.items():
        if name in x:
            layer = grow_layer(layer, slot, rank, np.abs(layer.codes(x[name])).max(axis=0), network.configuration, draw)
        layers[name] = dataclasses.replace(layer, adapter=row_word)
        row_word += network.configuration.lora.layout(layer.inputs, layer.outputs, layer.rank).words
    if row_word > network.configuration.sram.words:
        raise RefusedValue(f"sram.words must be at least {row_word} for this network, not "
                           f"{network.configuration.sram.words}")
    return HybridNetwork(network.glue, layers, network.configuration)


def grow_layer(layer, slot, rank, reach, configuration, draw):
    """``layer`` with a fresh adapter; ``reach`` (k,): largest input codes."""
    formats = configuration.formats
    first = (2 * draw.random((rank, layer.inputs)) - 1) / math.sqrt(layer.inputs)
    worth = fit(first, formats.adapter, A_ROOM)
    a = np.rint(first / worth).astype(np.int64)
    reach = np.sqrt((reach.astype(np.float64)**2).sum()) * np.sqrt((a.astype(np.float64)**2).sum(axis=1).max())
    p_shift = max(0, math.ceil(math.log2(P_ROOM * reach / (1 << formats.intermediate - 1))))
    b = np.zeros((layer.outputs, rank), np.int64)
    if not layer.slots:
        b_worth = B_REACH / (1 << formats.adapter - 1)
        u_shift = math.log2(layer.y_scale / (b_worth * worth * layer.x_scale * 2.0**p_shift))
        return dataclasses.replace(layer, a=a, b=b, slots={slot: slice(0, rank)}, a_worth=np.full(rank, worth),
                                   p_shift=p_shift, u_shift=min(SHIFT_LIMIT, max(0, round(u_shift))))
    worth *= 2.0 ** (p_shift - layer.p_shift)       # the shift is there already: larger codes instead, or smaller
    end = (1 << formats.adapter - 1) - 1
    a = np.clip(np.rint(first / worth), -end - 1, end).astype(np.int64)
    return dataclasses.replace(layer, a=np.concatenate([layer.a, a]), b=np.concatenate([layer.b, b], axis=1),
                               slots={**layer.slots, slot: slice(layer.rank, layer.rank + rank)},
                               a_worth=np.concatenate([layer.a_worth, np.full(rank, worth)]))


class OracleUnit:
    """The oracle as the unit that trains: the states of every layer, and the random generators they share.

    ``seed``: of the stochastic rounding; None rounds to nearest. `step` is one mini-batch of one layer.
    """

    def __init__(self, configuration, seed=0):
        self.formats, self.states = configuration.formats, {}
        self.generators = None if seed is None else seed_generators(seed, configuration.geometry.max_rank)

    def step(self, layer, x, g, shifts, active, trainable):
        """``(dx (n, k), a (r, k), b (d, r))`` after a forward and a backward of ``x`` (n, k) and ``g`` (n, d), and an
        update. Masks bool (r,). Generators belong to lanes, so they go on from one layer to the next.
        """
        dx = self.accumulate(layer, x, g, shifts, active, trainable)
        return dx, *self.update(layer, shifts, active, trainable)

    def accumulate(self, layer, x, g, shifts, active, trainable):
        """``dx`` (n, k) of a forward and a backward that add to the layer's states; several may go before an `update`.
        """
        unit = self.unit(layer, shifts, active, trainable)
        x, g = map(torch.from_numpy, (x, g))
        _, p = lora.forward(unit, x)
        dx, _, *self.states[layer.name] = lora.backward(unit, x, p, g)
        return dx.numpy()

    def update(self, layer, shifts, active, trainable):
        """``(a (r, k), b (d, r))`` after an update from the layer's states."""
        drawn = None if self.generators is None else self.generators[:layer.rank]
        a, b, *self.states[layer.name], drawn = lora.update(self.unit(layer, shifts, active, trainable), drawn)
        if drawn is not None:
            self.generators = torch.cat([drawn, self.generators[layer.rank:]])
        return a.numpy(), b.numpy()

    def unit(self, layer, shifts, active, trainable):
        """The oracle's layer, with its states, which grow with it."""
        va, vb = self.states.get(layer.name, (None, None))
        if va is not None and len(va) < layer.rank:
            va = torch.cat([va, va.new_zeros(layer.rank - len(va), va.shape[1])])
            vb = torch.cat([vb, vb.new_zeros(len(vb), layer.rank - vb.shape[1])], dim=1)
        a, b, active, trainable = map(torch.from_numpy, (layer.a, layer.b, active, trainable))
        return lora.Layer(a, b, active=active, trainable=trainable, va=va, vb=vb, shifts=shifts, formats=self.formats)


def run_through(network, inputs, backend, slots, backwards):
    """The model's output (float64, with a gradient) of ``inputs``, every layer by ``backend`` in integers.

    ``backend`` and ``slots`` as in `HybridNetwork.run`. ``backwards(layer, x codes (n, k), gradient (n, d), wanted) ->
    gradient (n, k)`` is called for every layer with an adapter of ``slots``, and every one behind such a layer; what it
    gives is unused where ``wanted`` is false.
    """
    anchor = torch.zeros((), dtype=torch.float64, requires_grad=True)

    def call(name, x):
        layer = network.layers[name]
        return Through.apply(x, anchor if layer.active(slots).any() else None, layer, backend, slots, backwards)

    return network.glue(torch.as_tensor(inputs, dtype=torch.float64), call)


class Through(torch.autograd.Function):
    """A layer in integers with a backward of its own. ``anchor`` asks for that backward where `x` does not."""

    @staticmethod
    def forward(ctx, x, anchor, layer, backend, slots, backwards):
        codes = layer.codes(x.detach().reshape(-1, layer.inputs).numpy())
        run = backend(layer, codes, layer.active(slots))
        ctx.layer, ctx.codes, ctx.backwards = layer, codes, backwards
        return torch.from_numpy(run.y * layer.y_scale).reshape(*x.shape[:-1], layer.outputs)

    @staticmethod
    def backward(ctx, gradient):
        layer, wanted = ctx.layer, ctx.needs_input_grad[0]
        dx = ctx.backwards(layer, ctx.codes, gradient.reshape(-1, layer.outputs).numpy(), wanted)
        if wanted:
            dx = torch.from_numpy(np.ascontiguousarray(dx)).reshape(*gradient.shape[:-1], layer.inputs)
        return dx if wanted else None, None, None, None, None, None


class HardwareTraining:
    """Trains the adapters of ``trained`` (slots) of a network with the hardware's own update.

    Parameters: ``network`` (`HybridNetwork`; its layers are replaced as they learn), ``backend`` for the forward,
    ``unit`` with a ``step`` (`OracleUnit`), ``slots`` that are summed, ``trained`` ones of them, ``rates`` (`Rates`).

    `step` is one mini-batch. The chip needs no division, as the host scales gradients, in either of two ways:

    * ``rates.kept``: a code of a layer's gradients is worth the same in every mini-batch of a training, set by the
      first, so updates shrink as the loss does, as in plain descent. What is beyond the codes' reach saturates, which
      clips the gradients of a strange mini-batch.
    * else the largest gradient of a layer fills its codes in every mini-batch, whatever its size, down to
      ``rates.floor``: what one update moves the weights by then follows their direction, as with Adam.

    The shifts of a layer are set by the first gradients it meets, and stay, but for the halving of the rates.

    What differs where a layer is called several times in a mini-batch, `step` and `teach`, is overridden there
    (`golden.speaker.unrolled`).
    """

    def __init__(self, network, backend, unit, slots, trained, rates):
        self.network, self.backend, self.unit = network, backend, unit
        self.slots, self.trained, self.rates = slots, trained, rates
        self.largest, self.shifts = {}, {}
        self.steps = 0

    def step(self, inputs, loss):
        """One update on ``inputs``; ``loss(output) -> scalar``. Gives ``(loss, output)``, both before the update."""
        output = run_through(self.network, inputs, self.backend, self.slots, self.learn)
        value = loss(output)
        value.backward()
        self.steps += 1
        return float(value.detach()), output.detach()

    def learn(self, layer, x, gradient, wanted):
        """Backwards through a layer: ``gradient`` (n, d) real -> (n, k) real; its adapter learns."""
        dx = gradient @ layer.weights if wanted else None
        if not layer.active(self.slots).any():
            return dx
        scale = self.scale(layer.name, gradient)
        if layer.name not in self.shifts:
            self.shifts[layer.name] = self.choose(layer, x * layer.x_scale, gradient, scale)
        shifts, end = self.present_shifts(layer.name), self.end
        g = np.clip(np.rint(gradient / scale), -end - 1, end).astype(np.int64)
        share = self.teach(layer, x, g, shifts)
        if wanted:
            worth = scale * layer.y_scale / layer.x_scale
            dx = dx + worth * 2.0 ** (shifts.q + shifts.dx - shifts.p - shifts.u) * share
        return dx

    @property
    def end(self):
        """The largest code of a gradient."""
        return (1 << self.network.configuration.formats.gradient - 1) - 1

    def scale(self, name, gradient):
        """Worth of a code of the ``gradient`` of layer ``name``."""
        most = float(np.abs(gradient).max())
        if self.rates.kept:
            return G_ROOM * self.largest.setdefault(name, most) / self.end or 1.0
        self.largest[name] = max(most, self.largest.get(name, 0.0))
        return G_ROOM * max(most, self.rates.floor * self.largest[name]) / self.end or 1.0

    def teach(self, layer, x, g, shifts):
        """The unit's backward and update of a layer, by codes; gives its share of `dx`, in codes."""
        share, a, b = self.unit.step(layer, x, g, shifts, *self.masks(layer))
        self.network.layers[layer.name] = dataclasses.replace(self.network.layers[layer.name], a=a, b=b)
        return share

    def present_shifts(self, name):
        """Shifts of a layer, learning rates halved as often as they are by now."""
        shifts = self.shifts[name]
        halved = sum(self.steps >= step for step in self.rates.halve)
        return dataclasses.replace(shifts, lra=min(LEARNING_SHIFT_LIMIT, shifts.lra + halved),
                                   lrb=min(LEARNING_SHIFT_LIMIT, shifts.lrb + halved))

    def masks(self, layer):
        """``(active, trainable)`` of a layer."""
        return layer.active(self.slots), layer.active(self.trained)

    def choose(self, layer, x, gradient, scale):
        """The `Shifts` of a layer from the first real inputs (n, k) and gradients (n, d) it meets; ``scale``: worth of
        a gradient's code."""
        formats = self.network.configuration.formats
        lanes = layer.active(self.trained)
        end = {key: (1 << getattr(formats, key) - 1) - 1 for key in ("adapter", "intermediate", "output", "state")}
        a_worth, b_worth, p_worth = (worth[lanes].max() for worth in (layer.a_worth, layer.b_worth, layer.p_worth))
        b_usual = B_USUAL / b_worth                                     # in codes
        q_reach = b_usual * np.sqrt((gradient**2).sum(axis=1).max()) / scale
        q_shift = bits_over(4 * q_reach, end["intermediate"])
        q_worth = b_worth * scale * 2.0**q_shift
        a_reach = np.sqrt((layer.a[lanes].astype(np.float64) ** 2).sum(axis=0).max())
        dx_shift = bits_over(4 * q_reach * 2.0**-q_shift * a_reach, end["output"])
        # first gradients of a, were b as usual, and of b; what they add up to with momentum must fit the states
        a_first = B_USUAL * np.linalg.norm(gradient.T @ x) / math.sqrt(layer.inputs)
        b_first = np.sqrt(np.mean((gradient.T @ (x @ (layer.a[lanes] * layer.a_worth[lanes, None]).T)) ** 2))
        room = 2.0 ** (self.rates.momentum + 4)
        va_shift = bits_over(room * a_first / (q_worth * layer.x_scale), end["state"])
        vb_shift = bits_over(room * b_first / (scale * p_worth), end["state"])
        a_step = a_first / (q_worth * layer.x_scale) * 2.0**-va_shift * a_worth     # at learning shift 0
        b_step = b_first / (scale * p_worth) * 2.0**-vb_shift * b_worth
        return Shifts(p=layer.p_shift, u=layer.u_shift, q=q_shift, dx=dx_shift, va=va_shift, vb=vb_shift,
                      lra=rate_shift(a_step, self.rates.a), lrb=rate_shift(b_step, self.rates.b),
                      momentum=self.rates.momentum)


def bits_over(largest, end):
    """The smallest right shift after which ``largest`` lies within ``end``."""
    return min(SHIFT_LIMIT, max(0, math.ceil(math.log2(largest / end)))) if largest > end else 0


def rate_shift(step, rate):
    """The learning shift that brings ``step`` nearest to ``rate``."""
    return min(LEARNING_SHIFT_LIMIT, max(0, round(math.log2(step / rate)))) if step > 0 else LEARNING_SHIFT_LIMIT


class OptimiserTraining:
    """Trains the adapters of ``trained`` (slots) of a network with a torch optimiser.

    Parameters: ``network``, ``backend``, ``slots`` and ``trained`` as in `HardwareTraining`; ``optimiser``: a function
    of a list of parameters that gives one. Real adapters are kept here, in units of their worth's own reals; every
    forward runs on their codes.
    """

    def __init__(self, network, backend, slots, trained, optimiser):
        self.network, self.backend, self.slots, self.trained = network, backend, slots, trained
        self.reals = {}
        for name, layer in network.layers.items():
            lanes = layer.active(trained)
            if lanes.any():
                pair = layer.a * layer.a_worth[:, None], layer.b * layer.b_worth
                self.reals[name] = lanes, *(torch.tensor(part, requires_grad=True)
                                            for part in (pair[0][lanes], pair[1][:, lanes]))
        self.optimiser = optimiser([part for _, *pair in self.reals.values() for part in pair])
        self.steps = 0

    def step(self, inputs, loss):
        """As `HardwareTraining.step`."""
        self.optimiser.zero_grad()
        output = run_through(self.network, inputs, self.backend, self.slots, self.learn)
        value = loss(output)
        value.backward()
        self.optimiser.step()
        self.store()
        self.steps += 1
        return float(value.detach()), output.detach()

    def learn(self, layer, x, gradient, wanted):
        """Backwards through a layer in real numbers; gradients of its trained lanes are left in them."""
        active = layer.active(self.slots)
        a, b = layer.a[active] * layer.a_worth[active, None], layer.b[:, active] * layer.b_worth[active]
        if layer.name in self.reals:
            lanes, a_real, b_real = self.reals[layer.name]
            inputs = x * layer.x_scale
            moved_a, moved_b = layer.a[lanes] * layer.a_worth[lanes, None], layer.b[:, lanes] * layer.b_worth[lanes]
            for real, share in ((a_real, (gradient @ moved_b).T @ inputs), (b_real, gradient.T @ (inputs @ moved_a.T))):
                real.grad = torch.from_numpy(share) if real.grad is None else real.grad + torch.from_numpy(share)
        return gradient @ layer.weights + (gradient @ b) @ a if wanted else None

    def store(self):
        """Round the real adapters into the network's codes."""
        end = (1 << self.network.configuration.formats.adapter - 1) - 1
        for name, (lanes, a_real, b_real) in self.reals.items():
            layer = self.network.layers[name]
            a, b = layer.a.copy(), layer.b.copy()
            a[lanes] = np.clip(np.rint(a_real.detach().numpy() / layer.a_worth[lanes, None]), -end - 1, end)
            b[:, lanes] = np.clip(np.rint(b_real.detach().numpy() / layer.b_worth[lanes]), -end - 1, end)
            self.network.layers[name] = dataclasses.replace(layer, a=a, b=b)
