from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.arguments import checked_number
from implicitloss.labels import Floats
from implicitloss.later import later
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler, by_shares

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = ["Power", "examples"]

# With larger powers only the most frequent labels are ever drawn.
LARGEST_POWER = 1000.0


@dataclass(frozen=True)
class Power(Sampler):
    """Sampling by a power of the prior: q_y' = π_y'^α / Σ_k π_k^α.

    Labels with π = 0 are never drawn, not even at α = 0.

    Parameters
    ----------
    alpha : float
        α, from 0 to 1000; word2vec has 3/4.

    Raises
    ------
    ValueError
        For α out of range.

    References
    ----------
    Mikolov et al. 2013.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> problem = il.Problem([0.0, 0.0, 0.0, 0.0], il.LabelPrior.from_counts([16, 4, 4, 1]), positive=1)
    >>> np.exp(il.samplers.Power(0.5).log_law(problem)).round(3)
    array([0.444, 0.222, 0.222, 0.111])
    """

    alpha: float = 0.75
    needs_scores = False

    def __post_init__(self) -> None:
        alpha = checked_number(self.alpha, "alpha", "a number from 0 to 1000", lambda x: 0 <= x <= LARGEST_POWER)
        object.__setattr__(self, "alpha", alpha)

    @property
    def name(self) -> str:
        return f"sampling by π^{self.alpha:g}"

    def log_law(self, problem: Problem) -> Floats:
        seen = ~np.isneginf(problem.prior.log)
        scaled = np.full(problem.prior.n_labels, -np.inf)
        scaled[seen] = self.alpha * problem.prior.log_over(problem.prior.by_frequency[0])[seen]
        return scaled - logsumexp(scaled)

    def procedure(self, problem: Problem) -> Draw:
        prior = problem.prior
        level = prior.probabilities if prior.counts is None else prior.counts
        # Relative to the most frequent label: a large power must not overflow.
        share = level / level.max()
        return by_shares(np.where(level > 0, share**self.alpha, 0.0))

    def law(self, yp: sp.Expr) -> sp.Expr:
        alpha = s.exact(self.alpha)
        return s.pi[yp] ** alpha / s.over_labels(s.pi[s.k] ** alpha)


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The sampler with its defaults."""
    return (Power(),)
