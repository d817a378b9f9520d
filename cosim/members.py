"""What Verilator wrote: a model's ports, the record of its clock, and where in memory its registers are.

C++ around the model is told of it by `model.h`, written beside it for every build.
"""

import re

from .rest import REST, WATCH

__all__ = ["describe_model", "model_ports"]

# Verilator 5 writes VL_IN8(&clk,0,0)
PORT = re.compile(r"VL_(IN|OUT)(?:8|16|64|W)?\(&?(\w+),(\d+),(\d+)(?:,\d+)?\);")
MEMBER = re.compile(r"^ +(?:VL_(?:IN|OUT)(?:8|16|64|W)?\((?P<port>\w+),(?P<high>\d+),(?P<low>\d+)(?:,\d+)?\);"
                    r"|(?:CData|SData|IData|QData|VlWide<\d+>)/\*(?P<left>\d+):(?P<right>\d+)\*/ (?P<name>\w+);"
                    r"|VlUnpacked<.*, (?P<count>\d+)> (?P<array>\w+);)$", re.MULTILINE)
KEPT = ("__VdfgRegularize", "__Vtrigprevexpr")      # how names of Verilator's begin that are no temporaries
MEMORY = 64     # words from which an array is a memory of the chip


def model_ports(folder, top):
    """``(direction, C++ name, bits)`` of every port of the model Verilator wrote into ``obj`` under ``folder``."""
    text = (folder / "obj" / f"V{top}.h").read_text(encoding="utf-8")
    return [(direction.lower(), name, int(high) - int(low) + 1) for direction, name, high, low in PORT.findall(text)]


def describe_model(folder, top, waves, timers=(), rests=()):
    """Write ``model.h``, which tells the C++ around it of the model Verilator wrote into ``obj`` under ``folder``.

    It has the type `Model`; `EACH_PORT(use)`, ``use(C++ name)`` of every port; `TRACED` where there are ``waves``;
    `CLOCK_BEFORE` where there is a `clock_record`, `RISE` where nothing but that edge could be evaluated then; and what
    `native/leap.h` needs where there are ``timers`` and no ``waves`` (``rests``: as in `verilate.Design`).
    """
    ports = " ".join(f"use({name})" for _, name, _ in model_ports(folder, top))
    root = f"V{top}___024root"
    lines = [f'#include "V{top}.h"', f'#include "{root}.h"', f"using Model = V{top};",
             f"#define EACH_PORT(use) {ports}"]
    if waves:
        lines += ['#include "verilated_vcd_c.h"', "#define TRACED"]
    text = model_text(folder / "obj", top)
    if record := clock_record(text, top):
        lines += [f"#define CLOCK_BEFORE(model) (model)->rootp->{record}"]
        if not waves and f"vlSelfRef.{top}__DOT__clk = " not in text:
            lines += [f"bool {root}___eval_{region}({root}*);" for region in ("act", "nba")]
            lines += [f"#define RISE(model) ({root}___eval_act((model)->rootp), {root}___eval_nba((model)->rootp))"]
    header, *others = (path.read_text(encoding="utf-8") for path in sorted((folder / "obj").glob(f"V{top}_*.h"),
                                                                           key=lambda path: path.stem != root))
    # a module that was not put into its parent has a class, and a header, of its own: what is there would go unseen
    if timers and not waves and not any(map(MEMBER.search, others)):
        lines += state_members(header, root, top, timers, rests)
    (folder / "model.h").write_text("\n".join(lines) + "\n", encoding="utf-8")


def state_members(header, root, top, timers, rests):
    """Lines with HELD_MEMBERS, TIMER_MEMBERS and RESTING, as `native/leap.h` says, of the class ``root`` in the text
    ``header``.

    Held is all that is not a timer, the next value of one, or a memory; temporaries of an evaluation are neither. Nor
    is what lies in a unit that rests, and what watches it: all that is asked is whether it does (`rest.watch`).
    """
    bits = {}
    for match in MEMBER.finditer(header):
        if match["array"]:
            if int(match["count"]) < MEMORY:
                bits[match["array"]] = None
        else:
            high, low = (match["high"], match["low"]) if match["port"] else (match["left"], match["right"])
            bits[match["port"] or match["name"]] = int(high) - int(low) + 1

    def where(name):
        return f"offsetof({root}, {name}), sizeof({root}::{name})"

    def first(names):
        return next((name for name in (cpp_name(top, name) for name in names) if bits.get(name)), None)

    found = {}      # C++ name: (constants, C++ names of what else it is compared with)
    for timer in timers:
        name, asked = first(timer.names), [first(names) for names in timer.asked]
        if name and all(asked):
            found[name] = (timer.ends, asked)
            found |= {name: ((), ()) for name in (first([name]) for name in timer.next) if name}
    watch = spell(WATCH)
    resting = tuple(f"{cpp_name(top, path)}__DOT__" for path in rests)
    held = [name for name in bits if name not in found and not name.startswith(resting)
            and f"__DOT__{watch}" not in name and (not name.startswith("__V") or name.startswith(KEPT))]
    moving = [f"{{{where(name)}, {bits[name]}, {{{', '.join(f'{end}ull' for end in ends)}}}, "
              f"{{{', '.join(f'{{{where(other)}}}' for other in asked)}}}}}" for name, (ends, asked) in found.items()]
    turns = [name for name in bits if name.endswith(f"__DOT__{watch}turn")]
    rest = " && ".join(f"(root)->{name} == {REST}" for name in turns) or "true"
    return ["#include <cstddef>", f"#define RESTING(root) ({rest})",
            f"#define HELD_MEMBERS {', '.join(f'{{{where(name)}}}' for name in held)}",
            f"#define TIMER_MEMBERS {', '.join(moving)}"]


def spell(name):
    """Verilator's C++ spelling of a Verilog name."""
    return re.sub(r"[^\w]", lambda found: f"__0{ord(found[0]):02X}", name.replace("__", "___05F"))


def cpp_name(top, path):
    """Verilator's C++ name of the signal at ``path`` below ``top``."""
    return "__DOT__".join([top, *(spell(name) for name in path.split("."))])


def model_text(obj, top):
    """The C++ of the model in ``obj``, without what only debugging would run."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(obj.glob(f"V{top}*.cpp")))
    return re.sub(r"^#ifdef VL_DEBUG\n.*?^#endif", "", text, flags=re.MULTILINE | re.DOTALL)


def clock_record(text, top):
    """C++ name of the model's record of the clock's level at the last evaluation, by its `model_text`, or None.

    Clearing it makes the next evaluation see a rising edge, so a clock in which nothing else changed needs no
    evaluation of the falling one. None where anything but a rising edge uses that record, or the clock itself.
    """
    clock = rf"(?:{top}__DOT__)?clk"        # a clock that Python sees is copied within the model
    text = re.sub(rf"vlSelfRef\.{top}__DOT__clk = vlSelfRef\.clk;", "", text)
    kept = rf"__Vtrigprevexpr___TOP__{clock}__\d+"
    level, before = rf"\(IData\)\(vlSelfRef\.{clock}\)", rf"\(IData\)\(vlSelfRef\.({kept})\)"
    rising = rf"{level}\s*&\s*\(~\s*{before}\)"
    records = set(re.findall(rising, text))
    rest = re.sub(rf"{rising}|{level}\s*!=\s*{before}|{kept}\s*= vlSelfRef\.{clock};", "", text)
    if len(records) != 1 or re.search(rf"vlSelfRef\.{clock}\b", rest):
        return None
    [record] = records
    return record if not re.search(rf"{record}\)", rest) else None
