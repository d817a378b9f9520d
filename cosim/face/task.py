"""`rmdlora tasks face`: learn, unlearn and learn anew, over the seeds, and on the chip."""

import dataclasses
import functools

from rmdlora.golden.data import load_pictures
from rmdlora.golden.face.recipe import FORGET, LEARNED, NEW, RANKS, Recipe, learn_weights, prepare_faces
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.presets import PRESETS, Preset
from rmdlora.golden.spec.refusal import need_integer

from .chip import run_on_chip
from .stages import judge, run_hybrid, run_reprogrammed, wanted_share
from .summary import gather

__all__ = ["ABOUT", "BACKENDS", "add_arguments", "run"]

PEOPLE = LEARNED + 1
ABOUT = f"""\
The face task of arXiv 2601.10037 on the modelled array: an MLP-Mixer learns {LEARNED} people and is programmed into the
array once; an adapter of rank {RANKS["unlearn"]} makes it forget person {FORGET}, a second one of rank
{RANKS["continual"]} learns person {NEW} beside it. Beside it stands full reprogramming: all weights retrained, every
cell programmed again. Pictures are split before they are augmented; nothing is chosen on a test picture."""
BACKENDS = ("golden", "rtl")
PINNED_IMAGES = 16
SWEEP_US = (2.0, 4.0, 6.0, 10.0)        # standard deviations of programming


def add_arguments(parser):
    """What only this task takes."""
    parser.add_argument("--config", default="face", metavar="CONFIG", help="a TOML file or a name (default: face)")
    parser.add_argument("--device", choices=sorted(PRESETS), default="taox",
                        help="preset of the resistive memory (default: taox)")
    parser.add_argument("--people", type=int, default=0, metavar="P",
                        help="first of the six people (default: 0, the task; 6 and 12 are those the recipe was set on)")
    parser.add_argument("--sweep", type=int, default=2, metavar="N",
                        help="seeds 0 .. N-1 at other noises as well (default: 2; with --quick: none)")


def run(options, progress):
    """Run the task of parsed ``options``; its `Outcome`."""
    need_integer("--people", options.people, 0, 39)
    configuration = load_configuration(options.config)
    recipe, seeds = (Recipe().shortened(), 1) if options.quick else (Recipe(), options.seeds)
    pictures = load_pictures(PEOPLE, first=options.people)
    for reason in pictures.passed_over:
        progress.console.print(f"data: passed over: {reason}", highlight=False, soft_wrap=True)
    progress.console.print(f"data: {pictures.source}", highlight=False, soft_wrap=True)
    need_integer("--sweep", options.sweep, 0, 1000)
    swept = SWEEP_US if options.sweep and not options.quick else ()
    pair = 2 * (recipe.unlearn_steps + recipe.continual_steps)
    steps = seeds * (recipe.learn_steps + pair * 3 // 2) + min(seeds, options.sweep) * len(swept) * pair
    line = progress.add_task("learn, unlearn, learn anew", total=steps)
    kinds, sweep = {"hybrid": [], "optimiser": [], "reprogrammed": []}, {sigma: ([], []) for sigma in swept}
    for seed in range(seeds):
        def report(what, seed=seed):
            progress.update(line, advance=1, description=f"seed {seed}: {what}")

        device = dataclasses.replace(configuration.device, preset=options.device, seed=seed)
        seeded = dataclasses.replace(configuration, device=device)
        data = prepare_faces(recipe, seed, pictures=pictures)
        mixer = learn_weights(data, recipe, seed, functools.partial(report, "learn"))
        for kind, hardware in (("hybrid", True), ("optimiser", False)):
            kinds[kind].append(run_hybrid(seeded, recipe, seed, mixer, data, hardware=hardware, report=report))
        kinds["reprogrammed"].append(run_reprogrammed(seeded, recipe, seed, mixer, data, report=report))
        for kind, runs in kinds.items():        # a long run should say early how it goes
            shares = judge(runs[-1].logits, runs[-1].identity)
            text = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
            progress.console.print(f"seed {seed}, {kind}: {text}", highlight=False, soft_wrap=True)
        for sigma, found in sweep.items() if seed < options.sweep else ():
            preset = Preset(program_us=sigma, cycles=1)
            for shares, work in zip(found, (run_hybrid, run_reprogrammed), strict=True):
                swept_run = work(seeded, recipe, seed, mixer, data, preset=preset, report=report)
                shares.append(wanted_share(swept_run.logits["continual"], swept_run.identity))
    chip = None
    if options.backend == "rtl":        # of seed 0
        first, short, images = kinds["hybrid"][0], recipe.on_chip(), PINNED_IMAGES
        if options.quick:
            short, images = dataclasses.replace(short, adapter_batch=16, unlearn_steps=6, continual_steps=2), 2
        chip = run_on_chip(first.machine.configuration, short, 0, first.mixers["learn"], first.data, images, progress)
    return gather(kinds, sweep, recipe, options, chip)
