"""The speaker task step by step: learn five speakers, unlearn one by label obfuscation, enrol a sixth.

Clips are split take by take of every digit: the last takes are for test, whatever the seed, which draws the clips for
validation among the others. Lengths and rates were set on validation clips; how clips are varied, and how the sixth row
is drawn, in rehearsals on takes that are not for test (`rmdlora.cosim.speaker.choose` holds candidates and rule). A run
makes its fixed number of updates, and its last state is its result, so no epoch, threshold or seed was chosen on a test
clip.

The recipe is the authors' in outline: in unlearning every clip of the speaker to forget gets a label drawn anew among
the others, each time it is seen; enrolling replays the training clips of the retained speakers beside the new one's.
A mini-batch of these two shows every speaker as often. No clip is seen twice alike: its counts go up and down, together
and one by one, and in enrolling half of the clips lose some channels, so no voice hangs on a single count or channel.
The readout's sixth row is drawn once, at right angles to the other five and as long as they are, and programmed with
them; it is never trained: enrolling steers the hidden spikes towards it. Both adapters, of rank 8 each, are summed.
"""

import dataclasses

import numpy as np
import torch

from ..calibration import observe
from ..training import OptimiserTraining, Rates, grow
from .network import ADAPTED, HIDDEN, Recurrent
from .spikes import TOP, split_clips
from .unrolled import UnrolledTraining

__all__ = ["CALIBRATION", "FORGET", "JITTER", "LEARNED", "LEVEL", "NEW", "RANK", "STAGES", "Recipe", "SpeakerData",
           "calibration_clips", "draw_row", "learn_weights", "mask_channels", "prepare_clips", "stage_batches",
           "train_adapter", "vary"]

