"""Indexes of labels: exact and approximate searches, recall, and what becomes of the labels that they return."""

from __future__ import annotations

import math
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.index import exact

SOFTMAX = il.losses.SoftmaxCrossEntropy()


def by_hand(vectors: Any, queries: Any, k: int) -> list[list[int]]:
    """The k best labels from whole numbers alone, the smaller of equal products first."""
    found = []
    for query in queries.tolist():
        products = [sum(int(a) * int(b) for a, b in zip(query, vector, strict=True)) for vector in vectors.tolist()]
        best = sorted(range(len(products)), key=lambda label: (-products[label], label))[:k]
        found.append(best + [-1] * (k - len(best)))
    return found


# --- exact ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_labels", [1, 5, 700])
@pytest.mark.parametrize("block", [exact.BLOCK, 64])
def test_the_best_labels_are_those_by_hand(
    n_labels: int, block: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many products are equal; searches in many blocks, and of more labels than there are."""
    monkeypatch.setattr(exact, "BLOCK", block)
    vectors, queries = rng.integers(-3, 4, size=(n_labels, 3)), rng.integers(-3, 4, size=(9, 3))
    index = il.index.Exact(vectors)
    for k in (1, 2, 7, 11, n_labels, n_labels + 2):
        found = index.search(queries, k)
        assert found.dtype == np.intp
        assert found.tolist() == by_hand(vectors, queries, k)


def test_equal_vectors_are_in_the_order_of_their_labels(rng: np.random.Generator) -> None:
    """A matrix product may round them apart; the order must not follow its last digits."""
    some = rng.normal(size=(333, 7))
    index = il.index.Exact(np.concatenate([some, some, some]))
    for queries in (rng.normal(size=(1, 7)), rng.normal(size=(50, 7))):
        found = index.search(queries, 30).reshape(len(queries), 10, 3)
        assert np.array_equal(found, found[:, :, :1] + [0, 333, 666])


def test_candidates_beyond_the_rounding_of_a_product_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: the margin of candidates is 0, and a product that a matrix product rounds down is lost."""
    vectors = np.ones((640, 3))
    index = il.index.Exact(vectors)
    products = vectors @ np.ones(3)
    products[1:] -= 4e-16  # as a matrix product might
    products[:: exact.STRIDE] = 3.0
    assert index._best(np.ones(3), products, 2, 1e-14).tolist() == [0, 1]
    assert index._best(np.ones(3), products, 2, 0.0).tolist() == [0, 64]


def test_memory_is_bounded(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """All products of 400 queries and 20,000 labels take 64 MB; a search here, a few of its blocks of 1 MB."""
    monkeypatch.setattr(exact, "BLOCK", 1 << 17)
    index, queries = il.index.Exact(rng.normal(size=(20_000, 4))), rng.normal(size=(400, 4))
    tracemalloc.start()
    found = index.search(queries, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6
    assert found.min() >= 0


def test_an_index_is_a_copy(rng: np.random.Generator) -> None:
    """It does not move with the vectors that it was made of."""
    vectors, queries = rng.normal(size=(30, 4)), rng.normal(size=(5, 4))
    index = il.index.Exact(vectors)
    before = index.search(queries, 3)
    vectors *= -1
    assert np.array_equal(index.search(queries, 3), before)
    with pytest.raises(ValueError, match="read-only"):
        index.vectors[0] = 0.0


@pytest.mark.parametrize(
    ("vectors", "sentence"),
    [
        (np.empty((0, 3)), r"must be a matrix \(L, d\) with L, d >= 1, got shape \(0, 3\)"),
        (np.empty((3, 0)), r"must be a matrix \(L, d\) with L, d >= 1, got shape \(3, 0\)"),
        ([1.0, 2.0], r"must be a matrix \(n, d\), got shape \(2,\)"),
        ([[1.0, math.nan]], "must be finite and within ±1e.150, but row 0 has nan"),
        ([[1.0, 2.0], [math.inf, 0.0]], "must be finite and within ±1e.150, but row 1 has inf"),
        ([[1e200, 0.0]], "must be finite and within ±1e.150, but row 0 has 1e.200"),
        ([["a", "b"]], "must be numbers, got"),
        ([[1.0], [1.0, 2.0]], "must be numbers, got"),
        (None, "must be numbers, got None"),
    ],
)
def test_bad_vectors(vectors: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^the vectors of an index {sentence}") as error:
        il.index.Exact(vectors)
    assert len(str(error.value)) <= 300


@pytest.mark.parametrize(
    ("queries", "k", "sentence"),
    [
        ([[1.0, 2.0, 3.0]], 1, "^queries must have the index's dimension 2, got 3$"),
        ([1.0, 2.0], 1, r"^queries must be a matrix \(n, d\), got shape \(2,\)$"),
        ([[1.0, math.nan]], 1, "^queries must be finite and within .* row 0 has nan$"),
        ([[1.0, 2.0]], 0, "^k, the number of labels to return, must be a whole number >= 1, got 0$"),
        ([[1.0, 2.0]], 1.5, "^k, the number of labels to return, must be a whole number >= 1, got 1.5$"),
        ([[1.0, 2.0]], None, "^k, the number of labels to return, must be a whole number >= 1, got None$"),
        (
            [[1.0, 2.0]],
            10**12,
            "^a search returns at most 268,435,456 labels, got k = 1,000,000,000,000 for 1 queries$",
        ),
    ],
)
def test_bad_searches(queries: Any, k: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        il.index.Exact([[1.0, 0.0], [0.0, 1.0]]).search(queries, k)


def test_no_queries_find_nothing() -> None:
    assert il.index.Exact([[1.0, 0.0]]).search(np.empty((0, 2)), 3).shape == (0, 3)


# --- Faiss ----------------------------------------------------------------------------------------------------------


def test_a_missing_faiss_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(
        ValueError, match=r"^il.index.Faiss needs faiss: pip install 'implicitloss\[index\]' \("
    ) as error:
        il.index.Faiss([[1.0, 0.0]], nlist=1, nprobe=1)
    assert len(str(error.value)) <= 300


@pytest.fixture
def faiss() -> Any:
    return pytest.importorskip("faiss")


def test_all_cells_miss_nothing(faiss: Any, rng: np.random.Generator) -> None:
    """Whole numbers are exact in single precision; of equal products any may be the last, so that all are asked for."""
    vectors, queries = rng.integers(-3, 4, size=(60, 3)), rng.integers(-3, 4, size=(9, 3))
    index = il.index.Faiss(vectors, nlist=6, nprobe=6)
    assert index.search(queries, 60).tolist() == by_hand(vectors, queries, 60)
    assert index.search(queries, 62).tolist() == by_hand(vectors, queries, 62)
    assert index.recall(queries, 60) == index.recall(queries, 1000) == 1.0
    apart = il.index.Faiss(rng.normal(size=(300, 5)), nlist=9, nprobe=9)
    assert apart.recall(rng.normal(size=(20, 5)), 4) == 1.0
    assert apart.search(np.empty((0, 5)), 3).shape == (0, 3)


def test_few_cells_leave_slots_empty(faiss: Any, rng: np.random.Generator) -> None:
    """Each query sees the labels of one cell, best first; the recall is counted label by label."""
    vectors, queries = rng.normal(size=(200, 6)), rng.normal(size=(25, 6))
    index, k = il.index.Faiss(vectors, nlist=20, nprobe=1), 12
    found, true = index.search(queries, k), il.index.Exact(vectors).search(queries, k)
    assert found.dtype == np.intp
    empty = found == -1
    assert empty.any()
    assert not (empty[:, :-1] & ~empty[:, 1:]).any(), "empty slots come last"
    for row, query in zip(found, queries, strict=True):
        seen = row[row >= 0]
        assert np.all(np.diff(vectors[seen] @ query) <= 0)
        assert len(set(seen.tolist())) == seen.size
    shares = [len(set(a.tolist()) & set(b.tolist()) - {-1}) / k for a, b in zip(found, true, strict=True)]
    assert index.recall(queries, k) == pytest.approx(np.mean(shares), rel=1e-14)
    assert 0.1 < index.recall(queries, k) < il.index.Faiss(vectors, nlist=20, nprobe=10).recall(queries, k)


def test_empty_slots_are_never_recalled(faiss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last labels are the best ones, and an empty slot is none of them, of this query or of the one before."""
    index = il.index.Faiss(np.arange(6.0)[:, None], nlist=1, nprobe=1)
    for found, recall in (
        ([[5, 4], [4, 5]], 1.0),
        ([[4, -1], [5, 4]], 0.75),
        ([[4, -1], [-1, -1]], 0.25),
        ([[-1, -1], [-1, -1]], 0.0),
    ):
        monkeypatch.setattr(il.index.Faiss, "search", lambda self, queries, k, found=found: np.array(found))
        assert index.recall([[1.0], [2.0]], 2) == recall


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"nlist": 0, "nprobe": 1}, "^nlist, the number of cells, must be a whole number >= 1, got 0$"),
        ({"nlist": 5, "nprobe": 1}, "^nlist, the number of cells, must be at most 4, got 5$"),
        ({"nlist": 2.5, "nprobe": 1}, "^nlist, the number of cells, must be a whole number >= 1, got 2.5$"),
        ({"nlist": 2, "nprobe": 0}, "^nprobe, the number of cells that a query looks at, must be a whole number >= 1"),
        ({"nlist": 2, "nprobe": 3}, "^nprobe, the number of cells that a query looks at, must be at most 2, got 3$"),
    ],
)
def test_bad_cells(cells: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        il.index.Faiss(np.eye(4), **cells)


def test_bad_faiss(faiss: Any) -> None:
    for vectors, sentence in (
        (np.empty((0, 2)), "got shape"),
        ([[1e20, 0.0]], "within ±1e.15, but row 0 has 1e.20"),
        ([[math.nan, 0.0]], "row 0 has nan"),
    ):
        with pytest.raises(ValueError, match=sentence):
            il.index.Faiss(vectors, nlist=1, nprobe=1)
    index = il.index.Faiss(np.eye(3), nlist=1, nprobe=1)
    for queries, k, sentence in (
        ([[1.0, 2.0]], 1, "dimension 3, got 2"),
        ([[1.0, 2.0, math.inf]], 1, "row 0 has inf"),
        ([[1.0, 2.0, 3.0]], 0, "whole number >= 1, got 0"),
        (np.empty((0, 3)), 1, "^a recall needs at least one query, got none$"),
    ):
        with pytest.raises(ValueError, match=sentence):
            index.recall(queries, k)


# --- what becomes of the labels -------------------------------------------------------------------------------------


def test_a_search_goes_straight_into_a_minibatch(rng: np.random.Generator) -> None:
    """An index that knows 4 of 7 labels and is asked for 6: two slots are empty, and are not the last label.

    Mutant: an empty slot is the last label, as an array's index would have it.
    """
    w, x, y = rng.normal(size=(7, 3)), rng.normal(size=(5, 3)), np.array([0, 6, 5, 1, 6])
    labels, scores = il.index.Exact(w[:4]).search(x, 6), x @ w.T
    assert (labels[:, 4:] == -1).all()
    prior = il.LabelPrior.from_counts(np.ones(7))
    for overlap in ("keep", "mask", "exclude"):
        hard = il.HardNegatives(k=6, overlap=overlap)  # type: ignore[arg-type]
        scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Importance(), m=4, hits="mask", hard=hard)
        minibatch = il.Minibatch(scheme, SOFTMAX, prior)
        found = minibatch(scores, y, 1, hard=labels)
        without, mutant = (
            minibatch(scores, y, 1, hard=given)
            for given in (labels[:, :4], np.where(labels[:, :5] < 0, 6, labels[:, :5]))
        )
        for one, other, wrong in zip(found, without, mutant, strict=True):
            assert np.allclose(one, other, rtol=1e-13)
            assert not np.allclose(one, wrong, rtol=1e-3)
        for row, label, f in zip(labels, y, scores, strict=True):
            at = il.Problem(f, prior, label, labels=row)
            assert set(hard.labels(at).tolist()) == {0, 1, 2, 3} - {label}
            if overlap != "keep":  # p = 1: the implicit loss is softmax over all labels
                full = math.log(sum(math.exp(v - f[label]) for v in f.tolist()))
                assert float(il.implicit_loss(scheme, SOFTMAX, at)) == pytest.approx(full, rel=1e-13)


def test_weights_are_right_for_what_faiss_misses(faiss: Any, rng: np.random.Generator) -> None:
    """Empty slots and missed labels: the implicit loss is that of softmax over all labels for every row returned."""
    w, x = rng.normal(size=(40, 4)), rng.normal(size=(12, 4))
    index, prior = il.index.Faiss(w, nlist=10, nprobe=1), il.LabelPrior.zipf(40, 1.0)
    labels, scores, y = index.search(x, 6), x @ w.T, rng.integers(40, size=12)
    assert (labels == -1).any()
    assert index.recall(x, 6) < 0.9
    for sampler, hits, overlap in (
        (il.samplers.Uniform(), "exclude", "exclude"),
        (il.samplers.WithinBatch(), "mask", "mask"),
        (il.samplers.HardestOf(3), "exclude", "mask"),
    ):
        hard = il.HardNegatives(k=6, overlap=overlap)  # type: ignore[arg-type]
        scheme = il.Scheme(sampler, il.weightings.Importance(), m=3, hits=hits, hard=hard)  # type: ignore[arg-type]
        losses, gradient = il.Minibatch(scheme, SOFTMAX, prior)(scores, y, rng, hard=labels)
        assert np.isfinite(losses).all()
        assert gradient.shape == scores.shape
        for row, label, f in zip(labels, y, scores, strict=True):
            at = il.Problem(f, prior, int(label), labels=row)
            full = math.log(np.exp(f - f[label]).sum())
            assert float(il.implicit_loss(scheme, SOFTMAX, at)) == pytest.approx(full, rel=1e-12)
