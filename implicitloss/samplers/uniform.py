from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.labels import Floats, Labels
from implicitloss.later import later
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = ["Uniform", "examples"]


@dataclass(frozen=True)
class Uniform(Sampler):
    """Uniform sampling: q_y' = 1/L.

    References
    ----------
    Rawat et al. 2021, Table 1.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Tail(), m=64, hits="mask")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()))
    p_yy' = pi[y']/pi[y] — logit-adjusted loss (Menon et al. 2021)
    """

    name = "uniform sampling"
    needs_scores = False

    def log_law(self, problem: Problem) -> Floats:
        n_labels = problem.prior.n_labels
        return np.full(n_labels, -np.log(n_labels))

    def procedure(self, problem: Problem) -> Draw:
        def draw(rng: np.random.Generator, size: int) -> Labels:
            return rng.integers(problem.prior.n_labels, size=size, dtype=np.intp)

        return draw

    def law(self, yp: sp.Expr) -> sp.Expr:
        return 1 / s.L


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The sampler with its defaults."""
    return (Uniform(),)
