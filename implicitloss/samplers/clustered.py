from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.arguments import checked_whole
from implicitloss.index.at_query import AtQuery
from implicitloss.index.clusters import Clusters
from implicitloss.kernels.alias import alias_table, find_in_clusters
from implicitloss.labels import Floats, Labels
from implicitloss.later import later
from implicitloss.numerics.seeds import Seed, checked_seed
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = ["Clustered", "examples"]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Clustered(AtQuery, Sampler):
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
        λ, from 0 to 1: the share of draws that go by tickets alone.  It bounds every weight by
        1/λ times what it would be if all draws went by tickets.

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

    name = "two-level sampling"
    needs_scores = False

    def log_law(self, problem: Problem) -> Floats:
        self.check_covers(problem.prior.n_labels)
        return self.index.log_law(self.query, self.defence)

    @property
    def q(self) -> Floats:
        """The law in numbers, (L,), which the symbol q stands for."""
        return np.exp(self.index.log_law(self.query, self.defence))

    def procedure(self, problem: Problem) -> Draw:
        self.check_covers(problem.prior.n_labels)
        return lambda rng, size: self._drawn(rng, size)[0]

    def draw(self, m: int, rng: Seed = None) -> tuple[Labels, Floats]:
        """Draw m labels and say how likely they were, in time for K inner products and m look-ups.

        Parameters
        ----------
        m : int
            How many, at least 1.
        rng : int, list of int or numpy.random.Generator, optional
            A seed, or a generator that goes on.

        Returns
        -------
        labels : ndarray of int, (m,)
            Labels, i.i.d.
        log_q : ndarray, (m,)
            Their log q, which `log_law` has of all labels.

        Raises
        ------
        ValueError
            For m < 1, and no seed.

        Examples
        --------
        An estimate of Σ e^{f_j} that reads the vectors of drawn labels alone.

        >>> import numpy as np
        >>> import implicitloss as il
        >>> rng = np.random.default_rng(1)
        >>> w, h = rng.normal(size=(1000, 16)) / 4, 4 * rng.normal(size=16)
        >>> index = il.index.Clusters.fit(w, queries=4 * rng.normal(size=(500, 16)), k=32, rng=0)
        >>> labels, log_q = il.samplers.Clustered(index, h).draw(20_000, rng=0)
        >>> estimate = np.exp(w[labels] @ h - log_q).mean()
        >>> bool(abs(estimate / np.exp(w @ h).sum() - 1) < 0.3)
        True
        """
        labels, q = self._drawn(np.random.default_rng(checked_seed(rng)), checked_whole(m, "m", 1))
        return labels, np.log(q)

    def _drawn(self, rng: np.random.Generator, m: int) -> tuple[Labels, Floats]:
        index, labels, q = self.index, np.empty(m, dtype=np.intp), np.empty(m)
        find_in_clusters(*self._of_clusters, index.records, index.starts, rng.random((2, m)), labels, q)
        return labels, q

    @cached_property
    def _of_clusters(self) -> tuple[Floats, Floats]:
        """The shares of clusters, (K,), and their alias table."""
        shares = self.cluster_shares()
        return shares, alias_table(shares)

    def multiply_adds(self, n_labels: int, dimension: int, m: int) -> float:
        return float(self.index.sizes.size * dimension)

    def law(self, yp: sp.Expr) -> sp.Expr:
        return s.q[yp]


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """Two clusters, of labels of different tickets."""
    rng = np.random.default_rng(20)
    vectors, biases = rng.normal(size=(given.n_labels, 3)), rng.normal(size=given.n_labels)
    return (Clustered(Clusters.fit(vectors, biases, k=2), [0.4, -1.0, 0.7]),)
