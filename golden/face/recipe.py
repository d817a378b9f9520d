"""The face task step by step: learn five people, unlearn one, learn a sixth; and the same by full reprogramming.

Nothing is chosen on a test picture, nor on any picture of the six people. Every person's pictures are cut into
`FOLDS` by the seed before a variant of any is made, and the whole task is run for each fold, trained on the others: so
every picture is a test picture once, of networks that never saw it. Every length, rate and bound here was chosen on
persons 6 to 19 of the same collection, none of whom the task sees (`rmdlora.cosim.face.choose` holds the candidates and
the rule); a run has no stopping rule that looks at anything but the number of its updates, and its last state is its
result.

Adapters: one of rank 6, on the layers the paper adapts, unlearns (the paper's eq. 6: gradient ascent on one person
beside retention, each picture's ascent only until its cross entropy reaches `ASCENT_BOUND`), and stays. A second one
learns the new person beside it with a replay of the retained ones (eq. 9), and the network is the array plus the sum of
both: so what the first took away stays away, as nothing in the second gives it back. The second one has the paper's
rank 8, but on every layer, where the paper adapts five of the ten: those five cannot fit what they are shown.
"""

import copy
import dataclasses

import torch

from ..calibration import observe
from ..data import augment, fold_pictures, load_pictures, shrink
from ..training import HardwareTraining, OptimiserTraining, Rates, grow, one_thread
from .mixer import ADAPTED, Mixer

__all__ = ["FOLDS", "FORGET", "LEARNED", "NEW", "FaceData", "Recipe", "adapted_layers", "add_adapter",
           "calibration_images", "draw_batches", "learn_weights", "prepare_faces", "retrain_weights", "train_adapter",
           "unlearn_loss"]

