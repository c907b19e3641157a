"""In-batch losses: every row has a query of its own; faults between rows are refuted and named; right losses hold.

The losses are NumPy's, and so are audited by values; gradients come from a framework of ours, by complex steps.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.adapters.framework import Framework
from implicitloss.labels import Floats, LabelPrior, Labels

# `implicitloss.adapters.in_batch` is the function.
module = importlib.import_module("implicitloss.adapters.in_batch")
N, PRIOR = 6, LabelPrior.zipf(7, 1.0)
Q = PRIOR.probabilities
OWN, RELATIVE = il.weightings.Unit(), il.weightings.Relative()
# Values see little of rare labels in few calls: the audits here look at the most frequent positive, to a factor of 2.
COARSE: dict[str, Any] = {"positives": [0], "resolution": 1.0, "runs": 10_000}


def claim(weighting: Any = OWN, m: int = N - 1, hits: Any = "keep") -> il.Scheme:
    return il.Scheme(il.samplers.WithinBatch(), weighting, m=m, hits=hits)


def entropy(logits: Any, targets: Any = None) -> Any:
    """Cross-entropy of each row, against its diagonal or other targets; complex logits have complex losses."""
    rows = np.arange(len(logits))
    top = np.real(logits).max(axis=1)
    found = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return found - logits[rows, rows if targets is None else targets]


def plain(q: Any, i: Any, y: Any) -> Any:
    return entropy(q @ i.T)


def corrected(q: Any, i: Any, y: Any) -> Any:
    return entropy(q @ i.T - np.log(Q[y]))


def masked(q: Any, i: Any, y: Any, ids: Any = None) -> Any:
    ids = y if ids is None else ids
    return entropy(np.where((ids[:, None] == ids) & ~np.eye(len(ids), dtype=bool), -1e9, q @ i.T))


def chunked(q: Any, i: Any, y: Any, offset: bool = True) -> Any:
    return np.concatenate([
        entropy(q[at : at + 2] @ i.T, np.arange(2) + at * offset) for at in range(0, len(q), 2)
    ])  # fmt: skip


def unit(x: Any) -> Any:
    return x / np.sqrt((x * x).sum(axis=1))[:, None]


def cosine(q: Any, i: Any, y: Any) -> Any:
    return entropy(20 * unit(q) @ unit(i).T)


def both(q: Any, i: Any, y: Any) -> Any:
    return (entropy(q @ i.T) + entropy(i @ q.T)) / 2


def hard(q: Any, i: Any, h: Any, y: Any) -> Any:
    return entropy(q @ np.concatenate([i, h]).T)


class Queue:
    """The items of the last three batches are further negatives; hits are masked."""

    def __init__(self) -> None:
        self.items: Any = None
        self.ids: Any = None

    def __call__(self, q: Any, i: Any, y: Any) -> Any:
        items, ids = (i, y) if self.items is None else (np.concatenate([i, self.items]), np.append(y, self.ids))
        self.items, self.ids = items[: 3 * N], ids[: 3 * N]
        hits = (y[:, None] == ids) & ~np.eye(N, ids.size, dtype=bool)
        return entropy(np.where(hits, -1e9, q @ items.T))


def two_views(q: Any, i: Any, y: Any, mask: bool = False) -> Any:
    """NT-Xent: the other 2n - 1 rows of both views, one of which is the positive; the losses of the first view."""
    z, ids, n = np.concatenate([q, i]), np.append(y, y), len(q)
    same = np.eye(2 * n, dtype=bool)
    if mask:
        same |= (ids[:, None] == ids) & ~np.roll(np.eye(2 * n, dtype=bool), n, axis=1)
    return entropy(np.where(same, -1e9, z @ z.T), (np.arange(2 * n) + n) % (2 * n))[:n]


def mean(loss: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: loss(*given).mean()


RIGHT: dict[str, tuple[Callable[..., Any], il.Scheme, dict[str, Any]]] = {
    "embeddings": (plain, claim(), {}),
    "log q taken off": (corrected, claim(RELATIVE), {}),
    "hits masked": (masked, claim(hits="mask"), {}),
    "in chunks": (chunked, claim(), {}),
    "logits": (lambda s, y: entropy(s), claim(), {"given": "logits"}),
    "the first row alone": (lambda q, i, y: plain(q, i, y)[:1], claim(), {}),
    "mean": (mean(plain), claim(), {"reduction": "mean"}),
    "sum": (lambda q, i, y: masked(q, i, y).sum(), claim(hits="mask"), {"reduction": "sum"}),
    "mean of logits": (lambda s, y: entropy(s).mean(), claim(), {"reduction": "mean", "given": "logits"}),
    "mean, log q taken off": (mean(corrected), claim(RELATIVE), {"reduction": "mean"}),
    "both directions": (both, claim(), {"symmetric": True}),
    "mean of both directions": (mean(both), claim(), {"symmetric": True, "reduction": "mean"}),
    "the other direction": (lambda q, i, y: both(i, q, y), claim(), {"symmetric": True}),
    "further items": (hard, claim(m=2 * N - 1), {"negatives": 1}),
    "mean with further items": (mean(hard), claim(m=2 * N - 1), {"negatives": 1, "reduction": "mean"}),
    "two views": (two_views, claim(m=2 * N - 2), {"two_views": True}),
    "two views, hits masked": (
        lambda q, i, y: two_views(q, i, y, mask=True),
        claim(m=2 * N - 2, hits="mask"),
        {"two_views": True},
    ),
    "a queue that is full": (Queue(), claim(m=4 * N - 1, hits="mask"), {"warmup": 3}),
}


def diagonal(q: Any, i: Any, y: Any, log_q: Any = 0.0) -> Any:
    """The denominator has each pair's own score, x_j · y_j, in place of x_i · y_j."""
    own = (q * i).sum(axis=1) - log_q
    return np.log(np.exp(own).sum()) - own


