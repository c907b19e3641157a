"""Parts of black boxes: losses from draws and from batches, and margins that are claimed of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.libraries.case import Audited
from implicitloss.labels import Floats, LabelPrior, Labels


def of_draws(draw: Callable[[int, np.random.Generator], Labels]) -> Audited:
    """Softmax with weights of 1 over the labels that `draw(positive, rng)` gives."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        counts = np.zeros(scores.shape)
        for row, y in enumerate(positive):
            np.add.at(counts[row], draw(int(y), rng), 1.0)
        return softmax(scores, positive, counts)

    return loss


def softmax(scores: Floats, positive: Labels, counts: Floats) -> Any:
    rows = np.arange(positive.size)
    x = counts * np.exp(scores - scores[rows, positive][:, None])
    hits = x[rows, positive].copy()
    x[rows, positive] = 0.0
    total = 1.0 + x.sum(axis=1) + hits
    slopes = x / total[:, None]
    slopes[rows, positive] = -slopes.sum(axis=1)
    return np.log(total), slopes


def batches(one: Callable[[Floats, Labels, Labels], tuple[float, Floats]], prior: LabelPrior, m: int) -> Audited:
    """In-batch: `one(scores (m + 1,), places (m + 1,), labels (m + 1,))` -> the first example's loss, its gradient.

    `scores` are those of the labels that the batch has, filled up with 0, and `places` where each example's label is.
    `il.adapters.in_batch` has other shapes in each batch: compiled functions would be compiled each time.
    """

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = np.empty(positive.size, np.float32), np.zeros(scores.shape, np.float32)
        for row, y in enumerate(positive):
            labels = np.append(y, rng.choice(prior.n_labels, size=m, p=prior.probabilities))
            present, places = np.unique(labels, return_inverse=True)
            few = np.zeros(m + 1)
            few[: present.size] = scores[row, present]
            values[row], slope = one(few, places, labels)
            slopes[row, present] = slope[: present.size]
        return values, slopes

    return loss


def unit_length(library: Any, f: Any, items: Any) -> tuple[Any, Any]:
    """Queries f (n, k) of length 1 by one more coordinate, which items do not have: cosines are the scores."""
    rest = library.sqrt(1.0 - (f * f).sum(-1, keepdims=True))
    zero = 0.0 * items[:, :1]
    join = library.cat if hasattr(library, "cat") else library.concatenate
    return join([f, rest], -1), join([items, zero], -1)


def inclusion(q: Floats, m: int) -> Floats:
    """P that each label is among m draws without replacement, 1 - exp(-t q), Σ = m."""
    from scipy.optimize import brentq

    t = brentq(lambda t: -np.expm1(-t * q).sum() - m, 0.0, 1e12)
    return np.asarray(-np.expm1(-t * q))


def rows_of(p: Floats) -> Floats:
    """Margins (L, L) that depend on the positive only."""
    return np.broadcast_to(p[:, None], (p.size, p.size)).copy()


def without_hits(p: Floats) -> Floats:
    np.fill_diagonal(p, 0.0)
    return p
