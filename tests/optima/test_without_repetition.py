"""The optimum of sampled softmax whose draws are different labels, a set, or coins."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.draws import DrawsName, law_of
from implicitloss.kernels import pushes
from implicitloss.labels import Floats
from implicitloss.samplers.sampler import by_shares

S, W = il.samplers, il.weightings
LOSS = il.losses.SoftmaxCrossEntropy()
DESIGNS: tuple[DrawsName, ...] = ("distinct", "set", "bernoulli")
FEW = il.LabelPrior.from_counts([50, 20, 7, 3, 1])


def off(scheme: il.Scheme, f: Floats, eta: Floats, prior: il.LabelPrior) -> float:
    """The largest expected gradient over η, by enumeration of every draw, or by integrals of more labels."""
    one = il.exhaust if prior.n_labels < 6 else il.integrate
    found = sum(
        eta[y] * np.asarray(one(scheme, LOSS, il.Problem(f, prior, y), "gradient").value) for y in range(prior.n_labels)
    )
    return float(np.max(np.abs(found / eta)))


# Different draws take thousands of nodes, so that they are tried on fewer weights.
TRIED = [(W.Importance(count="naive"), 2), (W.Tail(), 3)]
MORE = [*itertools.product((W.Importance(), W.Unit()), (1, 2, 3)), *TRIED]


@pytest.mark.parametrize("draws", DESIGNS)
@pytest.mark.parametrize("hits", ["mask", "keep"])
def test_the_gradient_is_0_by_enumeration(draws: DrawsName, hits: Any, rng: np.random.Generator) -> None:
    """Near misses: the optimum of the bound, and that of independent draws, have gradients that are seen."""
    tried = TRIED if draws == "distinct" else MORE
    seen = 0
    for weighting, m in tried:
        scheme = il.Scheme(S.WithinBatch(), weighting, m=m, hits=hits, draws=draws)
        eta = rng.dirichlet(np.full(5, 2.0))
        assert off(scheme, il.population_optimum(scheme, LOSS, eta, FEW), eta, FEW) < 1e-9
        seen += off(scheme, il.population_optimum(scheme, LOSS, eta, FEW, of="implicit"), eta, FEW) > 1e-3
        independent = il.Scheme(S.WithinBatch(), weighting, m=m, hits=hits)
        seen += off(scheme, il.population_optimum(independent, LOSS, eta, FEW), eta, FEW) > 1e-3
    assert seen >= len(tried)


@pytest.mark.parametrize("draws", DESIGNS)
def test_one_label_has_nearly_all(draws: DrawsName) -> None:
    """Label 0 comes almost surely, and label 4 almost never; then label 0 has all of η but 1e-13."""
    prior = il.LabelPrior.from_counts([10**9, 10**6, 1000, 5, 1])
    eta = np.array([0.9, 0.05, 0.03, 0.02 - 1e-7, 1e-7])
    scheme = il.Scheme(S.WithinBatch(), W.Tail(), m=2, hits="mask", draws=draws)
    assert off(scheme, il.population_optimum(scheme, LOSS, eta, prior), eta, prior) < 1e-9
    others = np.array([3, 1, 0.5, 0.01]) * 1e-14
    eta = np.array([1 - others.sum(), *others])
    scheme = il.Scheme(S.WithinBatch(), W.Importance(), m=2, hits="mask", draws=draws)
    assert off(scheme, il.population_optimum(scheme, LOSS, eta, FEW), eta, FEW) < 1e-9


def test_more_labels(rng: np.random.Generator) -> None:
    prior, eta = il.LabelPrior.zipf(40, 1.0), rng.dirichlet(np.full(40, 2.0))
    for draws, m in (("distinct", 39), ("set", 12), ("bernoulli", 12)):
        scheme = il.Scheme(S.LogUniform(), W.Relative(), m=m, hits="mask", draws=draws)  # type: ignore[arg-type]
        assert off(scheme, il.population_optimum(scheme, LOSS, eta, prior), eta, prior) < 1e-9


def test_coins_with_weights_of_relative_inclusion_teach_log_eta_at_hundreds_of_labels(rng: np.random.Generator) -> None:
    prior, eta = il.LabelPrior.zipf(300, 1.0), rng.dirichlet(np.full(300, 2.0))
    for m in (1, 40):
        scheme = il.Scheme(S.LogUniform(), W.Relative(), m=m, hits="mask", draws="bernoulli")
        f = il.population_optimum(scheme, LOSS, eta, prior)
        np.testing.assert_allclose(f, np.log(eta) - np.log(eta).mean(), atol=1e-8)
    scheme = il.Scheme(S.LogUniform(), W.Relative(), m=40, hits="mask", draws="set")  # sets do not
    assert np.abs(il.population_optimum(scheme, LOSS, eta, prior) - np.log(eta) + np.log(eta).mean()).max() > 0.01


def test_draws_of_every_label_teach_what_all_labels_teach(rng: np.random.Generator) -> None:
    eta = rng.dirichlet(np.full(5, 2.0))
    scheme = il.Scheme(S.WithinBatch(), W.Importance(), m=5, hits="mask", draws="distinct")
    f = il.population_optimum(scheme, LOSS, eta, FEW)
    np.testing.assert_allclose(f, np.log(eta) - np.log(eta).mean(), atol=1e-8)


def test_one_draw_is_one_draw(rng: np.random.Generator) -> None:
    eta = rng.dirichlet(np.full(5, 2.0))
    one = {
        draws: il.population_optimum(
            il.Scheme(S.WithinBatch(), W.Importance(), m=1, hits="mask", draws=draws), LOSS, eta, FEW
        )
        for draws in ("iid", "distinct", "set")
    }
    np.testing.assert_array_equal(one["iid"], one["distinct"])
    np.testing.assert_array_equal(one["iid"], one["set"])


def test_a_tilt_is_between_that_of_independent_draws_and_none() -> None:
    prior = il.LabelPrior.zipf(30, 1.0)
    tilts = {
        draws: il.tilt(il.Scheme(S.LogUniform(), W.Importance(), m=8, hits="mask", draws=draws), prior)  # type: ignore[arg-type]
        for draws in ("iid", "set", "distinct")
    }
    assert tilts["iid"] < tilts["set"] < tilts["distinct"] < 0


class _Apart:
    """Labels weigh by how far they are from the positive."""

    is_eta_over_m = False

    def log_weight(self, draws: Any) -> Floats:
        return np.log1p(np.abs(np.arange(draws.log_q.size) - draws.positive))


def test_excluded_hits_and_weights_that_are_no_product_are_refused() -> None:
    excluded = il.Scheme(S.WithinBatch(), W.Importance(), m=2, hits="exclude", draws="set")
    # These weights are a product, but each positive has a law of its own.
    product = il.Scheme(S.WithinBatch(), W.Consistent(il.margins.LogitAdjusted()), m=2, hits="exclude", draws="set")
    pairs = il.Scheme(S.WithinBatch(), _Apart(), m=2, hits="mask", draws="set")
    for scheme, lacks in (
        (excluded, "each positive has a law of its own"),
        (product, "each positive has a law of its own"),
        (pairs, "its weights are no product"),
    ):
        with pytest.raises(ValueError, match=f"weights a_y b_y', but for .* {lacks}.*; of='implicit' takes any"):
            il.population_optimum(scheme, LOSS, np.full(5, 0.2), FEW)


@pytest.mark.parametrize("hits", ["mask", "keep"])
def test_two_labels(hits: Any) -> None:
    prior, eta = il.LabelPrior.from_counts([3, 1]), np.array([0.35, 0.65])
    for draws, m in (("set", 2), ("set", 5), ("bernoulli", 1), ("distinct", 1), ("distinct", 2)):
        for weighting in (W.Importance(), W.Tail()):
            scheme = il.Scheme(S.WithinBatch(), weighting, m=m, hits=hits, draws=draws)  # type: ignore[arg-type]
            assert off(scheme, il.population_optimum(scheme, LOSS, eta, prior), eta, prior) < 1e-9


def test_all_other_labels_drawn_are_no_chance(rng: np.random.Generator) -> None:
    """With hits excluded four of five labels are all negatives."""
    eta = rng.dirichlet(np.full(5, 2.0))
    scheme = il.Scheme(S.WithinBatch(), W.Importance(), m=4, hits="exclude", draws="distinct")
    assert off(scheme, il.population_optimum(scheme, LOSS, eta, FEW), eta, FEW) < 1e-9


def test_a_bound_without_optimum_is_a_start_only(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    from implicitloss.optima import population

    eta = rng.dirichlet(np.full(5, 2.0))
    scheme = il.Scheme(S.WithinBatch(), W.Importance(), m=2, hits="mask", draws="set")
    found = il.population_optimum(scheme, LOSS, eta, FEW)

    def none(*_: Any) -> Floats:
        raise il.NoOptimum("the bound has none")

    monkeypatch.setattr(population, "by_newton", none)
    np.testing.assert_allclose(il.population_optimum(scheme, LOSS, eta, FEW), found, atol=1e-9)
    with pytest.raises(il.NoOptimum):
        il.population_optimum(scheme, LOSS, eta, FEW, of="implicit")


def test_a_law_next_to_0_is_refused() -> None:
    next_to_0 = S.Explicit([0.5, 0.3, 0.15, 0.05, 1e-290])
    scheme = il.Scheme(next_to_0, W.Constant(), m=2, hits="mask", draws="set")
    with pytest.raises(ValueError, match=r"takes q of at least e\^-600, got e\^-667.7 for label 4"):
        il.population_optimum(scheme, LOSS, np.full(5, 0.2), FEW)


def test_too_many_labels_are_refused() -> None:
    prior = il.LabelPrior.zipf(1_001, 1.0)
    scheme = il.Scheme(S.WithinBatch(), W.Importance(), m=2, hits="mask", draws="set")
    with pytest.raises(ValueError, match="at most 1,000 labels, got 1,001"):
        il.population_optimum(scheme, LOSS, np.full(1_001, 1 / 1_001), prior)


def test_a_label_that_is_never_drawn_has_no_optimum() -> None:
    never = S.Explicit([0.5, 0.3, 0.2, 0.0, 0.0])
    scheme = il.Scheme(never, W.Constant(), m=2, hits="mask", draws="distinct")
    with pytest.raises(il.NoOptimum, match="label 3 has no finite optimum"):
        il.population_optimum(scheme, LOSS, np.full(5, 0.2), FEW)


# --- the nodes, and a mutant of the pushes ----------------------------------------------------------------------------


@pytest.mark.parametrize("draws", DESIGNS)
def test_nodes_add_up_to_the_design(draws: DrawsName, rng: np.random.Generator) -> None:
    """Σ over nodes of E Π y is 1 - `missing`."""
    q, y = rng.dirichlet(np.ones(6)), rng.random(6)
    law = law_of(draws, np.log(q), 3)
    found = 0.0
    for node in law.nodes():
        factors = node.rest + node.p * y
        found += (node.weight * np.prod(factors) * (node.of_none + np.sum(node.last * y / factors))).real
    assert found == pytest.approx(1 - float(law.missing(1 - y[:, None])[0]), rel=1e-11)


def test_pushes_that_count_the_positive_are_seen(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """Masked hits that are taken for kept ones: the gradient is not 0."""
    from implicitloss.optima import without_repetition

    honest = pushes.add_pushes

    def kept(*args: Any) -> None:
        honest(*args[:5], False, *args[6:])

    monkeypatch.setattr(without_repetition, "add_pushes", kept)
    eta = rng.dirichlet(np.full(5, 2.0))
    for draws in DESIGNS:
        scheme = il.Scheme(S.WithinBatch(), W.Importance(), m=2, hits="mask", draws=draws)
        assert off(scheme, il.population_optimum(scheme, LOSS, eta, FEW), eta, FEW) > 1e-3


class _Clusters(S.Sampler):
    """Half of the draws by the positive's cluster; the first label and the last share one."""

    needs_scores = False
    name = "clusters"

    def log_law(self, problem: il.Problem) -> Floats:
        cluster = np.ones(problem.prior.n_labels)
        cluster[[0, -1]] = 0
        own = cluster == cluster[problem.positive]
        return np.asarray(np.log(0.5 / own.size + 0.5 * own / own.sum()))

    def procedure(self, problem: il.Problem) -> Any:
        return by_shares(np.exp(self.log_law(problem)))


