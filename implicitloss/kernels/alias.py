"""Alias tables (Walker 1977; Vose 1991): a draw reads one record, for any number of labels.

L cells of equal width; cell c belongs to label c up to a share, and to one other label beyond it.  Each cell is a
record (share, other label) of 16 bytes, so that a draw waits for memory once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.ahead import AHEAD_DRAWS, NEAR_BYTES, fetch
from implicitloss.kernels.jit import kernel

__all__ = ["alias_table", "find_by_alias", "find_in_clusters", "find_inside", "out_of_range"]


@kernel
def alias_table(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cells (L, 2) for labels in proportion to `shares` t.

    Exact for whole numbers with L Σ t < 2^53.  A label without a share owns nothing.
    """
    n = shares.size
    total = 0.0
    for j in range(n):
        total += shares[j]
    cells = np.empty((n, 2))
    # In units of 1/L of a share a cell holds `total`.
    left = shares * n
    small, large = np.empty(n, np.intp), np.empty(n, np.intp)
    n_small, n_large, most = 0, 0, 0
    for j in range(n):
        if shares[j] > shares[most]:
            most = j
        if left[j] < total:
            small[n_small] = j
            n_small += 1
        else:
            large[n_large] = j
            n_large += 1
    while n_small > 0 and n_large > 0:
        n_small -= 1
        s, g = small[n_small], large[n_large - 1]
        cells[s, 0] = left[s] / total
        cells[s, 1] = g
        left[g] -= total - left[s]
        if left[g] < total:
            n_large -= 1
            small[n_small] = g
            n_small += 1
    # What is left over is a full cell but for rounding; a label without a share gives all of it away.
    for i in range(n_large):
        cells[large[i], 0], cells[large[i], 1] = 1.0, large[i]
    for i in range(n_small):
        s = small[i]
        cells[s, 0], cells[s, 1] = (1.0, s) if shares[s] > 0.0 else (0.0, most)
    return cells


@kernel
def find_by_alias(cells: NDArray[np.float64], points: NDArray[np.float64], labels: NDArray[np.intp]) -> None:
    """Write into `labels` the label that each point in [0, 1) belongs to."""
    n, far, last = cells.shape[0], cells.size * 8 > NEAR_BYTES, points.size - 1
    for i in range(points.size):
        if far:
            fetch(cells, int(points[min(i + AHEAD_DRAWS, last)] * n))
        # n (1 - 2^-53) is below n in floating point too.
        place = points[i] * n
        cell = int(place)
        other = int(cells[cell, 1])
        labels[i] = cell if place - cell < cells[cell, 0] else other


@kernel
def find_in_clusters(
    shares: NDArray[np.float64], cells: NDArray[np.float64], records: NDArray[np.float64], starts: NDArray[np.intp],
    points: NDArray[np.float64], labels: NDArray[np.intp], q: NDArray[np.float64],
) -> None:  # fmt: skip
    """Write into `labels` and `q` (n,) the labels that `points` (2, n) in [0, 1) belong to, and their law.

    A cluster is found by its `cells` of an alias table, and has the `shares`, which sum to 1.
    """
    find_by_alias(cells, points[0], labels)
    for i in range(labels.size):
        q[i] = shares[labels[i]]
    find_inside(records, starts, points[1], labels, q)


@kernel
def find_inside(
    records: NDArray[np.float64], starts: NDArray[np.intp], points: NDArray[np.float64], labels: NDArray[np.intp],
    q: NDArray[np.float64],
) -> None:  # fmt: skip
    """Replace clusters in `labels` by the label of theirs that each point in [0, 1) belongs to; multiply q by g_j/B_c.

    Cluster c has the `records` from `starts`_c to `starts`_{c+1}, each a cell of its own alias table: the share of the
    cell's own label, that label and its g_j/B_c, and those of the other label.
    """
    for i in range(points.size):
        first = starts[labels[i]]
        place = points[i] * (starts[labels[i] + 1] - first)
        record = first + int(place)
        is_own = place - int(place) < records[record, 0]
        labels[i] = int(records[record, 1] if is_own else records[record, 3])
        q[i] *= records[record, 2] if is_own else records[record, 4]


@kernel
def out_of_range(labels: NDArray[np.intp], n_labels: int) -> bool:
    """Whether any label is not from 0 to n_labels - 1."""
    outside = False
    for i in range(labels.size):
        outside |= labels[i] < 0 or labels[i] >= n_labels
    return outside
