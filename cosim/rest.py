"""Lets units of the generated Verilog rest in a simulation while nothing about them changes.

A simulated clock costs the same whether a unit works or waits, and most of the chip waits through most of a crossbar
read. The processes of the units that are named therefore get ``@(posedge clk iff awake)``, and so does what compares
their registers with what these were a clock ago. They are awake from the clock in which anything that comes to them
differs from the clock before, until two clocks have passed, one after the other, in which neither that nor any of their
registers has changed. What an edge makes of a synchronous machine is a function of what it holds and what comes to it,
so the next edge would change nothing either, nor any after it. Two clocks, not one: what the first wrote into a memory,
which is not compared, the second may have read. To compare costs a good part of a clock: units that have been awake for
long are looked at now and then only.

A memory of several elements a word rests while none of them is written.
"""

import re

from rmdlora.gen.clocked import MODULE, NAME, words

__all__ = ["REST", "WATCH", "let_memories_rest", "let_rest", "resting_units",
           "split_modules"]

HEADER = re.compile(r"module (\\\S+|\w+) ?\(([^)]*)\);\n")
INSTANCE = re.compile(r"^  \\(\S+) +(\\\S+|\w+) +\(\n(.*?)^  \);\n", re.MULTILINE | re.DOTALL)
CONNECTION = re.compile(r"^    \.(\\\S+|\w+) ?\((.*)\),?$", re.MULTILINE)
PROCESS = re.compile(r"^  always @\(posedge clk\)(?: begin)?\n((?: {4}.*\n)*)", re.MULTILINE)
OUTPUT = re.compile(rf"^  output (?:\[[^\]]*\] )?({NAME}) ?;", re.MULTILINE)
REGISTER = re.compile(rf"^  reg (\[[^\]]*\] )?({NAME}) ?(?:=.*)?;", re.MULTILINE)
TAKES = re.compile(rf"({NAME}) ?(?:\[[^\]]*\] ?)?<= ")
ASSIGNMENT = re.compile(rf"^  assign ({NAME}) ?(?:\[[^\]]*\] )? ?= (.*);$", re.MULTILINE)
LITERAL = re.compile(r"\d+'s?[bdh][0-9a-fxz]+")
CLOCKED = "always @(posedge clk)"
# a process that writes elements of a memory's word, each where a bit of one name says so
WRITES = re.compile(r"^  always @\(posedge clk\) begin\n"
                    r"((?:    if \((\\\S+ |\w+)\[\d+\]\)\n      .* <= .*;\n)+)  end\n", re.MULTILINE)
WATCH = "rest__"    # how the names begin of all that is added here
# values of ...turn, 4 bits: KEEP takes what there is for later comparison, the two after it compare and keep, of units
# that rest it is REST, and from PAUSE on, before KEEP comes again, none of that is done
KEEP, REST, PAUSE = 0, 3, 4
PATIENCE = 15       # comparisons in vain before there are pauses between them


def let_memories_rest(verilog):
    """``verilog`` in which what writes a memory runs only where an element is written."""
    def rest(match):
        enables = set(re.findall(r"^    if \((.*)\[\d+\]\)$", match[1], re.MULTILINE))
        return match[0].replace("clk)", f"clk iff |{match[2]})", 1) if len(enables) == 1 else match[0]

    return WRITES.sub(rest, verilog)


def let_rest(verilog, parent, units, unwatched=()):
    """``verilog`` (text of `gen.verilog`) in which the instances ``units`` of the module ``parent`` rest together.

    A unit is all that is below it too. ``unwatched``: names in ``parent`` that may change while they rest: counters of
    which a unit takes the value, in a clock in which something else changes, and asks nothing. Units that the text
    does not have are left out; the text stays as it was where it has none.
    """
    modules = split_modules(verilog)
    wanted = re.compile(rf"{re.escape(parent)}\.(?:{'|'.join(units)})(?:\$\d+)?")      # Yosys numbers what clashes
    found = [name for name in clocked_parts(modules, parent) if wanted.fullmatch(name)]
    if not found:
        return verilog
    inside = list(found)
    for name in inside:
        inside += clocked_parts(modules, name)
    watched = [net for net in incoming(modules, parent, found) if net not in unwatched]
    changed = {name: put_to_rest(modules[name], inside) for name in inside}
    changed[parent] = watch(modules[parent], found, watched)
    return "".join(changed.get(header[1].removeprefix("\\"), text) if (header := HEADER.match(text)) else text
                   for text in MODULE.split(verilog))


def split_modules(verilog):
    """``{name: text}`` of the modules of a text."""
    return {header[1].removeprefix("\\"): text for text in MODULE.split(verilog) if (header := HEADER.match(text))}


def resting_units(verilog):
    """The names of the modules in ``verilog`` that rest."""
    return tuple(header[1].removeprefix("\\") for header in HEADER.finditer(verilog)
                 if f"({WATCH}awake, " in header[0])


def has_clock(text):
    """Whether the module has a clock."""
    return bool(re.search(r"\bclk\b", HEADER.match(text)[2]))


def clocked_parts(modules, name):
    """The names of the modules of which the module ``name``, if there is one, has instances with its clock."""
    return [match[1] for match in INSTANCE.finditer(modules.get(name, "")) if ".clk(clk)" in match[0]
            and match[1] in modules]


def spelt(name):
    """A name as it stands in an expression: one with a backslash ends with a space."""
    return f"{name.strip()} " if name.startswith("\\") else name


