"""Draws of whole clusters: against every list of clusters, label by label, and against draws that are simulated."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.labels import Floats

L, M = 9, 3
LOSS = il.losses.SoftmaxCrossEntropy()
PRIOR = il.LabelPrior.from_counts(np.arange(1.0, L + 1))


@dataclass(frozen=True, eq=False)
class Wrong:
    """Weights of one's own."""

    logs: Floats
    is_eta_over_m = False

    def log_weight(self, draws: il.weightings.Draws) -> Floats:
        return self.logs


def drawn_from(seed: int) -> tuple[il.samplers.Whole, il.Problem]:
    rng = np.random.default_rng([seed, 3])
    w, h = rng.normal(size=(L, 3)), rng.normal(size=3)
    index = il.index.Clusters.fit(w, rng.normal(size=L), k=4, rng=seed)
    return il.samplers.Whole(index, h, 0.2), il.Problem(w @ h + index.biases, PRIOR, 2)


def by_lists(scheme: il.Scheme, problem: il.Problem) -> dict[str, Any]:
    """Moments of the loss and its mean gradient, over every list of m clusters."""
    whole: Any = scheme.sampler
    index, y = whole.index, problem.positive
    law = np.exp(whole.log_cluster_law())
    q, pi = law[index.cluster], PRIOR.probabilities
    w = {
        "Importance()": 1 / (M * q), "Unit()": np.ones(L), "Relative()": q[y] / q, "Tail()": pi / (pi[y] * M * q),
    }[repr(scheme.weighting)]  # fmt: skip
    x = w * np.exp(problem.scores - problem.scores[y])
    if scheme.hits == "mask":
        x[y] = 0.0
    mean, square, gradient = 0.0, 0.0, np.zeros(L)
    bound = np.log1p(float(M * q @ x))
    gap_square = 0.0
    for drawn in product(range(law.size), repeat=M):
        chance = float(np.prod(law[list(drawn)]))
        of_label = np.sum([(index.cluster == c) * x for c in drawn], axis=0)
        loss = np.log1p(of_label.sum())
        slope = of_label / (1 + of_label.sum())
        slope[y] = 0.0
        slope[y] = -slope.sum()
        mean, square = mean + chance * loss, square + chance * loss**2
        gap_square += chance * (loss - bound) ** 2
        gradient += chance * slope
    return {
        "mean": mean, "variance": square - mean**2, "gap": bound - mean, "mse": gap_square, "gradient": gradient,
    }  # fmt: skip


@pytest.mark.parametrize("hits", ["mask", "keep"])
@pytest.mark.parametrize("weighting", ["Importance", "Unit", "Relative", "Tail"])
def test_all_quantities_are_those_of_every_list_of_clusters(weighting: str, hits: Any, seed: int) -> None:
    whole, problem = drawn_from(seed)
    scheme = il.Scheme(whole, getattr(il.weightings, weighting)(), m=M, hits=hits)
    for quantity, expected in by_lists(scheme, problem).items():
        for witness in (il.integrate, il.exhaust):
            found = witness(scheme, LOSS, problem, quantity)  # type: ignore[arg-type]
            np.testing.assert_allclose(found.value, expected, rtol=1e-8, atol=1e-13)
            assert np.all(np.abs(found.value - expected) <= np.asarray(found.error) + 1e-12)


def test_simulated_draws_agree(seed: int) -> None:
    """A wrong number passes within six standard errors with probability 2e-9."""
    whole, problem = drawn_from(seed)
    scheme = il.Scheme(whole, il.weightings.Importance(), m=M, hits="mask")
    for quantity in ("mean", "gradient"):
        exact = np.asarray(il.integrate(scheme, LOSS, problem, quantity).value)
        found = il.simulate(scheme, LOSS, problem, quantity, runs=40_000, rng=seed)
        assert np.all(np.abs(found.value - exact) <= 6 * np.asarray(found.error) + 1e-12)
        assert np.all(np.asarray(found.error) < 0.02)


def test_errors_count_the_sums_over_a_cluster(seed: int) -> None:
    """One cluster of many labels: log(1 + Σ) is within the bound, with weights in whole numbers too."""
    rng = np.random.default_rng(seed)
    n = 200_000
    index = il.index.Clusters.fit(rng.normal(size=(n, 1)), k=1)
    problem = il.Problem(rng.normal(0, 3, n), il.LabelPrior.zipf(n, 0.0), 0)
    exact = np.log1p(np.sum(np.exp(problem.scores[1:] - problem.scores[0], dtype=np.longdouble)))
    for weighting in (il.weightings.Unit(), Wrong(np.zeros(n, dtype=int))):
        scheme = il.Scheme(il.samplers.Whole(index, [1.0]), weighting, m=1, hits="mask")  # type: ignore[arg-type]
        for found in (il.integrate(scheme, LOSS, problem), il.implicit_loss(scheme, LOSS, problem)):
            assert abs(float(np.longdouble(float(found)) - exact)) <= float(found.error)
            assert float(found.error) < 1e-9
        gradient = il.integrate(scheme, LOSS, problem, "gradient")
        x = np.exp(problem.scores - problem.scores[0], dtype=np.longdouble)
        right = x / x.sum()
        right[0] -= 1
        assert np.all(np.abs(gradient.value - right) <= gradient.error)


