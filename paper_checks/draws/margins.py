"""Implicit margins where draws are not independent: p = w P(y' ∈ N)."""

from __future__ import annotations

import itertools

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.draws import DrawsName
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.theory.implicit import log_expected_weights
from implicitloss.weightings import Unit
from paper_checks.draws.listing import LAWS, LISTED, Runs, exact

SETS: tuple[DrawsName, ...] = ("distinct", "set", "bernoulli")


def _cases(setting: Setting) -> list[Runs]:
    return [
        Runs(design, m, law, hits)
        for design, m, law, hits in itertools.product(SETS, (2, 3), LAWS[:3], ("mask", "exclude"))
    ]


def _others(case: Runs, values: Floats) -> Estimate:
    return exact(np.delete(values, case.positive), "margin", 1e-11)


def _expected(case: Runs) -> Estimate:
    """E Σ_{j ∈ N} w_yj 1[j = y'] over the listed runs, with the library's weights."""
    weights = np.exp(case.scheme().plan(case.problem()).log_w)
    return _others(case, case.inclusion * weights)


def _naive(case: Runs) -> Estimate:
    return _others(case, case.inclusion / (case.m * np.where(case.q > 0, case.q, 1.0)))


def _ones(case: Runs) -> Estimate:
    return _others(case, np.ones(len(case.law)))


# --- in-batch sets ----------------------------------------------------------------------------------------------------


def _batches(setting: Setting) -> list[Runs]:
    return [Runs("set", b - 1, law) for b in (2, 3, 4) for law in LAWS[:3]]


def _by_library(case: Runs) -> Estimate:
    return _others(case, np.exp(log_expected_weights(case.scheme(Unit()), case.problem())))


def _power(more: int, case: Runs) -> Estimate:
    """1 - (1 - π)^{B-1+more}."""
    return _others(case, 1 - (1 - case.q) ** (case.m + more))


CLAIMS = (
    Claim(
        "draws.margins.unbiased",
        "Weights 1/P(y' ∈ N) make every implicit margin 1, for distinct draws, sets and coins.",
        "derived; Rawat et al. 2021, Lemmas 1 and 2, hold word for word with P(y' ∈ N) for m q",
        (
            Exact(
                LISTED,
                _cases,
                _expected,
                _ones,
                {"margins are 1 if weights divide by m q, so that they are P/(m q) here": _naive},
                resolution=1e-9,
                uses_prior=False,
            ),
        ),
    ),
    Claim(
        "draws.margins.batch-set",
        "The other labels of a batch of B examples, as a set, have p = w (1 - (1 - π)^{B-1}).",
        "derived; N = ∪ {y_b} of Rawat et al. 2021, section 2.2, as it is written",
        (
            Exact(
                "closed form of the library",
                _batches,
                _by_library,
                lambda case: _power(0, case),
                {
                    "p = w m π, m = B - 1": lambda case: _others(case, case.m * case.q),
                    "the exponent is B": lambda case: _power(1, case),
                },
                uses_prior=False,
            ),
            Exact(
                LISTED,
                _batches,
                lambda case: _others(case, case.inclusion),
                lambda case: _power(0, case),
                {"the exponent is B": lambda case: _power(1, case)},
                resolution=1e-10,
                uses_prior=False,
            ),
        ),
    ),
)
