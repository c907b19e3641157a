"""Claims on weights and information: a wrong library must be caught, each by the check that is named."""

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
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.optima import balance, measured_tilt, objective, population
from implicitloss.optima import information as price
from implicitloss.samplers import Mixture
from paper_checks.__main__ import all_claims
from paper_checks.design import cost

SETTING = Setting(LabelPrior.exp(100, 500, 100), "")
CLAIMS = {claim.id: claim for claim in all_claims() if claim.id.startswith("design.")}
Mutant = Callable[[pytest.MonkeyPatch], None]


def _changed(owner: Any, name: str, change: Callable[..., Any]) -> Mutant:
    """A mutant in which what a function returns is changed: change(found, *its arguments)."""

    def mutant(patch: pytest.MonkeyPatch) -> None:
        honest = getattr(owner, name)
        patch.setattr(owner, name, lambda *given, **named: change(honest(*given, **named), *given))

    return mutant


def _law_inverted(found: tuple[Any, Any], *given: Any) -> tuple[Any, Any]:
    """q_y'/q_y for q_y/q_y', δ as it is."""
    log_q = given[1]
    return found[0] - 2 * log_q, found[1] + 2 * log_q


def _twice_the_information(found: tuple[float, float], *given: Any) -> tuple[float, float]:
    return found[0], 2 * found[1]


def _steeper(found: objective.Objective, *given: Any) -> objective.Objective:
    def changed(f: Floats) -> tuple[float, Floats, Floats]:
        value, gradient, hessian = found(f)
        return value, gradient, 1.01 * hessian

    return changed


def _weaker_weights(patch: pytest.MonkeyPatch) -> None:
    honest = population.balanced
    patch.setattr(population, "balanced", lambda *given: honest(*given[:3], 0.9 * given[3], *given[4:]))


MUTANTS: dict[str, tuple[str, int, Mutant]] = {
    "q_y'/q_y for q_y/q_y' in the factors": (
        "weights.consistent", 1, _changed(weightings.Consistent, "log_factors", _law_inverted),
    ),
    "the law of the positive left out of the weights": (
        "weights.consistent", 2,
        _changed(weightings.Consistent, "log_weight", lambda found, self, draws: found - draws.log_q[draws.positive]),
    ),
    "weights that lose a tenth of log b": ("shifts.wrong-law", 1, _weaker_weights),
    "weights p/(m q) by the law before hits are drawn again": (
        "shifts.target", 1, lambda patch: patch.setattr(weightings, "log_rest", np.zeros_like),
    ),
    "every margin taken for a ratio": (
        "targets", 2, lambda patch: patch.setattr(weightings.margins, "checked_ratio", lambda margin: margin),
    ),
    "the law before hits are drawn again": (
        "draws.excluded", 2, lambda patch: patch.setattr(balance, "log_rest", np.zeros_like),
    ),
    "a mixture in other shares": (
        "draws.coins", 1,
        _changed(Mixture, "log_law", lambda found, self, at: np.logaddexp(found, at.prior.log) - np.log(2)),
    ),
    "a power of φ too many": (
        "information.integral", 1, _changed(price, "power", lambda found, m, log_phi: found + log_phi),
    ),
    "a Hessian that is 1 % too large": (
        "information.identity", 0, _changed(objective, "_from_one_grid", _steeper),
    ),
    "one draw more than there is": (
        "cost.same-law", 1,
        _changed(price._Draw, "of", lambda found, *given: dataclasses.replace(found, m=found.m + 1)),
    ),
    "draws that lose twice as much": (
        "cost.many-draws", 1,
        _changed(
            cost, "information", lambda found, *given: Estimate(2 * found.value - 1, found.error, "information", "")
        ),
    ),
    "what is lost for what is kept": (
        "cost.variance", 3,
        _changed(cost, "information", lambda found, *given: Estimate(1 - found.value, found.error, "information", "")),
    ),
    "a variance that is largest where q = η": (
        "cost.variance", 1,
        _changed(cost, "integrate", lambda found, *given: Estimate(1 - found.value, found.error, "variance", "")),
    ),
    "a tilt of the other sign": (
        "measured-tilt.value", 0,
        _changed(
            measured_tilt, "Estimate", lambda found, *given: dataclasses.replace(found, value=-float(found.value))
        ),
    ),
    "a standard error that is too small by √2": (
        "measured-tilt.value", 0, _changed(measured_tilt, "_moments", _twice_the_information),
    ),
    "the same, from sample to sample": (
        "measured-tilt.spread", 0, _changed(measured_tilt, "_moments", _twice_the_information),
    ),
    "merged labels that count once": (
        "ties", 1,
        _changed(
            balance, "_Sides", lambda found, *given: dataclasses.replace(found, counts=np.ones_like(found.counts))
        ),
    ),
    "importance weights without m": (
        "corrected-log-q", 1,
        _changed(weightings.Importance, "log_weight", lambda found, self, draws: found + np.log(draws.m)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("slip", MUTANTS)
def test_a_wrong_library_is_caught(slip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    id, which, mutant = MUTANTS[slip]
    claim = CLAIMS[f"design.{id}"]
    mutant(monkeypatch)
    (verdict,) = settle([dataclasses.replace(claim, checks=(claim.checks[which],))], SETTING)
    assert verdict.outcome is Outcome.REFUTED


def test_every_claim_has_a_mutant() -> None:
    """But for that on batches without repeats, which the library does not draw."""
    assert {f"design.{id}" for id, _, _ in MUTANTS.values()} == CLAIMS.keys() - {"design.distinct"}
