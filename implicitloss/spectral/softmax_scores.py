"""Scores of softmax regression in place of those of ridge regression, from the latter left out.

Least squares and softmax err on other classes: on images of digits, offsets that make the errors of ridge regression
equal made those of softmax less even, whatever their scale.  Softmax regression on the K scores that ridge regression
gives to samples left out errs as one on the features does, and costs no other fit on them.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from implicitloss.labels import Floats, Labels

__all__ = ["softmax_scores"]

# The ridge of the K² coefficients, which are near 10 on scores of targets 0 and 1; and L-BFGS's steps.
RIDGE, MOST_STEPS = 1.0, 300


def softmax_scores(scores: Floats, codes: Labels) -> Floats:
    """The scores f_i = B s_i + a, (n, K), of the least Σ_i -log softmax(f_i)_{y_i} + ½ ‖B‖², s_i centred."""
    n, k = scores.shape
    wide = np.column_stack([scores - scores.mean(axis=0), np.ones(n)])
    rows = np.arange(n)

    def objective(at: Floats) -> tuple[float, Floats]:
        weights = at.reshape(k + 1, k)
        logits = wide @ weights
        total = logsumexp(logits, axis=1)
        value = float(np.sum(total - logits[rows, codes])) + RIDGE / 2 * float(np.sum(weights[:-1] ** 2))
        share = np.exp(logits - total[:, None])
        share[rows, codes] -= 1
        gradient = wide.T @ share
        gradient[:-1] += RIDGE * weights[:-1]
        return value, gradient.ravel()

    start = np.zeros((k + 1, k))
    found = minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS})
    return np.asarray(wide @ found.x.reshape(k + 1, k))
