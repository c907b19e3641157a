"""Designs of draws: exact probabilities and transforms against every run written out, and against the procedure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.draws import (
    DRAWS,
    DrawsName,
    counts,
    design,
    distinct,
    expected_tries,
    groups,
    law_of,
    log_counts,
    races,
)
from implicitloss.draws.design import Law
from implicitloss.draws.distinct import DistinctLaw
from implicitloss.labels import Floats
from implicitloss.losses import Loss, SoftmaxCrossEntropy
from implicitloss.samplers.sampler import by_shares

SOFTMAX = SoftmaxCrossEntropy()
LOGISTIC = il.losses.Decoupled(il.losses.logistic)
SETS: tuple[DrawsName, ...] = tuple(name for name in DRAWS if name != "iid")
T = np.array([1e-7, 0.01, 0.3, 2.0, 700.0])


def every_run(name: DrawsName, q: Floats, m: int) -> dict[tuple[int, ...], float]:
    """The chance of each set of labels; of multisets where draws are i.i.d."""
    labels = range(q.size)
    if name == "bernoulli":
        out = [math.exp(m * math.log1p(-x)) for x in q]
        into = [-math.expm1(m * math.log1p(-x)) for x in q]
        chosen = itertools.chain.from_iterable(itertools.combinations(labels, k) for k in range(q.size + 1))
        return {one: math.prod(into[j] if j in one else out[j] for j in labels) for one in chosen}
    found: dict[tuple[int, ...], float] = {}
    for order in itertools.permutations(labels, m) if name == "distinct" else itertools.product(labels, repeat=m):
        chance = 1.0
        for i, j in enumerate(order):
            left = [k for k in labels if k not in order[:i]] if name == "distinct" else labels
            chance *= q[j] / math.fsum(q[k] for k in left)
        one = tuple(sorted(order if name == "iid" else set(order)))
        found[one] = found.get(one, 0.0) + chance
    return found


def steep(rng: np.random.Generator, n: int) -> Floats:
    """A law down to 1e-6."""
    q = np.exp(rng.uniform(np.log(1e-6), 0, n))
    return np.asarray(q / q.sum())


CASES = [(n, m) for n in (2, 3, 5) for m in range(1, n + 1)]


@pytest.mark.parametrize("name", DRAWS)
def test_laws_against_every_run(name: DrawsName, rng: np.random.Generator) -> None:
    """Inclusion, 1 - E e^{-tS}, E 1[j ∈ N] e^{-tS}, mean and variance, to 1e-12."""
    for n, m in CASES:
        q, x, adds = steep(rng, n), rng.lognormal(0, 3, n), rng.lognormal(0, 2, n)
        runs, law = every_run(name, q, m), design(name).law(q, m)
        misses, weights = -np.expm1(-np.multiply.outer(x, T)), rng.random(T.size)
        inclusion, missing, shares = np.zeros(n), np.zeros(T.size), np.zeros(n)
        for labels, chance in runs.items():
            total = math.fsum(x[j] for j in labels)
            missing += chance * -np.expm1(-T * total)
            for j in labels:
                inclusion[j] += chance
                shares[j] += chance * (weights @ np.exp(-T * total))
        sums = np.array([math.fsum(adds[j] for j in labels) for labels in runs])
        chances = np.array(list(runs.values()))
        mean, variance = law.moments(adds)
        assert law.inclusion == pytest.approx(inclusion, rel=1e-12)
        assert law.missing(misses) == pytest.approx(missing, rel=1e-12)
        assert law.shares(misses, weights) == pytest.approx(shares, rel=1e-11)
        assert mean == pytest.approx(chances @ sums, rel=1e-12)
        assert variance == pytest.approx(chances @ (sums - chances @ sums) ** 2, rel=1e-9, abs=1e-13 * mean**2)


# What a wrong law looks like in one of the numbers above.
def _arguments_swapped(law: DistinctLaw) -> Floats:
    """r_i + P_i R, where label i may come last after it has come."""
    race = races.race(law.q, np.ones(law.q.size), law.m)

    def of(heat: races.Heat) -> Floats:
        out = np.zeros(law.q.size)
        p, rest = heat.chances(law.q)
        for theta, (w, v), (r, s) in zip(heat.thetas, heat.weights, heat.rates, strict=True):
            d = p * np.exp(1j * theta) + rest
            out += ((w + 1j * v) * (law.q * rest / d + p * np.exp(1j * theta) / d * (r + 1j * s))).real
        return out

    return race.total(of)


def test_a_label_that_came_does_not_come_last(rng: np.random.Generator) -> None:
    """Near misses of the inclusion: P_i R for P_i (R - r_i); the formulas of other designs."""
    q, m = steep(rng, 5), 3
    law = DistinctLaw(q, m)
    truth = np.zeros(5)
    for labels, chance in every_run("distinct", q, m).items():
        truth[list(labels)] += chance
    assert law.inclusion == pytest.approx(truth, rel=1e-12)
    tries = law.tries
    for wrong in (_arguments_swapped(law), m * q, 1 - (1 - q) ** m, -np.expm1(-q * tries)):
        assert np.abs(wrong / truth - 1).max() > 1e-3


def test_expected_tries_by_hand() -> None:
    """Two labels, m = 2: a geometric wait for the other label, 1 + q/(1 - q) + (1 - q)/q."""
    q = np.array([0.8, 0.2])
    with pytest.raises(ValueError, match="at most 2"):
        law_of("distinct", np.log(q), 3)
    three = np.array([0.5, 0.3, 0.2])
    expected = 1 + sum(x / (1 - x) for x in three) - sum(x * x / (1 - x) for x in three) + 0.0
    # After the first label k, the wait for another is 1/(1 - q_k).
    assert expected_tries("distinct", np.log(three), 2) == pytest.approx(1 + sum(x / (1 - x) for x in three), rel=1e-12)
    assert expected != pytest.approx(1 + sum(x / (1 - x) for x in three), rel=1e-3)
    assert expected_tries("set", np.log(three), 7) == 7.0


def _law(kind: str, n: int, rng: np.random.Generator) -> Floats:
    ranks = np.arange(1, n + 1)
    q = {"zipf": 1 / ranks, "tied": rng.integers(1, 9, n), "own": rng.lognormal(size=n)}[kind].astype(float)
    return np.asarray(q / q.sum())


@pytest.mark.in_turn
@pytest.mark.parametrize("kind", ["zipf", "tied", "own"])
@pytest.mark.parametrize("m", [2, 3_990])
def test_many_labels_as_few(kind: str, m: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels in groups, against one by one; and Σ P = m."""
    q = _law(kind, 4_000, rng)
    grouped = DistinctLaw(q, m)
    assert groups.grouped(q).q.size < (20 if kind == "tied" else 3_000)
    monkeypatch.setattr(groups, "GROUP_FROM_LABELS", 10_000)
    alone = DistinctLaw(q, m)
    # In one comparison: `approx` takes thousands one by one.
    assert np.all(np.abs(grouped.inclusion - alone.inclusion) <= 1e-11 * alone.inclusion)
    assert max(grouped.error, alone.error) < 1e-9
    assert abs(grouped.inclusion.sum() / m - 1) <= grouped.error


