"""What the lanes simulate: the chip alone, or the system of chip and board, as text.

Both have the chip's ports but the board's pins: ``clk``, ``rst``, ``s_axil__*``, the streams, ``irq``, ``running``.
Alone, the pins that come from the board are held low. In the system they meet module `board`, whose supplies come up
with the end of reset, and every pin is an output ``pin_*`` as well, for benches that watch it.
"""

import re

from rmdlora.gen.verilog import MODULE
from rmdlora.hdl.pins import BoardPins

from .board import parameters, sources, timers
from .generated import interface, verilog_text
from .rest import let_memories_rest, let_rest, resting_units
from .timers import find_timers
from .verilate import Design

__all__ = ["chip_design", "system_design"]

# what waits, all of it or most, through most of a crossbar read
RESTS = {MODULE: ("axi", "windows", "registers", "buffer", "queue", "check", "dispatcher", "slots", "walker", "router",
                  "lora", "exchanger", "m_axis_y_last", "m_axis_dx_last"),
         f"{MODULE}.crossbar": ("programmer", "cells", "pulse_counters", "start", "lines", "sums", "walk", "buffer")}
RESTLESS = "scrubber"   # a part that counts in every clock: what it is in would never rest, and is left out
# what counts while the chip waits
TIMERS = tuple((f"{MODULE}.{module}", register) for module, register in (
    *(("counters", name) for name in ("clocks", "forward", "backward", "update")), ("watchdog", "still"),
    ("crossbar.converter", "tick"), ("crossbar.converter", "elapsed"), ("crossbar.loader.update", "timer"),
    ("crossbar.sequence", "timer"), ("crossbar.adc_switch", "timer")))


def chip_design(configuration, verilog=None, rest=True):
    """The `Design` of the chip alone.

    ``verilog``: its text, where it is not to be the generated one. ``rest``: units that wait cost nothing (see
    `rest.let_rest`); without, every process of the text runs in every clock.
    """
    ports, pins = sort_ports(configuration)
    connections = [f".{port['name']}({port['name']})" for port in ports]
    connections += [f".{pin['name']}({zeros(pin) if pin['direction'] == 'in' else ''})" for pin in pins]
    text = module("alone", [declare(port) for port in ports], instance(MODULE, "chip", connections))
    simulated = simulated_text(configuration, verilog, rest)
    return Design("alone", ((f"{MODULE}.v", simulated), ("alone.v", text)), (), chip_timers(simulated),
                  chip_rests(simulated))


def system_design(configuration, verilog=None, rest=True, checks=True):
    """The `Design` of chip and board. Parameters as above; without ``checks`` no part judges its timing."""
    ports, pins = sort_ports(configuration)
    declared = [declare(port) for port in ports]
    declared += [declare({"name": f"pin_{pin['name']}", "direction": "out", "bits": pin["bits"]}) for pin in pins]
    chip = [f".{port['name']}({port['name']})" for port in ports]
    wires = [f".{pin['name']}(pin_{pin['name']})" for pin in pins]
    given = ", ".join(f".{name}({value})" for name, value in parameters(configuration, checks).items())
    text = module("system", declared, instance(MODULE, "chip", chip + wires)
                  + instance(f"board #({given})", "board", [".clk(clk)", ".rst(rst)", *wires]))
    parts, native = sources()
    files = [(path.name, path.read_text(encoding="utf-8")) for path in parts]
    compiled = tuple((path.name, path.read_text(encoding="utf-8")) for path in native)
    simulated = simulated_text(configuration, verilog, rest)
    return Design("system", ((f"{MODULE}.v", simulated), *files, ("system.sv", text)), compiled,
                  (*chip_timers(simulated), *timers(checks)), chip_rests(simulated))


def simulated_text(configuration, verilog, rest):
    """The chip's text as it is simulated."""
    text = verilog or verilog_text(configuration)
    if not rest:
        return text
    text = let_memories_rest(text)
    counts = {name for timer in find_timers(text, TIMERS) for name in timer.names}
    restless = re.findall(rf"^module \\(\S+)\.{RESTLESS} ", text, re.MULTILINE)
    for parent, units in RESTS.items():
        still = [unit for unit in units if not any(f"{name}.".startswith(f"{parent}.{unit}.") for name in restless)]
        text = let_rest(text, parent, still, {name.removeprefix(f"{parent}.") for name in counts})
    return text


def chip_timers(simulated):
    """The timers of the chip in its text as it is simulated."""
    return tuple(timer.within(MODULE, "chip") for timer in find_timers(simulated, TIMERS))


def chip_rests(simulated):
    """The units of the chip that rest in its text as it is simulated."""
    return tuple(unit.replace(MODULE, "chip", 1) for unit in resting_units(simulated))


def sort_ports(configuration):
    """``(ports, pins)`` of the chip's interface: those the lanes drive and watch, and those of the board."""
    names = BoardPins(configuration).members
    both = interface(configuration)["ports"]
    return [port for port in both if port["name"] not in names], [port for port in both if port["name"] in names]


def declare(port):
    """One port of a wrapper."""
    width = f"[{port['bits'] - 1}:0] " if port["bits"] > 1 else ""
    return f"{port['direction']}put {width}{port['name']}"


def zeros(port):
    """What holds an input low."""
    return f"{port['bits']}'h0"


def module(name, ports, body):
    """The text of a module."""
    return f"module {name} (\n  " + ",\n  ".join(ports) + f"\n);\n{body}endmodule\n"


def instance(kind, name, connections):
    """The text of an instance."""
    return f"  {kind} {name} (\n    " + ",\n    ".join(connections) + "\n  );\n"
