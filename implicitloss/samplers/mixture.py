from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.arguments import checked_number
from implicitloss.labels import Floats, Labels
from implicitloss.later import later
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler, checked_sampler, complete_sampler
from implicitloss.samplers.uniform import Uniform
from implicitloss.samplers.within_batch import WithinBatch

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = ["Mixture", "examples"]


@dataclass(frozen=True)
class Mixture(Sampler):
    """A mixture of two samplers: q = λ q⁽¹⁾ + (1 - λ) q⁽²⁾, a coin for each draw.

    By default it is mixed negative sampling, q = λ π + (1 - λ)/L.

    Parameters
    ----------
    share : float
        λ, strictly between 0 and 1: the probability of the first sampler.
    first : Sampler
        q⁽¹⁾; within-batch sampling by default.
    second : Sampler
        q⁽²⁾; uniform sampling by default.

    Raises
    ------
    ValueError
        For a share out of range, and for anything that is no sampler.

    References
    ----------
    Yang et al. 2020, for the default.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> problem = il.Problem([0.0, 0.0, 0.0, 0.0], il.LabelPrior.from_counts([8, 4, 3, 1]), positive=1)
    >>> np.exp(il.samplers.Mixture(0.5).log_law(problem)).round(4)
    array([0.375 , 0.25  , 0.2188, 0.1563])
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
    def name(self) -> str:
        first, second = (complete_sampler(part).name for part in (self.first, self.second))
        return f"{self.share:g} {first} + {1 - self.share:g} {second}"

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

    def multiply_adds(self, n_labels: int, dimension: int, m: int) -> float:
        parts = (complete_sampler(part) for part in (self.first, self.second))
        return sum(part.multiply_adds(n_labels, dimension, m) for part in parts)

    def law(self, yp: sp.Expr) -> sp.Expr:
        share = s.exact(self.share)
        return share * self.first.law(yp) + (1 - share) * self.second.law(yp)


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The sampler with its defaults."""
    return (Mixture(),)
