"""How pictures and pages are made: one look, SVG inside the page, and pages that need nothing else.

`as_svg` turns a matplotlib figure drawn under `look` into an element of a page; `draw_shares` and its like are kinds
that several pages have; `write_page` renders a template of `templates/` with the style sheet they share, and puts it
where it belongs in one step.
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

__all__ = ["AFTER", "ANALOGUE", "BAD", "BEFORE", "DIGITAL", "GRID", "INK", "QUIET", "STAGES", "as_svg", "draw_adapters",
           "draw_confusions", "draw_costs", "draw_shares", "look", "put", "write_page"]

TEMPLATES = pathlib.Path(__file__).parent / "templates"
INK, QUIET, GRID = "#1b2733", "#5b6b7b", "#dfe5ea"
BEFORE, AFTER, ANALOGUE, DIGITAL, BAD = "#33658a", "#e07a3f", "#2f7f79", "#7a5195", "#c0392b"
STAGES = {"learn": BEFORE, "unlearn": AFTER, "continual": ANALOGUE}
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


def draw_adapters(network):
    """Histograms of the codes of the adapters of a `HybridNetwork`, all layers together; words are logarithmic."""
    figure = Figure(figsize=(6.4, 2.5))
    for index, (matrix, letter) in enumerate((("a", "A"), ("b", "B"))):
        axes = figure.add_subplot(1, 2, index + 1)
        codes = {slot: np.concatenate([(layer.a[layer.slots[slot]] if matrix == "a" else
                                        layer.b[:, layer.slots[slot]]).ravel()
                                       for layer in network.layers.values() if slot in layer.slots])
                 for slot in ("unlearn", "continual")}
        reach = max(np.abs(part).max() for part in codes.values()) + 1
        for slot, part in codes.items():
            axes.hist(part, 41, range=(-reach, reach), log=True, color=STAGES[slot], alpha=0.65,
                      label=f"{slot}, {part.size:,} words")
        axes.set_title(f"codes of {letter}")
        axes.set_xlabel("code")
        axes.legend(frameon=False, fontsize=7.5, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.22),
                    columnspacing=1.0)
    figure.axes[0].set_ylabel("words")
    figure.tight_layout(pad=0.6)
    return as_svg(figure, "adapter weights")


def draw_costs(costs):
    """Bars of ``costs`` [(what, hybrid, reprogrammed)], each pair on a logarithmic axis of its own, six decades long;
    0 stays without a bar."""
    figure = Figure(figsize=(7.4, 0.62 * len(costs) + 0.5))
    for index, (what, *pair) in enumerate(costs):
        axes = figure.add_subplot(len(costs), 1, index + 1)
        largest = max(max(pair), 1e-30)
        for place, (value, colour, kind) in enumerate(zip(pair, (AFTER, QUIET), ("hybrid", "reprogramming"),
                                                          strict=True)):
            length = 0 if value <= 0 else max(0.02, 1 + np.log10(value / largest) / 6)
            axes.barh(-place, length, 0.75, color=colour)
            axes.text(length + 0.01, -place, f"{kind}: {write_number(value)}", va="center", fontsize=7.5)
        axes.set_xlim(0, 1.5)
        axes.axis("off")
        axes.set_title(what, loc="left", fontsize=8, pad=2)
    figure.tight_layout(pad=0.3)
    return as_svg(figure, "costs of both ways")


def write_number(value):
    """A count or an energy as text."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


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
