"""Lemma 1: mean and variance of sampled decoupled losses, and when they are unbiased."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
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
    hard_negatives_twice,
    hits_kept,
    implicit,
    integrated,
    lost_m,
    margins_of,
    reweighted,
    spread,
    sum_resolution,
    total,
    weights_off,
    without_hard_negatives,
)
from implicitloss.estimate import Estimate
from implicitloss.losses import Loss
from implicitloss.samplers import Sampler
from implicitloss.scheme import Scheme
from implicitloss.theory.implicit import margin_loss
from implicitloss.witness.integrate import integrate

__all__ = ["derived", "lemma1_mean", "lemma1_unbiased", "lemma1_variance_claim", "variance_with_hard"]

_w, _q, _v = sp.Function("w"), sp.Function("q"), sp.Function("v")
_p_general = s.m * _w(s.y, s.k) * _q(s.k)
_phi = sp.Symbol("phi", real=True)
# What a hard negative adds to a margin, w_T 1_T.
_known = sp.Symbol("w_T", positive=True) * s.hard[s.k]


def _mean_pairs(margin: sp.Expr, known: sp.Expr = sp.S.Zero) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
    """The expected sum over T, which is known, and over the draws, against the sum with the margins."""

    def over(weight: sp.Expr) -> sp.Expr:
        return s.over_negatives(weight * _v(s.k), s.k) if weight != 0 else weight

    def pairs() -> list[tuple[str, sp.Expr, sp.Expr]]:
        drawn = s.m * over(_q(s.k) * _w(s.y, s.k))
        return [("any q, w and losses v(y')", _phi + over(known) + drawn, _phi + over(margin))]

    return pairs


def derived(id: str, schemes: Callable[[], Sequence[tuple[Scheme, Loss]]], hard: bool = False) -> Claim:
    """Every line of every derivation is checked by SymPy, and ends in p = m w q, or p = w_T 1_T + m w q."""

    def pairs(
        factor: sp.Expr = sp.S.One, of_hard: sp.Expr = sp.S.One, again: bool = False
    ) -> list[tuple[str, sp.Expr, sp.Expr]]:
        """The margins with draws `factor` times, hard negatives `of_hard` times, and `again` as draws in any mode."""
        rows = []
        for scheme, loss in schemes():
            found = derivation(scheme, loss)
            unchecked = sum(not step.checked for step in found.steps)
            rows.append((f"{scheme}: steps without a check", sp.Integer(unchecked), sp.Integer(0)))
            # Softmax margins are divided by 1 + c_y where hits are kept.
            divided = found.kept if loss.has_log else 0
            law, weigh = scheme.sampler.law, scheme.weighting.weight
            rest = 1 - law(s.y) if scheme.hits == "exclude" else sp.Integer(1)
            overlap = "keep" if scheme.hard is None else scheme.hard.overlap
            if overlap == "exclude":
                rest -= s.constants_out(s.over_labels(s.hard[s.j] * law(s.j), s.j))

            def conditional(yp: sp.Expr, law: Callable[[sp.Expr], sp.Expr] = law, rest: sp.Expr = rest) -> sp.Expr:
                return law(yp) / rest

            p = factor * s.m * weigh(conditional, law, s.yp) * conditional(s.yp)
            if scheme.hard is not None:
                counts = 1 if again or overlap == "keep" else 1 - s.hard[s.yp]
                p = of_hard * s.exact(scheme.hard.weight) * s.hard[s.yp] + counts * p
            rows.append((str(scheme), found.margin * (1 + divided), p))
        return rows

    misses = {"the margins are p = w q, without m": partial(pairs, 1 / s.m)}
    if hard:
        misses = {
            "the margins are p = w_T 1_T + w q, without m": partial(pairs, 1 / s.m),
            "hard negatives count twice": partial(pairs, of_hard=sp.Integer(2)),
            "hard negatives do not count": partial(pairs, of_hard=sp.Integer(0)),
            "draws of hard negatives count again in every mode": partial(pairs, again=True),
        }
    return Claim(
        id,
        "The derivation from the sampled to the implicit loss holds line by line, and its margins are p = "
        f"{'w_T 1_T + ' if hard else ''}m w q.",
        f"Rawat et al. 2021, Lemmas 1 and 2{'; hard negatives: derived' if hard else ''}",
        (Identity(pairs, misses),),
    )


def lemma1_mean(id: str, tiny: CaseList, cases: CaseList, hard: bool = False) -> Claim:
    """E ℓ(N) = φ(f_y) + Σ p_yy' ϕ(-f_y')."""
    lost = "p = w q, without the factor m"
    known = _known if hard else sp.S.Zero
    of_hard: dict[str, Callable[[Case], Estimate]] = {}
    if hard:
        lost = "p = w_T 1_T + w q, without the factor m"
        of_hard = {
            "hard negatives do not count": without_hard_negatives,
            "hard negatives count twice": hard_negatives_twice,
        }
    off = f"the weights are {WEIGHT_ERROR:.0%} larger"
    every = "the sum runs over all y', y itself included, although hits do not count"
    return Claim(
        id,
        f"The sampled decoupled loss has mean φ(f_y) + Σ_{{y'≠y}} p_yy' ϕ(-f_y') with {margins_of(hard)}.",
        f"Rawat et al. 2021, Lemma 1, Eq. (9){'; hard negatives: derived' if hard else ''}",
        (
            Identity(
                _mean_pairs(known + _p_general, known),
                {
                    lost: _mean_pairs(known + _p_general / s.m, known),
                    "p_yy' = m w_y'y q_y, transposed": _mean_pairs(known + s.m * _w(s.k, s.y) * _q(s.y), known),
                },
                whole=False,
            ),
            Exact(EXHAUST, tiny, exhausted, implicit, {lost: lost_m, off: weights_off, every: hits_kept, **of_hard}),
            Exact(ONE_DRAW, cases, integrated, implicit, {lost: lost_m, off: weights_off, **of_hard}),
            Simulated(cases, implicit, sum_resolution, {lost: lost_m, off: weights_off, **of_hard}),
        ),
        ("m draws, i.i.d. from q with replacement; kept hits add c_y ϕ(-f_y), c_y = m w_yy q_y (derived)",),
    )


def _variance_without(case: Case, *, second: float) -> Estimate:
    """Lemma 1's variance with another factor in front of (Σ pϕ)²."""
    right = spread(case)
    value = float(right) + total(case) ** 2 / case.scheme.m - second * total(case) ** 2
    return Estimate(value, right.error, "variance", "closed form")


