"""Hard negatives join the positive: all numbers of a softmax with T are those of one without, its positive raised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.claims.case import Case, Setting
from implicitloss.claims.checks import Exact, Identity
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import EXHAUST, INTEGRATE, CaseList, integrated, kept_per_case
from implicitloss.estimate import Estimate, Quantity
from implicitloss.labels import Floats, LabelPrior
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit
from implicitloss.scheme import Scheme
from implicitloss.weightings import Draws
from implicitloss.witness.exhaust import exhaust
from implicitloss.witness.integrate import integrate

__all__ = ["MISSES", "Measurand", "in_hard", "joined", "least", "measurands", "shift"]


def in_hard(case: Case) -> Floats:
    """1_T, (L,), by the definition: the k best labels that the index returns without y, or the k best off y."""
    problem, hard = case.problem, case.scheme.hard
    inside = np.zeros(problem.prior.n_labels)
    if hard is None:
        return inside
    scores = problem.scores if problem.index_scores is None else problem.index_scores
    if problem.labels is None:
        found = sorted(range(scores.size), key=lambda j: -scores[j])
        if hard.positives == "drop":
            found = found[: hard.k]
    else:
        found = [int(j) for j in problem.labels if j >= 0]
    for j in [j for j in found if j != problem.positive][: hard.k]:
        inside[j] = 1.0
    return inside


@dataclass(frozen=True)
class Measurand:
    """A quantity of a case."""

    case: Case
    quantity: Quantity

    def __str__(self) -> str:
        return f"{self.quantity} of {self.case}"


def measurands(cases: CaseList) -> Callable[[Setting], Sequence[Measurand]]:
    """Every quantity of every case that is one of a scheme without T: the variance of the gradient is not."""
    quantities = [quantity for quantity in get_args(Quantity) if quantity != "gradient_variance"]
    return lambda setting: [Measurand(case, quantity) for case in cases(setting) for quantity in quantities]


@dataclass(frozen=True, eq=False)
class _Given:
    """Weights as numbers, (L,)."""

    logs: Floats
    is_eta_over_m = False

    def log_weight(self, draws: Draws) -> Floats:
        return self.logs


def _plain(case: Case, times: float, divided: bool, hit_divided: bool) -> tuple[Scheme, Problem]:
    """The scheme without T at f_y + log(1 + A); the last label stands for a kept hit.

    So the positive itself is never drawn, and a hit's payment e^{f_y} is divided by 1 + A as every other is.
    """
    plan, scores, y = case.scheme.plan(case.problem), case.problem.scores, case.problem.positive
    log_positive = _log_positive(case, times)
    at = np.append(scores, scores[y] + (0.0 if hit_divided else log_positive))
    at[y] += log_positive if divided else 0.0
    q, log_w = np.exp(np.append(plan.log_q, plan.log_q[y])), np.append(plan.log_w, plan.log_w[y])
    q[y], log_w[y] = 0.0, -np.inf
    scheme = Scheme(Explicit(q), _Given(log_w), m=case.scheme.m, hits="keep")  # type: ignore[arg-type]
    return scheme, Problem(at, LabelPrior.from_counts(np.ones(at.size)), y)


@kept_per_case
def _of_plain(case: Case, quantity: Quantity, times: float, divided: bool, hit_divided: bool) -> Estimate:
    scheme, at = _plain(case, times, divided, hit_divided)
    return integrate(scheme, case.loss, at, quantity)


def _log_positive(case: Case, times: float) -> float:
    """log(1 + A), A = Σ_T w_T e^{f_j - f_y}, T counted so many times."""
    plan, scores = case.scheme.plan(case.problem), case.problem.scores
    terms = plan.log_w_hard + scores[plan.hard] - scores[case.problem.positive]
    return float(np.logaddexp(0.0, np.log(times) + logsumexp(terms))) if terms.size else 0.0


def joined(
    given: Measurand, *, times: float = 1.0, log_added: bool = True, divided: bool = True, hit_divided: bool = True,
    own: bool = True,
) -> Estimate:  # fmt: skip
    """A quantity of a softmax with hard negatives, by integrals of the scheme without; each argument makes one mistake.

    `times` says how often T counts, `log_added` is the log(1 + A) of the mean, `divided` and `hit_divided` divide
    payments and a kept hit's by 1 + A, and `own` is T's own part of the gradient.
    """
    case, quantity = given.case, given.quantity
    found = _of_plain(case, quantity, times, divided, hit_divided)
    if quantity != "gradient":
        if quantity != "mean" or not log_added:
            return found
        added = _log_positive(case, times)
        return replace(found, value=float(found) + added, error=float(found.error) + 1e-14 * (1 + added))
    plan, scores, y = case.scheme.plan(case.problem), case.problem.scores, case.problem.positive
    value, error = (np.array(x, dtype=np.float64) for x in (found.value, found.error))
    # 1/(1 + S) is what the shares of all draws leave, and the gradient at y is minus their sum.
    left, missed = 1 + value[y], error[y] + 1e-15
    share = times * np.exp(plan.log_w_hard + scores[plan.hard] - scores[y] - _log_positive(case, times))
    value, error = value[:-1], error[:-1]
    if own:
        value[plan.hard] += share * left
        error[plan.hard] += share * (missed + 1e-14 * left)
    value[y] = error[y] = 0.0
    value[y], error[y] = -value.sum(), error.sum()
    return Estimate(value, error, quantity, "integrate")


LOST = "log(1 + A) is forgotten"
UNDIVIDED = "payments are not divided by 1 + A"
MISSES: dict[str, Callable[[Measurand], Estimate]] = {
    LOST: partial(joined, log_added=False),
    UNDIVIDED: partial(joined, divided=False),
    "a kept hit is not divided by 1 + A": partial(joined, hit_divided=False),
    "hard negatives count twice": partial(joined, times=2.0),
    "T has no gradient of its own": partial(joined, own=False),
}


def least(given: Measurand) -> float:
    """A gap or a variance far below the squared mean has no digits."""
    return 1e-11 * (1 + float(integrated(given.case))) ** 2


def shift(id: str, tiny: CaseList, cases: CaseList) -> Claim:
    """log(1 + A + S) = log(1 + A) + log(1 + S/(1 + A)), and what follows for every number of a softmax."""
    total, known = sp.Symbol("S", nonnegative=True), sp.Symbol("A", nonnegative=True)

    def apart(right: sp.Expr) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
        # Two logarithms are equal when what they are taken of is.
        return lambda: [("e^ℓ with A known and S drawn", 1 + known + total, right)]

    def of_gradient(factor: sp.Expr) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
        # a ∂ℓ/∂A against a/(1+A) times what the shares of the shifted sum leave.
        a, shifted = s.scale, total / (1 + known)
        slope = a * sp.diff(sp.log(1 + known + total), known)
        return lambda: [("a/(1 + A + S), the slope at T", slope, factor * a * (1 - shifted / (1 + shifted)))]

    shifted = f"{INTEGRATE} at the raised positive"
    return Claim(
        id,
        "Hard negatives join the positive: with A = Σ_T w_T e^{f_j - f_y} the mean of sampled softmax is log(1 + A) "
        "plus that of a scheme without T whose payments are divided by 1 + A; variance, squared error and gap are that "
        "scheme's, and the gradient at T is a_j/(1 + A) (1 - the shares of all draws), plus j's own share as a draw.",
        "derived: log(1 + A + S) = log(1 + A) + log(1 + S/(1 + A))",
        (
            Identity(
                apart((1 + known) * (1 + total / (1 + known))),
                {UNDIVIDED: apart((1 + known) * (1 + total)), LOST: apart(1 + total / (1 + known))},
                detail="e^ℓ in two factors",
                whole=False,
            ),
            Identity(
                of_gradient(1 / (1 + known)),
                {"the slope at T is not divided by 1 + A": of_gradient(sp.S.One)},
                detail="the slope at T",
                whole=False,
            ),
            Exact(
                f"{EXHAUST} against {shifted}",
                measurands(tiny),
                lambda given: exhaust(given.case.scheme, given.case.loss, given.case.problem, given.quantity),
                joined,
                MISSES,
                resolution=1e-6,
                floor=least,
            ),
            Exact(
                f"{INTEGRATE} against {shifted}",
                measurands(cases),
                lambda given: integrated(given.case, given.quantity),
                joined,
                MISSES,
                resolution=1e-6,
                floor=least,
            ),
        ),
        ("w_T, q and w held fixed in the gradient; T is known before the draws",),
    )
