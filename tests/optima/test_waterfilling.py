"""What hard negatives teach: closed forms, an independent minimiser, and the mean gradient under a fresh index."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

import implicitloss as il
from implicitloss.labels import Floats
from implicitloss.optima.newton import NoOptimum

LOGISTIC, SOFTMAX = il.losses.Decoupled(il.losses.logistic), il.losses.SoftmaxCrossEntropy()
L, M, K = 12, 3, 4
PRIOR = il.LabelPrior.from_counts([40, 30, 20, 16, 12, 10, 8, 6, 5, 4, 2, 1])
ETA = np.array([0.3, 0.18, 0.12, 0.09, 0.07, 0.06, 0.05, 0.04, 0.035, 0.025, 0.02, 0.01])


def scheme(sampler: Any = None, weighting: Any = None, hits: Any = "mask", m: int = M, **hard: Any) -> il.Scheme:
    return il.Scheme(
        sampler or il.samplers.Uniform(),
        weighting or il.weightings.Unit(),
        m=m,
        hits=hits,
        hard=il.HardNegatives(**{"k": K, **hard}),
    )


@pytest.mark.parametrize(("k", "m", "ranks"), [(50, 50, (17, 328)), (5, 95, (3, 21))])
def test_the_plateau_of_a_thousand_labels(k: int, m: int, ranks: tuple[int, int]) -> None:
    """The closed form, with odds and inclusion written once more; and its own condition Σ r = k."""
    n = 1000
    eta = 0.6 / np.arange(1, n + 1)
    found = il.waterfilling(scheme(m=m, k=k), LOGISTIC, eta, il.LabelPrior.zipf(n, 0.0))
    odds, p, c = eta / (1 - eta), m / n, found.level
    r = np.clip(odds * np.exp(-c) - p, 0, 1)
    assert r.sum() == pytest.approx(k, rel=1e-10)
    np.testing.assert_allclose(found.inclusion, r, atol=1e-12)
    np.testing.assert_allclose(found.scores, logit(eta) - np.log(p + r), atol=1e-12)
    np.testing.assert_allclose(found.scores[found.tied], c, atol=1e-12)
    assert (found.tied[0] + 1, found.tied[-1] + 1) == ranks
    # Odds of tied labels lie within (1 + p)/p of each other: no label beyond either end is tied.
    assert odds[found.tied[0]] / odds[found.tied[-1]] <= (1 + p) / p


def in_t(f: Floats, k: int, positives: str) -> Floats:
    """1[j ∈ T] for each positive, (L, L), by the definition."""
    found = np.zeros((f.size, f.size))
    order = np.argsort(-f, kind="stable")
    for y in range(f.size):
        best = order[:k] if positives == "drop" else order[: k + 1]
        found[y, best[best != y][:k]] = 1
    return found


def margins_at(f: Floats, at: il.Scheme) -> Floats:
    """p_yy' (L, L) beside T, by the definition: laws and weights of the draws are written here once more."""
    assert at.hard is not None
    hard = in_t(f, at.hard.k, at.hard.positives)
    q = np.full(f.size, 1 / f.size) if isinstance(at.sampler, il.samplers.Uniform) else PRIOR.probabilities
    law = np.tile(q, (f.size, 1))
    if at.hits == "exclude":
        np.fill_diagonal(law, 0.0)
    if at.hard.overlap == "exclude":
        law *= 1 - hard
    law = law / law.sum(axis=1, keepdims=True) if (law == 0).any() else law
    counts = np.where(law > 0, 1.0, 0.0) if isinstance(at.weighting, il.weightings.Importance) else at.m * law
    if at.hard.overlap == "mask":
        counts = counts * (1 - hard)
    if at.hits == "mask":
        counts = counts * (1 - np.eye(f.size))
    return np.asarray(counts + at.hard.weight * hard)