LEARNED, FORGET, NEW = 5, 2, 5                  # persons 0..4 are learned, 2 of them forgotten, 5 new
FOLDS = 5                                       # of a person's pictures: the published 80 : 20
ASCENT = -0.5                                   # weight of a picture to forget (eq. 6)
ASCENT_BOUND = 4.0                              # of its cross entropy
SMOOTHING = 0.1                                 # of the labels in learning: leaves a slope to climb, and a margin
CALIBRATION = 100                               # pictures that scales and gains are set from


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How long and how fast. ``ranks`` of the adapters, by stage. ``steps`` of mini-batches; rates of Adam, or of the
    ``hardware``'s update (`Rates`) by stage, which halve after these ``halvings``, shares of the stage's steps.
    ``shares``: of every batch, the person to forget, or the new one; ``retrain_shares``: likewise in full
    reprogramming. ``degrees`` and ``grain`` are of the variants shown after learning: how far they are turned either
    way, and the standard deviation of the noise on their pixels. ``adapt_on``, ``retrain_on``: the part of `FaceData`
    that adapters, or full reprogramming, learn from."""

    ranks: dict = dataclasses.field(default_factory=lambda: {"unlearn": 6, "continual": 8})
    copies: int = 60
    degrees: float = 15.0
    grain: float = 0.2
    adapt_on: str = "later"
    retrain_on: str = "later"
    learn_steps: int = 500
    learn_batch: int = 192
    learn_rate: float = 0.01
    adapter_batch: int = 64
    unlearn_steps: int = 40
    continual_steps: int = 320
    hardware: dict = dataclasses.field(default_factory=lambda: {"unlearn": Rates(0.001, 0.001, 3),
                                                                "continual": Rates(0.002, 0.002, 3, kept=True)})
    halvings: dict = dataclasses.field(default_factory=lambda: {"unlearn": (0.5, 0.75, 0.875),
                                                                "continual": (0.4, 0.6, 0.8)})
    optimiser_rate: float = 0.01
    retrain_rate: float = 0.01
    shares: dict = dataclasses.field(default_factory=lambda: {"unlearn": 0.2, "continual": 0.3})
    retrain_shares: dict = dataclasses.field(default_factory=lambda: {"unlearn": 0.2, "continual": 0.3})

    def shortened(self):
        """The same in a fraction of the time, and somewhat worse."""
        return dataclasses.replace(self, copies=20, learn_steps=150, learn_batch=128, continual_steps=60)

    def on_chip(self):
        """The same in mini-batches, and lengths of learning anew, that simulated Verilog gets through in minutes."""
        return dataclasses.replace(self, adapter_batch=32, continual_steps=self.continual_steps // 16)


@dataclasses.dataclass(frozen=True)
class FaceData:
    """Pictures as the network sees them, float32 (n, 16, 16) in -1..1 with their identities: ``train`` the training
    pictures and their variants, ``test`` the others; ``seen`` the training pictures alone; ``later`` these and other
    variants of theirs, turned less and grained, for what comes after learning. ``pictures`` and ``split``: where they
    come from."""

    pictures: object
    split: object
    train: tuple
    seen: tuple
    later: tuple
    test: tuple


def prepare_faces(recipe, seed=0, first=0, pictures=None, fold=0):
    """The `FaceData` of six people from person ``first`` on: one of the `FOLDS` drawn by ``seed``, then augmented."""
    pictures = pictures or load_pictures(LEARNED + 1, first=first)
    split = fold_pictures(pictures, FOLDS, seed)[fold]
    images, identity = (torch.from_numpy(part[split.train]) for part in (pictures.images, pictures.identity))
    test = shrink(torch.from_numpy(pictures.images[split.test])), torch.from_numpy(pictures.identity[split.test])
    faces = pictures.kind == "faces"
    copies = max(1, recipe.copies * 7 * (LEARNED + 1) // len(images))
    draw = torch.Generator().manual_seed(seed * FOLDS + fold)
    people = torch.cat([identity, identity.repeat_interleave(copies)])
    train, later = (shrink(torch.cat([images, augment(images, copies, draw, degrees=degrees, flip=faces)]))
                    for degrees in (30.0 if faces else 15.0, recipe.degrees))
    later = later + recipe.grain * torch.randn(later.shape, generator=draw)
    return FaceData(pictures, split, (train, people), (shrink(images), identity), (later, people), test)


def draw_batches(part, people, steps, batch, seed, stressed=None, share=0.0):
    """``steps`` mini-batches of ``part`` (images, identity): ``batch`` pictures of ``people``, drawn and put back.

    A ``share`` of every batch, rounded, shows the person ``stressed``; the rest is drawn from all others of ``people``.
    """
    images, identity = part
    draw = torch.Generator().manual_seed(seed)
    alone = 0 if stressed is None else round(share * batch)
    pools = [torch.nonzero(torch.isin(identity, torch.tensor(sorted(chosen)))).flatten()
             for chosen in ({stressed} if alone else (), set(people) - ({stressed} if alone else set()))]
    for _ in range(steps):
        chosen = torch.cat([pool[torch.randint(len(pool), (count,), generator=draw)]
                            for pool, count in zip(pools, (alone, batch - alone), strict=True) if count])
        yield images[chosen], identity[chosen]


def unlearn_loss(output, identity):
    """The mean of w CE: w = `ASCENT` for pictures of `FORGET` whose cross entropy is below the bound, 0 beyond, and 1
    for all others, whose labels are smoothed as the array's weights learned them: a network that grows surer of them
    than that takes a new person worse."""
    each, smoothed = (torch.nn.functional.cross_entropy(output, identity, reduction="none", label_smoothing=smoothing)
                      for smoothing in (0.0, SMOOTHING))
    climbing = (identity == FORGET) & (each < ASCENT_BOUND)
    return torch.where(identity == FORGET, torch.where(climbing, ASCENT, 0.0) * each, smoothed).mean()


def continual_loss(output, identity):
    """Cross entropy over the new person and the replay, labels smoothed as the array's weights learned them."""
    return torch.nn.functional.cross_entropy(output, identity, label_smoothing=SMOOTHING)


