"""`rmdlora tasks face`: learn, unlearn and learn anew, over the seeds; the figures, the tables and the page."""

import dataclasses

import torch
from rmdlora.golden.data import load_pictures
from rmdlora.golden.face.recipe import FORGET, LEARNED, NEW, RANKS, Recipe, learn_weights, prepare_faces
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.presets import PRESETS
from rmdlora.golden.spec.refusal import need_integer

from ..outcome import Grid, Outcome, Section, over_seeds
from .chip import run_on_chip
from .stages import STAGES, judge, run_hybrid, run_reprogrammed

__all__ = ["ABOUT", "BACKENDS", "add_arguments", "run"]

PEOPLE = LEARNED + 1
ABOUT = f"""\
The face task of arXiv 2601.10037 on the modelled array: an MLP-Mixer learns {LEARNED} people and is programmed into the
array once; an adapter of rank {RANKS["unlearn"]} makes it forget person {FORGET}, a second one of rank
{RANKS["continual"]} learns person {NEW} beside it. Beside it stands full reprogramming: all weights retrained, every
cell programmed again. Pictures are split before they are augmented; nothing is chosen on a test picture."""
RULE = (
    "Selection rule: 7 of a person's 10 pictures, drawn by the seed, are for training and the others for test, before "
    "any variant is made. Every length, rate and bound of the recipe was set once on persons 6 to 17 of the collection "
    "(see --people), whom the task never sees; each training runs its fixed number of updates and its last state is "
    "taken. So no epoch, threshold or seed was chosen on a test picture.")
BACKENDS = ("golden", "rtl")
PINNED_IMAGES = 16
WANTED = {"learned": (">=", 0.95), "forgotten_after_unlearning": ("<=", 0.05),
          "forgotten_after_continual": ("<=", 0.05), "new": (">=", 0.90)}
NAMES = {"learned": "learned, five people", "retained_before": "of these, the four to retain",
         "forgotten_after_unlearning": "forgotten, after unlearning",
         "retained_after_unlearning": "retained, after unlearning",
         "forgotten_after_continual": "forgotten, after learning anew",
         "retained_after_continual": "retained, after learning anew", "new": "new person"}


def add_arguments(parser):
    """What only this task takes."""
    parser.add_argument("--config", default="face", metavar="CONFIG", help="a TOML file or a name (default: face)")
    parser.add_argument("--device", choices=sorted(PRESETS), default="taox",
                        help="preset of the resistive memory (default: taox)")
    parser.add_argument("--people", type=int, default=0, metavar="P",
                        help="first of the six people (default: 0, the task; 6 and 12 are those the recipe was set on)")


def percent(share):
    """A share as text."""
    return f"{100 * share:.1f} %"


def run(options, progress):
    """Run the task of parsed ``options``; its `Outcome`."""
    need_integer("--people", options.people, 0, 39)
    configuration = load_configuration(options.config)
    recipe, seeds = (Recipe().shortened(), 1) if options.quick else (Recipe(), options.seeds)
    pictures = load_pictures(PEOPLE, first=options.people)
    for reason in pictures.passed_over:
        progress.console.print(f"data: passed over: {reason}", highlight=False, soft_wrap=True)
    progress.console.print(f"data: {pictures.source}", highlight=False, soft_wrap=True)
    steps = recipe.learn_steps + 3 * (recipe.unlearn_steps + recipe.continual_steps)
    line = progress.add_task("learn, unlearn, learn anew", total=seeds * steps)
    kinds = {"hybrid": [], "optimiser": [], "reprogrammed": []}
    for seed in range(seeds):
        def report(what, seed=seed):
            progress.update(line, advance=1, description=f"seed {seed}: {what}")

        device = dataclasses.replace(configuration.device, preset=options.device, seed=seed)
        seeded = dataclasses.replace(configuration, device=device)
        data = prepare_faces(recipe, seed, pictures=pictures)
        mixer = learn_weights(data, recipe, seed, lambda: report("learn"))
        for kind, hardware in (("hybrid", True), ("optimiser", False)):
            kinds[kind].append(run_hybrid(seeded, recipe, seed, mixer, data, hardware=hardware, report=report))
        kinds["reprogrammed"].append(run_reprogrammed(seeded, recipe, seed, mixer, data, report=report))
    chip = None
    if options.backend == "rtl":        # of seed 0
        run = kinds["hybrid"][0]
        seeded, images = run.machine.configuration, 2 if options.quick else PINNED_IMAGES
        short = recipe.on_chip()
        if options.quick:
            short = dataclasses.replace(short, adapter_batch=16, unlearn_steps=6, continual_steps=2)
        chip = run_on_chip(seeded, short, 0, run.mixers["learn"], run.data, images, progress)
    return gather(kinds, options, pictures, chip)


