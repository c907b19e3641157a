from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_number, checked_vector, checked_whole
from implicitloss.index.exact import checked_vectors
from implicitloss.index.means import clustered_rows
from implicitloss.index.metric import metric_of
from implicitloss.index.tables import ClusterTables
from implicitloss.kernels.alias import find_inside
from implicitloss.kernels.kept import keep_and_draw
from implicitloss.labels import Floats, Labels
from implicitloss.numerics.logsum import logsumexp
from implicitloss.numerics.seeds import Seed, checked_seed

__all__ = ["LARGEST_ENTRY", "Clusters", "checked_defence"]

# exp and squares of larger entries could overflow.
LARGEST_ENTRY = 1e15
LARGEST_BIAS = 600.0
LARGEST_QUERY = 1e15


@dataclass(frozen=True)
class Clusters(ClusterTables):
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

    def checked_query(self, query: ArrayLike) -> Floats:
        """The query as a vector (d,); *raises* ValueError for another dimension, and for no finite numbers."""
        h = checked_vector(query, "the query")
        if h.size != self.vectors.shape[1]:
            raise ValueError(f"the query must have the index's dimension {self.vectors.shape[1]}, got {h.size}")
        if np.abs(h).max() > LARGEST_QUERY:
            raise ValueError(f"the query must lie within ±{LARGEST_QUERY:g}, got {h[np.abs(h).argmax()]:g}")
        return h

    def keep_and_draw(
        self, query: ArrayLike, m: int, most: int, above: float = 0.0, defence: float = 0.1, rng: Seed = None
    ) -> tuple[Labels, Floats, Floats]:
        """Keep the best clusters for a query, and draw m labels from the others, in one compiled call.

        Clusters are taken by their Q_c/n_c, Q_c without defence and n_c the number of labels, the largest first.  One
        after another is kept, while there are at most `most` kept labels, and while a label of the next would be
        expected more than `above` times among m draws: m Q_c/(n_c q(R)) > `above`, R the labels that are not yet kept.
        Then labels j of R are drawn by q_j/q(R), and weigh q(R)/(m q_j); kept ones weigh 1.  The sum of weight times
        x_j over what is returned has the mean Σ_j x_j for any x; with x_j = e^{f_j} that is the sum of a full softmax.

        Parameters
        ----------
        query : array_like, (d,)
            h; one in double precision is read where it is.
        m : int
            How many labels are drawn, at least 1.
        most : int
            How many labels are kept at most, at least 0.  Something is always left to draw from.
        above : float
            What keeping a label must save in draws, at least 0: queries whose mass is spread over more labels keep
            more.  With the same mean number of kept labels this is better than `most` alone; .003 or so is a start.
        defence : float
            λ, from 0 to 1, as of `samplers.Clustered`.
        rng : int, list of int or numpy.random.Generator, optional
            A seed, or a generator that goes on; to make a generator of a seed takes as long as all the rest.

        Returns
        -------
        labels : ndarray of int, (k + m,)
            The k kept labels, best cluster first, and then the draws, i.i.d.
        log_weights : ndarray, (k + m,)
            0 for kept labels, log(q(R)/(m q_j)) for draws.
        scores : ndarray, (k + m,)
            f_j = ⟨h, w_j⟩ + b_j by the vectors of the index, in single precision.

        Raises
        ------
        ValueError
            For a query of another dimension, or not finite; m < 1, most < 0, above < 0, λ out of range, and no seed.

        Notes
        -----
        The same negatives as of a scheme with `Clustered(index, query)`, `Importance()` and
        `HardNegatives(clusters=n, of=index, overlap="exclude")`, where n clusters are kept.  Hits are left in: to mask
        them, pass over the positive.  The first call makes a copy of the vectors in the order of clusters and in single
        precision, so that kept rows are read one after another.

        References
        ----------
        Derived here.

        Examples
        --------
        log Σ e^{f_j} of 1,000 labels from 300 of them at most, and 50 draws.

        >>> import numpy as np
        >>> import implicitloss as il
        >>> rng = np.random.default_rng(1)
        >>> w, h = rng.normal(size=(1000, 16)) / 4, 4 * rng.normal(size=16)
        >>> index = il.index.Clusters.fit(w, queries=4 * rng.normal(size=(500, 16)), k=32, rng=0)
        >>> labels, log_weights, scores = index.keep_and_draw(h, m=50, most=300, rng=0)
        >>> bool(np.allclose(scores, w[labels] @ h, atol=1e-4))
        True
        >>> estimate = np.log(np.exp(scores + log_weights).sum())
        >>> bool(abs(estimate - np.log(np.exp(w @ h).sum())) < 0.3)
        True
        """
        if type(query) is np.ndarray and query.dtype == np.float64 and query.flags.carray and query.ndim == 1:
            h = query if query.size == len(self.metric) else self.checked_query(query)
        else:
            h = self.checked_query(query).copy()
        m, most = checked_whole(m, "m", 1), min(checked_whole(most, "most", 0), self.n_labels)
        above = checked_number(above, "above", "a number >= 0", lambda number: number >= 0)
        points = np.random.default_rng(checked_seed(rng)).random((2, m))
        of_clusters, places, rows = self.in_order
        found: tuple[Labels, Floats, Floats] = keep_and_draw(
            h, LARGEST_QUERY, self.axes, of_clusters, self.starts, checked_defence(defence), most, above,
            points, self.records, self.order, places, rows,
        )  # fmt: skip
        if not found[0].size:  # the query is not within its bounds
            self.checked_query(query)
        return found

    def draw_inside(self, clusters: Labels, rng: np.random.Generator) -> Labels:
        """Draw a label in each of these clusters, (n,), by its tickets; one random double each."""
        labels = clusters.astype(np.intp)
        find_inside(self.records, self.starts, rng.random(labels.size), labels, np.empty(labels.size))
        return labels

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
