"""The LoRA unit on buffers of every kind, in the Amaranth simulator, against the contract in plain integers."""

import random

import pytest
from lora_bench import Case, World, expected_beats, shaped, train_once
from rmdlora.golden.spec.registers import Kind

SHAPES = [(2, 2, 1), (1, 1, 1), (4, 1, 2), (1, 4, 4), (8, 2, 1), (2, 2, 2)]
NARROW = {"activation": 4, "adapter": 8, "intermediate": 8, "gradient": 8, "output": 8, "state": 16, "sum": 24}
WIDE = {"activation": 16, "adapter": 18, "intermediate": 18, "gradient": 18, "output": 24, "state": 36, "sum": 40}


def train(configuration, seed, timed=True, stall=0.0, steps=3):
    """A training step of the smallest layer, and of ``steps`` random ones."""
    rng = random.Random(seed)
    world = World(configuration, rng, stall)

    async def test(ctx):
        await train_once(ctx, world, Case(configuration, rng, sizes=(1, 1, 1, 1)), timed)
        for _ in range(steps):
            await train_once(ctx, world, Case(configuration, rng), timed)

    world.simulate(test)


@pytest.mark.parametrize("ports", ["dual", "single"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_training_step_equals_the_contract_in_every_code_and_clock(shape, ports):
    train(shaped(*shape, sram={"ports": ports}), f"step {shape}")


@pytest.mark.parametrize(("shape", "ports"), [((2, 2, 1), "dual"), ((2, 1, 1), "single"), ((1, 2, 2), "single")])
def test_error_correction_costs_only_the_clocks_promised(shape, ports):
    train(shaped(*shape, sram={"ports": ports, "secded": True, "scrub_clocks": 5}, **NARROW), f"secded {shape}")


@pytest.mark.parametrize("ports", ["dual", "single"])
@pytest.mark.parametrize("formats", [NARROW, WIDE], ids=["narrowest", "widest"])
def test_every_width_gives_the_contracts_codes_under_stalls(formats, ports):
    train(shaped(2, 2, 1, sram={"ports": ports}, **formats), f"formats {formats}", timed=False, stall=0.4, steps=2)


@pytest.mark.parametrize("ports", ["dual", "single"])
@pytest.mark.parametrize(("vectors", "chunk"), [(1, 3), (2, 2)])
def test_a_forward_takes_more_vectors_than_the_unit_keeps(vectors, chunk, ports):
    rng = random.Random(f"many {vectors} {chunk}")
    configuration = shaped(2, 2, vectors, chunk, sram={"ports": ports})
    world = World(configuration, rng)

    async def test(ctx):
        for sizes in ((15, 3, 5, 3), (16, 1, 1, 8)):
            case = Case(configuration, rng, sizes)
            await world.load(ctx, case)
            world.queues["x"] += case.beats(case.x)
            world.queues["c"] += case.beats(case.c)
            await ctx.tick().repeat(2)
            assert await world.run(ctx, case.operation(Kind.FORWARD)) == configuration.pipeline.forward(*sizes)
            assert world.results["y"] == expected_beats(case, case.forward())
            world.results["y"].clear()

    world.simulate(test)
