"""The demonstration: real faces through every hybrid layer at the pins of the generated Verilog, checked code by code.

`main` trains the face network in float and an adapter that makes it forget a person, programs the frozen weights into a
modelled array, generates the chip of the ``face`` configuration, simulates it with its board, runs pictures through all
layers, and compares every output code, every crossbar sum and every count with the oracle. It prints one table and
writes a report.
"""

import collections
import dataclasses
import pathlib
import time

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rmdlora.gen.driver import Driver, OperationFault
from rmdlora.golden.data import load_pictures
from rmdlora.golden.face import Mixer, learn, prepare_task, unlearn
from rmdlora.golden.hybrid import OracleLayers, map_network
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import RefusedValue, need_integer

from .board import Board, violations
from .cli import Parser
from .demo_page import write_report
from .findings import closing_lines, gather, layer_table
from .generated import verilog_text
from .hybrid import BoardRead, RtlLayers, first_difference, program_board
from .native import NativeLane
from .transport import LaneFailure

__all__ = ["add_arguments", "main", "run_demo"]

AGREED, DIFFERS = 0, 1
LEARNED, FORGET, RANK, SLOT = 5, 2, 6, "unlearn"
EPOCHS = 200
PRESETS = ("ideal", "taox")
ABOUT = """\
Train the face network, program its frozen weights into a modelled array, generate the Verilog of the configuration,
simulate it together with its board, and check every code of real pictures through all layers against the oracle.

examples:
  rmdlora demo                              two pictures, ideal cells; the page is build/demo/report.html
  rmdlora demo --device taox --images 4     the same on cells as measured"""


def add_arguments(parser):
    """Add the demonstration's options to an argparse ``parser``."""
    parser.add_argument("--config", default="face", metavar="CONFIG", help="a TOML file or a name (default: face)")
    parser.add_argument("--device", choices=PRESETS, help="preset of the resistive memory "
                        "(default: the configuration's)")
    parser.add_argument("--images", type=int, default=2, metavar="N",
                        help="test pictures through the pins, the one to forget first (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="of split, training and array (default: 0)")
    parser.add_argument("--out", default="build/demo", metavar="FOLDER", help="where report.html and report.json go "
                        "(default: build/demo)")


def main(arguments=None):
    """Run the demonstration from the words after ``rmdlora demo``; gives 0 where all agrees and 1 where not.

    Raises a refusal for options that cannot be.
    """
    parser = Parser(prog="rmdlora demo", description=ABOUT)
    add_arguments(parser)
    return run_demo(parser.parse_args(arguments))


def run_demo(options):
    """Carry out parsed ``options`` (see `add_arguments`); gives the exit status."""
    configuration = load_configuration(options.config)
    if options.device:
        device = dataclasses.replace(configuration.device, preset=options.device, seed=options.seed)
        configuration = dataclasses.replace(configuration, device=device)
    need_integer("--images", options.images, 1, 1000)
    need_integer("--seed", options.seed, 0, (1 << 32) - 1)
    folder = pathlib.Path(options.out)
    if folder.exists() and not folder.is_dir():
        raise RefusedValue(f"--out must be a folder, not the file {folder}")

    console = Console()
    began = time.monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=12), MofNCompleteColumn(),
               TimeElapsedColumn())
    try:
        with Progress(*columns, console=console) as progress:
            demo = Demonstration(configuration, options.seed, options.images, progress)
            demo.read_pictures()
            demo.train()
            demo.program()
            demo.start_chip()
            demo.run_pictures()
    except (LaneFailure, OperationFault) as failure:
        console.print(f"differs: the RTL did not get to its end: {' '.join(str(failure).split())}", highlight=False,
                      soft_wrap=True)
        return DIFFERS
    findings = gather(demo, time.monotonic() - began)
    page = write_report(findings, folder)
    console.print(layer_table(findings.rows))
    for line in closing_lines(findings):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    return DIFFERS if demo.troubles else AGREED


