"""The speaker task's network: 140 - 512 - 5 (or 6), recurrent, of leaky integrate-and-fire neurons, in float torch.

After the authors of RM-DLoRA (arXiv 2601.10037 and their code): in each of ten windows

    membrane = decay * membrane * (1 - spike) + fc1(x) + fc1h(spike)     (reset: only of what is carried)
    spike    = membrane > threshold
    output   = fc2(sum of spikes / 10)

with decay 0.5 and threshold 0.3. Backwards, a spike's slope is a rectangle about the threshold.
"""

import math

import numpy as np
import torch

__all__ = ["ADAPTED", "HIDDEN", "Recurrent", "load_published"]

HIDDEN = 512
DECAY, THRESHOLD = 0.5, 0.3
SLOPE_WIDTH = 0.25          # of the surrogate's rectangle, each side of the threshold
LORA_SCALE = 2.0            # of B A x: alpha 16 over rank 8
ADAPTED = ("fc1", "fc1h")


class Spike(torch.autograd.Function):
    """1 where a membrane is above the threshold; backwards a rectangle of height 1 / (2 width)."""

    @staticmethod
    def forward(ctx, membrane):
        ctx.save_for_backward(membrane)
        return (membrane > THRESHOLD).to(membrane.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (membrane,) = ctx.saved_tensors
        return gradient * ((membrane - THRESHOLD).abs() < SLOPE_WIDTH) / (2 * SLOPE_WIDTH)


class Recurrent(torch.nn.Module):
    """The network, with its linear layers pluggable.

    ``forward(counts, layer=None)``: counts (n, windows, k) -> outputs (n, d). ``layer``: a function
    ``(name, x) -> y`` of what computes a linear layer's product; by default `linear`, float weights plus the active
    adapters. Biases, membranes, thresholds and the mean are the glue that the processor does.

    Members: ``weights`` {name: (d, k)}, ``biases`` {name: (d,)}, ``adapters`` {slot: {name_a, name_b}} and ``active``,
    the slots that are summed. ``watch``, where it is set, is called with the spikes (n, hidden) of every window.
    """

    def __init__(self, channels=140, hidden=HIDDEN, outputs=6, seed=0):
        super().__init__()
        self.lora_scale = LORA_SCALE
        shapes = {"fc1": (hidden, channels), "fc1h": (hidden, hidden), "fc2": (outputs, hidden)}
        draw = torch.Generator().manual_seed(seed)
        self.shapes = shapes
        self.weights = torch.nn.ParameterDict({name: uniform(shape, shape[1], draw) for name, shape in shapes.items()})
        self.biases = torch.nn.ParameterDict({name: uniform(shape[:1], shape[1], draw)
                                              for name, shape in shapes.items()})
        self.adapters = torch.nn.ModuleDict()
        self.active = ()
        self.watch = None

    def forward(self, counts, layer=None):
        """See the class."""
        layer = layer or self.linear
        membrane = spike = counts.new_zeros(len(counts), self.shapes["fc1h"][1])
        bias = self.biases["fc1"] + self.biases["fc1h"]
        total = 0
        for x in counts.unbind(dim=1):
            membrane = DECAY * membrane * (1 - spike) + layer("fc1", x) + layer("fc1h", spike) + bias
            spike = Spike.apply(membrane)
            total = total + spike
            if self.watch:
                self.watch(spike)
        return layer("fc2", total / counts.shape[1]) + self.biases["fc2"]

    def linear(self, name, x):
        """The float product of layer ``name`` with the active adapters: (..., k) -> (..., d)."""
        y = x @ self.weights[name].T
        for slot in self.active:
            if pair := self.adapter(name, (slot,)):
                y = y + self.lora_scale * (x @ pair[0].T) @ pair[1].T
        return y

    def adapter(self, name, slots=None):
        """``(a (r, k), b (d, r))`` of a layer, all ``slots`` (default: every one) side by side; None without any."""
        pairs = [(parts[f"{name}_a"], parts[f"{name}_b"]) for slot, parts in self.adapters.items()
                 if (slots is None or slot in slots) and f"{name}_a" in parts]
        if not pairs:
            return None
        return torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs], dim=1)

    def add_adapter(self, slot, rank=8, seed=0):
        """A fresh adapter of ``rank`` on the layers of `ADAPTED`, active beside the others; B starts at 0."""
        draw = torch.Generator().manual_seed(seed)
        parts = {}
        for name in ADAPTED:
            outputs, inputs = self.shapes[name]
            parts[f"{name}_a"] = uniform((rank, inputs), inputs, draw)
            parts[f"{name}_b"] = torch.nn.Parameter(torch.zeros(outputs, rank))
        self.adapters[slot] = torch.nn.ParameterDict(parts)
        self.active = (*self.active, slot)


def uniform(shape, inputs, draw):
    """A parameter drawn as torch.nn.Linear draws weights and biases: within 1 / sqrt(inputs)."""
    return torch.nn.Parameter((2 * torch.rand(shape, generator=draw) - 1) / math.sqrt(inputs))


def load_published(path):
    """The `Recurrent` of the authors' state dict as a numpy archive: weights, biases and up to two adapters ("unlearn",
    "continual")."""
    with np.load(path, allow_pickle=False) as archive:
        state = {name: torch.from_numpy(archive[name].astype(np.float32)) for name in archive.files}
    network = Recurrent(outputs=len(state["fc2.bias"]))
    with torch.no_grad():
        for name in network.shapes:
            network.weights[name].copy_(state[f"{name}.weight"])
            network.biases[name].copy_(state[f"{name}.bias"])
        for slot, suffix in (("unlearn", ""), ("continual", "_continue_learning")):
            if f"fc1.lora_A{suffix}" in state:
                network.add_adapter(slot)
                for name in ADAPTED:
                    for part in "ab":
                        network.adapters[slot][f"{name}_{part}"].copy_(state[f"{name}.lora_{part.upper()}{suffix}"])
    return network
