"""The covariance of the losses of two examples that share their draws."""

from __future__ import annotations

import numpy as np

from implicitloss.estimate import Estimate
from implicitloss.losses import Loss, checked_loss
from implicitloss.problem import Problem, checked_problem
from implicitloss.scheme import Scheme, checked_scheme
from implicitloss.witness.integrate.designs import Drawn, Few
from implicitloss.witness.integrate.quadrature import EPS, LEFT, RIGHT, STEP, nodes
from implicitloss.witness.integrate.reach import plan_and_payment

__all__ = ["covariance"]


def covariance(scheme: Scheme, loss: Loss, problem_a: Problem, problem_b: Problem) -> Estimate:
    """Compute Cov(ℓ_a, ℓ_b) of two examples of a batch that have the same negatives N, by a double integral.

    With S_a = Σ_{j∈N} x_aj and M_ab(s, t) = E e^{-sS_a - tS_b}, M_a and M_b its margins,

        Cov = ∬ (M_ab - M_a M_b) e^{-s-t} ds dt/(s t)

    for softmax; for decoupled losses it is that of the sums.  Sharing the draws leaves every mean as it is, and the
    variance of the mean of a batch's losses becomes that of the average covariance.

    Parameters
    ----------
    scheme : Scheme
        Sampler, weights, m, hits and the design of the draws.  Hits must be masked or kept: where they are drawn again,
        examples with different positives have different draws.
    loss : Loss
        `losses.SoftmaxCrossEntropy()` or `losses.Decoupled(...)`.
    problem_a, problem_b : Problem
        The two examples, over the same labels.

    Returns
    -------
    Estimate
        The covariance, and a bound on its error: some 1e-12 of the product of the two sums' sizes.

    Raises
    ------
    ValueError
        For excluded hits, and for a sampler whose law differs between the two.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> a = il.Problem([0.3, -0.4, 1.2, -1.7], prior, positive=1)
    >>> b = il.Problem([0.9, 0.1, 0.2, -0.3], prior, positive=2)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=3, hits="mask")
    >>> loss = il.losses.SoftmaxCrossEntropy()
    >>> print(f"{float(il.covariance(scheme, loss, a, b)):.4f}, {float(il.covariance(scheme, loss, a, a)):.4f}")
    -0.1455, 0.4954
    """
    checked_loss(loss)
    checked_scheme(scheme)
    checked_problem(problem_a)
    checked_problem(problem_b)
    if scheme.hits == "exclude" and problem_a.positive != problem_b.positive:
        raise ValueError(
            "hits='exclude' draws from another law for each positive, so that examples cannot share their draws; use "
            "hits='mask' or 'keep'"
        )
    reaches = [plan_and_payment(scheme, loss, problem, 2) for problem in (problem_a, problem_b)]
    if not np.array_equal(reaches[0].plan.log_q, reaches[1].plan.log_q):
        raise ValueError(
            f"examples share their draws if the law is the same for both, but that of {scheme.sampler} is not"
        )
    a, b = (Drawn.of(scheme, reach.plan, reach.payment) for reach in reaches)
    if not loss.has_log:
        x, y = np.exp(a.log_x), np.exp(b.log_x)
        # Var(a + b) - Var(a - b) = 4 Cov(a, b)
        (_, both), (_, apart) = a.law.moments(x + y), a.law.moments(x - y)
        size = float(a.law.inclusion @ (x + y)) ** 2
        return Estimate((both - apart) / 4, (a.error + b.error) * (size + both), "covariance", "integrate")
    if -np.inf in (a.log_most, b.log_most):
        return Estimate(0.0, 0.0, "covariance", "integrate")
    v, w = (nodes(-max(0.0, one.log_most) - LEFT, RIGHT) for one in (a, b))
    few_a, few_b = Few.of(v, a.log_most), Few.of(w, b.log_most)
    missed_a, missed_b = a.misses(few_a.nodes), b.misses(few_b.nodes)
    alone_a, alone_b = a.law.missing(missed_a), b.law.missing(missed_b)
    # M_ab - M_a M_b = (1 - M_a) + (1 - M_b) - (1 - M_ab) - (1 - M_a)(1 - M_b), a row for each node of a
    table = np.array(
        [
            alone_a[i] + alone_b - a.law.missing(missed_a[:, i, None] + missed_b - missed_a[:, i, None] * missed_b)
            for i in range(alone_a.size)
        ]
    ) - np.multiply.outer(alone_a, alone_b)
    whole = few_a.spread(few_b.spread(table, 1).T, 1)
    weights_a, weights_b = STEP * np.exp(-np.exp(v)), STEP * np.exp(-np.exp(w))
    value = float(weights_b @ whole @ weights_a)
    sizes = [
        float(weight @ np.minimum(1.0, one.missing(at))) for weight, one, at in ((weights_a, a, v), (weights_b, b, w))
    ]
    return Estimate(
        value, (a.error + b.error + 64 * EPS) * 4 * (1 + sizes[0]) * (1 + sizes[1]), "covariance", "integrate"
    )
