"""The tilt of a trained model, measured on the slots of held-out batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_matrix
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.problem import LARGEST_SCORE

__all__ = ["measured_tilt"]

LARGEST_LOG_PRIOR = 1e4
STEPS = 200
# The search stops where a step is so small beside the standard error.
SETTLED = 1e-9
# A step of Newton's method is no longer than this many standard errors of where it starts.
LONGEST_STEP = 50.0


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
    >>> il.measured_tilt((scores - np.log(q))[labels], prior.log[labels])
    Estimate(tilt = 0.292265007720401 ± 0.016, maximum likelihood, n=4000)
    """
    z, x = checked_matrix(logits, "logits", LARGEST_SCORE), checked_matrix(log_prior, "log_prior", LARGEST_LOG_PRIOR)
    if z.shape != x.shape or z.shape[1] < 2:
        raise ValueError(f"logits and log_prior must be of the same slots (B, 1 + m), got {z.shape} and {x.shape}")
    if not np.any(np.ptp(x, axis=1) > 0):
        raise ValueError("a tilt needs slots with frequent and rare labels, but in each example all are alike")
    if np.all(x[:, 0] <= x.min(axis=1)) or np.all(x[:, 0] >= x.max(axis=1)):
        which = "rarest" if np.all(x[:, 0] <= x.min(axis=1)) else "most frequent"
        raise ValueError(f"no finite tilt fits: every positive is the {which} of its slots; take more examples")
    x = x - x.mean()
    slope, information = _moments(z, x, 0.0)
    low, high, b = -np.inf, np.inf, 0.0
    for _ in range(STEPS):
        low, high = (b, high) if slope > 0 else (low, b)
        error = information**-0.5 if information > 0 else np.inf
        step = slope * error**2 if error < np.inf else np.copysign(1.0, slope)
        step = float(np.clip(step, -LONGEST_STEP * error, LONGEST_STEP * error))
        if abs(step) <= SETTLED * error:
            break
        b = b + step if low < b + step < high else (low + high) / 2
        slope, information = _moments(z, x, b)
    return Estimate(float(b), float(information**-0.5), "tilt", "maximum likelihood", n=len(z))


def _moments(z: Floats, x: Floats, b: float) -> tuple[float, float]:
    """Σ (E_slots x - x_y), which falls in b, and Σ Var_slots x, at the tilt b."""
    logits = z - b * x
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    mean = np.sum(share * x, axis=1)
    return float(np.sum(mean - x[:, 0])), float(np.sum(share * (x - mean[:, None]) ** 2))
