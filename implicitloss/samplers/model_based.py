from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from implicitloss import symbols as s
from implicitloss.labels import Floats
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler, by_log_tickets


@dataclass(frozen=True)
class ModelBased(Sampler):
    """q_y' = e^{f_y'} / Σ_k e^{f_k}: the current model's probabilities.  *Source:* Rawat et al. 2021, Table 1."""

    needs_scores = True

    def log_law(self, problem: Problem) -> Floats:
        # Relative to the largest: a common offset must not cost digits.
        below = problem.scores - problem.scores.max()
        return below - logsumexp(below)

    def procedure(self, problem: Problem) -> Draw:
        return by_log_tickets(problem.scores)

    def law(self, yp: sp.Expr) -> sp.Expr:
        return sp.exp(s.f[yp]) / s.over_labels(sp.exp(s.f[s.k]))


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The sampler with its defaults."""
    return (ModelBased(),)
