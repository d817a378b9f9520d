"""The pictures of the face task's page."""

import numpy as np
import torch
from matplotlib.figure import Figure
from rmdlora.golden.face import confusion
from rmdlora.golden.face.recipe import FORGET, LEARNED, NEW

from ..drawing import AFTER, ANALOGUE, BAD, BEFORE, DIGITAL, GRID, QUIET, as_svg, draw_confusions, draw_shares
from .stages import STAGES

__all__ = ["draw_accuracy", "draw_confusion", "draw_features", "draw_noise"]

PEOPLE = LEARNED + 1
WORDS = {"learn": "learned", "unlearn": "after unlearning", "continual": "after learning anew"}
COLOURS = {"learn": BEFORE, "unlearn": AFTER, "continual": ANALOGUE}
PERSONS = (BEFORE, ANALOGUE, BAD, DIGITAL, "#8a6d3b", AFTER)


def share_by_person(runs, stage, logits="logits"):
    """Share of every person's test pictures named right, over all ``runs``: (people,)."""
    given = torch.cat([getattr(run, logits)[stage].argmax(dim=1) for run in runs])
    identity = torch.cat([run.identity for run in runs])
    return np.array([float((given == person)[identity == person].double().mean()) for person in range(PEOPLE)])


def name_person(person):
    """A person and their part in the task, on two lines."""
    return f"{person}\n" + ("forget" if person == FORGET else "new" if person == NEW else "retain")


def draw_accuracy(runs):
    """Test accuracy by person and stage: the hybrid as bars, its float twin as circles."""
    series = [(WORDS[stage], COLOURS[stage], share_by_person(runs, stage), share_by_person(runs, stage, "twins"))
              for stage in STAGES]
    return draw_shares([name_person(person) for person in range(PEOPLE)], series, "accuracy by person and stage", 6.4)


def draw_confusion(runs):
    """Counts of test pictures by who they show and who the hybrid says they show, after every stage."""
    return draw_confusions([(WORDS[stage], "Blues", sum(confusion(run.logits[stage], run.identity) for run in runs))
                            for stage in STAGES], "confusion by stage")


def draw_features(run):
    """t-SNE of what the network makes of the pictures, at each stage: test pictures filled, those trained on hollow."""
    from sklearn.manifold import TSNE  # slow to import

    figure = Figure(figsize=(7.4, 2.6))
    identity = torch.cat([run.identity, run.data.seen[1]]).numpy()
    tested = np.arange(len(identity)) < len(run.identity)
    for index, stage in enumerate(STAGES):
        flat = TSNE(perplexity=min(10, len(identity) / 3.1), init="pca", random_state=0).fit_transform(
            run.features[stage])
        axes = figure.add_subplot(1, 3, index + 1)
        for person in range(PEOPLE):
            mark = "s" if person == FORGET else "^" if person == NEW else "o"
            for chosen, fill in ((tested, PERSONS[person]), (~tested, "none")):
                axes.plot(*flat[chosen & (identity == person)].T, mark, ms=4.5, mec=PERSONS[person], mfc=fill, mew=0.8,
                          label=name_person(person).replace("\n", ": ") if fill != "none" else None)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(WORDS[stage])
    figure.axes[1].legend(frameon=False, ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.02), fontsize=7.5,
                          handletextpad=0.1, columnspacing=1.0)
    return as_svg(figure, "t-SNE before and after")


def draw_noise(programming, reading):
    """Accuracy over the persons known at the end against the noise of ``programming`` {sigma in uS: (hybrid,
    reprogrammed)} and of ``reading`` {share of the conductance: the same}; shares, each a list over the seeds. What was
    not swept has no panel."""
    panels = [(sweep, scale, label) for sweep, scale, label in (
        (programming, 1, "standard deviation of a programmed cell, µS"),
        (reading, 100, "standard deviation of a cell in a read, % of it")) if sweep]
    figure = Figure(figsize=(3.7 * len(panels), 2.6))
    for index, (sweep, scale, label) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1)
        sigmas = sorted(sweep)
        for kind, name, colour in ((0, "hybrid", AFTER), (1, "full reprogramming", QUIET)):
            values = [100 * np.array(sweep[sigma][kind]) for sigma in sigmas]
            axes.errorbar([scale * sigma for sigma in sigmas], [value.mean() for value in values],
                          [value.std() for value in values], marker="o", ms=4, capsize=2, color=colour, label=name)
        axes.set_ylim(0, 103)
        axes.set_xlabel(label)
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
        if not index:
            axes.set_ylabel("retained and new, %")
            axes.legend(frameon=False, fontsize=8, loc="lower left")
    figure.tight_layout(pad=0.6)
    return as_svg(figure, "accuracy against noise")
