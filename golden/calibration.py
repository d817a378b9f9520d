"""Scales, shifts, gains and offsets of a hybrid layer, chosen from what its float twin takes and gives.

Nothing here looks at anything but training inputs and, for gains and offsets, reads of the array as it was programmed.
"""

import dataclasses
import math

import numpy as np
import torch

from .mapping import weight_scale
from .spec.formats import GAIN_BITS, SHIFT_LIMIT

__all__ = ["calibrate", "fit", "observe", "quantise_adapter", "slot_lanes"]

HEADROOM = 2.0              # of every scale but that of the activations, which saturate beyond the inputs seen
CALIBRATION_VECTORS = 512   # read in a layer's calibration


@dataclasses.dataclass(frozen=True)
class Observation:
    """Real inputs ``x`` (m, k) and outputs ``y`` (m, d) of a layer, float64."""

    x: np.ndarray
    y: np.ndarray


def observe(model, inputs):
    """What every layer of the float ``model`` takes and gives, without adapters and with the active ones."""
    seen = {name: [] for name in model.weights}
    slots = model.active

    def call(name, x):
        y = model.linear(name, x)
        seen[name].append((x.reshape(-1, x.shape[-1]).double().numpy(), y.reshape(-1, y.shape[-1]).double().numpy()))
        return y

    try:
        with torch.no_grad():
            for model.active in dict.fromkeys(((), slots)):
                model(inputs, call)
    finally:
        model.active = slots
    return {name: Observation(*(np.concatenate(part) for part in zip(*calls, strict=True)))
            for name, calls in seen.items()}


def fit(values, bits, headroom=HEADROOM):
    """Real worth of a code of ``bits`` bits; the largest of ``values`` then lies ``headroom`` times below the end."""
    return (headroom * float(np.abs(values).max()) or 1.0) / ((1 << (bits - 1)) - 1)


def slot_lanes(model, name):
    """``{slot: slice of rank lanes}`` of a layer's adapters, in the order in which ``model.adapter`` lays them."""
    lanes, start = {}, 0
    for slot in model.adapters:
        pair = model.adapter(name, (slot,))
        if pair:
            lanes[slot] = slice(start, start + len(pair[0]))
            start += len(pair[0])
    return lanes


def quantise_adapter(model, name, x, x_scale, y_scale, formats):
    """``(a, b, p_shift, u_shift)`` of a layer: codes int64 (r, k) and (d, r), headroom left for training.

    ``a`` gets a scale of its own; `p` the smallest shift at which it keeps its headroom on the inputs ``x`` (m, k);
    ``b`` whatever scale makes the product come out in ``y_scale``, with the largest shift at which it fits.
    """
    pair = model.adapter(name)
    if pair is None:
        outputs, inputs = model.weights[name].shape
        return np.zeros((1, inputs), np.int64), np.zeros((outputs, 1), np.int64), 0, 0
    a, b = (part.detach().double().numpy() for part in pair)
    b = model.lora_scale * b
    a_scale = fit(a, formats.adapter)
    p_worth = a_scale * x_scale
    p_shift = shift_for(np.abs(x @ a.T).max() / p_worth, formats.intermediate)
    p_worth *= 2.0**p_shift
    room = ((1 << (formats.adapter - 1)) - 1) / HEADROOM
    largest = np.abs(b).max() * p_worth / y_scale                               # of b's codes at u_shift = 0
    u_shift = max(0, min(SHIFT_LIMIT, math.floor(math.log2(room / largest)))) if largest else 0
    b_scale = y_scale / (p_worth * 2.0**u_shift)
    high = (1 << (formats.adapter - 1)) - 1
    return (np.clip(np.rint(a / a_scale), -high - 1, high).astype(np.int64),
            np.clip(np.rint(b / b_scale), -high - 1, high).astype(np.int64), p_shift, u_shift)


def shift_for(largest, bits):
    """The smallest right shift after which ``largest`` lies `HEADROOM` times below the end of ``bits`` bits."""
    room = ((1 << (bits - 1)) - 1) / HEADROOM
    return max(0, math.ceil(math.log2(largest / room))) if largest > room else 0


def calibrate(layer, x, configuration, read):
    """``layer`` with its gains and offsets, fitted output by output on the inputs ``x`` (m, k).

    The array is read at the codes of ``x`` as it would be on the board, and the straight line from its sums to the
    exact products is found by least squares; an output that does not move keeps the gain of an ideal array. All
    gains of a layer share ``w_shift``, the largest that fits them.
    """
    x = x[:: max(1, len(x) // CALIBRATION_VECTORS)]
    codes = layer.codes(x)
    c = read(layer.conductances, codes, layer.outputs, layer.tile).astype(np.float64)                 # (m, d)
    wanted = layer.x_scale / layer.y_scale * codes @ layer.weights.T                         # (m, d), in y codes
    spread = c.var(axis=0)
    moved = spread > 0
    ideal = ideal_gain(layer, configuration)
    gain = np.where(moved, ((c - c.mean(axis=0)) * wanted).mean(axis=0) / np.where(moved, spread, 1), ideal)
    gain = np.where(gain == 0, ideal, gain)
    offset = np.where(moved, c.mean(axis=0) - wanted.mean(axis=0) / np.where(gain, gain, 1), 0)
    top = (1 << (GAIN_BITS - 1)) - 1
    w_shift = max(0, min(SHIFT_LIMIT, math.floor(math.log2(top / np.abs(gain).max())))) if gain.any() else 0
    return dataclasses.replace(layer, gain=np.clip(np.rint(gain * 2.0**w_shift), -top, top).astype(np.int64),
                               offset=np.rint(offset).astype(np.int64), w_shift=w_shift)


def ideal_gain(layer, configuration):
    """Output codes a unit of `c`, if the array were exact (0 for a layer without a weight)."""
    crossbar, scale = configuration.crossbar, weight_scale(layer.weights, configuration)
    if not scale:
        return 0.0
    columns = 2 if crossbar.mapping == "differential" else 1
    worth = columns * scale / configuration.device.g_lsb_us * configuration.unit_volt
    worth *= crossbar.num / 2.0**crossbar.shift
    return layer.x_scale / layer.y_scale / worth
