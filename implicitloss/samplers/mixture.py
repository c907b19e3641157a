from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.arguments import checked_number
from implicitloss.labels import Floats, Labels
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler, checked_sampler
from implicitloss.samplers.uniform import Uniform
from implicitloss.samplers.within_batch import WithinBatch


@dataclass(frozen=True)
class Mixture(Sampler):
    """q = λ q⁽¹⁾ + (1 - λ) q⁽²⁾, 0 < λ < 1; by default λπ + (1-λ)/L, mixed negative sampling (Yang et al. 2020).

    Each draw takes the first sampler with probability λ = `share`, else the second.
    """

    share: float = 0.5
    first: Sampler = field(default_factory=WithinBatch)
    second: Sampler = field(default_factory=Uniform)

    def __post_init__(self) -> None:
        share = checked_number(
            self.share, "the share of the first sampler", "strictly between 0 and 1", lambda x: 0 < x < 1
        )
        object.__setattr__(self, "share", share)
        checked_sampler(self.first, "sampler of a mixture")
        checked_sampler(self.second, "sampler of a mixture")

    @property
    def needs_scores(self) -> bool:
        return self.first.needs_scores or self.second.needs_scores

    def log_law(self, problem: Problem) -> Floats:
        first, second = self.first.log_law(problem), self.second.log_law(problem)
        return np.logaddexp(np.log(self.share) + first, np.log1p(-self.share) + second)

    def procedure(self, problem: Problem) -> Draw:
        draw_first, draw_second = self.first.procedure(problem), self.second.procedure(problem)

        def draw(rng: np.random.Generator, size: int) -> Labels:
            heads = rng.random(size) < self.share
            labels = np.empty(size, dtype=np.intp)
            n_heads = int(np.count_nonzero(heads))
            labels[heads] = draw_first(rng, n_heads)
            labels[~heads] = draw_second(rng, size - n_heads)
            return labels

        return draw

    def law(self, yp: sp.Expr) -> sp.Expr:
        share = s.exact(self.share)
        return share * self.first.law(yp) + (1 - share) * self.second.law(yp)


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The sampler with its defaults."""
    return (Mixture(),)
