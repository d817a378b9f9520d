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
from rmdlora.golden.spec.presets import PRESETS

from ..outcome import Grid, Outcome, Section, over_seeds, percent, target
from .chip import hear_on_chip
from .stages import SIGMAS_US, judge, measure_published, run_seed

__all__ = ["ABOUT", "BACKENDS", "add_arguments", "run"]

ABOUT = f"""\
The speaker task of arXiv 2601.10037 on the modelled array: a recurrent spiking network, 140 - {HIDDEN} - {LEARNED},
learns {LEARNED} speakers and is programmed into the array once; an adapter of rank {RANK} makes it forget speaker
{FORGET} by label obfuscation, a second one enrols speaker {NEW}; both are summed. Beside it the authors' own network,
on the same clips: how many of its spikes the integers share, and what spread of the cells does to it."""
RULE = (
    "Selection rule: the last 4 of a speaker's 20 takes of each digit are for test, whatever the seed; 3 of the "
    "others, drawn by the seed, for validation. Every length and rate of the recipe was set on validation clips of "
    "seed 0; each training runs its fixed number of updates and its last state is taken. So no epoch, threshold or "
    "seed was chosen on a test clip.")
HEARD = (
    "Spikes are counts of a plain mel filter bank over clips of the Free Spoken Digit Dataset (CC BY-SA 4.0), each "
    "relative to its own peak; the published figures are of Spiking Speech Commands and do not compare.")
BACKENDS = ("golden", "rtl")
UTTERANCES = 4              # that go through the pins
NAMES = {"learned_float": "learned, float twin", "learned": "learned, five speakers",
         "retained_before": "of these, the four to retain",
         "forgotten_after_unlearning": "forgotten, after unlearning",
         "retained_after_unlearning": "retained, after unlearning",
         "forgotten_after_continual": "forgotten, after enrolling",
         "retained_after_continual": "retained, after enrolling", "new": "new speaker"}
RETAINED_WITHIN = 0.02
PUBLISHED = ("learn", "unlearn", "continual")


def add_arguments(parser):
    """What only this task takes."""
    parser.add_argument("--config", default="speaker", metavar="CONFIG",
                        help="a TOML file or a name (default: speaker)")
    parser.add_argument("--device", choices=sorted(PRESETS), default="taox",
                        help="preset of the resistive memory (default: taox)")


def run(options, progress):
    """Run the task of parsed ``options``; its `Outcome`."""
    configuration = load_configuration(options.config)
    recipe, seeds = (Recipe().shortened(), 1) if options.quick else (Recipe(), options.seeds)
    line = progress.add_task("encode clips", total=None)
    clips = load_clips()
    progress.console.print(f"data: {clips.source}", highlight=False, soft_wrap=True)
    progress.remove_task(line)
    steps = recipe.learn_steps + 2 * (recipe.unlearn_steps + recipe.continual_steps)
    line = progress.add_task("learn, unlearn, enrol", total=seeds * steps)
    kinds = {"hybrid": [], "optimiser": []}
    for seed in range(seeds):
        def report(what, seed=seed):
            progress.update(line, advance=1, description=f"seed {seed}: {what}")

        device = dataclasses.replace(configuration.device, preset=options.device, seed=seed)
        seeded = dataclasses.replace(configuration, device=device)
        learned = None
        for kind, hardware in (("hybrid", True), ("optimiser", False)):
            kinds[kind].append(run_seed(seeded, recipe, seed, clips, hardware, report, learned))
            learned = kinds[kind][-1].network
    agreements, missing = compare_published(configuration, clips, options.quick, progress)
    chip = None
    if options.backend == "rtl":        # of seed 0
        first = kinds["hybrid"][0]
        counts = first.data.test[0][:: len(first.data.test[0]) // UTTERANCES][:UTTERANCES]
        chip = hear_on_chip(first, counts[:1, :2] if options.quick else counts, progress)
    return gather(kinds, agreements, missing, options, clips, chip)


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


def gather(kinds, agreements, missing, options, clips, chip=None):
    """The `Outcome` of the runs {kind: one a seed}."""
    shares = {kind: over_seeds([judge(run) for run in runs]) for kind, runs in kinds.items()}
    figures = dict(shares["hybrid"])
    figures |= {f"optimiser_{name}": value for name, value in shares["optimiser"].items()}
    figures |= {"seeds": len(kinds["hybrid"]), "device": options.device, "data_source": clips.source,
                "selection_rule": RULE}
    for found in agreements:
        figures |= {f"published_{found.name}_sigma{found.sigma_us}_spikes": found.spikes,
                    f"published_{found.name}_sigma{found.sigma_us}_answers": found.answers}
    rows = [[NAMES[name], target(name, figures, RETAINED_WITHIN), *(percent(given[name]) for given in shares.values())]
            for name in NAMES]
    grids = [Grid(f"share of test clips whose speaker was named right, mean of {figures['seeds']} seeds",
                  ("", "target", "hardware's update", "Adam"), rows)]
    if agreements:
        grids.append(Grid("the published network in integers against its float twin, by spread of the cells", (
            "network", "spread, uS", "spikes equal", "of them fired", "answers equal"),
            [[found.name, f"{found.sigma_us}", f"{100 * found.spikes:.2f} %", percent(found.fired),
              percent(found.answers)] for found in agreements]))
    troubles = ()
    if chip:
        troubles = tuple(chip.troubles)
        heard = chip.counts["utterances"]
        figures |= {"rm_writes": chip.rm_writes, "rtl_programming_pulses": chip.counts["programming"]["pulses"],
                    "rtl_codes_compared": sum(chip.compared.values()), "rtl_differences": len(troubles),
                    "rtl_clocks": heard["simulated"], "rtl_tile_reads": heard["tile_reads"]}
        missing = [*missing, f"on the RTL: {figures['rtl_codes_compared']:,} codes compared, {len(troubles)} troubles; "
                   f"{heard['tile_reads']:,} tile reads in {heard['simulated']:,} clocks; "
                   f"{chip.counts['programming']['pulses']} pulses in programming, {chip.rm_writes} after it"]
    headlines = tuple((NAMES[name], percent(figures[name])) for name in (
        "learned", "forgotten_after_continual", "retained_after_continual", "new"))
    return Outcome("Voices: learn, forget, enrol", f"Data: {clips.source}. Array: {options.device}.", figures,
                   tuple(grids), (RULE, HEARD, *missing), headlines,
                   (Section("Accuracy", (RULE, HEARD), (grids[0], speaker_grid(kinds["hybrid"], clips))),
                    Section("The published network, and the chip", tuple(missing), tuple(grids[1:]))), troubles)


def speaker_grid(runs, clips):
    """Test accuracy of every speaker after every stage, all seeds together."""
    rows = []
    for speaker, name in enumerate(clips.names):
        role = " (forgotten)" if speaker == FORGET else " (new)" if speaker == NEW else ""
        rows.append([f"{name}{role}", *(percent(float(torch.cat(
            [(run.named[stage] == speaker)[run.speaker == speaker] for run in runs]).double().mean()))
            for stage in ("learn", "unlearn", "continual"))])
    return Grid("test accuracy by speaker", ("", "learned", "after unlearning", "after enrolling"), rows)
