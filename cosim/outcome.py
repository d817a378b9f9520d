"""What a task found, and the page, tables and figures it becomes: the same for every task.

A task gives an `Outcome`; `templates/task.html.j2` is its page, `as_table` makes a table for the terminal,
`over_seeds` the figures of several seeds as flat JSON. `WANTED` is what they are measured against.
"""

import dataclasses

from rich import box
from rich.table import Table

__all__ = ["WANTED", "Grid", "Outcome", "Section", "as_table", "over_seeds", "percent", "target"]

# what every task that learns, forgets and learns anew is to reach; what it retains is measured against before
WANTED = {"learned": (">=", 0.95), "forgotten_after_unlearning": ("<=", 0.05),
          "forgotten_after_continual": ("<=", 0.05), "new": (">=", 0.90)}


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table: ``columns`` are headings, ``rows`` lists of text as long; the first column is what a row is about."""

    title: str
    columns: tuple
    rows: list


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page: ``words`` (a paragraph each), then `Grid` tables, then pictures (SVG as `as_svg` gives it).

    ``pictures`` holds tuples: those of one tuple stand side by side where there is room.
    """

    heading: str
    words: tuple = ()
    grids: tuple = ()
    pictures: tuple = ()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a task found.

    ``figures``: the flat object of ``--json``. ``grids``: what the terminal shows. ``lines``: what it says below.
    ``title``, ``lead``, ``headlines`` (pairs of what and number, both text) and ``sections``: the page. ``troubles``: a
    line for everything in which the RTL differs from the oracle or breaks a rule; empty is agreement.
    """

    title: str
    lead: str
    figures: dict
    grids: tuple = ()
    lines: tuple = ()
    headlines: tuple = ()
    sections: tuple = ()
    troubles: tuple = ()


def percent(share):
    """A share as text."""
    return f"{100 * share:.1f} %"


def target(name, figures, retained_within):
    """What a figure should be, as text, or nothing. ``figures`` hold ``retained_before``, from which what is retained
    may fall by ``retained_within``."""
    if name in WANTED:
        sign, share = WANTED[name]
        return f"{sign} {100 * share:.0f} %"
    return f">= {percent(figures['retained_before'] - retained_within)}" if name.startswith("retained_after") else ""


def over_seeds(seeds):
    """Figures of a list of dictionaries, one a seed, all with the same keys and numbers: means under their names, and
    the list of each under ``name_seeds``."""
    figures = {}
    for name in seeds[0]:
        values = [float(seed[name]) for seed in seeds]
        figures[name] = sum(values) / len(values)
        figures[f"{name}_seeds"] = values
    return figures


def as_table(grid):
    """A `Grid` for the terminal."""
    table = Table(title=grid.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, column in enumerate(grid.columns):
        table.add_column(column, justify="right" if index else "left")
    for row in grid.rows:
        table.add_row(*row)
    return table
