"""The hardware's own update for a network that runs over time: its layers are called once a window, and update once.

As `golden.training.HardwareTraining`, but for the order of things. All windows' forwards come first; then backwards
through time, a window at a time, each a forward again (which brings back `p`) and a backward of the unit; at the end of
the mini-batch one update a layer, from states to which all windows have added. They add up codes, so a layer's
gradients have one worth over all windows of a mini-batch: that of the largest of the mini-batches before.
"""

import dataclasses

import numpy as np

from ..spec.formats import LEARNING_SHIFT_LIMIT
from ..training import G_ROOM, HardwareTraining, run_through

__all__ = ["UnrolledTraining"]

FADE = 0.9          # of the largest gradient remembered, a mini-batch


class UnrolledTraining(HardwareTraining):
    """Trains adapters of a `golden.speaker.network.Recurrent` in integers; parameters as `HardwareTraining`.

    The first call of `step` goes backwards twice: once in real numbers to learn how large gradients are and to set the
    shifts of every layer, once in codes.
    """

    def step(self, inputs, loss):
        """One update on ``inputs``; ``loss(output) -> scalar``. Gives ``(loss, output)``, both before the update."""
        if not self.shifts:
            self.probe(inputs, loss)
        self.met = dict.fromkeys(self.largest, 0.0)
        result = super().step(inputs, loss)
        for name, most in self.met.items():
            layer = self.network.layers[name]
            a, b = self.unit.update(layer, self.present_shifts(name), *self.masks(layer))
            self.network.layers[name] = dataclasses.replace(layer, a=a, b=b)
            self.largest[name] = max(most, FADE * self.largest[name])
        return result

    def probe(self, inputs, loss):
        """Set shifts and the size of gradients from one mini-batch, in real numbers."""
        seen = {}

        def learn(layer, x, gradient, wanted):
            if layer.active(self.slots).any():
                seen.setdefault(layer.name, []).append((x * layer.x_scale, gradient))
            return gradient @ layer.weights + self.adapters_share(layer, gradient) if wanted else None

        loss(run_through(self.network, inputs, self.backend, self.slots, learn)).backward()
        for name, calls in seen.items():
            x, gradient = (np.concatenate(part) for part in zip(*calls, strict=True))
            self.largest[name] = float(np.abs(gradient).max())
            self.shifts[name] = self.choose(self.network.layers[name], x, gradient, self.scale(name))

    def adapters_share(self, layer, gradient):
        """Gradient (n, k) through the active adapters, in real numbers."""
        lanes = layer.active(self.slots)
        b, a = layer.b[:, lanes] * layer.b_worth[lanes], layer.a[lanes] * layer.a_worth[lanes, None]
        return (gradient @ b) @ a

    def scale(self, name):
        """Worth of a code of a layer's gradients in this mini-batch."""
        end = (1 << self.network.configuration.formats.gradient - 1) - 1
        return G_ROOM * self.largest[name] / end or 1.0

    def present_shifts(self, name):
        """Shifts of a layer, learning rates halved as often as they are by now."""
        shifts = self.shifts[name]
        halved = sum(self.steps >= step for step in self.rates.halve)
        return dataclasses.replace(shifts, lra=min(LEARNING_SHIFT_LIMIT, shifts.lra + halved),
                                   lrb=min(LEARNING_SHIFT_LIMIT, shifts.lrb + halved))

    def masks(self, layer):
        """``(active, trainable)`` of a layer."""
        return layer.active(self.slots), layer.active(self.trained)

    def learn(self, layer, x, gradient, wanted):
        """Backwards through a layer in one window: ``gradient`` (n, d) real -> (n, k) real; its states grow."""
        dx = gradient @ layer.weights if wanted else None
        if layer.name not in self.shifts:
            return dx
        end = (1 << self.network.configuration.formats.gradient - 1) - 1
        self.met[layer.name] = max(self.met[layer.name], float(np.abs(gradient).max()))
        scale, shifts = self.scale(layer.name), self.present_shifts(layer.name)
        g = np.clip(np.rint(gradient / scale), -end - 1, end).astype(np.int64)
        share = self.unit.accumulate(layer, x, g, shifts, *self.masks(layer))
        if wanted:
            worth = scale * layer.y_scale / layer.x_scale
            dx = dx + worth * 2.0 ** (shifts.q + shifts.dx - shifts.p - shifts.u) * share
        return dx
