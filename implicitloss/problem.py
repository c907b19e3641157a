"""One training example as the loss sees it: scores, prior, positive label."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implicitloss.arguments import checked_instance, checked_vector, checked_wholes
from implicitloss.labels import NO_LABELS, Floats, LabelPrior, Labels, checked_label, checked_prior

__all__ = [
    "LARGEST_SCORE",
    "Problem",
    "checked_others",
    "checked_positive",
    "checked_problem",
    "checked_returned",
    "checked_scores",
]

# The square of a score must fit a float.  To mask a label, -1e9 is enough.
LARGEST_SCORE = 1e150


def checked_positive(positive: int, n_labels: int) -> int:
    """`positive` as a label of L = `n_labels`; *raises* ValueError when it is out of range or not whole."""
    return checked_label(positive, n_labels, "the positive")


def checked_scores(scores: ArrayLike, n_labels: int, what: str = "scores") -> Floats:
    """`scores` as a vector (L,); *raises* ValueError for NaN, infinite and larger ones, and for another L."""
    found = checked_vector(scores, what)
    if found.size != n_labels:
        raise ValueError(f"{what} and prior must cover the same labels, got {found.size} scores for {n_labels} labels")
    worst = int(np.argmax(np.abs(found)))
    if abs(found[worst]) > LARGEST_SCORE:
        raise ValueError(
            f"{what} must lie within ±{LARGEST_SCORE:g} (to mask a label take -1e9), but label {worst} has "
            f"{found[worst]:g}"
        )
    return found


def checked_others(labels: ArrayLike, n_labels: int) -> Labels:
    """The other positives of an example, in order; *raises* ValueError for labels out of range, and for one twice."""
    found = np.sort(checked_wholes(labels, "the other positives", n_labels))
    twice = found[1:][found[1:] == found[:-1]]
    if twice.size:
        raise ValueError(f"the other positives must differ, got label {twice[0]} more than once")
    found.setflags(write=False)
    return found


def checked_returned(labels: ArrayLike, n_labels: int) -> Labels:
    """The labels that an index returned, -1 for an empty slot; *raises* ValueError for others, and for one twice."""
    # Labels count from 0, and -1 must not become the last one.
    found = checked_wholes(labels, "labels from an index", n_labels, least=-1)
    ordered = np.sort(found[found >= 0])
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if twice.size:
        raise ValueError(f"labels from an index must differ, got label {twice[0]} more than once")
    found.setflags(write=False)
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
    index_scores : array_like, (L,), optional
        The scores that an index of labels saw, from which a scheme's hard negatives are; by default f.
    labels : array_like of int, (n,), optional
        Instead of these, the labels that the index returned, best first; -1 is an empty slot.
    other_positives : array_like of int, (n,), optional
        The other labels that are right for the same x.  P, the positives of x, are these and y.  No label of P is a
        hard negative, and a draw of one is a hit.

    Raises
    ------
    ValueError
        For scores that are not finite or too large, another number of scores than labels, y out of range, a label from
        the index, or another positive, that is out of range or comes twice, y among the other positives, and for both
        `index_scores` and `labels`.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), positive=1)
    Problem(4 labels, positive 1)
    """

    scores: Floats
    prior: LabelPrior
    positive: int
    index_scores: Floats | None = field(default=None, kw_only=True)
    labels: Labels | None = field(default=None, kw_only=True)
    other_positives: Labels = field(default_factory=lambda: NO_LABELS, kw_only=True)

    def __post_init__(self) -> None:
        checked_prior(self.prior)
        object.__setattr__(self, "scores", checked_scores(self.scores, self.prior.n_labels))
        object.__setattr__(self, "positive", checked_positive(self.positive, self.prior.n_labels))
        if self.index_scores is not None and self.labels is not None:
            raise ValueError("a problem must have index_scores or labels, what the index saw or returned, got both")
        if self.index_scores is not None:
            found = checked_scores(self.index_scores, self.prior.n_labels, "index_scores")
            object.__setattr__(self, "index_scores", found)
        if self.labels is not None:
            object.__setattr__(self, "labels", checked_returned(self.labels, self.prior.n_labels))
        others = self.other_positives
        if others is not NO_LABELS:
            others = checked_others(others, self.prior.n_labels)
        if np.any(others == self.positive):
            raise ValueError(
                f"the other positives must be labels beside the positive, got the positive itself, {self.positive}"
            )
        object.__setattr__(self, "other_positives", others)

    @property
    def positives(self) -> Labels:
        """P, the positives of x: the other ones, and y last."""
        return np.append(self.other_positives, self.positive)

    def among(self, kept: NDArray[np.bool_], prior: LabelPrior) -> Problem:
        """The problem with the labels `kept` (L,) alone, y among them, under a `prior` over these.

        What an index saw or returned is left out.
        """
        at = np.cumsum(kept) - 1
        others = at[self.other_positives[kept[self.other_positives]]]
        return Problem(self.scores[kept], prior, int(at[self.positive]), other_positives=others)

    def __repr__(self) -> str:
        beside = f", other positives {self.other_positives.tolist()}" if self.other_positives.size else ""
        return f"Problem({self.prior.n_labels} labels, positive {self.positive}{beside})"


def checked_problem(problem: Problem) -> Problem:
    """`problem`; *raises* ValueError for anything that is no Problem."""
    return checked_instance(problem, Problem, "the problem", "Problem(scores, prior, positive=0)")
