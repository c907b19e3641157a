"""Labels that come once at most in a call, by a law that nobody claims: a set of draws, coins, systematic draws.

The name of what fits has no stated error; that of independent draws is excluded with one of e^-20.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.labels import Floats, Labels
from implicitloss.numerics import bounds
from implicitloss.numerics.bounds import log_one_repeat

L, M = 60, 20
PRIOR = il.LabelPrior.zipf(L, 1.0)
PI = np.asarray(PRIOR.probabilities)
UNIFORM = np.full(L, 1 / L)


def a_set(law: Floats, rng: np.random.Generator, n: int) -> Any:
    came = np.zeros((n, L), dtype=bool)
    np.put_along_axis(came, rng.choice(L, (n, M), p=law), True, axis=1)
    return came


def coins(law: Floats, rng: np.random.Generator, n: int) -> Any:
    return rng.random((n, L)) < np.minimum(M * law, 1.0)


def systematic(law: Floats, rng: np.random.Generator, n: int) -> Any:
    ends = np.concatenate([[0.0], np.cumsum(np.minimum(M * law, 1.0))]) - rng.random((n, 1))
    return np.diff(np.floor(ends), axis=1) > 0


def once(drawn: Callable[..., Any], law: Floats, weights: Floats) -> Any:
    """Sampled softmax of the labels that came, with gradients; hits are masked."""

    def loss(f: Floats, y: Labels, rng: np.random.Generator) -> Any:
        rows = np.arange(y.size)
        counts = weights * drawn(law, rng, y.size)
        counts[rows, y] = 0.0
        terms = counts * np.exp(f - f[rows, y][:, None])
        total = 1.0 + terms.sum(axis=1)
        gradient = terms / total[:, None]
        gradient[rows, y] = 1.0 / total - 1.0
        return np.log(total), gradient

    return loss


ONE = np.ones(L)
NAMED = [
    (a_set, PI, ONE, "weights of 1, within-batch sampling, m = 20 draws as a set"),
    (a_set, PI, 1 / (1 - (1 - PI) ** M), "importance weights 1/P(drawn), within-batch sampling, m = 20 draws as a set"),
    (a_set, PI, 1 / (M * PI), "log(m q) taken off draws none of which comes twice"),
    (a_set, UNIFORM, ONE, "weights of 1, uniform sampling, m = 20 draws as a set"),
    (coins, UNIFORM, ONE, "weights of 1, uniform sampling, a coin for each label"),
    (coins, UNIFORM, ONE * L / M, "importance weights 1/P(drawn), uniform sampling, a coin for each label"),
    (systematic, UNIFORM, ONE, "weights of 1, uniform sampling, m = 20 different labels"),
]


@pytest.mark.parametrize(("drawn", "law", "weights", "name"), NAMED, ids=[f"{r[0].__name__}-{r[3]}" for r in NAMED])
@pytest.mark.parametrize("claim", ["full", None])
def test_draws_that_come_once_are_named(
    drawn: Any, law: Floats, weights: Floats, name: str, claim: Any, seed: int
) -> None:
    report = il.audit(once(drawn, law, weights), prior=PRIOR, claim=claim, rng=seed)
    assert report.nearest is not None
    assert report.nearest.agrees
    assert report.nearest.name.startswith(name)


@pytest.mark.parametrize("drawn", [coins, systematic])
def test_a_law_that_no_design_here_has_is_not_named(drawn: Any, seed: int) -> None:
    """Labels come by min(1, m π): importance weights by it hold, and no independent draws bring each once."""
    come = np.minimum(M * PI, 1.0)
    report = il.audit(once(drawn, PI, 1 / come), prior=PRIOR, claim="full", rng=seed)
    assert report.verdict == "holds"
    assert report.nearest is None
    measured = il.audit(once(drawn, PI, 1 / come), prior=PRIOR, rng=seed)
    assert measured.nearest is None


def two_or_eight(law: Floats, rng: np.random.Generator, n: int) -> Any:
    """Two different labels, or eight: the mean is that of coins with m = 5."""
    size = np.where(rng.random((n, 1)) < 0.5, 2, 8)
    return np.argsort(np.argsort(rng.random((n, law.size)), axis=1), axis=1) < size


def few_systematic(law: Floats, rng: np.random.Generator, n: int) -> Any:
    ends = np.concatenate([[0.0], np.cumsum(np.minimum(5 * law, 1.0))]) - rng.random((n, 1))
    return np.diff(np.floor(ends), axis=1) > 0


def few_coins(law: Floats, rng: np.random.Generator, n: int) -> Any:
    """The most frequent label comes in every call; coins of 1 - (1 - q)^m would leave it out now and then."""
    return rng.random((n, law.size)) < np.minimum(5 * law, 1.0)


@pytest.mark.parametrize(("drawn", "alike"), [(two_or_eight, True), (few_systematic, False), (few_coins, False)])
def test_draws_with_another_spread_are_no_set_and_no_coins(drawn: Any, alike: bool, seed: int) -> None:
    prior = il.LabelPrior.zipf(30, 1.0)
    law = np.full(30, 1 / 30) if alike else np.asarray(prior.probabilities)
    come = np.full(30, 1 / 6) if alike else np.minimum(5 * law, 1.0)
    report = il.audit(once(drawn, law, 1 / come), prior=prior, claim="full", rng=seed)
    assert report.verdict == "holds"
    assert report.nearest is None or report.nearest.scheme.draws not in ("set", "bernoulli"), report.nearest


def by_enumeration(q: Floats, m: int) -> float:
    """P(at most one of m draws is a repeat); what q leaves out is a label that may come often."""
    law = [*q, 1.0 - q.sum()]
    found = 0.0
    for draws in itertools.product(range(len(law)), repeat=m):
        seen = [label for label in draws if label < q.size]
        found += float(np.prod([law[label] for label in draws])) * (len(seen) - len(set(seen)) <= 1)
    return found


@pytest.mark.parametrize(
    ("q", "m"),
    [([0.5, 0.3, 0.2], 4), ([0.25] * 4, 5), ([0.6, 0.1], 5), ([0.2, 0.2, 0.1], 1), ([0.9], 6), ([0.1] * 5, 3)],
)
def test_one_repeat_by_enumeration(q: Any, m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    q = np.array(q)
    exact = by_enumeration(q, m)
    assert log_one_repeat(q, m) == pytest.approx(np.log(exact), abs=2e-3)
    assert log_one_repeat(q, m) >= np.log(exact) - 1e-12
    # With a few points of the circle the bound is wider, and it is one still.
    for points in (1, 2, 3):
        monkeypatch.setattr(bounds, "MOST_OF_CIRCLE", points * q.size)
        assert log_one_repeat(q, m) >= np.log(exact) - 1e-12


def test_more_draws_than_labels_have_repeats() -> None:
    for n, m in ((5, 7), (2, 5), (8, 10), (20, 22), (29, 31)):
        assert log_one_repeat(np.full(n, 1 / n), m) < -15
