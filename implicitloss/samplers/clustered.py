from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_instance
from implicitloss.index.clusters import Clusters, checked_defence
from implicitloss.labels import Floats
from implicitloss.later import later
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler, by_shares

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = ["Clustered", "cluster_shares", "examples"]


@dataclass(frozen=True, repr=False)
class Clustered(Sampler):
    """Two-level sampling for one query h: a cluster by what scores are expected in it, then a label by its tickets.

    q_j = Q_c g_j/B_c for j in cluster c, with
    Q_c = (1 - λ) B_c exp(⟨h, μ_c⟩ + s_c hᵀC⁻¹h/d)/Σ + λ B_c/Σ, each part normalised; the symbols are those of
    `index.Clusters`.  A draw takes two look-ups, after K inner products for the query.  The law is that of the
    procedure, whatever the clusters and however old the vectors of the index: importance and consistent weights stay
    right, and only their variance grows.

    Parameters
    ----------
    index : Clusters
        The clusters, and the vectors and tickets of labels.
    query : array_like, (d,)
        h.
    defence : float
        λ, from 0 to 1: the share of draws that go by tickets alone.  It bounds every weight, by 1/λ times that of a
        draw by tickets.

    Raises
    ------
    ValueError
        For another index, a query of another dimension, λ out of range; when it is used, for another number of labels.

    References
    ----------
    Derived here; "instance-dependent samplers" are the future work of Rawat et al. 2021.

    Examples
    --------
    The relative variance of the sampled Σ e^{f_j} by one draw is χ²(q*‖q), q* the model's probabilities.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(1)
    >>> w, h = rng.normal(size=(1000, 16)) / 4, 4 * rng.normal(size=16)
    >>> index = il.index.Clusters.fit(w, queries=4 * rng.normal(size=(500, 16)), k=32, rng=0)
    >>> problem = il.Problem(w @ h, il.LabelPrior.zipf(1000, 1.0), positive=3)
    >>> def chi2(sampler):
    ...     full = il.samplers.ModelBased().log_law(problem)
    ...     return float(np.exp(2 * full - sampler.log_law(problem)).sum() - 1)
    >>> chi2(il.samplers.Clustered(index, h)) < chi2(il.samplers.Uniform()) / 2
    True
    """

    index: Clusters
    query: Floats
    defence: float
    name = "two-level sampling"
    needs_scores = False

    def __init__(self, index: Clusters, query: ArrayLike, defence: float = 0.1) -> None:
        checked_instance(index, Clusters, "the index", "index.Clusters.fit(vectors)")
        within = checked_defence(defence)
        for name, value in (("index", index), ("query", index.checked_query(query)), ("defence", within)):
            object.__setattr__(self, name, value)

    def log_law(self, problem: Problem) -> Floats:
        self._check(problem)
        return self.index.log_law(self.query, self.defence)

    @property
    def q(self) -> Floats:
        """The law in numbers, (L,), which the symbol q stands for."""
        return np.exp(self.index.log_law(self.query, self.defence))

    def procedure(self, problem: Problem) -> Draw:
        self._check(problem)
        index = self.index
        of_cluster = by_shares(cluster_shares(index, self.query, self.defence))
        return lambda rng, size: index.draw_inside(of_cluster(rng, size), rng)

    def multiply_adds(self, n_labels: int, dimension: int, m: int) -> float:
        return float(self.index.sizes.size * dimension)

    def law(self, yp: sp.Expr) -> sp.Expr:
        return s.q[yp]

    def _check(self, problem: Problem) -> None:
        if self.index.n_labels != problem.prior.n_labels:
            raise ValueError(
                f"the index must cover the prior's {problem.prior.n_labels} labels, got {self.index.n_labels}"
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Clustered) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[Clusters, bytes, float]:
        return self.index, self.query.tobytes(), self.defence

    def __repr__(self) -> str:
        return f"Clustered({self.index!r}, defence={self.defence:g})"


def cluster_shares(index: Clusters, query: Floats, defence: float) -> Floats:
    """How clusters are drawn, (K,), for procedures: computed anew, and not read from the law."""
    expected = index.log_tickets + index.centres @ query + index.spreads * index.length(query)
    near = np.exp(expected - expected.max())
    return np.asarray((1 - defence) / near.sum() * near + defence * index.ticket_shares)


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """Two clusters, of labels of different tickets."""
    rng = np.random.default_rng(20)
    vectors, biases = rng.normal(size=(given.n_labels, 3)), rng.normal(size=given.n_labels)
    return (Clustered(Clusters.fit(vectors, biases, k=2), [0.4, -1.0, 0.7]),)
