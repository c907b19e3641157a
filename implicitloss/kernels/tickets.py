"""Whose is this ticket?  Search in a cumulative sum, O(1) expected, with a guide table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel


def guide_table(cumulative: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each of L equal steps of [0, total): the first label whose cumulative sum exceeds its start."""
    n = cumulative.size
    starts = np.arange(n) * (cumulative[-1] / n)
    # One label back, so that a rounding in `starts` can never begin the search too late.
    return np.maximum(np.searchsorted(cumulative, starts, side="right") - 1, 0).astype(np.intp)


@kernel
def find_tickets(
    cumulative: NDArray[np.float64], guide: NDArray[np.intp], points: NDArray[np.float64]
) -> NDArray[np.intp]:
    """For each point in [0, total]: the first label whose cumulative sum exceeds it, never one without tickets."""
    n = cumulative.size
    total = cumulative[-1]
    labels = np.empty(points.size, np.intp)
    for i in range(points.size):
        point = points[i]
        j = guide[min(int(point / total * n), n - 1)]
        while j > 0 and cumulative[j - 1] > point:
            j -= 1
        while j < n - 1 and cumulative[j] <= point:
            j += 1
        # point can round up to the total: step back over labels that own nothing.
        while j > 0 and cumulative[j] == cumulative[j - 1]:
            j -= 1
        labels[i] = j
    return labels
