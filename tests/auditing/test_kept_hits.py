"""Kept hits in audits by values: a claim on negatives is judged by what negatives contribute.

A very frequent positive is hit by nearly every evaluation, and its hits are most of what the values show; a tail whose
weights are doubled is a small part of that.  Audits of true claims are refuted with probability at most 1e-6 each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing.comparison import HITS, Comparison
from implicitloss.labels import Floats, Labels

L, M = 60, 16
PRIOR = il.LabelPrior.from_counts([12_000, *(2_000 // k for k in range(1, L))])
LAWS = {"log-uniform": (il.samplers.LogUniform(), np.log1p(1 / np.arange(1.0, L + 1)) / np.log(L + 1)),
        "within-batch": (il.samplers.WithinBatch(), PRIOR.probabilities)}  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """Sampled softmax, or the decoupled logistic loss, by values; hits are kept, and weights of the tail multiplied."""

    q: Any
    tail: float = 1.0
    hits: str = "keep"
    logistic: bool = False

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        rows = np.arange(len(positive))
        draws = rng.choice(L, size=(len(positive), M), p=self.q)
        own = scores[rows, positive][:, None]
        weight = np.ones(L)
        weight[PRIOR.slices()["tail"]] = self.tail
        hit = draws == positive[:, None]
        each = np.where(hit, 1.0 if self.hits == "keep" else 0.0, weight[draws])
        f = np.take_along_axis(scores, draws, axis=1)
        if self.logistic:
            return np.logaddexp(0, -own[:, 0]) + np.sum(each * np.logaddexp(0, f), axis=1)
        return np.log1p(np.sum(each * np.exp(f - own), axis=1))


def parts(report: il.AuditReport, y: int, part: str) -> Comparison:
    (found,) = (c for c in report.comparisons if c.positive == y and c.part == part)
    return found


def unit(sampler: Any, hits: Any = "keep") -> il.Scheme:
    return il.Scheme(sampler, il.weightings.Unit(), m=M, hits=hits)


@pytest.mark.in_turn(1)
@pytest.mark.parametrize(
    ("law", "form"), [("log-uniform", "softmax"), ("log-uniform", "logistic"), ("within-batch", "softmax")]
)
def test_a_doubled_tail_is_refuted_beside_heavy_hits(law: str, form: Any, seed: int) -> None:
    sampler, q = LAWS[law]
    options: dict[str, Any] = {"prior": PRIOR, "claim": unit(sampler), "form": form, "positives": [0], "rng": seed}
    right, wrong = (il.audit(Kept(q, tail, logistic=form == "logistic"), **options) for tail in (1.0, 2.0))
    assert (right.verdict, wrong.verdict) == ("holds", "refuted"), f"{right}\n{wrong}"
    for report, factor in ((right, 1.0), (wrong, 2.0)):
        tail = parts(report, 0, "tail")
        assert tail.claimed == pytest.approx(M * q[PRIOR.slices()["tail"]].sum())
        assert tail.measured == pytest.approx(factor * tail.claimed, rel=0.15)
        assert parts(report, 0, HITS).result(0.0) == "holds"


def test_a_forgotten_mask_is_no_heavy_negative(seed: int) -> None:
    """Hits that are kept and were claimed to be masked: the hits refute, and negatives count as often as claimed."""
    sampler, q = LAWS["within-batch"]
    for shift in range(8):  # weights for another target and law were named at every fourth seed
        report = il.audit(
            Kept(q), prior=PRIOR, claim=unit(sampler, "mask"), positives=[0], rng=seed + shift, budget="quick"
        )
        assert {c.part for c in report.failures} == {HITS}
        assert report.nearest is not None
        assert report.nearest.scheme.hits == "keep"
        assert abs(report.nearest.scheme.m - M) <= 2  # it is known to about 4 %
        for name in PRIOR.slices():
            part = parts(report, 0, name)
            assert part.measured == pytest.approx(part.claimed, rel=0.2)
        assert "negatives count this many times as often as claimed" in report.explain()


@pytest.mark.parametrize("tail", [1.0, 1.1])
def test_hits_are_taken_off_where_nothing_is_drawn(tail: float, seed: int) -> None:
    """log(1 + 40 + Σ e^{f_y' - f_y}): the tail is known to the rounding, however large the 40 is."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        x = np.exp(scores - scores[np.arange(len(positive)), positive][:, None])
        x[:, PRIOR.slices()["tail"]] *= tail
        x[np.arange(len(positive)), positive] = 41.0
        return np.asarray(np.log(x.sum(axis=1)))

    claim = np.ones((L, L)) + 39 * np.eye(L)
    report = il.audit(loss, prior=PRIOR, claim=claim, positives=[0], rng=seed, budget="quick")
    assert report.verdict == ("holds" if tail == 1.0 else "refuted"), str(report)
    assert parts(report, 0, "tail").measured == pytest.approx(tail * 20, rel=1e-3)


def test_negatives_that_are_not_claimed_are_told_from_hits(seed: int) -> None:
    """Claimed: hits, and no negatives of the tail.  A hit in the signal of the tail is none of its draws."""
    tail = PRIOR.slices()["tail"]
    q = np.where(np.isin(np.arange(L), tail), 0.0, PRIOR.probabilities)
    q = q / q.sum()
    claim = np.broadcast_to(M * q, (1, L))
    options: dict[str, Any] = {"prior": PRIOR, "claim": claim, "positives": [0], "rng": seed}
    assert il.audit(Kept(q), **options).verdict == "holds"
    leaks = il.audit(Kept(0.99 * q + 0.01 * np.isin(np.arange(L), tail) / tail.size), **options)
    assert leaks.verdict == "refuted"
    assert "tail" in {c.part for c in leaks.failures}


def test_the_difference_of_two_limits_by_hand() -> None:
    part, hits = (
        Comparison(0, name, np.array([1]), "value", 9.0, 1.0, measured=(low + high) / 2, low=low, high=high, spread=e)
        for name, low, high, e in (("tail", 10.0, 14.0, 4.0), (HITS, 9.0, 11.0, 3.0))
    )
    left = part.without(hits, known=True)
    assert (left.measured, left.low, left.high, left.spread) == (2.0, 0.0, 5.0, 5.0)


def test_a_mask_of_another_row_is_seen_beside_other_positives(seed: int) -> None:
    """Examples of one positive stand together in a call, and there the label of the row before is the right one."""
    law = il.LabelPrior.zipf(L, 1.0).probabilities

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator, shift: int = 1) -> Any:
        draws = rng.choice(L, size=(len(positive), M), p=law)
        f = np.take_along_axis(scores, draws, axis=1) - np.take_along_axis(scores, positive[:, None], axis=1)
        masked = draws == np.roll(positive, shift)[:, None]
        return np.log1p(np.where(masked, 0.0, np.exp(f)).sum(axis=1))

    options: dict[str, Any] = {"prior": il.LabelPrior.zipf(L, 1.0), "positives": [0, 3], "rng": seed, "runs": 400}
    claim = unit(il.samplers.WithinBatch(), "mask")
    assert il.audit(loss, claim=claim, **options).verdict == "refuted"
    right = il.audit(lambda f, y, rng: loss(f, y, rng, 0), claim=claim, **options)
    assert right.verdict != "refuted", str(right)


def test_a_mask_of_another_row_is_seen_where_positives_are_mixed(seed: int) -> None:
    """Rows of one positive stand together in other calls, and there the mask of the row before is the right one."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator, back: int = 1) -> Any:
        rows = np.arange(len(positive))
        draws = rng.integers(0, 10, size=(len(positive), M))
        x = np.exp(scores[rows[:, None], draws] - scores[rows, positive][:, None])
        return np.log1p(np.where(draws == np.roll(positive, back)[:, None], 0.0, x).sum(axis=1))

    options: dict[str, Any] = {
        "claim": il.Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=M, hits="mask"),
        "prior": il.LabelPrior.zipf(10, 1.0), "positives": [0, 4], "budget": "quick", "rng": seed,
    }  # fmt: skip
    assert il.audit(lambda f, y, rng: loss(f, y, rng, 0), **options).verdict == "holds"
    report = il.audit(loss, **options)
    assert report.verdict == "refuted"
    assert any("is their mask that of another row?" in flaw.sentence for flaw in report.flaws), str(report)


@pytest.mark.in_turn(1)
@pytest.mark.parametrize("claim", ["scheme", "full", "nothing"])
def test_hits_may_be_masked_by_their_score(claim: str, seed: int) -> None:
    """A mask of equal scores is right wherever scores differ: no part has the positive's score, whatever is claimed."""
    prior = il.LabelPrior.zipf(20, 1.0)
    q = np.asarray(prior.probabilities)

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        draws = rng.choice(20, size=(len(positive), M), p=q)
        f, own = np.take_along_axis(scores, draws, axis=1), scores[np.arange(len(positive)), positive][:, None]
        return np.log1p(np.where(f == own, 0.0, np.exp(f - own) / (M * q[draws])).sum(axis=1))

    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=M, hits="mask")
    report = il.audit(
        loss, claim={"scheme": scheme, "full": "full", "nothing": None}[claim], prior=prior, rng=seed, budget="quick"
    )
    assert report.verdict == ("measured" if claim == "nothing" else "holds"), str(report)
    assert str(report.nearest).startswith("importance weights")
    assert "by its margins, because no draws were seen" in " ".join(str(report).split())
    assert "Values show no draws" in report.explain()


