"""Millions of labels to a few thousand numbers: Chebyshev moments of a measure on log x in narrow bins, and back.

A label counts in the moments A_bk = Σ q_j T_k(τ_j) of its bin b, τ_j in [-1, 1] its place there; a function with known
values at the bins' Chebyshev nodes is spread over the labels again.  Loops only; what they are good for, and how exact
they are, is said in `implicitloss.witness.integrate.draw`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

__all__ = ["SUB_BLOCK", "add_moments", "scan", "spread"]

Floats = NDArray[np.float64]

# Labels of a bin that are summed one after the other before their sum is added to that of others: short sums round
# little.
SUB_BLOCK = 512


@kernel
def scan(log_q: Floats, log_w: Floats, payment: Floats, tiny: float) -> tuple[float, float, float, int, float, int]:
    """Least and largest log x = log w + payment where q > e^tiny, the mass where x = 0, how many labels these are.

    Then the largest |log q| + |log w| + |payment|, and how many labels have 0 < q <= e^tiny.
    """
    low, high, nothing, part, count, size, lost = np.inf, -np.inf, 0.0, 0.0, 0, 0.0, 0
    for j in range(log_q.size):
        if log_q[j] <= tiny:
            lost += log_q[j] > -np.inf
            continue
        u = log_w[j] + payment[j]
        if u == -np.inf:
            part += math.exp(log_q[j])
            count += 1
            if count % SUB_BLOCK == 0:
                nothing, part = nothing + part, 0.0
        else:
            low = min(low, u)
            high = max(high, u)
            size = max(size, abs(log_q[j]) + abs(log_w[j]) + abs(payment[j]))
    return low, high, nothing + part, count, size, lost


@kernel
def add_moments(
    q: Floats, log_w: Floats, payment: Floats, least: float, low: float, width: float, moments: Floats
) -> None:
    """Add Σ q_j T_k(τ_j) of these labels, those with q > `least`, to `moments` (bins, degree + 1)."""
    n_bins, n = moments.shape
    bins_a_unit = 1 / width
    part, count = np.zeros((n_bins, n)), np.zeros(n_bins, np.int64)
    for j in range(q.size):
        u = log_w[j] + payment[j]
        if q[j] <= least or u == -np.inf:
            continue
        place = (u - low) * bins_a_unit
        b = min(int(place), n_bins - 1)
        twice = 4.0 * (place - b) - 2.0
        before = q[j]
        now = 0.5 * twice * before
        row = part[b]
        row[0] += before
        row[1] += now
        for k in range(2, n):
            before, now = now, twice * now - before
            row[k] += now
        count[b] += 1
        if count[b] == SUB_BLOCK:
            count[b] = 0
            for k in range(n):
                moments[b, k] += row[k]
                row[k] = 0.0
    for b in range(n_bins):
        for k in range(n):
            moments[b, k] += part[b, k]


@kernel
def spread(
    log_q: Floats,
    log_w: Floats,
    payment: Floats,
    tiny: float,
    low: float,
    width: float,
    coefficients: Floats,
    m: int,
    out: Floats,
) -> None:
    """m q_j J(log x_j) of each label, into `out`, by J's coefficients (bins, degree + 1) (Clenshaw)."""
    n_bins, n = coefficients.shape
    bins_a_unit = 1 / width  # as above, so that a label at the edge of a bin is in the same one
    for j in range(log_q.size):
        u = log_w[j] + payment[j]
        if log_q[j] <= tiny or u == -np.inf:
            out[j] = 0.0
            continue
        place = (u - low) * bins_a_unit
        b = min(int(place), n_bins - 1)
        twice = 4.0 * (place - b) - 2.0
        row = coefficients[b]
        after, now = 0.0, row[n - 1]
        for k in range(n - 2, 0, -1):
            after, now = now, row[k] + twice * now - after
        out[j] = m * math.exp(log_q[j]) * (row[0] + 0.5 * twice * now - after)