@dataclasses.dataclass
class Tally:
    """What one layer has amounted to so far, over all pictures and passes."""

    vectors: int = 0
    cycles: int = 0
    lora_cycles: int = 0
    conversions: int = 0
    reads: int = 0
    compared: int = 0
    differing: int = 0


class Demonstration:
    """The demonstration step by step; each method is one, in this order.

    ``troubles`` holds a line for everything that differed from the oracle or broke a rule: empty is success.
    """

    learned, forget, rank = LEARNED, FORGET, RANK

    def __init__(self, configuration, seed, images, progress):
        self.configuration, self.seed, self.images, self.progress = configuration, seed, images, progress
        self.troubles = []
        self.tallies = collections.defaultdict(Tally)
        self.pairs = {"y": [], "c": []}     # (given, wanted) arrays

    def step(self, text, total=None):
        """A line of progress that is done when ``total`` is reached."""
        return self.progress.add_task(text, total=total)

    def finish(self, task):
        """Mark a line of progress as done."""
        self.progress.update(task, total=1, completed=1)

    def read_pictures(self):
        """Read, split and augment the pictures; say where they are from."""
        pictures = load_pictures(LEARNED)
        for reason in pictures.passed_over:
            self.progress.console.print(f"data: passed over: {reason}", highlight=False, soft_wrap=True)
        self.progress.console.print(f"data: {pictures.source}", highlight=False, soft_wrap=True)
        self.task = prepare_task(LEARNED, seed=self.seed, pictures=pictures)

    def train(self):
        """Learn every person, then let the adapter forget one."""
        self.mixer = Mixer(seed=self.seed)
        images = self.task.test[0]
        self.logits = {}
        line = self.step(f"train on {len(self.task.train[0]):,} pictures and variants", EPOCHS)
        learn(self.mixer, self.task, EPOCHS, report=lambda *_: self.progress.advance(line))
        with torch.no_grad():
            self.logits["float", "before"] = self.mixer(images)
        line = self.step(f"unlearn person {FORGET} with an adapter of rank {RANK}")
        epochs = unlearn(self.mixer, self.task, FORGET, SLOT, RANK, seed=self.seed)
        self.progress.update(line, total=epochs, completed=epochs)
        with torch.no_grad():
            self.logits["float", "after"] = self.mixer(images)

    def program(self):
        """Program the frozen weights into the array, calibrate, and judge the integer network by the oracle.

        The board in the simulation, the oracle's and the one that calibration reads are three of the same make: the
        same cells, and the same noise for the same read.
        """
        line = self.step("program the tiles and calibrate")
        self.world, self.twin, self.bench = (Board(self.configuration) for _ in range(3))
        writers = [program_board(board) for board in (self.world, self.twin, self.bench)]

        def program(targets, tile):
            return [write(targets, tile) for write in writers][-1]

        self.network = map_network(self.mixer, self.task.train[0], self.configuration, BoardRead(self.bench),
                                   program)
        judge = OracleLayers(self.configuration, BoardRead(self.bench))
        for when, slots in (("before", ()), ("after", (SLOT,))):
            self.logits["integer", when], _ = self.network.run(self.task.test[0], judge, slots)
        self.finish(line)

    def start_chip(self):
        """Generate and build the chip and its board, bring the board up, load adapters and calibration."""
        line = self.step("generate Verilog")
        text = verilog_text(self.configuration)
        self.verilog_lines = text.count("\n")
        self.finish(line)
        line = self.step(f"build chip and board from {self.verilog_lines:,} lines")
        self.lane = NativeLane(self.configuration, board=True)
        self.finish(line)
        line = self.step("start the board, load adapters and gains")
        self.world.attach(self.lane.library)
        self.driver = Driver(self.lane, self.configuration)
        self.driver.wait_board()
        self.rtl = RtlLayers(self.driver, self.network)
        self.rtl.load()
        self.oracle = OracleLayers(self.configuration, BoardRead(self.twin))
        self.finish(line)

    def run_pictures(self):
        """Run the chosen pictures through the pins, with the adapter and without, and one once more for its sums."""
        self.chosen = choose_pictures(self.task.test[1], self.images)
        images = self.task.test[0][self.chosen]
        self.given = {"before": {}, "after": {}}
        passes = [(index, when) for when in ("after", "before") for index in range(len(images))]
        line = self.step("simulate at the pins, compare with the oracle",
                         (len(passes) + 1) * len(self.network.layers))
        self.driver.clear_counters()
        clocks, began = self.lane.cycles, time.monotonic()
        running = self.lane.running_clocks
        for index, when in passes:
            slots = (SLOT,) if when == "after" else ()
            logits, runs = self.network.run(images[index:index + 1], self.compare, slots,
                                            lambda run: self.progress.advance(line))
            self.given[when][index] = int(logits.argmax())
            if (index, when) == passes[0]:
                for run in runs:
                    self.compare_sums(run)
                    self.progress.advance(line)
        self.running = self.lane.running_clocks - running
        self.seconds, self.clocks = time.monotonic() - began, self.lane.cycles - clocks
        self.counters = self.driver.counters()
        self.check_counts()

    def compare(self, layer, x, active):
        """One layer on the RTL and on the oracle, for the same activations; the network goes on with the RTL's codes.

        So equal outputs of every layer are equal networks.
        """
        run, wanted = self.rtl(layer, x, active), self.oracle(layer, x, active)
        self.count(run, wanted.y, "y")
        self.tallies[layer.name].lora_cycles += wanted.cycles
        return run

    def compare_sums(self, run):
        """The crossbar sums of a layer, read once more through the chip with gain 1 and no adapter."""
        layer = run.layer
        sums = self.rtl.sums(layer, run.x)
        wanted = self.oracle.read(layer.conductances, run.x, layer.outputs, layer.tile)
        high = (1 << self.configuration.formats.output - 1) - 1
        self.count(sums, np.clip(wanted, -high - 1, high), "c")
        self.tallies[layer.name].lora_cycles += self.configuration.pipeline.forward(
            len(run.x), layer.inputs, layer.outputs, layer.rank)

    def count(self, run, wanted, what):
        """Add a run to its layer's tally, and say what differs."""
        layer, tally = run.layer, self.tallies[run.layer.name]
        differing, first = first_difference(f"{what} of {layer.name}", run.y, wanted, run.seen["clocks"])
        if first:
            self.troubles.append(first)
        self.pairs[what].append((run.y.ravel(), wanted.ravel()))
        tally.vectors += len(run.x)
        tally.cycles += run.cycles
        tally.conversions += run.seen["conversions"]
        tally.reads += run.seen["tile_reads"]
        tally.compared += run.y.size
        tally.differing += differing
        expected = len(run.x) * layer.tiles
        if run.seen["tile_reads"] != expected:
            self.troubles.append(f"the chip counts {run.seen['tile_reads']} tile reads of {layer.name}, not {expected}")

    def check_counts(self):
        """What the chip counted must be what was seen at its pins, and no part of the board may have complained."""
        if self.counters["forward"] != self.running:
            self.troubles.append(f"the chip counts {self.counters['forward']} cycles, its pin was high "
                                 f"for {self.running}")
        if self.counters["pulses"]:
            self.troubles.append(f"the chip made {self.counters['pulses']} programming pulses, not 0")
        count, texts = violations(self.lane.library)
        if count:
            self.troubles.append(f"{count} data-sheet rules of the board were broken, the first: {texts[0]}")


def choose_pictures(identity, count):
    """Indices of ``count`` test pictures: person `FORGET` first, then one of each in turn."""
    people = [FORGET, *(person for person in range(LEARNED) if person != FORGET)]
    queues = [torch.nonzero(identity == person).flatten().tolist() for person in people]
    order = [queue[turn] for turn in range(max(map(len, queues))) for queue in queues if turn < len(queue)]
    return order[:count]


if __name__ == "__main__":
    import sys

    from .cli import main as command

    sys.exit(command(["demo", *sys.argv[1:]]))
