"""Whoever waits, for whatever, while tiles are read: when each is called, and what he sees then.

Parameters: ``configuration``; ``dwell``, whether every clock is simulated by itself. Noted: ``seen`` and ``passed``.
"""

import ctypes
import random

import cocotb
import numpy as np
from cocotb.simtime import get_sim_time
from cocotb.task import bridge
from cocotb.triggers import ClockCycles, FallingEdge, First, ReadOnly, RisingEdge, Timer
from rmdlora.cosim.benches.bench import TICK_NS, configuration_of, dwell, note, parameters, passed_clocks
from rmdlora.cosim.benches.pins import open_pins
from rmdlora.cosim.benches.tiles_bench import START_CLOCKS, read_layer
from rmdlora.cosim.board import Board


def draw_wait(dut, generator):
    """A random wait."""
    time = Timer(generator.choice([1, 3, TICK_NS // 2, TICK_NS, 4 * TICK_NS, generator.randrange(1, 9000)]), "ns")
    return generator.choice([time, RisingEdge(dut.clk), FallingEdge(dut.clk), dut.pin_dac_cs_n.value_change,
                             ClockCycles(dut.clk, generator.randrange(1, 9)), First(RisingEdge(dut.irq), time)])


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def whoever_waits_is_called_in_time(dut):
    given = parameters()
    if given["dwell"]:
        dwell()
    configuration, generator, seen = configuration_of(given), random.Random(given["seed"]), []
    weights, x = np.eye(6, 8), np.arange(16).reshape(2, 8)
    board = Board(configuration)
    board.load(weights)
    board.attach(ctypes.CDLL(None))
    lane = await open_pins(dut, configuration.lora.beat_elements, patient=True)
    reads = cocotb.start_soon(bridge(read_layer)(lane, configuration, weights, x))
    await Timer(START_CLOCKS * TICK_NS, "ns")
    while not reads.done():
        await First(draw_wait(dut, generator), Timer(9000, "ns"))
        if generator.random() < 0.3:
            await ReadOnly()
        seen.append((get_sim_time("ns"), *(int(pin.value) for pin in (dut.clk, dut.pin_dac_sclk, dut.pin_adc_dclock))))
        if generator.random() < 0.5:
            await Timer(generator.randrange(1, 4000), "ns")
    seen.append(reads.result()[0].tolist())
    note(seen=seen, passed=passed_clocks())
