"""Clusters at a query: what samplers that draw from them have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_instance
from implicitloss.index.clusters import Clusters, checked_defence
from implicitloss.kernels.clusters import log_expected, mix
from implicitloss.labels import Floats

__all__ = ["AtQuery"]


@dataclass(frozen=True, eq=False, repr=False)
class AtQuery:
    """An index, a query h (d,), and the share `defence` of draws that go by tickets alone; equal by value."""

    index: Clusters
    query: Floats
    defence: float

    def __init__(self, index: Clusters, query: ArrayLike, defence: float = 0.1) -> None:
        checked_instance(index, Clusters, "the index", "index.Clusters.fit(vectors)")
        within = checked_defence(defence)
        for name, value in (("index", index), ("query", index.checked_query(query)), ("defence", within)):
            object.__setattr__(self, name, value)

    def check_covers(self, n_labels: int) -> None:
        """*Raises* ValueError for an index of another number of labels."""
        if self.index.n_labels != n_labels:
            raise ValueError(f"the index must cover the prior's {n_labels} labels, got {self.index.n_labels}")

    def cluster_shares(self) -> Floats:
        """How clusters are drawn, (K,), for procedures: computed anew, and not read from the law."""
        index = self.index
        logs = log_expected(index.axes @ self.query, index.log_tickets, index.spreads)
        shares: Floats = np.exp(logs, out=logs)
        mix(index.ticket_shares, self.defence, shares)
        return shares

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, AtQuery) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[str, Clusters, bytes, float]:
        query = self.query + 0.0  # no -0
        return type(self).__name__, self.index, query.tobytes(), self.defence

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.index!r}, defence={self.defence:g})"
