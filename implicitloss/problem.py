"""One training example as the loss sees it: scores, prior, positive label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_instance, checked_vector
from implicitloss.labels import Floats, LabelPrior, checked_label, checked_prior

__all__ = ["Problem", "checked_positive", "checked_problem", "checked_scores"]

# The square of a score must fit a float.  To mask a label, -1e9 is enough.
LARGEST_SCORE = 1e150


def checked_positive(positive: int, n_labels: int) -> int:
    """`positive` as a label of L = `n_labels`; *raises* ValueError when it is out of range or not whole."""
    return checked_label(positive, n_labels, "the positive")


def checked_scores(scores: ArrayLike, n_labels: int) -> Floats:
    """`scores` as a vector (L,); *raises* ValueError for NaN, infinite and larger ones, and for another L."""
    found = checked_vector(scores, "scores")
    if found.size != n_labels:
        raise ValueError(f"scores and prior must cover the same labels, got {found.size} scores for {n_labels} labels")
    worst = int(np.argmax(np.abs(found)))
    if abs(found[worst]) > LARGEST_SCORE:
        raise ValueError(
            f"scores must lie within ±{LARGEST_SCORE:g} (to mask a label take -1e9), but label {worst} has "
            f"{found[worst]:g}"
        )
    return found


@dataclass(frozen=True, eq=False)
class Problem:
    """One training example as the loss sees it: scores f, label prior π, positive label y.

    Parameters
    ----------
    scores : array_like, (L,)
        The scores (logits) f of all labels, within ±1e150.
    prior : LabelPrior
        The prior π over the same L labels.
    positive : int
        The positive label y, from 0 to L - 1.

    Raises
    ------
    ValueError
        For scores that are not finite or too large, another number of scores than labels, or y out of range.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), positive=1)
    Problem(4 labels, positive 1)
    """

    scores: Floats
    prior: LabelPrior
    positive: int

    def __post_init__(self) -> None:
        checked_prior(self.prior)
        object.__setattr__(self, "scores", checked_scores(self.scores, self.prior.n_labels))
        object.__setattr__(self, "positive", checked_positive(self.positive, self.prior.n_labels))

    def __repr__(self) -> str:
        return f"Problem({self.prior.n_labels} labels, positive {self.positive})"


def checked_problem(problem: Problem) -> Problem:
    """`problem`; *raises* ValueError for anything that is no Problem."""
    return checked_instance(problem, Problem, "the problem", "Problem(scores, prior, positive=0)")
