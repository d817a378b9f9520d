"""What the face task cost, counted: the hybrid's adapters and full reprogramming side by side."""

from rmdlora.golden.costs import (
    EVENTS,
    FACE_PARAMETERS,
    adapter_words,
    conversions,
    energies,
    published_ratios,
    training_cycles,
)
from rmdlora.golden.face.mixer import ADAPTED
from rmdlora.golden.face.recipe import RANKS
from rmdlora.golden.spec.program import program_cycles

from ..outcome import Grid

__all__ = ["count_hybrid", "count_picture", "count_reprogrammed", "event_grid", "ratio_grid"]


def count_picture(configuration, mixer):
    """Counts of one picture through all layers: tile reads, ADC times and samples, events, seconds converting."""
    times = samples = reads = 0
    for name, (outputs, inputs) in mixer.shapes.items():
        each = conversions(configuration, outputs, inputs, mixer.vectors[name])
        times, samples, reads = (sum(pair) for pair in zip((times, samples, reads), each, strict=True))
    geometry = configuration.geometry
    events = {"adc_conversion": samples, "stage_sample": samples, "dac_update": reads * geometry.tile_rows,
              "cell_read": reads * geometry.tile_rows * geometry.tile_columns}
    seconds = times * configuration.board.conversion_ticks * configuration.clock.tick_ns * 1e-9
    return {"tile_reads": reads, "adc_conversions": times, "adc_seconds": seconds, "events": events}


def count_hybrid(configuration, mixer, recipe, stage):
    """Counts of ``stage`` with adapters, flat: every update of the recipe, as the LoRA unit makes it.

    ``trainable``; ``rm_pulses``, 0 by construction here (the chip's own counter is asked on the RTL); ``sram_words``
    written: weights and states by each update, states by each block of vectors of a backward; ``products`` of forward,
    training forward and backward; cycles; and what reading the array for it costs, apart.
    """
    shapes = {name: mixer.shapes[name] for name in ADAPTED}
    vectors = {name: recipe.adapter_batch * mixer.vectors[name] for name in ADAPTED}
    steps, lanes = getattr(recipe, f"{stage}_steps"), configuration.lora
    resident = sum(RANKS[name] for name in list(RANKS)[:1 + list(RANKS).index(stage)])
    trainable = adapter_words(shapes.values(), RANKS[stage])
    blocks = sum(lanes.blocks(vectors[name]) * adapter_words([shapes[name]], RANKS[stage]) for name in ADAPTED)
    products = sum(vectors[name] * adapter_words([shapes[name]], resident) for name in ADAPTED)
    forward, backward, update = training_cycles(configuration, shapes, vectors, resident, steps)
    written = steps * (2 * trainable + blocks)
    picture = count_picture(configuration, mixer)
    events = {"sram_word": written + steps * 4 * products // lanes.vectors, "product": steps * 4 * products}
    return {"trainable": trainable, "rm_pulses": 0, "updates": steps, "pictures": steps * recipe.adapter_batch,
            "sram_words_written": written, "weight_words_written": steps * trainable,
            "deploy_joules_chip": energies({"sram_word": trainable})["chip"],
            "write_joules_chip": energies({"sram_word": written})["chip"],
            "training_joules_chip": energies(events)["chip"],
            "cycles_forward": 2 * forward, "cycles_backward": backward, "cycles_update": update,
            "lora_seconds": (2 * forward + backward + update) * configuration.clock.tick_ns * 1e-9,
            "read_adc_seconds": steps * recipe.adapter_batch * picture["adc_seconds"],
            "read_joules_board": steps * recipe.adapter_batch * energies(picture["events"])["board"],
            "read_joules_chip": steps * recipe.adapter_batch * energies(picture["events"])["chip"]}


def count_reprogrammed(configuration, mixer, pulses):
    """Counts of a stage by full reprogramming, of ``pulses`` counted by the device model: each is verified."""
    cells = 2 * sum(outputs * inputs for outputs, inputs in mixer.shapes.values())
    verifies = pulses + cells
    ticks = program_cycles(configuration, 2, 1, 200) - program_cycles(configuration, 2, 0, 0)
    visit = program_cycles(configuration, 2, 0, 0) - program_cycles(configuration, 1, 0, 0)
    joules = energies({"rm_pulse": pulses, "adc_conversion": verifies, "cell_read": verifies})
    return {"trainable": FACE_PARAMETERS, "rm_pulses": pulses, "cells": cells, "verifies": verifies,
            "deploy_joules_chip": joules["chip"], "write_joules_chip": joules["chip"],
            "write_joules_board": joules["board"],
            "programming_seconds": (pulses * ticks + cells * visit) * configuration.clock.tick_ns * 1e-9}


def event_grid():
    """The table of energies."""
    def text(value):
        return "not measured" if value is None else f"{value:,g}"

    return Grid("energies, pJ an event", ("event", "board's parts", "180 nm projection", "source"),
                [[event.name.replace("_", " "), text(event.board_pj), text(event.chip_pj), event.source]
                 for event in EVENTS.values()])


def ratio_grid():
    """The published ratios."""
    columns = ("", "paper", "arithmetic", "gives", "real counts", "give", "remark")
    return Grid("published ratios, worked out again", columns, [
        [ratio.name, f"{ratio.paper:g}", ratio.arithmetic, f"{ratio.value:.2f}", ratio.counted, f"{ratio.real:.2f}",
         ratio.remark] for ratio in published_ratios()])
