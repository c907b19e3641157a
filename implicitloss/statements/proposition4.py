"""Proposition 4: weights for any target margin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import sympy as sp

from implicitloss import margins, weightings
from implicitloss import symbols as s
from implicitloss.check import Case, Exact, Identity, Sampled
from implicitloss.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.implicit import margin_loss
from implicitloss.logsum import logsumexp
from implicitloss.samplers import Sampler
from implicitloss.statements.numbers import (
    WEIGHT_ERROR,
    CaseList,
    implicit,
    on_positive,
    scaled,
    sum_resolution,
    target,
    weights_off,
)

ONE = sp.Integer(1)


def proposition4(
    id: str, samplers: Sequence[Sampler], targets: Sequence[margins.Margin], exact: CaseList, sampled: CaseList
) -> Claim:
    """w = p/(m q) makes the implicit loss ℓ^p."""

    def pairs(factor: sp.Expr = ONE) -> list[tuple[str, sp.Expr, sp.Expr]]:
        rows = []
        for sampler in samplers:
            for goal in targets:
                weight = factor * weightings.ForMargin(goal).weight(sampler.law, sampler.law, s.yp)
                rows.append((f"{sampler}, {goal}", s.m * weight * sampler.law(s.yp), goal.margin(s.yp)))
        return rows

    def target_loss(case: Case) -> Estimate:
        return margin_loss(target(case), case.loss, case.problem)

    def other_way(case: Case) -> float:
        """ℓ with p_y'y for p_yy'."""
        problem = case.problem
        terms = np.array(
            [target(case).log_margin(problem.prior, k)[problem.positive] for k in range(problem.prior.n_labels)]
        )
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
            Sampled(sampled, target_loss, sum_resolution, {off: weights_off, transposed: other_way}),
        ),
        ("hits excluded or masked; q > 0 wherever p > 0, or no weight can help",),
    )
