"""One draw as a measure, which adds x to the sum with probability q(x): label by label, or compressed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from implicitloss.kernels.compression import SUB_BLOCK, add_moments, scan
from implicitloss.labels import Floats
from implicitloss.numerics.logsum import logsumexp
from implicitloss.numerics.threads import in_order
from implicitloss.scheme import Plan
from implicitloss.witness.integrate.compression import (
    CHUNK,
    COMPRESS_FROM_LABELS,
    MOST_BINS,
    N_FINE,
    SPLIT,
    TO_MASSES,
    WIDTH,
    Bins,
    N,
    joined,
)
from implicitloss.witness.integrate.quadrature import EPS, LEAST_LOG_Q

__all__ = ["Measure", "Span", "compressed", "measures", "span_of", "whole"]

# As many labels to a fine bin are worth it: their moments are added up once more.
LABELS_A_FINE_BIN = 8


@dataclass(frozen=True, eq=False)
class Measure:
    """Masses q (J,) at log x (J,), all log x between `low` and `high`; with `bins`, signed masses at their points.

    `size` bounds the rounding: |log q| + |log w| + |log payment| is at most that for every label that counts.
    """

    q: Floats
    log_x: Floats
    low: float
    high: float
    size: float = 0.0
    # How often the sums behind a mass round, beside the 128 + J/128 times of the integrals' own sums.
    summed: float = 0.0
    bins: Bins | None = None

    @cached_property
    def log_mean(self) -> float:
        """log Σ q x."""
        return float(logsumexp(self.log_x, b=self.q))

    @property
    def log_rounding(self) -> float:
        """The rounding error of log q + log x, for every label."""
        return EPS * (4 + 2 * self.size)

    @property
    def rounding(self) -> float:
        """The relative rounding error of a sum over labels and nodes, that of log q and log x included."""
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


class Span(NamedTuple):
    """Where log x lies: least and largest of labels with x > 0, the mass of those with x = 0, and how many these are.

    `size` is the largest |log q| + |log w| + |log payment|; `n_lost` labels have a q > 0 that is too small to take.
    """

    low: float
    high: float
    nothing: float
    n_nothing: int
    size: float
    n_lost: int


def span_of(plan: Plan, payment: Floats) -> Span:
    """The span of log x, in one pass over the labels."""
    return Span(*scan(plan.log_q, plan.log_w, payment, LEAST_LOG_Q))


def whole(plan: Plan, payment: Floats) -> Measure:
    """The measure label by label, without labels that are never drawn."""
    log_q, log_x, logs = plan.log_q, plan.log_w + payment, plan.magnitudes(payment)
    support = log_q > LEAST_LOG_Q
    if not support.all():
        log_q, log_x, logs = log_q[support], log_x[support], logs[support]
    # A label j matters at some t <= 50 only if q_j x_j >= e^{-40} q_k min(x_k, 1/50) for every k: masks of -1e9 do not.
    share = log_q + log_x
    counts = share > (log_q + np.minimum(log_x, -4.0)).max() - 40
    size = float(logs.max(where=counts, initial=0.0))
    return Measure(np.exp(log_q), log_x, float(log_x.min()), float(log_x.max()), size)


def compressed(
    plan: Plan, payment: Floats, width: float, span: Span | None = None, by_fine_bins: bool = False
) -> Measure | None:
    """The measure in at least eight bins of at most `width`; None if these were more than `MOST_BINS`.

    With `by_fine_bins` many labels go by way of fine bins, which takes less time; `centred_error` is then not known.
    """
    low, high, nothing, n_nothing, size, _ = span or span_of(plan, payment)
    size += 2 * abs(plan.log_rest)
    if high == -np.inf:
        return Measure(np.array([nothing]), np.array([-np.inf]), -np.inf, -np.inf)
    # A bin is no narrower than the rounding of u, so that labels with equal x share one.
    width = max(min(width, (high - low) / 8), 1e-13 * max(1.0, abs(low), abs(high)))
    n_bins = int((high - low) / width) + 1
    if n_bins > MOST_BINS:
        return None
    parts = range(0, plan.log_q.size, CHUNK)
    split = SPLIT if by_fine_bins and n_bins * SPLIT * LABELS_A_FINE_BIN <= plan.log_q.size else 1
    shape, least = (n_bins * split, N if split == 1 else N_FINE), np.exp(LEAST_LOG_Q)

    def of(start: int) -> Floats:
        part = slice(start, start + CHUNK)
        moments = np.zeros(shape)
        add_moments(np.exp(plan.log_q[part]), plan.log_w[part], payment[part], least, low, width / split, moments)
        return moments

    total = np.zeros(shape)
    for moments in in_order(of, parts):
        total += moments
    if split > 1:
        total = joined(total)
    number = np.flatnonzero(total[:, 0] > 0)
    # The rounding of the sums, times 1.5 for the size of a bin's coefficients, and 2 N roundings of the masses.
    summed = 0.75 * (SUB_BLOCK + CHUNK / SUB_BLOCK + len(parts) + n_nothing / SUB_BLOCK) + 2 * N
    if split > 1:
        summed += 2 * N_FINE + 2 * (SPLIT / 8 * N_FINE + 8)
    bins = Bins(low, width, n_bins, number.astype(np.float64), total[number, 0], EPS * summed, split)
    q, log_x = (total[number] @ TO_MASSES).ravel(), bins.points.ravel()
    if n_nothing:
        q, log_x = np.append(q, nothing), np.append(log_x, -np.inf)
    return Measure(q, log_x, -np.inf if n_nothing else low, high, size, summed, bins)


def measures(plan: Plan, payment: Floats, span: Span | None = None, by_fine_bins: bool = False) -> Iterator[Measure]:
    """The measure of a draw, more and more exact: take the first that is exact enough; the last is not compressed."""
    if plan.log_q.size >= COMPRESS_FROM_LABELS:
        for width in (WIDTH, WIDTH / 8, WIDTH / 64):
            found = compressed(plan, payment, width, span, by_fine_bins)
            if found is not None:
                yield found
    yield whole(plan, payment)
