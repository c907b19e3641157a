"""Sums over labels at the nodes of an integral, Σ_j q_j g(e^v x_j), and integrals at every label, in bins of log x.

The bins of sums are those of `witness.integrate.compression`, which bounds their error: by way of fine bins 4e-15 of a
sum at a width of 1/4, and 2e-13 at 1/2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from implicitloss.kernels.balance import look_up_both
from implicitloss.labels import Floats
from implicitloss.numerics.threads import in_order
from implicitloss.scheme import Plan
from implicitloss.witness.integrate.compression import COMPRESS_FROM_LABELS
from implicitloss.witness.integrate.draw import Measure, compressed, whole

__all__ = ["HELD", "QUIET", "Tables", "at_labels", "in_parts", "measure_of", "sums"]

# Sums that are next to nothing, or too large to matter.
QUIET: dict[str, Any] = dict.fromkeys(("over", "under", "invalid", "divide"), "ignore")
# How wide a bin is, unless another width is given.
WIDTH = 1 / 4
# Bins of polynomials, with their points, and the matrix that turns values there into coefficients of powers.
NARROW, POINTS = 1 / 8, np.cos(np.pi * (np.arange(8) + 0.5) / 8)
TO_POWERS = np.linalg.inv(np.vander(POINTS, increasing=True)).T
# So many labels are looked at together: what is made of them stays in the processor's cache.
PART = 1 << 16
# Numbers of a matrix of labels times nodes that are held at once.
HELD = 1 << 22


def measure_of(log_q: Floats, log_x: Floats, width: float = WIDTH, many: int | None = None) -> Measure:
    """Masses q at log x, in bins where there are `many`, or as many as the integrals take."""
    plan, nothing = Plan(log_q, log_x), np.zeros(log_x.shape)  # which is not written, as by zeros_like
    are_many = log_q.size >= (COMPRESS_FROM_LABELS if many is None else many)
    found = compressed(plan, nothing, width, by_fine_bins=True) if are_many else None
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


@dataclass(frozen=True, eq=False)
class Tables:
    """Functions of log x that are analytic as the sums are: polynomials in bins from `low` on, `width` each.

    In bins of 1/8 the polynomials through 8 points are off by 1e-12 of the function or less.
    """

    low: float
    width: float
    powers: Floats

    @classmethod
    def of(cls, functions: Callable[[Floats], Floats], low: float, high: float) -> Tables:
        """The tables from `low` to `high` of functions that are (P, n), or one that is (P,), at P points."""
        width = max(min(NARROW, (high - low) / 8), 1e-13 * max(1.0, abs(low), abs(high)))
        n_bins = int((high - low) / width) + 1
        points = low + width * (np.arange(n_bins)[:, None] + (1 + POINTS) / 2)
        values = functions(points.ravel()).T.reshape(-1, n_bins, POINTS.size)
        return cls(low, width, values @ TO_POWERS)


Function = Callable[[Floats], Floats]


def at_labels(log_z: Floats, of_z: Function, log_x: Floats, of_x: Function) -> Floats:
    """The sum of a function of log z and one of log x at every label, (L,), by their tables."""
    z, x = (Tables.of(of, float(logs.min()), float(logs.max())) for of, logs in ((of_z, log_z), (of_x, log_x)))
    out = np.empty(log_z.size)

    def fill(part: slice) -> None:
        look_up_both(log_z[part], z.low, z.width, z.powers[0], log_x[part], x.low, x.width, x.powers[0], out[part])

    in_parts(fill, out.size)
    return out


def in_parts(function: Callable[[slice], None], n_labels: int) -> None:
    """Call `function` for parts of the labels, by threads."""
    for _ in in_order(lambda start: function(slice(start, start + PART)), range(0, n_labels, PART)):
        pass
