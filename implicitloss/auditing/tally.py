"""Sums of the weights of parts and of labels, over the evaluations that decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from implicitloss.auditing.comparison import SPARE
from implicitloss.auditing.decode import Decoded
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats, Labels
from implicitloss.numerics.bounds import half_width

__all__ = ["Measured", "Sums", "Tally"]


@dataclass(frozen=True, eq=False)
class Measured:
    """Estimates with simultaneous confidence limits, arrays of one shape; `numpy.asarray` gives the estimates."""

    value: Floats
    low: Floats
    high: Floats

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        return np.array(self.value, dtype=dtype)


@dataclass(eq=False)
class Sums:
    """Sum, sum of squares and maximum of terms along one axis; and of the sums of calls, whose terms may depend."""

    total: Floats
    squares: Floats
    most: Floats
    of_calls: Floats
    calls: int = 0

    @classmethod
    def zeros(cls, *shape: int) -> Sums:
        """The moments of no terms."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape))

    def add(self, terms: Floats) -> None:
        """Add the `terms` (rows, b, ...) of one call, summed over b."""
        total = terms.sum(axis=1)
        self.total += total
        self.squares += np.square(terms).sum(axis=1)
        self.of_calls += np.square(total) / terms.shape[1]
        self.calls += 1
        np.maximum(self.most, terms.max(axis=1), out=self.most)

    def at(self, index: Labels) -> Sums:
        """The moments of some of the terms."""
        return Sums(self.total[index], self.squares[index], self.most[index], self.of_calls[index], self.calls)

    def variance(self, n: int) -> Floats:
        """The variance of one of `n` terms: the larger of two estimates, from the terms and from the sums of calls.

        Sums of calls vary more if the terms of a call are positively correlated.
        """
        apart = np.maximum(self.squares - self.total**2 / n, 0.0) / max(n - 1, 1)
        together = np.maximum(self.of_calls - self.total**2 / n, 0.0) / max(self.calls - 1, 1)
        return np.asarray(np.maximum(apart, together) if self.calls > 1 else apart)

    def limits(self, largest: Floats, n: int, delta: float) -> tuple[Floats, Floats]:
        """Means of `n` terms of at most `largest` each, and their empirical-Bernstein half-widths.

        The half-widths are those of `Comparison.with_sums`.
        """
        mean = self.total / n
        variance = self.variance(n)
        # The width is linear in the standard deviation and in the range.
        width = np.sqrt(variance) * half_width(1.0, 0.0, n, delta) + largest * half_width(0.0, 1.0, n, delta)
        return mean, width


@dataclass(eq=False)
class Tally:
    """Sums of the weights of each positive's labels (rows, L), parts (rows, parts) and hits (rows, 1).

    `of_sides` (rows, 2) are those of the measured weight less the claimed one, of the labels scored above the positive
    and below it; only labels that are `counted` (rows, L) enter.
    """

    question: Question
    parts: Sequence[Sequence[Labels]]
    counted: Floats
    n: int = 0
    below: float = -np.inf
    unseen: Floats = field(init=False)
    above: Floats = field(init=False)

    def __post_init__(self) -> None:
        rows, n_labels, width = len(self.parts), self.question.prior.n_labels, max(map(len, self.parts))
        # 1 where a label belongs to a part; parts may overlap.
        self.member = np.zeros((rows, n_labels, width))
        for row, parts in enumerate(self.parts):
            for k, part in enumerate(parts):
                self.member[row, part, k] = 1.0
        self.of_labels = Sums.zeros(rows, n_labels)
        self.of_parts = Sums.zeros(rows, width)
        self.of_hits = Sums.zeros(rows, 1)
        self.of_sides = Sums.zeros(rows, 2)
        self.above, self.unseen = np.zeros((rows, 2)), np.zeros(rows)

    def add(self, decoded: Decoded, is_above: Floats) -> None:
        """Add a call, in equal blocks, one a positive; `is_above` (B, L) is 1 for labels scored above the positive."""
        rows, n_labels = self.counted.shape
        weights = decoded.weights.reshape(rows, -1, n_labels)
        self.n += weights.shape[1]
        self.of_labels.add(weights)
        self.of_parts.add(weights @ self.member)
        hits = decoded.hits.reshape(rows, -1)
        self.of_hits.add(hits[:, :, None])
        self.unseen += np.where(hits > 0, 0.0, decoded.slack.reshape(hits.shape)).sum(axis=1)
        self.below = max(self.below, decoded.below)
        side = is_above.reshape(weights.shape)
        p = self.question.claim.margins
        claimed = np.zeros((rows, n_labels)) if p is None else p
        side = side * self.counted[:, None]
        other = self.counted[:, None] - side
        measured = np.stack([np.einsum("rbl,rbl->rb", weights, s) for s in (side, other)], axis=2)
        said = np.stack([np.einsum("rl,rbl->rb", claimed, s) for s in (side, other)], axis=2)
        self.above += said.sum(axis=1)
        self.of_sides.add(measured - said)

    def margins(self, delta: float) -> Measured:
        """Every label's margin, with empirical-Bernstein limits from the largest contribution seen of the label."""
        most = self.of_labels.most
        # A label that was never seen is bounded by the largest contribution of any label.
        largest = SPARE * np.where(most > 0, most, most.max(axis=1, keepdims=True))
        mean, width = self.of_labels.limits(largest, self.n, delta)
        return Measured(mean, np.maximum(mean - width, 0.0), mean + width)
