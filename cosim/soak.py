"""Random vector files, golden against RTL: ``python -m rmdlora.cosim.soak --files 200 --seed 1``.

File ``i`` of a run is a function of the seed and of ``i`` alone: ``--first i --files 1`` is that file again. The first
that differs is kept, so that `rmdlora run FILE --compare` shows it. With ``--netlist`` the RTL is the chip as Yosys
makes it of xc7's cells, simulated with Yosys' own models of them. Exit statuses as `rmdlora`'s.
"""

import argparse
import dataclasses
import pathlib
import sys

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rmdlora.golden import stimulus
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.vectors import check_vectors, save_arrays

from .cli import carry_out
from .compare import compare
from .run import run_golden

__all__ = ["counting_progress", "soak"]


def draw(configuration, seed, index, largest=600):
    """``{key: array}`` of file ``index``: the first of a hundred is of ones alone (k = d = r = n = 1), the last trains
    for 1,000 updates.
    """
    random = np.random.default_rng((seed, index))
    if index % 100 == 0:
        return stimulus.random_arrays(random, configuration, 1, 1, 1, 1)
    if index % 100 == 99:
        return stimulus.random_arrays(random, configuration, 40, 40, updates=1000)
    return stimulus.random_arrays(random, configuration, largest, largest)


def soak(configuration, files, seed, first=0, largest=600, lane=None, report=None):
    """``(index, arrays, differences)`` of the first random file on which golden and rtl differ; None where all agree.

    ``lane``: the native lane to use (default: one is built). ``largest``: k and d of most files (see `draw`).
    ``report(vectors, outcome)`` is called after each file with the rtl's outcome.
    """
    from .rtl import native_lane, run_rtl

    lane = lane or native_lane(configuration)
    for index in range(first, first + files):
        arrays = draw(configuration, seed, index, largest)
        vectors = check_vectors(arrays, configuration)
        rtl = run_rtl(vectors, configuration, lane)
        differences = compare(run_golden(vectors, configuration), rtl)
        if differences:
            return index, arrays, differences
        if report:
            report(vectors, rtl)
    return None


class Tally:
    """What the files of a soak have covered."""

    def __init__(self, rows):
        self.rows, self.numbers, self.updates, self.trained, self.ones = rows, 0, 0, 0, 0
        self.remainders = {"k": set(), "d": set()}

    def add(self, vectors, outcome):
        """Count a file that agreed."""
        (n, k), (d, r) = vectors.x.shape, vectors.b.shape
        self.numbers += sum(array.size for array in outcome.arrays.values())
        self.ones += n == k == d == r == 1
        self.remainders["k"].add(k % self.rows)
        self.remainders["d"].add(d % self.rows)
        if vectors.trains:
            updates = -(-n // vectors.batch)
            self.updates, self.trained = self.updates + updates, self.trained + (updates >= 1000)

    def __str__(self):
        remainders = " and ".join(f"{len(seen)} of {self.rows} remainders of {name} by {self.rows}"
                                  for name, seen in self.remainders.items())
        return (f"{self.numbers:,} numbers compared, {self.updates:,} updates, {self.trained} files of 1,000 updates, "
                f"{self.ones} of k = d = r = n = 1, {remainders}")


def builds(configuration, which):
    """The configurations to soak: the one given, or its dual-port and its single-port build."""
    if which == "configured":
        return [configuration]
    return [dataclasses.replace(configuration, name=f"{configuration.name} ({ports} port)",
                                sram=dataclasses.replace(configuration.sram, ports=ports))
            for ports in (("dual", "single") if which == "both" else (which,))]


def netlist_lane(configuration):
    """The native lane of the chip as synthesised."""
    from rmdlora.gen.netlist import cell_models, netlist

    from .rtl import native_lane

    text = netlist(configuration)
    return native_lane(configuration, f"{text}\n{cell_models(text, configuration)}")


def counting_progress():
    """Progress on standard error of work that is counted."""
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                    TimeRemainingColumn(), console=Console(stderr=True))


def main(arguments=None):
    """Run from the command line; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rmdlora.cosim.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default="default", help="a TOML file or a name (default: %(default)s)")
    parser.add_argument("--build", choices=("configured", "dual", "single", "both"), default="configured",
                        help="memories of one port or two, whatever the configuration says (default: %(default)s)")
    parser.add_argument("--files", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the run (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="index of the first file (default: %(default)s)")
    parser.add_argument("--largest", type=int, default=600, help="largest k and d (default: %(default)s)")
    parser.add_argument("--netlist", action="store_true", help="synthesise first (minutes), and simulate the netlist")
    given = parser.parse_args(arguments)
    subject = "netlist" if given.netlist else "rtl"
    for configuration in builds(load_configuration(given.config), given.build):
        tally = Tally(configuration.lora.rows)
        with counting_progress() as progress:
            lane = None
            if given.netlist:
                task = progress.add_task(f"synthesise and build {configuration.name}", total=None)
                lane = netlist_lane(configuration)
                progress.remove_task(task)
            task = progress.add_task(f"golden against {subject}, {configuration.name}", total=given.files)

            def report(vectors, outcome, tally=tally, progress=progress, task=task):
                tally.add(vectors, outcome)
                progress.advance(task)

            found = soak(configuration, given.files, given.seed, given.first, given.largest, lane, report)
        if found:
            index, arrays, differences = found
            kept = pathlib.Path(f"soak_{given.seed}_{index}.npz")
            save_arrays(kept, arrays)
            print(f"differs: file {index} of seed {given.seed}, configuration {configuration.name}, kept as "
                  f"{kept}: {differences[0]}")
            return 1
        print(f"agreed: golden and {subject}, {given.files} random files of seed {given.seed} from {given.first} "
              f"on, configuration {configuration.name}: {tally}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(carry_out(main))
