from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_matrix, checked_whole
from implicitloss.labels import Floats, Labels

__all__ = ["MOST_RETURNED", "Exact", "checked_queries", "checked_vectors"]

# Numbers in memory at a time, beside the vectors, and labels that one search may return.
BLOCK = 1 << 24
MOST_RETURNED = 1 << 28
# Sums of products of larger entries could overflow.
LARGEST_ENTRY = 1e150
# One product in so many gives a lower bound on the k-th best.
STRIDE = 64
EPS = float(np.finfo(np.float64).eps)


def checked_vectors(vectors: ArrayLike, largest: float = LARGEST_ENTRY) -> Floats:
    """`vectors` as a read-only matrix (L, d) of finite numbers, a copy; *raises* ValueError for others and for none."""
    found = checked_matrix(vectors, "the vectors of an index", largest)
    if found.size == 0:
        raise ValueError(f"the vectors of an index must be a matrix (L, d) with L, d >= 1, got shape {found.shape}")
    found.setflags(write=False)
    return found


def checked_queries(queries: ArrayLike, k: int, dimension: int, largest: float = LARGEST_ENTRY) -> tuple[Floats, int]:
    """`queries` as a matrix (n, d), and k; *raises* ValueError for another dimension and for k < 1."""
    found = checked_matrix(queries, "queries", largest)
    if found.shape[1] != dimension:
        raise ValueError(f"queries must have the index's dimension {dimension}, got {found.shape[1]}")
    k = checked_whole(k, "k, the number of labels to return,", 1)
    if k * len(found) > MOST_RETURNED:
        raise ValueError(f"a search returns at most {MOST_RETURNED:,} labels, got k = {k:,} for {len(found):,} queries")
    return found, k


@dataclass(frozen=True, eq=False)
class Exact:
    """The index that finds the k labels with the largest inner products ⟨x, w_j⟩, by all L of them.

    Parameters
    ----------
    vectors : array_like, (L, d)
        w_j, a row for each label, within ±1e150.  The index keeps a copy in double precision.

    Raises
    ------
    ValueError
        For no vectors, and for numbers that are not finite or too large.

    Notes
    -----
    A search takes O(n L d) time for n queries.  Beside the vectors and the answer it needs memory for 2²⁵ numbers
    (256 MB), or for twice the L products of one query if these are more.

    Examples
    --------
    Hard negatives from vectors that have moved since the index was made.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> w = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0], [-1.0, 0.0]])
    >>> stale, x = il.index.Exact(w), np.array([[1.0, 0.2]])
    >>> w[3] = [3.0, 0.0]
    >>> stale.search(x, 2), il.index.Exact(w).search(x, 2)
    (array([[0, 1]]), array([[3, 0]]))
    >>> stale.search(x, 6)  # -1 is an empty slot
    array([[ 0,  1,  2,  3, -1, -1]])
    """

    vectors: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "vectors", checked_vectors(self.vectors))

    @cached_property
    def _longest(self) -> float:
        """The largest norm of a vector."""
        return float(np.sqrt(np.einsum("ij,ij->i", self.vectors, self.vectors).max()))

    def search(self, queries: ArrayLike, k: int) -> Labels:
        """Find the k best labels of each query.

        Parameters
        ----------
        queries : array_like, (n, d)
            x, a row for each query; there may be none.
        k : int
            How many labels to return, at least 1.

        Returns
        -------
        ndarray of int, (n, k)
            Labels, best first, the smaller one of equal products first; -1 is an empty slot, where k > L.

        Raises
        ------
        ValueError
            For queries of another dimension or not finite, k < 1, and an answer of more than 2²⁸ labels.
        """
        asked, k = checked_queries(queries, k, self.vectors.shape[1])
        n_labels, dimension = self.vectors.shape
        found = np.full((len(asked), k), -1, dtype=np.intp)
        rows = max(1, BLOCK // n_labels)
        # Matrix products round by where a row lies, so that equal vectors may have unequal products.  They find the
        # candidates; the order is by sums that round alike in all rows.
        margins = 4 * (dimension + 2) * EPS * self._longest * np.sqrt(np.einsum("ij,ij->i", asked, asked))
        for start in range(0, len(asked), rows):
            block = asked[start : start + rows]
            for i, products in enumerate(block @ self.vectors.T, start):
                best = self._best(asked[i], products, min(k, n_labels), margins[i])
                found[i, : best.size] = best
        return found

    def _best(self, query: Floats, products: Floats, k: int, margin: float) -> Labels:
        """The k best labels of a query, among those whose products are within the margin of a bound on the k-th."""
        few, labels = products[::STRIDE], np.arange(products.size)
        few = few if few.size > k else products
        if few.size > k:
            # The k-th best of any part is no better than the k-th best of all.
            labels = np.flatnonzero(products >= np.partition(few, few.size - k)[few.size - k] - margin)
        again, part = np.empty(labels.size), max(1, BLOCK // query.size)
        for start in range(0, labels.size, part):
            vectors = self.vectors[labels[start : start + part]]
            np.einsum("ij,j->i", vectors, query, out=again[start : start + part])
        return labels[np.argsort(-again, kind="stable")[:k]]

    def __repr__(self) -> str:
        n_labels, dimension = self.vectors.shape
        return f"Exact({n_labels:,} labels, dimension {dimension})"
