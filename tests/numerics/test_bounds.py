"""Concentration bounds: their formulas, and that they hold where normal error bars do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from implicitloss.numerics.bounds import (
    cdf_half_width,
    count_is_unlikely,
    deviation_half_width,
    deviation_mean,
    half_width,
    likely_sum,
    runs_needed,
    sum_half_width,
    total_variation_seen,
)


def test_half_width_by_hand() -> None:
    """Maurer and Pontil 2009, theorem 4, with δ/2 a side: √(2 V log(4/δ)/n) + 7 b log(4/δ)/(3(n - 1))."""
    log = math.log(4e6)
    by_hand = math.sqrt(2 * 0.25 * log / 1000) + 7 * 3 * log / (3 * 999)
    assert half_width(0.25, 3.0, 1000, 1e-6) == pytest.approx(by_hand, rel=1e-14)
    # Near misses: one side only, the coefficient 7/6 of a known variance, the range forgotten.
    for wrong in (
        math.sqrt(2 * 0.25 * math.log(2e6) / 1000) + 7 * math.log(2e6) / 999,
        math.sqrt(2 * 0.25 * log / 1000) + 7 * 3 * log / (6 * 999),
        math.sqrt(2 * 0.25 * log / 1000),
    ):
        assert half_width(0.25, 3.0, 1000, 1e-6) > wrong * 1.01


def test_sums_by_hand() -> None:
    """Where squares decide √(2 squares log(32/δ)), where the span does span log(32/δ)/0.95, and never far above."""
    log = math.log(32e6)
    assert sum_half_width(1e6, 1.0, 1e-6) == pytest.approx(math.sqrt(2e6 * log), rel=0.05)
    assert sum_half_width(0.0, 3.0, 1e-6) == pytest.approx(3 * log / 0.95, rel=1e-12)
    assert sum_half_width(3.0, np.inf, 1e-6) == np.inf
    none = sum_half_width(np.array([1e9, 0.0]), np.array([0.0, 0.0]), 1e-6)  # no span: squares have no limit, 0 is 0
    assert none[0] > 1e300
    assert none[1] == 0.0
    each = sum_half_width(np.array([[0.0, 2.0], [5.0, 9.0]]), np.array([3.0, 0.5]), 0.1)
    assert each[1, 0] == sum_half_width(5.0, 3.0, 0.1)
    assert each.shape == (2, 2)


@pytest.mark.parametrize("mean", [1e-3, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("delta", [1e-2, 1e-7])
def test_few_sums_exceed_what_is_likely(mean: float, delta: float) -> None:
    """Poisson counts, whose tail is exact, as sums of many rare draws of weight 2; with six deviations they did."""
    limit = likely_sum(2 * mean, 4 * mean, 2.0, delta)
    assert stats.poisson.sf(limit / 2, mean) <= delta
    assert stats.poisson.sf(limit / 2 - 2 - 0.2 * math.sqrt(mean), mean) > delta / 50  # it is no more than needed
    if mean < 1 and delta < 1e-2:
        assert stats.poisson.sf(mean + 6 * math.sqrt(mean), mean) > delta
    assert likely_sum(0.0, 0.0, 2.0, delta) == 0.0
    assert likely_sum(3.0, 0.0, 0.0, delta) == 3.0


@pytest.mark.parametrize("center", [0.0, 0.2, 1.0])
def test_sums_of_bernoulli_trials_leave_the_limits_as_seldom_as_is_said(center: float) -> None:
    """Exactly, by all counts, for trials of any probability."""
    delta, n = 0.05, 400
    counts = np.arange(n + 1)
    width = sum_half_width(counts * (1 - center) ** 2 + (n - counts) * center**2, 1.0, delta)

    def worst(share: float) -> float:
        return max(
            float(stats.binom.pmf(counts, n, p)[np.abs(counts - n * p) > share * width].sum())
            for p in np.linspace(0, 1, 501)
        )

    assert worst(1.0) <= delta
    # Near miss: a third of it.
    assert worst(1 / 3) > delta


def test_one_term_says_nothing() -> None:
    assert half_width(0.0, 1.0, 1, 0.5) == math.inf
    assert half_width(0.0, 0.0, 2, 0.5) == 0


def test_cdf_half_width_by_hand() -> None:
    assert cdf_half_width(200, 0.1) == pytest.approx(math.sqrt(math.log(20) / 400), rel=1e-15)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1e-6, 1e3), st.floats(1e-12, 0.5))
def test_runs_needed_are_enough_and_not_many_too_many(variance: float, span: float, width: float, delta: float) -> None:
    n = runs_needed(variance, span, width, delta)
    assert half_width(variance, span, n, delta) <= width * (1 + 1e-12)
    fewer = n - 3 - n // 10**6
    assert fewer < 2 or half_width(variance, span, fewer, delta) > width * (1 - 1e-6)


@given(st.floats(0, 10), st.floats(0, 10), st.integers(2, 10**6), st.floats(1e-9, 0.5))
def test_half_width_is_monotone(variance: float, span: float, n: int, delta: float) -> None:
    here = half_width(variance, span, n, delta)
    assert half_width(variance + 1, span, n, delta) >= here
    assert half_width(variance, span + 1, n, delta) >= here
    assert half_width(variance, span, n + 1, delta) <= here
    assert half_width(variance, span, n, delta / 2) >= here


def test_coverage_on_a_long_tail(rng: np.random.Generator) -> None:
    """1,000 when a coin of 1/5000 falls, else 0; 2,000 terms; 2,000 samples; nominal rate 1e-2.

    False alarm: more than 61 of 2,000 intervals off, where each is off with probability at most 0.01, has probability
    below e^{-2000 KL(61/2000, 1/100)} < 2e-12 (Chernoff).  The normal interval, the mutant, is off far more often:
    with no draw seen, probability e^{-0.4}, its width is 0.
    """
    samples, n, p, delta = 2000, 2000, 1 / 5000, 1e-2
    falls = rng.binomial(n, p, samples) / n
    means, variances = 1000 * falls, 1e6 * falls * (1 - falls) * n / (n - 1)
    off = [abs(mean - 0.2) > half_width(v, 1000, n, delta) for mean, v in zip(means, variances, strict=True)]
    share = 61 / samples
    chernoff = -samples * (share * math.log(share / delta) + (1 - share) * math.log((1 - share) / (1 - delta)))
    assert chernoff < math.log(2e-12)
    assert sum(off) <= 61
    normal = [abs(mean - 0.2) > 2.576 * math.sqrt(v / n) for mean, v in zip(means, variances, strict=True)]
    assert sum(normal) > 61


def test_coverage_where_the_variance_matters(rng: np.random.Generator) -> None:
    """Uniform terms, n = 2,000, nominal rate 1e-2; the same count and false alarm.  A width of a third fails."""
    samples, n, delta = 2000, 2000, 1e-2
    terms = rng.random((samples, n))
    means, variances = terms.mean(axis=1), terms.var(axis=1, ddof=1)
    widths = np.array([half_width(v, 1.0, n, delta) for v in variances])
    assert np.count_nonzero(np.abs(means - 0.5) > widths) <= 61
    assert np.count_nonzero(np.abs(means - 0.5) > widths / 3) > 61


def test_coverage_of_the_cdf_bound(rng: np.random.Generator) -> None:
    """A discrete law of five labels, n = 500, nominal rate 1e-2, the same count.  A width of two fifths fails."""
    samples, n, delta = 2000, 500, 1e-2
    law = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    counts = rng.multinomial(n, law, samples) / n
    distances = np.abs(np.cumsum(counts, axis=1) - np.cumsum(law)).max(axis=1)
    assert np.count_nonzero(distances > cdf_half_width(n, delta)) <= 61
    assert np.count_nonzero(distances > 0.4 * cdf_half_width(n, delta)) > 61


def test_the_mean_deviation_is_that_of_binomials() -> None:
    """Against Σ over every count, exactly; a law that is another has another."""
    q, n = np.array([0.5, 0.3, 0.15, 0.05, 0.0]), 23
    k = np.arange(n + 1)
    by_hand = sum(float(stats.binom.pmf(k, n, p) @ np.abs(k / n - p)) for p in q)
    assert deviation_mean(n, q) == pytest.approx(by_hand, rel=1e-12)
    assert abs(deviation_mean(n, q[::-1] * 0 + 0.2) - by_hand) > 0.01


def test_the_deviation_is_off_its_mean_as_rarely_as_stated(rng: np.random.Generator) -> None:
    """20,000 experiments at δ = 1 %: far fewer than 1 % are off (McDiarmid's bound is a bound)."""
    q, n = rng.dirichlet(np.ones(50)), 200
    total = np.abs(rng.multinomial(n, q, size=20_000) / n - q).sum(axis=1)
    assert np.mean(np.abs(total - deviation_mean(n, q)) > deviation_half_width(n, 0.01)) < 0.01


def test_deviation_half_width_by_hand() -> None:
    """McDiarmid 1989, two sides: one draw of n moves the sum by 2/n at most, and so 2 e^{-2 t²/(n (2/n)²)} = δ."""
    t = deviation_half_width(200, 0.1)
    assert 2 * math.exp(-2 * t**2 / (200 * (2 / 200) ** 2)) == pytest.approx(0.1, rel=1e-13)


def test_what_is_seen_in_total_variation_is_refuted(rng: np.random.Generator) -> None:
    """2,000 experiments with laws just so far off, of three shapes: each missed with probability at most 1 %.

    More than 61 misses of 2,000 have probability below e^{-2000 KL(61/2000, 1/100)} < 2e-12 (Chernoff).  Laws a third
    as far off are missed.
    """
    n, delta, q = 4_000, 0.01, np.full(50, 0.02)
    far = total_variation_seen(n, q, delta)
    assert far == pytest.approx(deviation_mean(n, q) / 2 + deviation_half_width(n, delta), rel=1e-13)
    assert total_variation_seen(10, q, delta) == 1
    reach = deviation_half_width(n, delta)

    def missed(law: np.ndarray) -> int:
        total = np.abs(rng.multinomial(n, law, size=2_000) / n - q).sum(axis=1)
        return int(np.count_nonzero(np.abs(total - deviation_mean(n, q)) <= reach))

    signs = np.where(np.arange(50) % 2 == 0, 1.0, -1.0)
    shapes = [signs / 25, np.sort(signs) / 25, np.append(1.0, np.full(49, -1 / 49))]
    for shape in shapes:
        assert missed(q + far * shape) <= 61
        assert missed(q + far / 3 * shape) > 61


def test_unlikely_counts() -> None:
    assert count_is_unlikely(0, 1000, 0.02, 1e-6)
    assert not count_is_unlikely(20, 1000, 0.02, 1e-6)
    assert not count_is_unlikely(3, 1000, 0.02, 1e-6)
    assert count_is_unlikely(60, 1000, 0.02, 1e-6)
