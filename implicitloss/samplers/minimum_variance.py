from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.labels import Floats
from implicitloss.later import later
from implicitloss.losses import Loss, SoftmaxCrossEntropy, checked_loss
from implicitloss.margins import Margin, Softmax, checked_margin
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler, by_shares

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = ["MinimumVariance", "examples"]


@dataclass(frozen=True)
class MinimumVariance(Sampler):
    """The sampler of least variance: q*_y' ∝ p_yy' · payment(y') on y' ≠ y, and 0 at y.

    With weights p/(m q*) every draw adds the same amount.  Decoupled losses: q* ∝ p ϕ(-f), and the loss has variance 0
    where ϕ >= 0.  Softmax: q* ∝ p e^{f}, and variance and Jensen gap are 0.  The sampler needs all scores.

    Parameters
    ----------
    margin : Margin
        The target p; softmax by default.
    loss : Loss
        The loss that says what a negative pays; softmax cross-entropy by default.

    Raises
    ------
    ValueError
        When it is used, if p is 0 on every negative.

    Notes
    -----
    A negative that pays nothing (a hinge below its kink) has q* = 0 and is never drawn.  Its weight p/(m q*) is
    undefined, and is not needed under a loss by which it pays nothing; other losses are refused.  The gradient in its
    score is 0.  So is that of the full loss, except at the kink of the hinge (f = -1), where the full loss has slope 0
    on the left and p on the right.  If no negative pays anything, every sampler has variance 0, and q* ∝ p is taken.

    References
    ----------
    Rawat et al. 2021, Proposition 5 (Eq. 17), for decoupled losses; softmax: derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), positive=1)
    >>> for sampler in (il.samplers.Uniform(), il.samplers.MinimumVariance()):
    ...     scheme = il.Scheme(sampler, il.weightings.Importance(), m=1, hits="exclude")
    ...     variance = il.integrate(scheme, il.losses.SoftmaxCrossEntropy(), problem, "variance")
    ...     print(f"{type(sampler).__name__}: {abs(float(variance)):.4f}")
    Uniform: 0.7984
    MinimumVariance: 0.0000
    """

    margin: Margin = field(default_factory=Softmax)
    loss: Loss = field(default_factory=SoftmaxCrossEntropy)
    needs_scores = True
    needs_positive = True
    # Labels with q = 0 pay nothing, and so the mean does not miss them.
    leaves_out_what_pays_nothing = True

    def __post_init__(self) -> None:
        checked_margin(self.margin)
        checked_loss(self.loss)

    def log_law(self, problem: Problem) -> Floats:
        y = problem.positive
        log_p = np.array(self.margin.log_margin(problem.prior, y))
        log_p[problem.positives] = -np.inf
        log_a = log_p + self.loss.log_payment(problem.scores, y)
        log_total = logsumexp(log_a)
        if log_total > -np.inf:
            return log_a - log_total
        log_a = log_p
        if np.isneginf(log_a).all():
            raise ValueError(f"the minimum-variance sampler is undefined: no negative of label {y} has p > 0")
        return log_a - logsumexp(log_a)

    def procedure(self, problem: Problem) -> Draw:
        # A negative's share is margin times payment, or the margin where no negative pays anything.
        n_labels, y = problem.prior.n_labels, problem.positive
        others = np.delete(np.arange(n_labels), problem.positives)
        level = self.margin.log_margin(problem.prior, y)[others]
        paid = level + self.loss.log_payment(problem.scores, y)[others]
        for logs in (paid, level):
            if logs.size and logs.max() > -np.inf:
                shares = np.zeros(n_labels)
                shares[others] = np.exp(logs - logs.max())
                return by_shares(shares)
        raise ValueError(f"the minimum-variance sampler is undefined: no negative of label {y} has p > 0")

    def multiply_adds(self, n_labels: int, dimension: int, m: int) -> float:
        return float(n_labels * dimension)

    def law(self, yp: sp.Expr) -> sp.Expr:
        if yp == s.y:
            return sp.Integer(0)

        def share(label: sp.Expr) -> sp.Expr:
            return self.margin.margin(label) * self.loss.payment(label)

        return share(yp) / s.over_negatives(share(s.k), s.k)


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The sampler of least variance for the given margin and loss."""
    return (MinimumVariance(given.margin, given.loss),)
