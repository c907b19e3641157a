"""The metric of recent queries, in which labels are put into clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_matrix
from implicitloss.labels import Floats

__all__ = ["metric_of"]

# It gets this part of its mean variance in every direction, so that it has an inverse.
RIDGE = 1e-6
LEAST_QUERY = 1e-100


def metric_of(queries: ArrayLike | None, dimension: int, largest: float) -> Floats:
    """C = E hhᵀ with a small ridge, (d, d); 1 without queries."""
    if queries is None:
        return np.eye(dimension)
    h = checked_matrix(queries, "queries", largest)
    if h.shape[1] != dimension or not len(h):
        raise ValueError(f"queries must be a matrix (n, {dimension}) with n >= 1, got shape {h.shape}")
    if not np.abs(h).max() > LEAST_QUERY:
        raise ValueError(f"queries must not all be 0, or within ±{LEAST_QUERY:g} of it: their metric would be lost")
    found = h.T @ h / len(h)
    scale = float(np.trace(found)) / dimension
    return np.asarray(found + RIDGE * scale * np.eye(dimension))
