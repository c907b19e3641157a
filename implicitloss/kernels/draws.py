"""Loops over drawn labels: sums, log-sums and gradients of a block of runs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]


@kernel
def sums(labels: Labels, table: Floats) -> Floats:
    """Σ_i table[k, labels[r, i]] for each table k and run r, (K, runs)."""
    n_runs, m = labels.shape
    out = np.empty((table.shape[0], n_runs))
    for k in range(table.shape[0]):
        for r in range(n_runs):
            total = 0.0
            for i in range(m):
                total += table[k, labels[r, i]]
            out[k, r] = total
    return out


@kernel
def log_sums(labels: Labels, table: Floats) -> Floats:
    """log Σ_i e^{table[k, labels[r, i]]}, (K, runs), for tables too wide for `sums`."""
    n_runs, m = labels.shape
    out = np.empty((table.shape[0], n_runs))
    for k in range(table.shape[0]):
        for r in range(n_runs):
            largest = -np.inf
            for i in range(m):
                largest = max(largest, table[k, labels[r, i]])
            total = 0.0
            if largest > -np.inf:
                for i in range(m):
                    total += math.exp(table[k, labels[r, i]] - largest)
            out[k, r] = largest + math.log(total) if total > 0.0 else -np.inf
    return out


@kernel
def label_totals(labels: Labels, table: Floats, log_divisor: Floats, n_labels: int) -> Floats:
    """Σ and Σ of squares over runs of Σ_{i: labels[r,i] = j} e^{table_j - log_divisor_r}, for each label j, (2, L)."""
    n_runs, m = labels.shape
    out = np.zeros((2, n_labels))
    counts = np.zeros(n_labels)
    for r in range(n_runs):
        for i in range(m):
            counts[labels[r, i]] += 1.0
        for i in range(m):
            j = labels[r, i]
            if counts[j] > 0.0:
                value = counts[j] * math.exp(table[j] - log_divisor[r])
                out[0, j] += value
                out[1, j] += value * value
                counts[j] = 0.0
    return out
