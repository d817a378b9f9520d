"""How the face task's recipe was chosen: every candidate on people whom the task never sees, and a rule that picks one.

`python -m rmdlora.cosim.face.choose` runs it again (long). The people are those of the nine sixes that begin at person
6, 7 ... 14 of the collection, with one fold each, so that everybody stands in several parts of the task; persons 0 to
5, of whom the task tells, are in none. Both ways have candidates of their own and are judged by the same rule: the
largest `margin`; of several, the least cross entropy. Given up on fewer sixes, and no candidates: codes of kept worth
at rates of 0.002 to 0.016 with momentum 3 (two sixes or one), 0.004 and 0.016 without (five).
"""

import argparse
import dataclasses

import torch
from rich.console import Console
from rmdlora.golden.data import load_pictures
from rmdlora.golden.face.recipe import FOLDS, LEARNED, Recipe, learn_weights, prepare_faces
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.training import Rates

from ..outcome import Grid, as_table, percent
from .stages import KNOWN, judge, run_hybrid, run_reprogrammed, shown

__all__ = ["CANDIDATES", "FIRSTS", "best_of", "evaluate", "margin"]

FIRSTS = tuple(range(6, 15))
ALLOWED = {"learned": 0.95, "new": 0.90, "forgotten": 0.05, "retained_within": 0.03}

LATE, EVEN = (0.5, 0.75, 0.875), (0.4, 0.6, 0.8)        # shares of the updates after which rates halve
# way: {name: fields of the recipe}
CANDIDATES = {
    "hybrid": {
        f"rate {rate}, momentum {momentum}, worth {'kept' if kept else 'filled anew'}, {100 * share:.0f} % new": {
            "hardware": {"unlearn": Rates(0.001, 0.001, 3), "continual": Rates(rate, rate, momentum, kept=kept)},
            "halvings": {"unlearn": LATE, "continual": EVEN if kept else LATE},
            "shares": {"unlearn": 0.2, "continual": share}}
        for rate, momentum, kept, share in (
            (0.001, 3, False, 0.35), (0.002, 3, False, 0.3),
            (0.001, 3, True, 0.2), (0.008, 0, True, 0.2), (0.008, 0, True, 0.3))},
    "reprogrammed": {f"rate {rate}": {"retrain_rate": rate} for rate in (0.001, 0.003, 0.01)},
}


def margin(figures):
    """The smallest distance of ``figures`` (`stages.judge`) to what is wanted, in shares; below 0 something is missed.
    """
    kept = figures["retained_before"] - ALLOWED["retained_within"]
    return min(figures["learned"] - ALLOWED["learned"], figures["new"] - ALLOWED["new"],
               *(figures[f"retained_after_{stage}"] - kept for stage in ("unlearning", "continual")),
               *(ALLOWED["forgotten"] - figures[f"forgotten_after_{stage}"] for stage in ("unlearning", "continual")))


def entropy(runs):
    """Mean cross entropy of the test pictures of everybody known at the end."""
    each = [torch.nn.functional.cross_entropy(run.logits["continual"], run.identity, reduction="none")[
        shown(run.identity, KNOWN)] for run in runs]
    return float(torch.cat(each).mean())


def best_of(found):
    """The name in ``found`` {name: (margin, entropy)} with the largest margin; of several, the least entropy."""
    return max(found, key=lambda name: (round(found[name][0], 6), -found[name][1]))


def evaluate(way, changes, firsts, device="taox", learned=None, report=None):
    """The `Run` of every group of ``firsts`` with the `Recipe` changed by ``changes``; ``way``: "hybrid" or
    "reprogrammed". ``learned``: {first: (data, mixer)} that is filled, as no candidate changes how weights are learned.
    """
    recipe, learned, runs = dataclasses.replace(Recipe(), **changes), {} if learned is None else learned, []
    configuration = load_configuration("face")
    for first in firsts:
        fold = first % FOLDS
        seed = first * FOLDS + fold
        if first not in learned:
            pictures = load_pictures(LEARNED + 1, first=first)
            data = prepare_faces(recipe, pictures=pictures, fold=fold)
            learned[first] = data, learn_weights(data, recipe, seed)
        data, mixer = learned[first]
        seeded = dataclasses.replace(configuration, device=dataclasses.replace(
            configuration.device, preset=device, seed=seed))
        work = run_hybrid if way == "hybrid" else run_reprogrammed
        runs.append(work(seeded, recipe, seed, mixer, data))
        if report:
            report()
    return runs


def main():
    """Evaluate the candidates, print what they came to, and name the best of each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", choices=sorted(CANDIDATES), action="append", help="one way only (default: both)")
    console, learned = Console(), {}
    for way in parser.parse_args().way or CANDIDATES:
        rows, found = [], {}
        for name, changes in CANDIDATES[way].items():
            runs = evaluate(way, changes, FIRSTS, learned=learned)
            figures = judge(runs)
            found[name] = margin(figures), entropy(runs)
            rows.append([name, *map(percent, figures.values()), f"{100 * found[name][0]:+.1f}",
                         f"{found[name][1]:.3f}"])
            console.print("; ".join(rows[-1]), highlight=False, soft_wrap=True)
        console.print(as_table(Grid(f"{way}, persons {FIRSTS[0]} to {FIRSTS[-1] + LEARNED}", (
            "", *(key.replace("_", "\n") for key in figures), "margin,\npoints", "entropy"), rows)))
        console.print(f"chosen for {way}: {best_of(found)}", highlight=False)


if __name__ == "__main__":
    main()
