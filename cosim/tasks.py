"""`rmdlora tasks NAME`: a whole task, learned, unlearned and learned anew; a table, a page, and flat JSON.

Every task is a module of its own, with ``ABOUT``, ``BACKENDS`` (names of `HELP`), ``add_arguments(parser)`` for what
only it takes, and ``run(options, progress)``, which gives an `outcome.Outcome`.
"""

import importlib
import json
import pathlib

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rmdlora.gen.files import write_when_changed
from rmdlora.golden.spec.refusal import RefusedValue, need_integer

from .drawing import write_page
from .outcome import as_table

__all__ = ["ABOUT", "TASKS", "add_arguments", "run_tasks"]

AGREED, DIFFERS = 0, 1
SEEDS = 5
ABOUT = """\
Run a task of the published system from end to end: learn on the array, unlearn with an adapter, go on learning with
another, and count what it costs. Prints a table, writes a page and the figures.

examples:
  rmdlora tasks face --quick                one seed, shortened
  rmdlora tasks face --json face.json       five seeds, and the figures as data
  RMDLORA_DATA=~/data rmdlora tasks speaker the clips lie in that folder"""

HELP = {"golden": "all by the oracle", "rtl": "also on the simulated Verilog and its board, compared with the oracle"}

# task: (its module, help)
TASKS = {"face": (".face.task", "an MLP-Mixer learns five faces, forgets one of them, learns a sixth"),
         "speaker": (".speaker.task", "a spiking network learns five voices, forgets one of them, enrols a sixth")}


def add_arguments(command):
    """Tell an argument parser what `rmdlora tasks` takes."""
    tasks = command.add_subparsers(title="tasks", metavar="TASK", dest="task", required=True)
    for name, (module, text) in TASKS.items():
        task = importlib.import_module(module, __package__)
        parser = tasks.add_parser(name, help=text, description=task.ABOUT, epilog=command.epilog,
                                  formatter_class=command.formatter_class, allow_abbrev=False)
        parser.add_argument("--backend", choices=task.BACKENDS, default="golden",
                            help=f"{'; '.join(f'{key}: {HELP[key]}' for key in task.BACKENDS)} (default: golden)")
        parser.add_argument("--tuned", action="store_true", help="with --backend rtl: compile the simulation twice, "
                            "the second time for what it does most; pays where it runs for tens of minutes")
        parser.add_argument("--quick", action="store_true", help="one seed, shortened")
        parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N",
                            help="seeds 0 .. N-1: of split, training and array (default: %(default)s)")
        parser.add_argument("--json", metavar="FILE", help="write the figures as one flat JSON object")
        parser.add_argument("--out", metavar="FOLDER", help=f"where report.html goes (default: build/tasks/{name})")
        task.add_arguments(parser)


def run_tasks(options):
    """Run the task that parsed ``options`` name; progress goes to standard error. Gives the exit status."""
    need_integer("--seeds", options.seeds, 1, 1000)
    folder = pathlib.Path(options.out or pathlib.Path("build", "tasks", options.task))
    if folder.exists() and not folder.is_dir():
        raise RefusedValue(f"--out must be a folder, not the file {folder}")
    if options.json and pathlib.Path(options.json).is_dir():
        raise RefusedValue(f"--json must be a file, not the folder {options.json}")
    task = importlib.import_module(TASKS[options.task][0], __package__)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=12), MofNCompleteColumn(),
               TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        outcome = task.run(options, progress)
    console = Console()
    for grid in outcome.grids:
        console.print(as_table(grid))
    for line in (*outcome.lines, *(f"differs: {trouble}" for trouble in outcome.troubles)):
        console.print(line, highlight=False, soft_wrap=True)
    page = write_page("task.html.j2", folder / "report.html", outcome=outcome)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    if options.json:
        write_when_changed(options.json, json.dumps(outcome.figures, indent=1) + "\n")
    return DIFFERS if outcome.troubles else AGREED