@pytest.mark.parametrize("kind", ["zipf", "own"])
def test_late_labels_as_powers(kind: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """E(1 - Π y) by powers of the odds, against one by one, also where it is 1e-12; five digits would be seen."""
    q, least = _law(kind, 200, rng), distinct.LEAST_DIGITS
    for m in (2, 20, 150):
        misses = np.stack([rng.random(200), 1e-12 * rng.random(200), 1 - 1e-9 * rng.random(200)], axis=1)
        monkeypatch.setattr(distinct, "LEAST_DIGITS", least)
        series = DistinctLaw(q, m).missing(misses)
        monkeypatch.setattr(distinct, "LEAST_DIGITS", np.log(1e5))
        rough = DistinctLaw(q, m).missing(misses)
        monkeypatch.setattr(distinct, "LEAST_DIGITS", 1e9)
        alone = DistinctLaw(q, m).missing(misses)
        assert series == pytest.approx(alone, rel=1e-12, abs=0)
        if m == 20:  # with two draws the first power is all that counts; of 150 among 200 hardly a label is late
            assert np.all(np.abs(rough / alone - 1) > 1e-10)


def test_lost_digits_stop(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN or a wrong weight at one node: ⟨R⟩ = 1 and Σ P = m are checked."""
    honest = races._heat

    def broken(*given: Any) -> races.Heat:
        heat = honest(*given)
        heat.weights[0] *= factor
        return heat

    monkeypatch.setattr(races, "_heat", broken)
    for factor in (np.nan, 1.001):  # noqa: B007 (which `broken` reads)
        with pytest.raises(ArithmeticError, match="lost their digits"):
            log_counts("distinct", np.log(steep(rng, 6)), 3)


def test_edges() -> None:
    """One draw, all labels, q near 1, labels that are never drawn, and q below any float."""
    q = np.array([0.6, 0.3, 0.1])
    assert np.exp(log_counts("distinct", np.log(q), 1)[0]) == pytest.approx(q, rel=1e-14)
    assert np.exp(log_counts("distinct", np.log(q), 3)[0]).tolist() == [1.0, 1.0, 1.0]
    log_q = np.array([np.log1p(-1e-12), np.log(6e-13), np.log(4e-13), -np.inf])
    found = np.exp(log_counts("distinct", log_q, 2)[0])
    assert found == pytest.approx([1.0, 0.6, 0.4, 0.0], rel=1e-11)
    tiny = np.array([np.log(0.7), np.log(0.3), -900.0, -901.0])
    for name in SETS:
        in_logs = log_counts(name, tiny, 2)[0]
        assert in_logs[2] - in_logs[3] == pytest.approx(1.0, rel=1e-12)
        assert in_logs[2] < -800
    assert counts.LEAST_LOG_Q > -700


def test_a_conditional_law_that_rounds_above_1() -> None:
    """One label has all of the mass off the positive."""
    q = [0.01719767660800665, 0.9828023233919935, 8.290257736730124e-18]
    problem = il.Problem([2.0, 1.0, 0.0], il.LabelPrior.from_counts([1, 1, 1]), 0)
    for name in SETS:
        m = 1 if name == "distinct" else 2
        scheme = il.Scheme(il.samplers.Explicit(q), il.weightings.Unit(), m=m, hits="exclude", draws=name)
        found, listed = il.integrate(scheme, SOFTMAX, problem), il.exhaust(scheme, SOFTMAX, problem)
        assert abs(float(found) - float(listed)) <= found.error + listed.error  # type: ignore[operator]


# --- the witnesses ----------------------------------------------------------------------------------------------------


def schemes(name: DrawsName, m: int) -> list[il.Scheme]:
    weightings = (il.weightings.Importance(), il.weightings.Relative(), il.weightings.Unit())
    hits = ("mask", "keep", "exclude")
    return [
        il.Scheme(il.samplers.WithinBatch(), w, m=m, hits=h, draws=name, hard=hard)
        for w, h, hard in zip(weightings, hits, (None, il.HardNegatives(k=1), il.HardNegatives(k=1)), strict=True)
    ]


def _problem(rng: np.random.Generator, n: int = 4) -> il.Problem:
    return il.Problem(rng.normal(0, 2, n), il.LabelPrior.from_counts(rng.integers(1, 50, n)), 1)


@pytest.mark.parametrize("loss", [SOFTMAX, LOGISTIC], ids=["softmax", "logistic"])
@pytest.mark.parametrize("name", SETS)
def test_integrals_against_enumeration(name: DrawsName, loss: Loss, rng: np.random.Generator) -> None:
    problem = _problem(rng)
    for scheme in schemes(name, 2):
        for quantity in ("mean", "gap", "mse", "variance", "gradient"):
            one, other = il.integrate(scheme, loss, problem, quantity), il.exhaust(scheme, loss, problem, quantity)
            apart = np.abs(np.asarray(one.value) - other.value)
            assert np.all(apart <= np.asarray(one.error) + other.error), quantity
            assert np.max(one.error) < 1e-10 * max(1.0, float(np.abs(one.value).max()))
    assert il.integrate(scheme, loss, problem, "mean").value != pytest.approx(
        float(il.integrate(schemes("iid", 2)[-1], loss, problem)), rel=1e-4
    )


@pytest.mark.parametrize("name", SETS)
def test_draws_that_pay_nothing_leave_what_hard_negatives_pay(name: DrawsName) -> None:
    """T has all other labels, and their draws are masked: mean and gradient are those of T."""
    problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), 1)
    hard = il.HardNegatives(k=3, overlap="mask", positives="replace")
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=2, hits="mask", draws=name, hard=hard)
    for quantity in ("mean", "gradient", "variance", "gap"):
        one, other = (verb(scheme, SOFTMAX, problem, quantity) for verb in (il.integrate, il.exhaust))
        apart = np.abs(np.asarray(one.value) - other.value)
        assert np.all(apart <= np.asarray(one.error) + other.error), quantity
    assert float(il.integrate(scheme, SOFTMAX, problem)) > 2


@pytest.mark.in_turn
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("weighting", il.weightings.examples(), ids=str)
@pytest.mark.parametrize("sampler", il.samplers.examples(4), ids=str)
def test_every_sampler_and_weighting(sampler: Any, weighting: Any, name: DrawsName, rng: np.random.Generator) -> None:
    """The witnesses' contract: integrals are within their errors of enumeration, whatever parts there are."""
    problem = _problem(rng)
    # Minimum variance never draws the positive: ratios to its q are refused.
    spared = isinstance(sampler, il.samplers.MinimumVariance)
    if spared and isinstance(weighting, (il.weightings.Relative, il.weightings.Consistent)):
        return
    for hits in ("mask", "keep", "exclude"):
        scheme = il.Scheme(sampler, weighting, m=2, hits=hits, draws=name)
        for quantity in ("mean", "gradient"):
            one, other = (witness(scheme, SOFTMAX, problem, quantity) for witness in (il.integrate, il.exhaust))
            apart = np.abs(np.asarray(one.value) - other.value)
            assert np.all(apart <= np.asarray(one.error) + other.error), (str(scheme), quantity)


@pytest.mark.parametrize("name", SETS)
def test_simulations_against_integrals(name: DrawsName, rng: np.random.Generator) -> None:
    """Within 6.5 standard errors, which a true number leaves once in 1e10; the design of another does not."""
    problem = _problem(rng)
    for scheme in schemes(name, 2):
        for quantity in ("mean", "gradient"):
            exact = il.integrate(scheme, SOFTMAX, problem, quantity)
            run = il.simulate(scheme, SOFTMAX, problem, quantity, runs=20_000, rng=rng)
            off = np.abs(np.asarray(run.value) - exact.value)
            assert np.all(off <= 6.5 * np.asarray(run.error) + 1e-12), (str(scheme), quantity)
    # Where a label is likely, i.i.d. draws repeat it.
    problem = il.Problem(np.zeros(4), il.LabelPrior.from_counts([50, 20, 2, 1]), 2)
    right, wrong = (
        il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=3, hits="mask", draws=one) for one in (name, "iid")
    )
    run = il.simulate(right, SOFTMAX, problem, runs=20_000, rng=rng)
    assert abs(float(run) - float(il.integrate(wrong, SOFTMAX, problem))) > 6.5 * run.error


def test_procedures_draw_what_they_say(rng: np.random.Generator) -> None:
    """m different labels a run, a set of what m draws gave, coins; the rest of a row is empty."""
    q = np.array([0.7, 0.2, 0.08, 0.02])
    for name in DRAWS:
        labels = design(name).runs(by_shares(q), q, 3)(rng, 4_000)
        there = labels < 4
        least, most = design(name).sizes(4, 3)
        assert there.sum(axis=1).min() >= least
        assert there.sum(axis=1).max() <= most
        repeats = [len(set(row[row < 4])) < (row < 4).sum() for row in labels]
        assert any(repeats) == (name == "iid")
        came = np.array([(labels == j).sum() for j in range(4)]) / 4_000
        expected = np.exp(log_counts(name, np.log(q), 3)[0])
        assert np.all(np.abs(came - expected) <= 6.5 * np.sqrt(3 / 4_000))
    with pytest.raises(ValueError, match="cannot be simulated here"):
        design("distinct").runs(by_shares(np.array([1.0, 1e-12])), np.array([1.0, 1e-12]), 2)(rng, 3)


def test_threads_do_not_matter(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    for name in SETS:
        scheme = schemes(name, 2)[0]
        runs = [il.simulate(scheme, SOFTMAX, problem, runs=3_000, rng=5, threads=n).value for n in (1, 3)]
        assert runs[0] == runs[1]


# --- weights and margins ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_margins(name: DrawsName, rng: np.random.Generator) -> None:
    """Importance weights have p = 1, tail weights π_y'/π_y; the naive ones P/(m q), those by TensorFlow's count P/Q."""
    problem = _problem(rng, 5)
    prior, m = problem.prior, 3
    pi = prior.counts / prior.counts.sum()

    def margins(weighting: Any) -> Floats:
        scheme = il.Scheme(il.samplers.WithinBatch(), weighting, m=m, hits="mask", draws=name)
        return np.delete(il.implicit_margins(scheme, prior)[1], 1)

    at = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=m, hits="mask", draws=name)
    inclusion = np.delete(il.inclusion_probabilities(at, problem), 1)
    q = np.delete(pi, 1)
    assert margins(il.weightings.Importance()) == pytest.approx(np.ones(4), rel=1e-12)
    assert margins(il.weightings.Tail()) == pytest.approx(q / pi[1], rel=1e-12)
    assert margins(il.weightings.Unit()) == pytest.approx(inclusion, rel=1e-12)
    assert margins(il.weightings.Importance(count="naive")) == pytest.approx(inclusion / (m * q), rel=1e-12)
    tries = expected_tries(name, np.log(pi), m)
    assert margins(il.weightings.Importance(count="tf")) == pytest.approx(inclusion / (1 - (1 - q) ** tries), rel=1e-11)
    whole = il.inclusion_probabilities(at, problem)
    assert margins(il.weightings.Relative()) == pytest.approx(np.full(4, whole[1]), rel=1e-12)


def test_the_optimum_of_the_implicit_loss(rng: np.random.Generator) -> None:
    """By the margins of the design: importance weights teach log η, weights of 1 something else."""
    prior, eta = il.LabelPrior.from_counts([50, 20, 5, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    target = np.log(eta) - np.log(eta).mean()
    for name in SETS:
        weighed, plain = (
            il.Scheme(il.samplers.WithinBatch(), w, m=2, hits="mask", draws=name)
            for w in (il.weightings.Importance(), il.weightings.Unit())
        )
        found = il.population_optimum(weighed, SOFTMAX, eta, prior, of="implicit")
        assert found == pytest.approx(target, abs=1e-6)
        assert il.population_optimum(plain, SOFTMAX, eta, prior, of="implicit") != pytest.approx(target, abs=0.1)


REFUSALS: dict[str, Callable[[il.Scheme, il.Problem], Any]] = {
    "Theorem 3": lambda scheme, problem: il.expand(scheme, SOFTMAX, problem),
    "a minibatch": lambda scheme, problem: il.Minibatch(scheme, SOFTMAX, problem.prior),
    "information": lambda scheme, problem: il.information(scheme, np.full(4, 0.25), problem.prior),
    "what verify checks": lambda scheme, problem: il.verify(scheme, problem),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_is_of_independent_draws_only_says_so(what: str, rng: np.random.Generator) -> None:
    problem = _problem(rng)
    with pytest.raises(ValueError, match=f"{what} .*independent draws"):
        REFUSALS[what](schemes("set", 2)[0], problem)


def test_sweeps_integrate_one_by_one(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    scheme = schemes("distinct", 2)[0]
    swept = il.sweep([scheme], SOFTMAX, problem.scores, problem.prior, positives=[1])
    assert swept["mean"].value[0, 0] == float(il.integrate(scheme, SOFTMAX, problem))


def test_designs_are_named(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    with pytest.raises(ValueError, match="draws must be 'iid', 'distinct', 'set' or 'bernoulli'"):
        il.Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=2, hits="mask", draws="unique")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="count must be 'expected', 'naive' or 'tf'"):
        il.weightings.Importance(count="log")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="draws='distinct' needs m at most 3"):
        schemes("distinct", 4)[2].plan(problem)
    assert str(schemes("set", 2)[0]).endswith("draws=set")
    assert "draws" not in str(schemes("iid", 2)[0])


def test_covariances(rng: np.random.Generator) -> None:
    """Cov(ℓ, ℓ) is the variance, draws of another law are refused, and excluded hits."""
    one, other = _problem(rng), _problem(rng)
    for name in DRAWS:
        scheme = schemes(name, 2)[0]
        own, variance = il.covariance(scheme, SOFTMAX, one, one), il.integrate(scheme, SOFTMAX, one, "variance")
        assert abs(float(own) - float(variance)) <= own.error + variance.error
        assert own.error < 1e-9
    with pytest.raises(ValueError, match="the law is the same for both"):
        il.covariance(scheme, SOFTMAX, one, other)
    excluded = il.Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=2, hits="exclude")
    with pytest.raises(ValueError, match="cannot share their draws"):
        il.covariance(excluded, SOFTMAX, one, il.Problem(one.scores, one.prior, 2))


def test_laws_have_the_protocol() -> None:
    for name in DRAWS:
        law: Law = design(name).law(np.array([0.5, 0.3, 0.2]), 2)
        assert 0 < law.error < 1e-10
