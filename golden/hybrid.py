"""Hybrid networks: each linear layer a crossbar part and a LoRA part, in integers; the glue between them in float.

A model (such as `golden.face.Mixer`) is a torch module whose ``forward(inputs, layer)`` calls ``layer(name, x)`` for
every linear layer. `map_network` turns its weights into conductances and its adapters into codes, and chooses every
scale, shift, gain and offset from training inputs. The `HybridNetwork` then runs the same model with layers that are

* float torch (``model(inputs)`` itself),
* the oracle (`OracleLayers`: crossbar read and LoRA unit in exact integers), or
* anything else with the same call, such as the simulated Verilog behind its driver.

Scales. A layer's real input is ``x_scale`` times its code and its real output ``y_scale`` times its code; crossbar and
LoRA part meet in that one output scale (contract, section 2):

    (c - offset) * gain / 2**w_shift                      = crossbar part / y_scale
    sum_j b[o,j] (sum_i a[j,i] x[i] / 2**p_shift) / 2**u_shift = LoRA part / y_scale
"""

import copy
import dataclasses

import numpy as np
import torch

from . import lora
from .calibration import calibrate, fit, observe, quantise_adapter, slot_lanes
from .mapping import map_weights
from .spec.refusal import RefusedValue

__all__ = ["HybridLayer", "HybridNetwork", "LayerRun", "OracleLayers", "map_network"]


@dataclasses.dataclass(frozen=True)
class HybridLayer:
    """One linear layer in integers, ``k`` inputs and ``d`` outputs.

    ``conductances`` int64 (tiles, tile rows, tile columns), as programmed, in units of g_lsb; ``tile`` the first array
    they lie in. ``a`` (r, k) and ``b`` (d, r) adapter codes, ``slots`` {slot: range of rank lanes}; a layer that was
    given no adapter has one lane of zeros and no slot. ``gain``, ``offset`` int64 (d,). ``adapter`` and ``calibration``
    are the first row words in the buffer. ``weights`` float64 (d, k) is the matrix before mapping. ``a_worth`` float64
    (r,): real value of a code of each lane of ``a``.
    """

    name: str
    weights: np.ndarray
    conductances: np.ndarray
    tile: int
    a: np.ndarray
    b: np.ndarray
    slots: dict
    gain: np.ndarray
    offset: np.ndarray
    p_shift: int
    u_shift: int
    w_shift: int
    x_scale: float
    y_scale: float
    adapter: int
    calibration: int
    activation_bits: int
    a_worth: np.ndarray

    @property
    def inputs(self):
        """k"""
        return self.weights.shape[1]

    @property
    def outputs(self):
        """d"""
        return self.weights.shape[0]

    @property
    def rank(self):
        """Rank lanes of all slots together."""
        return len(self.a)

    @property
    def tiles(self):
        """Tiles the layer takes."""
        return len(self.conductances)

    @property
    def p_worth(self):
        """Real value of a code of each lane's `p`, float64 (r,)."""
        return self.a_worth * self.x_scale * 2.0**self.p_shift

    @property
    def b_worth(self):
        """Real value of a code of each lane of ``b``, float64 (r,)."""
        return self.y_scale / (self.p_worth * 2.0**self.u_shift)

    def as_read(self, configuration):
        """``(weights (d, k), bias (d,))``, float64: what a read of the cells amounts to, rounding and noise apart."""
        geometry, crossbar = configuration.geometry, configuration.crossbar
        tiles = self.conductances.reshape(configuration.row_tiles(self.inputs), -1, geometry.tile_rows,
                                          geometry.tile_columns).transpose(0, 2, 1, 3)
        signed = (tiles[..., 0::2] - tiles[..., 1::2] if crossbar.mapping == "differential"
                  else tiles[..., :-1] - tiles[..., -1:])
        signed = signed.reshape(tiles.shape[0] * geometry.tile_rows, -1)[:self.inputs, :self.outputs]   # (k, d)
        gain = self.y_scale * self.gain * 2.0**-self.w_shift
        worth = crossbar.step * crossbar.num * 2.0**-crossbar.shift / self.x_scale
        return (gain * worth * signed).T, -gain * self.offset

    def active(self, slots):
        """Mask bool (r,) of the lanes of ``slots``."""
        mask = np.zeros(self.rank, dtype=bool)
        for slot in slots:
            if slot in self.slots:
                mask[self.slots[slot]] = True
        return mask

    def codes(self, x):
        """Activation codes int64 of real ``x``: to nearest, ties to even, saturated."""
        high = (1 << (self.activation_bits - 1)) - 1
        return np.clip(np.rint(np.asarray(x, dtype=np.float64) / self.x_scale), -high - 1, high).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class LayerRun:
    """What one call of a layer took and gave: ``x`` (n, k) and ``y`` (n, d) codes, ``cycles`` of its forward (or None
    where the backend does not count), and what else the backend saw, by name (``c`` (n, d), ``codes`` ...)."""

    layer: HybridLayer
    x: np.ndarray
    y: np.ndarray
    cycles: int | None = None
    seen: dict = dataclasses.field(default_factory=dict)


