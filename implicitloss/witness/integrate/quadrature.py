"""The trapezoid rule on t = e^v: its nodes, its limits, and why it is exact.

The step is h = 3/16.  M is analytic and at most 1 in Re t > 0, the strip
|Im v| < π/2, so the error of the rule is C e^{-2πa/h} for every a < π/2 (Trefethen and Weideman 2014, theorem 5.1).
For the mean, |1 - M(te^{ia})| <= E min(2, tS) <= 3.2 (1 - M(t)) gives C <= 6.4/cos a relative to the value, and for the
gradient C = 2/cos a, both below 1e-19 at a = π/2 - 0.04.  Truncation: e^v is cut 40 units below -log max(1, m max x),
by concavity at most e^{-40}/log 2 = 7e-18 of the value, and at t = 50, at most 1e-20 of it.  What remains is rounding
and, for many labels, the interpolation of `compression`; that is what `error` bounds:

- a relative error ε of 1 - φ at every t makes at most ε of the mean, as 1 - φ^m grows by at most 1 % where 1 - φ does;
- an error δ of φ e^{t x̄} - 1 makes m δ E e^{-t(R-1)}/(φ e^{t x̄}) e^{-t} of D, and so the same integral over it.
"""

from __future__ import annotations

import numpy as np

from implicitloss.labels import Floats

__all__ = ["EPS", "LARGEST_LOG_WORTH", "LEAST_LOG_Q", "LEFT", "RIGHT", "STABLE_TO_LOG_T", "STEP", "nodes", "power"]

EPS = float(np.finfo(np.float64).eps)
# log of the least q that the integrals take: e^-700 is well above the subnormal numbers.
LEAST_LOG_Q = -700.0
STEP = 3 / 16  # a binary fraction: the nodes k h are exact
LEFT = 40.0
RIGHT = np.log(50.0)
MOST_NODES = 100_000_000
# Up to this v = log t, D_c = e^{-t} expm1(.) neither cancels nor overflows; beyond it e^{-t} < 1e-303 does not count.
STABLE_TO_LOG_T = np.log(700.0)
# A draw may pay at most e^LARGEST_LOG_WORTH times what the positive does; the nodes reach as far down in log t.
LARGEST_LOG_WORTH = 1e5


def nodes(low: float, high: float) -> Floats:
    """The nodes v = k h from `low` to `high`; *raises* ValueError where these are too many for any memory."""
    if not (high - low) / STEP < MOST_NODES:
        raise ValueError(
            f"scores and log weights lie too far apart: an integral over log t from {low:.3g} to {high:.3g} has more "
            f"than {MOST_NODES:,} nodes"
        )
    return STEP * np.arange(np.floor(low / STEP), np.ceil(high / STEP) + 1)


def power(exponent: int, log_phi: Floats) -> Floats:
    """log φ^exponent, which is 0 for the exponent 0 even where φ underflows to 0."""
    return exponent * log_phi if exponent else np.zeros_like(log_phi)
