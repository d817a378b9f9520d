"""The cocotb lane: the same text as in the native lane, run by cocotb on Verilator and seen at the pins only.

A bench is a module with cocotb tests (`benches/`). It runs in the simulator's process, which never imports torch: what
it needs comes in a JSON file and the `.npz` files that names, and what it found goes out as JSON. The clock is not
Python's: the simulator's main program (`native/simulator.cpp`) drives it once a bench has started it, and passes over
the clocks in which nobody was called and nothing but timers would move.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import sys
import xml.etree.ElementTree

import cocotb_tools.config
from cocotb_tools import runner
from rmdlora.gen.files import configuration_tables

from . import members
from .verilate import LINT_FLAGS, MAKE_FLAGS, cached_build, last_lines, run_step, runtime_objects

__all__ = ["BenchFailure", "describe_configuration", "run_bench"]

PROGRAM = pathlib.Path(__file__).parent / "native" / "simulator.cpp"
# a port in the text of a module
PORT = re.compile(r"^\s*(input|output)\s+(?:wire |reg |logic )?(?:\[[^\]]*\]\s*)?(\w+)\s*[,;)\n]", re.MULTILINE)
BUILD_FLAGS = ("-O3", "--no-timing", "--timescale", "1ns/1ns", *LINT_FLAGS, "-CFLAGS", "-I..")


class BenchFailure(AssertionError):
    """A bench found a difference, or did not end well; the text is what it said."""


def build_bench(design, waves=False):
    """Folder with the simulator of ``design`` (a `verilate.Design` with a port ``clk``), built unless the cache has it.
    """
    program = {path.name: path.read_text(encoding="utf-8") for path in (PROGRAM, PROGRAM.with_name("leap.h"))}
    recipe = [pathlib.Path(path).read_text(encoding="utf-8") for path in (__file__, members.__file__)]
    libraries = cocotb_tools.config.libs_dir
    identity = ("cocotb", design, waves, program, recipe, str(libraries), BUILD_FLAGS, MAKE_FLAGS, sys.executable)

    def build(folder):
        names = design.write(folder)
        (folder / "visible.vlt").write_text(visible_ports(design), encoding="utf-8")
        for name, text in program.items():
            (folder / name).write_text(text, encoding="utf-8")
        log = folder / "build.log"
        compiled = [f"../{name}" for name in (*names, PROGRAM.name) if name.endswith((".cpp", ".cc"))]
        sources = ["visible.vlt", *(name for name in names if name.endswith((".v", ".sv")))]
        flags = ("--vpi", *BUILD_FLAGS, *(["--trace"] if waves else []))
        run_step(["verilator", "--cc", "--exe", "-Mdir", "obj", "--top-module", design.top, *flags, "-LDFLAGS",
                  f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator", *sources, *compiled], folder, log)
        members.describe_model(folder, design.top, waves, design.timers, design.rests)
        for path in runtime_objects(flags):
            shutil.copy(path, folder / "obj")
        run_step(["make", "-s", "-j", str(os.cpu_count()), "-C", "obj", "-f", f"V{design.top}.mk", *MAKE_FLAGS],
                 folder, log)
        (folder / "obj" / f"V{design.top}").rename(folder / "simulator")
        shutil.rmtree(folder / "obj")

    return cached_build(f"{design.top}-cocotb", identity, build)


def visible_ports(design):
    """What lets a bench drive the inputs of ``design`` and see all of its ports, in Verilator's words.

    All else stays free for Verilator to optimise; so do outputs nobody may drive.
    """
    text = next(text for name, text in design.verilog if name.endswith((".v", ".sv"))
                and re.search(rf"^module {design.top}\b", text, re.MULTILINE))
    body = re.search(rf"^module {design.top}\b.*?^endmodule", text, re.MULTILINE | re.DOTALL)[0]
    lines = [f'public_flat_{"rw" if direction == "input" else "rd"} -module "{design.top}" -var "{name}"'
             for direction, name in PORT.findall(body)]
    return "\n".join(["`verilator_config", *lines, ""])


def run_bench(design, bench, folder, parameters=None, seed=0, waves=False):
    """Run every test of ``bench`` on ``design`` and return what they noted, a dict.

    Parameters: ``bench`` (str, a module's name), ``folder`` (of this run: log, results, waveforms), ``parameters``
    (dict for the bench, JSON), ``seed`` (of everything random). Raises `BenchFailure` with the bench's own words
    where a test fails or none runs, whoever calls.
    """
    built = build_bench(design, waves)
    folder = pathlib.Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "parameters.json").write_text(json.dumps((parameters or {}) | {"seed": seed}), encoding="utf-8")
    noted, log = folder / "noted.json", folder / "simulation.log"
    noted.unlink(missing_ok=True)
    simulator = runner.Verilator()
    simulator._test_command = lambda: [[str(built / "simulator"), *(["--trace"] if waves else [])]]
    results = folder / "results.xml"
    with contextlib.suppress(SystemExit):       # comes under pytest only; the results are read and judged anyway
        simulator.test(test_module=bench, hdl_toplevel=design.top, hdl_toplevel_lang="verilog", build_dir=built,
                       test_dir=folder, results_xml=str(results), seed=seed, log_file=log, waves=waves,
                       extra_env={"RMDLORA_BENCH": str(folder)})
    judge(results, log)
    return json.loads(noted.read_text(encoding="utf-8")) if noted.is_file() else {}


def describe_configuration(configuration):
    """A `Configuration` as a bench's parameter (`benches.bench.configuration_of` turns it back)."""
    return {"name": configuration.name, "tables": configuration_tables(configuration)}


def judge(results, log):
    """Raise `BenchFailure` unless ``results`` (cocotb's XML) lists tests and all of them passed."""
    where = f"(log: {log})"
    if not results.is_file():
        raise BenchFailure(f"the simulation must end with results, not die {where}\n{last_lines(log)}")
    cases = list(xml.etree.ElementTree.parse(results).iter("testcase"))
    for case in cases:
        for trouble in (*case.iter("failure"), *case.iter("error")):
            said = trouble.get("error_msg") or trouble.get("message") or trouble.text or "no words"
            raise BenchFailure(f"{case.get('name')}: {said.strip()} {where}")
    if not any(case.find("skipped") is None for case in cases):
        raise BenchFailure(f"a bench must run at least one test, not none {where}")
