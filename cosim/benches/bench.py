"""What every bench starts from: its parameters, the design out of reset, and a place for what it notes."""

import ctypes
import json
import os
import pathlib

from cocotb.simtime import get_sim_time
from cocotb.triggers import RisingEdge
from rmdlora.golden.spec.configuration import build_configuration

__all__ = ["TICK_NS", "ClockCount", "configuration_of", "dwell", "note", "parameters", "passed_clocks", "start",
           "start_clock"]

TICK_NS = 10
RESET_CLOCKS = 8


def folder():
    """Folder of this run."""
    return pathlib.Path(os.environ["RMDLORA_BENCH"])


def parameters():
    """The bench's parameters, as `cocotb_lane.run_bench` was given them, and its ``seed``."""
    return json.loads((folder() / "parameters.json").read_text(encoding="utf-8"))


def configuration_of(given):
    """The `Configuration` among a bench's parameters: ``configuration``, its ``name`` and ``tables``, every key."""
    return build_configuration(given["configuration"]["tables"], given["configuration"]["name"])


def note(**figures):
    """Hand figures out of the simulation, beside those noted before."""
    path = folder() / "noted.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(before | figures), encoding="utf-8")


class ClockCount:
    """Counts the rising edges of the clock since reset, by the simulator's time: nothing wakes at an edge."""

    began_ns = None     # set by `start`

    @property
    def cycles(self):
        """Rising edges before now; so, at an edge, the number of the clock it ends, counted from 0 after reset."""
        if self.began_ns is None:
            return -1
        return round((get_sim_time("ns") - self.began_ns) / TICK_NS)


def start_clock(dut):
    """Start the clock, the simulator's own, with reset held."""
    dut.rst.value = 1
    ctypes.CDLL(None).rmd_start_clock(ctypes.c_uint64(TICK_NS))


def passed_clocks():
    """Clocks so far that were not simulated one by one, for nobody was called and nothing but timers moved."""
    simulator = ctypes.CDLL(None)
    simulator.rmd_passed.restype = ctypes.c_uint64
    return simulator.rmd_passed()


def dwell():
    """From now on simulate every clock by itself."""
    ctypes.CDLL(None).rmd_dwell()


async def start(dut, count):
    """Hold reset for some clocks, and start ``count`` at the first clock after them."""
    dut.rst.value = 1
    for _ in range(RESET_CLOCKS):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)       # the first edge that sees the end of reset ends clock 0
    count.began_ns = get_sim_time("ns")
