from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from implicitloss.labels import Floats
from implicitloss.later import later
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler, by_log_shares

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = ["ModelBased", "examples"]


@dataclass(frozen=True)
class ModelBased(Sampler):
    """Model-based sampling: q_y' = e^{f_y'} / Σ_k e^{f_k}, the current model's probabilities.

    References
    ----------
    Rawat et al. 2021, Table 1.

    Examples
    --------
    With importance weights and hits excluded the sampled softmax has no variance: Lemma 2 is an equality.

    >>> import implicitloss as il
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), positive=1)
    >>> scheme = il.Scheme(il.samplers.ModelBased(), il.weightings.Importance(), m=1, hits="exclude")
    >>> abs(round(float(il.integrate(scheme, il.losses.SoftmaxCrossEntropy(), problem, "gap")), 12))
    0.0
    """

    name = "model-based sampling"
    needs_scores = True

    def log_law(self, problem: Problem) -> Floats:
        # Relative to the largest score, so that a common offset costs no digits.
        below = problem.scores - problem.scores.max()
        return below - logsumexp(below)

    def procedure(self, problem: Problem) -> Draw:
        return by_log_shares(problem.scores)

    def multiply_adds(self, n_labels: int, dimension: int, m: int) -> float:
        return float(n_labels * dimension)

    def law(self, yp: sp.Expr) -> sp.Expr:
        return sp.exp(s.f[yp]) / s.over_labels(sp.exp(s.f[s.k]))


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The sampler with its defaults."""
    return (ModelBased(),)
