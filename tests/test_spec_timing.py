"""Cycle counts: the slots of every pass, added one by one, and the shares the configurations are tuned for."""

import dataclasses

import pytest
from rmdlora.golden.spec.configuration import load_configuration, named_configurations
from rmdlora.golden.spec.geometry import Lanes
from rmdlora.golden.spec.timing import HAND_OVER, SHIFT, Pipeline


def issue_backward(pipeline, vectors, inputs, outputs, rank):
    """Slots of a backward, issued pass by pass; no outer product may start before its `q` is there, nor, with memories
    of one port, out of step with the row words: A's from 0 on, then B's."""
    lanes = pipeline.lanes

    def wait_for_step(slot, row_word):
        return slot + (slot - row_word) % 2 if pipeline.single_port else slot

    groups = lanes.rank_groups(rank)
    a, b = lanes.groups(inputs) * groups, lanes.groups(outputs) * groups
    gap = max(0, pipeline.turnaround - min(b, 2 * a))
    sum_end, slot = b, max(b, gap)
    for block in range(lanes.blocks(vectors)):
        slot = wait_for_step(slot, a) + b           # outer b
        own_sum_end = sum_end
        if block == lanes.blocks(vectors) - 1:
            slot += gap                             # wait
        else:
            sum_end = slot + b                      # sum of the next block
            slot += max(b, gap)
        assert slot - own_sum_end >= pipeline.turnaround
        slot = wait_for_step(slot, 0) + a + a       # outer a, spread
    return slot


@pytest.mark.parametrize("kind", [{}, {"single_port": True}, {"single_port": True, "secded": True}], ids=str)
@pytest.mark.parametrize("lanes", [Lanes(1, 1), Lanes(2, 2, 2), Lanes(4, 4), Lanes(8, 8), Lanes(4, 16, 1, 16)], ids=str)
def test_slots_of_an_operation_are_those_of_its_passes(lanes, kind):
    pipeline = Pipeline(lanes, **kind)
    for vectors, inputs, outputs, rank in ((1, 1, 1, 1), (3, 40, 50, 6), (5, 200, 100, 16), (2, 1, 300, 4),
                                           (4, 3, 2, 1), (4, 2, 3, 1), (4, 33, 40, 1), (4, 40, 33, 1)):
        groups = lanes.rank_groups(rank)
        a, b = lanes.groups(inputs) * groups, lanes.groups(outputs) * groups
        blocks = lanes.blocks(vectors)
        least = blocks * (a + b)
        assert pipeline.forward_slots(vectors, inputs, outputs, rank) >= least + pipeline.turnaround
        if a >= pipeline.turnaround:
            assert pipeline.forward_slots(vectors, inputs, outputs, rank) == least + pipeline.turnaround
        assert pipeline.backward_slots(vectors, inputs, outputs, rank) == issue_backward(
            pipeline, vectors, inputs, outputs, rank) >= 2 * least
        assert pipeline.forward(vectors, inputs, outputs, rank) == (
            1 + pipeline.forward_slots(vectors, inputs, outputs, rank) + pipeline.row_result + HAND_OVER)
        assert pipeline.update(inputs, outputs, rank) == 1 + a + b + pipeline.update_result


def test_a_training_run_is_cut_at_batch_ends_and_chunks():
    pipeline = Pipeline(Lanes(chunk=8))
    cuts = [(list(part), ends) for part, ends in pipeline.chunks(21, 10)]
    assert [(part[0], part[-1], ends) for part, ends in cuts] == [
        (0, 7, False), (8, 9, True), (10, 17, False), (18, 19, True), (20, 20, True)]
    forward, backward, update = pipeline.run(21, 30, 20, 4, batch=10)
    assert forward == sum(pipeline.forward(n, 30, 20, 4) for n in (8, 2, 8, 2, 1))
    assert backward == sum(pipeline.backward(n, 30, 20, 4) for n in (8, 2, 8, 2, 1))
    assert update == 3 * pipeline.update(30, 20, 4)
    assert pipeline.run(21, 30, 20, 4) == (pipeline.forward(21, 30, 20, 4), 0, 0)
    assert pipeline.run(3, 30, 20, 4, batch=1 << 60) == pipeline.run(3, 30, 20, 4, batch=3)


@pytest.mark.parametrize("name", named_configurations())
def test_more_work_never_takes_fewer_cycles(name):
    configuration = load_configuration(name)
    sizes = {"vectors": 3, "inputs": 20, "outputs": 20, "rank": 6}
    for operation, keys in (("forward", sizes), ("backward", ("vectors",)), ("update", ("inputs", "outputs", "rank"))):
        count = getattr(configuration.pipeline, operation)
        given = {key: size for key, size in sizes.items() if operation != "update" or key != "vectors"}
        for key in keys:
            if key in given:
                costs = [count(**given | {key: size}) for size in range(1, 40)]
                assert costs == sorted(costs)


@pytest.mark.parametrize("single_port", [False, True])
@pytest.mark.parametrize(("name", "layers", "vectors"), [
    ("face", [(32, 20, 6), (20, 32, 6), (6, 20, 6), (32, 20, 8), (20, 32, 8), (6, 20, 8)], 64),
    ("speaker", [(512, 140, 8), (512, 512, 8), (512, 140, 16), (512, 512, 16)], 16),
    ("image", [(3072, 768, 4), (768, 3072, 4), (3072, 768, 8), (768, 3072, 8)], 16)])
def test_a_tasks_layers_keep_its_multipliers_busy(name, layers, vectors, single_port):
    configuration = load_configuration(name)
    pipeline = dataclasses.replace(configuration.pipeline, single_port=single_port)
    for d, k, r in layers:
        products = vectors * r * (d + k)
        forward, backward, update = pipeline.run(vectors, k, d, r, batch=vectors)
        assert products / (configuration.lora.multipliers * forward) >= 0.95, (d, k, r)
        chunks = len(list(configuration.pipeline.chunks(vectors, vectors)))
        assert chunks == -(-vectors // configuration.lora.chunk)
        assert 2 * products / (configuration.lora.multipliers * (backward + update)) >= 0.90, (d, k, r)


@pytest.mark.parametrize("secded", [False, True])
@pytest.mark.parametrize("vectors", [1, 2, 4, 8, 16])
def test_row_words_in_memories_of_one_port_are_read_and_written_an_odd_number_of_clocks_apart(vectors, secded):
    pipeline = Pipeline(Lanes(vectors=vectors), single_port=True, secded=secded)
    read_states_outer = pipeline.product + SHIFT - pipeline.memory
    assert (pipeline.state_result - read_states_outer) % 2 == 1
    assert pipeline.update_result % 2 == 1              # state: read with the slot
    assert (pipeline.update_result - SHIFT) % 2 == 1    # weights
    dual = dataclasses.replace(pipeline, single_port=False)
    assert pipeline.state_result - dual.state_result in (0, 1) and pipeline.update_result - dual.update_result in (0, 1)


def test_latencies_follow_the_lanes():
    small, large = Pipeline(Lanes(1, 1)), Pipeline(Lanes(16, 64))
    assert (large.row_tree, large.lane_tree) == (6, 4) and (small.row_tree, small.lane_tree) == (0, 0)
    assert large.rank_result - small.rank_result == 6 and large.row_result - small.row_result == 4
    wide = Pipeline(dataclasses.replace(Lanes(), vectors=16, chunk=64))
    assert wide.turnaround == wide.state_result + 1
