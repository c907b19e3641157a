"""A note on the examples of a call that depend on each other, so that a call may have only one of each positive."""

from __future__ import annotations

from implicitloss.auditing.finding import Note

__all__ = ["dependence"]


def dependence(is_shared: bool, is_dependent: bool) -> list[Note]:
    """A note where examples of one call depend on each other: a call then has only one of each positive."""
    if is_shared:
        said = "examples of one call share their negatives, or draw none; each call counts once"
        return [Note("shared negatives", said)]
    if is_dependent:
        return [Note("dependent examples", "examples of one call depend on each other; each call counts once")]
    return []
