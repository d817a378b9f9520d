"""Sums of adapters for the oracle: several adapters of a layer side by side in the rank lanes (contract, section 2)."""

import dataclasses

import torch

from .spec.refusal import RefusedValue

__all__ = ["part_of", "sum_layers"]


def sum_layers(layers, lanes):
    """One `lora.Layer` of several: its lanes are those of the first, then of the second, ... (`Lanes.offsets`).

    ``layers``: `lora.Layer` of the same inputs, outputs, shifts and formats; calibration is the first one's.
    ``lanes``: `golden.spec.geometry.Lanes`. Padding between them is 0 and inactive.
    """
    first = layers[0]
    for layer in layers:
        if (layer.inputs, layer.outputs, layer.shifts) != (first.inputs, first.outputs, first.shifts):
            raise RefusedValue(f"adapters of a sum must be of one layer and with the same shifts, not of "
                               f"{(layer.inputs, layer.outputs)} beside {(first.inputs, first.outputs)}")
    *offsets, width = lanes.offsets([layer.rank for layer in layers])
    a, va = first.a.new_zeros(width, first.inputs), first.va.new_zeros(width, first.inputs)
    b, vb = first.b.new_zeros(first.outputs, width), first.vb.new_zeros(first.outputs, width)
    active, trainable = (torch.zeros(width, dtype=torch.bool, device=a.device) for _ in range(2))
    for layer, offset in zip(layers, offsets, strict=True):
        part = slice(offset, offset + layer.rank)
        a[part], va[part], b[:, part], vb[:, part] = layer.a, layer.va, layer.b, layer.vb
        active[part], trainable[part] = layer.active, layer.trainable
    return dataclasses.replace(first, a=a, b=b, va=va, vb=vb, active=active, trainable=trainable)


def part_of(layer, ranks, index, lanes):
    """``(a, b, va, vb)`` of one adapter of a sum of such ``ranks``."""
    offset = lanes.offsets(ranks)[index]
    part = slice(offset, offset + ranks[index])
    return layer.a[part], layer.b[:, part], layer.va[part], layer.vb[:, part]
