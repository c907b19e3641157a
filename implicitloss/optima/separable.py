"""The optimum of softmax with margins p_yy' = a_y b_y': a search in one number."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.labels import Floats
from implicitloss.numerics.logsum import logsumexp
from implicitloss.optima.newton import NoOptimum

__all__ = ["optimum_of_shares", "separable_optimum"]

# Shares of all that a label has are told from 0 and from 1 to here.
WIDEST_LOGIT = 740.0


def separable_optimum(eta: ArrayLike, a: ArrayLike, b: ArrayLike) -> Floats:
    """The softmax optimum for margins p_yy' = a_y b_y', y' ≠ y, centred, (L,), by a search in one number.

    With c_y = a_y b_y and shares t_y = b_y e^{f_y} / Σ b e^f the loss of y is log(c_y + (1 - c_y) t_y) - log t_y, and
    so at the optimum t_y (t_y + c_y (1 - t_y)) = η_y c_y/λ, with one λ that makes Σ t = 1.  Where c_y > 2 two shares
    solve that, but the larger one is above ½, and so at most one label has it: the k with the largest η_k (1 - 1/c_k),
    whose share is the number that is looked for.  The loss is convex in f, and so there is one solution.
    *Source:* derived.
    """
    eta, a, b = (np.asarray(values, dtype=np.float64) for values in (eta, a, b))
    return optimum_of_shares(eta, np.log(a), np.log(b))


def optimum_of_shares(eta: Floats, log_a: Floats, log_b: Floats) -> Floats:
    """`separable_optimum` from log a and log b."""
    from scipy.optimize import brentq

    excess = np.expm1(-(log_a + log_b))  # 1/c - 1
    k = int(np.argmax(-eta * excess))

    def shares(logit: float) -> Floats:
        """log t, where that of k is the logistic function of `logit`."""
        log_k, log_others = -np.logaddexp(0.0, -logit), -np.logaddexp(0.0, logit)
        rate = np.log(eta[k]) - log_k - np.logaddexp(log_others, log_k - log_a[k] - log_b[k])  # log λ
        root = np.sqrt(np.maximum(1 + 4 * eta * excess * np.exp(-rate), 0.0))
        found = np.log(2 * eta / (1 + root)) - rate
        found[k] = log_k
        return np.asarray(found)

    def off(logit: float) -> float:
        """log of all other shares, less log(1 - t_k)."""
        return float(logsumexp(np.delete(shares(logit), k)) + np.logaddexp(0.0, logit))

    with np.errstate(over="ignore", invalid="ignore"):
        if not off(-WIDEST_LOGIT) < 0 < off(WIDEST_LOGIT):
            raise NoOptimum("the search did not converge: shares lie too far apart for floating point")
        f = shares(brentq(off, -WIDEST_LOGIT, WIDEST_LOGIT, xtol=1e-13, rtol=1e-15)) - log_b
    return np.asarray(f - f.mean())
