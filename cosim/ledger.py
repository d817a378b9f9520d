"""What a task cost, counted: adapters on the hybrid and full reprogramming side by side."""

import dataclasses

from rmdlora.golden.costs import EVENTS, adapter_words, conversions, energies, published_ratios, training_cycles
from rmdlora.golden.spec.program import program_cycles

from .outcome import Grid

__all__ = ["Workload", "cost_grid", "count_hybrid", "count_input", "count_reprogrammed", "event_grid", "ratio_grid"]

# of a table: what, name of the count, format
COSTS = (("parameters trained", "trainable", "{:,}"), ("programming pulses", "rm_pulses", "{:,}"),
         ("energy to write the result, 180 nm, J", "deploy_joules_chip", "{:.3e}"),
         ("energy to write it, board, J", "write_joules_board", "{:.3e}"),
         ("SRAM words written in training", "sram_words_written", "{:,}"),
         ("energy of these, 180 nm, J", "write_joules_chip", "{:.3e}"),
         ("programming, s", "programming_seconds", "{:.2f}"),
         ("LoRA unit, cycles forward", "cycles_forward", "{:,}"),
         ("LoRA unit, cycles backward", "cycles_backward", "{:,}"),
         ("LoRA unit, cycles update", "cycles_update", "{:,}"), ("LoRA unit, s", "lora_seconds", "{:.3f}"),
         ("energy of training, 180 nm, J", "training_joules_chip", "{:.3e}"),
         ("inputs read from the array", "inputs", "{:,}"),
         ("ADCs converting for them, s", "read_adc_seconds", "{:.1f}"),
         ("energy of these reads, board, J", "read_joules_board", "{:.3f}"),
         ("energy of these reads, 180 nm, J", "read_joules_chip", "{:.3e}"))


@dataclasses.dataclass(frozen=True)
class Workload:
    """A network as costs see it: ``shapes`` {layer: (d, k)}; ``vectors`` {layer: n that an input gives it at a time};
    ``calls`` {layer: how often an input comes to it, where that is not once}; ``adapted`` {stage: layers} and ``ranks``
    {stage: r} of the adapters, in the order in which they come to be."""

    shapes: dict
    vectors: dict
    adapted: dict
    ranks: dict
    calls: dict = dataclasses.field(default_factory=dict)

    def resident(self, stage):
        """``{layer: (trained, present)}`` of the layers with adapters by ``stage``: the rank that it trains there,
        or 0, and that of all adapters there."""
        stages = list(self.ranks)
        present = stages[:1 + stages.index(stage)]
        both = {name: (self.ranks[stage] if name in self.adapted[stage] else 0,
                       sum(self.ranks[each] for each in present if name in self.adapted[each])) for name in self.shapes}
        return {name: ranks for name, ranks in both.items() if ranks[1]}


def count_input(configuration, workload):
    """Counts of one input through all layers: tile reads, ADC times and samples, events, seconds converting."""
    times = samples = reads = 0
    for name, (outputs, inputs) in workload.shapes.items():
        each = conversions(configuration, outputs, inputs, workload.vectors[name] * workload.calls.get(name, 1))
        times, samples, reads = (sum(pair) for pair in zip((times, samples, reads), each, strict=True))
    geometry = configuration.geometry
    events = {"adc_conversion": samples, "stage_sample": samples, "dac_update": reads * geometry.tile_rows,
              "cell_read": reads * geometry.tile_rows * geometry.tile_columns}
    seconds = times * configuration.board.conversion_ticks * configuration.clock.tick_ns * 1e-9
    return {"tile_reads": reads, "adc_conversions": times, "adc_seconds": seconds, "events": events}


def count_hybrid(configuration, workload, stage, steps, batch):
    """Counts of ``stage`` with adapters, flat: ``steps`` updates of ``batch`` inputs, as the LoRA unit makes them.

    ``trainable``; ``rm_pulses``, 0 by construction here (the chip's own counter is asked on the RTL); ``sram_words``
    written: weights and states by each update, states by each block of vectors of a backward; ``products`` of forward,
    training forward and backward; cycles; and what reading the array for it costs, apart. A layer that an input comes
    to several times adds to its states each time, and is updated once.
    """
    lanes, trainable, blocks, products, forward, backward, update = configuration.lora, 0, 0, 0, 0, 0, 0
    for name, (rank, resident) in workload.resident(stage).items():
        shape, vectors, calls = workload.shapes[name], batch * workload.vectors[name], workload.calls.get(name, 1)
        words = adapter_words([shape], rank)
        trainable += words
        blocks += calls * lanes.blocks(vectors) * words
        products += calls * vectors * adapter_words([shape], resident)
        cycles = training_cycles(configuration, {name: shape}, {name: vectors}, resident, steps)
        forward, backward, update = forward + calls * cycles[0], backward + calls * cycles[1], update + cycles[2]
    written = steps * (2 * trainable + blocks)
    one = count_input(configuration, workload)
    read = energies(one["events"])
    events = {"sram_word": written + steps * 4 * products // lanes.vectors, "product": steps * 4 * products}
    return {"trainable": trainable, "rm_pulses": 0, "updates": steps, "inputs": steps * batch,
            "sram_words_written": written, "weight_words_written": steps * trainable,
            "deploy_joules_chip": energies({"sram_word": trainable})["chip"],
            "write_joules_chip": energies({"sram_word": written})["chip"],
            "training_joules_chip": energies(events)["chip"],
            "cycles_forward": 2 * forward, "cycles_backward": backward, "cycles_update": update,
            "lora_seconds": (2 * forward + backward + update) * configuration.clock.tick_ns * 1e-9,
            "read_adc_seconds": steps * batch * one["adc_seconds"],
            "read_joules_board": steps * batch * read["board"], "read_joules_chip": steps * batch * read["chip"]}


def count_reprogrammed(configuration, workload, parameters, pulses):
    """Counts of a stage by full reprogramming of all ``parameters``, with ``pulses`` counted by the device model: each
    is verified."""
    per_weight = 2 if configuration.crossbar.mapping == "differential" else 1
    cells = per_weight * sum(outputs * inputs for outputs, inputs in workload.shapes.values())
    verifies = pulses + cells
    ticks = program_cycles(configuration, 2, 1, 200) - program_cycles(configuration, 2, 0, 0)
    visit = program_cycles(configuration, 2, 0, 0) - program_cycles(configuration, 1, 0, 0)
    joules = energies({"rm_pulse": pulses, "adc_conversion": verifies, "cell_read": verifies})
    return {"trainable": parameters, "rm_pulses": pulses, "cells": cells, "verifies": verifies,
            "deploy_joules_chip": joules["chip"], "write_joules_chip": joules["chip"],
            "write_joules_board": joules["board"],
            "programming_seconds": (pulses * ticks + cells * visit) * configuration.clock.tick_ns * 1e-9}


def cost_grid(costs, continual):
    """The table of ``costs`` {(stage, kind): counts} of both ways; ``continual``: what the task calls that stage."""
    rows = []
    for what, name, form in COSTS:
        cells = [form.format(costs[stage, kind][name]) if name in costs[stage, kind] else ""
                 for stage in ("unlearn", "continual") for kind in ("hybrid", "reprogrammed")]
        rows.append([what, *cells])
    return Grid("what it cost", ("", *(f"{stage},\n{kind}" for stage in ("unlearn", continual)
                                      for kind in ("hybrid", "reprogramming"))), rows)


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
