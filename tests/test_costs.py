"""What is counted, what an event costs, and the published ratios."""

import pytest
from rmdlora.golden.costs import (
    EVENTS,
    FACE_PARAMETERS,
    adapter_words,
    conversions,
    energies,
    published_ratios,
    training_cycles,
)
from rmdlora.golden.face import ADAPTED, Mixer
from rmdlora.golden.spec.configuration import load_configuration

FACE = load_configuration("face")


def test_every_published_ratio_comes_out_of_its_arithmetic():
    for ratio in published_ratios():
        assert ratio.value == pytest.approx(ratio.paper, abs=0.006), ratio.name


def test_real_counts_reproduce_the_speakers_ratio_and_find_the_faces_ten_times_too_large():
    real = {ratio.name: ratio.real for ratio in published_ratios()}
    assert real["parameters trained: speaker, both"] == 337_413 / 13_408
    assert real["parameters trained: face, unlearning"] == 5_148 / 1_404
    assert real["parameters trained: face, continual"] == 5_148 / 1_872
    assert real["parameters trained: image, both"] == 56_669_184 / 368_640


def test_counts_are_those_of_the_network_that_runs():
    mixer = Mixer()
    assert sum(parameter.numel() for parameter in mixer.parameters()) == FACE_PARAMETERS
    shapes = [mixer.shapes[name] for name in ADAPTED]
    assert (adapter_words(shapes, 6), adapter_words(shapes, 8)) == (1_404, 1_872)


def test_a_picture_takes_the_conversions_that_the_chip_counts():
    mixer = Mixer()
    each = [conversions(FACE, *mixer.shapes[name], mixer.vectors[name]) for name in mixer.shapes]
    assert [sum(column) for column in zip(*each, strict=True)] == [978, 7_820, 281]


def test_cycles_of_training_add_up_over_layers_and_updates():
    mixer = Mixer()
    shapes, vectors = {"out": mixer.shapes["out"]}, {"out": 128}
    assert training_cycles(FACE, shapes, vectors, 6, 3) == tuple(
        3 * count for count in FACE.pipeline.run(128, 20, 6, 6, batch=128))


def test_energies_of_board_and_chip_are_apart_and_every_event_says_where_it_is_from():
    assert energies({"adc_conversion": 1000}) == {"board": pytest.approx(60e-6), "chip": pytest.approx(1.64e-6)}
    assert energies({"sram_word": 10})["board"] == 0 and EVENTS["sram_word"].board_pj is None
    assert all(event.source for event in EVENTS.values())
