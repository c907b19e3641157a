"""Proposition 4: weights for any target margin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import sympy as sp

from implicitloss import margins, weightings
from implicitloss import symbols as s
from implicitloss.claims.case import Case
from implicitloss.claims.checks import Exact, Identity, Simulated
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import (
    WEIGHT_ERROR,
    CaseList,
    derivation,
    implicit,
    on_positive,
    scaled,
    sum_resolution,
    target,
    weights_off,
)
from implicitloss.estimate import Estimate
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.numerics.logsum import logsumexp
from implicitloss.samplers import Sampler
from implicitloss.scheme import Scheme
from implicitloss.theory.implicit import log_expected_weights, margin_loss

__all__ = ["optimises", "proposition4"]


def optimises(id: str, scheme: Scheme, goal: margins.Margin, cases: CaseList) -> Claim:
    """The scheme's implicit margins under softmax are those of `goal`: for every prior, or for this one."""
    total = sp.Symbol("N", positive=True)

    def pairs(factor: sp.Expr = sp.S.One) -> list[tuple[str, sp.Expr, sp.Expr]]:
        # Counts are N times the prior, which sums to 1.
        known = {s.n[k]: total * s.pi[k] for k in (s.y, s.yp)} | {s.over_labels(s.pi[s.k]): sp.Integer(1)}
        margin = derivation(scheme, SoftmaxCrossEntropy()).margin
        return [(f"p_yy' of {scheme}", margin.subs(known), (factor * goal.margin(s.yp)).subs(known))]

    ((_, left, right),) = pairs()
    always = s.vanishes(left - right)

    def row(case: Case) -> Estimate:
        p = log_expected_weights(case.scheme, case.problem)
        y = case.problem.positive
        # Kept hits divide softmax margins by 1 + c_y; masked and excluded ones have c_y = 0.
        p = np.exp(p - np.logaddexp(0.0, p[y])) if case.scheme.hits == "keep" else np.exp(p)
        p[y] = 0.0
        return Estimate(p, 1e-12 * p, "margins", "m w q")

    def claimed(case: Case, factor: float = 1.0) -> Estimate:
        p = factor * np.exp(goal.log_margin(case.problem.prior, case.problem.positive))
        p[case.problem.positive] = 0.0
        return Estimate(p, 1e-12 * p, "margins", "target")

    double = "the margins are twice the target's"
    return Claim(
        id,
        f"The scheme optimises softmax with the margins of {goal}: p_yy' = {s.spoken(goal.margin(s.yp))}.",
        "Rawat et al. 2021, Lemma 2 and Eq. (6)",
        (
            *([Identity(pairs, {double: lambda: pairs(sp.Integer(2))})] if always else []),
            Exact("m w q in numbers", cases, row, claimed, {double: lambda case: claimed(case, 2.0)}),
        ),
        () if always else (f"no identity: the scheme's margins in symbols are p_yy' = {s.spoken(left)}",),
    )


def proposition4(
    id: str, samplers: Sequence[Sampler], targets: Sequence[margins.Margin], exact: CaseList, sampled: CaseList
) -> Claim:
    """w = p/(m q) makes the implicit loss ℓ^p."""

    def pairs(factor: sp.Expr = sp.S.One) -> list[tuple[str, sp.Expr, sp.Expr]]:
        rows = []
        for sampler in samplers:
            for goal in targets:
                weight = factor * weightings.ForMargin(goal).weight(sampler.law, sampler.law, s.yp)
                rows.append((f"{sampler}, {goal}", s.m * weight * sampler.law(s.yp), goal.margin(s.yp)))
        return rows

    def target_loss(case: Case) -> Estimate:
        return margin_loss(target(case), case.loss, case.problem)

    def other_way(case: Case) -> float:
        """ℓ with p_y'y for p_yy', over labels that can be positives."""
        problem = case.problem
        terms = np.full(problem.prior.n_labels, -np.inf)
        for k in np.flatnonzero(problem.prior.probabilities):
            terms[k] = target(case).log_margin(problem.prior, int(k))[problem.positive]
        terms = terms + case.loss.log_payment(problem.scores, problem.positive)
        terms[problem.positive] = -np.inf
        total = logsumexp(terms)
        return on_positive(case) + float(np.logaddexp(0, total) if case.loss.has_log else np.exp(total))

    lost = "w = p/q, without the 1/m"
    transposed = "the implicit margin is p_y'y, the target transposed"
    off = f"the weights are {WEIGHT_ERROR:.0%} larger"
    return Claim(
        id,
        "For any target p > 0 and any q > 0 on the negatives, w = p/(m q) makes the implicit loss ℓ^p.",
        "Rawat et al. 2021, Proposition 4, Eq. (15)",
        (
            Identity(pairs, {lost: partial(pairs, s.m)}),
            Exact(
                "closed forms",
                exact,
                implicit,
                target_loss,
                {lost: lambda case: scaled(case, float(case.scheme.m)), transposed: other_way, off: weights_off},
                resolution=1e-9,
            ),
            Simulated(sampled, target_loss, sum_resolution, {off: weights_off, transposed: other_way}),
        ),
        ("hits excluded or masked; q > 0 wherever p > 0, or no weight can help",),
    )
