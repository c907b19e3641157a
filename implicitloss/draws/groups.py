"""Many labels as few: those with equal q are one, and crowded bins of log q become Chebyshev points.

Sums Σ_j g(log q_j), g analytic, become Σ_i times_i g(log q_i) over the points, with signed `times` in narrow bins, as
`implicitloss.witness.integrate.compression` does for sums over draws.  A bin with fewer than `CROWDED`
different q keeps them one by one: the integrands of `draws.races` have poles beside a label that arrives at about the
time of the node, and many labels that do so together damp the weights there (σ² > CROWDED/4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from implicitloss.labels import Floats
from implicitloss.numerics.threads import in_order

__all__ = ["FINE", "WIDTH", "Groups", "grouped"]

N = 14
# Bins of log q.  Where most labels have been drawn, e^{-qs} is steep in log q, and bins are finer.
WIDTH, FINE = 1 / 8, 1 / 64
CROWDED = 160
GROUP_FROM_LABELS = 2_000
_angles = np.pi * (np.arange(N) + 0.5) / N
_T = np.cos(np.multiply.outer(_angles, np.arange(N)))
_TO_MASSES = np.where(np.arange(N) == 0, 1.0, 2.0)[:, None] * _T.T / N


@dataclass(frozen=True, eq=False)
class Groups:
    """Points `q` (J,) that stand for `times` (J,) labels each, and the way back to all labels.

    `alone` counts the points that are different q themselves; `bins` are slices of the different q, in their order,
    whose points come after those.  `which` (L,) is each label's place among the different q.
    """

    q: Floats
    times: Floats
    distinct: Floats
    is_alone: NDArray[np.bool_]
    bins: tuple[tuple[slice, float], ...]
    which: NDArray[np.intp]
    width: float = WIDTH

    def spread(self, values: Floats) -> Floats:
        """Values at the points, (J,), as values of all labels, (L,)."""
        found = np.empty(self.distinct.size)
        n_alone = self.distinct.size - sum(part.stop - part.start for part, _ in self.bins)
        found[self.is_alone] = values[:n_alone]

        def fill(k: int) -> None:
            part, centre = self.bins[k]
            at = (np.log(self.distinct[part]) - centre) / (self.width / 2)
            coefficients = values[n_alone + N * k : n_alone + N * (k + 1)] @ _TO_MASSES.T
            found[part] = np.polynomial.chebyshev.chebval(at, coefficients)

        for _ in in_order(fill, range(len(self.bins))):
            pass
        return found[self.which]


def grouped(q: Floats, width: float = WIDTH) -> Groups:
    """The groups of labels with the rates `q` (L,), all positive, in bins of this width."""
    if q.size < GROUP_FROM_LABELS:
        return Groups(q, np.ones(q.size), q, np.ones(q.size, dtype=bool), (), np.arange(q.size))
    distinct, which, times = np.unique(q, return_inverse=True, return_counts=True)
    logs = np.log(distinct)
    number = np.floor((logs - logs[0]) / width).astype(np.intp)
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    ends = np.append(starts[1:], number.size)
    crowded = ends - starts >= CROWDED
    is_alone = np.repeat(~crowded, ends - starts)
    bins = tuple(
        (slice(int(a), int(b)), float(logs[0] + width * (number[a] + 0.5)))
        for a, b in zip(starts[crowded], ends[crowded], strict=True)
    )

    def masses(one: tuple[slice, float]) -> Floats:
        part, centre = one
        at = np.clip((logs[part] - centre) / (width / 2), -1.0, 1.0)
        moments = np.polynomial.chebyshev.chebvander(at, N - 1).T @ times[part]
        return _TO_MASSES.T @ moments

    found = [*in_order(masses, bins)]
    points = [np.exp(centre + width / 2 * np.cos(_angles)) for _, centre in bins]
    return Groups(
        np.concatenate([distinct[is_alone], *points]),
        np.concatenate([times[is_alone].astype(np.float64), *found]),
        distinct,
        is_alone,
        bins,
        which.reshape(-1),
        width,
    )
