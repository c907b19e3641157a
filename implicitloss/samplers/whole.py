from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from implicitloss.index.at_query import AtQuery
from implicitloss.labels import Floats
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw

if TYPE_CHECKING:
    import sympy as sp

__all__ = ["Whole"]

NOT_LABELS = (
    "a draw of Whole brings a whole cluster, which integrate, exhaust, simulate, decide, price, and the implicit loss, "
    "its gradient and margins take; for anything else use Clustered(index, query), whose draws are labels"
)


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Whole(AtQuery):
    """Sampling of whole clusters for one query h: a draw brings every label of a cluster.

    Cluster c is drawn with the Q_c of `Clustered`, and all of its labels count, each with the weight that the scheme
    gives to a label of q = Q_c: importance weights 1/(m Q_c) have margins 1.  In a table of vectors that is kept in the
    order `index.order`, a cluster is read row after row, which is faster than as many rows in no order.  With
    importance weights and hits masked, the relative variance of a draw is χ² between clusters, which is never larger
    than that of `Clustered` on the same index, between labels.

    Parameters
    ----------
    index : Clusters
        The clusters, and the vectors and tickets of labels.
    query : array_like, (d,)
        h.
    defence : float
        λ, from 0 to 1: the share of draws that go by tickets alone.

    Raises
    ------
    ValueError
        As `Clustered` does, and when it is given to a function that takes draws of single labels only.

    Notes
    -----
    `integrate`, `exhaust`, `simulate`, `decide`, `price`, `implicit_loss`, `implicit_gradient` and `implicit_margins`
    take it, for softmax losses and independent draws without hard negatives.  A positive in a cluster that is drawn is
    masked, or kept; it cannot be excluded, as no cluster is drawn again.  `Consistent` weights are refused: they are
    exact at every m for draws of labels, and not for those of clusters.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(1)
    >>> w, h = rng.normal(size=(1000, 16)) / 4, 4 * rng.normal(size=16)
    >>> index = il.index.Clusters.fit(w, queries=4 * rng.normal(size=(500, 16)), k=32, rng=0)
    >>> problem, loss = il.Problem(w @ h, il.LabelPrior.zipf(1000, 1.0), positive=3), il.losses.SoftmaxCrossEntropy()
    >>> for sampler in (il.samplers.Clustered(index, h), il.samplers.Whole(index, h)):
    ...     scheme = il.Scheme(sampler, il.weightings.Importance(), m=8, hits="mask")
    ...     found = il.price(scheme, loss, problem)
    ...     print(f"χ² {found.chi2:.1f}, {found.share:.2f} of all scores")
    χ² 30.4, 0.04 of all scores
    χ² 0.6, 0.28 of all scores
    """

    name = "whole clusters"
    needs_scores = False

    def log_law(self, problem: Problem) -> Floats:
        """No law of single labels; *raises* ValueError."""
        raise ValueError(NOT_LABELS)

    def procedure(self, problem: Problem) -> Draw:
        """No draw of single labels; *raises* ValueError."""
        raise ValueError(NOT_LABELS)

    def law(self, yp: sp.Expr) -> sp.Expr:
        """No law of single labels; *raises* ValueError."""
        raise ValueError(NOT_LABELS)

    def log_cluster_law(self) -> Floats:
        """log Q_c, (K,)."""
        return self.index.log_cluster_law(self.query, self.defence)
