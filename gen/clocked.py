"""Registers as one would write them by hand, and nothing computed for a register that stands still.

Yosys writes every register twice: an ``always @*`` block with its next value and an ``always @(posedge clk)`` block
that takes it; and it writes what leads there as wires, outside of any condition. Simulators then compute the next value
of every register in every clock. Here the two blocks become one: ``if (rst) ... else ...``, the registers of a module
side by side under the conditions they share. What only the registers under one condition need is computed there, as
blocking assignments before theirs.

Where one of several elements is chosen, Yosys shifts all of them down until that one comes first; here it is an indexed
part of them, since simulators do shift words of hundreds of bits.

The text is Yosys' own, read by its line forms; what does not have them stays as it was written.
"""

import collections
import re
import typing

__all__ = ["clocked"]

NAME = r"(?:\\\S+ |[A-Za-z_]\w*)"
WORD = re.compile(r"(\\\S+) |([A-Za-z_$][\w$]*)")
MODULE = re.compile(r"^(?=module )", re.MULTILINE)
REGISTER = re.compile(rf"^  always @\(posedge clk\)\n    ({NAME}) ?<= ({NAME}) ?;\n", re.MULTILINE)
# the `if` of a signal that never changes is there for the sake of simulators that would not run the block once
PROCESS = r"^  always @\* begin\n    if \(\\\$auto\S+ \) begin end\n"
NEXT = re.compile(rf"{PROCESS}    ({NAME}) ?= (.*);\n((?:    .*\n)*)  end\n", re.MULTILINE)
RESET = re.compile(rf"    if \(({NAME}) ?\) begin\n      ({NAME}) ?= ([\w']+);\n    end\n\Z")
ONE_CONDITION = re.compile(r"    if \((.*)\) begin\n((?:      .*\n)*)    end\n")
LOGIC = re.compile(rf"^  assign (?P<left>.*?) = (?P<right>.*);\n|{PROCESS}(?P<body>(?:    .*\n)*)  end\n", re.MULTILINE)
TARGET = re.compile(rf"^ *({NAME}) ?(?:\[[^\]]*\] )? ?= ", re.MULTILINE)
# one element: a word shifted by the element's place times its size, of which as much is taken as the name has bits
PLACE = re.compile(rf"^  assign ({NAME}) ?= ({NAME}) ?(?:\[(\d+):(\d+)\] )?\* \d+'h([0-9a-f]+);\n", re.MULTILINE)
CHOICE = re.compile(rf"^  assign ({NAME}) ?= ({NAME}) ?>> ({NAME}) ?;\n", re.MULTILINE)
WIDTH = re.compile(rf"^  (?:input|output|wire|reg) (?:\[(\d+):0\] )?({NAME}) ?(?:=.*)?;\n", re.MULTILINE)
DECLARED = re.compile(rf"^  (?:wire|reg) (?:\[[^\]]*\] )?({NAME}) ?;\n", re.MULTILINE)


class Group(typing.NamedTuple):
    """Registers of a module with the same resets: ``resets``, conditions in falling rank; ``cleared``, for each of them
    the registers' statements; ``bodies``, by condition (None: always) the statements; ``logic``, what they need."""

    resets: tuple
    cleared: list
    bodies: dict
    logic: dict


class Logic(typing.NamedTuple):
    """Combinational logic: where it stands, the names it drives and uses, and itself as blocking assignments."""

    span: tuple
    drives: set
    uses: set
    statements: str


def clocked(text):
    """A Verilog text of Yosys with its registers written as above: the same behaviour, the same names but for wires
    that were next values, or that nothing uses."""
    heading, *modules = MODULE.split(text)
    return heading + "".join(rewrite(module) for module in modules)


def words(text):
    """The set of identifiers in a text, keywords among them."""
    return {escaped or plain for escaped, plain in WORD.findall(text)}


def rewrite(module):
    """One module's text."""
    module = choose_elements(module)
    module, groups = take_registers(module)
    module = move_logic(module, groups)
    end = module.rindex("endmodule")
    return module[:end] + "".join(write_group(group) for group in groups) + module[end:]


def choose_elements(module):
    """The module in which an element of a word is an indexed part of it, where there is an element at every place."""
    width = {match[2].strip(): int(match[1] or 0) + 1 for match in WIDTH.finditer(module)}
    last = {}       # of every place: where the last element begins
    for place, index, high, low, size in PLACE.findall(module):
        index_bits = int(high) - int(low) + 1 if high else width.get(index.strip())
        if index_bits:
            last[place.strip()] = ((1 << index_bits) - 1) * int(size, 16)

    def choose(match):
        element, word, place = (name.strip() for name in match.groups())
        if place not in last or last[place] + width[element] > width[word] or width[word] <= 64:
            return match[0]
        return f"  assign {match[1]} = {match[2]} [{match[3]} +: {width[element]}];\n"

    return CHOICE.sub(choose, module)


def without(text, spans):
    """``text`` without the ``(start, end)`` of ``spans``."""
    kept, at = [], 0
    for start, end in sorted(spans):
        kept.append(text[at:start])
        at = end
    return "".join(kept) + text[at:]