def test_margins_are_those_of_weights_by_the_law_of_clusters(seed: int) -> None:
    whole, problem = drawn_from(seed)
    scheme = il.Scheme(whole, il.weightings.Importance(), m=M, hits="mask")
    np.testing.assert_allclose(il.implicit_margins(scheme, PRIOR), 1 - np.eye(L), rtol=1e-12)
    full = il.implicit_loss(
        il.Scheme(il.samplers.Uniform(), il.weightings.Importance(), m=1, hits="mask"), LOSS, problem
    )
    assert float(il.implicit_loss(scheme, LOSS, problem)) == pytest.approx(float(full), rel=1e-12)


def test_the_price_of_whole_clusters(seed: int) -> None:
    whole, problem = drawn_from(seed)
    law, sizes = np.exp(whole.log_cluster_law()), whole.index.sizes
    scheme = il.Scheme(whole, il.weightings.Importance(), m=M, hits="mask")
    found, by_label = (
        il.price(il.Scheme(one, il.weightings.Importance(), m=M, hits="mask"), LOSS, problem)
        for one in (whole, il.samplers.Clustered(whole.index, whole.query, whole.defence))
    )
    others: Floats = np.exp(problem.scores) * (np.arange(L) != problem.positive)
    of_cluster = np.bincount(whole.index.cluster, others / others.sum())
    assert found.chi2 == pytest.approx(float(np.sum(of_cluster**2 / law)) - 1, rel=1e-9)
    assert found.chi2 < by_label.chi2
    assert found.variance == pytest.approx(float(il.integrate(scheme, LOSS, problem, "variance")), rel=1e-9)
    assert found.multiply_adds == pytest.approx(3 * (1 + sizes.size + M * float(law @ sizes)))
    assert found.random_rows == M + 1
    assert found.share == pytest.approx(found.multiply_adds / (3 * L))


def test_what_is_not_known_of_whole_clusters_is_one_sentence(seed: int) -> None:
    whole, problem = drawn_from(seed)
    importance = il.weightings.Importance()
    scheme = il.Scheme(whole, importance, m=M, hits="mask")
    short = il.Problem([0.0, 1.0], il.LabelPrior.from_counts([1, 2]), 0)
    wrong = {
        "hits='mask'": lambda: il.integrate(il.Scheme(whole, importance, m=M, hits="exclude"), LOSS, problem),
        "softmax": lambda: il.exhaust(scheme, il.losses.Decoupled(il.losses.logistic), problem),
        "Clustered has it": lambda: il.integrate(scheme, LOSS, problem, "gradient_variance"),
        "without hard negatives": lambda: il.price(
            il.Scheme(whole, importance, m=M, hits="mask", hard=il.HardNegatives(1)), LOSS, problem
        ),
        "independent draws": lambda: il.simulate(
            il.Scheme(whole, importance, m=M, hits="mask", draws="set"), LOSS, problem, runs=10
        ),
        "2 labels, got 9": lambda: il.integrate(scheme, LOSS, short),
        "use Clustered": lambda: il.tilt(scheme, PRIOR),
        "else use Clustered": lambda: il.derive(scheme, LOSS),
        "right at every m where draws are labels": lambda: il.integrate(
            il.Scheme(whole, il.weightings.Consistent(il.margins.LogitAdjusted()), m=M, hits="keep"), LOSS, problem
        ),
        "must be logarithms for all 9 labels": lambda: il.integrate(
            il.Scheme(whole, Wrong(np.zeros(3)), m=M, hits="mask"), LOSS, problem
        ),
        "must be finite": lambda: il.integrate(
            il.Scheme(whole, Wrong(np.full(L, np.nan)), m=M, hits="mask"), LOSS, problem
        ),
        "dimension 3": lambda: il.samplers.Whole(whole.index, [1.0, 2.0]),
    }
    for said, ask in wrong.items():
        with pytest.raises(ValueError, match=said) as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_whole_clusters_are_equal_by_value(seed: int) -> None:
    whole, _ = drawn_from(seed)
    again = il.samplers.Whole(whole.index, whole.query, whole.defence)
    assert (again, hash(again)) == (whole, hash(whole))
    assert again != il.samplers.Whole(whole.index, whole.query)
    assert again != il.samplers.Clustered(whole.index, whole.query, whole.defence)
    assert "in 4" in repr(whole)
