"""`rmdlora run` (contract, section 7): a vector file through the oracle, through the simulated Verilog, or both."""

import contextlib
import os
import pathlib
import re

from rich.console import Console
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.golden.vectors import load_vectors, need_writable, save_arrays

from .compare import Outcome, compare
from .mutation import break_adder

__all__ = ["run_file", "run_golden"]

AGREED, DIFFERS = 0, 1


def run_file(arguments):
    """Carry out the command's ``arguments`` (see `cli`), all checked before anything runs; gives the exit status."""
    configuration = load_configuration(arguments.config)
    rtl = arguments.compare or arguments.backend == "rtl"
    for option, given in (("--verilog", arguments.verilog), ("--break", arguments.broken_line),
                          ("--waves", arguments.waves)):
        if given is not None and not rtl:
            raise RefusedValue(f"{option} must come with --compare or --backend rtl, since golden runs no Verilog")
    if arguments.out is not None:
        out = need_writable(arguments.out)
        if out.exists() and pathlib.Path(arguments.vectors).exists() and os.path.samefile(out, arguments.vectors):
            raise RefusedValue(f"--out must be another file than the vectors, not {arguments.out}")
    vectors = load_vectors(arguments.vectors, configuration)
    text = None if arguments.verilog is None else read_verilog(arguments.verilog)
    if arguments.broken_line is not None:
        with said("generating Verilog"):
            from .generated import verilog_text

            text = break_adder(verilog_text(configuration), arguments.broken_line)

    outcomes = {}
    if arguments.compare or arguments.backend == "golden":
        outcomes["golden"] = run_golden(vectors, configuration)
    if rtl:
        from rmdlora.gen.driver import OperationFault

        from .rtl import native_lane, run_rtl
        from .transport import LaneFailure
        from .verilate import BuildFailure

        with said("building the simulation (once for a configuration)"):
            try:
                lane = native_lane(configuration, text, arguments.waves)
            except BuildFailure as failure:
                if arguments.verilog is None:
                    raise
                reason = next((line for line in str(failure).splitlines() if line.startswith("%Error")), failure)
                raise RefusedValue(f"--verilog must be Verilog that can be built: {reason}") from None
        try:
            with said("simulating"), contextlib.closing(lane):
                outcomes["rtl"] = run_rtl(vectors, configuration, lane)
        except (LaneFailure, OperationFault) as failure:
            print(f"differs: the rtl did not get to its end: {' '.join(str(failure).split())}")
            return DIFFERS
    shown = outcomes[arguments.backend]
    if arguments.out is not None:
        save_arrays(arguments.out, shown.arrays)
    describe(arguments.backend, vectors, shown.arrays)
    if not arguments.compare:
        return AGREED
    differences = compare(outcomes["golden"], outcomes["rtl"])
    for place, difference in enumerate(differences):
        print(f"{'also' if place else 'differs'}: {difference}")
    if not differences:
        count = sum(array.size for array in outcomes["rtl"].arrays.values())
        print(f"agreed: golden and rtl, {count:,} numbers in {', '.join(outcomes['rtl'].arrays)}")
    return DIFFERS if differences else AGREED


def run_golden(vectors, configuration):
    """The oracle's `Outcome`."""
    from rmdlora.golden import lora  # torch: not before the file has passed

    return Outcome(lora.run(vectors, configuration))


def read_verilog(path):
    """The text of a Verilog file to be simulated instead of the generated one."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise RefusedValue(f"--verilog must be a text file that can be read: {problem}") from None
    if not re.search(r"^\s*module\s+rmdlora\b", text, re.MULTILINE):
        raise RefusedValue(f"--verilog must hold module rmdlora, and {path} does not")
    return text


def describe(backend, vectors, arrays):
    """Print sizes, cycles, and the share of the multipliers' clocks that made a product of the layer."""
    n, k, d, r = vectors.sizes
    multipliers = int(arrays["multipliers"])
    print(f"{backend}: {n} vectors, {k} inputs, {d} outputs, rank {r}; {multipliers} multipliers")
    products = n * r * (d + k)
    cycles = {key: int(arrays[f"cycles_{key}"]) for key in ("forward", "backward", "update")}
    rows = [("forward", cycles["forward"], products)]
    if vectors.trains:
        rows.append(("backward + update", cycles["backward"] + cycles["update"], 2 * products))
    for name, count, made in rows:
        offered = multipliers * count
        share = f"  {made / offered:6.1%} of the multipliers' cycles used" if offered > 0 else ""
        print(f"  {name:18} {count:12,} cycles  {made:14,} products{share}")


@contextlib.contextmanager
def said(what):
    """Say ``what`` on a terminal while it lasts."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        yield