ROW, OTHERS = "depends on the row", "depends on other queries"
WRONG: dict[str, tuple[Callable[..., Any], il.Scheme, dict[str, Any], str]] = {
    "two views, not said": (two_views, claim(m=2 * N - 2), {}, OTHERS),
    "two views, target of another row": (
        lambda q, i, y: two_views(q, np.roll(i, 1, axis=0), y), claim(m=2 * N - 2), {"two_views": True}, ROW,
    ),
    "target of another row": (lambda q, i, y: entropy(q @ i.T, np.roll(np.arange(N), 1)), claim(), {}, ROW),
    "target of the first row": (lambda q, i, y: entropy(q @ i.T, np.zeros(N, dtype=int)), claim(), {}, ROW),
    "offset forgotten in later chunks": (lambda q, i, y: chunked(q, i, y, False), claim(), {}, ROW),
    "probabilities of another row": (
        lambda q, i, y: entropy(q @ i.T - np.log(Q[np.roll(y, 1)])), claim(RELATIVE), {}, ROW,
    ),
    "ids of another row": (lambda q, i, y: masked(q, i, y, np.roll(y, 1)), claim(hits="mask"), {}, ROW),
    "mean, probabilities of another row": (
        lambda q, i, y: entropy(q @ i.T - np.log(Q[np.roll(y, 1)])).mean(), claim(RELATIVE), {"reduction": "mean"}, ROW,
    ),
    "mean, target of another row": (
        lambda q, i, y: entropy(q @ i.T, np.roll(np.arange(N), 1)).mean(), claim(), {"reduction": "mean"}, ROW,
    ),
    "denominator of the diagonal": (diagonal, claim(), {}, OTHERS),
    "denominator of the column": (lambda q, i, y: entropy(i @ q.T), claim(), {}, OTHERS),
    "both directions, not said": (both, claim(), {}, OTHERS),
}  # fmt: skip


def adapted(loss: Callable[..., Any], options: dict[str, Any], prior: LabelPrior = PRIOR, n: int = N) -> Any:
    return il.adapters.in_batch(loss, prior, n, **options)


@pytest.mark.in_turn(9)
@pytest.mark.parametrize("name", RIGHT)
def test_right_losses_hold(name: str, seed: int) -> None:
    loss, scheme, options = RIGHT[name]
    report = il.audit(adapted(loss, options), claim=scheme, prior=PRIOR, rng=seed, **COARSE)
    assert report.verdict == "holds", str(report)
    assert report.flaws == ()


@pytest.mark.parametrize("options", [{"reduction": "mean"}, {"reduction": "mean", "symmetric": True}])
def test_items_against_queries_alone_are_told(options: Any, seed: int) -> None:
    """A query is a score of all items there: its own loss stays 0, whatever it is.  Exchanged, the loss holds."""

    def back(q: Any, i: Any, y: Any) -> Any:
        return entropy(i @ q.T)

    with pytest.raises(ValueError, match="exchange the two: in_batch"):
        il.audit(adapted(mean(back), options), claim=claim(), prior=PRIOR, rng=seed)
    exchanged = adapted(lambda q, i, y: back(i, q, y).mean(), {"reduction": "mean"})
    assert il.audit(exchanged, claim=claim(), prior=PRIOR, rng=seed, budget="quick").ok


def test_negatives_of_one_view_are_half_of_two(seed: int) -> None:
    report = il.audit(
        adapted(plain, {"two_views": True}),
        claim=claim(m=2 * N - 2),
        prior=PRIOR,
        rng=seed,
        **{**COARSE, "runs": 2_000},
    )
    assert (report.verdict, report.flaws) == ("refuted", ()), str(report)
    with pytest.raises(
        ValueError, match=r"two_views=True needs .* got given='embeddings', reduction='mean', symmetric"
    ):
        adapted(mean(two_views), {"two_views": True, "reduction": "mean"})


@pytest.mark.parametrize("name", WRONG)
def test_faults_between_rows_are_refuted_and_named(name: str, seed: int) -> None:
    loss, scheme, options, kind = WRONG[name]
    report = il.audit(adapted(loss, options), claim=scheme, prior=PRIOR, rng=seed, **{**COARSE, "runs": 200})
    assert report.verdict == "refuted", str(report)
    assert kind in [flaw.kind for flaw in report.flaws]
    assert all(len(str(flaw)) <= 300 for flaw in report.flaws)