# stage: (its loss, the people whose pictures it sees, and who of them makes up a share of their own)
STAGES = {"unlearn": (unlearn_loss, set(range(LEARNED)), FORGET),
          "continual": (continual_loss, set(range(LEARNED + 1)) - {FORGET}, NEW)}


@one_thread()
def learn_weights(data, recipe, seed=0, report=None):
    """A `Mixer` that knows persons 0..4, in float; ``report()`` is called after each step."""
    mixer = Mixer(seed=seed)
    descend(mixer, draw_batches(data.train, range(LEARNED), recipe.learn_steps, recipe.learn_batch, seed),
            lambda output, identity: torch.nn.functional.cross_entropy(output, identity, label_smoothing=SMOOTHING),
            recipe.learn_rate, recipe.learn_steps, report)
    return mixer


@one_thread()
def retrain_weights(mixer, data, recipe, stage, seed=0, report=None):
    """A copy of ``mixer`` with all its weights trained through ``stage``, in float: to be programmed anew."""
    mixer = copy.deepcopy(mixer)
    loss, people, stressed = STAGES[stage]
    steps = getattr(recipe, f"{stage}_steps")
    batches = draw_batches(getattr(data, recipe.retrain_on), people, steps, recipe.adapter_batch, seed, stressed,
                           recipe.retrain_shares[stage])
    descend(mixer, batches, loss, recipe.retrain_rate, steps, report)
    return mixer


def descend(mixer, batches, loss, rate, steps, report):
    """Train every weight with Adam, its rate falling to 0 along a half cosine."""
    optimiser = torch.optim.Adam([*mixer.weights.values(), *mixer.gammas.values()], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for images, identity in batches:
        optimiser.zero_grad()
        loss(mixer(images), identity).backward()
        optimiser.step()
        schedule.step()
        if report:
            report()


def calibration_images(data, seed=0):
    """Training pictures of the people learned that scales and gains are set from."""
    return next(draw_batches(data.train, range(LEARNED), 1, CALIBRATION, seed))[0]


def adapted_layers(mixer, stage):
    """Names of the layers of ``mixer`` that the adapter of ``stage`` is on."""
    return ADAPTED if stage == "unlearn" else tuple(mixer.shapes)


def add_adapter(network, mixer, data, recipe, stage, seed=0):
    """``network`` grown by the adapter of ``stage``; ``mixer``: the float network the array was programmed from."""
    seen = observe(mixer, calibration_images(data, seed))
    inputs = {name: seen[name].x for name in adapted_layers(mixer, stage)}
    return grow(network, stage, recipe.ranks[stage], inputs, seed)


@one_thread()
def train_adapter(network, data, recipe, stage, backend, unit=None, seed=0, report=None):
    """Train the adapter of ``stage`` ("unlearn", or "continual" beside it) in ``network``, whose layers are replaced.

    ``unit``: what makes the hardware's own update (`golden.training.OracleUnit`, or the RTL's); None: Adam, straight
    through. ``report()`` is called after each step.
    """
    loss, people, stressed = STAGES[stage]
    slots = tuple(STAGES)[:1 + tuple(STAGES).index(stage)]
    steps = getattr(recipe, f"{stage}_steps")
    if unit is None:
        training = OptimiserTraining(network, backend, slots, (stage,),
                                     lambda parts: torch.optim.Adam(parts, lr=recipe.optimiser_rate))
    else:
        halve = tuple(int(share * steps) for share in recipe.halvings[stage])
        rates = dataclasses.replace(recipe.hardware[stage], halve=halve)
        training = HardwareTraining(network, backend, unit, slots, (stage,), rates)
    for images, identity in draw_batches(getattr(data, recipe.adapt_on), people, steps, recipe.adapter_batch, seed,
                                         stressed, recipe.shares[stage]):
        training.step(images, lambda output, identity=identity: loss(output, identity))
        if report:
            report()
