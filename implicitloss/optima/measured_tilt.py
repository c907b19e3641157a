"""The tilt of a trained model, measured on the slots of held-out batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from implicitloss.arguments import checked_matrix
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.problem import LARGEST_SCORE

__all__ = ["measured_tilt"]

LARGEST_LOG_PRIOR = 1e4
# What is left of Σ (E_slots log π - log π_y), beside its standard deviation.
SETTLED = 1e-6
# Σ Var_slots of log π over its range: what is less is rounding.
LEAST = 1e-10
# The tilt is looked for up to so many times the range of log π, in units of 1/range.
DOUBLINGS = 60


def measured_tilt(logits: ArrayLike, log_prior: ArrayLike) -> Estimate:
    """Estimate how far a model's scores are tilted from its target, as a slope on log π, from held-out batches.

    The tilt b is the maximum-likelihood estimate in scores = log η - log δ + b log π: the root of
    Σ_examples (E_slots log π - log π_y) = 0, E_slots under softmax over the slots of logits - b log π.  0 says that the
    scores are those of the target, below 0 rare labels gain.  Its standard error is (Σ Var_slots log π)^{-1/2}.

    Parameters
    ----------
    logits : array_like, (B, 1 + m)
        What the sampled loss takes the softmax of: scores with log q - log δ taken off all of them, the positive's in
        the first column, then those of m i.i.d. draws from q.  Hits are left in.  For softmax over all labels δ = 1.
    log_prior : array_like, (B, 1 + m)
        log π of the same labels, each up to one constant.

    Returns
    -------
    Estimate
        b with its standard error; `n` is the number of examples.

    Raises
    ------
    ValueError
        For arrays of other shapes, numbers that are not finite, slots whose labels are all equally frequent, and
        batches that no finite tilt fits: every positive is the rarest of its slots, or the most frequent.

    Notes
    -----
    Take batches that were not trained on: on the training loss b goes to 0 for wrong weights too.  Masked hits, draws
    without repetition and negatives that depend on the positive make slots unlike, and b biased.

    References
    ----------
    Derived here.

    Examples
    --------
    Scores of a model that leans to frequent labels by 0.3, on batches whose positives and draws are known.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng, prior = np.random.default_rng(0), il.LabelPrior.zipf(50, 1.0)
    >>> eta, q, n, m = prior.probabilities, np.full(50, 1 / 50), 4000, 8
    >>> labels = np.column_stack([rng.choice(50, n, p=eta), rng.choice(50, (n, m), p=q)])
    >>> scores = np.log(eta) + 0.3 * prior.log
    >>> found = il.measured_tilt((scores - np.log(q))[labels], prior.log[labels])
    >>> print(f"{float(found):.2f} ± {float(found.error):.2f}")
    0.29 ± 0.02
    """
    z, x = checked_matrix(logits, "logits", LARGEST_SCORE), checked_matrix(log_prior, "log_prior", LARGEST_LOG_PRIOR)
    if z.shape != x.shape or z.shape[1] < 2:
        raise ValueError(f"logits and log_prior must be of the same slots (B, 1 + m), got {z.shape} and {x.shape}")
    if not np.any(np.ptp(x, axis=1) > 0):
        raise ValueError("a tilt needs slots with frequent and rare labels, but in each example all are alike")
    if np.all(x[:, 0] <= x.min(axis=1)) or np.all(x[:, 0] >= x.max(axis=1)):
        which = "rarest" if np.all(x[:, 0] <= x.min(axis=1)) else "most frequent"
        raise ValueError(f"no finite tilt fits: every positive is the {which} of its slots; take more examples")
    scale = float(np.ptp(x, axis=1).max())
    x = (x - x[:, :1]) / scale
    slope, _ = _moments(z, x, 0.0)
    ends = [0.0, float(np.copysign(1.0, slope))]
    while _moments(z, x, ends[1])[0] * slope > 0 and len(ends) < DOUBLINGS:
        ends = [ends[1], 2 * ends[1], *ends[1:]]
    at = 0.0
    if slope != 0 and _moments(z, x, ends[1])[0] * slope <= 0:
        at = float(brentq(lambda b: _moments(z, x, b)[0], ends[0], ends[1], xtol=1e-13, rtol=1e-14))
    slope, information = _moments(z, x, at)
    if not (information > LEAST and abs(slope) <= SETTLED * information**0.5):
        raise ValueError("no tilt fits: logits lie so far apart that no slope on log π is seen; take more examples")
    return Estimate(at / scale, information**-0.5 / scale, "tilt", "maximum likelihood", n=len(z))


def _moments(z: Floats, x: Floats, b: float) -> tuple[float, float]:
    """Σ (E_slots x - x_y), which falls in b, and Σ Var_slots x, at the tilt b."""
    logits = z - b * x
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    mean = np.sum(share * x, axis=1)
    return float(np.sum(mean - x[:, 0])), float(np.sum(share * (x - mean[:, None]) ** 2))
