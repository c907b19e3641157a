"""How many evaluations decide an audit that is inconclusive, and what its table shows first."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing.comparison import PILOT_GROWS, PILOT_SHARE, Comparison
from implicitloss.labels import Floats, LabelPrior, Labels

L, M = 12, 8
PRIOR = LabelPrior.zipf(L, 1.0)
Q = PRIOR.probabilities
CLAIM = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=M, hits="keep")


def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> tuple[Floats, Floats]:
    return of(Q, M, scores, positive, rng)


def of(q: Floats, m: int, scores: Floats, positive: Labels, rng: np.random.Generator) -> tuple[Floats, Floats]:
    rows = np.arange(len(positive))
    draws = np.minimum(np.searchsorted(np.cumsum(q), rng.random((len(positive), m)), "right"), q.size - 1)
    a = np.zeros(scores.shape)
    np.add.at(a, (rows[:, None], draws), 1.0)
    x = a * np.exp(scores - scores[rows, positive][:, None])
    values = np.log1p(x.sum(axis=1))
    slopes = x / np.exp(values)[:, None]
    slopes[rows, positive] = 0.0
    slopes[rows, positive] -= slopes.sum(axis=1)
    return values, slopes


def values_of(*given: Any) -> Floats:
    return loss(*given)[0]


@pytest.mark.parametrize("loss_fn", [loss, values_of], ids=["gradients", "values"])
def test_the_runs_that_are_asked_for_decide(loss_fn: Any, seed: int) -> None:
    """They did in each of 120 audits, and a sixth of them in one; twice as many leave no doubt."""
    given: dict[str, Any] = {"prior": PRIOR, "claim": CLAIM, "positives": [0]}
    report = il.audit(loss_fn, rng=seed, runs=64, **given)
    needed = report.runs_needed
    assert report.verdict == "inconclusive"
    assert needed is not None
    assert needed > 64
    assert f"by the spread of these 64, runs={needed} should decide" in " ".join(str(report).split())
    assert ("gradients may help too" in str(report)) == (loss_fn is values_of)
    assert report.to_dict()["runs_needed"] == needed
    decided = il.audit(loss_fn, rng=seed, runs=2 * needed, **given)
    assert decided.verdict == "holds", str(decided)
    assert decided.runs_needed is decided.to_dict()["runs_needed"] is None


STEEP = LabelPrior.from_counts(np.round(np.geomspace(90_000, 3, 30)).astype(int))


def _steep(prior: LabelPrior, budget: Any, seed: int) -> Any:
    q = np.asarray(prior.probabilities)

    def right(scores: Floats, positive: Labels, rng: np.random.Generator) -> tuple[Floats, Floats]:
        rows = np.arange(len(positive))
        drawn = rng.multinomial(M, q, size=len(positive)) / (M * q)
        drawn[rows, positive] = 0.0
        x = drawn * np.exp(scores - scores[rows, positive][:, None])
        values = np.log1p(x.sum(axis=1))
        slopes = x / np.exp(values)[:, None]
        slopes[rows, positive] = -slopes.sum(axis=1)
        return values, slopes

    claim = il.Scheme("within-batch", "importance", m=M, hits="mask")
    return il.audit(right, prior=prior, claim=claim, rng=seed, budget=budget)


@pytest.mark.parametrize("budget", ["quick", "full"])
def test_rare_labels_that_are_hardly_drawn_are_waited_for(budget: Any, seed: int) -> None:
    """Within a factor of 2 too: without labels that are most of the tail it may count half.

    Another prior is named where the counts are so steep that millions of evaluations would be needed.
    """
    report = _steep(STEEP, budget, seed)
    assert report.verdict == "inconclusive", str(report)
    assert "never drawn in the pilot" in {c.part for c in report.open}
    said = " ".join(str(report).split())
    assert "Your counts differ by a factor of 30,000: if the loss takes them as an argument" in said
    assert _steep(LabelPrior.zipf(30, 1.0), budget, seed).verdict == "holds"


def test_what_is_open_comes_first_in_the_table(seed: int) -> None:
    report = il.audit(loss, rng=seed, runs=400, prior=PRIOR, claim=CLAIM)
    assert report.verdict == "inconclusive"
    assert 0 < len(report.open) < sum(c.decisive for c in report.comparisons)
    assert all(c.decisive and c.result(0.0) == "inconclusive" for c in report.open)
    needed = [c.runs_needed(0.0) for c in report.open]
    assert needed == sorted(needed, reverse=True)
    for text, mark in ((str(report), "?"), (report.to_markdown().replace("| ", ""), "?")):
        lines = text.splitlines()
        head = next(i for i, line in enumerate(lines) if "claimed" in line and "measured" in line)
        rows = [line for line in lines[head + 1 :] if not line.startswith("-")]
        first = [line.startswith(mark) for line in rows[: 1 + len(report.open)]]
        assert all(first[: min(len(report.open), 8)]), text


def test_thousands_of_labels_are_decided_by_few_runs(seed: int) -> None:
    """A pilot draws a few of many rare labels, which count less than it saw, and is followed by draws of the others."""
    prior = LabelPrior.zipf(8_000, 1.0)
    claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=127, hits="keep")
    options: dict[str, Any] = {"prior": prior, "claim": claim, "positives": [0], "budget": "quick", "runs": 700}
    report = il.audit(lambda *given: of(prior.probabilities, 127, *given), rng=seed, **options)
    assert report.verdict == "holds", str(report)
    report = il.audit(lambda *given: of(prior.probabilities, 30, *given), rng=seed, **options)
    assert report.verdict == "refuted", str(report)


def test_runs_by_hand() -> None:
    """a/√n + b/n = aim is solved for n; what is off by more than its errors leaves less of the resolution."""
    part = Comparison(0, "head", np.array([3]), "gradient", 1.0, 10.0, decisive=True, resolution=0.25)
    known = replace(part, measured=10.0, low=4.0, high=16.0, spread=0.5, n=100, of_variance=4.0)
    n = known.runs_needed(0.0)
    assert 5.0 * math.sqrt(100 / n) + PILOT_GROWS * 2.0 * 100 / n == pytest.approx(10 * (1 - 1 / 1.25))
    assert known.runs_needed(0.1) < n
    assert replace(known, measured=12.0, low=6.0, high=18.0).runs_needed(0.0) > n  # 1 of 2 is left
    assert replace(known, measured=15.0, low=9.0, high=21.0).runs_needed(0.0) < n  # it will be refuted
    assert replace(known, exceeds_bound=True, of_variance=0.0, low=9.99, high=10.01).runs_needed(0.0) == (
        PILOT_SHARE * 100
    )
    for nothing in (replace(known, claimed=None), replace(known, high=math.inf), replace(part)):
        assert nothing.runs_needed(0.0) == math.inf
    assert replace(known, rounding=0.3).runs_needed(0.0) == math.inf  # rounding hides more than the resolution
    none = replace(known, claimed=0.0, measured=0.0, low=0.0, high=0.4, spread=0.0, of_variance=0.0, negligible=0.1)
    assert none.runs_needed(0.0) == pytest.approx(100 * 0.4 * PILOT_GROWS / 0.1)
    assert replace(none, whole=100.0).runs_needed(0.0) < none.runs_needed(0.0)
