"""The face task's network: a small MLP-Mixer in float torch, how it learns, and how an adapter makes it forget.

Shape and recipe follow the authors of RM-DLoRA (arXiv 2601.10037 and their code): 16 x 16 pixels in patches of 4 x 4,
16 tokens of 20 channels, two blocks with 32 hidden units, six outputs, no biases; Adam at 0.01 on the whole training
set at once. Unlike theirs, pictures are split before they are augmented.
"""

import dataclasses
import math

import numpy as np
import torch

from ..data import augment, load_pictures, shrink, split_pictures
from ..training import one_thread

__all__ = [
    "ADAPTED",
    "FaceTask",
    "Mixer",
    "accuracy",
    "accuracy_by_identity",
    "confusion",
    "learn",
    "prepare_task",
    "unlearn",
]

LORA_SCALE = 4.0        # of B A x; not divided by the rank
NORM_EPSILON = 1e-8     # added after the square root
ADAPTED = ("block0_mlp3", "block0_mlp4", "block1_mlp3", "block1_mlp4", "out")


class Mixer(torch.nn.Module):
    """The MLP-Mixer, with its linear layers pluggable.

    ``forward(images, layer=None)``: images (n, side, side) -> logits (n, outputs). ``layer`` is what computes a linear
    layer: a function ``(name, x) -> y`` with x (..., k) and y (..., d); by default `linear`, float weights plus the
    active adapters. Everything else (norms, GELU, transposes, residuals, the mean) is the glue that the processor
    does, written once here for every way of computing the layers.

    Members: ``weights`` {name: (d, k)}, ``gammas`` {name: (channels,)}, ``adapters`` {slot: {name_a (r, k), name_b (d,
    r)}} and ``active``, the slots that are summed.
    """

    def __init__(self, side=16, patch=4, channels=20, hidden=32, blocks=2, outputs=6, seed=0):
        super().__init__()
        self.lora_scale = LORA_SCALE
        self.patch, self.blocks = patch, blocks
        tokens = (side // patch) ** 2
        shapes = {"patch": (channels, patch * patch)}
        for block in range(blocks):
            shapes |= {f"block{block}_mlp1": (hidden, tokens), f"block{block}_mlp2": (tokens, hidden),
                       f"block{block}_mlp3": (hidden, channels), f"block{block}_mlp4": (channels, hidden)}
        shapes["out"] = (outputs, channels)
        self.shapes = shapes
        draw = torch.Generator().manual_seed(seed)
        self.weights = torch.nn.ParameterDict([(name, kaiming(shape, draw)) for name, shape in shapes.items()])
        norms = [f"block{block}_{mix}" for block in range(blocks) for mix in ("token", "channel")] + ["out"]
        self.gammas = torch.nn.ParameterDict({name: torch.ones(channels) for name in norms})
        self.adapters = torch.nn.ModuleDict()
        self.active = ()

    @property
    def vectors(self):
        """Vectors an image gives each layer, by name."""
        tokens, channels = self.shapes["block0_mlp1"][1], self.shapes["patch"][0]
        return {name: 1 if name == "out" else channels if name.endswith(("mlp1", "mlp2")) else tokens
                for name in self.shapes}

    def add_adapter(self, slot, rank, seed=0):
        """A fresh adapter of ``rank`` on every layer of `ADAPTED`, active beside the others; B starts at 0."""
        draw = torch.Generator().manual_seed(seed)
        parts = {}
        for name in ADAPTED:
            outputs, inputs = self.shapes[name]
            parts[f"{name}_a"] = kaiming((rank, inputs), draw)
            parts[f"{name}_b"] = torch.nn.Parameter(torch.zeros(outputs, rank))
        self.adapters[slot] = torch.nn.ParameterDict(parts)
        self.active = (*self.active, slot)

    def adapter(self, name, slots=None):
        """``(a (r, k), b (d, r))`` of a layer: the adapters of ``slots`` (default: all) side by side, or None."""
        parts = [self.adapters[slot] for slot in (self.adapters if slots is None else slots)
                 if f"{name}_a" in self.adapters[slot]]
        if not parts:
            return None
        return (torch.cat([part[f"{name}_a"] for part in parts]),
                torch.cat([part[f"{name}_b"] for part in parts], dim=1))

    def linear(self, name, x):
        """A layer in float: ``W x`` plus the active adapters' share."""
        y = x @ self.weights[name].T
        for slot in self.active:
            if f"{name}_a" in self.adapters[slot]:
                a, b = self.adapters[slot][f"{name}_a"], self.adapters[slot][f"{name}_b"]
                y = y + self.lora_scale * (x @ a.T) @ b.T
        return y

    def norm(self, name, x):
        """RMSNorm over the channels."""
        return self.gammas[name] * x / (x.square().mean(dim=-1, keepdim=True).sqrt() + NORM_EPSILON)

    def forward(self, images, layer=None):
        layer = layer or self.linear
        gelu = torch.nn.functional.gelu
        n, side, _ = images.shape
        rows = side // self.patch
        x = images.reshape(n, rows, self.patch, rows, self.patch).transpose(2, 3).reshape(n, rows * rows, -1)
        x = layer("patch", x)                                                            # (n, tokens, channels)
        for block in range(self.blocks):
            name = f"block{block}"
            mixed = gelu(layer(f"{name}_mlp1", self.norm(f"{name}_token", x).transpose(1, 2)))
            x = x + layer(f"{name}_mlp2", mixed).transpose(1, 2)
            x = x + layer(f"{name}_mlp4", gelu(layer(f"{name}_mlp3", self.norm(f"{name}_channel", x))))
        return layer("out", self.norm("out", x).mean(dim=1))                             # (n, outputs)


def kaiming(shape, draw):
    """A parameter drawn as torch.nn.Linear draws its weights: uniform within +- 1 / sqrt(inputs)."""
    bound = 1 / math.sqrt(shape[1])
    return torch.nn.Parameter((2 * torch.rand(shape, generator=draw) - 1) * bound)


@dataclasses.dataclass(frozen=True)
class FaceTask:
    """Pictures as the network sees them: float32 (n, 16, 16) in -1..1 and their identities.

    ``train`` holds every training picture and its variants; ``seen`` the training pictures alone; ``test`` pictures
    that neither are in training nor gave a variant to it. ``pictures`` and ``split`` are where they come from.
    """

    pictures: object
    split: object
    train: tuple
    seen: tuple
    test: tuple


def prepare_task(identities=5, copies=29, seed=0, pictures=None):
    """The `FaceTask` of the first ``identities``: split by ``seed``, then ``copies`` variants a training picture."""
    pictures = pictures or load_pictures(identities)
    split = split_pictures(pictures, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    parts = {}
    for part in ("train", "test"):
        chosen = getattr(split, part)
        parts[part] = torch.from_numpy(pictures.images[chosen]), torch.from_numpy(pictures.identity[chosen])
    images, identity = parts["train"]
    copies = max(1, copies * 7 * identities // len(images))     # as many variants in all, however many pictures
    faces = pictures.kind == "faces"
    variants = augment(images, copies, draw, degrees=30.0 if faces else 15.0, flip=faces)
    train = shrink(torch.cat([images, variants])), torch.cat([identity, identity.repeat_interleave(copies)])
    return FaceTask(pictures, split, train, (shrink(images), identity), (shrink(parts["test"][0]), parts["test"][1]))


@one_thread()
def learn(mixer, task, epochs=300, rate=0.01, report=None):
    """Train every weight of ``mixer`` on ``task.train``; the weights of the last epoch stay.

    ``report(epoch, loss)`` is called after each. The rate falls to 0 along a half cosine, so the last epoch is a fair
    choice without a look at any test picture.
    """
    optimiser = torch.optim.Adam([*mixer.weights.values(), *mixer.gammas.values()], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    images, identity = task.train
    for epoch in range(epochs):
        loss = torch.nn.functional.cross_entropy(mixer(images), identity)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if report:
            report(epoch, float(loss.detach()))


@one_thread()
def unlearn(mixer, task, forget=2, slot="unlearn", rank=6, epochs=30, rate=0.01, weight=-0.5, seed=0, report=None):
    """Add an adapter of ``rank`` and train it alone until ``mixer`` no longer knows identity ``forget``.

    The loss is the mean of w CE with w = ``weight`` for the pictures to forget and 1 for the others (the paper's eq. 6:
    gradient ascent beside retention). It is bounded below by stopping: after the last epoch, or after the first in
    which no *training* picture of ``forget`` is recognised and all but 1 % of the others are. Returns the epochs made.
    """
    mixer.add_adapter(slot, rank, seed)
    images, identity = task.train
    share = torch.where(identity == forget, weight, 1.0)
    optimiser = torch.optim.Adam(mixer.adapters[slot].values(), lr=rate)
    for epoch in range(epochs):
        logits = mixer(images)
        right = logits.argmax(dim=1) == identity
        if epoch and not right[identity == forget].any() and right[identity != forget].float().mean() >= 0.99:
            return epoch
        loss = (share * torch.nn.functional.cross_entropy(logits, identity, reduction="none")).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if report:
            report(epoch, float(loss.detach()))
    return epochs


def accuracy(logits, identity):
    """Share of rows of ``logits`` (n, outputs) whose largest is ``identity`` (n,)."""
    return float((logits.argmax(dim=1) == identity).double().mean())


def accuracy_by_identity(logits, identity):
    """``{identity: accuracy}`` over the identities present."""
    return {int(each): accuracy(logits[identity == each], identity[identity == each]) for each in identity.unique()}


def confusion(logits, identity):
    """Counts (outputs, outputs): row the true identity, column the one given."""
    outputs = logits.shape[1]
    pairs = (identity * outputs + logits.argmax(dim=1)).numpy()
    return np.bincount(pairs, minlength=outputs**2).reshape(outputs, outputs)