def test_a_law_that_moves_with_the_positive_is_no_shared_law() -> None:
    """Even if the first and the last positive have the same, and the sampler does not say that it moves."""
    eta, weights = np.array([0.3, 0.25, 0.2, 0.15, 0.1]), W.Constant()
    drawn = il.Scheme(_Clusters(), weights, m=2, hits="mask")
    assert off(drawn, il.population_optimum(drawn, LOSS, eta, FEW), eta, FEW) < 1e-9
    for draws in DESIGNS:
        scheme = il.Scheme(_Clusters(), weights, m=2, hits="mask", draws=draws)
        with pytest.raises(ValueError, match="each positive has a law of its own"):
            il.population_optimum(scheme, LOSS, eta, FEW)
    many = il.LabelPrior.zipf(140, 1.0)
    with pytest.raises(ValueError, match="each positive has a law of its own"):
        il.population_optimum(scheme, LOSS, np.full(140, 1 / 140), many)


def test_a_tilt_for_a_report_is_near(rng: np.random.Generator) -> None:
    from implicitloss.optima.tilt import near_tilt

    prior = il.LabelPrior.zipf(30, 1.0)
    for draws in DESIGNS:
        scheme = il.Scheme(S.LogUniform(), W.Importance(), m=4, hits="mask", draws=draws)
        assert 0 < abs(near_tilt(scheme, prior, "sampled") - il.tilt(scheme, prior)) < 1e-4
