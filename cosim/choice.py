"""How a task's recipe is chosen among candidates: what one's figures leave to spare, and which is taken."""

from .outcome import WANTED

__all__ = ["best_of", "margin"]


def margin(figures, beaten=None, *, within):
    """The smallest distance of ``figures`` (a task's `stages.judge`) to what is wanted, in shares; below 0 something is
    missed. ``within``: what the retained may lose; ``beaten``: the share of everybody known at the end that is to be
    passed.
    """
    kept = figures["retained_before"] - within
    above = [] if beaten is None else [figures["wanted_after_continual"] - beaten]
    return min(*(figures[name] - limit if sense == ">=" else limit - figures[name]
                 for name, (sense, limit) in WANTED.items()),
               *(figures[f"retained_after_{stage}"] - kept for stage in ("unlearning", "continual")), *above)


def best_of(found):
    """The name in ``found`` {name: (margin, entropy)} with the largest margin; of several, the least entropy."""
    return max(found, key=lambda name: (round(found[name][0], 6), -found[name][1]))