@pytest.mark.parametrize("n", [2, 16])
def test_probes_over_many_seeds(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No chance is involved for right losses; of the faults none is missed, but that of rows in a batch of two."""
    prior = LabelPrior.zipf(60, 1.0)
    for name, value in (("N", n), ("Q", prior.probabilities)):  # the losses speak of these
        monkeypatch.setitem(globals(), name, value)
    for name, (loss, _, options) in RIGHT.items():
        box = adapted(Queue() if isinstance(loss, Queue) else loss, options, prior, n)
        assert all(box.flaws_between_rows(1.0, np.random.default_rng(k)) == () for k in range(5)), name
    for name, (loss, _, options, kind) in WRONG.items():
        box = adapted(loss, options, prior, n)
        found = [[flaw.kind for flaw in box.flaws_between_rows(1.0, np.random.default_rng(k))] for k in range(5)]
        assert n == 2 or all(kind in kinds for kinds in found), name


def test_a_loss_that_draws_may_depend_on_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed gives rows other draws: they are not compared, and the queries of other rows still are."""
    monkeypatch.setattr(module, "frameworks", lambda: {"mine": SEEDED})

    def loss(q: Any, i: Any, y: Any, rng: np.random.Generator) -> Any:
        return entropy(np.where(rng.random((N, N)) < np.where(np.eye(N), 1.0, 0.5), q @ i.T, -1e9))

    def wrong(q: Any, i: Any, y: Any, rng: np.random.Generator) -> Any:
        return loss(q, i, y, rng) + q.mean()

    def drawn_anew(q: Any, i: Any, y: Any, rng: np.random.Generator) -> Any:
        return loss(q, i, y, np.random.default_rng())

    found = [
        adapted(f, {"framework": "mine"}).flaws_between_rows(1.0, np.random.default_rng(0))
        for f in (loss, wrong, drawn_anew)
    ]
    assert [[flaw.kind for flaw in flaws] for flaws in found] == [[], [OTHERS], []]


# --- what the loss is asked ---------------------------------------------------------------------------------------


class Spy:
    """Keeps what a loss was asked."""

    def __init__(self, loss: Callable[..., Any]) -> None:
        self.loss, self.asked = loss, []  # type: ignore[var-annotated]

    def __call__(self, *given: Any) -> Any:
        self.asked.append([np.array(x) for x in given])
        return self.loss(*given)


def asked(loss: Callable[..., Any], options: dict[str, Any], scores: Floats, positive: Labels) -> tuple[Spy, Floats]:
    """What the loss was asked for these examples alone, and the answer."""
    spy = Spy(loss)
    box = adapted(spy, options)
    box(scores[:1], positive[:1], np.random.default_rng(1))  # the first contact
    spy.asked.clear()
    return spy, box(scores, positive, np.random.default_rng(0))


def test_each_example_stands_in_a_random_row(rng: np.random.Generator) -> None:
    """One call an example, in which its query scores every label exactly, and every row asks something else."""
    scores, positive = rng.standard_normal((200, PRIOR.n_labels)), rng.integers(PRIOR.n_labels, size=200)
    spy, values = asked(plain, {}, scores, positive)
    assert len(spy.asked) == 200
    rows, others = [], []
    for (queries, items, labels), f, y, value in zip(spy.asked, scores, positive, values, strict=True):
        assert len(np.unique(queries, axis=0)) == N
        (row,) = np.flatnonzero((queries[:, : f.size] == f).all(axis=1))
        assert labels[row] == y
        assert (queries[row] @ items.T == f[labels]).all()
        np.testing.assert_allclose(value, np.log(np.exp(f[labels] - f[y]).sum()), rtol=1e-14)
        rows.append(row)
        others += np.delete(labels, row).tolist()
    # A row or label is missed with probability below 1e-12; frequencies are within 5 standard errors.
    assert set(rows) == set(range(N))
    share = np.bincount(others, minlength=Q.size) / len(others)
    assert (np.abs(share - Q) < 5 * np.sqrt(Q / len(others))).all()


def cosines_both(q: Any, i: Any, y: Any) -> Any:
    return both(20 * unit(q), unit(i), y)


DIRECTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any], float, str]] = {
    "a mean": (mean(both), {"reduction": "mean"}, 1.0, "as in CLIP? then pass symmetric=True to in_batch"),
    "a sum": (lambda q, i, y: both(q, i, y).sum(), {"reduction": "sum"}, 1.0, "then pass symmetric=True to in_batch"),
    "losses": (both, {}, 1.0, "symmetric=True to in_batch)"),
    "logits": (
        lambda s, y: (entropy(s) + entropy(s.T)).mean() / 2, {"reduction": "mean", "given": "logits"}, 1.0,
        "symmetric=True to in_batch",
    ),
    "cosines": (mean(cosines_both), {"reduction": "mean"}, 0.05, "symmetric=True to in_batch, with dot products"),
    "cosines, losses": (cosines_both, {}, 0.05, "symmetric=True to in_batch, with dot products in place of"),
    "half of one": (lambda q, i, y: plain(q, i, y).mean() / 2, {"reduction": "mean"}, 1.0, ""),
    "their sum": (lambda q, i, y: 2 * both(q, i, y), {"symmetric": True}, 1.0, "is it the sum of two directions?"),
}  # fmt: skip


ONE_WAY: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "one direction": (plain, {}),
    "half of one": (lambda q, i, y: plain(q, i, y) / 2, {}),
    "the first again": (lambda q, i, y: (plain(q, i, y) + masked(q, i, y)) / 2, {}),
    "a mean": (mean(plain), {"reduction": "mean"}),
    "half of a mean": (lambda q, i, y: plain(q, i, y).mean() / 2, {"reduction": "mean"}),
    "logits": (lambda s, y: entropy(s) / 2, {"given": "logits"}),
}


@pytest.mark.parametrize("name", ONE_WAY)
def test_a_direction_that_is_missing_is_named(name: str, seed: int) -> None:
    """Half of one direction has the values that the mean of two has where the other is made 0."""
    loss, options = ONE_WAY[name]
    report = il.audit(
        adapted(loss, {**options, "symmetric": True}), prior=PRIOR, claim=claim(), rng=seed, positives=[0], runs=64
    )
    assert report.verdict == "refuted"
    assert [flaw.kind for flaw in report.flaws] == ["one direction"]
    assert "Is a transposition (.T) forgotten?" in str(report.flaws[0])


@pytest.mark.parametrize("n", [2, 3, N, 200])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_two_directions_are_seen_at_any_size(n: int, scale: float, seed: int) -> None:
    def scaled(q: Any, i: Any, y: Any) -> Any:
        logits = scale * q @ i.T
        return (entropy(logits) + entropy(logits.T)) / 2

    for options in ({}, {"reduction": "mean"}):
        loss = mean(scaled) if options else scaled
        made: Any = il.adapters.in_batch(loss, PRIOR, n, symmetric=True, **options)
        for _ in range(10):
            assert made._has_way_back(1.0, np.random.default_rng(seed))


@pytest.mark.parametrize("name", DIRECTIONS)
def test_directions_that_were_not_said_are_named(name: str, seed: int) -> None:
    """A loss of both directions is the same with queries and items exchanged; half of one direction is not."""
    loss, options, temperature, said = DIRECTIONS[name]
    report = il.audit(
        adapted(loss, options), prior=PRIOR, claim=claim(), rng=seed, temperature=temperature, positives=[0], runs=64
    )
    assert report.verdict == "refuted"
    (flaw,) = report.flaws
    assert said in str(flaw)
    assert ("with queries and items exchanged" in str(flaw).lower()) == bool(said)


@pytest.mark.parametrize("options", [{"reduction": "mean"}, {"reduction": "sum"}, {"symmetric": True}])
@pytest.mark.parametrize("scale", [0.05, 1.0])
def test_the_losses_of_the_others_are_0(options: dict[str, Any], scale: float, rng: np.random.Generator) -> None:
    """Hits too, which no score of a label could tell from an example's own item."""
    reduce = {"mean": np.mean, "sum": np.sum}.get(options.get("reduction", ""), np.asarray)

    def loss(q: Any, i: Any, y: Any) -> Any:
        logits = q @ i.T / scale
        return reduce((entropy(logits) + entropy(logits.T)) / 2 if options.get("symmetric") else entropy(logits))

    scores, positive = scale * rng.standard_normal((30, PRIOR.n_labels)), rng.integers(PRIOR.n_labels, size=30)
    spy, values = asked(loss, options, scores, positive)
    hits = 0
    for (_, _, labels), f, y, value in zip(spy.asked, scores, positive, values, strict=True):
        np.testing.assert_allclose(value, np.log(np.exp((f[labels] - f[y]) / scale).sum()), rtol=1e-13)
        hits += N - len(np.unique(labels))
    assert hits


