from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.labels import Floats, checked_probabilities
from implicitloss.later import later
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, MadeFor, Sampler, by_shares

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = ["Explicit", "examples"]


@dataclass(frozen=True, repr=False)
class Explicit(Sampler):
    """A law q of your own.

    Parameters
    ----------
    q : array_like, (L,)
        The probabilities, summing to 1 within 1e-9.

    Raises
    ------
    ValueError
        For another sum; and when it is used with another number of labels.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> scheme = il.Scheme(il.samplers.Explicit([0.1, 0.2, 0.3, 0.4]), il.weightings.Constant(), m=5, hits="mask")
    >>> il.implicit_margins(scheme, prior)[0]  # p_yy' = q_y'
    array([0. , 0.2, 0.3, 0.4])
    """

    q: Floats
    needs_scores = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "q", checked_probabilities(self.q, "q"))

    def log_law(self, problem: Problem) -> Floats:
        self._check(problem)
        with np.errstate(divide="ignore"):
            return np.log(self.q)

    def procedure(self, problem: Problem) -> Draw:
        self._check(problem)
        return by_shares(self.q)

    def law(self, yp: sp.Expr) -> sp.Expr:
        return s.q[yp]

    def _check(self, problem: Problem) -> None:
        if self.q.size != problem.prior.n_labels:
            raise ValueError(
                f"q must cover the prior's {problem.prior.n_labels} labels, got {self.q.size} probabilities"
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Explicit) and np.array_equal(self.q, other.q)

    def __hash__(self) -> int:
        return hash(self.q.tobytes())

    def __repr__(self) -> str:
        return f"Explicit({self.q.size} labels, {hashlib.sha256(self.q.tobytes()).hexdigest()[:8]})"


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """q ∝ 1, 2, ..., L: 0.1, 0.2, 0.3, 0.4 for four labels."""
    ramp = np.arange(1.0, given.n_labels + 1)
    return (Explicit(ramp / ramp.sum()),)
