"""Sums over labels at the nodes of an integral, Σ_j q_j g(e^v x_j), and integrals at every label, in bins of log x.

The bins are those of `witness.integrate.compression`, which bounds their error: 1e-18 of a sum at a width of 1/4, and
3e-14 at 1/2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from implicitloss.labels import Floats
from implicitloss.scheme import Plan
from implicitloss.witness.integrate.compression import COMPRESS_FROM_LABELS, Bins, spread_over_labels
from implicitloss.witness.integrate.draw import Measure, compressed, whole

__all__ = ["HELD", "QUIET", "at_labels", "measure_of", "sums"]

# Sums that are next to nothing, or too large to matter.
QUIET: dict[str, Any] = dict.fromkeys(("over", "under", "invalid", "divide"), "ignore")
# How wide a bin is, unless another width is given.
WIDTH = 1 / 4
# Numbers of a matrix of labels times nodes that are held at once.
HELD = 1 << 22


def measure_of(log_q: Floats, log_x: Floats, width: float = WIDTH, many: int | None = None) -> Measure:
    """Masses q at log x, in bins where there are `many`, or as many as the integrals take."""
    plan, nothing = Plan(log_q, log_x), np.zeros_like(log_x)
    found = compressed(plan, nothing, width) if log_q.size >= (COMPRESS_FROM_LABELS if many is None else many) else None
    return whole(plan, nothing) if found is None else found


def sums(measure: Measure, v: Floats, of: np.ufunc) -> Floats:
    """Σ_j q_j of(-e^v x_j) at each node, (V,)."""
    found = np.empty(v.size)
    rows = max(1, HELD // measure.q.size)
    for start in range(0, v.size, rows):
        part = slice(start, start + rows)
        with np.errstate(over="ignore", under="ignore"):
            found[part] = of(-np.exp(v[part, None] + measure.log_x)) @ measure.q
    return found


def at_labels(log_x: Floats, integral: Callable[[Floats], Floats], width: float = WIDTH) -> Floats:
    """A function of log x that is analytic as the sums are, at every label, (L,), from its values at bins' points."""
    low, high = float(log_x.min()), float(log_x.max())
    width = max(min(width, (high - low) / 8), 1e-13 * max(1.0, abs(low), abs(high)))
    n_bins = int((high - low) / width) + 1
    bins = Bins(low, width, n_bins, np.arange(n_bins, dtype=np.float64), np.zeros(n_bins), 0.0)
    values = integral(bins.points.ravel()).reshape(bins.points.shape)
    nothing = np.zeros_like(log_x)
    return spread_over_labels(bins, values, Plan(nothing, log_x), nothing, 1)
