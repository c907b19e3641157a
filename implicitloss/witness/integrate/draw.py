"""One draw as a measure: it adds x to the sum with probability q(x); label by label, or for many labels compressed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from implicitloss.kernels.compression import SUB_BLOCK, add_moments, scan
from implicitloss.labels import Floats
from implicitloss.numerics.logsum import logsumexp
from implicitloss.scheme import Plan
from implicitloss.witness.integrate.compression import (
    CHUNK,
    COMPRESS_FROM_LABELS,
    MOST_BINS,
    TO_MASSES,
    WIDTH,
    Bins,
    N,
    in_order,
)
from implicitloss.witness.integrate.quadrature import EPS, LEAST_LOG_Q


@dataclass(frozen=True, eq=False)
class Measure:
    """q (J,) on log x (J,), which lies between `low` and `high`; with `bins`, q are signed masses at their points.

    `size` is the largest sum of the magnitudes of the logarithms that a term is made of: what rounds in it.
    """

    q: Floats
    log_x: Floats
    low: float
    high: float
    size: float = 0.0
    # Roundings of one term's sum, beside those of the (128 + J/128) in the integrals' own sums.
    summed: float = 0.0
    bins: Bins | None = None

    @cached_property
    def log_mean(self) -> float:
        """log Σ q x."""
        return float(logsumexp(self.log_x, b=self.q))

    @property
    def log_rounding(self) -> float:
        """Rounding error of each log q and log x together."""
        return EPS * (4 + 2 * self.size)

    @property
    def rounding(self) -> float:
        """Relative rounding error of a sum over labels, of the logs x it is made of, and of a sum over nodes."""
        return EPS * (256 + self.q.size / 128 + self.summed) + self.log_rounding

    def total_error(self, v: Floats, log_phi: Floats) -> Floats:
        """The error of φ(e^v) that compression makes."""
        if self.bins is None:
            return np.zeros_like(v)
        error = -self.bins.relative_error * np.expm1(log_phi)
        small = log_phi < -0.5
        error[small] += self.bins.rounding * self.bins.at_most(v[small])
        return error

    def centred_error(self, scale: Floats, centre: float, order: Literal[1, 2]) -> Floats:
        """The error of a centred sum that interpolation makes, at each scale."""
        return np.zeros_like(scale) if self.bins is None else self.bins.centred_error(scale, centre, order)


def whole(plan: Plan, payment: Floats) -> Measure:
    """Label by label; what is never drawn left out."""
    support = np.flatnonzero(plan.log_q > LEAST_LOG_Q)
    logs = plan.magnitudes(payment)[support]
    log_q, log_x = plan.log_q[support], plan.log_w[support] + payment[support]
    # A label j matters at some t <= 50 only if q_j x_j >= e^{-40} q_k min(x_k, 1/50) for every k: masks of -1e9 do not.
    share = log_q + log_x
    counts = share > float(np.max(log_q + np.minimum(log_x, -4.0))) - 40
    size = float(np.max(logs, where=counts, initial=0.0))
    return Measure(np.exp(log_q), log_x, float(log_x.min()), float(log_x.max()), size)


def compressed(plan: Plan, payment: Floats, width: float) -> Measure | None:
    """The measure in at least eight bins of at most `width`; None if they would be too many, and too rounded."""
    low, high, nothing, n_nothing, size = scan(plan.log_q, plan.log_w, payment, LEAST_LOG_Q)
    size += 2 * abs(plan.log_rest)
    if high == -np.inf:
        return Measure(np.array([nothing]), np.array([-np.inf]), -np.inf, -np.inf)
    # Never narrower than the rounding of u: labels that are all worth the same are one bin.
    width = max(min(width, (high - low) / 8), 1e-13 * max(1.0, abs(low), abs(high)))
    n_bins = int((high - low) / width) + 1
    if n_bins > MOST_BINS:
        return None
    parts = range(0, plan.log_q.size, CHUNK)

    def of(start: int) -> Floats:
        part = slice(start, start + CHUNK)
        moments = np.zeros((n_bins, N))
        add_moments(plan.log_q[part], plan.log_w[part], payment[part], LEAST_LOG_Q, low, width, moments)
        return moments

    total = np.zeros((n_bins, N))
    for moments in in_order(of, parts):
        total += moments
    number = np.flatnonzero(total[:, 0] > 0)
    # The sum's error times 1.5, the size of a bin's coefficients, and 2 N for the masses themselves.
    summed = 0.75 * (SUB_BLOCK + CHUNK / SUB_BLOCK + len(parts) + n_nothing / SUB_BLOCK) + 2 * N
    bins = Bins(low, width, n_bins, number.astype(np.float64), total[number, 0], EPS * summed)
    q, log_x = (total[number] @ TO_MASSES).ravel(), bins.points.ravel()
    if n_nothing:
        q, log_x = np.append(q, nothing), np.append(log_x, -np.inf)
    return Measure(q, log_x, -np.inf if n_nothing else low, high, size, summed, bins)


def measures(plan: Plan, payment: Floats) -> Iterator[Measure]:
    """The measure of a draw, compressed ever less: take the first that is exact enough; the last one always is."""
    if plan.log_q.size >= COMPRESS_FROM_LABELS:
        for width in (WIDTH, WIDTH / 8, WIDTH / 64):
            found = compressed(plan, payment, width)
            if found is not None:
                yield found
    yield whole(plan, payment)
