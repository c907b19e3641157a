"""Draws from clusters at a query: the law of clusters, a cluster by its alias table, a label by that of its cluster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.alias import find_by_alias
from implicitloss.kernels.jit import kernel

__all__ = ["find_in_clusters", "find_inside", "log_expected", "mix"]

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]


@kernel
def log_expected(products: Floats, log_tickets: Floats, spreads: Floats) -> Floats:
    """log B_c + ⟨h, μ_c⟩ + s_c hᵀC⁻¹h/d, less the largest, (K,).

    `products` (K + d,) are those of h with the centres, and with a basis in which hᵀC⁻¹h is the square of a length.
    """
    k, n = log_tickets.size, products.size
    length, most = 0.0, -np.inf
    for i in range(k, n):
        length += products[i] * products[i]
    length /= n - k
    logs = np.empty(k)
    for c in range(k):
        logs[c] = log_tickets[c] + products[c] + spreads[c] * length
        most = max(most, logs[c])
    for c in range(k):
        logs[c] -= most
    return logs


@kernel
def mix(near: Floats, ticket_shares: Floats, defence: float) -> None:
    """(1 - λ) near/Σ near + λ B_c/Σ B, in place of `near` (K,)."""
    total = 0.0
    for c in range(near.size):
        total += near[c]
    for c in range(near.size):
        near[c] = (1.0 - defence) / total * near[c] + defence * ticket_shares[c]


@kernel
def find_in_clusters(
    shares: Floats, cells: Floats, records: Floats, starts: Labels, points: Floats, labels: Labels, q: Floats
) -> None:
    """Write into `labels` and `q` (n,) the labels that `points` (2, n) in [0, 1) belong to, and their law.

    A cluster is found by its `cells` of an alias table, and has the `shares`, which sum to 1.
    """
    find_by_alias(cells, points[0], labels)
    for i in range(labels.size):
        q[i] = shares[labels[i]]
    find_inside(records, starts, points[1], labels, q)


@kernel
def find_inside(records: Floats, starts: Labels, points: Floats, labels: Labels, q: Floats) -> None:
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
