from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implicitloss.arguments import checked_whole
from implicitloss.index.exact import Exact, checked_queries, checked_vectors
from implicitloss.labels import Floats, Labels

__all__ = ["Faiss"]

# Faiss computes in single precision; sums of products of larger entries could overflow.
LARGEST_SINGLE = 1e15


@dataclass(frozen=True, eq=False)
class Faiss:
    """An approximate index of Faiss, an inverted file (IVF): it finds most of the k largest ⟨x, w_j⟩, in less time.

    The vectors are put into `nlist` cells by k-means.  A query looks at the `nprobe` cells whose centres have the
    largest inner products with it, and at no label of another cell.  It returns the k best labels of these cells, or
    fewer.  The recall is the share of the true k best labels that it returns.

    A recall below 1 leaves unbiased weights unbiased, at any age of the index, if they are taken over the labels that
    were really returned (`HardNegatives` with `Importance` weights and masked or excluded overlap): labels that the
    index misses are drawn as all others are.  The variance grows, and for softmax the Jensen gap with it.

    Parameters
    ----------
    vectors : array_like, (L, d)
        w_j, a row for each label, within ±1e15.  The index keeps copies in single precision, for Faiss, and in
        double precision, for `recall`.
    nlist : int
        The number of cells, from 1 to L; Faiss advises 4 √L to 16 √L for up to a million labels.
    nprobe : int
        The number of cells that a query looks at, from 1 to nlist; with all of them nothing is missed.

    Raises
    ------
    ValueError
        For no vectors, numbers that are not finite or too large, cells out of range, and where faiss is missing.

    References
    ----------
    Johnson et al. 2021, *Billion-scale similarity search with GPUs*.

    Examples
    --------
    >>> import faiss
    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(0)
    >>> w, x = rng.normal(size=(500, 8)), rng.normal(size=(40, 8))
    >>> few, all_cells = (il.index.Faiss(w, nlist=20, nprobe=nprobe) for nprobe in (2, 20))
    >>> few.recall(x, 10) < 0.9, all_cells.recall(x, 10)
    (True, 1.0)
    """

    vectors: Floats
    nlist: int
    nprobe: int
    _exact: Exact = field(init=False, repr=False)
    _index: Any = field(init=False, repr=False)

    def __init__(self, vectors: ArrayLike, *, nlist: int, nprobe: int) -> None:
        exact = Exact(checked_vectors(vectors, LARGEST_SINGLE))
        found = exact.vectors
        nlist = checked_whole(nlist, "nlist, the number of cells,", 1, len(found))
        nprobe = checked_whole(nprobe, "nprobe, the number of cells that a query looks at,", 1, nlist)
        made = _made(found.astype(np.float32), nlist, nprobe)
        fields = {"vectors": found, "nlist": nlist, "nprobe": nprobe, "_exact": exact, "_index": made}
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def search(self, queries: ArrayLike, k: int) -> Labels:
        """Find the k best labels of each query, among those in the cells that it looks at.

        Parameters
        ----------
        queries : array_like, (n, d)
            x, a row for each query; there may be none.
        k : int
            How many labels to return, at least 1.

        Returns
        -------
        ndarray of int, (n, k)
            Labels, best first by the products in single precision, the smaller one of equal products first; -1 is an
            empty slot, where the cells hold fewer than k labels.

        Raises
        ------
        ValueError
            For queries of another dimension or not finite, k < 1, and an answer of more than 2²⁸ labels.
        """
        asked, k = checked_queries(queries, k, self.vectors.shape[1], LARGEST_SINGLE)
        found = np.full((len(asked), k), -1, dtype=np.intp)
        if len(asked):
            most = min(k, len(self.vectors))
            products, labels = self._index.search(asked.astype(np.float32), most)
            # Faiss leaves equal products in any order, and gives empty slots the least product.
            order = np.lexsort((labels, -products))
            found[:, :most] = np.take_along_axis(labels, order, axis=1)
        return found

    def recall(self, queries: ArrayLike, k: int) -> float:
        """Compute the mean share of the true k best labels of a query that `search` returns.

        Parameters
        ----------
        queries : array_like, (n, d)
            x, a row for each query, at least one.
        k : int
            How many labels to return, at least 1; of more than L the true best are all L labels.

        Returns
        -------
        float
            Between 0 and 1.  The true best are those of `Exact`, of equal products the smaller labels.

        Raises
        ------
        ValueError
            For no queries, and as `search` does.
        """
        found, true = self.search(queries, k), self._exact.search(queries, k)
        if not len(found):
            raise ValueError("a recall needs at least one query, got none")
        # A pair of query and label as one number; an empty slot is no label.
        rows = np.arange(len(found))[:, None] * len(self.vectors)
        return float(np.isin((rows + true)[true >= 0], (rows + found)[found >= 0]).mean())

    def __repr__(self) -> str:
        n_labels, dimension = self.vectors.shape
        return f"Faiss({n_labels:,} labels, dimension {dimension}, nlist={self.nlist}, nprobe={self.nprobe})"


def _made(vectors: NDArray[np.float32], nlist: int, nprobe: int) -> Any:
    """Faiss's own index, with the vectors in it."""
    try:
        with warnings.catch_warnings():
            # Wrappers by SWIG warn on Python 3.12.
            warnings.simplefilter("ignore", DeprecationWarning)
            import faiss
    except ImportError as error:
        raise ValueError(f"il.index.Faiss needs faiss: pip install 'implicitloss[index]' ({error!s:.100})") from None
    index: Any = faiss.index_factory(vectors.shape[1], f"IVF{nlist},Flat", faiss.METRIC_INNER_PRODUCT)
    # Faiss would print a warning where a cell has fewer than 39 vectors.
    index.cp.min_points_per_centroid = 1
    index.nprobe = nprobe
    index.train(vectors)
    index.add(vectors)
    return index
