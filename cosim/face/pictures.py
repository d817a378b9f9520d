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
    """t-SNE of what the network says of the test pictures (logits and last features), before and after."""
    from sklearn.manifold import TSNE  # slow to import

    figure = Figure(figsize=(7.4, 2.6))
    identity = run.identity.numpy()
    for index, stage in enumerate(STAGES):
        said = torch.softmax(run.logits[stage], dim=1).numpy()
        points = np.concatenate([run.features[stage] / run.features[stage].std(), 3 * said], axis=1)
        flat = TSNE(perplexity=min(5, len(points) / 3.1), init="pca", random_state=0).fit_transform(points)
        axes = figure.add_subplot(1, 3, index + 1)
        for person in range(PEOPLE):
            mark = "x" if person == FORGET else "^" if person == NEW else "o"
            axes.plot(*flat[identity == person].T, mark, ms=5.5, color=PERSONS[person],
                      label=name_person(person).replace("\n", ": "))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(WORDS[stage])
    figure.axes[1].legend(frameon=False, ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.02), fontsize=7.5,
                          handletextpad=0.1, columnspacing=1.0)
    return as_svg(figure, "t-SNE before and after")


def draw_noise(sweep):
    """Accuracy over the persons wanted at the end against the programming noise: ``sweep`` {sigma in uS: (hybrid,
    reprogrammed)}, shares, each a list over the seeds."""
    figure = Figure(figsize=(5.0, 2.6))
    axes = figure.add_subplot()
    sigmas = sorted(sweep)
    for index, (label, colour) in enumerate((("hybrid", AFTER), ("full reprogramming", QUIET))):
        values = [np.array(sweep[sigma][index]) * 100 for sigma in sigmas]
        axes.errorbar(sigmas, [value.mean() for value in values], [value.std() for value in values], marker="o", ms=4,
                      capsize=2, color=colour, label=label)
    axes.set_ylim(0, 103)
    axes.set_xlabel("standard deviation of a programmed cell, µS")
    axes.set_ylabel("retained and new, %")
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    return as_svg(figure, "accuracy against noise")
