"""The face task on the RTL: an unlearning and a learning anew of which every update is the chip's, and whole faces
through its pins (`cosim.chip`)."""

import functools

import numpy as np
from rmdlora.golden.face.recipe import add_adapter, calibration_images, train_adapter

from ..chip import Chip
from .stages import STAGES

__all__ = ["run_on_chip"]

PINNED = "out"


def run_on_chip(configuration, recipe, seed, mixer, data, images, progress, tuned=False):
    """Program, unlearn, learn anew and read faces on the chip: the `Chip`. ``images`` test pictures go through
    the pins, the first half of them after unlearning, the last of all after learning anew (a few may do so twice).
    ``progress``: a rich Progress. ``tuned``: as of `Chip`."""
    line = progress.add_task("generate and build the Verilog", total=3)
    chip = Chip(configuration, PINNED, seed, tuned)
    progress.update(line, advance=1, description="program cells at the pins")
    network = chip.program(mixer, calibration_images(data, seed))
    progress.update(line, advance=1)
    places, half = np.arange(len(data.test[1])), images // 2
    for stage, words, chosen in (("unlearn", "unlearn", places[:half]), ("continual", "learn anew", places[-half:])):
        line = progress.add_task(f"{words}, every update the chip's", total=getattr(recipe, f"{stage}_steps"))
        network = chip.networks[stage] = add_adapter(network, mixer, data, recipe, stage, seed)
        chip.count(stage, chip.train, network, functools.partial(
            train_adapter, network, data, recipe, stage, seed=seed, report=functools.partial(progress.advance, line)))
        line = progress.add_task("whole faces through the pins", total=len(chosen))
        chip.logits[stage] = chip.count(f"faces_{stage}", chip.infer, network, data.test[0][chosen],
                                        STAGES[stage], functools.partial(progress.advance, line))
        chip.identity[stage] = data.test[1][chosen].numpy()
    chip.judge()
    return chip
