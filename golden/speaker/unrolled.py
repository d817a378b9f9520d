"""The hardware's own update for a network that runs over time: its layers are called once a window, and update once.

As `golden.training.HardwareTraining`, but for two things.

* The order: all windows' forwards come first; then backwards through time, a window at a time, each a forward again
  (which brings back `p`) and a backward of the unit; at the end of the mini-batch one update a layer, from states to
  which all windows have added.
* The size of gradients: a code of a layer's gradients must be worth the same in every window, since states add up
  codes, so it is `Rates.kept` in every mini-batch of a training, too. Were the codes filled anew each time, updates
  would never shrink; a recurrent layer, which an adapter of its weights' own size throws off balance, is driven on and
  on by the noise of mini-batches that are all but learned.
"""

import dataclasses

import numpy as np

from ..training import HardwareTraining, run_through

__all__ = ["UnrolledTraining"]


class UnrolledTraining(HardwareTraining):
    """Trains adapters of a `golden.speaker.network.Recurrent` in integers; parameters as `HardwareTraining`, with
    ``rates`` that are always `kept`.

    The first call of `step` goes backwards twice: once in real numbers to learn how large gradients are and to set the
    shifts of every layer, once in codes.
    """

    def __init__(self, network, backend, unit, slots, trained, rates):
        super().__init__(network, backend, unit, slots, trained, dataclasses.replace(rates, kept=True))

    def step(self, inputs, loss):
        """One update on ``inputs``; ``loss(output) -> scalar``. Gives ``(loss, output)``, both before the update."""
        if not self.shifts:
            self.probe(inputs, loss)
        result = super().step(inputs, loss)
        for name in self.shifts:
            layer = self.network.layers[name]
            a, b = self.unit.update(layer, self.present_shifts(name), *self.masks(layer))
            self.network.layers[name] = dataclasses.replace(layer, a=a, b=b)
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
            self.shifts[name] = self.choose(self.network.layers[name], x, gradient, self.scale(name, gradient))

    def adapters_share(self, layer, gradient):
        """Gradient (n, k) through the active adapters, in real numbers."""
        lanes = layer.active(self.slots)
        b, a = layer.b[:, lanes] * layer.b_worth[lanes], layer.a[lanes] * layer.a_worth[lanes, None]
        return (gradient @ b) @ a

    def teach(self, layer, x, g, shifts):
        """The unit's backward of a layer in one window, by codes: its states grow. Gives its share of `dx`."""
        return self.unit.accumulate(layer, x, g, shifts, *self.masks(layer))
