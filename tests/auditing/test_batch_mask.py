"""Draws that equal the positive of any example in a call.  A right loss is taken for one with an error of 1.6e-8."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing.batch_mask import masks_by_the_batch
from implicitloss.auditing.box import Box
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats, Labels

KIND = "positives of the batch"


def sampled(n_labels: int, m: int, mask: str, law: Floats | None = None, *, shared: bool = False) -> Any:
    """Importance-weighted softmax; `mask` says which draws are left out, or drawn again."""
    q = np.full(n_labels, 1 / n_labels) if law is None else law

    def loss(f: Floats, y: Labels, rng: np.random.Generator) -> Floats:
        draws = np.tile(rng.choice(n_labels, m, p=q), (y.size, 1)) if shared else rng.choice(n_labels, (y.size, m), p=q)
        own = y[:, None]
        while mask == "again" and np.any(hit := draws == own):
            draws[hit] = rng.choice(n_labels, hit.sum(), p=q)
        out = {"own": draws == own, "any": np.isin(draws, y)}.get(mask, np.zeros(draws.shape, dtype=bool))
        gaps = np.take_along_axis(f - np.log(m * q), draws, axis=1) - np.take_along_axis(f, own, axis=1)
        values: Floats = np.log1p(np.exp(np.where(out, -np.inf, gaps)).sum(axis=1))
        return values

    return loss


def kinds(report: il.AuditReport) -> set[str]:
    return {flaw.kind for flaw in report.flaws}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("n_labels", "m"), [(6, 2), (30, 1), (300, 50)])
def test_a_mask_of_the_batch_is_told(n_labels: int, m: int, shared: bool, seed: int) -> None:
    """Thirty-six pairs of calls are enough, in which examples follow the labels that are not in the call alone."""
    prior = il.LabelPrior.zipf(n_labels, 1.0)
    q = np.asarray(prior.probabilities)
    for law in (None, q):
        loss = sampled(n_labels, m, "any", law, shared=shared)
        report = il.audit(loss, prior=prior, claim="full", runs=64, rng=seed)
        assert report.verdict == "refuted"
        assert kinds(report) == {KIND}, str(report)
        assert "neg == pos[:, None]" in report.explain()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("mask", ["own", "kept", "again"])
@pytest.mark.parametrize(("n_labels", "m"), [(6, 1), (6, 2), (30, 1), (300, 5), (1000, 1)])
def test_a_mask_of_ones_own_is_none(n_labels: int, m: int, mask: str, shared: bool, seed: int) -> None:
    prior = il.LabelPrior.zipf(n_labels, 1.0)
    report = il.audit(sampled(n_labels, m, mask, shared=shared), prior=prior, runs=64, rng=seed)
    assert KIND not in kinds(report)


def test_a_few_examples_are_not_enough(seed: int) -> None:
    """Draws are rare, and a right loss follows the half that is not in the call first in one call of twelve.

    With one pair of calls in place of 36, two hundred looks find a flaw in all but one of 10^7 runs of this test.
    """
    prior = il.LabelPrior.zipf(1000, 1.0)
    for k in range(200):
        question = Question.of(
            prior=prior, claim="full", positives=None, scores=None, form="softmax", temperature=1.0, shift=0.0,
            tolerance=0.0, resolution=None, largest_contribution=10.0, runs=None, budget="full", error=1e-6,
            rng=[seed, k],
        )  # fmt: skip
        assert not masks_by_the_batch(question, Box(sampled(1000, 1, "own"), question))


def test_nothing_is_said_of_few_labels_and_of_examples_that_are_asked_alone(seed: int) -> None:
    few = il.LabelPrior.zipf(5, 1.0)
    assert KIND not in kinds(il.audit(sampled(5, 2, "any"), prior=few, runs=64, rng=seed))
    prior = il.LabelPrior.zipf(30, 1.0)
    alone = il.adapters.one_by_one(lambda f, y, rng: sampled(30, 5, "any")(f, y, rng).mean())
    assert KIND not in kinds(il.audit(alone, prior=prior, runs=64, rng=seed))


def test_a_partner_of_each_label_is_no_mask(seed: int) -> None:
    """One negative a label, of which halves now and then part all: it was refuted, at any seed of the audit."""
    partner = np.array([2, 11, 0, 4, 3, 15, 9, 12, 16, 6, 13, 1, 7, 10, 18, 5, 8, 19, 14, 17])
    claimed = (np.arange(20) == partner[:, None]).astype(float)

    def loss(f: Floats, y: Labels, rng: np.random.Generator) -> Floats:
        rows = np.arange(y.size)
        values: Floats = np.log1p(np.exp(f[rows, partner[y]] - f[rows, y]))
        return values

    report = il.audit(loss, claim=claimed, prior=il.LabelPrior.zipf(20, 1.0), rng=seed, runs=64)
    assert report.verdict == "holds", str(report)
