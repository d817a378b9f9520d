"""How pictures and pages are made: one look, SVG inside the page, and pages that need nothing else.

`as_svg` turns a matplotlib figure drawn under `look` into an element of a page; `write_page` renders a template of
`templates/` with the style sheet they share, and puts it where it belongs in one step.
"""

import io
import math
import pathlib
import re

import jinja2
import markupsafe
import matplotlib

__all__ = ["AFTER", "ANALOGUE", "BAD", "BEFORE", "DIGITAL", "GRID", "INK", "QUIET", "as_svg", "look",
           "put", "write_page"]

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
