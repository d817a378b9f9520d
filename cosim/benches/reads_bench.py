"""Random tile reads at the board's pins, each against the oracle beside it.

Parameters: ``configuration`` (see `configuration_of`); ``reads``, how many; ``vectors`` of each. Drawn from the seed,
as `cosim.tile_reads` draws them. Noted: the ``y`` of each.
"""

import ctypes

import cocotb
import numpy as np
from cocotb.task import bridge
from rmdlora.cosim.benches.bench import configuration_of, note, parameters
from rmdlora.cosim.benches.pins import open_pins
from rmdlora.cosim.benches.scoreboard import Scoreboard
from rmdlora.cosim.board import violations
from rmdlora.cosim.tile_reads import TileReads, draw_read

START_CLOCKS = 40_000       # the board's start-up ends within these


def read_tiles(lane, configuration, library, given):
    """``[(y, wanted)]`` of the reads."""
    lane.advance(START_CLOCKS)
    reads = TileReads(configuration, lane, library)
    return [reads.read(draw_read(configuration, np.random.default_rng((given["seed"], index)), given["vectors"]))
            for index in range(given["reads"])]


@cocotb.test(timeout_time=1000, timeout_unit="ms")
async def random_tile_reads_are_the_oracles(dut):
    given = parameters()
    configuration, library = configuration_of(given), ctypes.CDLL(None)     # the simulator itself
    lane = await open_pins(dut, configuration.lora.beat_elements, patient=True)
    codes = await bridge(read_tiles)(lane, configuration, library, given)
    scores = Scoreboard(given["seed"])
    for index, (y, wanted) in enumerate(codes):
        scores.compare(f"y of read {index}", wanted, y)
    scores.finish()
    broken, texts = violations(library)
    assert not broken, f"the board's rules must hold, but {broken} times one did not: {texts[0]}"
    note(y=[y.tolist() for y, _ in codes])
