"""Long calls: a loss that treats a later chunk, or the last row, otherwise is refuted, and says so.

Chunks are 256 or 4,096 rows; an audit's other calls have some hundred.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing import rows
from implicitloss.labels import Floats, Labels

L, M = 20, 8
PRIOR = il.LabelPrior.zipf(L, 1.0)
Q = np.asarray(PRIOR.probabilities)

# The loss of a chunk from its scores, all positives, the first of its rows and the number of rows after its last.
Chunk = Callable[[Callable[..., Any], Floats, Labels, int, np.random.Generator], Any]


def sampled(gradient: bool) -> Callable[..., Any]:
    """Softmax by 8 draws with importance weights, whose hits are masked."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        n, at = len(positive), np.arange(len(positive))
        draws = rng.choice(L, (n, M), p=Q)
        a = np.zeros(scores.shape)
        np.add.at(a, (at[:, None], draws), 1 / (M * Q[draws]))
        a[at, positive] = 0.0
        x = a * np.exp(scores - scores[at, positive][:, None])
        slopes = x / (1 + x.sum(axis=1))[:, None]
        slopes[at, positive] = -slopes.sum(axis=1)
        values = np.log1p(x.sum(axis=1))
        return (values, slopes) if gradient else values

    return loss


def full(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
    return np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(positive)), positive]


LOSSES = {"gradients": sampled(True), "values": sampled(False), "draws nothing": full}


def values_times(answer: Any, factor: float) -> Any:
    return (answer[0] * factor, answer[1]) if isinstance(answer, tuple) else answer * factor


def right(loss: Any, scores: Floats, positive: Labels, first: int, size: int, rng: Any) -> Any:
    return loss(scores, positive[first : first + size], rng)


def no_offset(loss: Any, scores: Floats, positive: Labels, first: int, size: int, rng: Any) -> Any:
    return loss(scores, positive[: len(scores)], rng)


def short_chunk_is_padding(loss: Any, scores: Floats, positive: Labels, first: int, size: int, rng: Any) -> Any:
    return values_times(right(loss, scores, positive, first, size, rng), float(len(scores) == size or not first))


def later_chunks_count_half(loss: Any, scores: Floats, positive: Labels, first: int, size: int, rng: Any) -> Any:
    return values_times(right(loss, scores, positive, first, size, rng), 0.5 if first else 1.0)


