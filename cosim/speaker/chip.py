"""Whole utterances through the RTL: the trained speaker network on the simulated chip and its board.

Cells are programmed as `cosim.chip` does, a few of the readout's by the chip itself, through its pins. Then every
window's two layers, and the readout, go through the pins with both adapters summed; every output code is compared with
the oracle's.
"""

import dataclasses

from rmdlora.golden.speaker.recipe import STAGES, calibration_clips

from ..chip import Chip

__all__ = ["hear_on_chip"]

PINNED = "fc2"


def hear_on_chip(run, counts, progress):
    """The `Chip` that heard ``counts`` (n, windows, channels) with the adapters that `stages.run_seed`'s ``run`` ended
    with. ``progress``: a rich Progress."""
    line = progress.add_task("generate and build the Verilog", total=2 + len(counts))
    chip = Chip(run.machine.configuration, PINNED)
    progress.update(line, advance=1, description="program cells at the pins")
    network = chip.program(run.network, calibration_clips(run.data, 0))
    progress.update(line, advance=1, description="whole utterances through the pins")
    for name, trained in run.networks["continual"].layers.items():
        layer = network.layers[name]
        network.layers[name] = dataclasses.replace(
            trained, conductances=layer.conductances, gain=layer.gain, offset=layer.offset, w_shift=layer.w_shift)
    chip.load(network)
    slots, _ = STAGES["continual"]
    chip.logits["continual"] = chip.count("utterances", chip.infer, network, counts, slots,
                                          lambda: progress.advance(line))
    chip.judge()
    return chip