def test_kept_hits_are_draws_of_the_positive(seed: int) -> None:
    """Of 64 draws 15 are hits of label 0, which is never drawn once: one hit is a step between two numbers of them."""
    prior = il.LabelPrior.zipf(40, 1.0)
    q = np.asarray(prior.probabilities)

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        rows = np.arange(len(positive))
        x = rng.multinomial(64, q, size=len(positive)) * np.exp(scores - scores[rows, positive][:, None])
        slopes = x / (1 + x.sum(axis=1))[:, None]
        slopes[rows, positive] -= slopes.sum(axis=1)
        return np.log1p(x.sum(axis=1)), slopes

    claim = il.Scheme("within-batch", "unit", m=64, hits="keep")
    report = il.audit(loss, prior=prior, claim=claim, positives=[0], budget="quick", rng=seed)
    found = report.draw_statistics
    assert report.ok
    assert report.notes == ()
    assert found is not None
    assert (found.draws, found.never_drawn) == ((64, 64), 0)
    assert found.q is not None
    assert abs(found.q[0] - q[0]) < 0.05  # ten standard deviations of 312 evaluations


def test_weights_that_vary_are_no_many_draws(seed: int) -> None:
    """Each of 15 draws weighs 1/q of another label of the batch, by mistake: whole multiples, by Zipf's law."""
    prior = il.LabelPrior.zipf(40, 1.0)
    q = np.asarray(prior.probabilities)

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        n, rows = len(positive), np.arange(len(positive))
        draws = rng.choice(40, (n, 15), p=q)
        x = np.zeros(scores.shape)
        np.add.at(x, (rows[:, None], draws), q[positive][:, None] / q[np.roll(draws, 1, axis=1)])
        x[rows, positive] = 0.0
        x *= np.exp(scores - scores[rows, positive][:, None])
        slopes = x / (1 + x.sum(axis=1))[:, None]
        slopes[rows, positive] = -slopes.sum(axis=1)
        return np.log1p(x.sum(axis=1)), slopes

    claim = il.Scheme("within-batch", "relative", m=15, hits="mask")
    report = il.audit(loss, prior=prior, claim=claim, rng=seed)
    assert report.verdict == "refuted"
    assert report.draw_statistics is not None
    assert report.draw_statistics.weights_vary
    assert "another number of draws" not in {note.kind for note in report.notes}
