"""What the face task found, over the seeds: figures, tables and the parts of the page."""

import torch
from rmdlora.golden.costs import FACE_PARAMETERS, published_ratios
from rmdlora.golden.face.recipe import FORGET, LEARNED, NEW, adapted_layers

from ..drawing import draw_adapters, draw_costs, look
from ..ledger import Workload, cost_grid, count_hybrid, count_reprogrammed, event_grid, ratio_grid
from ..outcome import Grid, Outcome, Section, over_seeds, percent, target
from .pictures import draw_accuracy, draw_confusion, draw_features, draw_noise
from .stages import STAGES, judge

__all__ = ["gather"]

PEOPLE = LEARNED + 1
RULE = (
    "Selection rule: every person's 10 pictures are cut into 5 folds, drawn by the seed, before any variant is made. "
    "The whole task is run once for each fold and trained on the other four (the published 80 : 20), so every picture "
    "is a test picture once a seed, of networks that saw neither it nor a variant of it. Every length, rate and bound "
    "of the recipe was set on persons 6 to 19 of the collection, whom the task never sees (see cosim/face/choose.py); "
    "each training runs its fixed number of updates and its last state is taken. So no epoch, threshold or seed was "
    "chosen on a test picture.")
RETAINED_WITHIN = 0.03
NAMES = {"learned": "learned, five people", "retained_before": "of these, those to retain",
         "forgotten_after_unlearning": "forgotten, unlearned", "retained_after_unlearning": "retained, unlearned",
         "forgotten_after_continual": "forgotten, learned anew", "retained_after_continual": "retained, learned anew",
         "new": "new person", "wanted_after_continual": "retained and new, at the end"}
COMPARED = (
    "Bars: the integer network on the array with all its noise, adapters trained by the hardware's own update. "
    "Circles: its float twin, the same cells and adapters with nothing rounded. Full reprogramming trains all weights "
    "for the same steps, losses and pictures, and programs every cell again, under the same noise.")
TRAINED = (
    "Codes of both adapters at the end. The first one, r = 6, was frozen when the second, r = 8, was trained beside "
    "it; the network is the sum of both, so what the first took away stays away.")
SWEPT_WORDS = (
    "Programming: every cell lands at its target plus a normal error of this size, without verifying. The hybrid's "
    "adapters learn on the cells as they landed; full reprogramming learns first and meets a new error after each "
    "programming. Whiskers: standard deviation over the seeds, where there is more than one.",
    "Reading: the networks of the end as they are, each cell read with a normal error of this share of its "
    "conductance, drawn anew for every read; neither way learned at it.")
COSTED = (
    "Counted for the recipe as it ran: pulses by the device model's write-verify; words, products and cycles as the "
    "gateware makes them. Board parts and the projection to 180 nm stand in columns of their own and are never added. "
    "Writing the result means the trained words once, or all pulses and verifies; training also writes the optimiser's "
    "states, for every block of vectors, which the published ratios leave out.",
    "Bars are logarithmic, six decades long; nothing at 0.",
    "Reading the array for every training picture is the larger part of what the hybrid spends, and is shown apart: "
    "the published ratios leave it out. Sums of layers before the first adapter do not change and could be kept.")


def gather(kinds, sweep, reading, recipe, options, chip=None):
    """The `Outcome` of the runs {kind: a list of its folds for each seed}, of the sweeps over the noise of programming
    and ``reading`` {sigma: (hybrid, reprogrammed), a share for each seed}, and of the `Chip` where there was one."""
    hybrid, pictures = kinds["hybrid"], kinds["hybrid"][0][0].data.pictures
    kinds = {kind: seeds for kind, seeds in kinds.items() if seeds}
    shares = {kind: over_seeds([judge(runs) for runs in seeds]) for kind, seeds in kinds.items()}
    shares["float"] = over_seeds([judge(runs, "twins") for runs in hybrid])
    figures = dict(shares["hybrid"])
    figures |= {f"{kind}_{name}": value for kind, given in shares.items() if kind != "hybrid"
                for name, value in given.items()}
    writes = [sum(run.pulses["unlearn"] + run.pulses["continual"] for run in runs) for runs in hybrid]
    figures |= {"rm_writes": sum(writes) / len(writes), "rm_writes_seeds": writes,
                "rm_writes_counted_by": "the array model, all cells, unlearning and learning anew",
                "seeds": len(hybrid), "folds": len(hybrid[0]),
                "test_pictures": sum(len(run.identity) for run in hybrid[0]), "device": options.device,
                "data_source": pictures.source, "data_kind": pictures.kind, "selection_rule": RULE}
    for name, swept in (("noise_{:g}us", sweep), ("read_noise_{:g}", reading)):
        for sigma, found in swept.items():
            for kind, each in zip(("hybrid", "reprogrammed"), found, strict=True):
                figures |= {f"{name.format(sigma)}_{kind}": sum(each) / len(each),
                            f"{name.format(sigma)}_{kind}_seeds": each}
    costs = count_costs(kinds, recipe)
    figures |= {f"cost_{stage}_{kind}_{name}": value for (stage, kind), given in costs.items()
                for name, value in given.items()}
    figures |= {f"paper_{ratio.name.replace(': ', '_').replace(', ', '_').replace(' ', '_')}_recomputed": ratio.real
                for ratio in published_ratios()}
    troubles, lines = (), [RULE]
    if chip:
        figures |= chip_figures(chip)
        lines, troubles = [*lines, *chip_lines(chip)], tuple(chip.troubles)
    grid = share_grid(figures, shares)
    headlines = (*((NAMES[name], percent(figures[name])) for name in (
        "learned", "forgotten_after_continual", "retained_after_continual", "new")),
        ("programming pulses in unlearning and learning anew", f"{figures['rm_writes']:g}"))
    lead = (f"{pictures.source}. Array: preset {options.device}, {len(hybrid)} seed{'s' if len(hybrid) > 1 else ''} "
            f"of {len(hybrid[0])} fold{'s' if len(hybrid[0]) > 1 else ''}. "
            "Weights are programmed once; all that follows happens in adapters.")
    return Outcome("Faces: learn, forget, learn anew", lead, figures,
                   (grid, noise_grid(sweep, reading), cost_grid(costs, "learn anew")), tuple(lines), headlines,
                   draw_sections(kinds, sweep, reading, costs, grid, lines), troubles)


