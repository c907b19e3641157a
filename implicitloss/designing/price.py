"""What the draws of one example cost and what they leave uncertain, exactly."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from implicitloss.arguments import checked_whole
from implicitloss.clusterwise import by_cluster
from implicitloss.losses import Loss, checked_loss
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem, checked_problem
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.samplers.whole import Whole
from implicitloss.scheme import Scheme, checked_scheme, only_iid
from implicitloss.theory.expansion import relative_moments
from implicitloss.witness.integrate import integrate

__all__ = ["Price", "price"]


@dataclass(frozen=True)
class Price:
    """What the draws of one example cost, and how far its sampled loss is from its implicit loss.

    Parameters
    ----------
    chi2 : float
        The relative variance of a draw's term X = w e^{f_y' - f_y}, Var X/(E X)².  With importance weights it is
        χ²(q*‖q), q* the model's probabilities of what may be drawn; 0 for the minimum-variance sampler.
    v : float
        Var(m X)/μ², μ = 1 + Σ_T w_T e^{f_j - f_y} + m E X: for large m the bias is -v/(2m) and the variance v/m.
    bias, variance : float
        E ℓ(N) less the implicit loss, and Var ℓ(N); exact.
    multiply_adds : float
        Multiply-adds: d for each label whose score is computed, and what the sampler needs to draw.
    random_rows : int
        Rows of the table of vectors that are read in no order: the draws and the positive.  Hard clusters are read row
        after row, in a table that has the order of the index, and so their rows are not counted here.  Of a whole
        cluster that is drawn, the first row alone is counted.
    share : float
        `multiply_adds` over the L d of all scores.

    References
    ----------
    Rawat et al. 2021, Theorem 3, for v; the rest is derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), positive=1)
    >>> scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Importance(), m=2, hits="exclude")
    >>> found = il.price(scheme, il.losses.SoftmaxCrossEntropy(), problem)
    >>> found.multiply_adds, found.random_rows, found.share, round(found.rmse, 2)
    (3.0, 3, 0.75, 0.64)
    """

    chi2: float
    v: float
    bias: float
    variance: float
    multiply_adds: float
    random_rows: int
    share: float

    @property
    def rmse(self) -> float:
        """The root of the mean squared error, √(bias² + variance)."""
        return math.sqrt(self.bias**2 + self.variance)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "rmse": self.rmse}


def price(scheme: Scheme, loss: Loss, problem: Problem, dimension: int | None = None) -> Price:
    """Compute what the draws of an example cost, and what they leave uncertain.

    Costs are those of one example: a score is an inner product, d multiply-adds; what a batch of examples shares is
    not shared out.  A random row is read from memory in no order, which takes as long as some 30 rows of a product.

    Parameters
    ----------
    scheme : Scheme
        A scheme with i.i.d. draws, with or without hard negatives.
    loss : Loss
        The loss.
    problem : Problem
        Scores, label prior and positive label.
    dimension : int, optional
        d, by default that of the sampler's query, or of hard clusters; else 1: costs are then in inner products.

    Returns
    -------
    Price
        Its numbers.

    Raises
    ------
    ValueError
        For other draws, a dimension below 1, and as `integrate` does.

    References
    ----------
    Derived here.

    Examples
    --------
    Two-level draws from 40 clusters of 4,000 labels, and as many uniform ones.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(0)
    >>> w, h = rng.normal(size=(4000, 16)) / 4, 4 * rng.normal(size=16)
    >>> index = il.index.Clusters.fit(w, queries=4 * rng.normal(size=(500, 16)), k=40, rng=0)
    >>> problem, loss = il.Problem(w @ h, il.LabelPrior.zipf(4000, 1.0), positive=3), il.losses.SoftmaxCrossEntropy()
    >>> for sampler in (il.samplers.Uniform(), il.samplers.Clustered(index, h)):
    ...     scheme = il.Scheme(sampler, il.weightings.Importance(), m=64, hits="exclude")
    ...     found = il.price(scheme, loss, problem, dimension=16)
    ...     print(f"{found.share:.4f} of all scores, relative variance of a draw {found.chi2:.0f}")
    0.0163 of all scores, relative variance of a draw 190
    0.0262 of all scores, relative variance of a draw 48
    """
    scheme = only_iid(checked_scheme(scheme), "a price")
    loss, problem = checked_loss(loss), checked_problem(problem)
    n, m = problem.prior.n_labels, scheme.m
    query = getattr(scheme.sampler, "query", None)
    if query is None and scheme.hard is not None:
        query = scheme.hard.query
    given = (1 if query is None else len(query)) if dimension is None else dimension
    d = checked_whole(given, "the dimension", 1)
    if isinstance(scheme.sampler, Whole):
        few = by_cluster(scheme, loss, problem)
        scheme, problem = few.scheme, few.problem
    plan = scheme.plan(problem)
    scored = 1 + m + plan.hard.size
    adds = float(scored * d + complete_sampler(scheme.sampler).multiply_adds(n, d, m))
    return Price(
        chi2=_relative_variance(plan.log_q, plan.log_w + loss.log_payment(problem.scores, problem.positive)),
        v=relative_moments(scheme, loss, problem).v,
        bias=-float(integrate(scheme, loss, problem, "gap")),
        variance=float(integrate(scheme, loss, problem, "variance")),
        multiply_adds=adds,
        random_rows=1 + m + (plan.hard.size if scheme.hard is not None and scheme.hard.of is None else 0),
        share=adds / (n * d),
    )


def _relative_variance(log_q: np.ndarray, log_x: np.ndarray) -> float:
    """Var X/(E X)² of X = e^{log_x} under q; 0 where X is 0."""
    q = np.exp(log_q)
    log_x = np.where(q > 0, log_x, -np.inf)
    if not np.any(log_x > -np.inf):
        return 0.0
    with np.errstate(over="ignore"):
        return float(np.sum(q * np.where(q > 0, np.expm1(log_x - float(logsumexp(log_x, b=q))), 0.0) ** 2))
