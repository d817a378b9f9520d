"""The pictures of the speaker task's page."""

import numpy as np
import torch
from matplotlib.figure import Figure
from rmdlora.golden.face import confusion
from rmdlora.golden.speaker.recipe import FORGET, LEARNED, NEW

from ..drawing import AFTER, ANALOGUE, BAD, BEFORE, DIGITAL, GRID, QUIET, STAGES, as_svg, draw_confusions, draw_shares

__all__ = ["draw_accuracy", "draw_confusion", "draw_noise", "draw_spikes", "share_by_speaker"]

WORDS = {"learn": "learned", "unlearn": "after unlearning", "continual": "after enrolling"}
SPEAKERS = (BEFORE, BAD, ANALOGUE, DIGITAL, "#8a6d3b", AFTER)
SEED = 0        # of t-SNE


def share_by_speaker(runs, stage, said="outputs"):
    """Share of every speaker's test clips named right, over all ``runs``: (speakers,)."""
    given = torch.cat([getattr(run, said)[stage].argmax(dim=1) for run in runs])
    speaker = torch.cat([run.speaker for run in runs])
    return np.array([float((given == one)[speaker == one].double().mean()) for one in range(LEARNED + 1)])


def name_part(speaker, name):
    """A speaker and their part in the task, on two lines."""
    return f"{name}\n" + ("forget" if speaker == FORGET else "new" if speaker == NEW else "retain")


def draw_accuracy(runs, names):
    """Test accuracy by speaker and stage: the hybrid as bars, its float twin as circles."""
    series = [(WORDS[stage], colour, share_by_speaker(runs, stage), share_by_speaker(runs, stage, "twins"))
              for stage, colour in STAGES.items()]
    return draw_shares([name_part(*pair) for pair in enumerate(names)], series, "accuracy by speaker and stage", 6.4)


def draw_confusion(runs):
    """Counts of test clips by who speaks and who the hybrid says does, after every stage."""
    return draw_confusions([(WORDS[stage], "Blues", sum(count(run.outputs[stage], run.speaker) for run in runs))
                            for stage in STAGES], "confusion by stage")


def count(outputs, speaker):
    """`confusion` over all speakers, also where there is no output yet for the new one."""
    wide = torch.nn.functional.pad(outputs, (0, LEARNED + 1 - outputs.shape[1]), value=-torch.inf)
    return confusion(wide, speaker)


def draw_spikes(run, names):
    """t-SNE of what the readout is given for the test clips, before and after."""
    from sklearn.manifold import TSNE  # slow to import

    figure = Figure(figsize=(7.4, 2.6))
    speaker = run.speaker.numpy()
    for index, stage in enumerate(STAGES):
        flat = TSNE(perplexity=min(30, len(speaker) / 3.1), init="pca", random_state=SEED).fit_transform(
            run.spikes[stage])
        axes = figure.add_subplot(1, 3, index + 1)
        for one, name in enumerate(names):
            mark = "x" if one == FORGET else "^" if one == NEW else "o"
            axes.plot(*flat[speaker == one].T, mark, ms=3.5, color=SPEAKERS[one],
                      label=name_part(one, name).replace("\n", ": "))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(WORDS[stage])
    figure.axes[1].legend(frameon=False, ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.02), fontsize=7,
                          handletextpad=0.1, columnspacing=1.0)
    return as_svg(figure, "t-SNE of spikes before and after")


def draw_noise(moved, taught):
    """Share of everybody to be known at the end that is named right, against the spread of the cells: ``moved`` {uS:
    shares} with adapters that learned on other cells, ``taught`` {uS: shares} with those that learned on these."""
    figure = Figure(figsize=(5.0, 2.6))
    axes = figure.add_subplot()
    for found, label, colour in ((taught, "adapters trained on these cells", AFTER),
                                 (moved, "adapters trained on other cells", QUIET)):
        sigmas = sorted(found)
        values = [100 * np.array(found[sigma]) for sigma in sigmas]
        if sigmas:
            axes.errorbar(sigmas, [value.mean() for value in values], [value.std() for value in values], marker="o",
                          ms=4, capsize=2, color=colour, label=label)
    axes.set_ylim(0, 103)
    axes.set_xlabel("standard deviation of a programmed cell, µS")
    axes.set_ylabel("retained and new, %")
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    return as_svg(figure, "accuracy against noise")
