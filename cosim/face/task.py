"""`rmdlora tasks face`: learn, unlearn and learn anew, over the seeds; the figures, the tables and the page."""

import dataclasses

import torch
from rmdlora.golden.data import load_pictures
from rmdlora.golden.face.recipe import FORGET, LEARNED, NEW, RANKS, Recipe, learn_weights, prepare_faces
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.presets import PRESETS
from rmdlora.golden.spec.refusal import need_integer

from ..outcome import Grid, Outcome, Section, over_seeds
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
BACKENDS = ("golden",)
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
    return gather(kinds, options, pictures)


def gather(kinds, options, pictures):
    """The `Outcome` of the runs {kind: one a seed}."""
    shares = {kind: over_seeds([judge(run.logits, run.identity) for run in runs]) for kind, runs in kinds.items()}
    figures = dict(shares["hybrid"])
    figures |= {f"{kind}_{name}": value for kind, given in shares.items() if kind != "hybrid"
                for name, value in given.items()}
    figures |= {"seeds": len(kinds["hybrid"]), "device": options.device, "data_source": pictures.source,
                "data_kind": pictures.kind, "selection_rule": RULE}
    rows = [[NAMES[name], target(name, figures), *(percent(given[name]) for given in shares.values())]
            for name in NAMES]
    grid = Grid(f"share of test pictures named right, mean of {figures['seeds']} seeds", (
        "", "target", "hybrid,\nhardware's update", "hybrid,\nAdam", "full\nreprogramming"), rows)
    headlines = tuple((NAMES[name], percent(figures[name])) for name in (
        "learned", "forgotten_after_continual", "retained_after_continual", "new"))
    return Outcome("Faces: learn, forget, learn anew", f"Data: {pictures.source}. Array: {options.device}.", figures,
                   (grid,), (RULE,), headlines,
                   (Section("Accuracy", (RULE,), (grid, *identity_grids(kinds["hybrid"]))),))


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
