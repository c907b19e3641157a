from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from implicitloss.arguments import checked_choice, checked_whole
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

__all__ = ["AMONG", "Among", "HardestOf", "examples"]

Among = Literal["all", "negatives"]
AMONG: tuple[Among, ...] = get_args(Among)
# SymPy writes out the n-th powers of whole numbers, and a draw takes n random numbers.
MOST_CANDIDATES = 1_000_000
# Candidates in memory at a time.
BLOCK = 1 << 20


@dataclass(frozen=True)
class HardestOf(Sampler):
    """Dynamic negative sampling: the label of the highest score among n that are drawn uniformly, with replacement.

    q_y' = ((L - r + 1)^n - (L - r)^n)/L^n for the label of rank r, rank 1 the highest score.  Labels of equal scores
    share evenly, as the first of the best candidates is taken: where t labels are tied, and c labels score at most as
    much, these included, each of the t has q = (c^n - (c - t)^n)/(t L^n).

    Parameters
    ----------
    n : int
        The number of candidates for one negative, from 1 to 10⁶; 1 is uniform sampling.
    among : {"all", "negatives"}
        The labels that candidates are drawn from.

        - "all": all L labels.  The positive can win; `hits` says what then happens.  Where hits are excluded,
          n new candidates are drawn after a hit, and the law is q_y'/(1 - q_y).
        - "negatives": the L - 1 labels other than y.  Ranks are among them, L - 1 stands for L, and q_y = 0: there are
          no hits.  Other positives of a problem are left out too.

    Raises
    ------
    ValueError
        For n out of range and another choice of labels.  When it is used: for "negatives" where there is one label.

    Notes
    -----
    The two laws differ, even after hits are excluded, unless the positive has the highest score or n = 1.  Code that
    removes y from the candidates has the second; code that looks at the winner only has the first.

    References
    ----------
    Zhang et al. 2013, *Optimizing top-N collaborative filtering via dynamic negative item sampling*; the law is derived
    here.

    Examples
    --------
    The positive, label 1, has the third highest score.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), positive=1)
    >>> for among in ("all", "negatives"):
    ...     scheme = il.Scheme(il.samplers.HardestOf(2, among), il.weightings.Constant(), m=1, hits="exclude")
    ...     print(among, np.exp(scheme.laws(problem).log_q).round(4))
    all [0.3846 0.     0.5385 0.0769]
    negatives [0.3333 0.     0.5556 0.1111]
    """

    n: int
    among: Among = "all"
    needs_scores = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", checked_whole(self.n, "n, the number of candidates,", 1, MOST_CANDIDATES))
        object.__setattr__(self, "among", checked_choice(self.among, "among", AMONG))

    @property
    def name(self) -> str:
        return f"the hardest of {self.n} uniform draws{'' if self.among == 'all' else ' of negatives'}"

    @property
    def needs_positive(self) -> bool:
        return self.among == "negatives"

    def _check(self, problem: Problem) -> None:
        if self.among == "negatives" and problem.prior.n_labels == problem.positives.size:
            got = "one: the positive" if problem.positives.size == 1 else "positives only"
            raise ValueError(f"HardestOf among negatives needs at least two labels, got {got}")

    def log_law(self, problem: Problem) -> Floats:
        self._check(problem)
        eligible = np.full(problem.prior.n_labels, True)
        if self.among == "negatives":
            eligible[problem.positives] = False
        _, group, tied = np.unique(problem.scores[eligible], return_inverse=True, return_counts=True)
        at_most = np.cumsum(tied)
        # c^n - (c - t)^n = c^n (1 - (1 - t/c)^n), each factor without cancellation.
        with np.errstate(divide="ignore"):
            lost = self.n * np.log1p(-tied / at_most)
        share = at_most / group.size
        log_share = np.where(share < 0.5, np.log(share), np.log1p((at_most - group.size) / group.size))
        log_q = self.n * log_share + _log1mexp(lost) - np.log(tied)
        found = np.full(eligible.size, -np.inf)
        found[eligible] = log_q[group]
        return found

    def procedure(self, problem: Problem) -> Draw:
        self._check(problem)
        scores, n, rows = problem.scores, self.n, max(1, BLOCK // self.n)
        eligible = np.arange(scores.size)
        if self.among == "negatives":
            eligible = np.delete(eligible, problem.positives)

        def draw(rng: np.random.Generator, size: int) -> Labels:
            found = np.empty(size, dtype=np.intp)
            for start in range(0, size, rows):
                candidates = eligible[rng.integers(eligible.size, size=(min(rows, size - start), n))]
                best = np.argmax(scores[candidates], axis=1)
                found[start : start + rows] = candidates[np.arange(best.size), best]
            return found

        return draw

    def multiply_adds(self, n_labels: int, dimension: int, m: int) -> float:
        return float(self.n * m * dimension)

    def law(self, yp: sp.Expr) -> sp.Expr:
        if self.among == "negatives" and yp == s.y:
            return sp.Integer(0)

        # A label whose score is compared with that of another.
        other = sp.Symbol("j'", integer=True, positive=True)

        def number(at_equality: int) -> sp.Expr:
            """How many labels score less than y', or at most as much."""
            less = sp.Heaviside(s.f[yp] - s.f[other], at_equality)
            return s.over_labels(less, other) if self.among == "all" else s.over_negatives(less, other)

        below, at_most = number(0), number(1)
        n_labels = s.L if self.among == "all" else s.L - 1
        return (at_most**self.n - below**self.n) / ((at_most - below) * n_labels**self.n)


def _log1mexp(z: Floats) -> Floats:
    """log(1 - e^z) for z < 0."""
    near = z > -np.log(2.0)
    with np.errstate(divide="ignore"):
        return np.where(near, np.log(-np.expm1(z)), np.log1p(-np.exp(z)))


def examples(given: MadeFor) -> tuple[Sampler, ...]:
    """The harder of two candidates, among all labels."""
    return (HardestOf(2),)
