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

__all__ = ["QuadraticKernel", "examples"]

LARGEST_SCORE = 1e100


@dataclass(frozen=True)
class QuadraticKernel(Sampler):
    """Kernel-based sampling: q_y' ∝ α f_y'² + 1.

    Large negative scores are as likely as large positive ones.  A tree of sums of outer products draws a label by d²
    multiply-adds on each of its log2(L/d) levels; here the shares are computed from all scores.

    Parameters
    ----------
    alpha : float
        α > 0.

    Raises
    ------
    ValueError
        For α that is not positive; when it is used, for scores beyond ±1e100.

    References
    ----------
    Blanc and Rendle 2018, *Adaptive sampled softmax with kernel based sampling*, whose experiments have α = 100.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> problem = il.Problem([0.0, 1.0, -1.0, 2.0], il.LabelPrior.from_counts([8, 4, 3, 1]), positive=1)
    >>> np.exp(il.samplers.QuadraticKernel(1.0).log_law(problem)).round(2)
    array([0.1, 0.2, 0.2, 0.5])
    """

    alpha: float = 100.0
    name = "quadratic-kernel sampling"
    needs_scores = True

    def __post_init__(self) -> None:
        alpha = checked_number(self.alpha, "alpha", "a number > 0", lambda a: 0 < a < 1e50)
        object.__setattr__(self, "alpha", alpha)

    def log_law(self, problem: Problem) -> Floats:
        self._check(problem)
        logs = np.log1p(self.alpha * problem.scores**2)
        return np.asarray(logs - logsumexp(logs))

    def procedure(self, problem: Problem) -> Draw:
        self._check(problem)
        return by_shares(1.0 + problem.scores * self.alpha * problem.scores)

    def multiply_adds(self, n_labels: int, dimension: int, m: int) -> float:
        # A form of d² on each level of a tree whose leaves hold d labels.
        return m * dimension**2 * float(np.log2(max(n_labels / dimension, 2)))

    def law(self, yp: sp.Expr) -> sp.Expr:
        alpha = sp.nsimplify(self.alpha)
        return (alpha * s.f[yp] ** 2 + 1) / s.over_labels(alpha * s.f[s.k] ** 2 + 1)

    def _check(self, problem: Problem) -> None:
        largest = float(np.abs(problem.scores).max())
        if largest > LARGEST_SCORE:
            raise ValueError(
                f"quadratic-kernel sampling squares scores, which must lie within ±{LARGEST_SCORE:g}, got {largest:g}"
            )


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The sampler with its defaults."""
    return (QuadraticKernel(),)
