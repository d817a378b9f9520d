"""What counts in a chip that waits: its timers, read from its text, and the values at which anybody asks for them.

Through most of a crossbar read the chip waits for a time to pass: nothing in it moves but timers, each by one in every
clock. Both lanes pass over such clocks at once (`native/leap.h`). They must then know of a timer all that depends
on it, so a register is a timer here only if every use of it in its module has one of these forms:

* it is set, to anything, or becomes itself and one more or less (``next = timer + 1'h1``);
* it is compared with a constant or a name (``==``, ``!=``, ``<``, ``>=``), or with zero (``! timer``, ``| timer``);
* it leaves through a port, and every use of it where it arrives moves it, or its low half with its high half.

A register with any other use is none, as is one that a text does not have: its clocks are then simulated one by one.
"""

import re
import typing

from rmdlora.gen.clocked import NAME

from .rest import HEADER, split_modules

__all__ = ["Timer", "find_timers"]

INSTANCE = re.compile(r"^  (\\\S+|[A-Za-z_]\w*) +(?:\\\S+|[A-Za-z_]\w*) +\(\n((?:    \..*\n)*)  \);\n", re.MULTILINE)
CONNECTION = re.compile(r"^    \.(\\\S+|\w+) ?\((\\\S+|\w+) ?\),?$", re.MULTILINE)
DECLARATION = re.compile(r"(?:input|output|wire|reg)\b")
CONSTANT = re.compile(r"\d+'([hd])([0-9a-f]+)")


class Timer(typing.NamedTuple):
    """A register that counts. ``names``: paths that lead to it, of which a model has one at least; ``next``: paths of
    variables that hold one more or one less; ``ends``: constants it is compared with; ``asked``: of whatever else it is
    compared with a tuple of paths, as ``names``."""

    names: tuple
    next: tuple = ()
    ends: tuple = ()
    asked: tuple = ()

    def within(self, module, place):
        """The same where what is called ``module`` in its paths is the instance ``place``."""
        def moved(names):
            return tuple(re.sub(rf"^{re.escape(module)}\.", f"{place}.", name) for name in names)

        return Timer(moved(self.names), moved(self.next), self.ends, tuple(map(moved, self.asked)))


def find_timers(verilog, wanted):
    """The `Timer` of each of ``wanted``, ``(module, register)`` pairs, that ``verilog`` (text as of `gen.verilog`) has.

    Modules are called as Amaranth does, by the path of their instance; so is the chip itself, the first.
    """
    modules = split_modules(verilog)
    found = (read_timer(modules, module, f"\\{register}" if not register.isidentifier() else register)
             for module, register in wanted if module in modules)
    return tuple(timer for timer in found if timer)


def read_timer(modules, module, register):
    """The `Timer`, or None where a use has none of the forms."""
    name = re.escape(register) + " " * (register[0] == "\\")
    if not re.search(rf"^  reg \[[^\]]*\] {name} ?= ", modules[module], re.MULTILINE):
        return None
    following, ends, asked = [], {0}, []
    for line in lines_with(modules[module], name):
        if re.fullmatch(rf"{name} ?<= .*;", line) and len(re.findall(name, line)) == 1:
            continue
        if step := re.fullmatch(rf"(?:assign )?({NAME}) ?= {name} ?[+-] 1'h1;", line):
            following.append(step[1].strip())
        elif compared := re.fullmatch(rf"(?:assign )?{NAME} ?= {name} ?(?:==|!=|<|>=) (.*?) ?;", line):
            if constant := CONSTANT.fullmatch(compared[1]):
                ends.add(int(constant[2], 16 if constant[1] == "h" else 10))
            elif re.fullmatch(NAME, compared[1] + " " * (compared[1][0] == "\\")):
                asked.append(compared[1])
            else:
                return None
        elif not re.fullmatch(rf"(?:assign )?{NAME} ?= [!|] {name} ?;", line):
            return None
    names, arrivals = aliases(modules, module, register)
    if not all(only_moves(modules[place], port) for place, port in arrivals):
        return None
    if arrivals:
        ends.add(1 << 32)       # where a half of it moves the other
    return Timer(names, tuple(path(module, other) for other in following), tuple(sorted(ends)),
                 tuple(aliases(modules, module, other)[0] for other in asked))


def lines_with(text, name):
    """The lines of a module, without its declarations, that have ``name`` (a pattern) as a word of its own."""
    word = re.compile(rf"(?<![\w$.\\]){name}(?![\w$])")
    body = text[HEADER.match(text).end():]
    return [line.strip() for line in body.splitlines() if not DECLARATION.match(line.strip()) and word.search(line)]


def path(module, name):
    """The path of ``name`` in ``module``, from the chip's module on."""
    return f"{module}.{name.removeprefix(chr(92))}"


def aliases(modules, module, name):
    """``(names, arrivals)``: paths of the signal in ``module`` and, where it is a port, of what it is connected to
    above; and the ``(module, name)`` pairs under which it arrives there, and at whatever is connected to it."""
    names, arrivals = [path(module, name)], []
    while (above := module.rpartition(".")[0]) in modules:
        nets = {net for kind, connections in INSTANCE.findall(modules[above]) if kind.removeprefix("\\") == module
                for port, net in CONNECTION.findall(connections) if port == name}
        if not nets:
            break
        if len(nets) > 1:
            return (), []       # several of a kind: which of them is meant, names do not tell
        [name] = nets
        names.append(path(above, name))
        arrivals.append((above, name))
        arrivals += [(kind.removeprefix("\\"), port) for kind, connections in INSTANCE.findall(modules[above])
                     for port, net in CONNECTION.findall(connections)
                     if net == name and kind.removeprefix("\\") != module]
        module = above
    return tuple(names), arrivals


def only_moves(text, name):
    """Whether a module compares nothing with what arrives as ``name``: all it does is to take its value, or half of it,
    or to connect it."""
    pattern = re.escape(name) + " " * (name[0] == "\\")
    taken = re.compile(rf"(?:assign )?({NAME}) ?<?= {pattern} ?(?P<half>\[(?:31:0|63:32)\])?;")
    for line in lines_with(text, pattern):
        if line.startswith("."):
            continue
        if not (move := taken.fullmatch(line)):
            return False
        # another name for the whole must not be asked either
        if line.startswith("assign") and not move["half"]:
            other = re.escape(move[1].strip()) + " " * (move[1][0] == "\\")
            if lines_with(text, other) != [line]:
                return False
    return True
