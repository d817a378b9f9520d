"""The speaker task: what it hears, what its neurons do, and that the hardware's update over time is the contract's."""

import dataclasses
import functools
import json
import os
import pathlib

import numpy as np
import pytest
import torch
from rmdlora.cosim import cli
from rmdlora.cosim.choice import best_of
from rmdlora.cosim.hybrid import Machine
from rmdlora.cosim.ledger import Workload, count_hybrid, count_input
from rmdlora.cosim.speaker import choose, stages, task
from rmdlora.cosim.speaker.choose import evaluate, margin
from rmdlora.cosim.speaker.stages import judge, land, measure_published, run_seed
from rmdlora.golden import lora
from rmdlora.golden.calibration import observe
from rmdlora.golden.data import default_folder
from rmdlora.golden.speaker.network import ADAPTED, DECAY, THRESHOLD, Recurrent, load_published
from rmdlora.golden.speaker.recipe import (
    FORGET,
    JITTER,
    LEARNED,
    LEVEL,
    NEW,
    Recipe,
    draw_row,
    learn_weights,
    mask_channels,
    prepare_clips,
    stage_batches,
    vary,
)
from rmdlora.golden.speaker.spikes import (
    APART,
    CHANNELS,
    RATE,
    TEST,
    TOP,
    WINDOWS,
    Clips,
    encode_clip,
    load_clips,
    rehearse_split,
    split_clips,
)
from rmdlora.golden.speaker.unrolled import UnrolledTraining
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.formats import Shifts
from rmdlora.golden.spec.geometry import Geometry
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.golden.training import OracleUnit, Rates, grow

SPEAKER = load_configuration("speaker")
DATA = pathlib.Path(os.environ.get("RMDLORA_DATA") or default_folder())


def tone(hertz, samples=4000, amplitude=3000):
    """A clip of one tone, int16."""
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE)).astype(np.int16)


