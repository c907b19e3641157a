"""Single labels by values: one of many that is never drawn is refuted, and a right loss holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing import single
from implicitloss.labels import Floats, Labels

L, M = 100, 20
PRIOR = il.LabelPrior.zipf(L, 1.0)
CLAIMS = {
    "scheme": il.Scheme(il.samplers.Uniform(), il.weightings.Importance(), m=M, hits="mask"),
    "full": "full",
}


def uniform(below: int, shared: bool = False) -> Callable[..., Any]:
    """Softmax by 20 draws of the labels below a number, with 1/(m q) of all 100, whose hits are masked."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        n, at = len(positive), np.arange(len(positive))
        draws = np.broadcast_to(rng.integers(0, below, (1 if shared else n, M)), (n, M))
        x = np.exp(np.take_along_axis(scores, draws, axis=1) - scores[at, positive][:, None]) * L / M
        return np.log1p(np.where(draws == positive[:, None], 0.0, x).sum(axis=1))

    return loss


@pytest.mark.in_turn(1)
@pytest.mark.parametrize("name", CLAIMS)
def test_a_label_that_is_never_drawn_is_found(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`integers(0, L - 1)` leaves the last label out: one of 34 in the tail, of which 25 % are resolved."""
    options: dict[str, Any] = {"claim": CLAIMS[name], "prior": PRIOR, "positives": [3], "rng": seed}
    report = il.audit(uniform(L - 1), **options)
    assert (report.verdict, [c.part for c in report.failures]) == ("refuted", [f"label {L - 1}"]), str(report)
    assert "never counted as" in str(report)
    assert il.audit(uniform(L), **options).notes == ()
    assert il.audit(uniform(L), **options).ok
    # Without a look at each label it holds.
    monkeypatch.setattr(single, "CALLS", 0)
    assert il.audit(uniform(L - 1), **options).ok


def test_examples_that_share_their_draws_count_as_one(seed: int) -> None:
    """All rows of a call have the same 20 draws: a label is seen in one call of five."""
    for k in range(10):
        report = il.audit(uniform(L, shared=True), claim="full", prior=PRIOR, positives=[3], runs=500, rng=seed + k)
        assert report.verdict != "refuted", str(report)


def test_labels_that_are_drawn_too_seldom_are_said(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single, "CALLS", 3)
    report = il.audit(uniform(L), claim="full", prior=PRIOR, positives=[3], rng=seed)
    assert report.ok
    assert "labels, drawn seldom or never, only the groups are known" in str(report)


@pytest.mark.parametrize("budget", ["full", "quick"])
def test_the_most_frequent_label_is_looked_for_beside_another(budget: Any, seed: int) -> None:
    """`integers(1, L)` never draws label 0; no weight is claimed, and so its group has no upper limit by itself."""

    def from_one(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        n, at = len(positive), np.arange(len(positive))
        draws = rng.integers(1, L, (n, M))
        x = np.exp(np.take_along_axis(scores, draws, axis=1) - scores[at, positive][:, None]) * L / M
        return np.log1p(np.where(draws == positive[:, None], 0.0, x).sum(axis=1))

    report = il.audit(from_one, claim="full", prior=PRIOR, rng=seed, budget=budget)
    assert report.verdict == "refuted", str(report)
    assert [(c.positive, c.part) for c in report.failures if c.labels.size == 1] == [(report.positives[1], "label 0")]