LEARNED, FORGET, NEW = 5, 1, 5      # speakers 0..4 are learned, 1 of them forgotten, 5 new
RANK = 8
CALIBRATION = 60                    # clips that scales and gains are set from
JITTER = 0.15                       # share of a clip's counts that go up by one when it is seen, and down
LEVEL = 1                           # by how much they may go up or down together
HALVINGS = 0.4, 0.6, 0.8            # of a training's updates after which its rates halve


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How long and how fast: ``steps`` of mini-batches of ``batch`` clips; rates of Adam or of the hardware.

    ``learn_falling``: whether the rate of learning falls to 0 along a half cosine. ``mask``: share of the channels that
    half of the clips lose in enrolling.

    An update moves a weight by a ten-thousandth at first: the recurrent layer's own are 0.03 in the root mean square,
    and an adapter about as large as those makes a network that fires by itself.
    """

    batch: int = 64
    learn_steps: int = 300
    learn_rate: float = 0.001
    learn_falling: bool = False
    unlearn_steps: int = 60
    continual_steps: int = 120
    mask: float = 1 / 7
    hardware: Rates = dataclasses.field(default_factory=lambda: Rates(0.0001, 0.0003, 3))
    optimiser_rate: float = 0.002

    def shortened(self):
        """The same in a fraction of the time, and somewhat worse."""
        return dataclasses.replace(self, learn_steps=100, unlearn_steps=30, continual_steps=40)


@dataclasses.dataclass(frozen=True)
class SpeakerData:
    """``train``, ``validation``, ``test``: pairs of counts float32 (n, windows, channels) and speakers int64 (n,)."""

    clips: object
    train: tuple
    validation: tuple
    test: tuple


def prepare_clips(clips, seed=0, split=None):
    """The `SpeakerData` of `Clips`, split by ``seed``, or as ``split`` (`Split`) says."""
    split = split or split_clips(clips, seed)
    return SpeakerData(clips, *((torch.from_numpy(clips.counts[index]), torch.from_numpy(clips.speaker[index]))
                                for index in (split.train, split.validation, split.test)))


def of_speakers(part, speakers):
    """The clips of ``part`` (counts, speaker) by ``speakers``."""
    chosen = torch.isin(part[1], torch.tensor(sorted(speakers)))
    return part[0][chosen], part[1][chosen]


def draw_batches(counts, speaker, steps, batch, draw):
    """``steps`` mini-batches of ``batch`` clips, drawn and put back."""
    for _ in range(steps):
        chosen = torch.randint(len(counts), (batch,), generator=draw)
        yield counts[chosen], speaker[chosen]


def draw_balanced(part, people, steps, batch, draw):
    """As `draw_batches`, of ``part`` (counts, speaker): every one of ``people`` as often, ``batch`` clips at most."""
    pools = [torch.nonzero(part[1] == person).flatten() for person in sorted(people)]
    for _ in range(steps):
        chosen = torch.cat([pool[torch.randint(len(pool), (batch // len(pools),), generator=draw)] for pool in pools])
        yield part[0][chosen], part[1][chosen]


def vary(counts, draw):
    """``counts`` (n, windows, channels) as they might have been, within 0..`TOP`: all of a clip that are not 0 up to
    `LEVEL` more or less, by as much; then of all a share of `JITTER` one more, and as many one less."""
    moved = torch.randint(-LEVEL, LEVEL + 1, (len(counts), 1, 1), generator=draw)
    counts = torch.where(counts > 0, counts + moved, counts).clamp(0, TOP)
    drawn = torch.rand(counts.shape, generator=draw)
    return (counts + (drawn < JITTER).float() - (drawn > 1 - JITTER).float()).clamp(0, TOP)


def mask_channels(counts, share, draw):
    """``counts`` (n, windows, channels) of which half of the clips lose a ``share`` of the channels, neighbours drawn
    clip by clip."""
    channels = counts.shape[2]
    width = round(share * channels)
    first = torch.randint(0, channels - width + 1, (len(counts), 1, 1), generator=draw)
    lost = (torch.arange(channels) >= first) & (torch.arange(channels) < first + width)
    return torch.where(lost & (torch.rand(len(counts), 1, 1, generator=draw) < 0.5), 0.0, counts)


def draw_row(rows, draw):
    """A row (hidden,) at right angles to all of ``rows`` (n, hidden), as long as they are in the mean."""
    spanned = torch.linalg.qr(rows.T)[0]                    # (hidden, n)
    row = torch.randn(rows.shape[1], generator=draw)
    row = row - spanned @ (spanned.T @ row)
    return row * rows.norm(dim=1).mean() / row.norm()


def learn_weights(data, recipe, seed=0, report=None, hidden=HIDDEN):
    """A `Recurrent` of ``hidden`` neurons that has learned the first five speakers, in float by Adam; its sixth output
    waits."""
    network = Recurrent(data.clips.counts.shape[2], hidden, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learn_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.learn_steps)
    part = of_speakers(data.train, range(LEARNED))
    for counts, speaker in draw_batches(*part, recipe.learn_steps, recipe.batch, draw):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(vary(counts, draw))[:, :LEARNED], speaker).backward()
        optimiser.step()
        if recipe.learn_falling:
            schedule.step()
        if report:
            report()
    with torch.no_grad():
        network.weights["fc2"][NEW] = draw_row(network.weights["fc2"][:LEARNED], draw)
        network.biases["fc2"][NEW] = 0.0
    return network


def obfuscated(speaker, draw):
    """Labels in which `FORGET` is one of the other learned speakers, drawn anew."""
    others = torch.tensor([other for other in range(LEARNED) if other != FORGET])
    drawn = others[torch.randint(len(others), speaker.shape, generator=draw)]
    return torch.where(speaker == FORGET, drawn, speaker)


def stage_batches(data, recipe, stage, seed):
    """Mini-batches ``(counts, label)`` of a stage."""
    draw = torch.Generator().manual_seed(seed + 1)
    if stage == "unlearn":
        for counts, speaker in draw_balanced(data.train, range(LEARNED), recipe.unlearn_steps, recipe.batch, draw):
            label = obfuscated(speaker, draw)
            yield vary(counts, draw), label
        return
    people = set(range(LEARNED + 1)) - {FORGET}
    for counts, speaker in draw_balanced(data.train, people, recipe.continual_steps, recipe.batch, draw):
        yield mask_channels(vary(counts, draw), recipe.mask, draw), speaker


# stage: the adapters summed in it, and how many outputs there are
STAGES = {"learn": ((), LEARNED), "unlearn": (("unlearn",), LEARNED),
          "continual": (("unlearn", "continual"), LEARNED + 1)}


def train_adapter(network, float_network, data, recipe, stage, backend, unit=None, seed=0, report=None):
    """``network`` grown by the adapter of ``stage`` and trained; gives the network.

    ``unit``: what makes the hardware's own update; None: Adam, straight through. ``float_network``: the one the array
    was programmed from.
    """
    seen = observe(float_network, calibration_clips(data, seed))
    network = grow(network, stage, RANK, {name: seen[name].x for name in ADAPTED}, seed)
    slots, outputs = STAGES[stage]
    halve = tuple(int(share * getattr(recipe, f"{stage}_steps")) for share in HALVINGS)
    if unit is None:
        training = OptimiserTraining(network, backend, slots, (stage,),
                                     lambda parts: torch.optim.Adam(parts, lr=recipe.optimiser_rate))
        schedule = torch.optim.lr_scheduler.MultiStepLR(training.optimiser, halve, gamma=0.5)
    else:
        rates = dataclasses.replace(recipe.hardware, halve=halve)
        training, schedule = UnrolledTraining(network, backend, unit, slots, (stage,), rates), None
    for counts, label in stage_batches(data, recipe, stage, seed):
        training.step(counts, lambda output, label=label: torch.nn.functional.cross_entropy(output[:, :outputs], label))
        if schedule:
            schedule.step()
        if report:
            report()
    return network


def calibration_clips(data, seed):
    """Training clips of the learned speakers that scales and gains are set from."""
    counts, _ = of_speakers(data.train, range(LEARNED))
    return counts[np.random.default_rng(seed).permutation(len(counts))[:CALIBRATION]]
