"""Random vector files, golden against RTL: ``python -m rmdlora.cosim.soak --files 200 --seed 1``.

File ``i`` of a run is a function of the seed and of ``i`` alone: ``--first i --files 1`` is that file again. The first
that differs is kept, so that `rmdlora run FILE --compare` shows it. Exit statuses as `rmdlora`'s.
"""

import argparse
import pathlib
import sys

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rmdlora.golden import stimulus
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import Refusal
from rmdlora.golden.vectors import check_vectors, save_arrays

from .compare import compare
from .run import run_golden

__all__ = ["soak"]


def soak(configuration, files, seed, first=0, outputs=600, lane=None, report=None):
    """``(index, arrays, differences)`` of the first random file on which golden and rtl differ; None where all agree.

    ``lane``: the native lane to use (default: one is built). ``outputs``: largest d and k. ``report(index, numbers)``
    is called after each file with how many numbers were compared.
    """
    from .rtl import native_lane, run_rtl

    lane = lane or native_lane(configuration)
    for index in range(first, first + files):
        arrays = stimulus.random_arrays(np.random.default_rng((seed, index)), configuration, outputs, outputs)
        vectors = check_vectors(arrays, configuration)
        rtl = run_rtl(vectors, configuration, lane)
        differences = compare(run_golden(vectors, configuration), rtl)
        if differences:
            return index, arrays, differences
        if report:
            report(index, sum(array.size for array in rtl.arrays.values()))
    return None


def main(arguments=None):
    """Run from the command line; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rmdlora.cosim.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default="default", help="a TOML file or a name (default: %(default)s)")
    parser.add_argument("--files", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the run (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="index of the first file (default: %(default)s)")
    parser.add_argument("--largest", type=int, default=600, help="largest k and d (default: %(default)s)")
    given = parser.parse_args(arguments)
    compared = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())
    try:
        configuration = load_configuration(given.config)
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(f"golden against rtl, {configuration.name}", total=given.files)

            def report(index, numbers):
                nonlocal compared
                compared += numbers
                progress.update(task, completed=index + 1 - given.first)

            found = soak(configuration, given.files, given.seed, given.first, given.largest, report=report)
    except Refusal as refusal:
        print(f"rmdlora: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rmdlora: interrupted", file=sys.stderr)
        return 130
    if found:
        index, arrays, differences = found
        kept = pathlib.Path(f"soak_{configuration.name}_{given.seed}_{index}.npz")
        save_arrays(kept, arrays)
        print(f"differs: file {index} of seed {given.seed}, kept as {kept}: {differences[0]}")
        return 1
    print(f"agreed: {given.files} random files of seed {given.seed} from {given.first} on, configuration "
          f"{configuration.name}, {compared:,} numbers compared")
    return 0


if __name__ == "__main__":
    sys.exit(main())
