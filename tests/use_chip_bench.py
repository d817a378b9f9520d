"""The script of `use_chip` at the chip's pins. Parameters: ``stall``, the chance that a source or sink pauses."""

import cocotb
from cocotb.task import bridge
from rmdlora.cosim.benches.bench import note, parameters
from rmdlora.cosim.benches.pins import open_pins
from use_chip import TINY, use


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def the_script_runs_to_its_end(dut):
    given = parameters()
    lane = await open_pins(dut, TINY.lora.beat_elements, stall=given["stall"], seed=given["seed"],
                           patient=given["patient"])
    note(found=await bridge(use)(lane))
