"""Lemma 1: mean and variance of sampled decoupled losses, and when they are unbiased."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import sympy as sp

from implicitloss import margins, weightings
from implicitloss import symbols as s
from implicitloss.claims.case import Case
from implicitloss.claims.checks import Exact, Identity, Simulated
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import (
    EXHAUST,
    MOMENT_ERROR,
    ONE_DRAW,
    WEIGHT_ERROR,
    CaseList,
    derivation,
    exhausted,
    hits_kept,
    implicit,
    integrated,
    lost_m,
    on_positive,
    reweighted,
    sum_resolution,
    total,
    weights_off,
)
from implicitloss.estimate import Estimate
from implicitloss.losses import Loss
from implicitloss.samplers import Sampler
from implicitloss.scheme import Scheme, without_hard
from implicitloss.theory.implicit import lemma1_variance, margin_loss
from implicitloss.witness.integrate import integrate

__all__ = ["derived", "lemma1_mean", "lemma1_unbiased", "lemma1_variance_claim"]

_w, _q, _v = sp.Function("w"), sp.Function("q"), sp.Function("v")
_p_general = s.m * _w(s.y, s.k) * _q(s.k)
_phi = sp.Symbol("phi", real=True)


def _mean_pairs(margin: sp.Expr) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
    def pairs() -> list[tuple[str, sp.Expr, sp.Expr]]:
        one_draw = s.over_negatives(_q(s.k) * _w(s.y, s.k) * _v(s.k), s.k)
        return [("any q, w and losses v(y')", _phi + s.m * one_draw, _phi + s.over_negatives(margin * _v(s.k), s.k))]

    return pairs


def derived(id: str, schemes: Callable[[], Sequence[tuple[Scheme, Loss]]]) -> Claim:
    """Every line of every derivation is checked by SymPy, and ends in p = m w q."""

    def pairs(factor: sp.Expr = sp.S.One) -> list[tuple[str, sp.Expr, sp.Expr]]:
        rows = []
        for scheme, loss in schemes():
            found = derivation(without_hard(scheme, "m w q in symbols"), loss)
            unchecked = sum(not step.checked for step in found.steps)
            rows.append((f"{scheme}: steps without a check", sp.Integer(unchecked), sp.Integer(0)))
            # Softmax margins are divided by 1 + c_y where hits are kept.
            divided = found.kept if loss.has_log else 0
            law, weigh = scheme.sampler.law, scheme.weighting.weight
            rest = 1 - law(s.y) if scheme.hits == "exclude" else sp.Integer(1)

            def conditional(yp: sp.Expr, law: Callable[[sp.Expr], sp.Expr] = law, rest: sp.Expr = rest) -> sp.Expr:
                return law(yp) / rest

            p = s.m * weigh(conditional, law, s.yp) * conditional(s.yp)
            rows.append((str(scheme), found.margin * (1 + divided), factor * p))
        return rows

    return Claim(
        id,
        "The derivation from the sampled to the implicit loss holds line by line, and its margins are p = m w q.",
        "Rawat et al. 2021, Lemmas 1 and 2",
        (Identity(pairs, {"the margins are p = w q, without m": partial(pairs, 1 / s.m)}),),
    )


def lemma1_mean(id: str, tiny: CaseList, cases: CaseList) -> Claim:
    """E ℓ(N) = φ(f_y) + Σ p_yy' ϕ(-f_y')."""
    lost = "p = w q, without the factor m"
    off = f"the weights are {WEIGHT_ERROR:.0%} larger"
    every = "the sum runs over all y', y itself included, although hits do not count"
    return Claim(
        id,
        "The sampled decoupled loss has mean φ(f_y) + Σ_{y'≠y} p_yy' ϕ(-f_y') with p_yy' = m w_yy' q_y'.",
        "Rawat et al. 2021, Lemma 1, Eq. (9)",
        (
            Identity(
                _mean_pairs(_p_general),
                {
                    lost: _mean_pairs(_p_general / s.m),
                    "p_yy' = m w_y'y q_y, transposed": _mean_pairs(s.m * _w(s.k, s.y) * _q(s.y)),
                },
                whole=False,
            ),
            Exact(EXHAUST, tiny, exhausted, implicit, {lost: lost_m, off: weights_off, every: hits_kept}),
            Exact(ONE_DRAW, cases, integrated, implicit, {lost: lost_m, off: weights_off}),
            Simulated(cases, implicit, sum_resolution, {lost: lost_m, off: weights_off}),
        ),
        ("m draws, i.i.d. from q with replacement; kept hits add c_y ϕ(-f_y), c_y = m w_yy q_y (derived)",),
    )


def _variance_without(case: Case, *, second: float) -> Estimate:
    """Lemma 1's variance with another factor in front of (Σ pϕ)²."""
    right = lemma1_variance(case.scheme, case.loss, case.problem)
    total = float(implicit(case)) - on_positive(case)
    value = float(right) + total**2 / case.scheme.m - second * total**2
    return Estimate(value, right.error, "variance", "closed form")


