"""The speaker task of one seed on the modelled array; what other cells do to it; and the published network on it."""

import dataclasses

import numpy as np
import torch
from rmdlora.golden.hybrid import HybridNetwork, OracleLayers, map_network
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
from rmdlora.golden.spec.presets import Preset
from rmdlora.golden.training import OracleUnit, one_thread

from ..board import Board
from ..hybrid import ArrayRead, Machine

__all__ = ["SIGMAS_US", "Agreement", "Run", "begin", "carry_on", "judge", "land", "measure_published",
           "move_adapters", "run_seed", "wanted_share"]

SIGMAS_US = (0, 1, 2, 5, 10)        # programming spreads


@dataclasses.dataclass
class Run:
    """What one seed gave, by stage: float64 ``outputs`` (n, outputs) of the integer network on the test clips, and
    those of its float ``twins``; ``spikes`` float64 (n, hidden), what the readout was given; ``networks``
    (`HybridNetwork`); ``pulses`` (programming cycles). ``floats`` (n, outputs): of the float ``network`` that was
    programmed."""

    data: object
    machine: Machine
    network: object
    outputs: dict = dataclasses.field(default_factory=dict)
    twins: dict = dataclasses.field(default_factory=dict)
    spikes: dict = dataclasses.field(default_factory=dict)
    networks: dict = dataclasses.field(default_factory=dict)
    pulses: dict = dataclasses.field(default_factory=dict)
    floats: object = None

    @property
    def speaker(self):
        """Of the test clips, int64 (n,)."""
        return self.data.test[1]

    def keep(self, stage, network):
        """Run the test clips through ``network`` as it stands after ``stage``, and keep what it says."""
        slots, outputs = STAGES[stage]
        given, runs = network.run(self.data.test[0], self.machine.test, slots)
        self.outputs[stage] = given[:, :outputs]
        self.twins[stage] = network.run_float(self.data.test[0], slots)[:, :outputs]
        self.spikes[stage] = runs[-1].x * runs[-1].layer.x_scale
        self.networks[stage] = HybridNetwork(network.glue, dict(network.layers), network.configuration)
        self.pulses[stage] = self.machine.pulses - sum(self.pulses.values())


@one_thread()
def run_seed(configuration, recipe, seed, clips, hardware=True, report=None, network=None, preset=None):
    """The `Run` of one seed: weights learned in float and programmed once; adapters trained in the integers by the
    hardware's own update, or by Adam.

    ``network``: of the same seed, where it has learned already; ``preset``: of the cells, where it is not the
    configuration's. ``report(what)`` is called at each step.
    """
    run = begin(configuration, recipe, seed, prepare_clips(clips, seed), report, network, preset)
    unit = OracleUnit(configuration, seed) if hardware else None
    for stage in tuple(STAGES)[1:]:
        carry_on(run, recipe, stage, unit, seed, report)
    return run


@one_thread()
def begin(configuration, recipe, seed, data, report=None, network=None, preset=None):
    """The `Run` on ``data`` (`SpeakerData`) of a network that has learned and is programmed; parameters as `run_seed`.
    """
    network = network or learn_weights(data, recipe, seed, counted(report, "learn"))
    run = Run(data, Machine(configuration, preset), network)
    with torch.no_grad():
        run.floats = network(data.test[0])[:, :LEARNED]
    run.keep("learn", run.machine.program(network, calibration_clips(data, seed)))
    return run


@one_thread()
def carry_on(run, recipe, stage, unit, seed=0, report=None):
    """Train the adapter of ``stage`` in the network that ``run`` ended with, and keep it; ``unit``: the one that
    updates, or None (Adam)."""
    network = list(run.networks.values())[-1]
    run.keep(stage, train_adapter(network, run.network, run.data, recipe, stage, run.machine.train, unit, seed,
                                  counted(report, stage)))


def counted(report, what):
    """A function without parameters that calls ``report(what)``, where there is one."""
    return report and (lambda: report(what))


def judge(outputs, speaker):
    """Figures of a `Run`'s ``outputs`` {stage: (n, outputs)}: shares of clips whose ``speaker`` (n,) was named right.
    """
    def share(stage, people):
        chosen = torch.isin(speaker, torch.tensor(sorted(people)))
        return float((outputs[stage].argmax(dim=1) == speaker)[chosen].double().mean())

    learned, kept = set(range(LEARNED)), set(range(LEARNED)) - {FORGET}
    return {"learned": share("learn", learned), "retained_before": share("learn", kept),
            "forgotten_after_unlearning": share("unlearn", {FORGET}),
            "retained_after_unlearning": share("unlearn", kept),
            "forgotten_after_continual": share("continual", {FORGET}),
            "retained_after_continual": share("continual", kept),
            "new": share("continual", {NEW})}


def wanted_share(outputs, speaker):
    """Share named right of the clips of everybody who is to be known at the end; ``outputs`` (n, outputs)."""
    return float((outputs.argmax(dim=1) == speaker)[speaker != FORGET].double().mean())


def move_adapters(trained, programmed):
    """The adapters of ``trained`` on the cells of ``programmed`` (`HybridNetwork` of the same weights and scales)."""
    layers = {name: dataclasses.replace(layer, **{key: getattr(programmed.layers[name], key) for key in (
        "conductances", "gain", "offset", "w_shift")}) for name, layer in trained.layers.items()}
    return HybridNetwork(trained.glue, layers, trained.configuration)


@one_thread()
def land(run, configuration, sigma_us, seed):
    """``{stage: outputs}`` on the test clips, were the cells of a `Run` programmed again, each at its target give or
    take ``sigma_us``: its adapters, which learned on the other cells, stay as they are."""
    machine = Machine(configuration, Preset(program_us=float(sigma_us), cycles=1))
    programmed = machine.program(run.network, calibration_clips(run.data, seed))
    given = {}
    for stage, (slots, outputs) in STAGES.items():
        output, _ = move_adapters(run.networks[stage], programmed).run(run.data.test[0], machine.test, slots)
        given[stage] = output[:, :outputs]
    return given


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