def test_what_is_the_same_for_all_others_is_taken_off(rng: np.random.Generator) -> None:
    """A smoothed loss is never 0; the others' parts are equal, and known."""

    def smoothed(q: Any, i: Any, y: Any) -> Any:
        logits = q @ i.T
        return (
            0.9 * entropy(logits) + 0.1 * np.mean([entropy(logits, np.full(N, k)) for k in range(N)], axis=0)
        ).mean()

    scores, positive = rng.standard_normal((9, PRIOR.n_labels)), rng.integers(PRIOR.n_labels, size=9)
    spy, values = asked(smoothed, {"reduction": "mean"}, scores, positive)
    for (_, _, labels), f, y, value in zip(spy.asked, scores, positive, values, strict=True):
        all_of = np.log(np.exp(f[labels]).sum())
        np.testing.assert_allclose(value, all_of - 0.9 * f[y] - 0.1 * f[labels].mean(), rtol=1e-5)


def test_a_queue_has_the_width_of_all_labels(rng: np.random.Generator) -> None:
    """Labels have the same item in all batches, and the batches before an example are drawn from the prior."""
    scores, positive = rng.standard_normal((50, PRIOR.n_labels)), np.full(50, PRIOR.n_labels - 1)
    spy, _ = asked(plain, {"warmup": 3}, scores, positive)
    assert len(spy.asked) == 4 * 50
    for _, items, labels in spy.asked:
        np.testing.assert_array_equal(items, np.eye(PRIOR.n_labels + 1)[labels])
    before = np.concatenate([labels for at, (_, _, labels) in enumerate(spy.asked) if at % 4 < 3])
    assert abs(np.mean(before == PRIOR.n_labels - 1) - Q[-1]) < 5 * np.sqrt(Q[-1] / before.size)


def test_a_queue_that_is_not_filled_has_the_way_named(seed: int) -> None:
    for adapted, is_in_batch in ((il.adapters.in_batch(Queue(), PRIOR, N), True), (Counting(), False)):
        (note,) = il.audit(adapted, claim=claim(hits="mask"), prior=PRIOR, rng=seed, runs=64).notes
        assert note.kind == "keeps state"
        assert ("in_batch(..., warmup=)" in note.sentence) == is_in_batch


class Counting:
    """Softmax over all labels whose temperature falls from call to call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, scores: Any, positive: Any, rng: Any) -> Any:
        self.calls += 1
        f = scores * (1 + self.calls / 100)
        return np.log(np.exp(f).sum(axis=1)) - f[np.arange(len(positive)), positive]


def test_a_smoothed_mean_is_named(seed: int) -> None:
    """Batches have duplicates, and so another share of the logits is the positive's in each."""

    def smoothed(q: Any, i: Any, y: Any) -> Any:
        f = q @ i.T
        return np.mean(np.log(np.exp(f).sum(axis=1)) - 0.9 * np.diag(f) - 0.1 * f.mean(axis=1))

    (flaw,) = il.audit(
        il.adapters.in_batch(smoothed, PRIOR, N, reduction="mean"), claim=claim(), prior=PRIOR, rng=seed, runs=64
    ).flaws
    assert flaw.kind == "label-smoothed"
    assert f"ε = 0.1 if it is spread over {N} logits" in flaw.sentence


# --- gradients ----------------------------------------------------------------------------------------------------


def _gradients(lib: Any, loss: Any, scores: Any, rows: Any, seed: int, dtype: str) -> Any:
    step = 1e-30j  # the same entry of all examples at once: an example's loss depends on its own entries only
    moved = [loss(scores + step * entry, rows, seed) for entry in np.eye(scores.shape[1])]
    return loss(scores, rows, seed), np.transpose(moved).imag / step.imag