def draw_sections(kinds, sweep, reading, costs, grid, lines):
    """The parts of the page."""
    hybrid = [run for runs in kinds["hybrid"] for run in runs]
    with look():
        sections = [
            Section("What became of whom", (COMPARED,), (grid, *identity_grids(hybrid)),
                    ((draw_accuracy(hybrid),), (draw_confusion(hybrid),), (draw_features(hybrid[0]),))),
            Section("What was learned", (TRAINED,), (), ((draw_adapters(hybrid[0].networks["continual"]),),))]
        sections.append(Section("Noise", SWEPT_WORDS, (noise_grid(sweep, reading),),
                                ((draw_noise(sweep, reading),),)))
        bars = [(f"{stage}: {what}", costs[stage, "hybrid"][name], costs[stage, "reprogrammed"][name])
                for stage in ("unlearn", "continual")
                for what, name in (("parameters trained", "trainable"), ("programming pulses", "rm_pulses"),
                                   ("energy to write the result, 180 nm projection, J", "deploy_joules_chip"))]
        sections.append(Section("Costs, counted", COSTED, (cost_grid(costs, "learn anew"), event_grid(), ratio_grid()),
                                ((draw_costs(bars),),)))
    return (*sections, Section("Rule and checks", tuple(lines)))


def share_grid(figures, shares):
    """The table of accuracies."""
    columns = {kind: words for kind, words in (
        ("hybrid", "hybrid,\nchip's update"), ("float", "its float\ntwin"),
        ("reprogrammed", "reprogram-\nming"), ("optimiser", "hybrid, Adam")) if kind in shares}
    for kind in columns:
        if len(shares[kind]["learned_seeds"]) < figures["seeds"]:
            columns[kind] += f"\n({len(shares[kind]['learned_seeds'])} of the seeds)"
    rows = [[NAMES[name], target(name, figures, RETAINED_WITHIN), *(percent(shares[kind][name]) for kind in columns)]
            for name in NAMES]
    return Grid(f"share of test pictures named right, mean of {figures['seeds']} seeds of {figures['test_pictures']} "
                "pictures", ("", "target", *columns.values()), rows)


def noise_grid(sweep, reading):
    """The table of what noise of programming and of reading costs both ways."""
    rows = []
    for swept, scale, words in ((sweep, 1, "programmed once, within {:g} uS"),
                                (reading, 100, "read within {:g} % of a cell")):
        for sigma, found in swept.items():
            seeds = len(found[0])
            rows.append([f"{words.format(scale * sigma)} ({seeds} seed{'s' if seeds > 1 else ''})",
                         *(percent(sum(each) / seeds) for each in found)])
    return Grid("retained and new, at the end, where cells are noisier (standard deviations)",
                ("", "hybrid,\nchip's update", "reprogram-\nming"), rows)


def count_costs(kinds, recipe):
    """``{(stage, kind): counts}`` of both ways."""
    hybrid, other = ([run for runs in kinds[kind] for run in runs] for kind in ("hybrid", "reprogrammed"))
    configuration, mixer, costs = hybrid[0].machine.configuration, hybrid[0].mixers["learn"], {}
    adapted = {stage: adapted_layers(mixer, stage) for stage in recipe.ranks}
    workload = Workload(mixer.shapes, mixer.vectors, adapted, recipe.ranks)
    for stage in ("unlearn", "continual"):
        pulses = sum(run.pulses[stage] for run in other) // len(other)
        costs[stage, "hybrid"] = count_hybrid(configuration, workload, stage, getattr(recipe, f"{stage}_steps"),
                                                recipe.adapter_batch)
        costs[stage, "reprogrammed"] = count_reprogrammed(configuration, workload, FACE_PARAMETERS, pulses)
    return costs


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
        yield (f"faces at the pins after {stage}: {sum(right)} of {len(right)} named as the data names them, those to "
               "forget included")
    if not chip.troubles:
        yield f"agreed: {sum(chip.compared.values()):,} codes equal the oracle's, adapters and states at the end too"


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