def in_chunks(loss: Any, size: int, chunk: Any) -> Callable[..., Any]:
    def chunked(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        found = [
            chunk(loss, scores[first : first + size], positive, first, size, rng)
            for first in range(0, len(positive), size)
        ]
        if isinstance(found[0], tuple):
            return tuple(np.concatenate(part) for part in zip(*found, strict=True))
        return np.concatenate(found)

    return chunked


@pytest.mark.in_turn
@pytest.mark.parametrize("size", [256, 1_000, 4_096])
@pytest.mark.parametrize("kind", LOSSES)
def test_chunks_longer_than_other_calls_are_seen(kind: str, size: int, seed: int) -> None:
    options: dict[str, Any] = {"prior": PRIOR, "claim": "full", "positives": [0, 5], "rng": seed, "budget": "quick"}
    report = il.audit(in_chunks(LOSSES[kind], size, right), **options)
    assert report.verdict == "holds", str(report)
    for fault in (no_offset, short_chunk_is_padding, later_chunks_count_half):
        report = il.audit(in_chunks(LOSSES[kind], size, fault), **options)
        assert [flaw.kind for flaw in report.flaws] == ["depends on the row"], (fault.__name__, str(report))
        assert "in a call of 4,097 rows, the losses of the last" in str(report.flaws[0])
        assert report.verdict == "refuted"
        # Rows without a loss are not labels that are not drawn.
        assert "never counted" not in {note.kind for note in report.notes}


def test_one_positive_is_asked_beside_another(seed: int) -> None:
    options: dict[str, Any] = {"prior": PRIOR, "claim": "full", "positives": [3], "rng": seed, "budget": "quick"}
    assert il.audit(in_chunks(full, 256, no_offset), **options).flaws
    assert il.audit(in_chunks(full, 256, right), **options).ok


@pytest.mark.slow
def test_rows_that_are_alike_are_seldom_said_not_to_be(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At an error of 0.8, of which the probe has a fortieth: 2 in 100 audits, and more than 10 in one of 100,000."""
    monkeypatch.setattr(rows, "MOST_ROWS", 257)
    loss, found = sampled(False), 0
    for k in range(100):
        found += len(il.audit(loss, prior=PRIOR, runs=32, error=0.8, rng=[seed, k]).flaws)
    assert found <= 10


def test_rows_may_be_rounded_otherwise_in_another_place(seed: int) -> None:
    """Rows of a later chunk, or one that is alone in it, are rounded otherwise, in the same places of each call."""

    def rounded(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        at = np.arange(len(positive))
        return full(scores, positive, rng) * (1 + 1e-7 * (at >= 2_048) + 1e-7 * (at >= 4_096))

    assert il.audit(rounded, prior=PRIOR, claim="full", rng=seed).ok


def test_how_many_rows_were_tried_is_said_where_scores_are_many(seed: int) -> None:
    prior = il.LabelPrior.zipf(2_000, 1.0)
    report = il.audit(full, prior=prior, claim="full", rng=seed)
    assert report.ok
    assert "calls of more than 2,097 rows were not tried" in str(report)
    assert "not tried" not in str(il.audit(full, prior=PRIOR, claim="full", rng=seed))


@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_that_depends_on_the_number_of_rows_says_so(kind: str, seed: int) -> None:
    """Losses are twice as large in long calls; those that are not have no such note."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return values_times(LOSSES[kind](scores, positive, rng), 2.0 if len(positive) > 1_000 else 1.0)

    options: dict[str, Any] = {"prior": PRIOR, "claim": "full", "positives": [0], "budget": "quick", "rng": seed}
    (note,) = [note for note in il.audit(loss, **options).notes if note.kind == "number of rows"]
    found = re.search(r"losses are about ([\d.]+) times as large", note.sentence)
    assert found is not None
    assert float(found[1]) == pytest.approx(2.0, rel=0.1)
    assert "number of rows" not in {note.kind for note in il.audit(LOSSES[kind], **options).notes}


def test_an_error_in_a_long_call_says_how_long_it_was() -> None:
    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        if len(positive) > 1_024:
            raise MemoryError("no room")
        return full(scores, positive, rng)

    with pytest.raises(MemoryError, match="no room") as raised:
        il.audit(loss, prior=PRIOR, claim="full", rng=0)
    assert raised.value.__notes__ == ["(raised in a call of 4,097 examples)"]


def test_what_is_suspected_is_judged_by_further_calls(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look suspects by a loose error; further calls judge by that of a probe, and they alone refute."""
    asked: list[tuple[int, float]] = []

    def found(calls: Any, error: float) -> str | None:
        asked.append((len(calls), error))
        return "the last row" if len(asked) == 1 else None

    monkeypatch.setattr(rows, "_other_rows", found)
    assert il.audit(full, prior=PRIOR, claim="full", rng=seed).ok
    (first, loose), (further, strict) = asked
    assert (first, further) == (rows.FIRST_CALLS, rows.CALLS)
    assert loose == rows.SUSPECTED > 1e4 * strict


def test_labels_of_lost_rows_are_not_said_to_be_never_drawn(seed: int) -> None:
    """What is left over after the last whole chunk of 16 has no loss; some of 300 labels are asked of there alone."""
    prior = il.LabelPrior.zipf(300, 1.0)
    q = np.asarray(prior.probabilities)

    def lost(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        n, rows = len(positive), np.arange(len(positive))
        draws = rng.choice(300, (n, 20), p=q)
        f = np.where(draws == positive[:, None], -np.inf, scores[rows[:, None], draws] - np.log(20 * q[draws]))
        values = np.log1p(np.exp(f - scores[rows, positive][:, None]).sum(axis=1))
        return values * (rows < (n - n % 16 or n))

    for shift in range(3):
        report = il.audit(lost, prior=prior, claim="full", rng=seed + shift, budget="quick")
        assert report.verdict == "refuted"
        assert "never counted" not in {note.kind for note in report.notes}, str(report)


def in_another_order(loss: Any, order: Callable[[Labels], Labels]) -> Callable[..., Any]:
    """The losses of rows that were put in another order, and not back again."""

    def mixed(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        at = order(positive)
        return loss(scores[at], positive[at], rng)

    return mixed


ORDERS: dict[str, Callable[[Labels], Labels]] = {
    "by label": lambda y: np.argsort(y, kind="stable"),
    "frequent first": lambda y: np.argsort(-Q[y], kind="stable"),
    "rare first": lambda y: np.argsort(Q[y], kind="stable"),
    "rolled": lambda y: np.roll(np.arange(len(y)), 1),
}


@pytest.mark.in_turn
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", LOSSES)
def test_losses_of_other_rows_are_refuted(kind: str, order: str, seed: int) -> None:
    """No chance is involved; the order in which an audit has its own examples hides a sort by frequency."""
    report = il.audit(in_another_order(LOSSES[kind], ORDERS[order]), prior=PRIOR, claim="full", rng=seed)
    assert report.verdict == "refuted", str(report)
    assert "losses are those of other rows" in [flaw.sentence[:30] for flaw in report.flaws]
    assert report.nearest is None


def masked_by(mask: Callable[[Labels], Labels], gradient: bool) -> Callable[..., Any]:
    """Eight draws of weight 1/(m q); draws of the labels that `mask` gives for the rows are left out."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        n, at = len(positive), np.arange(len(positive))
        draws = rng.choice(L, (n, M), p=Q)
        a = np.zeros(scores.shape)
        np.add.at(a, (at[:, None], draws), np.where(draws == mask(positive)[:, None], 0.0, 1 / (M * Q[draws])))
        x = a * np.exp(scores - scores[at, positive][:, None])
        values = np.log1p(x.sum(axis=1))
        slopes = x / np.exp(values)[:, None]
        slopes[at, positive] -= slopes.sum(axis=1)
        return (values, slopes) if gradient else values

    return loss


@pytest.mark.parametrize("gradient", [True, False])
def test_a_mask_of_another_row_is_seen_beside_one_positive(gradient: bool, seed: int) -> None:
    """The audited rows all have the same label; a probe puts others between them.  A hit of label 0, of which 28 % are
    draws, is missed in its 256 rows with probability below 1e-70."""
    options: dict[str, Any] = {"prior": PRIOR, "positives": [0], "budget": "quick", "rng": seed}
    claim = il.Scheme("within-batch", "importance", m=M, hits="mask")
    assert il.audit(masked_by(lambda y: y, gradient), claim=claim, **options).ok
    for wrong in (lambda y: np.roll(y, 1), lambda y: np.full_like(y, y[0])):
        report = il.audit(masked_by(wrong, gradient), claim=claim, **options)
        assert report.verdict == "refuted", str(report)
        assert "their mask that of another row" in str(report.flaws[0])
