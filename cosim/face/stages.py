"""The face task of one seed on the modelled array: hybrid, and by full reprogramming under the same noise."""

import dataclasses

import numpy as np
import torch
from rmdlora.golden.face.recipe import (
    FORGET,
    LEARNED,
    NEW,
    add_adapter,
    calibration_images,
    learn_weights,
    prepare_faces,
    retrain_weights,
    train_adapter,
)
from rmdlora.golden.hybrid import HybridNetwork
from rmdlora.golden.training import OracleUnit

from ..hybrid import Machine

__all__ = ["STAGES", "Run", "judge", "run_hybrid", "run_reprogrammed", "share",
           "share_read"]

STAGES = {"learn": (), "unlearn": ("unlearn",), "continual": ("unlearn", "continual")}     # and the adapters summed
KNOWN = set(range(LEARNED + 1)) - {FORGET}                                                      # at the end


@dataclasses.dataclass
class Run:
    """What one fold of one seed gave, by stage.

    float64 ``logits`` (n, 6) on the test pictures of ``identity`` (n,), and those of the float ``twins``; ``features``
    (m, 26) of the test pictures, then of those trained on, no variants: what the last layer was given, and three times
    the probabilities it gave; ``networks`` (`HybridNetwork`), ``mixers`` (the float network whose weights were
    programmed), ``pulses`` (programming cycles of all cells).
    """

    data: object
    machine: Machine
    logits: dict = dataclasses.field(default_factory=dict)
    twins: dict = dataclasses.field(default_factory=dict)
    features: dict = dataclasses.field(default_factory=dict)
    networks: dict = dataclasses.field(default_factory=dict)
    mixers: dict = dataclasses.field(default_factory=dict)
    pulses: dict = dataclasses.field(default_factory=dict)

    @property
    def identity(self):
        """Of the test pictures, int64 (n,)."""
        return self.data.test[1]

    def judge(self, stage, network, slots):
        """Run the test pictures through ``network`` as it stands, and keep what it says."""
        frozen = HybridNetwork(network.glue, dict(network.layers), network.configuration)
        (images, identity), seen = self.data.test, self.data.seen[0]
        self.networks[stage], self.twins[stage] = frozen, frozen.run_float(images, slots)
        logits, runs = frozen.run(torch.cat([images, seen]), self.machine.test, slots)
        self.logits[stage] = logits[:len(identity)]
        given = runs[-1].x * runs[-1].layer.x_scale
        self.features[stage] = np.concatenate([given / given.std(), 3 * torch.softmax(logits, dim=1).numpy()], axis=1)


def run_hybrid(configuration, recipe, seed, mixer=None, data=None, preset=None, hardware=True, report=None):
    """A `Run` of the hybrid: weights programmed once, adapters trained, by the hardware's own update or by Adam.

    ``mixer`` and ``data``: of the same seed, where they are there already. ``report(what)`` is called at each step.
    """
    def note(what):
        return (lambda: report(what)) if report else None

    data = data or prepare_faces(recipe, seed)
    mixer = mixer or learn_weights(data, recipe, seed, note("learn"))
    run = Run(data, Machine(configuration, preset))
    network = run.machine.program(mixer, calibration_images(data, seed))
    run.mixers["learn"], run.pulses["learn"] = mixer, run.machine.pulses
    run.judge("learn", network, ())
    unit = OracleUnit(configuration, seed) if hardware else None
    for stage in ("unlearn", "continual"):
        network = add_adapter(network, mixer, data, recipe, stage, seed)
        train_adapter(network, data, recipe, stage, run.machine.train, unit, seed, note(stage))
        run.judge(stage, network, STAGES[stage])
        run.pulses[stage] = run.machine.pulses - sum(run.pulses.values())
    return run


def run_reprogrammed(configuration, recipe, seed, mixer, data, preset=None, report=None):
    """A `Run` of the paper's baseline: all weights retrained in float, and every cell programmed again, with noise."""
    run = Run(data, Machine(configuration, preset))
    for stage in STAGES:
        if stage != "learn":
            mixer = retrain_weights(mixer, data, recipe, stage, seed, (lambda: report("reprogram")) if report else None)
        run.mixers[stage] = mixer
        run.judge(stage, run.machine.program(mixer, calibration_images(data, seed)), ())
        run.pulses[stage] = run.machine.pulses - sum(run.pulses.values())
    return run


def judge(runs, said="logits"):
    """Figures of some `Run`: shares of all their test pictures named right. ``said``: "logits", or those of "twins"."""
    learned, kept = set(range(LEARNED)), set(range(LEARNED)) - {FORGET}
    return {"learned": share(runs, "learn", learned, said),
            "retained_before": share(runs, "learn", kept, said),
            "forgotten_after_unlearning": share(runs, "unlearn", {FORGET}, said),
            "retained_after_unlearning": share(runs, "unlearn", kept, said),
            "forgotten_after_continual": share(runs, "continual", {FORGET}, said),
            "retained_after_continual": share(runs, "continual", kept, said),
            "new": share(runs, "continual", {NEW}, said),
            "wanted_after_continual": share(runs, "continual", KNOWN, said)}


def share(runs, stage, people, said="logits"):
    """Share named right of the test pictures of ``people``, over ``runs``."""
    right = [(getattr(run, said)[stage].argmax(dim=1) == run.identity)[shown(run.identity, people)] for run in runs]
    return float(torch.cat(right).double().mean())


def shown(identity, people):
    """Mask (n,) of the pictures that show one of ``people``."""
    return torch.isin(identity, torch.tensor(sorted(people)))


def share_read(runs, slots, read):
    """As `share`, of everybody to be known at the end, were every cell read with a standard deviation of ``read``
    (0..1) of its conductance: the cells and adapters of the end as they are."""
    right = []
    for run in runs:
        logits, _ = run.networks["continual"].run(run.data.test[0], run.machine.reader(read=round(read * 65536)), slots)
        right.append((logits.argmax(dim=1) == run.identity)[shown(run.identity, KNOWN)])
    return float(torch.cat(right).double().mean())