def made_up_clips(takes=8, windows=4, channels=12, seed=1):
    """Clips that tell speakers apart by which channels they excite."""
    draw = np.random.default_rng(seed)
    speaker, digit, take = (part.ravel() for part in np.meshgrid(np.arange(6), np.arange(2), np.arange(takes),
                                                                 indexing="ij"))
    level = np.where(np.arange(channels) // 2 == speaker[:, None, None], 6, 1)
    counts = np.clip(level + draw.integers(-1, 2, (len(speaker), windows, channels)), 0, TOP)
    return Clips(counts.astype(np.float32), speaker, digit, take, tuple("abcdef"))


def test_a_clip_sounds_the_same_at_any_loudness_and_a_tone_lies_in_its_channel():
    quiet, loud = encode_clip(tone(440, amplitude=300)), encode_clip(tone(440, amplitude=30000))
    assert quiet.shape == (WINDOWS, CHANNELS) and np.abs(quiet - loud).max() <= 1
    low, high = (encode_clip(tone(hertz)).sum(axis=0).argmax() for hertz in (300, 2500))
    assert low < high and encode_clip(tone(300)).max() == TOP
    assert encode_clip(np.zeros(100, np.int16)).shape == (WINDOWS, CHANNELS)


def test_test_clips_are_the_last_takes_whatever_the_seed_and_no_clip_is_in_two_parts():
    clips = made_up_clips(takes=20)
    first, second = split_clips(clips, 0), split_clips(clips, 1)
    assert np.array_equal(first.test, second.test) and not np.array_equal(first.validation, second.validation)
    assert clips.take[first.test].min() == 20 - TEST
    parts = np.concatenate([first.train, first.validation, first.test])
    assert len(parts) == len(set(parts)) == len(clips.speaker)


@pytest.mark.parametrize("late", [True, False])
def test_a_rehearsal_hears_no_test_clip_and_is_judged_on_takes_apart_from_those_it_trains_on(late):
    clips = made_up_clips(takes=20)
    split = rehearse_split(clips, late)
    taken, judged = (np.unique(clips.take[part]) for part in (split.train, split.test))
    assert not set(split_clips(clips).test) & {*split.train, *split.test} and len(split.validation) == 0
    assert (len(taken), len(judged)) == (8, 6)
    gap = judged.min() - taken.max() if late else taken.min() - judged.max()
    assert gap == APART + 1


def test_a_neuron_leaks_fires_above_its_threshold_and_forgets_what_it_carried():
    network = Recurrent(channels=1, hidden=1, outputs=2)
    with torch.no_grad():
        for part in (*network.weights.values(), *network.biases.values()):
            part.zero_()
        network.weights["fc1"][0, 0] = THRESHOLD
    spikes = []
    network.watch = spikes.append
    with torch.no_grad():
        network(torch.tensor([1.0, 1, 0, 0, 1, 0.5])[None, :, None])
    # at the threshold it is silent; what it carries takes it over, and a spike clears that
    assert [int(spike) for spike in spikes] == [0, 1, 0, 0, 0, 0]
    assert DECAY == 0.5


def test_unlearning_labels_are_drawn_anew_and_never_name_the_forgotten():
    data = prepare_clips(made_up_clips())
    labels = [label for _, label in stage_batches(data, dataclasses.replace(Recipe(), unlearn_steps=9), "unlearn", 3)]
    assert all(not (label == FORGET).any() and label.max() < LEARNED for label in labels)
    assert not torch.equal(labels[0], labels[1])


def test_enrolling_shows_the_new_and_every_retained_speaker_as_often_and_never_the_forgotten():
    data = prepare_clips(made_up_clips())
    labels = [label for _, label in stage_batches(data, dataclasses.replace(Recipe(), batch=21), "continual", 3)]
    assert len(labels) == Recipe().continual_steps
    for label in labels:
        assert torch.bincount(label, minlength=NEW + 1).tolist() == [4 * (person != FORGET) for person in range(6)]


def test_a_clip_as_it_might_have_been_moves_together_and_one_by_one_and_stays_within_the_counts(monkeypatch):
    draw = torch.Generator().manual_seed(3)
    counts = torch.randint(0, TOP + 1, (60, 4, 12), generator=draw).float()
    varied = vary(counts, draw)
    off = (varied - counts).abs().flatten(1)
    assert varied.min() >= 0 and varied.max() <= TOP and off.max() == LEVEL + 1 and off.max(dim=1)[0].min() >= 1
    monkeypatch.setattr("rmdlora.golden.speaker.recipe.JITTER", 0.0)
    inner = (counts > LEVEL) & (counts < TOP)
    moves = set()
    for clip, moved, seen in zip(counts, vary(counts, draw), inner, strict=True):
        assert not moved[clip == 0].any()
        (move,) = torch.unique((moved - clip)[seen]).tolist()
        moves.add(move)
    assert moves == {-1.0, 0.0, 1.0} and 0 < JITTER < 0.5


def test_half_of_the_clips_lose_a_stretch_of_channels_in_every_window():
    counts = torch.ones(200, 3, 28)
    masked = mask_channels(counts, 1 / 7, torch.Generator().manual_seed(4))
    lost = masked == 0
    assert torch.equal(lost.any(dim=1), lost.all(dim=1))
    widths = lost[:, 0].sum(dim=1)
    assert set(widths.tolist()) == {0, 4} and 70 < int((widths > 0).sum()) < 130
    ends = torch.nn.functional.pad(lost[:, 0].float(), (1, 1)).diff(dim=1).clamp(min=0).sum(dim=1)
    assert torch.equal(ends, (widths > 0).float())
    assert torch.equal(mask_channels(counts, 0.0, torch.Generator()), counts)


def test_clips_lose_channels_in_enrolling_and_in_no_other_stage():
    data = prepare_clips(made_up_clips(windows=10))
    recipe = dataclasses.replace(Recipe(), mask=0.5, batch=40, unlearn_steps=2, continual_steps=2)
    silent = {stage: [float((counts == 0).all(dim=1).float().mean()) for counts, _ in stage_batches(
        data, recipe, stage, 3)] for stage in ("unlearn", "continual")}
    assert max(silent["unlearn"]) < 0.02 and min(silent["continual"]) > 0.1


def test_the_sixth_row_stands_at_right_angles_to_the_others_and_is_as_long():
    rows = torch.randn(5, 40, generator=torch.Generator().manual_seed(1)) + 0.3
    row = draw_row(rows, torch.Generator().manual_seed(2))
    assert float((rows @ row).abs().max()) < 1e-4 * float(row.norm()) * float(rows.norm(dim=1).max())
    assert float(row.norm()) == pytest.approx(float(rows.norm(dim=1).mean()), rel=1e-5)
    network = learn_weights(prepare_clips(made_up_clips()), dataclasses.replace(Recipe(), learn_steps=1), hidden=16)
    readout = network.weights["fc2"].detach()
    assert float((readout[:LEARNED] @ readout[NEW]).abs().max()) < 1e-4


def test_the_rate_of_learning_falls_where_it_is_to():
    data, moved = prepare_clips(made_up_clips()), {}
    for falling in (False, True):
        first, second = (learn_weights(data, dataclasses.replace(Recipe(), learn_steps=steps, learn_falling=falling),
                                       hidden=16).weights["fc1"].detach() for steps in (1, 2))
        moved[falling] = float((second - first).abs().mean())
    assert moved[True] == pytest.approx(moved[False] / 2, rel=0.01)     # half way along the half cosine


GOOD = {"learned": 1.0, "retained_before": 1.0, "forgotten_after_unlearning": 0.0, "retained_after_unlearning": 1.0,
        "forgotten_after_continual": 0.0, "retained_after_continual": 1.0, "new": 1.0}


@pytest.mark.parametrize("changed, expected", [
    ({}, 0.02), ({"retained_after_continual": 0.97}, -0.01), ({"new": 0.85}, -0.05), ({"learned": 0.94}, -0.01),
    ({"forgotten_after_unlearning": 0.1}, -0.05), ({"retained_before": 0.9, "retained_after_unlearning": 0.9}, 0.02)])
def test_a_candidate_is_judged_by_what_it_misses_most(changed, expected):
    assert margin(GOOD | changed) == pytest.approx(expected)


def test_the_recipe_is_a_candidate_and_the_largest_margin_is_chosen_and_of_several_the_surest():
    assert best_of({"one": (0.01, 0.1), "two": (0.03, 0.3), "three": (0.03, 0.2)}) == "three"
    assert any(dataclasses.replace(Recipe(), **changes) == Recipe() for changes in choose.CANDIDATES.values())


def test_candidates_are_judged_in_rehearsals_and_what_they_share_is_learned_once(monkeypatch):
    configuration, clips, recipe, network = small(takes=20)
    learned = []
    monkeypatch.setattr(choose, "load_configuration", lambda name: configuration)
    monkeypatch.setattr(stages, "learn_weights", lambda data, *rest: learned.append(data) or network)
    recipe = dataclasses.replace(recipe, unlearn_steps=2, continual_steps=2)
    begun = {}
    first, second, again = (evaluate(dataclasses.replace(recipe, mask=mask), clips, ((0, True),), begun=begun)[0]
                            for mask in (0.0, 0.5, 0.0))
    assert len(learned) == 1 and torch.equal(first.speaker, learned[0].test[1])
    wanted = clips.counts[rehearse_split(clips, True).test]
    assert np.array_equal(learned[0].test[0].numpy(), wanted)
    assert torch.equal(first.outputs["unlearn"], second.outputs["unlearn"])
    assert not torch.equal(first.outputs["continual"], second.outputs["continual"])
    assert torch.equal(first.outputs["continual"], again.outputs["continual"]) and choose.entropy(first) > 0
    assert choose.mean_figures([first, second])["learned"] == judge(first.outputs, first.speaker)["learned"]


def test_windows_add_to_the_states_as_if_their_vectors_had_come_in_one_backward():
    rng = np.random.default_rng(5)
    configuration = load_configuration("tiny")
    rank, inputs, outputs = 3, 7, 5
    a, b = rng.integers(-900, 900, (rank, inputs)), rng.integers(-900, 900, (outputs, rank))
    layer = dataclasses.make_dataclass("L", ["name", "a", "b", "rank"])("layer", a, b, rank)
    x, g = rng.integers(-128, 128, (6, inputs)), rng.integers(-3000, 3000, (6, outputs))
    shifts = Shifts(p=6, q=9, dx=12, va=5, vb=5, lra=9, lrb=9, momentum=1)
    every = np.ones(rank, dtype=bool)
    one, many = (OracleUnit(configuration, 4) for _ in range(2))
    dx, *whole = one.step(layer, x, g, shifts, every, every)
    parts = [many.accumulate(layer, x[cut], g[cut], shifts, every, every) for cut in (slice(0, 2), slice(2, 6))]
    assert np.array_equal(np.concatenate(parts), dx)
    for given, wanted in zip(many.update(layer, shifts, every, every), whole, strict=True):
        assert np.array_equal(given, wanted) and not np.array_equal(given, a if given.shape == a.shape else b)
    plain = lora.Layer(*map(torch.from_numpy, (a, b)), shifts=shifts, formats=configuration.formats)
    _, p = lora.forward(plain, torch.from_numpy(x))
    _, _, va, vb = lora.backward(plain, torch.from_numpy(x), p, torch.from_numpy(g))
    assert all(torch.equal(given, wanted) for given, wanted in zip(
        lora.update(dataclasses.replace(plain, va=va, vb=vb), one_seed(configuration))[2:4],
        many.states["layer"], strict=True))


def one_seed(configuration):
    """Generators as `OracleUnit` starts them, of three lanes."""
    return OracleUnit(configuration, 4).generators[:3]


def moved_by(factor, seed=2):
    """Root mean square of what the second update moves b by, with its loss times ``factor``; the first is always the
    same, and sets the size of gradients."""
    configuration, draw = load_configuration("speaker"), torch.Generator().manual_seed(seed)
    counts, label = torch.randint(0, TOP + 1, (24, 3, 12), generator=draw).float(), torch.arange(24) % 6
    network = Recurrent(12, 32, seed=seed)
    ideal = dataclasses.replace(configuration.device, preset="ideal")
    board = Machine(dataclasses.replace(configuration, device=ideal))
    hybrid = board.program(network, counts)
    seen = observe(network, counts)
    hybrid = grow(hybrid, "only", 4, {name: seen[name].x for name in ADAPTED}, seed)
    training = UnrolledTraining(hybrid, board.train, OracleUnit(configuration, None), ("only",), ("only",),
                                Rates(0.001, 0.001))
    codes = []
    for times in (1.0, factor):
        training.step(counts, lambda output, times=times: times * torch.nn.functional.cross_entropy(output, label))
        codes.append(np.concatenate([hybrid.layers[name].b.ravel() for name in ADAPTED]))
    return float(np.sqrt(((codes[1] - codes[0]) ** 2.0).mean()))


def test_an_update_over_time_shrinks_with_its_gradient_and_is_bounded_where_that_is_huge():
    plain, tenth, huge = (moved_by(factor) for factor in (1.0, 0.1, 1e6))
    assert plain > 0 and tenth == pytest.approx(plain / 10, rel=0.1)
    assert 2 * plain < huge < 1000 * plain


def small(hidden=64, takes=8):
    """A configuration, clips, a recipe and a network that has learned them."""
    clips = made_up_clips(takes)
    configuration = dataclasses.replace(SPEAKER, geometry=Geometry(max_inputs=64, max_outputs=64, max_rank=16))
    recipe = Recipe(batch=32, learn_steps=40, learn_rate=0.002, unlearn_steps=40, continual_steps=40,
                    hardware=Rates(0.005, 0.005, 3), optimiser_rate=0.04)
    return configuration, clips, recipe, learn_weights(prepare_clips(clips), recipe, hidden=hidden)


@pytest.mark.parametrize("hardware", [True, False])
def test_a_small_network_learns_forgets_and_enrols(hardware):
    configuration, clips, recipe, network = small()
    run = run_seed(configuration, recipe, 0, clips, hardware, network=network)
    figures, twin = judge(run.outputs, run.speaker), judge(run.twins, run.speaker)
    assert figures["learned"] >= 0.9
    assert figures["forgotten_after_unlearning"] <= 0.2 and figures["retained_after_unlearning"] >= 0.9
    assert figures["forgotten_after_continual"] <= 0.2 and figures["retained_after_continual"] >= 0.9
    assert figures["new"] >= 0.9
    assert run.pulses["unlearn"] == run.pulses["continual"] == 0 and run.pulses["learn"] > 0
    assert all(abs(twin[name] - figures[name]) <= 0.15 for name in figures)


def test_adapters_are_carried_to_other_cells_which_spoil_more_the_further_they_lie():
    configuration, clips, recipe, network = small()
    run = run_seed(configuration, recipe, 0, clips, network=network)
    near, far = (land(run, configuration, sigma, 0)["continual"] for sigma in (0, 25))
    given = run.outputs["continual"]
    off = [float((outputs - given).abs().mean() / given.abs().mean()) for outputs in (near, far)]
    assert off[0] < 0.25 * off[1]
    assert (near.argmax(dim=1) == given.argmax(dim=1)).double().mean() >= 0.9


def test_a_layer_called_once_a_window_costs_ten_forwards_and_backwards_and_one_update():
    shapes = {"fc1": (512, 140), "fc1h": (512, 512), "fc2": (6, 512)}
    stages = ("unlearn", "continual")
    workload = Workload(shapes, dict.fromkeys(shapes, 1), dict.fromkeys(stages, ("fc1h",)), dict.fromkeys(stages, 8),
                        {"fc1h": 10})
    costs = count_hybrid(SPEAKER, workload, "continual", 3, 64)
    forward, backward, update = SPEAKER.pipeline.run(64, 512, 512, 16, batch=64)
    assert (costs["cycles_forward"], costs["cycles_backward"], costs["cycles_update"]) == (
        2 * 30 * forward, 30 * backward, 3 * update)
    assert costs["trainable"] == 8 * 1024 and costs["rm_pulses"] == 0 and costs["inputs"] == 192
    once = count_input(SPEAKER, dataclasses.replace(workload, calls={}))
    tiles = SPEAKER.row_tiles(512) * SPEAKER.column_tiles(512)
    assert count_input(SPEAKER, workload)["tile_reads"] - once["tile_reads"] == 9 * tiles


def test_a_layer_adapted_in_an_earlier_stage_alone_still_runs_but_is_not_trained():
    shapes = {"fc1": (512, 140), "fc1h": (512, 512), "fc2": (6, 512)}
    workload = Workload(shapes, dict.fromkeys(shapes, 1), {"unlearn": ("fc1", "fc1h"), "continual": ("fc1h", "fc2")},
                        {"unlearn": 6, "continual": 8})
    assert workload.resident("unlearn") == {"fc1": (6, 6), "fc1h": (6, 6)}
    assert workload.resident("continual") == {"fc1": (0, 6), "fc1h": (8, 14), "fc2": (8, 8)}
    costs = count_hybrid(SPEAKER, workload, "continual", 1, 64)
    assert costs["trainable"] == 8 * (1024 + 518)
    each = [SPEAKER.pipeline.run(64, inputs, outputs, rank, batch=64)
            for (outputs, inputs), rank in zip(shapes.values(), (6, 14, 8), strict=True)]
    assert costs["cycles_forward"] == 2 * sum(forward for forward, _, _ in each)


def test_the_command_writes_figures_of_every_kind(monkeypatch, tmp_path):
    monkeypatch.setenv("RMDLORA_DATA", str(tmp_path))
    monkeypatch.setattr(task, "load_clips", made_up_clips)
    monkeypatch.setattr(stages, "learn_weights", functools.partial(learn_weights, hidden=32))
    monkeypatch.setattr(Recipe, "shortened", lambda recipe: dataclasses.replace(
        recipe, batch=20, learn_steps=10, unlearn_steps=2, continual_steps=2))
    words = ["tasks", "speaker", "--quick", "--device", "ideal", "--json", str(tmp_path / "speaker.json"), "--out",
             str(tmp_path)]
    assert cli.main(words) == 0
    figures = json.loads((tmp_path / "speaker.json").read_text())
    for name in ("learned", "forgotten_after_unlearning", "retained_after_unlearning", "forgotten_after_continual",
                 "retained_after_continual", "new", "rm_writes", "noise_0us_moved"):
        assert figures[name] == figures[f"{name}_seeds"][0]
    assert figures["rm_writes"] == 0 and figures["cost_continual_hybrid_rm_pulses"] == 0
    assert "validation clips" in figures["selection_rule"] and figures["seeds"] == 1
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 6 and "not compared: no speaker_learn.npz" in page


@pytest.mark.skipif(not (DATA / "speaker_unlearn.npz").is_file(), reason="needs the published weights: RMDLORA_DATA")
def test_the_published_network_fires_as_its_float_twin():
    network = load_published(DATA / "speaker_unlearn.npz")
    assert network.active == ("unlearn",) and network.shapes["fc2"][0] == 5
    counts = torch.from_numpy(np.random.default_rng(3).integers(0, TOP + 1, (70, 3, CHANNELS)).astype(np.float32))
    device = dataclasses.replace(SPEAKER.device, preset="ideal")
    exact, noisy = measure_published("unlearn", network, dataclasses.replace(SPEAKER, device=device), counts,
                                     sigmas=(0, 10))
    assert exact.spikes > 0.985 and exact.answers >= 0.9 and 0.1 < exact.fired < 0.9
    assert noisy.spikes < exact.spikes


def test_clips_that_are_not_there_are_refused_by_name(tmp_path):
    with pytest.raises(RefusedValue, match="RMDLORA_DATA must name a folder with fsdd_train"):
        load_clips(tmp_path)
    (tmp_path / "fsdd_train.npz").write_bytes(b"nothing")
    with pytest.raises(RefusedValue, match="must be a numpy archive of spoken digits"):
        load_clips(tmp_path)
