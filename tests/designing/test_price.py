"""What the draws of one example cost, against every run written out, and against counts by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import implicitloss as il

S, W = il.samplers, il.weightings
SOFTMAX = il.losses.SoftmaxCrossEntropy()
PRIOR = il.LabelPrior.from_counts([8, 4, 3, 2, 1])


@pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])
@pytest.mark.parametrize("hard", [None, il.HardNegatives(k=2, overlap="exclude")], ids=["draws", "kept"])
def test_bias_and_variance_by_enumeration(hard: Any, hits: Any, rng: np.random.Generator) -> None:
    problem = il.Problem(rng.normal(0, 2, 5), PRIOR, 1)
    scheme = il.Scheme(S.WithinBatch(), W.Importance(), m=3, hits=hits, hard=hard)
    found = il.price(scheme, SOFTMAX, problem)
    bound = float(il.implicit_loss(scheme, SOFTMAX, problem))
    assert found.bias == pytest.approx(float(il.exhaust(scheme, SOFTMAX, problem)) - bound, rel=1e-8)
    assert found.bias < 0
    assert found.variance == pytest.approx(float(il.exhaust(scheme, SOFTMAX, problem, "variance")), rel=1e-8)
    assert found.rmse == pytest.approx(np.sqrt(found.bias**2 + found.variance), rel=1e-12)
    assert found.to_dict()["rmse"] == found.rmse


def test_chi_square_and_v_by_hand(rng: np.random.Generator) -> None:
    """With importance weights and hits excluded, of labels other than y; the minimum-variance sampler has none."""
    f, y = rng.normal(0, 2, 5), 1
    problem = il.Problem(f, PRIOR, y)
    others = np.arange(5) != y
    q = PRIOR.probabilities[others] / PRIOR.probabilities[others].sum()
    full = np.exp(f[others]) / np.exp(f[others]).sum()
    found = il.price(il.Scheme(S.WithinBatch(), W.Importance(), m=3, hits="exclude"), SOFTMAX, problem)
    chi2 = float((full**2 / q).sum() - 1)
    assert found.chi2 == pytest.approx(chi2, rel=1e-12)
    share = np.exp(f[others]).sum() / np.exp(f).sum()
    assert found.v == pytest.approx(chi2 * share**2, rel=1e-12)
    best = il.price(il.Scheme(S.MinimumVariance(), W.Importance(), m=3, hits="exclude"), SOFTMAX, problem)
    assert best.chi2 == pytest.approx(0.0, abs=1e-12)
    assert best.variance == pytest.approx(0.0, abs=1e-12)


def test_a_large_m_is_that_of_the_expansion(rng: np.random.Generator) -> None:
    problem = il.Problem(rng.normal(0, 1, 5), PRIOR, 1)
    found = il.price(il.Scheme(S.Uniform(), W.Importance(), m=4096, hits="exclude"), SOFTMAX, problem)
    assert found.bias == pytest.approx(-found.v / 2 / 4096, rel=0.01)
    assert found.variance == pytest.approx(found.v / 4096, rel=0.01)


def test_costs_by_hand(rng: np.random.Generator) -> None:
    """40 labels, d = 6, m = 10: the positive, the draws, kept labels, and what a sampler takes."""
    w, h = rng.normal(size=(40, 6)), rng.normal(size=6)
    index = il.index.Clusters.fit(w, k=5)
    n = index.sizes.size
    problem = il.Problem(w @ h, il.LabelPrior.zipf(40, 1.0), 3)

    def cost(sampler: Any, hard: Any = None) -> tuple[float, int]:
        scheme = il.Scheme(sampler, W.Importance(), m=10, hits="exclude", hard=hard)
        found = il.price(scheme, SOFTMAX, problem, dimension=6)
        assert found.share == found.multiply_adds / 240
        return found.multiply_adds, found.random_rows

    assert cost(S.Uniform()) == (66, 11)
    assert cost(S.ModelBased()) == (66 + 240, 11)
    assert cost(S.HardestOf(3)) == (66 + 180, 11)
    assert cost(S.Mixture(0.5, S.WithinBatch(), S.ModelBased())) == (66 + 240, 11)
    assert cost(S.QuadraticKernel()) == (pytest.approx(66 + 10 * 36 * np.log2(40 / 6)), 11)
    assert cost(S.Clustered(index, h)) == (66 + 6 * n, 11)
    assert cost(S.Uniform(), il.HardNegatives(k=4)) == (66 + 24, 15)
    kept = il.HardNegatives(clusters=1, overlap="exclude", of=index, query=h)
    n_kept = kept.labels(problem).size
    assert cost(S.Clustered(index, h), kept) == (66 + 6 * n + 6 * n_kept, 11)
    alone = il.price(il.Scheme(S.Clustered(index, h), W.Importance(), m=10, hits="exclude"), SOFTMAX, problem)
    assert alone.multiply_adds == 66 + 6 * n  # the query says d
    blind = il.price(il.Scheme(S.Uniform(), W.Importance(), m=10, hits="exclude"), SOFTMAX, problem)
    assert (blind.multiply_adds, blind.share) == (11, 11 / 40)


def test_what_has_no_price() -> None:
    problem = il.Problem(np.zeros(5), PRIOR, 1)
    different = il.Scheme(S.Uniform(), W.Importance(), m=3, hits="exclude", draws="distinct")
    with pytest.raises(ValueError, match="a price"):
        il.price(different, SOFTMAX, problem)
    with pytest.raises(ValueError, match="the dimension must be"):
        il.price(il.Scheme(S.Uniform(), W.Importance(), m=3, hits="exclude"), SOFTMAX, problem, dimension=0)
