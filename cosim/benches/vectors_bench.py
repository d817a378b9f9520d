"""A vector file through the chip's ports, as `rmdlora run` does it in the native lane, against what the oracle said.

Parameters: ``configuration`` (see `configuration_of`), ``vectors`` and ``expected`` (paths of `.npz` files: contract,
section 7), ``stall`` (probability of a stalled clock at every source and sink).
"""

import cocotb
import numpy as np
from cocotb.task import bridge
from rmdlora.cosim.benches.bench import configuration_of, note, parameters
from rmdlora.cosim.benches.pins import open_pins
from rmdlora.cosim.compare import Outcome, compare
from rmdlora.cosim.rtl import run_rtl
from rmdlora.golden.vectors import load_vectors

CYCLES = ("cycles_forward", "cycles_backward", "cycles_update")


def counted_at_the_pins(vectors, configuration, intervals):
    """Cycles of forwards, backwards and updates from when ``running`` was high, one interval an operation."""
    lengths = [int(last - first + 1) for first, last in intervals]
    kinds = ["cycles_forward"]
    if vectors.trains:
        kinds = []
        for _, ends_batch in configuration.pipeline.chunks(len(vectors.x), vectors.batch):
            kinds += ["cycles_forward", "cycles_backward", *["cycles_update"] * ends_batch]
    assert len(lengths) == len(kinds), f"running must rise once an operation ({len(kinds)}), not {len(lengths)} times"
    return {name: sum(length for length, kind in zip(lengths, kinds, strict=True) if kind == name) for name in CYCLES}


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def every_array_and_every_count_is_the_oracles(dut):
    given = parameters()
    configuration = configuration_of(given)
    vectors = load_vectors(given["vectors"], configuration)
    with np.load(given["expected"]) as archive:
        expected = dict(archive)
    lane = await open_pins(dut, configuration.lora.beat_elements, stall=given["stall"], seed=given["seed"])
    outcome = await bridge(run_rtl)(vectors, configuration, lane)
    if given["stall"]:      # the oracle counts without stalls
        for name in CYCLES:
            assert int(outcome.arrays[name]) >= int(expected[name]), f"{name} must not shrink under stalls"
            expected[name] = outcome.arrays[name]
    seen = counted_at_the_pins(vectors, configuration, lane.intervals)
    for name, count in seen.items():
        assert count == int(outcome.arrays[name]), \
            f"{name} must be {count} as counted at the pins, not {int(outcome.arrays[name])} (seed {given['seed']})"
    differences = compare(Outcome(expected), outcome)
    assert not differences, f"{differences[0]} (seed {given['seed']})"
    assert outcome.arrays["y"].size and lane.cycles > 0, "a bench must compare something, not nothing"
    note(**{name: int(outcome.arrays[name]) for name in CYCLES}, compared=sorted(outcome.arrays), clocks=lane.cycles)
