"""The examples of a call: several count each by itself, unless the pilot shows that they depend on each other."""

from __future__ import annotations

from implicitloss.auditing.finding import Note

__all__ = ["dependence", "examples_a_call"]

# The largest number of scores in a call after the pilot, and of examples of one positive or part.
SCORES_A_CALL, EXAMPLES_A_CALL = 1 << 18, 64


def examples_a_call(rows: int, n_labels: int) -> int:
    """How many independent examples of each of the `rows` a call has."""
    return max(1, min(EXAMPLES_A_CALL, SCORES_A_CALL // (rows * n_labels)))


def dependence(is_shared: bool, is_dependent: bool) -> list[Note]:
    """A note where examples of one call depend on each other, so that a call may have only one of each positive."""
    if is_shared:
        said = "examples of one call share their negatives, or draw none; each call counts once"
        return [Note("shared negatives", said)]
    if is_dependent:
        return [Note("dependent examples", "examples of one call depend on each other; each call counts once")]
    return []
