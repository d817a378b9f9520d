"""Sums of adapters in the LoRA unit: every code and clock is that of one adapter with the lanes of all of them."""

import random

import pytest
from lora_bench import World, shaped, train_once
from rmdlora.golden.spec.geometry import Lanes
from rmdlora.golden.spec.timing import Pipeline
from sum_bench import SumCase


@pytest.mark.parametrize("ports", ["dual", "single"])
@pytest.mark.parametrize(("shape", "sums"), [
    ((2, 2, 1), [(3, 2), (1, 1, 2, 1), (1, 3, 1)]), ((1, 1, 1), [(1, 2), (3, 1, 2)]), ((2, 1, 2), [(4, 3)]),
    ((4, 2, 1), [(3, 2)])], ids=str)
def test_a_training_step_of_a_sum_equals_that_of_one_adapter_in_every_code_and_clock(shape, sums, ports):
    configuration, rng = shaped(*shape, sram={"ports": ports}), random.Random(f"sum {shape}")
    world = World(configuration, rng)

    async def test(ctx):
        for ranks in sums:
            await train_once(ctx, world, SumCase(configuration, rng, ranks), timed=True)

    world.simulate(test)


@pytest.mark.parametrize("ports", ["dual", "single"])
def test_a_sum_waits_for_its_operands_and_for_the_room_of_its_results(ports):
    configuration, rng = shaped(2, 2, 1, sram={"ports": ports}), random.Random(f"stalled sum {ports}")
    world = World(configuration, rng, stall=0.4)

    async def test(ctx):
        await train_once(ctx, world, SumCase(configuration, rng, (1, 3, 2)), timed=False)
        await train_once(ctx, world, SumCase(configuration, rng, (5,)), timed=False)

    world.simulate(test)


@pytest.mark.parametrize("lanes", [Lanes(1, 1), Lanes(2, 2, 2), Lanes(4, 4)], ids=str)
@pytest.mark.parametrize("single_port", [False, True])
def test_one_adapter_is_a_sum_of_itself_and_more_take_no_less(lanes, single_port):
    pipeline, rng = Pipeline(lanes, single_port), random.Random("one")
    for _ in range(30):
        n, k, d = rng.randint(1, 6), rng.randint(1, 40), rng.randint(1, 40)
        ranks, bases = [rng.randint(1, 6) for _ in range(4)], [rng.randint(0, 99) for _ in range(4)]
        assert pipeline.sum_backward(n, k, d, ranks[:1], bases[:1]) == pipeline.backward(n, k, d, ranks[0])
        assert pipeline.sum_update(k, d, ranks[:1], bases[:1]) == pipeline.update(k, d, ranks[0])
        width = lanes.offsets(ranks)[-1]
        assert pipeline.sum_update(k, d, ranks, bases) >= pipeline.update(k, d, width)
        assert pipeline.sum_backward(n, k, d, ranks, bases) >= pipeline.backward(n, k, d, width)
