"""Optima by the balance of pushes: against Newton's method, sums over all draws at 50 digits, and its near misses."""

from __future__ import annotations

import itertools
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy.special import expit

import implicitloss as il
from implicitloss.labels import Floats
from implicitloss.optima import balance, population
from implicitloss.optima import tilt as module
from implicitloss.optima.fixed_point import fixed_point
from implicitloss.optima.newton import minimise
from implicitloss.optima.objective import found_factors, sampled_objective, shared_factors

SOFTMAX = il.losses.SoftmaxCrossEntropy()
S, W = il.samplers, il.weightings
HITS: tuple[Any, ...] = ("keep", "mask", "exclude")


def optimum(scheme: il.Scheme, eta: Floats, prior: il.LabelPrior, start: Floats | None = None) -> Floats:
    factors = shared_factors(scheme, prior)
    assert factors is not None
    return balance.balanced(eta, *factors, scheme.m, scheme.hits, np.log(eta) if start is None else start)


def etas(n: int, rng: np.random.Generator) -> tuple[Floats, ...]:
    peaked = np.full(n, 0.1 / (n - 1))
    peaked[1] = 0.9
    return np.full(n, 1 / n), rng.dirichlet(np.ones(n)), peaked


@pytest.mark.in_turn
@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("weighting", W.examples(), ids=str)
def test_it_is_newton_s_optimum(weighting: Any, hits: Any, rng: np.random.Generator) -> None:
    n = 12
    prior = il.LabelPrior.zipf(n, 1.0)
    for sampler, m, eta in itertools.product((S.WithinBatch(), S.Mixture(0.1)), (1, 8, 200), etas(n, rng)):
        scheme = il.Scheme(sampler, weighting, m=m, hits=hits)
        found = optimum(scheme, eta, prior)
        newton = minimise(sampled_objective(scheme, SOFTMAX, eta, prior), found, eta)
        assert found == pytest.approx(newton, abs=1e-8), (sampler, m)


@pytest.mark.parametrize("hits", HITS)
def test_rare_labels_at_fifty_digits(hits: Any) -> None:
    """Every positive and every sequence of draws, at priors down to 1e-12: pushes agree to 1e-8 of the smaller."""
    shares = np.array([1.0, 1e-4, 1e-12])
    prior, eta, m = il.LabelPrior.from_probabilities(shares / shares.sum()), np.array([0.2, 0.3, 0.5]), 2
    for weighting in (W.Importance(), W.Unit(), W.Relative()):
        scheme = il.Scheme(S.WithinBatch(), weighting, m=m, hits=hits)
        found = optimum(scheme, eta, prior)
        with mp.workdps(50):
            up, down = pushes(scheme, [mp.mpf(f) for f in found.tolist()], eta, prior)
            for k in range(3):
                assert abs(up[k] / down[k] - 1) < 1e-8, (weighting, k)


def pushes(scheme: il.Scheme, f: list[Any], eta: Floats, prior: il.LabelPrior) -> tuple[list[Any], list[Any]]:
    """Σ_y η_y E of what each score gets as a positive, own hits taken off, and as a negative."""
    pi, n = [mp.mpf(p) for p in prior.probabilities.tolist()], len(f)
    total = mp.fsum(pi)
    pi, m = [p / total for p in pi], scheme.m
    up, down = [mp.mpf(0)] * n, [mp.mpf(0)] * n
    for y in range(n):
        q = list(pi)
        if scheme.hits == "exclude":
            q = [p / mp.fsum(p for j, p in enumerate(pi) if j != y) if j != y else mp.mpf(0) for j, p in enumerate(pi)]
        w = {
            "Importance": [1 / (m * v) if v else v for v in q],
            "Unit": [mp.mpf(1)] * n,
            "Relative": [pi[y] / p for p in pi],
            "Tail": [p / pi[y] / (m * v) if v else v for p, v in zip(pi, q, strict=True)],
        }[type(scheme.weighting).__name__]
        if scheme.hits == "mask":
            w[y] = mp.mpf(0)
        for drawn in itertools.product([j for j in range(n) if q[j]], repeat=m):
            x = [mp.mpf(0)] * n
            for j in drawn:
                x[j] += w[j] * mp.exp(f[j] - f[y])
            share = mp.mpf(eta[y]) * mp.fprod(q[j] for j in drawn) / (1 + mp.fsum(x))
            up[y] += share * mp.fsum(v for j, v in enumerate(x) if j != y)
            for j in range(n):
                if j != y:
                    down[j] += share * x[j]
    return up, down


