"""`rmdlora tasks speaker`: learn five speakers, unlearn one, enrol a sixth; and the published network's spikes."""

import dataclasses
import os
import pathlib

import numpy as np
import torch
from rmdlora.golden.data import default_folder
from rmdlora.golden.speaker.network import HIDDEN, load_published
from rmdlora.golden.speaker.recipe import FORGET, LEARNED, NEW, RANK, Recipe
from rmdlora.golden.speaker.spikes import load_clips
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.presets import PRESETS, Preset
from rmdlora.golden.spec.refusal import need_integer

from ..outcome import percent
from .chip import hear_on_chip
from .stages import SIGMAS_US, judge, land, measure_published, run_seed, wanted_share
from .summary import gather

__all__ = ["ABOUT", "BACKENDS", "add_arguments", "run"]

ABOUT = f"""\
The speaker task of arXiv 2601.10037 on the modelled array: a recurrent spiking network, 140 - {HIDDEN} - {LEARNED},
learns {LEARNED} speakers and is programmed into the array once; an adapter of rank {RANK} makes it forget speaker
{FORGET} by label obfuscation, a second one enrols speaker {NEW}; both are summed. Beside it the authors' own network,
on the same clips: how many of its spikes the integers share, and what spread of the cells does to it."""
BACKENDS = ("golden", "rtl")
UTTERANCES = 4              # that go through the pins
PUBLISHED = ("learn", "unlearn", "continual")


def add_arguments(parser):
    """What only this task takes."""
    parser.add_argument("--config", default="speaker", metavar="CONFIG",
                        help="a TOML file or a name (default: speaker)")
    parser.add_argument("--device", choices=sorted(PRESETS), default="taox",
                        help="preset of the resistive memory (default: taox)")
    parser.add_argument("--sweep", type=int, default=1, metavar="N",
                        help="seeds 0 .. N-1 trained at other noises as well (default: 1; with --quick: none)")


def run(options, progress):
    """Run the task of parsed ``options``; its `Outcome`."""
    configuration = load_configuration(options.config)
    recipe, seeds = (Recipe().shortened(), 1) if options.quick else (Recipe(), options.seeds)
    line = progress.add_task("encode clips", total=None)
    clips = load_clips()
    progress.console.print(f"data: {clips.source}", highlight=False, soft_wrap=True)
    progress.remove_task(line)
    need_integer("--sweep", options.sweep, 0, 1000)
    swept = [sigma for sigma in SIGMAS_US if sigma] if options.sweep and not options.quick else []
    pair = recipe.unlearn_steps + recipe.continual_steps
    steps = seeds * (recipe.learn_steps + 2 * pair) + min(seeds, options.sweep) * len(swept) * pair
    line = progress.add_task("learn, unlearn, enrol", total=steps)
    kinds, moved, taught = {"hybrid": [], "optimiser": []}, {}, {}
    for seed in range(seeds):
        def report(what, seed=seed):
            progress.update(line, advance=1, description=f"seed {seed}: {what}")

        device = dataclasses.replace(configuration.device, preset=options.device, seed=seed)
        seeded = dataclasses.replace(configuration, device=device)
        learned = None
        for kind, hardware in (("hybrid", True), ("optimiser", False)):
            run = run_seed(seeded, recipe, seed, clips, hardware, report, learned)
            kinds[kind].append(run)
            learned = run.network
            text = ", ".join(f"{name} {percent(share)}" for name, share in judge(run.outputs, run.speaker).items())
            progress.console.print(f"seed {seed}, {kind}: {text}", highlight=False, soft_wrap=True)
        hybrid = kinds["hybrid"][-1]
        for sigma in (0, 5) if options.quick else SIGMAS_US:
            outputs = land(hybrid, seeded, sigma, seed)["continual"]
            moved.setdefault(sigma, []).append(wanted_share(outputs, hybrid.speaker))
        for sigma in swept if seed < options.sweep else ():
            preset = Preset(program_us=float(sigma), cycles=1)
            run = run_seed(seeded, recipe, seed, clips, report=report, network=learned, preset=preset)
            taught.setdefault(sigma, []).append(wanted_share(run.outputs["continual"], run.speaker))
    agreements, missing = compare_published(configuration, clips, options.quick, progress)
    chip = None
    if options.backend == "rtl":        # of seed 0
        first = kinds["hybrid"][0]
        counts = first.data.test[0][:: len(first.data.test[0]) // UTTERANCES][:UTTERANCES]
        chip = hear_on_chip(first, counts[:1, :2] if options.quick else counts, progress, options.tuned)
    return gather(kinds, moved, taught, agreements, missing, recipe, options, clips, chip)


def compare_published(configuration, clips, quick, progress):
    """``(agreements, lines about what is missing)`` of the published networks that RMDLORA_DATA has."""
    folder = pathlib.Path(os.environ.get("RMDLORA_DATA") or default_folder())
    device = dataclasses.replace(configuration.device, preset="ideal")
    draw = np.random.default_rng(0).permutation(len(clips.counts))[:100 if quick else 260]
    found, missing = [], []
    line = progress.add_task("the published network", total=len(PUBLISHED))
    for name in PUBLISHED:
        path = folder / f"speaker_{name}.npz"
        if path.is_file():
            found += measure_published(name, load_published(path), dataclasses.replace(configuration, device=device),
                                       torch.from_numpy(clips.counts[draw]), sigmas=(0, 5) if quick else SIGMAS_US)
        else:
            missing.append(f"not compared: no {path.name} in {folder} (weights of github MrLinNing/RMAdaptiveMachine)")
        progress.advance(line)
    return found, missing