COMPLEX = Framework(
    "numpy", lambda lib, array: array, lambda lib, loss, *given: _gradients(lib, lambda f, y, _: loss(f, y), *given),
    "float64",
)  # fmt: skip
SEEDED = Framework(
    "numpy", lambda lib, array: array, lambda lib, loss, f, y, seed, dtype: (loss(f, y, seed), None), "float64",
    key_of=lambda lib, seed, i: np.random.default_rng([seed, i]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "options", "scale", "n_labels"),
    [
        (plain, {}, 1.0, 7),
        (plain, {}, 1.0, 90),
        (cosine, {}, 0.05, 7),
        (cosine, {}, 0.05, 90),
        (mean(cosine), {"reduction": "mean"}, 0.05, 7),
        (mean(both), {"reduction": "mean", "symmetric": True}, 1.0, 7),
        (mean(hard), {"reduction": "mean", "negatives": 1}, 1.0, 7),
        (lambda s, y: entropy(s), {"given": "logits"}, 1.0, 7),
        (lambda s, y: entropy(s).mean(), {"given": "logits", "reduction": "mean"}, 1.0, 90),
    ],
)
def test_gradients_are_those_of_the_scores(
    loss: Any, options: dict[str, Any], scale: float, n_labels: int, rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Cosines depend on all scores through the length of the query, which stays 1."""
    monkeypatch.setattr(module, "frameworks", lambda: {"mine": COMPLEX})
    prior = LabelPrior.zipf(n_labels, 1.0)
    scores, positive = scale * rng.standard_normal((3, n_labels)), np.array([0, 1, n_labels - 1])
    box, n = adapted(loss, {"framework": "mine", **options}, prior, 4), 4

    def ask(f: Floats) -> Any:
        return box(f, positive, np.random.default_rng(2))

    values, slopes = ask(scores)
    step = 1e-6 * scale * rng.standard_normal(scores.shape)
    difference = ask(scores + step)[0].astype(np.float64) - ask(scores - step)[0]
    by_slopes = 2 * (slopes * step).sum(axis=1)
    rounding = 1e-6 if values.dtype == np.float32 else 1e-9
    np.testing.assert_allclose(difference, by_slopes, rtol=1e-4, atol=rounding)
    np.testing.assert_allclose(slopes.sum(axis=1), 0.0, atol=1e-6)
    # Only labels of the batch have a slope, and there are at most as many as items.
    assert ((slopes != 0).sum(axis=1) <= n * (1 + options.get("negatives", 0))).all()


class Together:
    """The framework of complex steps that also computes many calls at once; `asked` are their numbers."""

    def __init__(self, off: float = 0.0, fails_from: int = 10**9, compiles: bool = False) -> None:
        self.off, self.fails_from, self.asked = off, fails_from, []  # type: ignore[var-annotated]
        self.framework = replace(COMPLEX, mapped=self.mapped, compiles=compiles)

    def mapped(self, lib: Any, one: Callable[..., Any], dtype: str) -> Any:
        def ask(asked: Floats, given: Any, rows: Any, seed: int) -> Any:
            self.asked.append(len(rows))
            if len(self.asked) >= self.fails_from:
                raise RuntimeError("cannot be mapped")

            def losses(f: Any, rows: Any) -> Any:
                found = [one(x, *(part[k] for part in given)) for k, x in enumerate(f.reshape(asked.shape))]
                return np.array([np.ravel(x)[row] for x, row in zip(found, rows, strict=True)])

            values, slopes = COMPLEX.gradients(lib, losses, asked.reshape(len(rows), -1), rows, seed, dtype)
            return values + self.off, slopes.reshape(asked.shape)

        return ask


def together(
    found: Together, loss: Callable[..., Any], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Any]:
    """The answers of a loss whose batches may be asked together, and of the same asked alone."""
    rng = np.random.default_rng(3)
    scores, positive = 0.05 * rng.standard_normal((9, 7)), rng.integers(7, size=9)
    answers = []
    monkeypatch.setattr(module, "NUMBERS_A_CHUNK", 260)
    for framework in (found.framework, COMPLEX):
        monkeypatch.setattr(module, "frameworks", lambda framework=framework: {"mine": framework})
        box = adapted(loss, {"framework": "mine", **options}, n=4)
        box(scores[:1], positive[:1], np.random.default_rng(4))  # the first contact
        parts = [part for k in range(2) for part in box(scores, positive, np.random.default_rng(k))]
        answers.append(np.concatenate(parts, axis=None))
    return answers[0], answers[1]


@pytest.mark.in_turn(4)
@pytest.mark.parametrize(
    ("loss", "options", "compiles"),
    [
        (masked, {}, False),
        (masked, {}, True),
        (cosine, {}, True),
        (lambda q, i, y: plain(q, i, y)[:1], {}, False),
        (mean(both), {"symmetric": True, "reduction": "mean"}, False),
        (hard, {"negatives": 1}, False),
        (lambda s, y: entropy(s), {"given": "logits"}, True),
        (two_views, {"two_views": True}, False),
    ],
)
def test_batches_are_asked_together(loss: Any, options: Any, compiles: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers are those of each batch alone; what would be compiled anew for another number has the same again."""
    framework = Together(compiles=compiles)
    found, alone = together(framework, loss, options, monkeypatch)
    np.testing.assert_allclose(found, alone, atol=1e-12)
    assert len(framework.asked) > 3
    if compiles:
        assert len(set(framework.asked[1:])) == 1
    else:
        assert sum(framework.asked[2:]) == 2 * 9


class Drawing:
    """A loss whose draws are its own: it does not repeat itself."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __call__(self, q: Any, i: Any, y: Any) -> Any:
        return entropy(q @ i.T + self.rng.random(len(y)))


@pytest.mark.parametrize(
    ("loss", "options", "framework", "asks"),
    [
        (Drawing, {}, {}, 0),
        (Queue, {"warmup": 1}, {}, 0),
        (lambda: plain, {}, {"off": 1e-3}, 1),
        (lambda: plain, {}, {"fails_from": 1}, 1),
        (lambda: plain, {}, {"fails_from": 4}, 4),
    ],
)
def test_batches_that_cannot_be_asked_together_are_asked_alone(
    loss: Any, options: Any, framework: Any, asks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss that draws or remembers, one whose answers are others together, and one that fails then or later."""
    monkeypatch.setitem(globals(), "N", 4)
    mapped = Together(**framework)
    found, alone = together(mapped, loss(), options, monkeypatch)
    assert len(mapped.asked) == asks
    if loss is not Drawing:
        np.testing.assert_array_equal(found, alone)


def test_batches_before_which_a_loss_is_reset_are_asked_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = Together()
    monkeypatch.setattr(module, "frameworks", lambda: {"mine": mapped.framework})
    box = adapted(plain, {"framework": "mine"}).resetting(lambda: None)
    box(np.zeros((2, 7)), np.array([0, 1]), np.random.default_rng(0))
    assert mapped.asked == []


def _losses_of(framework: str) -> dict[str, tuple[Any, dict[str, Any], bool]]:
    """In-batch losses in a framework, and whether their batches can be asked together."""
    if framework == "torch":
        lib = importlib.import_module("torch")

        def scored(s: Any) -> Any:
            return lib.nn.functional.cross_entropy(s, lib.arange(len(s)), reduction="none")

        def drawn(s: Any) -> Any:
            return scored(s + lib.rand(len(s)))

        def looking(s: Any) -> Any:
            return scored(s if s.sum().item() > 0 else 2 * s)

        def mixed(s: Any) -> Any:
            return scored(s + float(lib.as_tensor(s.detach().numpy()).sum()) * 0)

        def equal(y: Any) -> Any:
            return (y[:, None] == y) & ~lib.eye(len(y), dtype=lib.bool)

        return {
            "masked": (lambda q, i, y: scored((q @ i.T).masked_fill(equal(y), -lib.inf)), {}, True),
            "cosines": (lambda q, i, y: scored(20 * lib.nn.functional.normalize(q) @ i.T), {}, True),
            "mean": (lambda q, i, y: scored(q @ i.T).mean(), {"reduction": "mean"}, True),
            "logits": (lambda s, y: scored(s), {"given": "logits"}, True),
            "draws": (lambda q, i, y: drawn(q @ i.T), {}, False),
            "looks": (lambda q, i, y: looking(q @ i.T), {}, False),
            "leaves": (lambda q, i, y: mixed(q @ i.T), {}, False),
            "remembers": (Remembering(scored), {}, False),
            "keeps a total": (Totalling(scored, lib), {}, False),
        }
    if framework == "jax":
        jax = importlib.import_module("jax")

        def softmax(s: Any) -> Any:
            return jax.nn.logsumexp(s, axis=1) - jax.numpy.diag(s)

        def random(q: Any, i: Any, y: Any, key: Any) -> Any:
            return softmax(q @ i.T + jax.random.uniform(key, (len(y),)))

        return {
            "plain": (lambda q, i, y: softmax(q @ i.T), {}, True),
            "draws": (random, {}, True),
            "draws its own": (lambda q, i, y: softmax(q @ i.T + np.random.rand(len(y))), {}, False),  # noqa: NPY002
            "looks": (lambda q, i, y: softmax(q @ i.T + float(y[0])), {}, False),
        }
    tf = importlib.import_module("tensorflow")

    def of(s: Any, y: Any) -> Any:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.range(len(y)), logits=s)

    return {
        "plain": (lambda q, i, y: of(tf.matmul(q, i, transpose_b=True), y), {}, True),
        "mean": (lambda s, y: tf.reduce_mean(of(s, y)), {"given": "logits", "reduction": "mean"}, True),
        "draws": (lambda s, y: of(s + tf.random.uniform((N,)), y), {"given": "logits"}, False),
        "looks": (lambda s, y: of(s + y.numpy(), y), {"given": "logits"}, False),
        "keeps a total": (Totalling(lambda s: of(s, range(N)), tf), {}, False),
    }


