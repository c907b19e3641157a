"""Clusters that are kept beside draws of the rest; which label is worth keeping; the bias of a probability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.hard import HardNegatives
from implicitloss.labels import Floats
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme
from implicitloss.theory.expansion import relative_moments
from implicitloss.theory.implicit import implicit_margins
from implicitloss.weightings import Importance
from implicitloss.witness.integrate import integrate
from paper_checks.clusters.laws import PRIOR, L, cases

M = 9


@dataclass(frozen=True, eq=False)
class _Kept:
    """A scheme with the two best clusters kept, and an example."""

    scheme: Scheme
    problem: Problem

    def __str__(self) -> str:
        return f"positive {self.problem.positive}"

    def margins(self) -> Floats:
        return implicit_margins(self.scheme, PRIOR, scores=self.problem.scores)[self.problem.positive]


def _kept(setting: Setting) -> list[_Kept]:
    found = []
    for sampler, problem in cases(setting):
        hard = HardNegatives(clusters=2, weight=1.0, overlap="exclude", of=sampler.index)
        found.append(_Kept(Scheme(sampler, Importance(), m=M, hits="exclude", hard=hard), problem))
    return found


def _margins(case: _Kept) -> Estimate:
    return Estimate(case.margins(), np.full(L, 1e-12), "margins", "closed form")


def _ones(case: _Kept) -> Floats:
    return np.asarray((np.arange(L) != case.problem.positive).astype(float))


def _not_renormalised(case: _Kept) -> Floats:
    """Weights 1/(m q) by the q of all labels, draws by that of the rest."""
    sampler, y = case.scheme.sampler, case.problem.positive
    assert case.scheme.hard is not None
    known = case.scheme.hard.labels(case.problem)
    q = np.exp(sampler.log_law(case.problem))
    margins = np.full(L, 1 / (1 - q[known].sum() - q[y]))
    margins[known], margins[y] = 1.0, 0.0
    return margins


def _counted_again(case: _Kept) -> Floats:
    """Draws of kept clusters count as all others do."""
    assert case.scheme.hard is not None
    scheme = replace(case.scheme, hard=replace(case.scheme.hard, overlap="keep"))
    return _Kept(scheme, case.problem).margins()


# --- which label is worth keeping -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Choice:
    """A law (n,) of the labels that are drawn, what each pays, (n,), and m."""

    q: Floats
    pays: Floats
    m: int

    def __str__(self) -> str:
        return f"{self.q.size} labels, m = {self.m}"


def _choices(setting: Setting) -> list[_Choice]:
    rng = np.random.default_rng([setting.seed, 77])
    return [
        _Choice(rng.dirichlet(np.full(n, 0.7)), rng.lognormal(0, 1.5, n), int(rng.integers(2, 12)))
        for n in (5, 12, 40)
        for _ in range(40)
    ]


def _variance(q: Floats, pays: Floats) -> float:
    """The variance of one draw's estimate of Σ pays."""
    q = q / q.sum()
    return float(np.sum(pays**2 / q) - pays.sum() ** 2)


def _better_kept(choice: _Choice) -> Floats:
    """1 for each label that is better kept in place of one draw: with it kept, m - 1 draws of the rest vary less."""
    all_drawn = _variance(choice.q, choice.pays) / choice.m
    found = []
    for j in range(choice.q.size):
        rest = np.arange(choice.q.size) != j
        found.append(float(_variance(choice.q[rest], choice.pays[rest]) / (choice.m - 1) < all_drawn))
    return np.array(found)


def _rule(threshold: float) -> Callable[[_Choice], Floats]:
    """m q_j (1 + z_j²) above a threshold, z_j = (X_j - E X)/sd X, X_j = pays_j/q_j."""

    def rule(choice: _Choice) -> Floats:
        x = choice.pays / choice.q
        z = (x - choice.pays.sum()) / np.sqrt(_variance(choice.q, choice.pays))
        return np.asarray((choice.m * choice.q * (1 + z**2) > threshold).astype(float))

    return rule


# --- the bias of a probability --------------------------------------------------------------------------------------

MANY = 50_000


def _relative_bias(case: _Kept, m: int) -> tuple[float, float]:
    """m (E p̂_y - p_y)/p_y, and its error: the gradient in f_y is p̂_y - 1."""
    scheme = Scheme(case.scheme.sampler, Importance(), m=m, hits="exclude")
    found = integrate(scheme, SoftmaxCrossEntropy(), case.problem, "gradient")
    y, f = case.problem.positive, case.problem.scores
    p = float(np.exp(f[y]) / np.exp(f).sum())
    value = m * (1 + float(np.asarray(found.value)[y]) - p) / p
    return value, m * (float(np.asarray(found.error)[y]) + 1e-15) / p


def _bias(case: _Kept) -> Estimate:
    """The limit of many draws, without the term in 1/m of two m; off by no more than that term."""
    (once, one_error), (twice, two_error) = (_relative_bias(case, m) for m in (MANY, 2 * MANY))
    error = abs(twice - once) + one_error + 2 * two_error
    return Estimate(2 * twice - once, error, "m (E p̂ - p)/p", "integrate")


def _v(case: _Kept, *, of_others: bool = False) -> float:
    f, y = case.problem.scores, case.problem.positive
    scheme = Scheme(case.scheme.sampler, Importance(), m=MANY, hits="exclude")
    v = relative_moments(scheme, SoftmaxCrossEntropy(), case.problem).v
    p = float(np.exp(f[y]) / np.exp(f).sum())
    return v * (1 - p) / p if of_others else v


def _sampled(setting: Setting) -> list[_Kept]:
    return [_Kept(Scheme(sampler, Importance(), m=M, hits="exclude"), problem) for sampler, problem in cases(setting)]


CLAIMS = (
    Claim(
        "clusters.kept",
        "Whole clusters kept with weight 1, and the rest drawn by its renormalised law with importance weights, have "
        "p = 1.",
        "derived",
        (
            Exact(
                "closed form",
                _kept,
                _margins,
                _ones,
                {"q is not renormalised": _not_renormalised, "draws of kept clusters count": _counted_again},
                floor=1e-11,
                uses_prior=False,
            ),
        ),
        ("two of 7 clusters, 9 draws, hits and kept labels drawn again",),
    ),
    Claim(
        "clusters.worth-keeping",
        "Kept in place of one of m draws, with weight 1, label j leaves less variance if and only if "
        "m (q_j/q(R)) (1 + z_j²) > 1; R are the labels that are drawn, and z_j is X_j = p_j e^{f_j} q(R)/q_j less its "
        "mean, in standard deviations.",
        "derived",
        (
            Exact(
                "both variances",
                _choices,
                _better_kept,
                _rule(1.0),
                {"the threshold is 2": _rule(2.0), "it is 1/2": _rule(0.5)},
                floor=1e-9,
                uses_prior=False,
                detail="120 laws, all labels of each",
            ),
        ),
        ("importance weights before and after, m >= 2",),
    ),
    Claim(
        "clusters.bias",
        "The sampled probability of the positive is too large by p_y v/m for large m: E p̂_y - p_y = p_y v/m + O(m^-2).",
        "derived",
        (
            Exact(
                "integrals at m = 50,000 and 100,000",
                _sampled,
                _bias,
                _v,
                {"it is (1 - p_y) v/m": lambda case: _v(case, of_others=True)},
                resolution=0.02,
                uses_prior=False,
            ),
        ),
        ("importance weights, hits excluded; v as in Theorem 3",),
    ),
)
