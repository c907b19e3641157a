"""Proposition 5: the minimum-variance sampler, for decoupled losses and for softmax."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.claims.case import Case, Setting
from implicitloss.claims.checks import Exact, Identity, Number, Simulated
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import (
    MOMENT_ERROR,
    WEIGHT_ERROR,
    CaseList,
    integrated,
    target,
    weights_off,
)
from implicitloss.claims.statements.theorem3 import leading_constant
from implicitloss.estimate import Estimate, Quantity
from implicitloss.labels import Floats
from implicitloss.samplers import MinimumVariance
from implicitloss.theory.implicit import margin_loss
from implicitloss.witness.integrate import integrate

__all__ = ["best_sampler", "proposition5", "proposition5_softmax"]


def _summands(case: Case) -> Floats:
    """a_y' = p_yy' payment(y') of the negatives that are drawn, 0 at y and at hard negatives."""
    problem = case.problem
    terms = target(case).log_margin(problem.prior, problem.positive)
    a = np.exp(terms + case.loss.log_payment(problem.scores, problem.positive))
    a[problem.positive] = 0.0
    if case.scheme.hard is not None:
        a[case.scheme.hard.labels(problem)] = 0.0
    return a


# At q* a variance is 0 if it is below this share of (Σ pϕ)².
LEAST_SEEN = 1e-14


def _price(case: Case, law: Floats, reverse: bool = False) -> Number:
    """((Σ a)²/m) χ²(q*‖q), q* ∝ a, at q = `law`: the variance with weights p/(m q), by its formula."""
    a = _summands(case)
    total = float(a.sum())
    if total == 0:  # no negative pays anything, whichever is drawn
        return 0.0
    top, bottom = (law, a / total) if reverse else (a / total, law)
    support = (top > 0) | (bottom > 0)  # neither has the positive, nor labels that are never seen or drawn
    if not bottom[support].all():  # the other way round, from a label that is drawn and pays nothing
        return np.inf
    distance = float(np.sum((top[support] - bottom[support]) ** 2 / bottom[support]))
    value = total**2 / case.scheme.m * distance
    return Estimate(value, 1e-10 * value + 1e-24 * total**2, "variance", "closed form")


def best_sampler(case: Case) -> Case:
    """The case with q* for its target and loss."""
    sampler = MinimumVariance(target(case), case.loss)
    return replace(case, scheme=replace(case.scheme, sampler=sampler, hits="exclude"))


def proposition5(id: str, cases: CaseList) -> Claim:
    """q* ∝ p ϕ has the least variance, 0; any q costs χ²(q*‖q) more.  `cases` are competitors with weights p/(m q)."""
    a, q, total = sp.Function("a"), sp.Function("q"), sp.Symbol("A", positive=True)

    def cauchy_schwarz(square: sp.Expr) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
        # with Σ a = A and Σ q = 1
        left = s.over_negatives((a(s.k) - q(s.k) * total) ** 2 / q(s.k), s.k)
        right = (
            s.over_negatives(a(s.k) ** 2 / q(s.k), s.k)
            - 2 * total * s.over_negatives(a(s.k), s.k)
            + square * s.over_negatives(q(s.k), s.k)
        )
        return lambda: [("m V = Σ a²/q - (Σ a)² = Σ (a - q A)²/q >= 0, a = pϕ", left, right)]

    def bests(setting: Setting) -> list[Case]:
        return list({str(best): best for best in map(best_sampler, cases(setting))}.values())

    def at_best(case: Case) -> Estimate:
        return integrate(best_sampler(case).scheme, case.loss, case.problem, "variance")

    def own(case: Case) -> Estimate:
        return integrated(case, "variance")

    def chi_square(case: Case, reverse: bool = False) -> Number:
        return _price(case, np.exp(case.scheme.laws(case.problem).log_q), reverse)

    def variance_of(shares: Callable[[Case], Floats]) -> Callable[[Case], Number]:
        """What a sampler would cost, put to 0 at y and normalised; shares of 0 for what pays nothing cost nothing."""

        def variance(case: Case) -> Number:
            q = np.array(shares(case))
            q[case.problem.positive] = 0.0
            if case.scheme.hard is not None:
                q[case.scheme.hard.labels(case.problem)] = 0.0
            return _price(case, q / q.sum()) if q.any() else _price(case, q)

        return variance

    def by_margin(case: Case) -> Floats:
        return np.exp(target(case).log_margin(case.problem.prior, case.problem.positive))

    def squared(case: Case) -> Floats:
        return _summands(case) ** 2

    def nothing(case: Case) -> Estimate:
        return Estimate(0.0, 1e-20 * float(_summands(case).sum()) ** 2, "variance", "claimed")

    def moment_resolution(case: Case) -> float:
        return max(MOMENT_ERROR * float(own(case)), 1e-12)

    return Claim(
        id,
        "With w = p/(m q) the variance is ((Σ pϕ)²/m) χ²(q*‖q): least, and 0, at q* ∝ p_yy' ϕ(-f_y'); "
        "no competitor beats it.",
        "Rawat et al. 2021, Proposition 5, Eq. (17); derived: m V = Σ a²/q - A² = A² χ²(a/A‖q) with a = pϕ, A = Σ a",
        (
            Identity(
                cauchy_schwarz(total**2),
                {"Σ a²/q - (Σ a)² is a sum of squares with (a - q)": cauchy_schwarz(sp.Integer(1))},
                whole=False,
            ),
            Exact(
                "variance at q*, as every competitor's is at least 0",
                cases,
                at_best,
                nothing,
                {
                    "q ∝ p has the least variance as well": variance_of(by_margin),
                    "q ∝ (pϕ)² has the least variance as well": variance_of(squared),
                },
                floor=lambda case: LEAST_SEEN * float(_summands(case).sum()) ** 2,
            ),
            Exact(
                "mean at q*",
                bests,
                integrated,
                lambda case: margin_loss(target(case), case.loss, case.problem),
                {f"the mean at q* is that of weights {WEIGHT_ERROR:.0%} larger": weights_off},
            ),
            Exact(
                "χ² against moments of one draw",
                cases,
                own,
                chi_square,
                {"the price is χ²(q‖q*), the other way round": partial(chi_square, reverse=True)},
                resolution=1e-7,
                floor=1e-18,
            ),
            Simulated(
                bests,
                nothing,
                lambda case: 1e-12 * float(_summands(case).sum()) ** 2 + 1e-18,
                {
                    "the variance at q* is that of uniform negatives": variance_of(
                        lambda case: np.ones(case.problem.scores.size)
                    )
                },
                quantity="variance",
                method="simulation at q*",
            ),
            Simulated(
                cases,
                chi_square,
                moment_resolution,
                {"the price is χ²(q‖q*), the other way round": partial(chi_square, reverse=True)},
                quantity="variance",
                method="simulation of competitors",
            ),
        ),
        (
            "the positive is never drawn; ϕ >= 0: what pays nothing has q* = 0 and adds nothing to the loss; "
            "where no negative pays, every q has variance 0",
        ),
    )


def proposition5_softmax(id: str, cases: CaseList) -> Claim:
    """q* ∝ p e^f: zero variance and zero gap; v = ((Σ p e^f)²/μ²) χ²(q*‖q)."""

    def at_best(quantity: Quantity) -> Callable[[Case], Estimate]:
        return lambda case: integrate(best_sampler(case).scheme, case.loss, case.problem, quantity)

    def under_plain(quantity: Quantity) -> Callable[[Case], Estimate]:
        """The sampler q ∝ e^f, which forgets p."""
        return lambda case: integrate(
            replace(case.scheme, sampler=MinimumVariance(), hits="exclude"),
            case.loss,
            case.problem,
            quantity,
        )

    def price(case: Case, power: int = 2) -> Estimate:
        a = _summands(case)
        star, law = a / a.sum(), np.exp(case.scheme.laws(case.problem).log_q)
        support = (star > 0) | (law > 0)
        distance = float(np.sum((star[support] - law[support]) ** 2 / law[support]))
        value = (float(a.sum()) / (1 + float(a.sum()))) ** power * distance
        return Estimate(value, 1e-10 * value + 1e-26, "v", "closed form")

    plain = "q ∝ e^f serves as well, whatever the margins"
    return Claim(
        id,
        "For softmax, q* ∝ p_yy' e^{f_y'} has zero variance and zero Jensen gap, and v = ((Σ p e^f)²/μ²) χ²(q*‖q).",
        "derived: every draw adds w e^f = A/m, the same; the softmax counterpart of Rawat et al. 2021, Proposition 5",
        (
            Exact(
                "variance at q*",
                cases,
                lambda c: 0.0,
                at_best("variance"),
                {plain: under_plain("variance")},
                floor=1e-18,
            ),
            Exact("gap at q*", cases, lambda c: 0.0, at_best("gap"), {plain: under_plain("gap")}, floor=1e-18),
            Exact(
                "v against χ²",
                cases,
                leading_constant,
                price,
                {"v = (Σ p e^f/μ) χ², not squared": partial(price, power=1)},
                floor=1e-18,
            ),
        ),
        ("the positive is never drawn; targets other than p = 1 are among the cases",),
    )