class Remembering:
    """The mean of the losses so far is added."""

    def __init__(self, loss: Callable[..., Any]) -> None:
        self.loss, self.mean = loss, 0.0

    def __call__(self, q: Any, i: Any, y: Any) -> Any:
        found = self.loss(q @ i.T)
        self.mean = 0.9 * self.mean + 0.1 * found.detach().mean()
        return found + self.mean


class Totalling:
    """A total of losses is kept, and does not show in them."""

    def __init__(self, loss: Callable[..., Any], lib: Any) -> None:
        self.loss, self.lib, self.total = loss, lib, 0.0

    def __call__(self, q: Any, i: Any, y: Any) -> Any:
        found = self.loss(self.lib.matmul(q, self.lib.transpose(i, *((0, 1) if self.lib.__name__ == "torch" else ()))))
        self.total = self.total + (found.detach().sum() if hasattr(found, "detach") else self.lib.reduce_sum(found))
        return found


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow"])
def test_frameworks_ask_batches_together(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers are those of each batch alone, but for rounding, and a loss of which this is not known is not."""
    pytest.importorskip(framework)
    own, rng = module.frameworks()[framework], np.random.default_rng(3)
    scores, positive = 0.05 * rng.standard_normal((4, 7)), rng.integers(7, size=4)
    monkeypatch.setattr(module, "ROWS_OF_THE_FIRST", 3)
    for name, (loss, options, is_together) in _losses_of(framework).items():
        answers = []
        for known in (own, replace(own, mapped=None)):
            monkeypatch.setattr(module, "frameworks", lambda known=known: {framework: known})
            box = adapted(loss, {"framework": framework, **options})
            answers.append(np.concatenate(box(scores, positive, np.random.default_rng(0)), axis=None))
            assert (box._mapped is not None) == (is_together and known is own), name
            assert not isinstance(loss, Totalling) or float(loss.total) > 0
        if is_together:
            np.testing.assert_allclose(*answers, atol=1e-9 if own.dtype == "float64" else 1e-5, err_msg=name)


def test_a_cosine_is_seen_and_holds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its form is probed as far as cosines go, and the report says how far; NumPy's has no gradients for the rest."""
    monkeypatch.setattr(module, "frameworks", lambda: {"mine": COMPLEX})
    options: dict[str, Any] = {
        "prior": PRIOR, "rng": seed, "claim": claim(m=3), "temperature": 0.05, "positives": [0], "resolution": 1.0,
        "runs": 2_000,
    }  # fmt: skip
    for reduction, reach in (
        ("none", "15 temperatures, a score of 0.75"),
        ("mean", "7.5 temperatures, a score of 0.3"),
    ):
        loss = cosine if reduction == "none" else mean(cosine)
        report = il.audit(adapted(loss, {"framework": "mine", "reduction": reduction}, n=4), **options)
        assert report.verdict == "holds", str(report)
        (note,) = [note for note in report.notes if note.kind == "bounded"]
        assert f"has no values at larger scores (cosines?): its form was probed up to {reach}" in note.sentence
    with pytest.raises(ValueError, match=r"takes cosines, and no query has .*, and may to 1\. Pass temperature=1/sc"):
        il.audit(adapted(cosine, {}, n=4), **options)


def _changed(change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda q, i, y: change(20 * unit(q) @ unit(i).T)


def _pairs(logits: Any) -> Any:
    return (np.log(1 + np.exp(logits - np.diag(logits)[:, None])) - np.log(2) * np.eye(len(logits))).mean(axis=1)


def _hardest(logits: Any) -> Any:
    """The largest score of another item."""
    at = np.argmax(np.real(logits) - 1e9 * np.eye(len(logits)), axis=1)
    return logits[np.arange(len(logits)), at]


def _others(logits: Any) -> Any:
    """The mean score of the other items."""
    return (logits.sum(axis=1) - np.diag(logits)) / (len(logits) - 1)


COSINES: dict[str, tuple[Callable[[Any], Any], float, str, str]] = {
    "another temperature": (entropy, 0.1, "temperature", "multiplied by 20, and not by 10: a temperature of 0.05"),
    "a warmer one": (entropy, 0.02, "temperature", "multiplied by 20, and not by 50"),
    "not said": (entropy, 1.0, "temperature", "multiplied by 20, and not by 1: a temperature of 0.05 divides"),
    "no scale at all": (lambda s: entropy(s / 20), 0.05, "temperature", "multiplied by 1, and not by 20"),
    "scaled twice": (lambda s: entropy(20 * s), 0.05, "temperature", "multiplied by 400, and not by 20"),
    "halved": (lambda s: entropy(s) / 2, 0.05, "scaled", "scaled by 0.5; this was divided out"),
    "pairs": (_pairs, 0.05, "another form", "another temperature or a factor, as far as it has values"),
    "the hardest alone": (
        lambda s: np.log(1 + np.exp(_hardest(s) - np.diag(s))),
        0.05,
        "another form",
        "another temperature or a factor",
    ),
    "a mean of scores added": (lambda s: entropy(s) + 0.1 * _others(s), 0.05, "another form", "as far as it has"),
    "an empty item of score 0": (
        lambda s: np.log(np.exp(entropy(s)) + 3 * np.exp(-np.diag(s))),
        0.05,
        "another form",
        "as far as it has",
    ),
    "smoothed": (lambda s: entropy(s) + 0.1 * (np.diag(s) - s.mean(axis=1)), 0.05, "another form", "up to 15 temper"),
}


@pytest.mark.in_turn(5)
@pytest.mark.parametrize("name", COSINES)
def test_the_form_of_cosines_is_named(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the report is that of the right temperature: the claimed scheme, or nothing, and no other margins."""
    monkeypatch.setattr(module, "frameworks", lambda: {"mine": COMPLEX})
    change, temperature, kind, said = COSINES[name]
    options: dict[str, Any] = {
        "prior": PRIOR, "claim": claim(m=3), "temperature": temperature, "positives": [0, 6], "runs": 200,
    }  # fmt: skip
    # Each kind once with gradients: the form is probed by values.
    for framework in ("mine", "numpy") if name in ("another temperature", "halved", "pairs") else ("numpy",):
        report = il.audit(adapted(_changed(change), {"framework": framework}, n=4), rng=seed, **options)
        assert report.verdict == "refuted", str(report)
        assert [flaw.kind for flaw in report.flaws] == [kind], str(report)
        assert said in report.flaws[0].sentence
        assert said in " ".join(report.explain().split())
        if kind == "another form" or framework == "numpy":
            assert (report.nearest, report.comparisons) == (None, ())
        else:
            assert str(report.nearest) == "weights of 1, within-batch sampling, m = 3, hits kept", str(report)
            assert report.failures == []


def _sigmoid(scale: float = 10.0, bias: float = 0.0, pays: float = 1.0, also: float = 0.0) -> Callable[..., Any]:
    """A term for each item; the loss of a row is the sum over all items."""

    def loss(q: Any, i: Any, y: Any) -> Any:
        logits = scale * unit(q) @ unit(i).T + bias
        own = np.eye(len(logits))
        terms = own * pays * np.log(1 + np.exp(-logits)) + (1 - own) * np.log(1 + np.exp(logits))
        return terms.sum(axis=1) + also * logits.sum(axis=1) ** 2

    return loss


def _of_the_hardest(q: Any, i: Any, y: Any) -> Any:
    logits = 10 * unit(q) @ unit(i).T
    others = np.where(y[:, None] == y, -1e9 + 0 * logits, logits)  # without hits, which move with the positive
    return np.log(1 + np.exp(-np.diag(logits))) + np.log(1 + np.exp(_hardest(others)))


@pytest.mark.in_turn(4)
@pytest.mark.parametrize(
    ("loss", "shift", "said"),
    [
        (_sigmoid(), 0.0, ""),
        (_sigmoid(bias=-10.0), -10.0, ""),
        (_sigmoid(pays=3.0), 0.0, "positive pays β = 3 times"),
        (_sigmoid(pays=3.0, bias=-10.0), -10.0, "positive pays β = 3 times"),
        (_sigmoid(scale=20.0), 0.0, "temperature of 0.05 divides the scores, and not 0.1"),
        (_sigmoid(bias=-10.0), 0.0, "is there a shift=?"),
        (_sigmoid(also=0.01), 0.0, "not of the logistic form"),
        (_of_the_hardest, 0.0, "not of the logistic form"),
    ],
    ids=[
        "right",
        "with a bias",
        "gBCE",
        "gBCE with a bias",
        "scale",
        "bias not said",
        "another sum",
        "the hardest alone",
    ],
)
def test_binary_losses_of_cosines(
    loss: Any, shift: float, said: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form of a sum over labels is probed as far as cosines go."""
    monkeypatch.setattr(module, "frameworks", lambda: {"mine": COMPLEX})
    # Where nothing is said of margins, gradients are of no use.
    framework = "numpy" if "logistic form" in said or "shift" in said else "mine"
    report = il.audit(
        adapted(loss, {"framework": framework}, n=4), prior=PRIOR, claim=claim(m=3), rng=seed, form="logistic",
        temperature=0.1, shift=shift, positives=[0], resolution=1.0, runs=1_000,
    )  # fmt: skip
    assert (report.verdict == "holds") == (not said), str(report)
    assert said in " ".join(report.explain().split())
    assert bool(said) == bool(report.flaws)
    if not said:
        assert "its form was probed up to 7.5 temperatures" in " ".join(str(report).split())


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"reduction": "median"}, "reduction must be 'none', 'mean' or 'sum', got 'median'"),
        ({"symmetric": 1}, "symmetric must be True or False, got 1"),
        ({"two_views": 1}, "two_views must be True or False, got 1"),
        ({"negatives": -1}, "negatives, the further items of an example, must be a whole number >= 0, got -1"),
        ({"warmup": 0.5}, "warmup, the number of batches before each example, must be a whole number >= 0, got 0.5"),
        ({"warmup": 1, "given": "logits"}, "warmup fills a queue of items, which a loss of logits does not have"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        adapted(plain, options)


@pytest.mark.parametrize(
    ("loss", "options", "sentence"),
    [
        (mean(plain), {}, r"one number for each of 6 examples, got shape \(\); if .* pass reduction='mean' or 'sum'"),
        (lambda q, i, y: plain(q, i, y)[:, None], {}, r"got shape \(6, 1\); return losses\[:, 0\]"),
        (lambda q, i, y: q @ i.T, {}, r"got shape \(6, 6\): these may be logits"),
        (lambda q, i, y: None, {}, r"for each of 6 examples, got NoneType"),
        (plain, {"reduction": "mean"}, r"with reduction='mean' .* must return one number, got shape \(6,\)"),
        (
            mean(lambda q, i, y: diagonal(q, i, y, np.log(Q[y]))),
            {"reduction": "mean"},
            r"far above all others must be the same, got \d+\.\d+ and \d",
        ),
        (
            lambda q, i, y: both(unit(q), unit(i), y),
            {"symmetric": True},
            "which cosines cannot do: give the loss a dot",
        ),
    ],
)
def test_losses_that_cannot_be_asked(loss: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as error:
        adapted(loss, options)(np.zeros((2, PRIOR.n_labels)), np.array([0, 1]), np.random.default_rng(0))
    assert len(str(error.value)) <= 300


@pytest.mark.parametrize(
    ("loss", "options", "sentence"),
    [
        (lambda q, i: 0, {}, r"take \(queries, items, labels\), but <lambda> takes \(q, i\): .*loss\(queries, items\)"),
        (lambda q, i, n, y: 0, {}, r"but <lambda> takes \(q, i, n, y\): .*loss\(queries, items, labels, \.\.\.\)"),
        (lambda q, i, y: 0, {"given": "logits"}, r"take \(logits, labels\), but .* or other given= and negatives="),
        (lambda q, i, y: 0, {"negatives": 2}, r"take \(queries, items, negatives, labels\), but"),
    ],
)
def test_a_loss_of_other_arguments_is_refused_when_it_is_adapted(loss: Any, options: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        adapted(loss, options)
    il.adapters.in_batch(lambda *given: 0, PRIOR, N)


class Growing:
    """A queue of the items of one earlier batch, which are negatives too."""

    def __init__(self) -> None:
        self.items: Any = None
        self.asked = self.emptied = 0

    def __call__(self, q: Any, i: Any, y: Any) -> Any:
        self.asked += 1
        found = entropy(q @ (i if self.items is None else np.concatenate([i, self.items])).T)
        self.items = i
        return found

    def clear(self) -> None:
        self.emptied += 1
        self.items = None


def test_what_a_loss_remembers_is_put_back_before_each_batch(seed: int) -> None:
    """Batches of one call of the audit follow each other: a queue that is emptied once a call has items of the last."""
    queue = Growing()
    report = il.audit(
        il.adapters.in_batch(queue, PRIOR, N, warmup=1), claim=claim(m=2 * N - 1), prior=PRIOR, rng=seed,
        reset=queue.clear, **COARSE,
    )  # fmt: skip
    assert report.verdict == "holds", str(report)
    empty = Growing()
    adapted = il.adapters.in_batch(empty, PRIOR, N)
    report = il.audit(adapted, claim=claim(), prior=PRIOR, rng=seed, reset=empty.clear, **COARSE)
    assert report.verdict == "holds", str(report)
    assert empty.emptied >= empty.asked


def test_what_a_loss_remembers_is_put_back_before_each_example(seed: int) -> None:
    """A loss that doubles with each call is one that is asked once after each reset."""
    factor = [1.0]

    def mean(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        factor[0] *= 2
        return factor[0] / 2 * entropy(scores, positive).mean()

    def reset() -> None:
        factor[0] = 1.0

    report = il.audit(il.adapters.one_by_one(mean), claim="full", prior=PRIOR, rng=seed, reset=reset, runs=32)
    assert report.verdict == "holds", str(report)


def test_a_loss_of_jax_that_draws_nothing_needs_no_key(seed: int) -> None:
    jax = pytest.importorskip("jax")

    def loss(queries: Any, items: Any, labels: Any) -> Any:
        logits = queries @ items.T
        return jax.nn.logsumexp(logits, axis=1) - jax.numpy.diag(logits)

    prior = il.LabelPrior.zipf(20, 1.0)
    claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=7, hits="keep")
    for with_key in (loss, lambda queries, items, labels, key: loss(queries, items, labels)):
        adapted = il.adapters.in_batch(with_key, prior, 8, framework="jax")
        report = il.audit(adapted, claim=claim, prior=prior, positives=[0], rng=seed, budget="quick")
        assert report.verdict == "holds", str(report)


@pytest.mark.in_turn(1)
@pytest.mark.parametrize("pooled", [True, False])
def test_mined_negatives_of_all_rows_are_seen(pooled: bool, seed: int) -> None:
    """A loss whose rows all have the mined negatives of the batch, where a row's own are said to count."""
    n, k, prior = 6, 2, il.LabelPrior.zipf(12, 1.0)

    def loss(queries: Any, items: Any, mined: Any, labels: Any) -> Any:
        own = np.einsum("nd,nkd->nk", queries, mined.reshape(n, k, -1))
        logits = np.concatenate([queries @ items.T, queries @ mined.T if pooled else own], axis=1)
        return np.logaddexp.reduce(logits, axis=1) - np.diag(logits)

    adapted = il.adapters.in_batch(loss, prior, n, negatives=k)
    for m in (n - 1 + k, n - 1 + n * k):
        claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=m, hits="keep")
        report = il.audit(adapted, claim=claim, prior=prior, positives=[0, 8], rng=seed, budget="quick")
        is_true = m == (n - 1 + n * k if pooled else n - 1 + k)
        assert report.verdict == ("holds" if is_true else "refuted"), str(report)
        assert ("mined negatives of all rows pooled?" in " ".join(str(report).split())) == (pooled and not is_true)


def test_the_adapter_and_the_audit_have_one_prior() -> None:
    """Else batches are drawn from one prior, and judged by the other."""
    adapted_loss = il.adapters.in_batch(plain, PRIOR, N)
    for other in (LabelPrior.zipf(7, 1.5), LabelPrior.zipf(9, 1.0)):
        with pytest.raises(ValueError, match=f"adapted for another prior, of 7 labels, .* one of {other.n_labels}"):
            il.audit(adapted_loss, prior=other, claim=claim())
    assert il.audit(adapted_loss, prior=LabelPrior.from_probabilities(Q), claim=claim(), rng=0, **COARSE).ok
