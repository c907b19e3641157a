"""One training example as the loss sees it: scores, prior, positive label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implicitloss.labels import Floats, LabelPrior, checked_vector


def checked_positive(positive: int, n_labels: int) -> int:
    """`positive` as a label of L = `n_labels`; *raises* ValueError when it is out of range or not whole."""
    if isinstance(positive, bool) or not isinstance(positive, (int, np.integer)):
        raise ValueError(f"the positive must be a whole number, got {positive!r}")
    if not 0 <= positive < n_labels:
        raise ValueError(f"the positive must be a label from 0 to {n_labels - 1}, got {positive}")
    return int(positive)


# Squares of scores are still numbers.  A label that is masked needs no more than -1e9.
LARGEST_SCORE = 1e150


@dataclass(frozen=True, eq=False)
class Problem:
    """Scores f (L,), within ±1e150; prior π over the same L labels; the positive label y, from 0 to L-1.

    *Raises* ValueError for NaN, infinite or larger scores, scores and prior of different lengths, y out of range.
    """

    scores: Floats
    prior: LabelPrior
    positive: int

    def __post_init__(self) -> None:
        if not isinstance(self.prior, LabelPrior):
            raise ValueError(
                f"the prior must be a LabelPrior, e.g. LabelPrior.from_counts(...), got {self.prior!r:.60}"
            )
        object.__setattr__(self, "scores", checked_vector(self.scores, "scores"))
        if self.scores.size != self.prior.n_labels:
            raise ValueError(
                f"scores and prior must cover the same labels, got {self.scores.size} scores "
                f"for {self.prior.n_labels} labels"
            )
        worst = int(np.argmax(np.abs(self.scores)))
        if abs(self.scores[worst]) > LARGEST_SCORE:
            raise ValueError(
                f"scores must lie within ±{LARGEST_SCORE:g} (to mask a label take -1e9), but label {worst} has "
                f"{self.scores[worst]:g}"
            )
        object.__setattr__(self, "positive", checked_positive(self.positive, self.prior.n_labels))

    def __repr__(self) -> str:
        return f"Problem({self.prior.n_labels} labels, positive {self.positive})"