def test_labels_that_are_alike_are_taken_together(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three labels of each kind: the scores are those of labels one by one, and so are those of a few at a time."""
    prior = il.LabelPrior.from_counts(np.repeat(np.arange(1, 9), 3))
    eta = np.repeat(rng.dirichlet(np.ones(8)), 3) / 3
    for hits in HITS:
        scheme = il.Scheme(S.WithinBatch(), W.Importance(), m=5, hits=hits)
        together = optimum(scheme, eta, prior)
        apart = optimum(scheme, eta, prior, np.log(eta) + 1e-3 * rng.standard_normal(24))
        assert together == pytest.approx(apart, abs=1e-11)
        with monkeypatch.context() as patch:
            patch.setattr(balance, "HELD", 1_000)
            assert optimum(scheme, eta, prior) == pytest.approx(together, abs=1e-12)


def test_consistent_weights_teach_their_target(rng: np.random.Generator) -> None:
    """f* = log η - log δ at every m and sampler where hits are kept; masked and excluded hits differ."""
    n = 30
    prior, eta = il.LabelPrior.zipf(n, 1.0), rng.dirichlet(np.ones(n))
    target = il.margins.LogitAdjusted(0.6)
    expected = np.log(eta) - 0.6 * prior.log
    for sampler, m in itertools.product((S.Uniform(), S.WithinBatch(), S.LogUniform()), (1, 3, 50)):
        found = {hits: optimum(il.Scheme(sampler, W.Consistent(target), m=m, hits=hits), eta, prior) for hits in HITS}
        assert found["keep"] == pytest.approx(expected - expected.mean(), abs=1e-11)
        if m == 3:
            assert min(np.abs(found[hits] - found["keep"]).max() for hits in ("mask", "exclude")) > 0.01


def test_many_labels(rng: np.random.Generator) -> None:
    """The two sides of the balance at 6,000 labels, by other sums: every label's at some nodes, and no taking off."""
    n, m = 6_000, 20
    prior, eta = il.LabelPrior.zipf(n, 1.0), np.full(n, 1 / n)
    scheme = il.Scheme(S.WithinBatch(), W.Importance(), m=m, hits="mask")
    f = il.population_optimum(scheme, SOFTMAX, eta, prior)
    # What a label gets as a negative, from a sample of positives that stands for all: a smooth function of their rank.
    ranks = np.unique(np.round(np.geomspace(1, n, 60)).astype(int)) - 1
    gradients = {
        y: il.integrate(scheme, SOFTMAX, il.Problem(f, prior, y), "gradient").value for y in {*ranks.tolist(), 3_000}
    }
    for k in (0, 3_000, n - 1):
        up = eta[k] * -gradients[k][k]
        of = [gradients[y][k] for y in ranks.tolist() if y != k]
        down = np.interp(np.log1p(np.arange(n)), np.log1p(ranks[ranks != k]), of).sum() / n
        assert down == pytest.approx(up, rel=0.02)


def test_the_tilt_at_an_x() -> None:
    """Importance weights in the batch: straight at η = π, nearly so at equal η, and not where few labels are likely."""
    scheme, prior = il.Scheme(S.WithinBatch(), W.Importance(), m=64, hits="mask"), il.LabelPrior.zipf(1_000, 1.0)
    tilts = [il.tilt(scheme, prior, eta=eta) for eta in ("prior", "uniform", "peaked")]
    assert abs(tilts[0]) < 0.01
    assert -0.1 < tilts[1] < -0.01
    assert tilts[2] < -0.6


def test_likely_labels_differ_in_frequency() -> None:
    """Labels of ranks 5 to 40 are equally frequent: one of them is likely, with labels 1 to 4, and each has as much."""
    prior = il.LabelPrior.from_counts([90, 80, 70, 60, *[5] * 36])
    eta, labels = module.eta_at("peaked", prior)
    assert labels.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(eta - 0.1 * prior.probabilities, np.isin(np.arange(40), labels) * 0.18, atol=1e-15)


def test_the_tilt_at_an_eta_in_numbers(rng: np.random.Generator) -> None:
    prior, eta = il.LabelPrior.zipf(20, 1.0), rng.dirichlet(np.ones(20))
    scheme = il.Scheme(S.Uniform(), W.Tail(), m=4, hits="mask")
    f = il.population_optimum(scheme, SOFTMAX, eta, prior) - np.log(eta)
    assert il.tilt(scheme, prior, eta=eta) == pytest.approx(np.polyfit(prior.log, f, 1)[0], abs=1e-12)
    assert il.tilt(scheme, prior) == il.tilt(scheme, prior, eta="uniform")
    for bad, message in (
        ("flat", "eta in words must be 'uniform', 'prior' or 'peaked'"),
        (np.full(5, 0.2), "20 labels, got 5"),
    ):
        with pytest.raises(ValueError, match=message):
            il.tilt(scheme, prior, eta=bad)


def test_what_is_never_pushed_has_no_optimum() -> None:
    scheme = il.Scheme(S.Explicit([0.5, 0.5, 0.0]), W.Constant(), m=2, hits="mask")
    with pytest.raises(il.NoOptimum, match="label 2 has no finite optimum"):
        il.population_optimum(scheme, SOFTMAX, [0.3, 0.3, 0.4], il.LabelPrior.from_counts([3, 2, 1]))


def test_factors_are_found_where_a_weighting_does_not_say_them() -> None:
    """Those of importance weights, without their `log_factors`; weights of one pair that differ have none."""

    class Unsaid(W.ForMargin):
        def log_factors(self, *given: Any) -> Any:
            return None

    class OnePair(Unsaid):
        def log_weight(self, draws: Any) -> Floats:
            found = super().log_weight(draws)
            found[5] += 1e-6 * (draws.positive == 3)
            return found

    prior = il.LabelPrior.zipf(7, 1.0)
    for hits in HITS:
        said = il.Scheme(S.WithinBatch(), W.ForMargin(il.margins.LogitAdjusted()), m=4, hits=hits)
        unsaid, one = (
            il.Scheme(S.WithinBatch(), kind(il.margins.LogitAdjusted()), m=4, hits=hits) for kind in (Unsaid, OnePair)
        )
        assert shared_factors(unsaid, prior) is None
        found, known = found_factors(unsaid, prior), shared_factors(said, prior)
        assert found is not None
        assert known is not None
        for mine, its in ((found[1], known[1]), (found[2], known[2])):
            assert mine - mine[0] == pytest.approx(its - its[0], abs=1e-12)
        assert found[1] + found[2] == pytest.approx(known[1] + known[2], abs=1e-12)
        assert found_factors(one, prior) is None
        assert (
            found_factors(il.Scheme(S.MinimumVariance(), Unsaid(il.margins.Softmax()), m=4, hits=hits), prior) is None
        )


def test_own_weights_that_differ_have_no_factors_where_hits_are_kept() -> None:
    class Own(W.Unit):
        def log_factors(self, *given: Any) -> Any:
            return None

        def log_weight(self, draws: Any) -> Floats:
            return np.where(np.arange(4) == draws.positive, -1.0, 0.0)

    prior = il.LabelPrior.zipf(4, 1.0)
    for hits in HITS:
        found = found_factors(il.Scheme(S.Uniform(), Own(), m=2, hits=hits), prior)
        assert (found is None) == (hits == "keep")


STALLED = (
    ([1_000_000, 2, 1], W.Tail(), 4, "keep", [1 / 3] * 3),
    ([10**9, 2, 1], W.Tail(), 2, "keep", [0.27, 0.17, 0.56]),
    ([10**12, 5, 1], W.Importance(), 3, "keep", [1 / 3] * 3),
)


@pytest.mark.parametrize(("counts", "weighting", "m", "hits", "eta"), STALLED)
def test_where_the_balance_stalls_more_draws_lead_to_it(
    counts: list[int], weighting: Any, m: int, hits: Any, eta: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One label is nearly all there is, and the rare ones hardly hold each other; the pushes agree at 50 digits."""
    prior = il.LabelPrior.from_counts(counts)
    scheme = il.Scheme(S.WithinBatch(), weighting, m=m, hits=hits)
    f = optimum(scheme, np.array(eta), prior)
    with mp.workdps(50):
        up, down = pushes(scheme, [mp.mpf(v) for v in f.tolist()], np.array(eta), prior)
        assert max(abs(a / b - 1) for a, b in zip(up, down, strict=True)) < 1e-4
    monkeypatch.setattr(balance, "MOST_DRAWS", 0)
    with pytest.raises(il.NoOptimum, match="the balance did not converge"):
        optimum(scheme, np.array(eta), prior)


def test_more_draws_have_the_same_margins(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[int, float]] = []

    def fails(step: Any, *_: Any) -> Floats:
        sides = step.__self__
        tried.append((sides.m, float(np.log(sides.m) + sides.log_b[0])))
        raise il.NoOptimum("no")

    monkeypatch.setattr(balance, "fixed_point", fails)
    with pytest.raises(il.NoOptimum):
        optimum(
            il.Scheme(S.WithinBatch(), W.Importance(), m=2, hits="mask"), np.full(3, 1 / 3), il.LabelPrior.zipf(3, 1.0)
        )
    assert [m for m, _ in tried] == [2, 8, 32, 128, 512, 2048]  # and none of them twice
    assert np.ptp([margin for _, margin in tried]) < 1e-12


def test_many_labels_of_tail_weights_start_from_cells_of_them() -> None:
    """One draw's weights spread scores over 42; what pushes each score, by all pairs: η_y σ(log w_yk + f_k - f_y)."""
    prior, n = il.LabelPrior.exp(1_000, 20_000, 2_000), 1_000
    scheme, eta = il.Scheme(S.WithinBatch(), W.Tail(), m=1, hits="mask"), np.full(n, 1 / n)
    f = optimum(scheme, eta, prior)
    q, log_a, log_b = shared_factors(scheme, prior) or ()
    share = expit(log_a[:, None] + log_b + f - f[:, None])
    np.fill_diagonal(share, 0.0)
    np.testing.assert_allclose(eta * (share @ np.exp(q)), np.exp(q) * (eta @ share), rtol=1e-11)


def test_where_the_balance_fails_newton_s_method_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> Floats:
        raise il.NoOptimum("no balance")

    prior, eta = il.LabelPrior.from_counts([8, 4, 1]), np.array([0.5, 0.3, 0.2])
    scheme = il.Scheme(S.WithinBatch(), W.Importance(), m=2, hits="mask")
    expected = optimum(scheme, eta, prior)
    monkeypatch.setattr(population, "balanced", none)
    assert il.population_optimum(scheme, SOFTMAX, eta, prior) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("rare", [1e-9, 1e-10])
def test_a_small_gradient_is_no_optimum_where_the_loss_is_flat(rare: float) -> None:
    """At a gradient of 1e-9 η scores were off by 6 to 9: they are right, or refused."""
    prior, eta = il.LabelPrior.from_probabilities([1 - 2 * rare, rare, rare]), np.array([0.27, 0.17, 0.56])
    for weighting, m, hits in ((W.Importance(), 3, "mask"), (W.Importance(), 2, "mask"), (W.Tail(), 3, "keep")):
        scheme = il.Scheme(S.WithinBatch(), weighting, m=m, hits=hits)  # type: ignore[arg-type]
        try:
            f = il.population_optimum(scheme, SOFTMAX, eta, prior)
        except il.NoOptimum as none:
            assert "did not converge" in str(none)  # noqa: PT017
            continue
        with mp.workdps(50):
            up, down = pushes(scheme, [mp.mpf(v) for v in f.tolist()], eta, prior)
            assert max(abs(a / b - 1) for a, b in zip(up, down, strict=True)) < 1e-4


def test_twenty_labels_are_likely() -> None:
    eta, labels = module.eta_at("peaked", il.LabelPrior.zipf(100_000, 1.0))
    assert labels.size == 20
    assert eta[labels].sum() == pytest.approx(0.9, abs=0.1)


def test_a_step_that_is_no_number_ends_the_search(capfd: pytest.CaptureFixture[str]) -> None:
    """Regression: it went into least squares, where LAPACK complained on stdout."""
    moves = iter([np.array([1.0, 0.5, 0.1]), np.array([0.9, 0.2, 0.3]), *[np.full(3, np.nan)] * 9])
    with pytest.raises(il.NoOptimum):
        fixed_point(lambda f: next(moves), np.zeros(3), np.ones(3))
    assert capfd.readouterr() == ("", "")
