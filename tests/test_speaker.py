"""The speaker task: what it hears, what its neurons do, and that the hardware's update over time is the contract's."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest
import torch
from rmdlora.cosim.speaker.stages import judge, measure_published, run_seed
from rmdlora.golden import lora
from rmdlora.golden.data import default_folder
from rmdlora.golden.speaker.network import DECAY, THRESHOLD, Recurrent, load_published
from rmdlora.golden.speaker.recipe import FORGET, LEARNED, NEW, Recipe, learn_weights, prepare_clips, stage_batches
from rmdlora.golden.speaker.spikes import (
    CHANNELS,
    RATE,
    TEST,
    TOP,
    WINDOWS,
    Clips,
    encode_clip,
    load_clips,
    split_clips,
)
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.formats import Shifts
from rmdlora.golden.spec.geometry import Geometry
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.golden.training import OracleUnit, Rates

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
    seen = torch.cat([label for _, label in stage_batches(data, Recipe(), "continual", 3)])
    assert not (seen == FORGET).any() and (seen == NEW).any()


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


@pytest.mark.parametrize("hardware", [True, False])
def test_a_small_network_learns_forgets_and_enrols(hardware):
    clips = made_up_clips()
    configuration = dataclasses.replace(SPEAKER, geometry=Geometry(max_inputs=64, max_outputs=64, max_rank=16))
    recipe = Recipe(batch=32, learn_steps=40, learn_rate=0.002, unlearn_steps=40, continual_steps=40,
                    hardware=Rates(0.003, 0.003, 3), optimiser_rate=0.02)
    network = learn_weights(prepare_clips(clips), recipe, hidden=64)
    run = run_seed(configuration, recipe, 0, clips, hardware, network=network)
    figures = judge(run)
    assert figures["learned"] >= 0.9 and figures["learned_float"] >= 0.9
    assert figures["forgotten_after_unlearning"] <= 0.2 and figures["retained_after_unlearning"] >= 0.9
    assert figures["forgotten_after_continual"] <= 0.2 and figures["new"] >= 0.7
    assert figures["rm_writes"] == 0 and run.pulses["learn"] > 0


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
