"""Theorem 3: the squared error about the implicit loss, its rate, its constants, and where it does not apply."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from implicitloss.claims.case import Case
from implicitloss.claims.checks import Exact, Simulated
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.limits import along, exponent, ladder, limit, order
from implicitloss.claims.statements.numbers import (
    INTEGRATE,
    MOMENT_ERROR,
    CaseList,
    at_m,
    implicit,
    integrated,
    log_parts,
)
from implicitloss.estimate import Estimate
from implicitloss.theory.expansion import Expansion, Series, expand
from implicitloss.witness.integrate import integrate

__all__ = ["leading_constant", "theorem3_leading", "theorem3_outside", "theorem3_remainder"]


def _series(case: Case) -> Expansion:
    return expand(case.scheme, case.loss, case.problem)


def _rounding(case: Case) -> float:
    """What a constant of v² and k3 may be off."""
    e = _series(case)
    return 1e-9 * (3 * e.v**2 + abs(e.k3))


def leading_constant(case: Case) -> Estimate:
    """v = σ²/μ² of Theorem 3."""
    value = expand(case.scheme, case.loss, case.problem).v
    return Estimate(value, value * 1e-11, "v", "closed form")


def theorem3_leading(id: str, cases: CaseList, sampled: CaseList, hard: bool = False) -> Claim:
    """m E (ℓ - b)² → σ²/μ²; the squared errors of `sampled` are simulated, too."""

    def mse(case: Case) -> Estimate:
        return integrate(case.scheme, case.loss, case.problem, "mse")

    def without_positive(case: Case) -> Estimate:
        expansion = expand(case.scheme, case.loss, case.problem)
        # μ - e^{f_y} for μ, in units of μ
        share = -np.expm1(float(case.problem.scores[case.problem.positive]) - expansion.log_mu)
        return Estimate(expansion.v / share**2, 0.0, "v", "claimed")

    def without_hard(case: Case) -> Estimate:
        expansion, plan = expand(case.scheme, case.loss, case.problem), case.scheme.plan(case.problem)
        # μ - Σ_T w_T e^{f_j}, in units of μ
        in_t = np.exp(plan.log_w_hard + case.problem.scores[plan.hard] - expansion.log_mu).sum()
        return Estimate(expansion.v / (1 - in_t) ** 2, 0.0, "v", "claimed")

    def root(case: Case) -> Estimate:
        return Estimate(float(np.sqrt(float(leading_constant(case)))), 0.0, "v", "claimed")

    of_hard = {"μ has no hard negatives": without_hard} if hard else {}
    return Claim(
        id,
        "E (ℓ(N) - ℓ^{q,w})² = σ²/(m μ²) + o(1/m), with weights η/m, μ = e^{f_y} + E η e^{f_y'}"
        + (" + Σ_T w_T e^{f_j}" if hard else "")
        + ", σ² = V η e^{f_y'}.",
        f"Rawat et al. 2021, Theorem 3, Eq. (12){'; hard negatives: derived' if hard else ''}",
        (
            Exact(
                "order in 1/m",
                cases,
                lambda case: order(along(case, mse), ladder(case)),
                exponent(1.0),
                {"the squared error falls like 1/m²": exponent(2.0), "... like 1/√m": exponent(0.5)},
                resolution=1e-2,
                detail=f"{INTEGRATE}, extrapolated",
            ),
            Exact(
                "constant",
                cases,
                lambda case: limit(along(case, mse), ladder(case), 1),
                leading_constant,
                {"the constant is σ/μ": root, "μ is E η e^{f_y'}, without e^{f_y}": without_positive, **of_hard},
                resolution=1e-3,
                detail=f"{INTEGRATE}, extrapolated",
            ),
            Simulated(
                sampled,
                lambda case: integrated(case, "mse"),
                lambda case: MOMENT_ERROR * float(integrated(case, "mse")),
                {
                    "the squared error is twice as large": lambda case: 2 * float(integrated(case, "mse")),
                    "the squared error is σ²/μ², without 1/m": lambda case: float(leading_constant(case)),
                },
                quantity="mse",
                reference=lambda case: float(implicit(case)),
            ),
        ),
        (
            "η free of m; σ², μ finite and positive; "
            "the printed remainder 'converges to 0 in probability' is read as o(1/m)",
        ),
    )


def theorem3_remainder(id: str, cases: CaseList) -> Claim:
    """m² (E (ℓ - b)² - v/m) → 11 v²/4 - k3, and the bias's two terms, both as `expand` returns them."""

    def rest(case: Case) -> Estimate:
        exact, first = integrate(case.scheme, case.loss, case.problem, "mse"), _series(case).mse.first
        return Estimate(float(exact) - first, float(exact.error) + 1e-12 * abs(first), "remainder", "integrate")

    def bias_rest(case: Case) -> Estimate:
        exact, first = integrate(case.scheme, case.loss, case.problem, "gap"), _series(case).bias.first
        return Estimate(-float(exact) - first, float(exact.error) + 1e-12 * abs(first), "remainder", "integrate")

    def second(series: Callable[[Case], Series]) -> Callable[[Case], Estimate]:
        def constant(case: Case) -> Estimate:
            value = series(case).second * case.scheme.m**2
            return Estimate(value, _rounding(case), "constant", "expand")

        return constant

    def other(a: float, b: float) -> Callable[[Case], Estimate]:
        """a v² + b k3."""

        def constant(case: Case) -> Estimate:
            e = _series(case)
            return Estimate(a * e.v**2 + b * e.k3, _rounding(case), "constant", "claimed")

        return constant

    extrapolated = f"{INTEGRATE}, extrapolated"
    return Claim(
        id,
        "Squared error v/m + (11v²/4 - k3)/m² + O(1/m³) and bias -v/(2m) + (k3/3 - 3v²/4)/m² + O(1/m³).",
        "derived: log(1+d) = d - d²/2 + d³/3 - d⁴/4, E d² = v/m, E d³ = k3/m², E d⁴ = 3v²/m²; makes the remainder of "
        "Rawat et al. 2021, Theorem 3, precise",
        (
            Exact(
                "order in 1/m",
                cases,
                lambda case: order(along(case, rest), ladder(case)),
                exponent(2.0),
                {"the remainder is of order 1/m^{3/2}": exponent(1.5), "... of order 1/m³": exponent(3.0)},
                resolution=1e-2,
                detail=extrapolated,
            ),
            Exact(
                "constant",
                cases,
                lambda case: limit(along(case, rest), ladder(case), 2),
                second(lambda case: _series(case).mse),
                {
                    "the constant is 5v²/2 - k3": other(2.5, -1.0),
                    "the constant is 11v²/4, without the skewness": other(11 / 4, 0.0),
                },
                resolution=1e-2,
                detail=extrapolated,
            ),
            Exact(
                "constant of the bias",
                cases,
                lambda case: limit(along(case, bias_rest), ladder(case), 2),
                second(lambda case: _series(case).bias),
                {
                    "the bias's constant is k3/2 - 3v²/4": other(-3 / 4, 1 / 2),
                    "the bias's constant is k3/3 - v²/2": other(-1 / 2, 1 / 3),
                },
                resolution=1e-2,
                detail=extrapolated,
            ),
        ),
        ("v = σ²/μ², k3 = κ₃/μ³, κ₃ the third central moment; weights η/m with η free of m",),
    )


