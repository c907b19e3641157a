from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.labels import Floats
from implicitloss.logsum import logsumexp
from implicitloss.losses import Loss, SoftmaxCrossEntropy, checked_loss
from implicitloss.margins import Margin, Softmax, checked_margin
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, by_tickets, is_positive_label


@dataclass(frozen=True)
class MinimumVariance:
    """q*_y' ∝ p_yy' · payment(y') on y' != y, 0 at y: with weights p/(m q*) every draw adds the same amount.

    Decoupled: q* ∝ p ϕ(-f), zero loss variance where ϕ >= 0 (Rawat et al. 2021, Proposition 5).  Softmax:
    q* ∝ p e^{f}, zero variance and zero Jensen gap (derived here).  It needs every score.
    *Raises* ValueError where no negative pays anything.
    """

    margin: Margin = field(default_factory=Softmax)
    loss: Loss = field(default_factory=SoftmaxCrossEntropy)
    needs_scores = True
    needs_positive = True

    def __post_init__(self) -> None:
        checked_margin(self.margin)
        checked_loss(self.loss)

    def _log_tickets(self, problem: Problem) -> Floats:
        y = problem.positive
        tickets = self.margin.log_margin(problem.prior, y) + self.loss.log_payment(problem.scores, y)
        tickets[y] = -np.inf
        if np.isneginf(tickets).all():
            raise ValueError(f"the minimum-variance sampler is undefined: no negative of label {y} pays anything")
        return tickets

    def log_law(self, problem: Problem) -> Floats:
        tickets = self._log_tickets(problem)
        return tickets - logsumexp(tickets)

    def procedure(self, problem: Problem) -> Draw:
        tickets = self._log_tickets(problem)
        return by_tickets(np.exp(tickets - tickets.max()))

    def law(self, yp: sp.Expr) -> sp.Expr:
        if is_positive_label(yp):
            return sp.Integer(0)

        def ticket(label: sp.Expr) -> sp.Expr:
            return self.margin.margin(label) * self.loss.payment(label)

        return ticket(yp) / s.over_negatives(ticket(s.k), s.k)
