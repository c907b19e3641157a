"""Claims on draws that are not independent: a wrong library must be caught, each by the check that is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from implicitloss import weightings
from implicitloss.claims.case import Setting
from implicitloss.claims.claim import settle
from implicitloss.claims.verdict import Outcome
from implicitloss.draws.batch_set import BatchSet
from implicitloss.draws.distinct import DistinctLaw
from implicitloss.draws.product import ProductLaw
from implicitloss.estimate import Estimate
from implicitloss.labels import LabelPrior
from paper_checks.__main__ import all_claims
from paper_checks.draws import best_shared, shared

SETTING = Setting(LabelPrior.exp(100, 500, 100), "")
CLAIMS = {claim.id.removeprefix("draws."): claim for claim in all_claims() if claim.id.startswith("draws.")}
Mutant = Callable[[pytest.MonkeyPatch], None]


def _changed(owner: Any, name: str, change: Callable[..., Any]) -> Mutant:
    """A mutant in which what a function returns is changed: change(found, *its arguments)."""

    def mutant(patch: pytest.MonkeyPatch) -> None:
        honest = getattr(owner, name)
        patch.setattr(owner, name, lambda *given: change(honest(*given), *given))

    return mutant


def _as_a_set(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DistinctLaw, "inclusion", property(lambda law: 1 - (1 - law.q) ** law.m))


def _one_percent(found: tuple[float, float], *given: Any) -> tuple[float, float]:
    return found[0], 1.01 * found[1]


MUTANTS: dict[str, tuple[str, int, Mutant]] = {
    "distinct draws taken for a set": ("inclusion", 0, _as_a_set),
    "the same of many labels": ("inclusion", 1, _as_a_set),
    "weights that divide by q": (
        "margins.unbiased", 0,
        _changed(weightings.Importance, "_over_count", lambda found, self, log_p, draws: log_p - draws.log_q),
    ),
    "a batch with one example more": (
        "margins.batch-set", 0,
        lambda patch: patch.setattr(
            BatchSet, "law",
            lambda self, q, m: ProductLaw(1 - (1 - q) ** (m + 1), np.ones(1), lambda _: (q, 1 - q), 0.0),
        ),
    ),
    "chances that are off by a power": (
        "optima.coins", 2, _changed(ProductLaw, "shares", lambda found, *given: found**1.01),
    ),
    "the same for distinct draws": (
        "optima.distinct", 0, _changed(DistinctLaw, "shares", lambda found, *given: found**1.01),
    ),
    "a variance that is 1 % too large": ("spread.variance", 0, _changed(DistinctLaw, "moments", _one_percent)),
    "half of the draws": (
        "spread.less", 0, _changed(DistinctLaw, "moments", lambda found, *given: (found[0], 2 * found[1])),
    ),
    "a covariance of the other sign": (
        "shared.softmax", 0,
        _changed(shared, "covariance", lambda found, *given: Estimate(-found.value, found.error, "covariance", "")),
    ),
    "draws that are not shared": (
        "shared.decoupled", 0, _changed(ProductLaw, "moments", lambda found, *given: (found[0], 0.0)),
    ),
    "covariances without their sign": (
        "shared.best-law", 0,
        _changed(
            best_shared, "covariance", lambda found, *given: Estimate(abs(found.value), found.error, "covariance", "")
        ),
    ),
    "variances of single losses that are 1 % too large": (
        "shared.best-for-singles", 0,
        _changed(
            best_shared, "integrate", lambda found, *given: Estimate(1.01 * found.value, found.error, "variance", "")
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("slip", MUTANTS)
def test_a_wrong_library_is_caught(slip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    id, which, mutant = MUTANTS[slip]
    claim = CLAIMS[id]
    mutant(monkeypatch)
    (verdict,) = settle([dataclasses.replace(claim, checks=(claim.checks[which],))], SETTING)
    assert verdict.outcome is Outcome.REFUTED


def test_every_claim_has_a_mutant() -> None:
    assert {id for id, _, _ in MUTANTS.values()} == CLAIMS.keys()
