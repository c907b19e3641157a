from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.labels import Floats
from implicitloss.losses import Loss, SoftmaxCrossEntropy, checked_loss
from implicitloss.margins import Margin, Softmax, checked_margin
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler, by_tickets, is_positive_label


@dataclass(frozen=True)
class MinimumVariance(Sampler):
    """q*_y' ∝ p_yy' · payment(y') on y' != y, 0 at y: with weights p/(m q*) every draw adds the same amount.

    For a decoupled loss q* ∝ p ϕ(-f), and the loss has variance 0 where ϕ >= 0 (Rawat et al. 2021, Proposition 5).
    For softmax q* ∝ p e^{f}, and variance and Jensen gap are 0 (derived here).  The sampler needs all scores.

    A negative that pays nothing (a hinge below its kink) has q* = 0 and is never drawn.  Its weight p/(m q*) is
    undefined and not needed: under a loss by which it pays nothing, the mean misses nothing.  Other losses are refused,
    as for any sampler that leaves labels out.  The gradient in its score is 0.  So is that of the full loss, except at
    the kink of the hinge (f = -1), where the full loss has slope 0 on the left and p on the right.  Where no negative
    pays anything, every sampler has variance 0, and q* ∝ p is taken.
    *Raises* ValueError where p is 0 on every negative.
    """

    margin: Margin = field(default_factory=Softmax)
    loss: Loss = field(default_factory=SoftmaxCrossEntropy)
    needs_scores = True
    needs_positive = True
    # q = 0 says that a negative pays nothing, and not that it is out of reach.
    leaves_out_what_pays_nothing = True

    def __post_init__(self) -> None:
        checked_margin(self.margin)
        checked_loss(self.loss)

    def log_law(self, problem: Problem) -> Floats:
        y = problem.positive
        log_p = self.margin.log_margin(problem.prior, y)
        log_a = log_p + self.loss.log_payment(problem.scores, y)
        log_a[y] = -np.inf
        log_total = logsumexp(log_a)
        if log_total > -np.inf:
            return log_a - log_total
        log_a = np.where(np.arange(log_p.size) == y, -np.inf, log_p)
        if np.isneginf(log_a).all():
            raise ValueError(f"the minimum-variance sampler is undefined: no negative of label {y} has p > 0")
        return log_a - logsumexp(log_a)

    def procedure(self, problem: Problem) -> Draw:
        # Tickets of the negatives: margin times payment; where no negative pays, the margin.
        n_labels, y = problem.prior.n_labels, problem.positive
        others = np.delete(np.arange(n_labels), y)
        level = self.margin.log_margin(problem.prior, y)[others]
        paid = level + self.loss.log_payment(problem.scores, y)[others]
        for tickets in (paid, level):
            if tickets.size and tickets.max() > -np.inf:
                share = np.zeros(n_labels)
                share[others] = np.exp(tickets - tickets.max())
                return by_tickets(share)
        raise ValueError(f"the minimum-variance sampler is undefined: no negative of label {y} has p > 0")

    def law(self, yp: sp.Expr) -> sp.Expr:
        if is_positive_label(yp):
            return sp.Integer(0)

        def ticket(label: sp.Expr) -> sp.Expr:
            return self.margin.margin(label) * self.loss.payment(label)

        return ticket(yp) / s.over_negatives(ticket(s.k), s.k)


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The sampler that is best for the margin and the loss of the given."""
    return (MinimumVariance(given.margin, given.loss),)
