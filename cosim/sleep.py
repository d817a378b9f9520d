"""Lets a unit of the generated Verilog sleep in a simulation while nothing about it changes.

A simulated clock costs the same whether a unit works or waits, and the LoRA unit, most of the chip, waits through most
of a crossbar read. Its processes therefore get ``@(posedge clk iff awake)``: awake from the clock in which any of its
ports differs from the clock before, until ``quiet`` clocks after the last such clock. The unit is a synchronous
machine, and the longest it works without a sign at its ports is known (`golden.spec.timing.Pipeline.turnaround`).
With ``quiet`` well above that, a machine quiet for so long has come to rest, and an edge at rest under constant inputs
changes nothing. Were that ever wrong, the unit would lose clocks or stop for good, and neither passes unseen: every
cycle count is compared with the specification's, and every run has a limit.

A memory of several elements a word rests while none of them is written: that needs no assumption.
"""

import re

__all__ = ["let_memories_rest", "let_sleep"]

HEADER = re.compile(r"module \\?(\S+) ?\(([^)]*)\);\n")
# a process that writes elements of a memory's word, each where a bit of one name says so
WRITES = re.compile(r"^  always @\(posedge clk\) begin\n"
                    r"((?:    if \((\\\S+ |\w+)\[\d+\]\)\n      .* <= .*;\n)+)  end\n", re.MULTILINE)
CONNECTION = re.compile(r"^\s*\.(\S+?) ?\((.*)\),?$", re.MULTILINE)


def let_memories_rest(verilog):
    """``verilog`` in which what writes a memory runs only where an element is written."""
    def rest(match):
        enables = set(re.findall(r"^    if \((.*)\[\d+\]\)$", match[1], re.MULTILINE))
        return match[0].replace("clk)", f"clk iff |{match[2]})", 1) if len(enables) == 1 else match[0]

    return WRITES.sub(rest, verilog)


def let_sleep(verilog, unit, quiet, restless=False):
    """``verilog`` (text as Amaranth writes it) in which the instance ``unit`` (``"top.name"``) may sleep.

    ``quiet``: clocks without a sign after which it does. ``restless``: the unit never comes to rest, but nobody looks
    at what it makes later than that after a sign among its inputs, so only these count. Returns the text as it was
    where it has no such instance.
    """
    parent, _, name = unit.rpartition(".")
    modules = re.split(r"(?m)^(?=module )", verilog)
    instance = re.compile(rf"^  \\?{re.escape(unit)} +{re.escape(name)} \(\n(.*?)^  \);\n", re.MULTILINE | re.DOTALL)
    own = next((text for text in modules if (header := HEADER.match(text)) and header[1] == unit), "")
    found = False
    for place, text in enumerate(modules):
        header = HEADER.match(text)
        if header is None:
            continue
        if header[1] == parent and (match := instance.search(text)) and ".clk(clk)" in match[1]:
            nets = [net for port, net in CONNECTION.findall(match[1]) if port != "clk" and net.strip()
                    and not (restless and re.search(rf"(?m)^  output (?:\[[^\]]*\] )?{re.escape(port)} ?;", own))]
            held = match[0].replace(".clk(clk)", f".clk(clk), .awake({name}_awake)")
            modules[place] = text[:match.start()] + watch(name, nets, quiet) + held + text[match.end():]
            found = True
        elif header[1] == unit or header[1].startswith(f"{unit}."):
            modules[place] = put_to_sleep(text, header)
    return "".join(modules) if found else verilog


def watch(name, nets, quiet):
    """The logic that says whether the instance ``name`` with these ``nets`` at its ports is awake.

    Net by net: to put them side by side first would cost more than to compare them.
    """
    kept = [(net, f"{name}_seen_{index}") for index, net in enumerate(nets)]
    return ("".join(f"  reg [$bits({net})-1:0] {seen} = 0;\n" for net, seen in kept)
            + f"  reg [{quiet.bit_length() - 1}:0] {name}_quiet = 0;\n"
            f"  wire {name}_changed = {' || '.join(f'{net} != {seen}' for net, seen in kept)};\n"
            f"  wire {name}_awake = {name}_changed || {name}_quiet != {quiet};\n"
            f"  always @(posedge clk) begin\n"
            f"    if ({name}_changed) begin\n"
            f"      {name}_quiet <= 0;\n"
            + "".join(f"      {seen} <= {net};\n" for net, seen in kept)
            + f"    end else if ({name}_quiet != {quiet}) {name}_quiet <= {name}_quiet + 1;\n"
            f"  end\n")


def put_to_sleep(text, header):
    """A module whose processes run only while ``awake``, a new port, is high; as it was if it has no clock."""
    if not re.search(r"\bclk\b", header[2]):
        return text
    body = text[header.end():].replace("always @(posedge clk)", "always @(posedge clk iff awake)")
    body = body.replace(".clk(clk)", ".clk(clk), .awake(awake)")
    return f"{header[0].replace('(', '(awake, ', 1)}  input awake;\n{body}"
