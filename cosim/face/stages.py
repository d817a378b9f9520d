"""The face task of one seed on the modelled array: hybrid, and by full reprogramming under the same noise."""

import dataclasses

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

__all__ = ["STAGES", "Run", "judge", "run_hybrid", "run_reprogrammed", "wanted_share"]

STAGES = {"learn": (), "unlearn": ("unlearn",), "continual": ("unlearn", "continual")}     # and the adapters summed


@dataclasses.dataclass
class Run:
    """What one seed gave, by stage: float64 ``logits`` (n, 6) on the test pictures of ``identity`` (n,), and those of
    the float ``twins``; ``features`` (n, 20), what the last layer was given; ``networks`` (`HybridNetwork`), ``mixers``
    (the float network whose weights were programmed), ``pulses`` (programming cycles of all cells)."""

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
        images = self.data.test[0]
        self.networks[stage], self.twins[stage] = frozen, frozen.run_float(images, slots)
        self.logits[stage], runs = frozen.run(images, self.machine.test, slots)
        self.features[stage] = runs[-1].x * runs[-1].layer.x_scale


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
        network = add_adapter(network, mixer, data, stage, seed)
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


def judge(logits, identity):
    """Figures of a `Run`'s ``logits`` {stage: (n, 6)}: shares of test pictures of ``identity`` (n,) named right."""
    def share(stage, people):
        chosen = torch.isin(identity, torch.tensor(sorted(people)))
        return float((logits[stage].argmax(dim=1) == identity)[chosen].double().mean())

    learned, kept = set(range(LEARNED)), set(range(LEARNED)) - {FORGET}
    return {"learned": share("learn", learned),
            "retained_before": share("learn", kept),
            "forgotten_after_unlearning": share("unlearn", {FORGET}),
            "retained_after_unlearning": share("unlearn", kept),
            "forgotten_after_continual": share("continual", {FORGET}),
            "retained_after_continual": share("continual", kept),
            "new": share("continual", {NEW})}


def wanted_share(logits, identity):
    """Share named right of the test pictures of everybody who is to be known at the end."""
    wanted = identity != FORGET
    return float((logits.argmax(dim=1) == identity)[wanted].double().mean())