def variance_with_hard(case: Case) -> Estimate:
    """Lemma 1's variance with a term Σ_T w_T² ϕ², as if hard negatives were drawn: a near miss."""
    right, plan = spread(case), case.scheme.plan(case.problem, loss=case.loss)
    payment = case.loss.log_payment(case.problem.scores, case.problem.positive)
    return replace(right, value=float(right) + float(np.sum(np.exp(2 * plan.log_hard_terms(payment)))))


def lemma1_variance_claim(id: str, tiny: CaseList, cases: CaseList, hard: bool = False) -> Claim:
    """V ℓ(N) = Σ w p ϕ² - (Σ p ϕ)²/m, p = m w q, whatever T is."""
    p, v, w, q = _p_general, _v(s.k), _w(s.y, s.k), _q(s.k)

    def over(summand: sp.Expr) -> sp.Expr:
        return s.over_negatives(summand, s.k)

    def pairs(factor: sp.Expr) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
        left = s.m * (over(q * w**2 * v**2) - over(q * w * v) ** 2)
        return lambda: [("any q, w and losses v(y')", left, over(w * p * v**2) - factor * over(p * v) ** 2)]

    def off(case: Case) -> float:
        variance = float(integrated(case, "variance"))
        # Where every draw is worth the same there is nothing to see.
        return MOMENT_ERROR * variance if variance > 1e-12 * total(case) ** 2 else 0.0

    def inflated(case: Case) -> Estimate:
        right = spread(case)
        return replace(right, value=float(right) * (1 + MOMENT_ERROR))

    no_m = "the square of the mean is subtracted whole, without 1/m"
    no_square = "the square of the mean is not subtracted"
    of_hard = {"hard negatives add Σ_T w_T² ϕ²": variance_with_hard} if hard else {}
    return Claim(
        id,
        "The sampled decoupled loss has variance Σ w_yy' p_yy' ϕ² - (1/m) (Σ p_yy' ϕ)²"
        + (", p_yy' = m w_yy' q_y': it has no term of T." if hard else "."),
        f"Rawat et al. 2021, Lemma 1, Eq. (10){'; hard negatives: derived' if hard else ''}",
        (
            Identity(pairs(1 / s.m), {no_m: pairs(sp.Integer(1)), no_square: pairs(sp.Integer(0))}, whole=False),
            Exact(
                EXHAUST,
                tiny,
                lambda case: exhausted(case, "variance"),
                spread,
                {
                    no_m: partial(_variance_without, second=1.0),
                    no_square: partial(_variance_without, second=0.0),
                    **of_hard,
                },
                floor=lambda case: 1e-9 * total(case) ** 2,
            ),
            Exact(
                ONE_DRAW,
                cases,
                lambda case: integrated(case, "variance"),
                spread,
                {no_square: partial(_variance_without, second=0.0), **of_hard},
                floor=lambda case: 1e-9 * total(case) ** 2,
            ),
            Simulated(
                cases,
                spread,
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
