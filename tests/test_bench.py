"""What `rmdlora bench` reports."""

import dataclasses
import json

import numpy as np
import pytest
from rmdlora.cosim.cli import main
from rmdlora.cosim.measure import crossbar, lora
from rmdlora.golden.spec.configuration import load_configuration


@pytest.mark.parametrize("ports", ["dual", "single"])
@pytest.mark.parametrize("name", sorted(lora.TASK_LAYERS))
def test_each_tasks_layers_keep_their_multipliers_busy_in_their_configuration(name, ports):
    configuration = load_configuration(name)
    configuration = dataclasses.replace(configuration, sram=dataclasses.replace(configuration.sram, ports=ports))
    lanes, pipeline = configuration.lora, configuration.pipeline
    layers, ranks, vectors = lora.TASK_LAYERS[name]
    for outputs, inputs in layers:
        for rank in ranks:
            forward, backward, update = pipeline.run(vectors, inputs, outputs, rank, batch=vectors)
            products = vectors * rank * (inputs + outputs)
            assert products / (lanes.multipliers * forward) >= 0.95
            assert 2 * products / (lanes.multipliers * (backward + update)) >= 0.90


def test_the_measured_cycles_are_the_chips_and_equal_the_specifications():
    driver = lora.open_chip(load_configuration("tiny"))
    for outputs, inputs, rank, vectors in ((9, 7, 3, 5), (1, 1, 1, 1), (20, 33, 8, 8)):
        share = lora.measure_layer(driver, outputs, inputs, rank, vectors, np.random.default_rng(rank))
        cycles = share.cycles_forward, share.cycles_backward, share.cycles_update
        assert cycles == driver.configuration.pipeline.run(vectors, inputs, outputs, rank, batch=vectors)
        assert 0 < share.forward <= share.forward_limit <= 1
        assert 0 < share.train <= share.train_limit <= 1


def test_the_oracles_figures_are_written_as_one_flat_object(tmp_path):
    assert main(["bench", "oracle", "--json", str(tmp_path / "oracle.json")]) == 0
    figures = json.loads((tmp_path / "oracle.json").read_text())
    assert figures["oracle_over_float"] > 0
    assert all(not isinstance(value, (list, dict)) for value in figures.values())


def test_adapters_hide_behind_the_crossbars_read_in_every_layer_of_every_task():
    found = crossbar.measure_overhead(seen=())
    assert len(found) == sum(len(layers) for layers, _, _ in lora.TASK_LAYERS.values())
    for overhead in found.values():
        assert overhead.overhead == 0
        assert overhead.tail <= 0.005 * overhead.active
