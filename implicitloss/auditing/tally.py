"""The gradient route: every evaluation shows the weight of every label that was drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from implicitloss.auditing.decode import Decoded
from implicitloss.auditing.spread import Spread
from implicitloss.labels import Floats

# Steps between the weights of one label that are less than this share of its greatest are rounding.
WHOLE = 1e-3
# A ratio of weights this near to a whole number is one: by itself, and in proportion (losses in single precision).
NEARLY, ROUNDED = 1e-2, 1e-5


@dataclass(eq=False)
class Tally:
    """Sums over evaluations of each audited positive: weights (rows, L), hits (rows,), and what they look like.

    A pilot, which has no `per_draw` yet, also finds `least`: the weight of one draw, if that is one number.
    """

    rows: int
    n_labels: int
    n: int = 0
    total: Floats = field(init=False)
    least: Floats = field(init=False)
    most: Floats = field(init=False)
    seen: Floats = field(init=False)
    hits: Floats = field(init=False)
    least_hit: Floats = field(init=False)
    most_hit: Floats = field(init=False)
    above: Floats = field(init=False)  # by labels scored above the positive, and below: (rows, 2)
    claimed_above: Floats = field(init=False)
    last: Floats | None = None
    spread: Spread | None = None
    most_draws: float = 0.0
    below: float = -np.inf

    def __post_init__(self) -> None:
        shape, row = (self.rows, self.n_labels), self.rows
        self.total, self.most, self.seen = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.least = np.full(shape, np.inf)
        self.hits, self.most_hit, self.least_hit = np.zeros(row), np.zeros(row), np.full(row, np.inf)
        self.above, self.claimed_above = np.zeros((row, 2)), np.zeros((row, 2))

    def add(
        self, decoded: Decoded, is_above: NDArray[np.bool_], per_draw: Floats | None, claimed: Floats | None
    ) -> None:
        """Evaluations in blocks of equal length, one a positive.  `per_draw` (rows, L): the weight of one draw, 0 for
        labels that are left out of the sums by score; `is_above` (B, L)."""
        weights = decoded.weights.reshape(self.rows, -1, self.n_labels)
        hits = decoded.hits.reshape(self.rows, -1)
        self.n += weights.shape[1]
        self.total += weights.sum(axis=1)
        np.maximum(self.most, weights.max(axis=1), out=self.most)
        if per_draw is None:
            self.weigh_one_draw(weights)
        self.seen += (weights > 0).sum(axis=1)
        self.hits += hits.sum(axis=1)
        self.most_hit = np.maximum(self.most_hit, hits.max(axis=1))
        self.least_hit = np.minimum(self.least_hit, np.where(hits > 0, hits, np.inf).min(axis=1))
        self.below = max(self.below, decoded.below)
        if per_draw is None:
            return
        counted = per_draw > 0
        counts = weights * np.divide(1.0, per_draw, out=np.zeros_like(per_draw), where=counted)[:, None]
        self.most_draws = max(self.most_draws, float(counts.sum(axis=2).max()))
        if self.spread is not None:
            self.spread.add(counts)
        side = is_above.reshape(weights.shape)
        up = np.einsum("rbl,rbl,rl->r", weights, side, counted.astype(float))
        self.above += np.stack([up, (weights.sum(axis=1) * counted).sum(axis=1) - up], axis=1)
        if claimed is not None:
            p = claimed * counted
            up = np.einsum("rbl,rl->r", side, p)
            self.claimed_above += np.stack([up, weights.shape[1] * p.sum(axis=1) - up], axis=1)

    def weigh_one_draw(self, weights: Floats) -> None:
        """The least weight and the least step from one evaluation to the next: a frequent label never comes alone."""
        before = weights[:, :1] if self.last is None else self.last
        steps = np.abs(np.diff(np.concatenate([before, weights], axis=1), axis=1))
        self.last = weights[:, -1:].copy()
        for found in (weights, np.where(steps > WHOLE * weights.max(axis=1, keepdims=True), steps, 0.0)):
            np.minimum(self.least, np.where(found > 0, found, np.inf).min(axis=1), out=self.least)


def share_broken(decoded: Decoded, least: Floats) -> float:
    """Of the weights of labels seen before, the share that is no whole multiple of the `least` (rows, L)."""
    weights = decoded.weights.reshape(least.shape[0], -1, least.shape[1])
    rows, _, labels = np.nonzero(weights)
    ratio = weights[weights > 0] / least[rows, labels]
    ratio = ratio[ratio > 0]  # 1/inf: not seen before
    if ratio.size == 0:
        return 0.0
    return float(np.mean(np.abs(ratio - np.round(ratio)) > NEARLY + ROUNDED * ratio))
