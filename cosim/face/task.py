"""`rmdlora tasks face`: learn, unlearn and learn anew, over the seeds, and on the chip."""

import dataclasses
import functools

from rmdlora.golden.data import load_pictures
from rmdlora.golden.face.recipe import FOLDS, FORGET, LEARNED, NEW, Recipe, learn_weights, prepare_faces
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.presets import PRESETS, Preset
from rmdlora.golden.spec.refusal import need_integer

from .chip import run_on_chip
from .stages import KNOWN, STAGES, judge, run_hybrid, run_reprogrammed, share, share_read
from .summary import gather

__all__ = ["ABOUT", "BACKENDS", "add_arguments", "run"]

PEOPLE = LEARNED + 1
ABOUT = f"""\
The face task of arXiv 2601.10037 on the modelled array: an MLP-Mixer learns {LEARNED} people and is programmed into the
array once; an adapter of rank {Recipe().ranks["unlearn"]} makes it forget person {FORGET}, a second one of rank
{Recipe().ranks["continual"]} on every layer learns person {NEW} beside it. Beside it stands full reprogramming: all
weights retrained, every cell programmed again. All of it is run for each of {FOLDS} folds of the pictures, drawn by the
seed before any is augmented; nothing is chosen on a test picture."""
BACKENDS = ("golden", "rtl")
PINNED_IMAGES = 16
PROGRAM_US = (2.0, 4.0, 6.0, 10.0)              # standard deviations of programming swept
READ = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16)      # of a cell's conductance in a read


def add_arguments(parser):
    """What only this task takes."""
    parser.add_argument("--config", default="face", metavar="CONFIG", help="a TOML file or a name (default: face)")
    parser.add_argument("--device", choices=sorted(PRESETS), default="taox",
                        help="preset of the resistive memory (default: taox)")
    parser.add_argument("--people", type=int, default=0, metavar="P",
                        help="first of the six people (default: 0, the task; the recipe was set on 6 and later)")
    parser.add_argument("--adam", type=int, default=1, metavar="N",
                        help="seeds 0 .. N-1 with adapters trained by Adam as well (default: 1)")
    parser.add_argument("--sweep", type=int, default=1, metavar="N",
                        help="seeds 0 .. N-1 at other noises of programming as well (default: 1; with --quick: none)")


def run(options, progress):
    """Run the task of parsed ``options``; its `Outcome`."""
    need_integer("--people", options.people, 0, 39)
    need_integer("--adam", options.adam, 0, 1000)
    need_integer("--sweep", options.sweep, 0, 1000)
    configuration = load_configuration(options.config)
    recipe, seeds, folds = (Recipe().shortened(), 1, 1) if options.quick else (Recipe(), options.seeds, FOLDS)
    pictures = load_pictures(PEOPLE, first=options.people)
    for reason in pictures.passed_over:
        progress.console.print(f"data: passed over: {reason}", highlight=False, soft_wrap=True)
    progress.console.print(f"data: {pictures.source}", highlight=False, soft_wrap=True)
    swept = PROGRAM_US if options.sweep and not options.quick else ()
    stage = recipe.unlearn_steps + recipe.continual_steps
    steps = folds * (seeds * (recipe.learn_steps + 2 * stage) + min(seeds, options.adam) * stage
                     + 2 * min(seeds, options.sweep) * len(swept) * stage)
    line = progress.add_task("learn, unlearn, learn anew", total=steps)
    kinds, sweep = {"hybrid": [], "optimiser": [], "reprogrammed": []}, {sigma: ([], []) for sigma in swept}
    for seed in range(seeds):
        asked = [kind for kind in kinds if kind != "optimiser" or seed < options.adam]
        runs, noisy = {kind: [] for kind in asked}, {sigma: ([], []) for sigma in swept if seed < options.sweep}
        for fold in range(folds):
            def report(what, seed=seed, fold=fold):
                progress.update(line, advance=1, description=f"seed {seed}, fold {fold}: {what}")

            number = seed * FOLDS + fold        # of the run: a start, an order of batches and an array of its own
            seeded = dataclasses.replace(configuration, device=dataclasses.replace(
                configuration.device, preset=options.device, seed=number))
            data = prepare_faces(recipe, seed, pictures=pictures, fold=fold)
            mixer = learn_weights(data, recipe, number, functools.partial(report, "learn"))
            given = seeded, recipe, number, mixer, data
            for kind in asked:
                runs[kind].append(run_reprogrammed(*given, report=report) if kind == "reprogrammed" else
                                  run_hybrid(*given, hardware=kind == "hybrid", report=report))
            for sigma, found in noisy.items():
                for ours, work in zip(found, (run_hybrid, run_reprogrammed), strict=True):
                    ours.append(work(*given, preset=Preset(program_us=sigma, cycles=1), report=report))
        for kind, ours in runs.items():         # a long run should say early how it goes
            kinds[kind].append(ours)
            text = ", ".join(f"{name} {100 * value:.1f} %" for name, value in judge(ours).items())
            progress.console.print(f"seed {seed}, {kind}: {text}", highlight=False, soft_wrap=True)
        for sigma, found in noisy.items():
            for shares, ours in zip(sweep[sigma], found, strict=True):
                shares.append(share(ours, "continual", KNOWN))
    reading = {read: ([share_read(ours, STAGES["continual"], read) for ours in kinds["hybrid"]],
                      [share_read(ours, (), read) for ours in kinds["reprogrammed"]]) for read in READ}
    chip = None
    if options.backend == "rtl":        # of seed 0
        first, short, images = kinds["hybrid"][0][0], recipe.on_chip(), PINNED_IMAGES
        if options.quick:
            short, images = dataclasses.replace(short, adapter_batch=16, unlearn_steps=6, continual_steps=2), 2
        chip = run_on_chip(first.machine.configuration, short, 0, first.mixers["learn"], first.data, images, progress,
                           options.tuned)
    return gather(kinds, sweep, reading, recipe, options, chip)
