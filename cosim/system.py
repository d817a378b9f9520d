"""What the lanes simulate: the chip alone, or the system of chip and board, as text.

Both have the chip's ports but the board's pins: ``clk``, ``rst``, ``s_axil__*``, the streams, ``irq``, ``running``.
Alone, the pins that come from the board are held low. In the system they meet module `board`, whose supplies come up
with the end of reset, and every pin is an output ``pin_*`` as well, for benches that watch it.
"""

from rmdlora.gen.verilog import MODULE
from rmdlora.hdl.pins import BoardPins

from .board import parameters, sources
from .generated import interface, verilog_text
from .sleep import let_sleep
from .verilate import Design

__all__ = ["chip_design", "system_design"]

SLEEPER = f"{MODULE}.lora"      # most of the chip, and it waits through most of a crossbar read


def chip_design(configuration, verilog=None, sleep=True):
    """The `Design` of the chip alone.

    ``verilog``: its text, where it is not to be the generated one. ``sleep``: a unit that waits costs nothing (see
    `sleep.let_sleep`); without, every process of the text runs in every clock.
    """
    ports, pins = sort_ports(configuration)
    connections = [f".{port['name']}({port['name']})" for port in ports]
    connections += [f".{pin['name']}({zeros(pin) if pin['direction'] == 'in' else ''})" for pin in pins]
    text = module("alone", [declare(port) for port in ports], instance(MODULE, "chip", connections))
    return Design("alone", ((f"{MODULE}.v", simulated_text(configuration, verilog, sleep)), ("alone.v", text)))


def system_design(configuration, verilog=None, sleep=True, checks=True):
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
    return Design("system", ((f"{MODULE}.v", simulated_text(configuration, verilog, sleep)), *files,
                             ("system.sv", text)), compiled)


def simulated_text(configuration, verilog, sleep):
    """The chip's text as it is simulated."""
    text = verilog or verilog_text(configuration)
    return let_sleep(text, SLEEPER, 4 * configuration.pipeline.turnaround) if sleep else text


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
