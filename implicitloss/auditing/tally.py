"""Sums of what cells and labels weighed, over the evaluations that decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from implicitloss.auditing.decode import Decoded
from implicitloss.labels import Floats, Labels
from implicitloss.numerics.bounds import half_width


@dataclass(eq=False)
class Moments:
    """Sum, sum of squares and maximum of the terms of an axis; and of the sums of calls, whose terms may depend."""

    total: Floats
    squares: Floats
    most: Floats
    of_calls: Floats
    calls: int = 0

    @classmethod
    def zeros(cls, *shape: int) -> Moments:
        """Of no terms."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape))

    def add(self, terms: Floats) -> None:
        """The `terms` (rows, b, ...) of one call, summed over b."""
        total = terms.sum(axis=1)
        self.total += total
        self.squares += np.square(terms).sum(axis=1)
        self.of_calls += np.square(total) / terms.shape[1]
        self.calls += 1
        np.maximum(self.most, terms.max(axis=1), out=self.most)

    def variance(self, n: int) -> Floats:
        """Of one of `n` terms: by the terms themselves or by the sums of calls, whichever is more.

        Terms of a call that hang together make its sums vary more.
        """
        apart = np.maximum(self.squares - self.total**2 / n, 0.0) / max(n - 1, 1)
        together = np.maximum(self.of_calls - self.total**2 / n, 0.0) / max(self.calls - 1, 1)
        return np.asarray(np.maximum(apart, together) if self.calls > 1 else apart)

    def limits(self, heaviest: Floats, n: int, delta: float) -> tuple[Floats, Floats]:
        """Means of `n` terms of at most `heaviest`, and their empirical-Bernstein half-widths, as one cell has them."""
        mean = self.total / n
        variance = self.variance(n)
        # Linear in the standard deviation and in the range.
        width = np.sqrt(variance) * half_width(1.0, 0.0, n, delta) + heaviest * half_width(0.0, 1.0, n, delta)
        return mean, width


@dataclass(eq=False)
class Tally:
    """Of each positive: moments of every label's weight (rows, L), of each part's (rows, parts) and of hits (rows, 1);
    and of the weight of labels scored above the positive, and below it, less what is claimed (rows, 2)."""

    rows: int
    n_labels: int
    parts: Sequence[Sequence[Labels]]
    claimed: Floats | None
    counted: Floats  # 1 for the labels that are summed by score, (rows, L)
    n: int = 0
    unseen: Floats = field(init=False)
    above: Floats = field(init=False)
    below: float = -np.inf

    def __post_init__(self) -> None:
        width = max(map(len, self.parts))
        # Of which part a label is; parts may overlap.
        self.member = np.zeros((self.rows, self.n_labels, width))
        for row, parts in enumerate(self.parts):
            for k, part in enumerate(parts):
                self.member[row, part, k] = 1.0
        self.labels = Moments.zeros(self.rows, self.n_labels)
        self.cells = Moments.zeros(self.rows, width)
        self.hits = Moments.zeros(self.rows, 1)
        self.sides = Moments.zeros(self.rows, 2)
        self.above, self.unseen = np.zeros((self.rows, 2)), np.zeros(self.rows)

    def add(self, decoded: Decoded, is_above: Floats) -> None:
        """Evaluations in blocks of equal length, one a positive; `is_above` (B, L) is 1 for labels scored above it."""
        weights = decoded.weights.reshape(self.rows, -1, self.n_labels)
        self.n += weights.shape[1]
        self.labels.add(weights)
        self.cells.add(weights @ self.member)
        hits = decoded.hits.reshape(self.rows, -1)
        self.hits.add(hits[:, :, None])
        self.unseen += np.where(hits > 0, 0.0, decoded.slack.reshape(hits.shape)).sum(axis=1)
        self.below = max(self.below, decoded.below)
        side = is_above.reshape(weights.shape)
        claimed = np.zeros((self.rows, self.n_labels)) if self.claimed is None else self.claimed
        side = side * self.counted[:, None]
        other = self.counted[:, None] - side
        measured = np.stack([np.einsum("rbl,rbl->rb", weights, s) for s in (side, other)], axis=2)
        said = np.stack([np.einsum("rl,rbl->rb", claimed, s) for s in (side, other)], axis=2)
        self.above += said.sum(axis=1)
        self.sides.add(measured - said)
