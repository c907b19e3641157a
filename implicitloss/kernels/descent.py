"""Gradient descent on logistic scores at one x, beside hard negatives that are looked up now and then."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

__all__ = ["descend"]

Floats = NDArray[np.float64]


@kernel
def descend(
    f: Floats,
    eta: Floats,
    outside: Floats,
    inside: Floats,
    k: int,
    refresh: int,
    step: float,
    steps: int,
    settled: int,
    visits: Floats,
    mean: Floats,
    low: Floats,
    high: Floats,
) -> float:
    """Take `steps` steps from `f`, in place; T is looked up before every `refresh`-th.

    A label counts `inside` or `outside` times as a negative, (L,) each, beside the positives that are not itself.
    From step `settled` on, steps in T go to `visits`, mean scores to `mean`, extremes to `low` and `high`, as shares
    of these steps; the mean of the full logistic loss is returned.
    """
    n_labels = f.size
    in_t, largest = np.zeros(n_labels, dtype=np.bool_), np.empty(max(k, 0))
    visits[:], mean[:], low[:], high[:] = 0.0, 0.0, np.inf, -np.inf
    total = 0.0
    for t in range(steps):
        if k > 0 and t % refresh == 0:
            # The k largest scores in order, the least of them first.  np.partition would take six seconds to compile.
            largest[:] = -np.inf
            for j in range(n_labels):
                if f[j] > largest[0]:
                    i = 0
                    while i + 1 < k and largest[i + 1] < f[j]:
                        largest[i] = largest[i + 1]
                        i += 1
                    largest[i] = f[j]
            level, left = largest[0], k
            for j in range(n_labels):
                in_t[j] = f[j] > level
                if in_t[j]:
                    left -= 1
            for j in range(n_labels):
                if left > 0 and f[j] == level:
                    in_t[j] = True
                    left -= 1
        for j in range(n_labels):
            if t >= settled:
                visits[j] += in_t[j]
                mean[j] += f[j]
                low[j], high[j] = min(low[j], f[j]), max(high[j], f[j])
                total += max(f[j], 0.0) + math.log1p(math.exp(-abs(f[j]))) - eta[j] * f[j]
            against = inside[j] if in_t[j] else outside[j]
            f[j] -= step * ((eta[j] + (1 - eta[j]) * against) / (1 + math.exp(-f[j])) - eta[j])
    counted = max(steps - settled, 1)
    for j in range(n_labels):
        visits[j] /= counted
        mean[j] /= counted
    return total / counted
