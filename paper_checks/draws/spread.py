"""Variances where draws are not independent."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, logistic
from implicitloss.witness.integrate import integrate
from paper_checks.draws.listing import LAWS, LISTED, Runs, exact
from paper_checks.draws.margins import SETS

DECOUPLED = Decoupled(logistic)


def _adds(case: Runs, loss: Loss) -> Floats:
    """What each label adds to the sum, (L,)."""
    problem = case.problem()
    plan = case.scheme().plan(problem)
    return np.exp(plan.log_w + loss.log_payment(problem.scores, case.positive))


def _variance(loss: Loss, case: Runs) -> Estimate:
    """V of the loss over the listed runs."""
    sums, chances = case.sums(_adds(case, loss))
    values = np.log1p(sums) if loss.has_log else sums
    return exact(float(chances @ (values - chances @ values) ** 2), "variance", 1e-10)


def _lemma1(case: Runs) -> Estimate:
    """Σ w p ϕ² - (Σ p ϕ)²/m with p = w P(y' ∈ N): Lemma 1's formula for i.i.d. draws."""
    adds = _adds(case, DECOUPLED)
    return exact(float(case.inclusion @ adds**2 - (case.inclusion @ adds) ** 2 / case.m), "variance")


def _apart(case: Runs) -> Estimate:
    """Labels that came in by themselves: Σ P (1 - P) w² ϕ²."""
    adds = _adds(case, DECOUPLED)
    return exact(float((case.inclusion * (1 - case.inclusion)) @ adds**2), "variance")


def _cases(setting: Setting) -> list[Runs]:
    return [
        Runs(design, m, law, hits)
        for design, m, law, hits in itertools.product(SETS, (2, 3), LAWS[:2], ("mask", "exclude"))
    ]


def _sets_and_distinct(setting: Setting) -> list[Runs]:
    # Three distinct labels out of three are always the same.
    return [case for case in _cases(setting) if case.design != "bernoulli" and (case.m, case.hits) != (3, "exclude")]


def _by_integrals(loss: Loss, case: Runs) -> Estimate:
    return integrate(case.scheme(), loss, case.problem(), "variance")


# --- against i.i.d. draws ---------------------------------------------------------------------------------------------


def _less(setting: Setting) -> list[Runs]:
    return [Runs("distinct", m, law) for m in (2, 3) for law in LAWS[:3]]


def _iid(case: Runs) -> Estimate:
    scheme = Runs("iid", case.m, case.law).scheme()
    return integrate(scheme, DECOUPLED, case.problem(), "variance")


CLAIMS = (
    Claim(
        "draws.spread.variance",
        "The variance of the sum over distinct draws is ⟨Σ r_k [(X_k + A_k - mean)² + V_k]⟩, and that of sets and of "
        "coins ⟨(A - mean)² + Σ P (1 - P) X²⟩; Lemma 1's formula is of i.i.d. draws.",
        "derived",
        (
            Exact(
                f"{LISTED}, a decoupled loss",
                _sets_and_distinct,
                partial(_by_integrals, DECOUPLED),
                partial(_variance, DECOUPLED),
                {"Lemma 1's formula holds with p = w P(y' ∈ N)": _lemma1, "labels come in by themselves": _apart},
                resolution=1e-8,
                floor=1e-9,
                uses_prior=False,
            ),
            Exact(
                f"{LISTED}, softmax",
                _cases,
                partial(_by_integrals, SoftmaxCrossEntropy()),
                partial(_variance, SoftmaxCrossEntropy()),
                {"it is that of the sum": partial(_variance, DECOUPLED)},
                resolution=1e-8,
                floor=1e-9,
                uses_prior=False,
            ),
        ),
    ),
    Claim(
        "draws.spread.less",
        "In these cases m distinct draws, each weighed by 1/P(y' ∈ N), have less variance than m i.i.d. ones by "
        "1/(m q).",
        "seen, and not proved",
        (
            Exact(
                "integrals over races, against Lemma 1's variance",
                _less,
                partial(_by_integrals, DECOUPLED),
                _iid,
                {"they have at most half of it": ("<=", lambda case: _half(case))},
                relation="<=",
                uses_prior=False,
            ),
        ),
    ),
)


def _half(case: Runs) -> Estimate:
    whole = _iid(case)
    return Estimate(float(whole.value) / 2, float(whole.error), "variance", "integrate")
