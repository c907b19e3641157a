"""Sums of the weights of parts and of labels, over the evaluations that decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from implicitloss.auditing.comparison import SPARE, farthest
from implicitloss.auditing.decode import Decoded
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats, Labels
from implicitloss.numerics.bounds import sum_half_width

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
    """Moments of the sums Y over the examples of each call: Σ Y, Σ Y², Σ b Y and the largest Y, arrays of one shape.

    b is the number of examples that are summed, in all `n`, and `sizes` is Σ b².
    """

    total: Floats
    squares: Floats
    by_size: Floats
    most: Floats
    n: int = 0
    sizes: float = 0.0

    @classmethod
    def zeros(cls, *shape: int) -> Sums:
        """The moments of no sums."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape))

    def add(self, terms: Floats, together: int) -> None:
        """Add the `terms` (rows, b, ...) of several calls with `together` each, or of one with fewer."""
        b = terms.shape[1]
        size = min(together, b)
        sums = terms if size == 1 else terms.reshape(len(terms), -1, size, *terms.shape[2:]).sum(axis=2)
        total = sums.sum(axis=1)
        self.total += total
        self.squares += np.square(sums).sum(axis=1)
        self.by_size += size * total
        self.n += b
        self.sizes += size * b
        np.maximum(self.most, sums.max(axis=1), out=self.most)

    def at(self, index: Any) -> Sums:
        """The moments of some of the terms."""
        total, squares, by_size, most = (
            np.asarray(array[index]) for array in (self.total, self.squares, self.by_size, self.most)
        )
        return Sums(total, squares, by_size, most, self.n, self.sizes)

    def squares_about(self, mean: Floats | float) -> Floats:
        """Σ (Y - b mean)²."""
        return np.asarray(np.maximum(self.squares - 2 * mean * self.by_size + np.square(mean) * self.sizes, 0.0))

    def limits(self, expected: Floats, together: int, largest: Floats, delta: float) -> tuple[Floats, Floats]:
        """Means of terms that are `expected` to be these, and half-widths of their limits, as `Comparison.with_sums`.

        The terms of one call add up to at most `largest` each, where so many count `together`.
        """
        span = farthest(together * expected, largest)
        return self.total / self.n, sum_half_width(self.squares_about(expected), span, delta) / self.n


@dataclass(eq=False)
class Tally:
    """Sums of the weights of each positive's labels (rows, L), parts (rows, parts) and hits (rows, 1).

    `of_sides` (rows, 2) are those of the measured weight less the claimed one, of the labels scored above the positive
    and below it; only labels that are `counted` (rows, L) enter.  Examples of one call count `together`, or alone if 1.
    """

    question: Question
    parts: Sequence[Sequence[Labels]]
    counted: Floats
    together: int
    n: int = 0
    below: float = -np.inf
    bias: float = 0.0
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
        """Add calls, in equal blocks, one a positive; `is_above` (B, L) is 1 for labels scored above the positive."""
        rows, n_labels = self.counted.shape
        weights = decoded.weights.reshape(rows, -1, n_labels)
        self.n += weights.shape[1]
        self.of_labels.add(weights, self.together)
        self.of_parts.add(weights @ self.member, self.together)
        hits = decoded.hits.reshape(rows, -1)
        self.of_hits.add(hits[:, :, None], self.together)
        self.unseen += np.where(hits > 0, 0.0, decoded.slack.reshape(hits.shape)).sum(axis=1)
        self.below, self.bias = max(self.below, decoded.below), max(self.bias, decoded.bias)
        side = is_above.reshape(weights.shape)
        p = self.question.claim.margins
        claimed = np.zeros((rows, n_labels)) if p is None else p
        side = side * self.counted[:, None]
        other = self.counted[:, None] - side
        measured = np.stack([np.einsum("rbl,rbl->rb", weights, s) for s in (side, other)], axis=2)
        said = np.stack([np.einsum("rl,rbl->rb", claimed, s) for s in (side, other)], axis=2)
        self.above += said.sum(axis=1)
        self.of_sides.add(measured - said, self.together)

    def margins(self, expected: Floats, delta: float) -> Measured:
        """Every label's margin, with limits from its largest contribution that was seen; `expected` by the pilot."""
        most = self.of_labels.most
        # A label that was never seen is bounded by the largest contribution of any label.
        largest = SPARE * np.where(most > 0, most, most.max(axis=1, keepdims=True))
        mean, width = self.of_labels.limits(expected, self.together, largest, delta)
        return Measured(mean, np.maximum(mean - width, 0.0), mean + width)
