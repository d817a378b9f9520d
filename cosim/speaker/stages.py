"""The speaker task of one seed on the modelled array, and the published network on it."""

import dataclasses

import numpy as np
import torch
from rmdlora.golden.hybrid import OracleLayers, map_network
from rmdlora.golden.speaker.recipe import (
    CALIBRATION,
    FORGET,
    LEARNED,
    NEW,
    STAGES,
    calibration_clips,
    learn_weights,
    prepare_clips,
    train_adapter,
)
from rmdlora.golden.training import OracleUnit, one_thread

from ..board import Board
from ..hybrid import ArrayRead, Machine

__all__ = ["Agreement", "Run", "judge", "measure_published", "run_seed"]

SIGMAS_US = (0, 1, 2, 5, 10)        # programming spreads of the published networks' noise test


@dataclasses.dataclass
class Run:
    """What one seed gave: ``named`` {stage: (n,)} speakers that the integer network named on the test clips, and
    ``floats`` the float network after learning; ``speaker`` (n,): who it was; ``networks`` {stage: `HybridNetwork`};
    ``pulses`` {stage: programming cycles}; ``network``, the float one that was programmed; ``machine`` and ``data``."""

    data: object
    machine: Machine
    network: object
    named: dict = dataclasses.field(default_factory=dict)
    floats: object = None
    networks: dict = dataclasses.field(default_factory=dict)
    pulses: dict = dataclasses.field(default_factory=dict)

    @property
    def speaker(self):
        """Of the test clips, int64 (n,)."""
        return self.data.test[1]


@one_thread()
def run_seed(configuration, recipe, seed, clips, hardware=True, report=None, network=None):
    """The `Run` of one seed: weights learned in float and programmed once; adapters trained in the integers by the
    hardware's own update, or by Adam. ``network``: of the same seed, where it has learned already. ``report(what)`` is
    called at each step."""
    def note(what):
        return (lambda: report(what)) if report else None

    data = prepare_clips(clips, seed)
    network = network or learn_weights(data, recipe, seed, note("learn"))
    run = Run(data, Machine(configuration), network)
    hybrid = run.machine.program(network, calibration_clips(data, seed))
    unit = OracleUnit(configuration, seed) if hardware else None
    with torch.no_grad():
        run.floats = network(data.test[0])[:, :LEARNED].argmax(dim=1)
    before = 0
    for stage, (slots, outputs) in STAGES.items():
        if stage != "learn":
            hybrid = train_adapter(hybrid, network, data, recipe, stage, run.machine.train, unit, seed, note(stage))
        run.networks[stage] = hybrid
        output, _ = hybrid.run(data.test[0], run.machine.test, slots)
        run.named[stage] = output[:, :outputs].argmax(dim=1)
        run.pulses[stage], before = run.machine.pulses - before, run.machine.pulses
    return run


def judge(run):
    """Figures of a `Run`: shares of test clips whose speaker was named right."""
    def share(named, people):
        chosen = torch.isin(run.speaker, torch.tensor(sorted(people)))
        return float((named == run.speaker)[chosen].double().mean())

    learned, kept = set(range(LEARNED)), set(range(LEARNED)) - {FORGET}
    return {"learned": share(run.named["learn"], learned), "learned_float": share(run.floats, learned),
            "retained_before": share(run.named["learn"], kept),
            "forgotten_after_unlearning": share(run.named["unlearn"], {FORGET}),
            "retained_after_unlearning": share(run.named["unlearn"], kept),
            "forgotten_after_continual": share(run.named["continual"], {FORGET}),
            "retained_after_continual": share(run.named["continual"], kept),
            "new": share(run.named["continual"], {NEW}),
            "rm_writes": float(run.pulses["unlearn"] + run.pulses["continual"])}


@dataclasses.dataclass(frozen=True)
class Agreement:
    """The published network ``name`` in integers, on an array of programming spread ``sigma_us``, against its float
    twin: shares of equal spikes (of those the float network fires, ``fired``), and of equal answers."""

    name: str
    sigma_us: float
    spikes: float
    fired: float
    answers: float


@one_thread()
def measure_published(name, network, configuration, counts, seed=0, sigmas=SIGMAS_US):
    """``[Agreement]`` of a published float ``network`` at every spread: the first `CALIBRATION` clips of ``counts``
    calibrate, the others are compared."""
    compared = counts[CALIBRATION:]
    answers, wanted = listen(network, lambda: network(compared))
    found = []
    for sigma in sigmas:
        board = Board(configuration)
        read, spread = ArrayRead(board), Spread(board, sigma, np.random.default_rng((seed, round(1000 * sigma))))
        hybrid = map_network(network, counts[:CALIBRATION], configuration, read, spread)
        backend = OracleLayers(configuration, read)
        given, spikes = listen(hybrid.glue, lambda hybrid=hybrid, backend=backend: hybrid.run(
            compared, backend, network.active)[0])
        found.append(Agreement(name, sigma, float((spikes == wanted).double().mean()), float(wanted.double().mean()),
                               float((given == answers).double().mean())))
    return found


class Spread:
    """A ``program`` for `map_network`: cells at their targets, give or take ``sigma_us``, within the window."""

    def __init__(self, board, sigma_us, draw):
        self.board, self.draw, device = board, draw, board.configuration.device
        self.sigma = sigma_us / device.g_lsb_us
        self.window = device.units(device.g_min_us), device.units(device.g_max_us)

    def __call__(self, targets, tile):
        tiles, cells = np.arange(tile, tile + len(targets)), self.board.array.conductances
        self.board.array.program(tiles, targets)
        off = np.rint(self.draw.normal(scale=self.sigma, size=targets.shape)).astype(cells.dtype)
        cells[tiles] = np.clip(cells[tiles] + off, *self.window)
        return cells[tiles].astype(np.int64)


def listen(network, run):
    """``(answers (n,), spikes (windows, n, hidden))`` while ``run()`` runs ``network`` and gives its outputs."""
    spikes = []
    network.watch = spikes.append
    try:
        with torch.no_grad():
            answers = run().argmax(dim=1)
    finally:
        network.watch = None
    return answers, torch.stack(spikes).bool()
