"""What is refused, in one line: the thing, the rule, the value given.

Every refusal a user can meet is raised from here, so the command line can tell a refused input (exit status 2)
from a fault of its own.
"""

__all__ = ["Refusal", "RefusedType", "RefusedValue", "need_integer"]


class Refusal(Exception):
    """Base of everything refused. Its text is one line that names the thing, the rule and the value."""


class RefusedValue(Refusal, ValueError):
    """A value of the right kind that breaks a rule."""


class RefusedType(Refusal, TypeError):
    """A value of the wrong kind."""


def need_integer(thing, value, low, high):
    """Return ``value`` if it is an integer of ``low..high``; refuse it by name otherwise.

    Parameters: ``thing`` (str, how the user knows it), ``value``, ``low`` and ``high`` (inclusive; ``high`` may be
    None). Raises RefusedType for another kind (booleans included), RefusedValue for another range.
    """
    rule = f"an integer of {low}..{high}" if high is not None else f"an integer of at least {low}"
    if not isinstance(value, int) or isinstance(value, bool):
        raise RefusedType(f"{thing} must be {rule}, not {value!r}")
    if value < low or (high is not None and value > high):
        raise RefusedValue(f"{thing} must be {rule}, not {value}")
    return value