def theorem3_outside(id: str, cases: CaseList) -> Claim:
    """Relative and unit weights: η = m w is not free of m, and σ²/μ² is no constant."""

    def mse(case: Case) -> Estimate:
        return integrate(case.scheme, case.loss, case.problem, "mse")

    def moments(case: Case) -> tuple[float, float]:
        one = at_m(case, 1)
        plan = one.scheme.plan(one.problem)
        log_x = plan.log_w + one.loss.log_payment(one.problem.scores, one.problem.positive)
        q, x = np.exp(plan.log_q), np.exp(log_x)
        mean = float(np.sum(q * x))
        return mean, float(np.sum(q * (x - mean) ** 2))

    def positive(case: Case) -> float:
        """1, or 1 + A with hard negatives."""
        return 1 + float(np.exp(log_parts(case)[0]))

    def own(case: Case) -> Estimate:
        mean, variance = moments(case)
        return Estimate(variance / mean**2, 1e-11 * variance / mean**2, "constant", "closed form")

    def frozen(m: int) -> Callable[[Case], Estimate]:
        """σ²/μ² with η = m w read off at one m."""

        def constant(case: Case) -> Estimate:
            mean, variance = moments(case)
            return Estimate(variance / (positive(case) / m + mean) ** 2, 0.0, "constant", "claimed")

        return constant

    return Claim(
        id,
        "Relative and unit weights fall outside Theorem 3: η = m w is not free of m, so σ²/μ² is no constant and "
        "ℓ^{q,w} grows like log m; the squared error still falls like 1/m, with V[x]/E[x]², x = w e^{f_y' - f_y}.",
        "derived: ℓ = log m + log(x̄ + 1/m), x̄ the mean of x over the draws; Rawat et al. 2021, Theorem 3 needs w = η/m "
        "with η free of m",
        (
            Exact(
                "order in 1/m",
                cases,
                lambda case: order(along(case, mse), ladder(case)),
                exponent(1.0),
                {"the squared error falls like 1/m²": exponent(2.0), "the squared error does not fall": exponent(0.0)},
                resolution=2e-2,
                detail=f"{INTEGRATE}, extrapolated",
            ),
            Exact(
                "constant",
                cases,
                lambda case: limit(along(case, mse), ladder(case), 1),
                own,
                {
                    "the constant is σ²/μ² with the η = m w of m = 1": frozen(1),
                    "the constant is σ²/μ² with the η = m w of m = 4": frozen(4),
                },
                resolution=2e-2,
                detail=f"{INTEGRATE}, extrapolated",
            ),
        ),
        ("the weights do not depend on m",),
    )