def gather(kinds, options, pictures, chip=None):
    """The `Outcome` of the runs {kind: one a seed}, and of the `Chip` where there was one."""
    shares = {kind: over_seeds([judge(run.logits, run.identity) for run in runs]) for kind, runs in kinds.items()}
    figures = dict(shares["hybrid"])
    figures |= {f"{kind}_{name}": value for kind, given in shares.items() if kind != "hybrid"
                for name, value in given.items()}
    figures |= {"seeds": len(kinds["hybrid"]), "device": options.device, "data_source": pictures.source,
                "data_kind": pictures.kind, "selection_rule": RULE}
    writes = [run.pulses["unlearn"] + run.pulses["continual"] for run in kinds["hybrid"]]
    figures |= {"rm_writes": sum(writes) / len(writes), "rm_writes_seeds": writes,
                "rm_writes_counted_by": "the array model, all cells, unlearning and learning anew"}
    lines, troubles = [RULE], ()
    if chip:
        figures |= chip_figures(chip)
        lines, troubles = [*lines, *chip_lines(chip)], tuple(chip.troubles)
    rows = [[NAMES[name], target(name, figures), *(percent(given[name]) for given in shares.values())]
            for name in NAMES]
    grid = Grid(f"share of test pictures named right, mean of {figures['seeds']} seeds", (
        "", "target", "hybrid,\nhardware's update", "hybrid,\nAdam", "full\nreprogramming"), rows)
    headlines = tuple((NAMES[name], percent(figures[name])) for name in (
        "learned", "forgotten_after_continual", "retained_after_continual", "new"))
    return Outcome("Faces: learn, forget, learn anew", f"Data: {pictures.source}. Array: {options.device}.", figures,
                   (grid,), tuple(lines), headlines,
                   (Section("Accuracy", (RULE,), (grid, *identity_grids(kinds["hybrid"]))),), troubles)


def chip_figures(chip):
    """What the chip counted and what was compared, flat."""
    figures = {"rm_writes": chip.rm_writes, "rm_writes_seeds": [chip.rm_writes],
               "rm_writes_counted_by": "PULSES of the RTL, after programming", "rtl_differing": len(chip.troubles),
               "rtl_codes_compared": sum(chip.compared.values())}
    for part, counts in chip.counts.items():
        figures |= {f"rtl_{part}_{name}": count for name, count in counts.items()}
    return figures | {f"rtl_compared_{name.replace(' ', '_')}": count for name, count in chip.compared.items()}


def chip_lines(chip):
    """The same in words."""
    programmed, unlearned, anew = (chip.counts[part] for part in ("programming", "unlearn", "continual"))
    faces = sum(len(logits) for logits in chip.logits.values())
    yield (f"on the RTL: {programmed['cells']} cells programmed at the pins with {programmed['pulses']} pulses; "
           f"{unlearned['updates']} updates of unlearning and {anew['updates']} of learning anew, all the chip's, with "
           f"{chip.rm_writes} pulses; {faces} whole faces through the pins")
    for stage, logits in chip.logits.items():
        right = (logits.argmax(axis=1) == chip.identity[stage]).tolist()
        yield f"faces at the pins after {stage}: {sum(right)} of {len(right)} named as the data names them"
    if not chip.troubles:
        yield f"agreed: {sum(chip.compared.values()):,} codes equal the oracle's, adapters and states at the end too"


def target(name, figures):
    """What a figure should be, as text."""
    if name in WANTED:
        sign, share = WANTED[name]
        return f"{sign} {100 * share:.0f} %"
    return f">= {percent(figures['retained_before'] - 0.03)}" if name.startswith("retained_after") else ""


def identity_grids(runs):
    """Test accuracy of every person after every stage, all seeds together."""
    rows = []
    for person in range(PEOPLE):
        role = " (forgotten)" if person == FORGET else " (new)" if person == NEW else ""
        row = [f"person {person}{role}"]
        for stage in STAGES:
            right = torch.cat([(run.logits[stage].argmax(dim=1) == person)[run.identity == person] for run in runs])
            row.append(percent(float(right.double().mean())))
        rows.append(row)
    return [Grid("test accuracy by person", ("", "learned", "after unlearning", "after learning anew"), rows)]
