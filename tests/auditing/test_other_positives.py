"""Other positives of the audited example: left in the hard negatives, counted where they are drawn, or left out.

The losses draw, weigh and add up by themselves, and share no code with the audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.labels import Floats, Labels

L, K, M, Y = 40, 5, 10, 30
PRIOR = il.LabelPrior.zipf(L, 1.0)
SCORES = np.random.default_rng(1).standard_normal(L)
BEST = [int(j) for j in np.argsort(-SCORES, kind="stable") if j != Y]
# Two of the best five are right too, and one that scores low, and is frequent.
RIGHT = [BEST[1], BEST[3], min(BEST[K:])]


@dataclass(frozen=True)
class Mined:
    """Softmax over the best labels, and m draws from all others: uniform, with weights that make it softmax over all.

    Positives of the example are left out of the best where `in_t` is False, and of the draws where `drawn` is.  Draws
    of hard negatives count `again`, or are drawn again.
    """

    in_t: bool = False
    drawn: bool = False
    k: int = K
    m: int = M
    again: bool = False

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> tuple[Floats, Floats]:
        values, slopes = np.empty(len(scores)), np.empty(scores.shape)
        for y in set(positive.tolist()):
            rows = np.flatnonzero(positive == y)
            values[rows], slopes[rows] = self.beside(y, scores[rows], rng)
        return values, slopes

    def beside(self, y: int, scores: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """The losses and gradients of examples (n, L) of one positive; all have the same scores."""
        n, right = len(scores), [y, *RIGHT]
        best = np.argsort(-scores[0], kind="stable")[: self.k]
        hard = best[~np.isin(best, [y] if self.in_t else right)]
        pool = np.setdiff1d(np.arange(L), [*(() if self.again else hard), *([y] if self.drawn else right)])
        x = np.zeros(scores.shape)
        np.add.at(x, (np.arange(n)[:, None], rng.choice(pool, (n, self.m))), pool.size / self.m)
        x[:, hard] += 1.0
        x *= np.exp(scores - scores[:, [y]])
        total = 1 + x.sum(axis=1)
        slopes = x / total[:, None]
        slopes[:, y] = 1 / total - 1
        return np.log(total), slopes


CLAIM = il.Scheme(
    il.samplers.Uniform(), il.weightings.Importance(), m=M, hits="exclude", hard=il.HardNegatives(K, overlap="exclude")
)
OPTIONS: dict[str, Any] = {
    "prior": PRIOR, "scores": SCORES, "positives": [Y], "other_positives": RIGHT, "budget": "quick",
}  # fmt: skip


def said(report: il.AuditReport) -> str:
    return " ".join(f"{report} {report.explain()}".split())


def kinds(report: il.AuditReport) -> list[str]:
    return [part.kind for part in (*report.flaws, *report.notes) if part.kind in ("hard negatives", "other positives")]


@pytest.mark.parametrize("claim", [CLAIM, "full"], ids=["mined", "full"])
def test_a_loss_that_leaves_them_out_holds(claim: Any, seed: int) -> None:
    report = il.audit(Mined(), claim=claim, rng=seed, **OPTIONS)
    assert report.verdict == "holds", str(report)
    assert "other positives" not in kinds(report)
    assert report.margins is not None
    assert not report.margins.value[0, RIGHT].any()
    if claim is CLAIM:
        assert report.nearest is not None
        assert report.nearest.scheme == CLAIM
        left = K - len({*np.argsort(-SCORES)[:K].tolist()} & {Y, *RIGHT})
        assert f"and draws (L - 4 - {left})/m = {(L - 4 - left) / M:.4g}" in said(report)


@pytest.mark.parametrize("claim", [CLAIM, "full"], ids=["mined", "full"])
def test_other_positives_left_in_t_are_named(claim: Any, seed: int) -> None:
    """Three of forty labels; the audit without `other_positives` sees softmax over all others, as it is."""
    report = il.audit(Mined(in_t=True), claim=claim, rng=seed, **OPTIONS)
    assert report.verdict == "refuted"
    assert [flaw.kind for flaw in report.flaws] == ["other positives"]
    few = ", ".join(map(str, sorted(RIGHT[:2])))
    assert f"positives of the example ({few}) count as negatives in every evaluation: " in str(report.flaws[0])
    assert "hard = hard[~np.isin(hard, positives)]" in said(report)
    assert all(len(flaw.sentence) <= 300 for flaw in report.flaws)


def test_other_positives_that_are_drawn_are_named(seed: int) -> None:
    report = il.audit(Mined(drawn=True), claim=CLAIM, rng=seed, **OPTIONS)
    assert report.verdict == "refuted"
    (flaw,) = report.flaws
    assert "count as negatives where they are drawn: mask them, or draw again" in flaw.sentence
    kept = il.Scheme(CLAIM.sampler, il.weightings.Importance(), m=M, hits="keep", hard=CLAIM.hard)
    report = il.audit(Mined(drawn=True), claim=kept, rng=seed, **OPTIONS)
    assert not report.flaws
    assert "other positives" in kinds(report)
    # Draws may count, and hard negatives may not.
    (flaw,) = il.audit(Mined(in_t=True, drawn=True), claim=kept, rng=seed, **OPTIONS).flaws
    assert "of hard negatives, hard = hard" in flaw.sentence
    measured = il.audit(Mined(drawn=True), claim=None, rng=seed, **OPTIONS)
    assert "count as negatives where they are drawn" in " ".join(measured.explain().split())
    assert measured.verdict == "measured"
    assert "other positives" in kinds(measured)


def test_without_them_nothing_is_said(seed: int) -> None:
    report = il.audit(Mined(in_t=True, drawn=True), claim="full", rng=seed, **{**OPTIONS, "other_positives": ()})
    assert report.verdict == "holds"
    assert "other positives" not in kinds(report)


@pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])
def test_draws_alone(hits: str, seed: int) -> None:
    """Within-batch draws with weights of 1: the law off the positives, draws of them that count 0, or that count.

    Each claim is refuted for the losses of the two other modes, and the positive may be listed with the others.
    """

    def loss(how: str) -> Any:
        def evaluate(scores: Floats, positive: Labels, rng: np.random.Generator) -> tuple[Floats, Floats]:
            values, slopes = np.empty(len(scores)), np.zeros(scores.shape)
            for y in set(positive.tolist()):
                rows = np.flatnonzero(positive == y)
                right, q = [y, *RIGHT], PRIOR.probabilities.copy()
                if how == "exclude":
                    q[right] = 0.0
                x = rng.multinomial(M, q / q.sum(), size=rows.size).astype(float)
                if how == "mask":
                    x[:, right] = 0.0
                own = x[:, y]
                x = x * np.exp(scores[rows] - scores[rows, y][:, None])
                total = 1 + x.sum(axis=1)
                values[rows], slopes[rows] = np.log(total), x / total[:, None]
                slopes[rows, y] = (1 + own) / total - 1
            return values, slopes

        return evaluate

    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=M, hits=hits)  # type: ignore[arg-type]
    options = {**OPTIONS, "scores": None, "other_positives": [Y, *RIGHT], "resolution": 0.2, "budget": "full"}
    for how in ("exclude", "mask", "keep"):
        report = il.audit(loss(how), claim=scheme, rng=seed, **options)
        assert report.verdict == ("holds" if how == hits else "refuted"), str(report)
        assert how != hits or all(note.kind != "another law" for note in report.notes)
        assert [flaw.kind for flaw in report.flaws] == ["other positives"] * (how == "keep" and hits != "keep")


def test_bad_other_positives() -> None:
    for others, message in (
        ([L], f"the other positives must lie from 0 to {L - 1}"),
        ([1, 1], "the other positives must differ, got label 1 more than once"),
        ("12", "the other positives must be whole numbers in one vector"),
    ):
        with pytest.raises(ValueError, match=message):
            il.audit(Mined(), claim="full", **{**OPTIONS, "other_positives": others})
    with pytest.raises(ValueError, match="other positives are looked for in the gradients of the loss, got values"):
        il.audit(lambda *given: Mined()(*given)[0], claim="full", **OPTIONS)


def over_all(left_out: Sequence[int], left_in_beside: int | None = None) -> Any:
    """Softmax over all labels but a few, none of which is left out beside one positive."""

    def loss(scores: Floats, positive: Labels, rng: object) -> tuple[Floats, Floats]:
        f, rows = scores.copy(), np.arange(len(positive))
        f[np.ix_(positive != left_in_beside, left_out)] = -np.inf
        f[rows, positive] = scores[rows, positive]
        e = np.exp(f - f.max(axis=1, keepdims=True))
        share = e / e.sum(axis=1, keepdims=True)
        values = -np.log(share[rows, positive])
        share[rows, positive] -= 1
        return values, share

    return loss


def test_a_loss_over_all_labels_but_the_positives_draws_nothing() -> None:
    """The default positives are 0, 20 and 39; 39 is one of those that are named."""
    right = [39, 3]
    options = {**OPTIONS, "scores": None, "positives": None, "other_positives": right}
    report = il.audit(over_all(right), claim="full", rng=0, **options)
    assert report.verdict == "holds", str(report)
    assert "softmax over all labels, none drawn" in said(report)
    # Its gradient is that of softmax over the others, and no label is missing.
    assert " ".join(report.explain().split()).count("times: head ×1 ± 0, torso ×1 ± 0, tail ×1 ± 0") == 3
    assert report.draw_statistics is not None
    assert report.draw_statistics.never_drawn == 0


def test_positives_that_softmax_over_all_labels_leaves_in() -> None:
    for loss, positives in ((over_all([]), [30]), (over_all(RIGHT, left_in_beside=30), [7, 30])):
        report = il.audit(loss, claim="full", rng=0, **{**OPTIONS, "scores": None, "positives": positives})
        assert report.verdict == "refuted"
        (flaw,) = report.flaws
        listed = ", ".join(map(str, sorted(RIGHT)))
        assert f"beside the positive 30, other positives of the example ({listed}) count as negatives in every" in str(
            flaw
        )
        assert "drawn" not in str(flaw)


def test_many_are_listed_by_the_first_few() -> None:
    options = {**OPTIONS, "scores": None, "other_positives": [1, 2, 3, 4, 5]}
    assert "(1, 2, 3 and 2 more)" in str(il.audit(over_all([]), claim="full", rng=0, **options).flaws[0])


def test_an_array_may_claim_them(seed: int) -> None:
    p = np.ones((1, L))
    p[0, Y] = 0.0
    report = il.audit(Mined(in_t=True, drawn=True), claim=p, rng=seed, **OPTIONS)
    assert report.verdict == "holds", str(report)
    assert "count as negatives, as is claimed" in said(report)
    p[0, RIGHT[0]] = 0.0
    assert [flaw.kind for flaw in il.audit(Mined(in_t=True, drawn=True), claim=p, rng=seed, **OPTIONS).flaws]


def test_positives_in_t_that_are_drawn_too(seed: int) -> None:
    """So many draws that each hard negative is drawn in half of the evaluations."""
    loss = Mined(in_t=True, drawn=True, m=120, again=True)
    report = il.audit(loss, claim="full", rng=seed, **OPTIONS)
    assert "in every evaluation: leave them out of the sum, and of hard negatives" in str(report.flaws[0])


def test_positives_that_hold_most_of_the_draws_are_not_taken_for_padding(seed: int) -> None:
    """One masked draw that the examples of a call share: the loss is often 0, and y is no label to ignore."""
    prior = il.LabelPrior.from_counts([900, 60, *[2] * 18, 0])

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> tuple[Floats, Floats]:
        drawn = rng.choice(prior.n_labels, 1, p=prior.probabilities)
        x = np.zeros(scores.shape)
        x[:, drawn] = 1.0
        x[:, [0, 1]] = x[np.arange(len(positive)), positive] = 0.0
        x *= np.exp(scores - scores[np.arange(len(positive)), positive][:, None])
        total = 1 + x.sum(axis=1)
        slopes = x / total[:, None]
        slopes[np.arange(len(positive)), positive] = 1 / total - 1
        return np.log(total), slopes

    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=1, hits="mask")
    report = il.audit(loss, claim=scheme, prior=prior, positives=[2], other_positives=[0, 1], rng=seed, runs=4000)
    assert not report.flaws
    assert report.verdict != "refuted"
    # A label of count 0 is left out of the schemes that are tried, and not the others.
    excluded = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=1, hits="exclude")
    wrong = il.audit(loss, claim=excluded, prior=prior, positives=[2], other_positives=[0, 1], rng=seed, runs=4000)
    assert wrong.verdict == "refuted"
