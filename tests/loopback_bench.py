"""Benches of the loop-back design, run in the simulator by test_cosim.py."""

import cocotb
import numpy as np
from cocotb.task import bridge
from loopback_map import BIAS, COUNT, ELEMENTS, FLAW, MEMORY, MISSING
from rmdlora.cosim.benches.bench import note, parameters
from rmdlora.cosim.benches.pins import open_pins
from rmdlora.cosim.benches.scoreboard import Scoreboard
from rmdlora.cosim.transport import LaneFailure


def exercise(lane, given, board):
    count = given["count"]
    generator = np.random.default_rng(given["seed"])
    x = generator.integers(-128, 128, (count, ELEMENTS))
    c = generator.integers(-1 << 63, (1 << 63) - 1, (count, ELEMENTS), endpoint=True)
    words = generator.integers(0, 1 << 32, 16)
    lane.write_many(MEMORY + 4 * np.arange(16), words)
    board.compare("words", words, lane.read_many(MEMORY + 4 * np.arange(16)))
    try:
        lane.read(MISSING)
    except LaneFailure as failure:
        note(refused=str(failure))
    lane.write(BIAS, 100)
    lane.write(FLAW, given.get("flaw", 0))
    lane.write(COUNT, count)
    lane.send("x", x)
    lane.expect("y", count)
    lane.send("c", c)
    lane.expect("dx", count)
    moved = lane.run_until_idle(given["limit"])
    clocks = np.repeat(moved["y"].clocks[:, None], ELEMENTS, axis=1)
    board.compare("y", x + 100, moved["y"].beats, clocks)
    board.compare("dx", c, moved["dx"].beats)
    note(running=lane.running_clocks, intervals=lane.intervals.tolist(), clocks=moved["y"].clocks.tolist(),
         lasts=moved["y"].lasts.tolist(), taken=moved["x"].clocks.tolist())


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_beat_arrives_once_in_order(dut):
    given = parameters()
    board = Scoreboard(given["seed"])
    lane = await open_pins(dut, ELEMENTS, stall=given["stall"], seed=given["seed"], patient=given["patient"],
                           busy_register=False)
    await bridge(exercise)(lane, given, board)
    board.finish()
