from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implicitloss.arguments import checked_number, checked_vector, checked_whole
from implicitloss.index.exact import checked_vectors
from implicitloss.index.means import clustered_rows
from implicitloss.index.metric import metric_of
from implicitloss.kernels.alias import alias_table, find_inside
from implicitloss.labels import Floats, Labels
from implicitloss.numerics.logsum import logsumexp
from implicitloss.numerics.seeds import Seed

__all__ = ["LARGEST_ENTRY", "Clusters", "checked_defence"]

# exp and squares of larger entries could overflow.
LARGEST_ENTRY = 1e15
LARGEST_BIAS = 600.0
LARGEST_QUERY = 1e15


@dataclass(frozen=True)
class Clusters:
    """Labels in K clusters, from which a label can be drawn for a query h by K inner products and two look-ups.

    `Clusters.fit` makes it.  A label j has the score ⟨h, w_j⟩ + b_j and g_j = e^{b_j} tickets.  Cluster c has
    B_c = Σ_{j∈c} g_j tickets, the centre μ_c = Σ_{j∈c} g_j w_j/B_c and the spread
    s_c = ½ Σ_{j∈c} g_j (w_j - μ_c)ᵀ C (w_j - μ_c)/B_c, where C = E hhᵀ of recent queries.  Whatever the clusters are,
    the law of a draw is known exactly: see `samplers.Clustered`.

    Parameters
    ----------
    vectors : ndarray, (L, d)
        w_j, a row for each label.
    biases : ndarray, (L,)
        b_j.
    metric : ndarray, (d, d)
        C, positive definite.
    cluster : ndarray of int, (L,)
        The cluster of each label, from 0 to K - 1.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(0)
    >>> w, h = rng.normal(size=(500, 8)), rng.normal(size=8)
    >>> index = il.index.Clusters.fit(w, queries=rng.normal(size=(200, 8)), k=20, rng=0)
    >>> law = np.exp(index.log_law(h, defence=0.1))
    >>> full = np.exp(w @ h) / np.exp(w @ h).sum()
    >>> chi2 = lambda q: (full**2 / q).sum() - 1
    >>> bool(chi2(law) < chi2(np.full(500, 1 / 500)) / 2)
    True
    """

    vectors: Floats = field(repr=False)
    biases: Floats = field(repr=False)
    metric: Floats = field(repr=False)
    cluster: Labels = field(repr=False)

    def __post_init__(self) -> None:
        for array in (self.vectors, self.biases, self.metric, self.cluster):
            array.setflags(write=False)

    @classmethod
    def fit(
        cls,
        vectors: ArrayLike,
        biases: ArrayLike | None = None,
        queries: ArrayLike | None = None,
        k: int = 1024,
        rng: Seed = 0,
    ) -> Clusters:
        """Put labels into clusters by k-means, in the metric of the queries.

        Parameters
        ----------
        vectors : array_like, (L, d)
            w_j, a row for each label, within ±1e15.  The index keeps a copy in double precision.
        biases : array_like, (L,), optional
            b_j, within ±600, by default 0; log π makes frequent labels likelier inside their cluster.
        queries : array_like, (n, d), optional
            Recent queries; by default all directions count alike, C = 1.
        k : int
            The number of clusters; at most L are made, and none is empty.
        rng : int, list of int or numpy.random.Generator
            The seed of the first centres.

        Returns
        -------
        Clusters
            K clusters, K at most k.

        Raises
        ------
        ValueError
            For no vectors, numbers that are not finite or too large, biases or queries that do not fit, and k < 1.

        Notes
        -----
        Lloyd's iterations in single precision, on at most 64 labels for each centre, then one assignment of all labels.
        """
        w = checked_vectors(vectors, LARGEST_ENTRY)
        k = checked_whole(k, "k, the number of clusters,", 1)
        b = _checked_biases(biases, len(w))
        metric = metric_of(queries, w.shape[1], LARGEST_ENTRY)
        # Distances in this basis are those of the metric.
        rows = w @ np.linalg.cholesky(metric)
        return cls(w, b, metric, clustered_rows(rows, min(k, len(w)), rng))

    def refresh(self, vectors: ArrayLike, biases: ArrayLike | None = None) -> Clusters:
        """Take vectors that have moved, and keep which cluster each label is in.

        The law of a draw is exact for any assignment: an old one makes it less near to the model's probabilities.

        Parameters
        ----------
        vectors : array_like, (L, d)
            The new w_j.
        biases : array_like, (L,), optional
            The new b_j, by default those of before.

        Returns
        -------
        Clusters
            Another index; this one stays as it is.

        Raises
        ------
        ValueError
            For another shape, and as `fit` does.
        """
        w = checked_vectors(vectors, LARGEST_ENTRY)
        if w.shape != self.vectors.shape:
            raise ValueError(
                f"an index is refreshed with vectors of its own shape {self.vectors.shape}, got {w.shape}; "
                "Clusters.fit makes another"
            )
        return Clusters(
            w, self.biases if biases is None else _checked_biases(biases, len(w)), self.metric, self.cluster
        )

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

    def log_cluster_law(self, query: ArrayLike, defence: float) -> Floats:
        """log Q_c of each cluster, (K,): a share `defence` λ by tickets alone, the rest by what scores are expected.

        Q_c = (1 - λ) B_c exp(⟨h, μ_c⟩ + s_c hᵀC⁻¹h/d)/Σ + λ B_c/Σ, each part normalised.
        """
        h, defence = self.checked_query(query), checked_defence(defence)
        by_tickets = self.log_tickets - logsumexp(self.log_tickets)
        if defence == 1:
            return by_tickets
        near = self.log_tickets + self.centres @ h + self.spreads * self.length(h)
        near = near - logsumexp(near)
        return near if defence == 0 else np.logaddexp(np.log1p(-defence) + near, np.log(defence) + by_tickets)

    def log_law(self, query: ArrayLike, defence: float) -> Floats:
        """log q_j = log Q_c + log(g_j/B_c), (L,): the law of a label that is drawn."""
        return np.asarray(self.log_cluster_law(query, defence)[self.cluster] + self.log_inside)

    def length(self, query: Floats) -> float:
        """hᵀC⁻¹h/d, which is 1 in the mean over the queries of C."""
        across = self._to_unit_metric @ query
        return float(across @ across) / query.size

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

    def checked_query(self, query: ArrayLike) -> Floats:
        """The query as a vector (d,); *raises* ValueError for another dimension, and for no finite numbers."""
        h = checked_vector(query, "the query")
        if h.size != self.vectors.shape[1]:
            raise ValueError(f"the query must have the index's dimension {self.vectors.shape[1]}, got {h.size}")
        if np.abs(h).max() > LARGEST_QUERY:
            raise ValueError(f"the query must lie within ±{LARGEST_QUERY:g}, got {h[np.abs(h).argmax()]:g}")
        return h

    @cached_property
    def records(self) -> Floats:
        """The alias tables inside the clusters, one after another, with what a draw says of a label, (L, 5)."""
        inside, found = np.exp(self.log_inside[self.order]), np.empty((self.n_labels, 5))
        for a, b in zip(self.starts[:-1], self.starts[1:], strict=True):
            found[a:b, 0], other = alias_table(inside[a:b]).T
            for column, places in ((1, np.arange(a, b)), (3, a + other.astype(np.intp))):
                found[a:b, column], found[a:b, column + 1] = self.order[places], inside[places]
        return found

    def draw_inside(self, clusters: Labels, rng: np.random.Generator) -> Labels:
        """Draw a label in each of these clusters, (n,), by its tickets; one random double each."""
        labels = clusters.astype(np.intp)
        find_inside(self.records, self.starts, rng.random(labels.size), labels, np.empty(labels.size))
        return labels

    def _sums(self, ordered: Floats) -> Floats:
        """Sums over each cluster of what is in `order`."""
        return np.asarray(np.add.reduceat(ordered, self.starts[:-1], axis=0))

    def __eq__(self, other: object) -> bool:
        mine = (self.vectors, self.biases, self.metric, self.cluster)
        return self is other or (
            isinstance(other, Clusters)
            and all(map(np.array_equal, mine, (other.vectors, other.biases, other.metric, other.cluster)))
        )

    def __hash__(self) -> int:
        return hash(self.cluster.tobytes())

    def __repr__(self) -> str:
        n_labels, dimension = self.vectors.shape
        return f"Clusters({n_labels:,} labels in {self.sizes.size:,}, dimension {dimension})"


def checked_defence(defence: float) -> float:
    """The share of draws by tickets alone; *raises* ValueError unless it is from 0 to 1."""
    return checked_number(defence, "defence", "a number from 0 to 1", lambda share: 0 <= share <= 1)


def _checked_biases(biases: ArrayLike | None, n_labels: int) -> Floats:
    """`biases` as a vector (L,), or zeros."""
    if biases is None:
        return np.zeros(n_labels)
    found = checked_vector(biases, "biases")
    if found.size != n_labels:
        raise ValueError(f"biases must be as many as vectors, {n_labels}, got {found.size}")
    if np.abs(found).max() > LARGEST_BIAS:
        worst = int(np.argmax(np.abs(found)))
        raise ValueError(f"biases must lie within ±{LARGEST_BIAS:g}, but label {worst} has {found[worst]:g}")
    return found
