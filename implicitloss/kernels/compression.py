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

# Labels that are summed one after the other before their sum is added to that of others: short sums round little.
SUB_BLOCK = 1024


@kernel
def scan(log_q: Floats, log_w: Floats, payment: Floats, tiny: float) -> tuple[float, float, float, int, float]:
    """Least and largest log x = log w + payment where q > e^tiny, the mass where x = 0, how many labels these are.

    Last, the largest |log q| + |log w| + |payment|.
    """
    low, high, nothing, part, count, size = np.inf, -np.inf, 0.0, 0.0, 0, 0.0
    for j in range(log_q.size):
        if log_q[j] <= tiny:
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
    return low, high, nothing + part, count, size


@kernel
def add_moments(
    log_q: Floats, log_w: Floats, payment: Floats, tiny: float, low: float, width: float, moments: Floats
) -> None:
    """Add Σ q_j T_k(τ_j) of these labels to `moments` (bins, degree + 1)."""
    n_bins, n = moments.shape
    local = np.zeros((n_bins, n))
    touched = np.empty(min(n_bins, SUB_BLOCK), np.intp)
    is_touched = np.zeros(n_bins, np.bool_)
    for start in range(0, log_q.size, SUB_BLOCK):
        n_touched = 0
        for j in range(start, min(start + SUB_BLOCK, log_q.size)):
            u = log_w[j] + payment[j]
            if log_q[j] <= tiny or u == -np.inf:
                continue
            place = (u - low) / width
            b = min(int(place), n_bins - 1)
            twice = 4.0 * (place - b) - 2.0
            if not is_touched[b]:
                is_touched[b] = True
                touched[n_touched] = b
                n_touched += 1
            before = math.exp(log_q[j])
            now = 0.5 * twice * before
            row = local[b]
            row[0] += before
            row[1] += now
            for k in range(2, n):
                before, now = now, twice * now - before
                row[k] += now
        for i in range(n_touched):
            b = touched[i]
            for k in range(n):
                moments[b, k] += local[b, k]
                local[b, k] = 0.0
            is_touched[b] = False


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
    for j in range(log_q.size):
        u = log_w[j] + payment[j]
        if log_q[j] <= tiny or u == -np.inf:
            out[j] = 0.0
            continue
        place = (u - low) / width
        b = min(int(place), n_bins - 1)
        twice = 4.0 * (place - b) - 2.0
        row = coefficients[b]
        after, now = 0.0, row[n - 1]
        for k in range(n - 2, 0, -1):
            after, now = now, row[k] + twice * now - after
        out[j] = m * math.exp(log_q[j]) * (row[0] + 0.5 * twice * now - after)
