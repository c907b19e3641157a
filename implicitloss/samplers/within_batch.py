from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from implicitloss.labels import Floats
from implicitloss.later import later
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler, by_shares

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = ["WithinBatch", "examples"]


@dataclass(frozen=True)
class WithinBatch(Sampler):
    """Within-batch sampling: q = π in expectation, because negatives are the labels of other examples.

    If the prior has counts, the procedure draws examples and takes their labels.

    References
    ----------
    Rawat et al. 2021, Table 1.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Relative(), m=64, hits="mask")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()))  # frequent positives push harder
    p_yy' = m*pi[y]
    """

    name = "within-batch sampling"
    needs_scores = False

    def log_law(self, problem: Problem) -> Floats:
        return problem.prior.log

    def procedure(self, problem: Problem) -> Draw:
        counts = problem.prior.counts
        # Each example is a share.
        return by_shares(problem.prior.probabilities if counts is None else counts)

    def law(self, yp: sp.Expr) -> sp.Expr:
        return s.pi[yp]


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The sampler with its defaults."""
    return (WithinBatch(),)