def settled(at: il.Scheme, eta: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Time averages of scores and of P(j ∈ top k), by steps along the mean gradient with T of the last scores.

    Steps are larger for rare labels; where the mean gradient is 0 does not depend on that.
    """
    assert at.hard is not None
    f, sums, shares, n = start.copy(), np.zeros(L), np.zeros(L), 0.0
    for t in range(6_000):
        step = 0.2 / (1 + t / 30)
        p = margins_at(f, at)
        kept = np.diag(p).copy()
        np.fill_diagonal(p, 0.0)
        f -= step / np.maximum(eta, 0.03) * ((eta @ p + eta * kept) * expit(f) - eta * expit(-f))
        if t >= 2_000:
            sums += step * f
            top = np.zeros(L)
            top[np.argsort(-f, kind="stable")[: at.hard.k]] = 1
            shares += step * top
            n += step
    return sums / n, shares / n


SCHEMES = {
    "kept": scheme(),
    "masked, weight 2": scheme(weight=2.0, overlap="mask"),
    "in-batch, hits kept": scheme(il.samplers.WithinBatch(), hits="keep", m=2),
    "importance, weight 3, excluded": scheme(
        il.samplers.WithinBatch(), il.weightings.Importance(), "exclude", weight=3.0, overlap="exclude"
    ),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_the_mean_gradient_comes_to_rest_there(name: str) -> None:
    """Within a hundredth; hard negatives that weigh a third more are farther off."""
    at = SCHEMES[name]
    found = il.waterfilling(at, LOGISTIC, ETA, PRIOR)
    scores, inclusion = settled(at, ETA, logit(ETA))
    assert found.tied.size >= 2
    np.testing.assert_allclose(scores, found.scores, atol=0.01)
    np.testing.assert_allclose(inclusion, found.inclusion, atol=0.02)
    assert at.hard is not None
    heavier = replace(at, hard=replace(at.hard, weight=1.3 * at.hard.weight))
    wrong = il.waterfilling(heavier, LOGISTIC, ETA, PRIOR)
    assert np.abs(scores - wrong.scores).max() > 0.05


def test_replaced_positives_have_a_convex_loss_and_this_is_its_minimum() -> None:
    """Against SLSQP on Σ_y η_y (φ(f_y) + p Σ_{j≠y} ϕ + the sum of the k largest ϕ beside y); dropped is no minimum."""
    eta, k = np.array([0.3, 0.25, 0.2, 0.15, 0.1]), 2
    prior = il.LabelPrior.zipf(5, 0.0)
    at = il.Scheme(
        il.samplers.Uniform(), il.weightings.Unit(), m=1, hits="mask", hard=il.HardNegatives(k, positives="replace")
    )

    def value(f: Floats) -> float:
        pays = np.logaddexp(0, f)
        total = 0.0
        for y in range(5):
            others = np.delete(pays, y)
            total += eta[y] * (np.logaddexp(0, -f[y]) + 0.2 * others.sum() + np.sort(others)[-k:].sum())
        return total

    def epigraph(x: Floats) -> float:
        """Σ_y η_y (k t_y + Σ s_yj), where s_yj >= ϕ(f_j) - t_y and s_yj >= 0."""
        f, t, s = x[:5], x[5:10], x[10:].reshape(5, 5)
        pays = np.logaddexp(0, f)
        return float(eta @ (np.logaddexp(0, -f) + 0.2 * (pays.sum() - pays) + k * t + s.sum(axis=1)))

    def slack(x: Floats) -> Floats:
        pays = np.logaddexp(0, x[:5])
        over = x[10:].reshape(5, 5) - pays + x[5:10, None]
        return over[~np.eye(5, dtype=bool)]

    start = np.concatenate([np.zeros(5), np.full(5, 0.7), np.zeros(25)])
    best = minimize(
        epigraph, start, method="SLSQP", bounds=[(-9, 9)] * 10 + [(0, 9)] * 25,
        constraints={"type": "ineq", "fun": slack}, options={"maxiter": 500, "ftol": 1e-13},
    )  # fmt: skip
    found = il.waterfilling(at, LOGISTIC, eta, prior)
    assert value(found.scores) == pytest.approx(best.fun, abs=1e-8)
    np.testing.assert_allclose(found.scores, best.x[:5], atol=2e-3)
    assert found.inclusion @ (1 - eta) == pytest.approx(k)
    dropped = il.waterfilling(
        il.Scheme(at.sampler, at.weighting, m=1, hits="mask", hard=il.HardNegatives(k)), LOGISTIC, eta, prior
    )
    assert value(dropped.scores) > best.fun + 1e-3


@pytest.mark.parametrize("overlap", ["keep", "mask"])
def test_softmax_beside_hard_negatives(overlap: Any) -> None:
    """The gradient of the implicit loss at the mean margins is 0, and the labels in T fill the k places."""
    at = scheme(hits="mask", overlap=overlap, weight=1.5)
    found = il.waterfilling(at, SOFTMAX, ETA, PRIOR)
    p = M / L
    inside = 1.5 + (p if overlap == "keep" else 0.0)
    b = p + found.inclusion * (inside - p)
    f = found.scores

    def gradient(f: Floats, b: Floats) -> Floats:
        total = np.zeros(L)
        for y in range(L):
            terms = np.where(np.arange(L) == y, 1.0, b) * np.exp(f - f[y])
            total += ETA[y] * (terms / terms.sum() - (np.arange(L) == y))
        return total

    np.testing.assert_allclose(gradient(f, b), 0.0, atol=1e-12)
    assert found.inclusion.sum() == pytest.approx(K, abs=1e-9)
    outside = found.inclusion == 0
    np.testing.assert_allclose(f[found.tied], found.level, atol=1e-10)
    assert np.all(f[outside] < found.level)
    assert np.all(f[found.inclusion == 1] >= found.level - 1e-9)
    assert found.tied.size > 2
    assert np.array_equal(il.population_optimum(at, SOFTMAX, ETA, PRIOR, of="implicit"), f)
    # Another T than that of the scores is no optimum.
    assert np.abs(gradient(f, p + np.roll(found.inclusion, 1) * (inside - p))).max() > 1e-3


def test_softmax_comes_to_rest_nearby() -> None:
    """Steps along the gradient of the implicit loss with T of the last scores: within .02 with k = 4, not equal."""
    at, p = scheme(), M / L
    f, sums, n = np.log(ETA), np.zeros(L), 0.0
    for t in range(6_000):
        step = 0.2 / (1 + t / 30)
        b = p + in_t(f, K, "drop")
        np.fill_diagonal(b, 1.0)
        terms = b * np.exp(f - f[:, None])
        f = f - step / np.maximum(ETA, 0.03) * (ETA @ (terms / terms.sum(axis=1, keepdims=True)) - ETA)
        if t >= 2_000:
            sums, n = sums + step * f, n + step
    rest = sums / n - np.mean(sums / n)
    found = il.waterfilling(at, SOFTMAX, ETA, PRIOR)
    np.testing.assert_allclose(rest, found.scores, atol=0.02)
    # T fixed as the k best is far off.
    fixed = il.population_optimum(replace(at, hard=None), SOFTMAX, ETA, PRIOR, of="implicit")
    assert np.abs(rest - fixed).max() > 0.2


def test_a_label_that_counts_more_than_twice_is_found_or_refused() -> None:
    """With b > 2 another root may be the optimum: what is returned has a gradient of 0, or nothing is."""
    flat, refused = il.LabelPrior.zipf(3, 0.0), 0
    for weight in (1.0, 3.0, 10.0, 30.0):
        for eta in ([0.9, 0.06, 0.04], [0.98, 0.01, 0.01], [0.4, 0.35, 0.25]):
            at = scheme(k=1, m=1, weight=weight)
            try:
                found = il.waterfilling(at, SOFTMAX, eta, flat)
            except NoOptimum:
                refused += 1
                continue
            b = 1 / 3 + found.inclusion * weight
            gradient = -np.array(eta)
            for y in range(3):
                terms = np.where(np.arange(3) == y, 1.0, b) * np.exp(found.scores)
                gradient += eta[y] * terms / terms.sum()
            np.testing.assert_allclose(gradient, 0.0, atol=1e-6)
    assert 0 < refused < 12


def test_where_positives_are_replaced_inclusion_is_beside_others() -> None:
    """With unbiased weights T does not matter: the k best, and the next one beside the positives among them."""
    at = scheme(
        il.samplers.WithinBatch(), il.weightings.Importance(), "exclude", overlap="exclude", positives="replace"
    )
    eta = ETA / ETA.sum()
    found = il.waterfilling(at, LOGISTIC, eta, PRIOR)
    order = np.argsort(-eta)
    assert found.inclusion @ (1 - eta) == pytest.approx(K)
    assert found.inclusion[order[:K]].tolist() == [1.0] * K
    assert found.inclusion[order[K]] == pytest.approx(eta[order[:K]].sum() / (1 - eta[order[K]]))


@pytest.mark.parametrize(("hits", "overlap"), list(itertools.product(("mask", "exclude"), repeat=2)))
def test_unbiased_weights_teach_bayes(hits: Any, overlap: Any) -> None:
    at = scheme(il.samplers.WithinBatch(), il.weightings.Importance(), hits, overlap=overlap)
    for loss, bayes in ((LOGISTIC, logit(ETA)), (SOFTMAX, np.log(ETA) - np.log(ETA).mean())):
        found = il.waterfilling(at, loss, ETA, PRIOR)
        np.testing.assert_allclose(found.scores, bayes, atol=1e-9)
        assert np.array_equal(np.flatnonzero(found.inclusion), np.argsort(-ETA)[:K])
        assert found.tied.size == 0


def test_all_other_labels_are_always_hard() -> None:
    found = il.waterfilling(scheme(k=L - 1, positives="replace"), LOGISTIC, ETA / ETA.sum(), PRIOR)
    np.testing.assert_allclose(found.scores, logit(ETA / ETA.sum()) - np.log(1 + M / L), atol=1e-12)
    assert found.level == -np.inf
    assert found.tied.size == 0


def test_what_has_no_such_optimum_says_so() -> None:
    flat = il.LabelPrior.zipf(L, 0.0)
    for refused, said in (
        (lambda: il.waterfilling(il.Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=1, hits="mask"), LOGISTIC,
                                 ETA, PRIOR), "of a scheme with hard negatives, got a scheme without"),
        (lambda: il.waterfilling(scheme(k=L), LOGISTIC, ETA, PRIOR), f"at most L - 1 = {L - 1}"),
        (lambda: il.waterfilling(scheme(), LOGISTIC, ETA[1:], PRIOR), "must cover the prior's 12 labels, got 11"),
        (lambda: il.waterfilling(scheme(), LOGISTIC, np.where(ETA > 0.2, 1.0, ETA), PRIOR), "label 0 has 1"),
        (lambda: il.waterfilling(scheme(), SOFTMAX, ETA / 2, PRIOR), "eta must sum to 1 for softmax, got 0.5"),
        (lambda: il.waterfilling(scheme(positives="replace"), LOGISTIC, ETA / 2, PRIOR), "where positives are replac"),
        (lambda: il.waterfilling(scheme(hits="keep"), SOFTMAX, ETA, PRIOR), "got hits='keep' and positives='drop'"),
        (lambda: il.waterfilling(scheme(overlap="mask", weight=0.1), LOGISTIC, ETA, flat), "it would stay in T"),
        (lambda: il.waterfilling(scheme(overlap="exclude"), LOGISTIC, ETA, PRIOR), "must divide by their law"),
        (lambda: il.waterfilling(scheme(il.samplers.ModelBased()), LOGISTIC, ETA, PRIOR), "moves with the scores"),
        (lambda: il.waterfilling(scheme(il.samplers.WithinBatch(), hits="exclude"), SOFTMAX, ETA, PRIOR),
         "margins that do not depend on the positive"),
        (lambda: il.population_optimum(scheme(), SOFTMAX, ETA, PRIOR), "pass of='implicit'"),
        (lambda: il.population_optimum(scheme(), LOGISTIC, ETA, PRIOR, of="x"), "of must be"),  # type: ignore[arg-type]
        (lambda: il.waterfilling(scheme(il.samplers.WithinBatch(), overlap="mask", positives="replace", weight=3.0),
                                 LOGISTIC, ETA, PRIOR), "must push all labels alike"),
        (lambda: il.waterfilling(scheme(), il.losses.Decoupled(il.losses.hinge), ETA, PRIOR), "have a kink"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            refused()
