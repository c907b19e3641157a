"""Loops over the drawn negatives of a minibatch: each example's loss, and its gradient in the scores."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

__all__ = ["push_decoupled", "push_softmax"]

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]


@kernel
def push_softmax(
    scores: Floats, rows: Labels, positives: Labels, drawn: Labels, log_w: Floats, gradient: Floats
) -> Floats:
    """log(1 + Σ w e^{f_y' - f_y}) of each example (P,); its gradient is added to `gradient` (B, L).

    `drawn`, `log_w` are (P, m): negatives and their weights; a hit has e^0 and no gradient.
    """
    n, m = drawn.shape
    losses, terms = np.empty(n), np.empty(m)
    for i in range(n):
        row, y = rows[i], positives[i]
        top = 0.0
        for k in range(m):
            # What weighs nothing adds nothing, however far apart the scores.
            terms[k] = -np.inf
            if log_w[i, k] != -np.inf:
                terms[k] = log_w[i, k] + (scores[row, drawn[i, k]] - scores[row, y])
            top = max(top, terms[k])
        rest = 0.0
        for k in range(m):
            terms[k] = math.exp(terms[k] - top)
            rest += terms[k]
        total = math.exp(-top) + rest
        # Where all negatives are small, their digits would be lost beside the 1.
        losses[i] = top + math.log(total) if top > 0.0 else math.log1p(rest)
        for k in range(m):
            share = terms[k] / total
            gradient[row, drawn[i, k]] += share
            gradient[row, y] -= share
    return losses


@kernel
def push_decoupled(
    payment: Floats, slope: Floats, rows: Labels, drawn: Labels, log_w: Floats, gradient: Floats
) -> Floats:
    """Σ w ϕ(-f_y') of each example (P,), for payments ϕ(-f) and their slopes (B, L); gradient as above."""
    n, m = drawn.shape
    losses = np.empty(n)
    for i in range(n):
        row, total = rows[i], 0.0
        for k in range(m):
            w = math.exp(log_w[i, k])
            # What weighs nothing adds nothing, however much it would pay.
            if w > 0.0:
                total += w * payment[row, drawn[i, k]]
                gradient[row, drawn[i, k]] += w * slope[row, drawn[i, k]]
        losses[i] = total
    return losses
