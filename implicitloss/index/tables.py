"""What an index of clusters reads: all that follows from its vectors, biases, metric and clusters."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.alias import alias_table
from implicitloss.labels import Floats, Labels

__all__ = ["ClusterTables"]


@dataclass(frozen=True)
class ClusterTables:
    """Vectors w_j (L, d), biases b_j (L,), the metric C (d, d), the cluster of each label (L,), and what follows."""

    vectors: Floats = field(repr=False)
    biases: Floats = field(repr=False)
    metric: Floats = field(repr=False)
    cluster: Labels = field(repr=False)

    def __post_init__(self) -> None:
        for array in (self.vectors, self.biases, self.metric, self.cluster):
            array.setflags(write=False)

    @property
    def n_labels(self) -> int:
        """The number of labels L."""
        return self.cluster.size

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """How many labels each cluster has, (K,)."""
        return np.bincount(self.cluster)

    @cached_property
    def order(self) -> Labels:
        """The labels, cluster by cluster, (L,)."""
        return np.argsort(self.cluster, kind="stable")

    @cached_property
    def starts(self) -> Labels:
        """Where each cluster starts in `order`, (K + 1,)."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    @cached_property
    def log_tickets(self) -> Floats:
        """log B_c, (K,)."""
        b = self.biases[self.order]
        most = np.maximum.reduceat(b, self.starts[:-1])
        return np.asarray(most + np.log(self._sums(np.exp(b - np.repeat(most, self.sizes)))))

    @cached_property
    def log_inside(self) -> Floats:
        """log g_j/B_c of each label in its cluster, (L,)."""
        return np.asarray(self.biases - self.log_tickets[self.cluster])

    @cached_property
    def centres(self) -> Floats:
        """μ_c, (K, d)."""
        return self._sums(np.exp(self.log_inside[self.order])[:, None] * self.vectors[self.order])

    @cached_property
    def spreads(self) -> Floats:
        """s_c, (K,)."""
        away = (self.vectors - self.centres[self.cluster])[self.order]
        squares = np.einsum("ij,ij->i", away @ self.metric, away)
        return 0.5 * self._sums(np.exp(self.log_inside[self.order]) * squares)

    @cached_property
    def axes(self) -> Floats:
        """The centres, and the basis of `length`: what a query is multiplied by, at once, (K + d, d)."""
        return np.concatenate([self.centres, self._to_unit_metric])

    @cached_property
    def _to_unit_metric(self) -> Floats:
        """The basis in which hᵀC⁻¹h is the square of a length, (d, d)."""
        return np.linalg.inv(np.linalg.cholesky(self.metric))

    @cached_property
    def ticket_shares(self) -> Floats:
        """B_c/Σ B, (K,)."""
        shares = np.exp(self.log_tickets - self.log_tickets.max())
        return np.asarray(shares / shares.sum())

    @cached_property
    def records(self) -> Floats:
        """The alias tables inside the clusters, one after another, with what a draw says of a label, (L, 5)."""
        inside, found = np.exp(self.log_inside[self.order]), np.empty((self.n_labels, 5))
        for a, b in zip(self.starts[:-1], self.starts[1:], strict=True):
            found[a:b, 0], other = alias_table(inside[a:b]).T
            for column, places in ((1, np.arange(a, b)), (3, a + other.astype(np.intp))):
                found[a:b, column], found[a:b, column + 1] = self.order[places], inside[places]
        return found

    @cached_property
    def in_order(self) -> tuple[Floats, Labels, NDArray[np.float32]]:
        """What queries that keep clusters read.

        log B_c, s_c, B_c/Σ B and log n_c, (4, K); labels' places in `order`, (L,); w_j and b_j in `order`, in single
        precision, (L, d + 1).
        """
        of_clusters = np.array([self.log_tickets, self.spreads, self.ticket_shares, np.log(self.sizes)])
        rows = np.column_stack([self.vectors.astype(np.float32), self.biases.astype(np.float32)])[self.order]
        return of_clusters, np.argsort(self.order), rows

    def _sums(self, ordered: Floats) -> Floats:
        """Sums over each cluster of what is in `order`."""
        return np.asarray(np.add.reduceat(ordered, self.starts[:-1], axis=0))
