"""How pictures and pages are made: one look, SVG inside the page, and pages that need nothing else.

`as_svg` turns a matplotlib figure drawn under `look` into an element of a page; `draw_shares` and `draw_confusions` are
kinds that several pages have; `write_page` renders a template of `templates/` with the style sheet they share, and puts
it where it belongs in one step.
"""

import io
import math
import pathlib
import re

import jinja2
import markupsafe
import matplotlib
import numpy as np
from matplotlib.figure import Figure

__all__ = ["AFTER", "ANALOGUE", "BAD", "BEFORE", "DIGITAL", "GRID", "INK", "QUIET", "as_svg", "draw_confusions",
           "draw_shares", "look", "put", "write_page"]

TEMPLATES = pathlib.Path(__file__).parent / "templates"
INK, QUIET, GRID = "#1b2733", "#5b6b7b", "#dfe5ea"
BEFORE, AFTER, ANALOGUE, DIGITAL, BAD = "#33658a", "#e07a3f", "#2f7f79", "#7a5195", "#c0392b"
STYLE = {"font.size": 9, "text.color": INK, "axes.edgecolor": QUIET, "axes.labelcolor": INK, "xtick.color": QUIET,
         "ytick.color": QUIET, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "path",
         "svg.hashsalt": "rmdlora", "axes.titlesize": 9, "axes.titlecolor": INK}


def look():
    """A context in which figures are drawn as the others are."""
    return matplotlib.rc_context(STYLE)


def as_svg(figure, title):
    """A figure as an ``<svg>`` element that scales with the page; ``title`` is what a screen reader says."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.05, transparent=True,
                   metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg"):]
    width = math.ceil(float(re.search(r'width="([\d.]+)pt"', text)[1]) * 4 / 3)     # CSS pixels
    text = re.sub(r'(<svg[^>]*?) width="[\d.]+pt" height="[\d.]+pt"',
                  rf'\1 style="max-width:{width}px" role="img" aria-label="{title}"', text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"([^>]*?) width="[\d.]+pt"', r'\1\2', text, count=1)
    # several drawings share a page: their ids must not meet
    mark = re.sub(r"\W", "", title)[:12]
    text = re.sub(r'id="([^"]+)"', rf'id="{mark}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{mark}-", text)
    return markupsafe.Markup(text)


def draw_shares(names, series, title, width=5.2):
    """Groups of bars, one for each of ``names``: ``series`` of ``(label, colour, shares (n,), the float twin's (n,))``,
    the latter as circles. Shares are 0..1, the axis is in percent."""
    figure = Figure(figsize=(width, 2.6))
    axes = figure.add_subplot()
    places = np.arange(len(names))
    step = 0.8 / len(series)
    for index, (label, colour, shares, twins) in enumerate(series):
        place = places + step * (index - (len(series) - 1) / 2)
        axes.bar(place, np.maximum(100 * np.asarray(shares), 0.8), step - 0.03, color=colour, label=label)
        axes.plot(place, 100 * np.asarray(twins), "o", mfc="white", mec=INK, ms=4.2, clip_on=False,
                  label="float twin" if index == len(series) - 1 else None)
    axes.set_xticks(places, names)
    axes.set_ylim(0, 100)
    axes.set_ylabel("test accuracy, %")
    axes.set_xlabel("person")
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, ncols=len(series) + 1, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
    return as_svg(figure, title)


def draw_confusions(panels, title):
    """Counts by true row and given column, side by side: ``panels`` of ``(name, colour map, counts (n, n))``."""
    figure = Figure(figsize=(2.5 * len(panels), 2.6))
    for index, (name, colours, counts) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1)
        axes.imshow(counts, cmap=colours, vmin=0, vmax=max(1, counts.max()) * 1.15)
        for row, column in np.argwhere(counts):
            axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=7.5,
                      color="white" if counts[row, column] > 0.7 * counts.max() else INK)
        axes.set_xticks(range(counts.shape[1]))
        axes.set_yticks(range(counts.shape[0]))
        axes.tick_params(length=0)
        axes.set_title(name)
        axes.set_xlabel("given")
        if not index:
            axes.set_ylabel("true")
        axes.spines[:].set_visible(False)
    figure.tight_layout(pad=0.6)
    return as_svg(figure, title)


def write_page(template, path, **given):
    """Render ``templates/TEMPLATE`` with ``given`` into the file ``path``, whole or not at all; returns the path."""
    path = pathlib.Path(path)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["thousands"] = lambda number: f"{number:,}".replace(",", "\u2009")
    put(path, environment.get_template(template).render(**given))
    return path


def put(path, text):
    """Write ``text`` aside and move it to ``path``, whose folder is made if absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
