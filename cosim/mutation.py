"""One line of the generated Verilog, broken on purpose: the proof that a comparison can fail."""

import re

from rmdlora.golden.spec.refusal import RefusedValue

__all__ = ["adder_lines", "break_adder"]

ADDER = re.compile(r"^(\s*(?:assign )?[^\s;][^;]*? <?= [^;]*?) \+ ")
SUGGESTED = 6


def adder_lines(text, module=""):
    """Numbers, from 1, of the lines of a Verilog text with an adder, in modules whose name has ``module`` in it."""
    lines, inside = [], ""
    for number, line in enumerate(text.splitlines(), start=1):
        if started := re.match(r"module (\S+)", line):
            inside = started[1]
        if module in inside and ADDER.match(line):
            lines.append(number)
    return lines


def break_adder(text, line):
    """``text`` with the adder on ``line`` turned into a subtractor. Refuses a line without one, and names some with."""
    lines = text.splitlines(keepends=True)
    if not 1 <= line <= len(lines) or not ADDER.match(lines[line - 1]):
        some = adder_lines(text, ".lora.") or adder_lines(text)
        some = some[::max(1, len(some) // SUGGESTED)][:SUGGESTED]
        raise RefusedValue(f"--break must be a line of the generated Verilog with an adder, such as "
                           f"{', '.join(map(str, some))}, not {line}")
    lines[line - 1] = ADDER.sub(r"\1 - ", lines[line - 1], count=1)
    return "".join(lines)
