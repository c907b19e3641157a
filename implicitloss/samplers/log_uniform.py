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

__all__ = ["LogUniform", "examples"]


@dataclass(frozen=True)
class LogUniform(Sampler):
    """Log-uniform sampling: q = log((r + 1)/r) / log(L + 1) at frequency rank r = 1, ..., L, about as in Zipf's law.

    The most frequent label has rank 1; in symbols labels are taken to be sorted by frequency, so that y' = r.  The
    procedure is that of TensorFlow's sampler and needs no table: rank ⌊(L + 1)^u⌋ for u uniform on [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> problem = il.Problem([0.0, 0.0, 0.0, 0.0], il.LabelPrior.from_counts([1, 3, 4, 8]), positive=1)
    >>> np.exp(il.samplers.LogUniform().log_law(problem)).round(3)
    array([0.139, 0.179, 0.252, 0.431])
    """

    name = "log-uniform sampling"
    needs_scores = False

    def log_law(self, problem: Problem) -> Floats:
        rank = np.arange(1.0, problem.prior.n_labels + 1)
        law = np.empty(problem.prior.n_labels)
        law[problem.prior.by_frequency] = np.log(np.log1p(1 / rank) / np.log1p(problem.prior.n_labels))
        return law

    def procedure(self, problem: Problem) -> Draw:
        n_labels, by_frequency = problem.prior.n_labels, problem.prior.by_frequency
        width = np.log(n_labels + 1)

        def draw(rng: np.random.Generator, size: int) -> Labels:
            rank = np.exp(rng.random(size) * width).astype(np.intp)
            # e^{u log(L+1)} can round up to L + 1 for u just below 1.
            return by_frequency[np.minimum(rank, n_labels) - 1]

        return draw

    def law(self, yp: sp.Expr) -> sp.Expr:
        return sp.log((yp + 1) / yp) / sp.log(s.L + 1)


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The sampler with its defaults."""
    return (LogUniform(),)