def connections(modules, match):
    """``(inputs, outputs)`` of an instance (a match of `INSTANCE`): the expressions connected to its ports."""
    outputs = {name.strip() for name in OUTPUT.findall(modules[match[1]])}
    both = [(port, net) for port, net in CONNECTION.findall(match[3]) if net.strip() and port != "clk"]
    return [net for port, net in both if port not in outputs], [net for port, net in both if port in outputs]


def names(expression):
    """The names in an expression, as `words` gives them."""
    return words(LITERAL.sub("", expression))


def incoming(modules, parent, units):
    """Expressions, each once, in ``parent`` that come to its ``units`` from elsewhere: not from one of them, nor only
    through logic between them."""
    given, sources = {}, {}     # inputs of a unit; for every name what it is made of: (names, from one of the units)
    for match in INSTANCE.finditer(modules[parent]):
        if match[1] not in modules:
            continue
        inputs, outputs = connections(modules, match)
        member = match[1] in units
        if member:
            given |= dict.fromkeys(inputs)
        logic = not has_clock(modules[match[1]])
        for output in outputs:
            for name in names(output):
                sources.setdefault(name, []).append((set().union(*map(names, inputs)) if logic else set(),
                                                     member or logic))
    for left, right in ASSIGNMENT.findall(modules[parent]):
        sources.setdefault(left.strip(), []).append((names(right), True))
    # what anything else drives, a port or a process, has no source here
    sources = {name: made for name, made in sources.items() if all(known for _, known in made)}
    while outside := [name for name, made in sources.items()
                      if any(part not in sources for parts, _ in made for part in parts)]:
        for name in outside:
            del sources[name]
    return [net for net in given if not names(net) <= set(sources)]


def watch(text, units, nets):
    """The module ``text`` whose instances of the modules ``units`` are awake as said above; ``nets`` come to them."""
    moved = []
    for match in list(INSTANCE.finditer(text)):
        if match[1] in units:
            moved.append(f"rest__moved_{len(moved)}")
            text = text.replace(match[0], connect(match[0], moved[-1]))
    seen = {spelt(net): f"rest__seen_{index}" for index, net in enumerate(nets)}
    keep = "".join(f"      {kept} <= {net};\n" for net, kept in seen.items())
    logic = "".join(f"  wire {name};\n" for name in moved)
    logic += "".join(f"  reg [$bits({net})-1:0] {kept} = 0;\n" for net, kept in seen.items())
    logic += f"""\
  reg [3:0] rest__turn = {KEEP};
  reg [3:0] rest__in_vain = 0;
  wire rest__changed = {' || '.join(f'{net} != {kept}' for net, kept in seen.items()) or 0};
  wire rest__awake = rest__changed || rest__turn != {REST};
  wire rest__look = rest__turn < {REST};
  always @(posedge clk iff rest__awake) begin
    if (rest__turn <= {REST}) begin
{keep}    end
    if (rest__turn >= {PAUSE} || rest__turn == {KEEP}) rest__turn <= rest__turn + 1;
    else if (rest__changed || {' || '.join(moved)}) begin
      rest__turn <= rest__in_vain == {PATIENCE} ? {PAUSE} : {KEEP + 1};
      if (rest__in_vain != {PATIENCE}) rest__in_vain <= rest__in_vain + 1;
    end else begin
      rest__turn <= rest__turn + 1;
      if (rest__turn == {REST - 1}) rest__in_vain <= 0;
    end
  end
"""
    start = INSTANCE.search(text).start()
    return text[:start] + logic + text[start:]


def connect(instance, moved):
    """An instance with the ports more of a module that rests."""
    return instance.replace(".clk(clk)", ".clk(clk), .rest__awake(rest__awake), .rest__look(rest__look), "
                            f".rest__moved({moved})", 1)


def put_to_rest(text, inside):
    """A module whose processes run only while ``rest__awake``, a new port, is high; ``rest__moved`` says whether any of
    its registers differs from what it was at the last edge with ``rest__look``. ``inside``: modules that get them too.
    """
    header = HEADER.match(text)
    taken = {name.strip() for process in PROCESS.findall(text) for name in TAKES.findall(process)}
    registers = [(width, spelt(name)) for width, name in REGISTER.findall(text) if name.strip() in taken]
    body = text[header.end():].replace(CLOCKED, "always @(posedge clk iff rest__awake)")
    differ, kept, keep = [], "", ""
    for index, (width, name) in enumerate(registers):
        kept += f"  reg {width}rest__seen_{index} = 0;\n"
        keep += f"    rest__seen_{index} <= {name};\n"
        differ.append(f"{name} != rest__seen_{index}")
    for match in list(INSTANCE.finditer(body)):
        if match[1] in inside:
            kept += f"  wire rest__moved_{len(differ)};\n"
            body = body.replace(match[0], connect(match[0], f"rest__moved_{len(differ)}"))
            differ.append(f"rest__moved_{len(differ)}")
    kept += f"  assign rest__moved = {' || '.join(differ) or 0};\n"
    if keep:
        kept += f"  always @(posedge clk iff rest__look) begin\n{keep}  end\n"
    end = body.rindex("endmodule")
    return (f"{header[0].replace('(', '(rest__awake, rest__look, rest__moved, ', 1)}  input rest__awake;\n"
            f"  input rest__look;\n  output rest__moved;\n"
            f"{body[:end]}{kept}{body[end:]}")
