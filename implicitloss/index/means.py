"""k-means by Lloyd's iterations, in single precision: nearest centres by matrix products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from implicitloss.labels import Floats, Labels
from implicitloss.numerics.seeds import Seed, checked_seed

__all__ = ["clustered_rows"]

Singles = NDArray[np.float32]
ROUNDS, ROWS_A_CENTRE = 10, 64
# Numbers in memory at a time, beside the rows.
BLOCK = 1 << 24


def clustered_rows(rows: Floats, k: int, rng: Seed) -> Labels:
    """The cluster of each row, (n,), from 0 to K - 1, K <= k; none is empty."""
    generator = np.random.default_rng(checked_seed(rng))
    # The mean and the scale change no nearest centre, and would cost digits.
    x = rows - rows.mean(axis=0)
    x = (x / max(float(np.abs(x).max()), np.finfo(np.float64).tiny)).astype(np.float32)
    some = x[np.sort(generator.permutation(len(x))[: ROWS_A_CENTRE * k])]
    centres = some[generator.choice(len(some), k, replace=False)]
    for _ in range(ROUNDS):
        nearest, distance = _nearest(some, centres)
        count = np.bincount(nearest, minlength=k)
        order = np.argsort(nearest, kind="stable")
        full = np.flatnonzero(count)
        starts = (np.cumsum(count) - count)[full]
        centres[full] = np.add.reduceat(some[order], starts, axis=0) / count[full, None]
        empty = np.flatnonzero(count == 0)
        centres[empty] = some[np.argsort(-distance, kind="stable")[: empty.size]]  # what is worst off
    return np.unique(_nearest(x, centres)[0], return_inverse=True)[1].reshape(-1)


def _nearest(x: Singles, centres: Singles) -> tuple[Labels, Singles]:
    """The nearest centre of each row, (n,), and the square of the distance."""
    found, distance = np.empty(len(x), dtype=np.intp), np.empty(len(x), dtype=np.float32)
    norms = 0.5 * np.einsum("ij,ij->i", centres, centres)
    size = max(1, BLOCK // len(centres))
    for start in range(0, len(x), size):
        some = x[start : start + size]
        away = norms - some @ centres.T
        best = away.argmin(axis=1)
        found[start : start + size] = best
        squares = np.einsum("ij,ij->i", some, some)
        distance[start : start + size] = squares + 2 * away[np.arange(len(some)), best]
    return found, distance
