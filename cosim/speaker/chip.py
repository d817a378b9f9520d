"""Whole utterances through the RTL: the trained speaker network on the simulated chip and its board.

Cells are programmed as `cosim.chip` does, a few of the readout's by the chip itself, through its pins. Then every
window's two layers, and the readout, go through the pins with both adapters summed; every output code is compared with
the oracle's.
"""

from rmdlora.golden.speaker.recipe import STAGES, calibration_clips

from ..chip import Chip
from .stages import move_adapters

__all__ = ["hear_on_chip"]

PINNED = "fc2"


def hear_on_chip(run, counts, progress, tuned=False):
    """The `Chip` that heard ``counts`` (n, windows, channels) with the adapters that `stages.run_seed`'s ``run`` ended
    with. ``progress``: a rich Progress. ``tuned``: as of `Chip`."""
    line = progress.add_task("generate and build the Verilog", total=2 + len(counts))
    chip = Chip(run.machine.configuration, PINNED, tuned=tuned)
    progress.update(line, advance=1, description="program cells at the pins")
    network = move_adapters(run.networks["continual"], chip.program(run.network, calibration_clips(run.data, 0)))
    progress.update(line, advance=1, description="whole utterances through the pins")
    chip.load(network)
    slots, _ = STAGES["continual"]
    chip.logits["continual"] = chip.count("utterances", chip.infer, network, counts, slots,
                                          lambda: progress.advance(line))
    chip.judge()
    return chip