def take_registers(module):
    """The module without its registers' blocks, and its registers as a list of `Group`."""
    registers = {match[2].strip(): match for match in REGISTER.finditer(module)}
    declared = {match[1].strip(): match for match in DECLARED.finditer(module)}
    used = collections.Counter(escaped or plain for escaped, plain in WORD.findall(module))
    groups, taken = {}, []
    for match in NEXT.finditer(module):
        following, first, body = match[1].strip(), match[2], match[3]
        own = sum((escaped or plain) == following for escaped, plain in WORD.findall(match[0]))
        if following not in registers or following not in declared or used[following] != own + 2:
            continue
        name = registers[following][1].strip()
        resets, values = [], []
        while (reset := RESET.search(body)) and reset[2].strip() == following:
            resets.append(reset[1].strip())
            values.append(reset[3])
            body = body[:reset.start()]
        body = re.sub(rf"^( *){re.escape(following)} +(\[[^\]]*\] )?= ", lambda found, to=name:
                      f"{found[1]}{to} {found[2] or ''}<= ", body, flags=re.MULTILINE)
        if following in words(body):
            continue
        if first.strip() != name:
            body = f"    {name} <= {first};\n{body}"
        group = groups.setdefault(tuple(resets), Group(tuple(resets), [[] for _ in resets], {}, {}))
        for cleared, value in zip(group.cleared, values, strict=True):
            cleared.append(f"      {name} <= {value};\n")
        whole = ONE_CONDITION.fullmatch(body)
        condition, statements = (whole[1], whole[2]) if whole else (None, body)
        group.bodies.setdefault(condition, []).append(statements)
        taken += [registers[following].span(), match.span(), declared[following].span()]
    return without(module, taken), list(groups.values())


def read_logic(module):
    """The combinational logic of a module, as a list of `Logic`."""
    found = []
    for match in LOGIC.finditer(module):
        if match["body"] is None:
            left, right = match["left"], match["right"]
            found.append(Logic(match.span(), words(left), words(right), f"      {left} = {right};\n"))
        else:
            drives = {name.strip() for name in TARGET.findall(match["body"])}
            found.append(Logic(match.span(), drives, words(match["body"]) - drives,
                               re.sub(r"^", "  ", match["body"], flags=re.MULTILINE).rstrip(" ")))
    return found


def move_logic(module, groups):
    """The module without the logic that only registers under one condition need: that goes to ``groups``."""
    logic = read_logic(module)
    rest = without(module, [entry.span for entry in logic])
    # an attribute stands before the declaration of what it is about: that stays
    declared = {match[1].strip() for match in DECLARED.finditer(rest) if not rest[:match.start()].endswith("*)\n")}
    outside = words(DECLARED.sub("", rest))
    users, makers = collections.defaultdict(set), collections.defaultdict(list)
    for number, group in enumerate(groups):
        for condition, bodies in group.bodies.items():
            if condition is None:
                outside |= words("".join(bodies))
                continue
            outside |= words(condition)
            for name in words("".join(bodies)):
                users[name].add((number, condition))
    for index, entry in enumerate(logic):
        for name in entry.uses:
            users[name].add(index)
        for name in entry.drives:
            makers[name].append(index)
    fixed = {index for index, entry in enumerate(logic) if entry.drives & outside or entry.drives - declared}
    homes = find_homes(logic, users, makers, fixed)

    moved, gone = set(), set()
    for index in in_order(logic, makers):
        if homes[index]:
            number, condition = homes[index]
            groups[number].logic.setdefault(condition, []).append(logic[index].statements)
            moved |= logic[index].drives
            gone.add(index)
    # names of moved logic that nothing uses
    unused = set()
    while more := {index for index, home in homes.items() if home == () and index not in gone
                   and (logic[index].uses | logic[index].drives) & (moved | unused)}:
        unused |= set().union(*(logic[index].drives for index in more))
        gone |= more
    module = without(module, [logic[index].span for index in gone])

    def declare(match):
        name = match[1].strip()
        if name in unused:
            return ""
        return match[0].replace("  wire ", "  reg ", 1) if name in moved else match[0]

    return DECLARED.sub(declare, module)


def find_homes(logic, users, makers, fixed):
    """Where each entry of ``logic`` belongs: the ``(group, condition)`` that alone uses it, () where nothing does, None
    where it has to stay. ``users``, ``makers``: of each name; ``fixed``: the entries that stay anyway."""
    while True:
        homes = {}
        for index in reversed(in_order(logic, makers)):     # users first; in a loop some come late, and all of it stays
            found = {homes.get(user) if isinstance(user, int) else user
                     for name in logic[index].drives for user in users[name]} - {()}
            homes[index] = None if index in fixed or len(found) > 1 else next(iter(found), ())
        # several entries drive parts of one name: they go together, or not at all
        apart = {index for entries in makers.values() if len({homes[index] for index in entries}) > 1
                 for index in entries} - fixed
        if not apart:
            return homes
        fixed = fixed | apart


def in_order(logic, makers):
    """The indices of ``logic``, what drives a name before what uses it."""
    order, seen = [], set()
    for root in range(len(logic)):
        path = [(root, None)]
        while path:
            index, waiting = path.pop()
            if waiting is None:
                if index in seen:
                    continue
                seen.add(index)
                waiting = iter([maker for name in sorted(logic[index].uses) for maker in makers.get(name, ())])
            following = next(waiting, None)
            if following is None:
                order.append(index)
            else:
                path += [(index, waiting), (following, None)]
    return order


def write_group(group):
    """The block of a group."""
    lines = ["  always @(posedge clk)\n"]
    for number, (condition, cleared) in enumerate(zip(group.resets, group.cleared, strict=True)):
        lines += [f"    {'else ' if number else ''}if ({condition} ) begin\n", *cleared, "    end\n"]
    lines.append("    else begin\n" if group.resets else "    begin\n")
    for condition, bodies in group.bodies.items():
        if condition is None:
            lines += bodies
        else:
            lines += [f"    if ({condition}) begin\n", *group.logic.get(condition, ()), *bodies, "    end\n"]
    return "".join([*lines, "    end\n"])
