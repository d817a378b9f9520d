"""`rmdlora bench cosim`: clock cycles a second of both simulation lanes, on the same design and the same work.

The design is the system at its pins, chip and board, with every part's timing checked and, for comparison, without; the
work is full reads of one tile, back to back. What was read is compared with the oracle each time: a rate of wrong
answers is worth nothing.
"""

import collections
import pathlib
import statistics
import tempfile

import numpy as np

from ..cocotb_lane import describe_configuration, run_bench
from ..exercise import SEED, Exercise, TileReads
from ..native import NativeLane
from ..system import system_design
from ..transport import LaneFailure

__all__ = ["measure_rates"]

AGAIN = 5       # of native reads, a fraction of a second each, in a turn
CHECKED = {True: "", False: "_unchecked"}
# figure: whether the parts' timing is checked, and every clock simulated by itself
COCOTB = {"cocotb_cycles_per_second": (True, False), "cocotb_cycles_per_second_unchecked": (False, False),
          "cocotb_dwelling_cycles_per_second": (True, True)}


def measure_rates(configuration, vectors=16, repeats=5, tuned=True):
    """Measure both lanes and return a flat dict: rates in clock cycles a second, and what they were measured on.

    Parameters: ``configuration``; ``vectors``, full tile reads of a run; ``repeats``, turns in which each lane runs,
    with checks and without, the native ones `AGAIN` times: rates are medians over them all; ``tuned``, whether native
    builds are, but one. Builds what the cache lacks first.

    ``native_cycles_per_second``, ``cocotb_cycles_per_second``: of the system while it reads tiles, with checks;
    ``..._unchecked``: without; ``..._of_processor``: over the processor's time, which other work on the machine does
    not lengthen. ``conversions``: made in each run. ``native_untuned_...``: of a build that is not tuned
    (`native.NativeLane`). ``native_dwelling_...``, ``cocotb_dwelling_...``: where the lane passes over no clock
    (`lane.StreamLane.dwell`); ``native_passed``, ``cocotb_passed``: the share of clocks it otherwise passes over, and
    ``..._passed_unchecked``.
    ``native_lora_cycles_per_second``: of the system while the LoRA unit is busy in every clock.
    """
    reads = TileReads(configuration, vectors)

    def exercise(**given):
        return Exercise(NativeLane(configuration, board=True, **given), configuration, reads)

    native = {f"native_cycles_per_second{suffix}": exercise(checks=checks, tuned=tuned)
              for checks, suffix in CHECKED.items()}
    checked, unchecked = native.values()
    native |= {"native_dwelling_cycles_per_second": exercise(tuned=tuned),
               "native_untuned_cycles_per_second": exercise()}
    native["native_dwelling_cycles_per_second"].lane.dwell()
    design = {checks: system_design(configuration, checks=checks) for checks in CHECKED}
    taken, made, passed = collections.defaultdict(list), set(), {}
    with tempfile.TemporaryDirectory(prefix="rmdlora-") as folder:
        path = pathlib.Path(folder) / "layer.npz"
        np.savez(path, weights=reads.weights, x=reads.x, y=reads.expected)
        given = {"configuration": describe_configuration(configuration), "layer": str(path)}
        for _ in range(repeats):
            for _ in range(AGAIN):
                counts = set()
                for name, lane in native.items():
                    clocks, seconds, converted = lane.read_tiles()
                    taken[name].append(clocks / seconds)
                    counts |= {clocks}
                    made |= {converted}
                need_one(counts, "a native lane built otherwise, or that passes over no clock, must count as any other")
            counts = set()
            for name, (checks, dwelling) in COCOTB.items():
                noted = run_bench(design[checks], "rmdlora.cosim.benches.tiles_bench", folder,
                                  given | {"dwell": dwelling}, seed=SEED)
                taken[name].append(noted["clocks"] / np.array([noted["seconds"], noted["processor_seconds"]]))
                made |= {noted["conversions"]}
                counts |= {noted["cycles"]}
                passed[name] = noted["passed"] / noted["clocks"]
            need_one(counts, "a cocotb lane that passes over no clock must count as any other")
    for _ in range(repeats):
        lora_clocks, seconds = checked.keep_lora_busy(clocks)
        taken["native_lora_cycles_per_second"].append(lora_clocks / seconds)
    for lane in native.values():
        lane.check()
    need_one(made, "both lanes must make the same conversions")
    rates = {f"{name}{suffix}": round(statistics.median(rate[index] for rate in both)) for name, both in taken.items()
             for index, suffix in enumerate(("", "_of_processor"))}
    return rates | {"conversions": made.pop(), "configuration": configuration.name,
                    "multipliers": configuration.lora.multipliers,
                    "native_passed": round(checked.passed / clocks, 3),
                    "native_passed_unchecked": round(unchecked.passed / clocks, 3),
                    "cocotb_passed": round(passed["cocotb_cycles_per_second"], 3),
                    "cocotb_passed_unchecked": round(passed["cocotb_cycles_per_second_unchecked"], 3),
                    "tile": f"{len(reads.x[0])}x{configuration.geometry.tile_columns}", "tile_reads": vectors,
                    "clocks": clocks, "repeats": repeats}


def need_one(found, rule):
    """Raise `LaneFailure` with the ``rule`` unless all that was ``found`` (a set) is one and the same."""
    if len(found) != 1:
        raise LaneFailure(f"{rule}, not {sorted(found)}")