def lemma1_variance_claim(id: str, tiny: CaseList, cases: CaseList) -> Claim:
    """V ℓ(N) = Σ w p ϕ² - (Σ p ϕ)²/m."""
    p, v, w, q = _p_general, _v(s.k), _w(s.y, s.k), _q(s.k)

    def over(summand: sp.Expr) -> sp.Expr:
        return s.over_negatives(summand, s.k)

    def pairs(factor: sp.Expr) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
        left = s.m * (over(q * w**2 * v**2) - over(q * w * v) ** 2)
        return lambda: [("any q, w and losses v(y')", left, over(w * p * v**2) - factor * over(p * v) ** 2)]

    def formula(case: Case) -> Estimate:
        return lemma1_variance(case.scheme, case.loss, case.problem)

    def off(case: Case) -> float:
        variance = float(integrated(case, "variance"))
        # Where every draw is worth the same there is nothing to see.
        return MOMENT_ERROR * variance if variance > 1e-12 * total(case) ** 2 else 0.0

    def inflated(case: Case) -> Estimate:
        right = formula(case)
        return replace(right, value=float(right) * (1 + MOMENT_ERROR))

    no_m = "the square of the mean is subtracted whole, without 1/m"
    no_square = "the square of the mean is not subtracted"
    return Claim(
        id,
        "The sampled decoupled loss has variance Σ w_yy' p_yy' ϕ² - (1/m) (Σ p_yy' ϕ)².",
        "Rawat et al. 2021, Lemma 1, Eq. (10)",
        (
            Identity(pairs(1 / s.m), {no_m: pairs(sp.Integer(1)), no_square: pairs(sp.Integer(0))}, whole=False),
            Exact(
                EXHAUST,
                tiny,
                lambda case: exhausted(case, "variance"),
                formula,
                {
                    no_m: partial(_variance_without, second=1.0),
                    no_square: partial(_variance_without, second=0.0),
                },
                floor=lambda case: 1e-9 * total(case) ** 2,
            ),
            Exact(
                ONE_DRAW,
                cases,
                lambda case: integrated(case, "variance"),
                formula,
                {no_square: partial(_variance_without, second=0.0)},
                floor=lambda case: 1e-9 * total(case) ** 2,
            ),
            Simulated(
                cases,
                formula,
                off,
                {f"the variance is {MOMENT_ERROR:.0%} larger": inflated},
                quantity="variance",
            ),
        ),
        ("as for the mean; kept hits count as one more label",),
    )


def lemma1_unbiased(id: str, samplers: Sequence[Sampler], cases: CaseList) -> Claim:
    """Unbiased for the full loss if and only if p = 1."""

    def margin(sampler: Sampler, weighting: weightings.Weighting) -> sp.Expr:
        law = sampler.law
        return s.m * weighting.weight(law, law, s.yp) * law(s.yp)

    def pairs(weighting: weightings.Weighting) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
        # Σ (1 - p) ϕ vanishes for all losses ϕ only if every coefficient does: p = 1 is necessary too.
        return lambda: [(f"{x}, {weighting}: p", margin(x, weighting), sp.Integer(1)) for x in samplers]

    def full(case: Case) -> Estimate:
        return margin_loss(margins.Softmax(), case.loss, case.problem)

    def mean_under(weighting: weightings.Weighting) -> Callable[[Case], Estimate]:
        return lambda case: integrate(reweighted(case.scheme, weighting), case.loss, case.problem)

    constant, unit = weightings.Constant(), weightings.Unit()
    no = "constant weights 1/m are unbiased for the full loss too"
    no_unit = "weights of 1 are unbiased for the full loss too"
    return Claim(
        id,
        "The sampled decoupled loss is unbiased for the full loss if and only if p = 1: importance weights.",
        "Rawat et al. 2021, after Lemma 1",
        (
            Identity(pairs(weightings.Importance()), {no: pairs(constant), no_unit: pairs(unit)}, whole=False),
            Exact(
                ONE_DRAW,
                cases,
                full,
                mean_under(weightings.Importance()),
                {no: mean_under(constant), no_unit: mean_under(unit)},
            ),
        ),
        (
            "q > 0 on every negative; hits excluded or masked",
            "p = 1 is necessary because ϕ is free: full minus implicit loss is Σ (1 - p_yy') ϕ(-f_y'), and scores at "
            "which only one label pays show its 1 - p_yy'",
        ),
    )
