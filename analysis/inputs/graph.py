"""The best labels of a query by a graph index (HNSW) of faiss, where that is installed, and what the search takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from analysis.inputs.embeddings import Embeddings
from implicitloss.labels import Labels

# Neighbours of a label in the graph, and labels that are looked at when one is added.
NEIGHBOURS, LOOKED_AT = 16, 40


@dataclass(frozen=True)
class Mined:
    """The labels that a search returned, or None, and the inner products that it took."""

    labels: Labels | None = field(default=None)
    products: int = 0


NOT_MINED = Mined()


def has_graph() -> bool:
    """Whether faiss is there."""
    return find_spec("faiss") is not None


@lru_cache(maxsize=1)
def _graph(found: Embeddings) -> Any:
    """The index of vectors with their biases, which are one entry more."""
    import faiss

    index = faiss.IndexHNSWFlat(found.dimension + 1, NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = LOOKED_AT
    index.add(np.column_stack([found.vectors, found.biases]).astype(np.float32))
    return index


def best_by_graph(found: Embeddings, x: int, k: int) -> Mined:
    """The k best labels of a query, nearly, by a search that keeps k candidates."""
    import faiss

    index = _graph(found)
    faiss.cvar.hnsw_stats.reset()
    query = np.append(found.queries[x], 1.0).astype(np.float32)[None]
    _, labels = index.search(query, k, params=faiss.SearchParametersHNSW(efSearch=k))
    return Mined(labels[0].astype(np.intp), int(faiss.cvar.hnsw_stats.ndis))
