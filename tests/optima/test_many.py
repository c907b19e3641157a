"""Optima of many labels: the series and bins of light labels, and Newton's method, against labels one by one."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.labels import Floats
from implicitloss.numerics.logsum import log_rest
from implicitloss.optima import alike as module
from implicitloss.optima import balance, light, many
from implicitloss.optima.objective import shared_factors

S, W = il.samplers, il.weightings
HITS: tuple[Any, ...] = ("keep", "mask", "exclude")
N = 400


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four hundred labels go the way of millions."""
    monkeypatch.setattr(balance, "MANY", 100)
    monkeypatch.setattr(light, "MANY", 100)


def prior_and_eta(rng: np.random.Generator) -> tuple[il.LabelPrior, Floats]:
    """Labels that all differ in π and η, and one that is likely."""
    shares = np.exp(rng.normal(size=N)) / np.arange(1, N + 1)
    eta = rng.dirichlet(np.full(N, 0.5)) + 1e-9
    eta[7] += 0.1
    return il.LabelPrior.from_probabilities(shares / shares.sum()), eta / eta.sum()


def sides(scheme: il.Scheme, eta: Floats, prior: il.LabelPrior) -> Any:
    factors = shared_factors(scheme, prior)
    assert factors is not None
    return balance._Sides(eta, *factors, np.exp(log_rest(factors[0])), np.ones(N), scheme.m, scheme.hits)


@pytest.mark.parametrize("hits", HITS)
def test_light_labels_push_as_labels_one_by_one(
    hits: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, few_are_many: None
) -> None:
    """Both sides agree to what is neglected, where some labels are heavy and terms of every order count."""
    prior, eta = prior_and_eta(rng)
    for sampler, w, m in itertools.product((S.WithinBatch(), S.Uniform()), (W.Importance(), W.Tail()), (1, 3, 64)):
        f = np.log(eta) + rng.normal(size=N) - (prior.log if isinstance(w, W.Tail) else 0.0)
        at = sides(il.Scheme(sampler, w, m=m, hits=hits), eta, prior)
        for moved in (0.0, balance.STAYS, 5.0):  # which labels are light is looked at again, or not
            near = f + moved * rng.uniform(-1.0, 1.0, N)
            found = at.log_ratio(near)
            with monkeypatch.context() as patch:
                patch.setattr(balance, "MANY", N + 1)
                one_by_one = at.log_ratio(near)
            assert found == pytest.approx(one_by_one, abs=3 * light.NEGLECTED), (sampler, w, m, moved)


@pytest.mark.parametrize("hits", HITS)
def test_the_optimum_of_many_labels_is_that_of_labels_one_by_one(
    hits: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, few_are_many: None
) -> None:
    """Also where Newton's method does not come nearer, and another goes on."""
    prior, eta = prior_and_eta(rng)
    scheme, loss = il.Scheme(S.Mixture(0.5), W.Importance(), m=64, hits=hits), il.losses.SoftmaxCrossEntropy()
    found = il.population_optimum(scheme, loss, eta, prior)
    with monkeypatch.context() as patch:
        patch.setattr(balance, "MANY", N + 1)
        one_by_one = il.population_optimum(scheme, loss, eta, prior)
    assert found == pytest.approx(one_by_one, abs=1e-8)
    if hits == "keep":
        monkeypatch.setattr(balance, "descent", lambda *given: None)
        assert il.population_optimum(scheme, loss, eta, prior) == pytest.approx(one_by_one, abs=1e-7)


def test_a_newton_step_makes_the_error_much_smaller(rng: np.random.Generator, few_are_many: None) -> None:
    """Off by a thousandth of log π before, 1/500 of that after; steps that do not shrink end the search."""
    prior, eta = prior_and_eta(rng)
    at = sides(il.Scheme(S.WithinBatch(), W.Relative(), m=3, hits="keep"), eta, prior)
    off = 1e-3 * (prior.log - prior.log.mean())
    left = off + at.step(np.log(eta) + off, 1e-11)
    assert np.abs(left - eta @ left).max() < 2e-3 * np.abs(off - eta @ off).max()
    assert many.descent(lambda f, _: f - 2, np.ones(3) * [1, 2, 4], np.ones(3), 1e-9) is None


@pytest.mark.parametrize("off", [1e-9, 1e-6, 1e-3])
@pytest.mark.parametrize("done", [0.7, 1.2])
def test_the_search_ends_where_little_is_left(off: float, done: float) -> None:
    """Also from scores so near that the first step is short, with steps that go too short a way or too far."""
    there = np.array([1.0, -2.0, 0.5])
    found = many.descent(lambda f, _: done * (there - f), there + off * np.array([1, -1, 0.3]), np.ones(3), 1e-9)
    assert found is not None
    assert found - found.mean() == pytest.approx(there - there.mean(), abs=1e-9)


def test_columns_that_are_equal_are_found(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their hash, and where all columns have the same."""
    table = rng.integers(0, 2, size=(3, 40)).astype(np.float64)
    for hashed in (True, False):
        if not hashed:
            monkeypatch.setattr(module, "MIXER", np.uint64(0))
        first, of_label, counts = module.alike(table)
        assert np.array_equal(table[:, first][:, of_label], table)
        assert first.size == np.unique(table, axis=1).shape[1]
        assert np.array_equal(np.bincount(of_label), counts)
    different = np.arange(6.0).reshape(2, 3)
    assert [list(found) for found in module.alike(different)] == [[0, 1, 2], [0, 1, 2], [1, 1, 1]]
