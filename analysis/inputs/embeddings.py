"""Vectors of many labels and queries, made up or from a file, with clusters of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from analysis.inputs.features import read_arrays
from implicitloss.arguments import checked_matrix
from implicitloss.index.clusters import LARGEST_ENTRY, Clusters
from implicitloss.index.means import clustered_rows
from implicitloss.labels import Floats, LabelPrior
from implicitloss.problem import Problem

DATA = "vectors (L, d) and queries (n, d) of a model, with biases (L,) and counts (L,) if there are some: a .npz file"
MADE_UP = "made up"
# Labels, dimension, topics and clusters of the vectors that are made up, and in a quick run.
SIZES = {False: (325_056, 64, 300, 1024), True: (1_500, 16, 30, 8)}
# How much labels of a topic differ, beside a topic's own length of 1; the length of queries; the weight of log π.
INSIDE, LENGTH, FREQUENCY = 0.7, 20.0, 0.5
RECENT = 2000
# A law takes an inner product for each cluster, which at 1 % of the seconds is most of the budget.
FEWER = 0.5


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors w (L, d), biases (L,), queries (n, d), the label prior; `recent` queries give the clusters' metric."""

    vectors: Floats
    biases: Floats
    queries: Floats
    recent: Floats
    prior: LabelPrior
    clusters: int

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.vectors.shape[1])

    def problem(self, x: int) -> Problem:
        """The scores of a query, and a positive that is drawn by the model."""
        scores = self.vectors @ self.queries[x] + self.biases
        noise = np.random.default_rng([20, x]).gumbel(size=scores.size)
        return Problem(scores, self.prior, int(np.argmax(scores + noise)))


@lru_cache(maxsize=1)
def embeddings(source: str, quick: bool, queries: int) -> Embeddings:
    """Those of a file, or with labels about topics, and queries near the label of an example.

    Labels have the frequencies of Zipf's law.  A query points to the vector of a label that is drawn by frequency, with
    noise of the same size, as a model is trained to have it.
    """
    if source != MADE_UP:
        return _of_file(source, queries)
    n, d, topics, k = SIZES[quick]
    rng = np.random.default_rng(64)
    prior = LabelPrior.zipf(n, 1.0)
    directions = rng.standard_normal((topics, d)) / np.sqrt(d)
    vectors = directions[rng.integers(topics, size=n)] + INSIDE * rng.standard_normal((n, d)) / np.sqrt(d)
    seen = vectors[rng.choice(n, size=RECENT + queries, p=prior.probabilities)]
    h = LENGTH * (seen + rng.standard_normal(seen.shape) / np.sqrt(d)) / np.sqrt(2)
    return Embeddings(vectors, FREQUENCY * prior.log, h[RECENT:], h[:RECENT], prior, k)


def _of_file(path: str, queries: int) -> Embeddings:
    """Those of a .npz file; *raises* ValueError for arrays that do not fit."""
    found = read_arrays(path, ("vectors", "queries"), ("biases", "counts"))
    try:
        vectors = checked_matrix(found["vectors"], "vectors", LARGEST_ENTRY)
        h = checked_matrix(found["queries"], "queries", LARGEST_ENTRY)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if h.shape[1] != vectors.shape[1]:
        raise ValueError(f"{path}: vectors and queries must have one dimension, got {vectors.shape} and {h.shape}")
    if len(h) <= queries:
        raise ValueError(f"{path}: the study needs more than {queries} queries, got {len(h)}")
    n = len(vectors)
    biases = np.asarray(found.get("biases", np.zeros(n)), dtype=np.float64)
    prior = LabelPrior.from_counts(found["counts"]) if "counts" in found else LabelPrior.zipf(n, 0.0)
    for what, size in (("biases", biases.size), ("counts", prior.n_labels)):
        if size != n:
            raise ValueError(f"{path}: {what} must be as many as vectors, {n}, got {size}")
    return Embeddings(vectors, biases, h[-queries:], h[:-queries][-RECENT:], prior, min(1024, max(2, n // 64)))


@lru_cache(maxsize=1)
def two_level(found: Embeddings) -> Clusters:
    """One k-means, with the biases as tickets."""
    return Clusters.fit(found.vectors, found.biases, found.recent, k=found.clusters, rng=0)


@lru_cache(maxsize=1)
def fewer(found: Embeddings) -> Clusters:
    """`two_level` with `FEWER` of the clusters: the law takes a few inner products less, and draws are worse."""
    return Clusters.fit(found.vectors, found.biases, found.recent, k=of_fewer(found), rng=0)


def of_fewer(found: Embeddings) -> int:
    """How many clusters `fewer` has."""
    return max(2, round(FEWER * found.clusters))


def of_a_codebook(found: Embeddings) -> int:
    """How many words each of two codebooks has."""
    return max(2, round(np.sqrt(found.clusters)))


@lru_cache(maxsize=1)
def two_codebooks(found: Embeddings) -> Clusters:
    """Cells of two codebooks, of vectors and of what the first leaves (MIDX), with as many cells as `two_level` has.

    Each cell has a centre of its own, which is nearer than the sum of two codewords.
    """
    k = of_a_codebook(found)
    first = clustered_rows(found.vectors, k, 0)
    centres = np.array([found.vectors[first == c].mean(axis=0) for c in range(first.max() + 1)])
    second = clustered_rows(found.vectors - centres[first], k, 1)
    cell = np.unique(first * k + second, return_inverse=True)[1].reshape(-1)
    return Clusters(found.vectors, found.biases, two_level(found).metric, cell)