class HybridNetwork:
    """A model whose linear layers are `HybridLayer`.

    ``run(inputs, backend, slots, report)``: ``inputs`` as the model takes them, float; ``backend`` a function
    ``(layer, x codes (n, k), active mask (r,)) -> LayerRun``; ``slots`` the adapters that are summed. Gives the model's
    output (float64) and the list of `LayerRun` in the order of the calls. Vectors reach a layer image by image. The
    glue runs in float64 and sees nothing but output codes, so equal codes make equal networks. ``report(run)`` is
    called after each layer.
    """

    def __init__(self, model, layers, configuration):
        self.glue = copy.deepcopy(model).double()
        self.layers = layers
        self.configuration = configuration

    @property
    def tiles(self):
        """Tiles of all layers."""
        return sum(layer.tiles for layer in self.layers.values())

    @property
    def conductances(self):
        """Integer conductances of every array, int64 (tiles, tile rows, tile columns): what the board holds."""
        return np.concatenate([layer.conductances for layer in self.layers.values()])

    def run_float(self, inputs, slots=()):
        """The model's output (float64) were nothing rounded, saturated or noisy: its float twin.

        Weights are the cells as they stand, through the gains and offsets of the calibration; adapters what their codes
        are worth.
        """
        def call(name, x):
            layer = self.layers[name]
            weights, bias = layer.as_read(self.configuration)
            active = layer.active(slots)
            a, b = (layer.a * layer.a_worth[:, None])[active], (layer.b * layer.b_worth)[:, active]
            return x @ torch.from_numpy(weights.T) + torch.from_numpy(bias) + x @ torch.from_numpy(a.T @ b.T)

        with torch.no_grad():
            return self.glue(torch.as_tensor(inputs, dtype=torch.float64), call)

    def run(self, inputs, backend, slots=(), report=None):
        """See the class."""
        runs = []

        def call(name, x):
            layer = self.layers[name]
            codes = layer.codes(x.reshape(-1, layer.inputs).numpy())
            run = backend(layer, codes, layer.active(slots))
            runs.append(run)
            if report:
                report(run)
            return torch.from_numpy(run.y * layer.y_scale).reshape(*x.shape[:-1], layer.outputs)

        with torch.no_grad():
            output = self.glue(torch.as_tensor(inputs, dtype=torch.float64), call)
        return output, runs


class OracleLayers:
    """Layers on the oracle: a read of the tiles, then the LoRA unit's forward, in exact integers.

    ``read`` as in `map_network`. ``OracleLayers(configuration, read)(layer, x, active)`` gives a `LayerRun` with the
    cycles the LoRA unit takes by itself (no read in front of it), and ``c`` (n, d) and ``p`` (n, r) among what was
    seen.
    """

    def __init__(self, configuration, read):
        self.configuration = configuration
        self.read = read

    def __call__(self, layer, x, active):
        c = self.read(layer.conductances, x, layer.outputs, layer.tile)
        unit = lora.Layer(*map(torch.from_numpy, (layer.a, layer.b, layer.gain, layer.offset, active)),
                          shifts=lora.Shifts(p=layer.p_shift, u=layer.u_shift, w=layer.w_shift),
                          formats=self.configuration.formats)
        y, p = lora.forward(unit, torch.from_numpy(x), torch.from_numpy(c))
        cycles = self.configuration.pipeline.forward(len(x), layer.inputs, layer.outputs, layer.rank)
        return LayerRun(layer, x, y.numpy(), cycles, {"c": c, "p": p.numpy()})


def map_network(model, inputs, configuration, read, program=None):
    """The `HybridNetwork` of a trained ``model``, calibrated on ``inputs`` (training inputs only).

    ``model`` needs ``weights`` {name: (d, k)}, ``adapters`` {slot: ...}, ``adapter(name, slots) -> (a, b) or None``,
    ``active`` (slots it sums when called) and ``lora_scale``. ``read(conductances, x codes (n, k), d, first array) ->
    c (n, d)`` reads a layer's tiles as the board would; ``program(target conductances, first array) -> conductances``
    writes them (default: exactly). All adapters of the model lie side by side in the rank lanes of their layers.
    Raises a refusal where the configuration has too few arrays or too little memory.
    """
    observed = observe(model, inputs)
    layers, tile, adapter, calibration = {}, 0, 0, 0
    for name, weights in model.weights.items():
        real = weights.detach().double().numpy()
        conductances = map_weights(real, configuration)
        if program:
            conductances = program(conductances, tile)
        seen = observed[name]
        x_scale = fit(seen.x, configuration.formats.activation, headroom=1)
        y_scale = fit(seen.y, configuration.formats.output)
        a, b, p_shift, u_shift = quantise_adapter(model, name, seen.x, x_scale, y_scale, configuration.formats)
        layer = HybridLayer(name, real, conductances, tile, a, b, slot_lanes(model, name), None, None,
                            p_shift, u_shift, 0, x_scale, y_scale, adapter, calibration,
                            configuration.formats.activation, adapter_worth(model, name, len(a), configuration))
        layers[name] = calibrate(layer, seen.x, configuration, read)
        tile += layer.tiles
        adapter += configuration.lora.layout(layer.inputs, layer.outputs, layer.rank).words
        calibration += configuration.lora.groups(layer.outputs)
    for thing, need, have in (("crossbar.arrays", tile, configuration.crossbar.arrays),
                              ("sram.words", adapter, configuration.sram.words),
                              ("crossbar.calibrated_outputs", calibration * configuration.lora.rows,
                               configuration.crossbar.calibrated_outputs)):
        if need > have:
            raise RefusedValue(f"{thing} must be at least {need} for this network, not {have}")
    return HybridNetwork(model, layers, configuration)


def adapter_worth(model, name, rank, configuration):
    """Real value of a code of each of the ``rank`` lanes of a layer's `a`, float64 (rank,)."""
    pair = model.adapter(name)
    return np.full(rank, 1.0 if pair is None else fit(pair[0].detach().double().numpy(), configuration.formats.adapter))
