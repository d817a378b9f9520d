"""The forward in C++, for batches on the CPU: one pass over `c` and `y` instead of one for every tensor operation.

It is compiled when first asked for and kept in the cache folder. Where no compiler is, or it fails, there is none, and
`lora.forward` takes its way through tensors, which gives the same numbers.
"""

import ctypes
import functools
import hashlib
import logging
import os
import pathlib
import shutil
import subprocess

import torch

from .spec.cache import cache_folder

__all__ = ["compile_library", "find_kernel", "run_forward"]

LOG = logging.getLogger("rmdlora.golden")
SOURCE = pathlib.Path(__file__).with_name("forward.cpp")
COMMAND = ("g++", "-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC",
           "-pthread")
LANES = 8       # as in the source
ADDRESSES = ("x", "c", "a", "b", "offset", "gain", "p", "y")


class Forward(ctypes.Structure):
    """As `Forward` in the source."""

    _fields_ = [*((name, ctypes.c_int64) for name in ("inputs", "outputs", "rank", "rank_padded")),
                *((name, ctypes.c_void_p) for name in ADDRESSES),
                *((f"{name}_{end}", kind) for name, kind in (
                    ("x", ctypes.c_int64), ("c", ctypes.c_int64), ("p", ctypes.c_double), ("y", ctypes.c_double))
                  for end in ("low", "high"))]


@functools.cache
def find_kernel():
    """The compiled function, or None where it cannot be had."""
    library = compile_library(SOURCE)
    if library is None:
        return None
    function = library.rmdlora_forward
    function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64), ctypes.c_int
    return function


def compile_library(source):
    """The C++ file ``source`` as a `ctypes.CDLL`, from the cache folder or compiled into it; None where it cannot be
    had."""
    if shutil.which(COMMAND[0]) is None:
        return None
    cpu = pathlib.Path("/proc/cpuinfo")     # a cache may be shared by machines that differ
    flags = next((line for line in cpu.read_text().splitlines() if line.startswith(("flags", "Features"))), "") \
        if cpu.is_file() else ""
    identity = repr((COMMAND, source.read_text(encoding="utf-8"), os.uname().machine, flags))
    folder = cache_folder()
    library = folder / f"{source.stem}_{hashlib.sha256(identity.encode()).hexdigest()[:16]}.so"
    try:
        if not library.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = library.with_suffix(f".{os.getpid()}")
            subprocess.run([*COMMAND, str(source), "-o", str(unfinished)], check=True, capture_output=True)
            os.replace(unfinished, library)
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.CalledProcessError) as problem:
        LOG.info("%s is not to be had: %s", source.name, problem)
        return None


def run_forward(kernel, layer, x, c):
    """``(y, p)`` as of `lora.forward`; None where a code lies outside its format.

    ``layer``: `lora.Layer` whose sums all stay within 53 bits. ``x`` (n, k), ``c`` (n, d) or None: integers, on the
    CPU.
    """
    formats, shifts = layer.formats, layer.shifts
    n, k, d, r = len(x), layer.inputs, layer.outputs, layer.rank
    padded = -(-r // LANES) * LANES
    a, b = torch.zeros(k, padded, dtype=torch.float64), torch.zeros(padded, d, dtype=torch.float64)
    a[:, :r] = (layer.a * layer.active[:, None]).T
    b[:r] = layer.b.T
    arrays = {"x": x.to(torch.int64).contiguous(), "c": None if c is None else c.to(torch.int64).contiguous(),
              "a": a.mul_(2.0 ** -shifts.p), "b": b.mul_(2.0 ** -shifts.u),
              "offset": layer.offset.to(torch.float64), "gain": layer.gain.to(torch.float64).mul_(2.0 ** -shifts.w),
              "p": torch.empty(n, r, dtype=torch.int64), "y": torch.empty(n, d, dtype=torch.int64)}
    ends = [end for bits in (formats.activation, formats.sum, formats.intermediate, formats.output)
            for end in (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)]
    call = Forward(k, d, r, padded, *(None if arrays[name] is None else arrays[name].data_ptr()
                                      for name in ADDRESSES), *ends)
    good = kernel(ctypes.byref(call), n, torch.get_num_threads())
    return (arrays["y"], arrays["p"]) if good else None
