"""A Verilog design as a library: built with Verilator, loaded by PyVerilator, with the native lane's harness inside.

PyVerilator loads the model and knows its ports; `native/harness.cpp`, compiled in, holds everything that happens every
clock. What drives both from Python is `native.NativeLane`.
"""

import ctypes
import importlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import types

from . import members
from .verilate import LINT_FLAGS, MAKE_FLAGS, cached_build, run_step, runtime_objects

__all__ = ["NativeModel", "build_native"]

NATIVE = pathlib.Path(__file__).parent / "native"
# several models share a process: none may hand its functions or its inline variables to another
COMPILE_FLAGS = "-fPIC -std=gnu++17 -DVL_USER_FINISH -fno-gnu-unique -fno-semantic-interposition -I.."
BUILD_FLAGS = ("-O3", "--no-timing", "--timescale", "1ns/1ns", *LINT_FLAGS, "-CFLAGS", COMPILE_FLAGS)
LINK_FLAGS = "-fPIC -shared -Wl,-Bsymbolic"
# compiled once to count how often each branch is taken, and once more for what is taken: what never is, most of a chip
# in any one clock, then lies apart, where it does not pass through the processor's caches
COUNTING, COUNTED = "-O2 -fprofile-generate -fprofile-update=single", "-O2 -fprofile-use -Werror=missing-profile"


def load_pyverilator():
    """The `pyverilator` package. Its import of tclwrapper, for a waveform viewer, fails from Python 3.11 on."""
    sys.modules.setdefault("tclwrapper", types.ModuleType("tclwrapper"))
    return importlib.import_module("pyverilator")


pyverilator = load_pyverilator()


class NativeModel(pyverilator.PyVerilator):
    """A Verilator model as a library: PyVerilator, for Verilator 5, with its ports' memory at hand.

    Members beside PyVerilator's own (`io`, `eval`, ...): ``ports``, a dict from Verilog name to `(direction, bits)`;
    ``lib``, the library, in which every ``extern "C"`` function of the design's C++ sources is found too.
    """

    @classmethod
    def build(cls, design, waves=False):
        """The model of ``design`` (a `verilate.Design`), built unless the cache has it; ``waves``: able to trace."""
        return cls(build_native(design, waves))

    def __init__(self, folder):
        # a copy of its own, so that two models in one process share no state, not even a board's
        with tempfile.TemporaryDirectory(prefix="rmdlora-") as private:
            library = shutil.copy(folder / "model.so", private)
            super().__init__(library, auto_eval=False)
        self.eval()
        self.ports = {standard_name(name): (direction, bits) for direction, names in
                      (("in", self.inputs), ("out", self.outputs)) for name, bits in names}
        self.lib.rmd_port.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self.lib.rmd_port.restype = ctypes.c_void_p

    def address(self, port):
        """Address of the memory of ``port`` (its Verilog name): its bits, little-endian, in 1, 2, 4 or 4 n bytes."""
        return self.lib.rmd_port(self.model, port.encode())


def standard_name(name):
    """The Verilog name of a port from Verilator's name of it in C++."""
    return pyverilator.pyverilator.verilator_name_to_standard_modular_name(name)[-1]


def build_native(design, waves):
    """Folder with the library `model.so` of ``design``, tuned where it has an exercise."""
    harness = {name: (NATIVE / name).read_text(encoding="utf-8") for name in ("harness.cpp", "leap.h")}
    # flags, wrapper and description are part of what is built
    recipe = [pathlib.Path(path).read_text(encoding="utf-8") for path in (__file__, members.__file__)]
    identity = ("native", design, waves, harness, recipe, BUILD_FLAGS, MAKE_FLAGS, COUNTING, COUNTED)

    def build(folder):
        names = design.write(folder)
        for name, text in harness.items():
            (folder / name).write_text(text, encoding="utf-8")
        log = folder / "build.log"
        compiled = [f"../{name}" for name in (*(n for n in names if n.endswith((".cpp", ".cc"))),
                                              "harness.cpp", "wrapper.cpp")]
        flags = (*BUILD_FLAGS, *(["--trace"] if waves else []))
        run_step(["verilator", "--cc", "--exe", "-Mdir", "obj", "--top-module", design.top, *flags,
                  *(n for n in names if n.endswith((".v", ".sv"))), *compiled], folder, log)
        members.describe_model(folder, design.top, waves, design.timers, design.rests)
        write_glue(folder, design.top, waves)
        for path in runtime_objects(flags):
            shutil.copy(path, folder / "obj")
        if design.exercise:
            compile_model(folder, design.top, log, f"{LINK_FLAGS} -fprofile-generate", f"OPT_FAST={COUNTING}")
            run_step(design.exercise, folder, log)
            for counts in (folder / "obj").glob("*.gcda"):
                counts.with_suffix(".o").unlink()
            compile_model(folder, design.top, log, LINK_FLAGS, f"OPT_FAST={COUNTED}")
        else:
            compile_model(folder, design.top, log, LINK_FLAGS)
        shutil.rmtree(folder / "obj")

    return cached_build(f"{design.top}-native", identity, build)


def compile_model(folder, top, log, link_flags, *flags):
    """Compile what is verilated in ``folder`` into `model.so`, with ``flags`` of make beside the usual ones."""
    run_step(["make", "-s", "-j", str(os.cpu_count()), "-C", "obj", "-f", f"V{top}.mk", f"LDFLAGS={link_flags}",
              *MAKE_FLAGS, *flags], folder, log)
    (folder / "obj" / f"V{top}").rename(folder / "model.so")


def write_glue(folder, top, waves):
    """Write the C++ between the model Verilator wrote, PyVerilator and the harness, `wrapper.cpp`."""
    # named as PyVerilator 0.7.0 would, were its pattern of Verilator's ports that of Verilator 5
    ports = members.model_ports(folder, top)
    inputs, outputs = ([(name, bits) for direction, name, bits in ports if direction == wanted]
                       for wanted in ("in", "out"))
    code = pyverilator.verilatorcpp.template_cpp(top, inputs, outputs, [], json.dumps("null"))
    if not waves:       # PyVerilator's own trace functions would not link
        code = code.replace('#include "verilated_vcd_c.h"', "struct VerilatedVcdC { void open(const char*) {} "
                            "void dump(int) {} void flush() {} void close() {} };")
        code = code.replace("top->trace(tfp, 99);", "")
    lookup = [f'    if (!strcmp(name, "{standard_name(name)}")) return &top->{name};' for name, _ in inputs + outputs]
    code += "\n".join(["\n#include <cstring>", f'extern "C" void* rmd_port(V{top}* top, const char* name) {{',
                       *lookup, "    return nullptr;", "}", ""])
    (folder / "wrapper.cpp").write_text(code, encoding="utf-8")
