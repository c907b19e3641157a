"""Examples of a batch that share their negatives."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.draws import DRAWS
from implicitloss.estimate import Estimate
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, logistic
from implicitloss.problem import Problem
from implicitloss.witness.integrate.covariance import covariance
from paper_checks.draws.listing import LAWS, LISTED, OTHER_SCORES, SCORES, Runs, exact

LOSSES = (SoftmaxCrossEntropy(), Decoupled(logistic))


def _cases(setting: Setting) -> list[Runs]:
    return [Runs(design, m, law) for design, m, law in itertools.product(DRAWS, (1, 2), LAWS[:2])]


def _two(case: Runs) -> tuple[Problem, Problem]:
    other = Runs(case.design, case.m, case.law, case.hits, positive=2)
    return case.problem(SCORES), other.problem(OTHER_SCORES)


def _listed(loss: Loss, case: Runs) -> Estimate:
    """Cov of the two losses over the listed runs."""
    found = []
    for problem in _two(case):
        plan = case.scheme().plan(problem)
        sums, chances = case.sums(np.exp(plan.log_w + loss.log_payment(problem.scores, problem.positive)))
        values = np.log1p(sums) if loss.has_log else sums
        found.append(values - chances @ values)
    return exact(float(chances @ (found[0] * found[1])), "covariance", 1e-10)


def _integrated(loss: Loss, case: Runs) -> Estimate:
    return covariance(case.scheme(), loss, *_two(case))


CLAIMS = tuple(
    Claim(
        f"draws.shared.{name}",
        f"Two examples with the same negatives have {what}, under every design of the draws.",
        "derived",
        (
            Exact(
                LISTED,
                _cases,
                partial(_integrated, loss),
                partial(_listed, loss),
                {"they do not covary": lambda case: 0.0, **more},
                resolution=1e-8,
                floor=1e-9,
                uses_prior=False,
            ),
        ),
    )
    for name, what, loss, more in (
        (
            "softmax",
            "Cov(ℓ_a, ℓ_b) = ∬ (M_ab - M_a M_b) e^{-s-t} ds dt/(st), M_ab = E e^{-sS_a - tS_b}",
            LOSSES[0],
            {"it is that of the sums": partial(_listed, LOSSES[1])},
        ),
        ("decoupled", "the covariance of their sums", LOSSES[1], {}),
    )
)
