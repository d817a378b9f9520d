"""The demonstration's report: one HTML file that needs nothing else, and the same numbers as JSON.

`write_report` draws every picture with matplotlib as SVG inside the page; the page itself is `templates/demo.html.j2`.
"""

import json
import pathlib

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from .drawing import (
    AFTER,
    ANALOGUE,
    BAD,
    BEFORE,
    DIGITAL,
    GRID,
    INK,
    as_svg,
    draw_confusions,
    draw_shares,
    look,
    put,
    write_page,
)
from .findings import numbers_of

__all__ = ["write_report"]

def write_report(findings, folder):
    """Write ``report.html`` and ``report.json`` into ``folder`` (made if absent); returns the path of the page."""
    folder = pathlib.Path(folder)
    numbers = numbers_of(findings)
    with look():
        pictures = {"faces": draw_faces(findings), "accuracy": draw_accuracy(findings),
                    "confusion": draw_confusion(findings), "tiles": draw_tiles(findings), "codes": draw_codes(findings),
                    "time": draw_time(findings)}
    put(folder / "report.json", json.dumps(numbers, indent=1) + "\n")
    return write_page("demo.html.j2", folder / "report.html", findings=findings, numbers=numbers, facts=findings.facts,
                      rows=findings.rows, pictures=pictures)


def draw_faces(findings):
    """The pictures that went through the pins, each with what the network said."""
    faces = findings.faces
    columns = min(len(faces), 8)
    rows = -(-len(faces) // columns)
    figure = Figure(figsize=(1.45 * columns, 1.95 * rows))
    for index, (picture, identity, before, after) in enumerate(faces):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(identity == findings.forgotten)
            spine.set_color(AFTER)
            spine.set_linewidth(2.5)
        axes.set_title(f"person {identity}" + (" (to forget)" if identity == findings.forgotten else ""), fontsize=8)
        said = [f"{word} {given}" for word, given in (("before:", before), ("after:", after)) if given is not None]
        axes.set_xlabel("   ".join(said), fontsize=8, color=INK)
    figure.tight_layout(pad=0.4)
    return as_svg(figure, "pictures through the pins")


def draw_accuracy(findings):
    """Per-identity test accuracy before and after the adapter, integer network as bars, float as marks."""
    people = sorted(findings.accuracy["integer"]["before"])
    series = [(f"{when} unlearning", colour, *([findings.accuracy[kind][when][person] for person in people]
                                               for kind in ("integer", "float")))
              for when, colour in (("before", BEFORE), ("after", AFTER))]
    names = [f"{person}\n(forget)" if person == findings.forgotten else str(person) for person in people]
    return draw_shares(names, series, "test accuracy by person")


def draw_confusion(findings):
    """Confusion of the integer network on the test pictures, before and after."""
    return draw_confusions([(f"{when} unlearning", colours, findings.confusion[when])
                            for when, colours in (("before", "Blues"), ("after", "Oranges"))], "confusion")


def draw_tiles(findings):
    """Every tile's conductances."""
    tiles = findings.conductances
    columns = min(6, len(tiles))
    rows = -(-len(tiles) // columns)
    figure = Figure(figsize=(1.5 * columns + 0.6, 1.62 * rows))
    low, high = findings.g_window_us
    colours = LinearSegmentedColormap.from_list("window", ["#12504c", ANALOGUE, "#f4f1ea", AFTER, "#7f2f0a"])
    for index, tile in enumerate(tiles):
        axes = figure.add_subplot(rows, columns, index + 1)
        image = axes.imshow(tile * findings.g_lsb_us, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
        axes.set_title(findings.tile_names[index], fontsize=7.5, pad=3)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(GRID)
    figure.subplots_adjust(left=0.01, right=0.93, top=0.95, bottom=0.01, wspace=0.08, hspace=0.2)
    bar = figure.colorbar(image, cax=figure.add_axes((0.945, 0.15, 0.012, 0.7)))
    bar.set_label("conductance, µS")
    bar.outline.set_visible(False)
    return as_svg(figure, "conductances of all tiles")


def draw_codes(findings):
    """Crossbar sums and outputs of the RTL against the oracle's."""
    pairs = (("crossbar sums c", ANALOGUE, findings.sums), ("outputs y", DIGITAL, findings.outputs))
    figure = Figure(figsize=(4.1 * len(pairs), 3.3))
    for index, (title, colour, (given, wanted)) in enumerate(pairs):
        given, wanted = np.ravel(given), np.ravel(wanted)
        axes = figure.add_subplot(1, len(pairs), index + 1)
        points = np.unique(np.stack([wanted, given], axis=1), axis=0)
        off = points[:, 0] != points[:, 1]
        step = max(1, len(points) // 1500)
        axes.plot(*points[~off][::step].T, ".", ms=2.2, color=colour, alpha=0.6, rasterized=True)
        axes.plot(*points[off].T, "x", ms=5, color=BAD)
        axes.set_title(f"{title}: {len(given):,} compared".replace(",", "\u2009"))
        axes.set_xlabel("oracle")
        if not index:
            axes.set_ylabel("co-simulated RTL")
        axes.set_aspect("equal", adjustable="datalim")
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
        axes.locator_params(nbins=5)
    figure.tight_layout(pad=0.5)
    return as_svg(figure, "codes against the oracle")


def draw_time(findings):
    """Where a layer's clocks go: ADCs converting, the rest of the read, and the LoRA unit beside it."""
    rows = findings.rows
    tick_us = findings.facts["tick_ns"] / 1000
    figure = Figure(figsize=(8.2, 0.34 * len(rows) + 1.0))
    axes = figure.add_subplot()
    places = np.arange(len(rows))[::-1]
    converting = np.array([row.adc_us for row in rows]) / 1000
    whole = np.array([row.cycles for row in rows]) * tick_us / 1000
    alone = np.array([row.lora_cycles for row in rows]) * tick_us / 1000
    axes.barh(places + 0.13, converting, 0.5, color=ANALOGUE, label="ADCs converting")
    axes.barh(places + 0.13, whole - converting, 0.5, left=converting, color="#b9d8d5",
              label="settling, switching, frames")
    axes.barh(places - 0.27, alone, 0.2, color=AFTER, label="LoRA unit alone (hidden under the read)")
    axes.set_yticks(places, [row.name for row in rows])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_xlabel("time at the pins, ms")
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=8)
    return as_svg(figure, "time of every layer")
