"""Labels in clusters, and the law of a label that is drawn by them: by hand, by its procedure, and its near misses."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import implicitloss as il
from implicitloss.index.clusters import Clusters
from implicitloss.labels import Floats

S, W = il.samplers, il.weightings
SOFTMAX = il.losses.SoftmaxCrossEntropy()
L, D, DEFENCE = 60, 5, 0.1


@pytest.fixture
def index(rng: np.random.Generator) -> Clusters:
    vectors, biases = rng.normal(size=(L, D)), rng.normal(size=L)
    return Clusters.fit(vectors, biases, rng.normal(size=(40, D)) * np.arange(1, D + 1), k=7, rng=rng)


def by_hand(index: Clusters, h: Floats, defence: float) -> list[float]:
    """q of each label, by sums over Python lists."""
    w, b, metric = index.vectors.tolist(), index.biases.tolist(), index.metric
    length = float(h @ np.linalg.inv(metric) @ h) / D
    near, tickets, members = {}, {}, {}
    for c in sorted(set(index.cluster.tolist())):
        members[c] = [j for j in range(L) if index.cluster[j] == c]
        tickets[c] = math.fsum(math.exp(b[j]) for j in members[c])
        share = {j: math.exp(b[j]) / tickets[c] for j in members[c]}
        centre = [math.fsum(share[j] * w[j][i] for j in members[c]) for i in range(D)]
        spread = 0.0
        for j in members[c]:
            away = np.array(w[j]) - centre
            spread += 0.5 * share[j] * float(away @ metric @ away)
        near[c] = tickets[c] * math.exp(math.fsum(x * y for x, y in zip(h, centre, strict=True)) + spread * length)
    found = [0.0] * L
    for c, labels in members.items():
        of_cluster = (1 - defence) * near[c] / math.fsum(near.values())
        of_cluster += defence * tickets[c] / math.fsum(tickets.values())
        for j in labels:
            found[j] = of_cluster * math.exp(b[j]) / tickets[c]
    return found


@pytest.mark.parametrize("defence", [0.0, DEFENCE, 1.0])
def test_the_law_by_hand(index: Clusters, defence: float, rng: np.random.Generator) -> None:
    h = rng.normal(size=D)
    q = np.exp(index.log_law(h, defence))
    assert q.sum() == pytest.approx(1.0, rel=1e-13)
    assert q == pytest.approx(by_hand(index, h, defence), rel=1e-12)


def _counts_of(sampler: S.Sampler, problem: il.Problem, rng: np.random.Generator, runs: int = 200_000) -> Floats:
    return np.bincount(sampler.procedure(problem)(rng, runs), minlength=problem.prior.n_labels) / runs


def test_the_procedure_draws_by_the_law_and_by_no_near_miss(index: Clusters, rng: np.random.Generator) -> None:
    """Σ |n_j/n - q_j| exceeds its mean, at most √(L/n), by √(28/n) with probability below 1e-12 (McDiarmid)."""
    h, runs = rng.normal(size=D), 200_000
    problem = il.Problem(index.vectors @ h, il.LabelPrior.zipf(L, 1.0), 3)
    sampler = S.Clustered(index, h, DEFENCE)
    came = _counts_of(sampler, problem, rng, runs)
    allowed = math.sqrt(L / runs) + math.sqrt(2 * 14 / runs)
    assert np.abs(came - np.exp(sampler.log_law(problem))).sum() <= allowed
    inside, tickets = np.exp(index.log_inside), np.exp(index.log_tickets)
    without_b = np.exp(index.log_cluster_law(h, 0.0)) / tickets
    wrong = {
        "softmax over clusters without B_c": (without_b / without_b.sum())[index.cluster] * inside,
        "uniform inside": np.exp(index.log_cluster_law(h, DEFENCE))[index.cluster] / index.sizes[index.cluster],
        "the defence left out": np.exp(index.log_law(h, 0.0)),
    }
    for name, q in wrong.items():
        assert q.sum() == pytest.approx(1.0, rel=1e-12), name
        assert np.abs(came - q).sum() > allowed, name


@pytest.mark.parametrize("defence", [0.0, DEFENCE, 1.0])
def test_draws_say_their_law(index: Clusters, defence: float, rng: np.random.Generator) -> None:
    """Labels come by the law, as above, each with its own log q."""
    runs, sampler = 200_000, S.Clustered(index, rng.normal(size=D), defence)
    labels, log_q = sampler.draw(runs, rng)
    law = np.exp(index.log_law(sampler.query, defence))
    assert log_q == pytest.approx(np.log(law)[labels], rel=1e-12, abs=1e-12)
    came = np.bincount(labels, minlength=L) / runs
    assert np.abs(came - law).sum() <= math.sqrt(L / runs) + math.sqrt(28 / runs)
    same, again = sampler.draw(9, rng=5), sampler.draw(9, rng=5)
    assert np.array_equal(same, again)
    for given, message in (((0, 1), "m must be a whole number >= 1, got 0"), ((3, "x"), "rng must be a seed")):
        with pytest.raises(ValueError, match=message):
            sampler.draw(*given)


def test_an_old_assignment_leaves_the_law_exact(index: Clusters, rng: np.random.Generator) -> None:
    """Vectors that have moved: new centres, old clusters; the procedure of before is another."""
    h, problem = rng.normal(size=D), il.Problem(np.zeros(L), il.LabelPrior.zipf(L, 1.0), 3)
    moved = index.refresh(index.vectors + rng.normal(size=(L, D)))
    assert np.array_equal(moved.cluster, index.cluster)
    assert np.exp(moved.log_law(h, DEFENCE)) == pytest.approx(by_hand(moved, h, DEFENCE), rel=1e-12)
    came = _counts_of(S.Clustered(moved, h), problem, rng)
    allowed = math.sqrt(L / 200_000) + math.sqrt(28 / 200_000)
    assert np.abs(came - np.exp(moved.log_law(h, DEFENCE))).sum() <= allowed
    assert np.abs(came - np.exp(index.log_law(h, DEFENCE))).sum() > allowed


def test_weights_stay_right(index: Clusters, rng: np.random.Generator) -> None:
    """Consistent weights teach log η whatever the clusters; importance weights have p = 1."""
    eta, prior = rng.dirichlet(np.full(L, 2.0)), il.LabelPrior.zipf(L, 1.0)
    sampler = S.Clustered(index, rng.normal(size=D))
    scheme = il.Scheme(sampler, W.Consistent(), m=5, hits="keep")
    f = il.population_optimum(scheme, SOFTMAX, eta, prior)
    np.testing.assert_allclose(f, np.log(eta) - np.log(eta).mean(), atol=1e-8)
    scheme = il.Scheme(sampler, W.Importance(), m=5, hits="exclude")
    assert il.implicit_margins(scheme, prior)[3] == pytest.approx((np.arange(L) != 3).astype(float), rel=1e-12)


def test_the_variance_of_one_draw_is_chi_square(index: Clusters, rng: np.random.Generator) -> None:
    """Relative variance of Ẑ = e^{f_j}/q_j is χ²(q*‖q); near miss: the arguments swapped."""
    h = rng.normal(size=D)
    f = index.vectors @ h + index.biases
    problem = il.Problem(f, il.LabelPrior.zipf(L, 1.0), 3)
    q = np.exp(S.Clustered(index, h).log_law(problem))
    full = np.exp(f) / np.exp(f).sum()
    ratio = np.exp(f) / q
    relative = float(q @ (ratio - q @ ratio) ** 2) / float(q @ ratio) ** 2
    assert relative == pytest.approx(float((full**2 / q).sum() - 1), rel=1e-10)
    assert relative != pytest.approx(float((q**2 / full).sum() - 1), rel=1e-2)


def test_clusters_are_nearer_than_uniform_draws(rng: np.random.Generator) -> None:
    """In the metric of the queries, too: without it the directions that queries have are lost among the others."""
    scales = np.array([6.0, 6.0, *np.full(10, 0.05)])
    w = rng.normal(size=(3_000, 12))
    queries = rng.normal(size=(400, 12)) * scales
    problem_of = [(il.Problem(w @ h, il.LabelPrior.zipf(3_000, 1.0), 0), h) for h in queries[:20] / 3]

    def chi2(index: Clusters | None) -> float:
        found = []
        for problem, h in problem_of:
            log_q = -math.log(3_000) if index is None else S.Clustered(index, h).log_law(problem)
            found.append(float(np.exp(2 * S.ModelBased().log_law(problem) - log_q).sum() - 1))
        return float(np.median(found))

    in_metric, plain = (Clusters.fit(w, queries=given, k=64, rng=1) for given in (queries, None))
    assert chi2(in_metric) < chi2(plain) / 2
    assert chi2(plain) < chi2(None) / 2


@pytest.mark.parametrize("k", [1, 7, L, 5 * L])
def test_every_label_is_in_a_cluster_and_none_is_empty(k: int, rng: np.random.Generator) -> None:
    w = rng.normal(size=(L, D))
    index = Clusters.fit(w, k=k, rng=0)
    assert index.sizes.min() >= 1
    assert index.sizes.sum() == L
    assert index.sizes.size <= min(k, L)
    assert np.array_equal(index.cluster, Clusters.fit(w, k=k, rng=0).cluster)
    same = Clusters.fit(np.ones((L, D)), k=k)  # all vectors alike
    assert np.exp(same.log_law(np.ones(D), DEFENCE)) == pytest.approx(np.full(L, 1 / L))


def test_clusters_that_are_far_apart_are_found(rng: np.random.Generator) -> None:
    centres = 100 * rng.normal(size=(8, D))
    of = rng.integers(8, size=500)
    index = Clusters.fit(centres[of] + rng.normal(size=(500, D)), k=60, rng=2)
    for c in range(index.sizes.size):  # more clusters than there are: none spans two
        assert len(set(of[index.cluster == c].tolist())) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"vectors": np.ones(3)}, "vectors of an index"),
        ({"biases": np.ones(3)}, "biases must be as many as vectors, 60, got 3"),
        ({"biases": np.full(L, 700.0)}, "biases must lie within ±600, but label 0 has 700"),
        ({"queries": np.ones((4, 2))}, r"queries must be a matrix \(n, 5\) with n >= 1, got shape \(4, 2\)"),
        ({"queries": np.zeros((4, D))}, "queries must not all be 0, or within"),
        ({"k": 0}, "k, the number of clusters, must be"),
        ({"rng": "x"}, "rng must be a seed"),
    ],
)
def test_bad_input_is_one_sentence(given: dict[str, Any], message: str, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=message):
        Clusters.fit(**{"vectors": rng.normal(size=(L, D)), "k": 4, **given})


def test_bad_queries_are_one_sentence(index: Clusters) -> None:
    for make, message in (
        (lambda: S.Clustered(index, np.ones(3)), "the query must have the index's dimension 5, got 3"),
        (lambda: S.Clustered(index, np.ones(D), 1.5), "defence must be a number from 0 to 1, got 1.5"),
        (lambda: S.Clustered("index", np.ones(D)), "the index must be a Clusters, e.g. index.Clusters.fit"),
        (lambda: index.refresh(np.ones((3, D))), r"vectors of its own shape \(60, 5\), got \(3, 5\)"),
    ):
        with pytest.raises(ValueError, match=message):
            make()  # type: ignore[no-untyped-call]
    few = il.Problem(np.zeros(4), il.LabelPrior.zipf(4, 1.0), 1)
    with pytest.raises(ValueError, match="the index must cover the prior's 4 labels, got 60"):
        S.Clustered(index, np.ones(D)).log_law(few)


# --- clusters that are kept -------------------------------------------------------------------------------------------


def test_the_best_clusters_are_hard_and_the_rest_is_drawn(index: Clusters, rng: np.random.Generator) -> None:
    """p = 1 with importance weights, kept clusters drawn again; near misses: they count, or q is not renormalised."""
    h, prior = rng.normal(size=D), il.LabelPrior.zipf(L, 1.0)
    hard = il.HardNegatives(clusters=2, weight=1.0, overlap="exclude", of=index)
    sampler = S.Clustered(index, h)
    scheme = il.Scheme(sampler, W.Importance(), m=9, hits="exclude", hard=hard)
    y = 3
    problem = il.Problem(index.vectors @ h + index.biases, prior, y)
    assert scheme.hard is not None
    kept = scheme.hard.labels(problem)
    expected = [np.log(np.exp(index.biases[index.cluster == c]).sum()) for c in range(index.sizes.size)]
    near = [expected[c] + index.centres[c] @ h + index.spreads[c] * index.length(h) for c in range(index.sizes.size)]
    best = np.argsort(-(np.array(near) - np.log(index.sizes)))[:2]
    assert sorted(kept.tolist()) == [j for j in range(L) if index.cluster[j] in best and j != y]
    one = np.where(np.arange(L) == y, 0.0, 1.0)
    assert il.implicit_margins(scheme, prior, scores=problem.scores)[y] == pytest.approx(one, rel=1e-12)
    counted = il.Scheme(sampler, W.Importance(), m=9, hits="exclude", hard=il.HardNegatives(clusters=2, of=index))
    again = il.implicit_margins(counted, prior, scores=problem.scores)[y]
    assert again[kept] == pytest.approx(2.0, rel=1e-12)
    q = np.exp(sampler.log_law(problem))
    rest = 1 - q[kept].sum() - q[y]
    not_renormalised = 9 * (q / rest) / (9 * q)
    assert np.abs(not_renormalised - 1).min() > 0.05
    exact, run = il.integrate(scheme, SOFTMAX, problem), il.simulate(scheme, SOFTMAX, problem, runs=20_000, rng=rng)
    assert abs(float(run) - float(exact)) <= 6.5 * float(run.error)


def test_kept_clusters_have_a_query_of_their_own_or_the_sampler_s(index: Clusters, rng: np.random.Generator) -> None:
    h, problem = rng.normal(size=D), il.Problem(np.zeros(L), il.LabelPrior.zipf(L, 1.0), 3)
    waiting = il.HardNegatives(clusters=2, of=index)
    own = il.Scheme(S.Uniform(), W.Importance(), m=4, hits="mask", hard=il.HardNegatives(clusters=2, of=index, query=h))
    of_sampler = il.Scheme(S.Clustered(index, h), W.Importance(), m=4, hits="mask", hard=waiting)
    assert own.hard == of_sampler.hard
    assert "clusters=2" in str(own)
    nobody = il.Scheme(S.Uniform(), W.Importance(), m=4, hits="mask", hard=waiting)
    with pytest.raises(ValueError, match="hard negatives of clusters need a query: give query, or a sampler"):
        il.integrate(nobody, SOFTMAX, problem)
    for given, message in (
        ({"clusters": 2}, "give k=, or clusters= and of=, got"),
        ({"of": index}, "give k=, or clusters= and of=, got"),
        ({"k": 3, "clusters": 2, "of": index}, "give k=, or clusters= and of=, got k = 3, clusters = 2"),
        ({"clusters": 8, "of": index}, "clusters, the number of hard ones, must be"),
        ({"clusters": 1, "of": "index"}, "of must be a Clusters"),
        ({}, "k, the number of hard negatives, must be"),
    ):
        with pytest.raises(ValueError, match=message):
            il.HardNegatives(**given)


def test_kept_clusters_follow_the_sampler_of_their_scheme(index: Clusters) -> None:
    problem, (h, other) = il.Problem(np.zeros(L), il.LabelPrior.zipf(L, 1.0), 3), np.eye(D)[:2] * 3
    waiting = il.HardNegatives(clusters=1, of=index)
    scheme = il.Scheme(S.Clustered(index, h), W.Importance(), m=3, hits="mask", hard=waiting)
    moved = replace(scheme, sampler=S.Clustered(index, other))
    assert moved.hard is not None
    own = il.HardNegatives(clusters=1, of=index, query=other)
    assert np.array_equal(moved.hard.labels(problem), own.labels(problem))
    kept = replace(scheme, hard=own)  # a query of their own stays
    assert kept.hard == own
    assert replace(own, clusters=2).most > own.most
    assert hash(replace(own, query=h)) != hash(own)


def test_kept_clusters_have_no_optimum_of_best_labels(index: Clusters) -> None:
    hard = il.HardNegatives(clusters=1, of=index, query=np.ones(D))
    scheme = il.Scheme(S.Uniform(), W.Unit(), m=3, hits="mask", hard=hard)
    with pytest.raises(ValueError, match="k best labels by the scores that it has, got clusters"):
        il.population_optimum(scheme, SOFTMAX, np.full(L, 1 / L), il.LabelPrior.zipf(L, 0.0), of="implicit")
    few = il.Problem(np.zeros(4), il.LabelPrior.zipf(4, 1.0), 1)
    with pytest.raises(ValueError, match="the index must cover the prior's 4 labels, got 60"):
        il.integrate(scheme, SOFTMAX, few)
    with pytest.raises(ValueError, match="query= is for hard clusters only"):
        il.HardNegatives(k=2, query=[1.0])


def test_queries_next_to_0_and_beyond_reach(index: Clusters) -> None:
    for given in ([[1e-160, 0.0]], [[0.0, 0.0]]):
        with pytest.raises(ValueError, match="queries must not all be 0, or within ±1e-100 of it"):
            Clusters.fit(np.ones((3, 2)), queries=given)
    with pytest.raises(ValueError, match=r"the query must lie within ±1e\+15, got 1e\+160"):
        S.Clustered(index, np.full(D, 1e160))
    assert np.exp(index.log_law(np.full(D, 1e15), DEFENCE)).sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="defence must be a number from 0 to 1, got nan"):
        index.log_law(np.ones(D), math.nan)


def test_what_is_equal_has_one_hash(index: Clusters) -> None:
    one, other = (Clusters(index.vectors * sign, index.biases, index.metric, index.cluster) for sign in (0.0, -0.0))
    assert one == other
    assert hash(one) == hash(other)
    assert one != index
    samplers = [S.Clustered(index, [sign, 1, 1, 1, 1]) for sign in (0.0, -0.0)]
    assert samplers[0] == samplers[1]
    assert hash(samplers[0]) == hash(samplers[1])
    with pytest.raises(ValueError, match="read-only"):
        index.biases[0] = 1.0


@pytest.mark.parametrize(("most", "above"), [(0, 0.0), (25, 0.0), (L, 0.5), (30, 0.5), (L, 0.0)])
def test_a_whole_query_keeps_and_draws_by_the_law(
    index: Clusters, most: int, above: float, rng: np.random.Generator
) -> None:
    """What is kept is that of `HardNegatives`, weights are those of the scheme, and scores those of the vectors."""
    h, m = rng.normal(size=D), 40
    labels, log_weights, scores = index.keep_and_draw(h, m, most, above, rng=rng)
    kept, drawn = labels[:-m], labels[-m:]
    n = np.unique(index.cluster[kept]).size
    q = np.exp(index.log_law(h, DEFENCE))
    if n:
        hard = il.HardNegatives(clusters=n, of=index, query=h)
        y = int(np.flatnonzero(~np.isin(range(L), kept))[0])
        assert kept.tolist() == hard.labels(il.Problem(np.zeros(L), il.LabelPrior.zipf(L, 1.0), y)).tolist()
        q[kept] = 0.0
    assert not np.isin(drawn, kept).any()
    assert kept.size <= most
    assert (log_weights[:-m] == 0).all()
    np.testing.assert_allclose(log_weights[-m:], np.log(q.sum() / (m * q[drawn])), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(scores, index.vectors[labels] @ h + index.biases[labels], atol=1e-5)
    # The next cluster is not worth it, or does not fit, or is the last; the clusters before were worth it.
    rank = index.log_cluster_law(h, 0.0) - np.log(index.sizes)
    order, law = np.argsort(-rank, kind="stable"), np.exp(index.log_cluster_law(h, DEFENCE))
    rest = 1 - np.cumsum(law[order]) + law[order]
    worth = m * law[order] / (index.sizes[order] * rest) > above
    assert worth[:n].all()
    assert n == order.size - 1 or not worth[n] or kept.size + index.sizes[order[n]] > most
    again = [index.keep_and_draw(h.tolist(), m, most, above, rng=7) for _ in range(2)]
    assert all(np.array_equal(one, other) for one, other in zip(*again, strict=True))


def test_a_whole_query_draws_by_the_law_and_by_no_near_miss(index: Clusters, rng: np.random.Generator) -> None:
    """χ² of 200,000 draws: a right law fails once in 10⁹; that of all labels, kept ones included, is refuted."""
    h, m = rng.normal(size=D), 200_000
    labels, log_weights, _ = index.keep_and_draw(h, m, 25, rng=rng)
    assert labels.size > m
    q = np.exp(index.log_law(h, DEFENCE))
    rest = np.where(np.isin(range(L), labels[:-m]), 0.0, q)
    counts = np.bincount(labels[-m:], minlength=L)

    def p_value(law: Floats) -> float:
        some = law > 0
        return float(stats.chisquare(counts[some], law[some] / law[some].sum() * counts[some].sum()).pvalue)

    assert p_value(rest) > 1e-9
    assert p_value(q) < 1e-9
    assert p_value(rest**1.02) < 1e-9
    assert p_value(rest / np.exp(index.biases)) < 1e-9
    # Draws of a kept label would be the mean twice; without q(R) the weights are too large.
    one = np.bincount(labels, np.exp(log_weights), minlength=L)
    right = np.sqrt(np.maximum(rest.sum() / np.maximum(rest, 1e-300) - 1, 0) / m)
    assert np.all(np.abs(one - 1) <= np.where(rest > 0, 7 * right, 1e-12))


def test_a_whole_query_has_something_left_to_draw(index: Clusters) -> None:
    """Also where all that is left has no share that a double can hold."""
    h = 1e6 * index.vectors[3]
    labels, log_weights, _ = index.keep_and_draw(h, 5, L, defence=0.0, rng=0)
    assert np.isfinite(log_weights).all()
    assert labels.size >= 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"m": 0}, "m must be a whole number >= 1, got 0"),
        ({"most": -1}, "most must be a whole number >= 0, got -1"),
        ({"above": -0.5}, "above must be a number >= 0, got -0.5"),
        ({"defence": 2}, "defence must be a number from 0 to 1, got 2"),
        ({"query": np.ones(D + 1)}, "the query must have the index's dimension 5, got 6"),
        ({"query": np.full(D, np.nan)}, "the query must be finite, but label 0 has nan"),
        ({"query": np.full(D, 1e16)}, "the query must lie within ±1e+15, got 1e+16"),
        ({"rng": -1}, "rng must be a seed"),
    ],
)
def test_bad_whole_queries_are_one_sentence(index: Clusters, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        index.keep_and_draw(**({"query": np.ones(D), "m": 3, "most": 9} | given))
