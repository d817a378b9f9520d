"""A layer read out of the crossbar at the board's pins, against what the oracle said of the same conductances.

Parameters: ``configuration`` (see `configuration_of`); ``layer``, path of an `.npz` file with ``weights`` (d, k),
activations ``x`` (n, k) and the ``y`` (n, d) expected; ``dwell``, whether every clock is simulated by itself. Noted:
what it counted, how long the simulator took to read, by the clock and by the processor's time, and how many of those
clocks it passed over.
"""

import ctypes
import time

import cocotb
import numpy as np
from cocotb.task import bridge
from cocotb.triggers import FallingEdge
from rmdlora.cosim.benches.bench import configuration_of, dwell, note, parameters, passed_clocks
from rmdlora.cosim.benches.pins import open_pins
from rmdlora.cosim.benches.scoreboard import Scoreboard
from rmdlora.cosim.board import Board, conversions, violations
from rmdlora.gen.driver import Driver

START_CLOCKS = 40_000       # the board's start-up ends within these


class FallMonitor:
    """Counts the falls of one pin."""

    def __init__(self, signal):
        self.signal, self.count = signal, 0
        cocotb.start_soon(self.watch())

    async def watch(self):
        """Watch for ever."""
        while True:
            await FallingEdge(self.signal)
            self.count += 1


def read_layer(lane, configuration, weights, x):
    """Bring the board up and read ``x`` with unit gains and no adapter: y, its clocks, counters, clocks, those passed
    over, and seconds by the clock and of the processor."""
    lane.advance(START_CLOCKS)
    driver = Driver(lane, configuration)
    driver.wait_board()
    outputs, inputs = weights.shape
    layer = driver.load_adapter(np.zeros((1, inputs), np.int64), np.zeros((outputs, 1), np.int64))
    driver.set_calibration(np.ones(outputs, np.int64), np.zeros(outputs, np.int64))
    driver.clear_counters()
    before, passed = lane.cycles, passed_clocks()
    began = np.array([time.perf_counter(), time.process_time()])
    y = driver.forward(layer, x, crossbar=True)
    seconds = np.array([time.perf_counter(), time.process_time()]) - began
    clocks, passed = lane.cycles - before, passed_clocks() - passed
    return y, driver.clocks("y"), driver.counters(), clocks, passed, seconds


@cocotb.test(timeout_time=1000, timeout_unit="ms")
async def a_layer_read_at_the_pins_is_the_oracles(dut):
    given = parameters()
    if given.get("dwell"):
        dwell()
    configuration = configuration_of(given)
    with np.load(given["layer"]) as archive:
        weights, x, expected = (archive[name] for name in ("weights", "x", "y"))
    library = ctypes.CDLL(None)     # the simulator itself
    board = Board(configuration)
    placement = board.load(weights)
    board.attach(library)
    lane = await open_pins(dut, configuration.lora.beat_elements, patient=True)
    selects = FallMonitor(dut.pin_adc_cs_n)
    y, clocks, counters, ran, passed, seconds = await bridge(read_layer)(lane, configuration, weights, x)
    scores = Scoreboard(given["seed"])
    scores.compare("y", expected, y, clocks)
    scores.compare("conversions", counters["conversions"], conversions(library))
    scores.compare("conversions at adc_cs_n", counters["conversions"], selects.count)
    scores.compare("tile_reads", placement.tiles.size * len(x), counters["tile_reads"])
    scores.compare("cycles_forward", lane.running_clocks, counters["forward"])
    scores.finish()
    broken, texts = violations(library)
    assert not broken, f"the board's rules must hold, but {broken} times one did not: {texts[0]}"
    note(clocks=ran, passed=passed, seconds=seconds[0], processor_seconds=seconds[1], cycles=counters["forward"],
         conversions=counters["conversions"], y_clocks=np.asarray(clocks).tolist())
