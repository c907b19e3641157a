"""Scores under an index that is refreshed now and then: against steps of gradient descent, and in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.special import expit

import implicitloss as il
from implicitloss.kernels.flow import climb, flow
from implicitloss.labels import Floats

L, STEP = 60, 0.1
ETA = 0.6 / np.arange(1, L + 1)


def scheme(k: int = 4, m: int = 3, **options: Any) -> il.Scheme:
    hard = il.HardNegatives(k, **{name: options.pop(name) for name in ("overlap", "weight") if name in options})
    return il.Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=m, hits="mask", hard=hard, **options)


def descended(at: il.Scheme, refresh: int, refreshes: int) -> tuple[float, Floats, Floats]:
    """Loss over time, swings and shares of refreshes in T, step by step, with the gradient written once more."""
    assert at.hard is not None
    p = at.m / L
    inside = at.hard.weight + (p if at.hard.overlap == "keep" else 0.0)
    logistic = il.losses.Decoupled(il.losses.logistic)
    f = il.waterfilling(at, logistic, ETA, il.LabelPrior.zipf(L, 0.0)).scores.copy()
    total, n, visits, low, high = 0.0, 0, np.zeros(L), np.full(L, np.inf), np.full(L, -np.inf)
    for period in range(refreshes):
        b = np.full(L, p)
        best = np.argsort(-f, kind="stable")[: at.hard.k]
        b[best] = inside
        for _ in range(refresh):
            if period >= refreshes // 3:
                low, high = np.minimum(low, f), np.maximum(high, f)
                total += float(np.sum(np.logaddexp(0, f) - ETA * f))
                n += 1
            f -= STEP * ((ETA + (1 - ETA) * b) * expit(f) - ETA)
        if period >= refreshes // 3:
            visits[best] += 1
    return total / n, high - low, visits / (refreshes - refreshes // 3)


# The steps of .1 are what the flow leaves out: it matters the less the longer scores rest within a period.
@pytest.mark.parametrize(("refresh", "refreshes", "within"), [(1, 3_000, 4e-3), (60, 240, 1.5e-3), (1_500, 24, 1e-4)])
@pytest.mark.parametrize("options", [{}, {"overlap": "mask", "weight": 2.0}], ids=str)
def test_the_period_map_is_gradient_descent(
    options: dict[str, Any], refresh: int, refreshes: int, within: float
) -> None:
    """Hard negatives that weigh a tenth more are farther off."""
    at = scheme(**options)
    assert at.hard is not None
    loss, swing, duty = descended(at, refresh, refreshes)
    found = il.stale_index(at, ETA, refresh, STEP, refreshes=refreshes)
    assert found.loss == pytest.approx(loss, rel=within)
    heavier = il.stale_index(
        scheme(**{**options, "weight": 1.1 * at.hard.weight}), ETA, refresh, STEP, refreshes=refreshes
    )
    assert abs(heavier.loss / loss - 1) > 2 * within
    assert found.duty.sum() == pytest.approx(4)
    np.testing.assert_allclose(found.duty, duty, atol=0.1)
    assert np.median(np.abs(found.swing - swing)) < 0.05
    assert np.all(swing <= found.cap + 0.05)
    assert found.least_loss == pytest.approx(-np.sum(ETA * np.log(ETA) + (1 - ETA) * np.log1p(-ETA)))
    assert found.excess == pytest.approx(found.loss / found.least_loss)


def test_the_cap_is_reached_and_never_passed() -> None:
    """log((1 + p)/p) within 1 per cent after long periods; half of it is passed, and without draws there is none."""
    long = il.stale_index(scheme(), ETA, 30_000, STEP, refreshes=60)
    p = 3 / L
    np.testing.assert_allclose(long.cap, np.log((1 + p) / p), rtol=1e-12)
    assert long.swing.max() == pytest.approx(long.cap[0], rel=0.01)
    assert np.all(long.swing <= long.cap * (1 + 1e-12))
    masked = il.stale_index(scheme(overlap="mask"), ETA, 30_000, STEP, refreshes=60)
    np.testing.assert_allclose(masked.cap, np.log(1 / p), rtol=1e-12)
    assert masked.swing.max() == pytest.approx(np.log(1 / p), rel=0.01)
    # One draw whose weight is next to nothing: hard negatives alone.
    alone = il.Scheme(
        il.samplers.Uniform(), il.weightings.ForMargin(Faint()), m=1, hits="mask", hard=il.HardNegatives(4)
    )
    found = il.stale_index(alone, ETA, 30_000, STEP, refreshes=60)
    assert found.swing.max() > 2 * long.cap[0]
    assert found.excess > 5 * long.excess


class Faint:
    """A margin of 1e-9 for all pairs."""

    name = "next to nothing"

    def margin(self, y: Any, yp: Any) -> Any:
        return sp.Rational(1, 10**9)

    def log_margin(self, prior: il.LabelPrior, positive: int) -> Floats:
        return np.full(prior.n_labels, np.log(1e-9))


@pytest.mark.parametrize("refresh", [1, 100, 10_000])
def test_renewal_is_near_the_period_map(refresh: int) -> None:
    exact, formula = (il.stale_index(scheme(), ETA, refresh, STEP, method=name) for name in ("period map", "renewal"))
    assert formula.loss == pytest.approx(exact.loss, rel=0.06)
    assert formula.duty.sum() == pytest.approx(4, abs=1e-6)
    assert np.all(formula.swing <= formula.cap)


def test_a_fresh_index_is_the_limit() -> None:
    at = scheme()
    fresh = il.waterfilling(at, il.losses.Decoupled(il.losses.logistic), ETA, il.LabelPrior.zipf(L, 0.0))
    for method in ("period map", "renewal"):
        found = il.stale_index(at, ETA, 1, 0.02, method=method, refreshes=6_000)
        assert found.loss == pytest.approx(float(np.sum(np.logaddexp(0, fresh.scores) - ETA * fresh.scores)), rel=1e-3)
        np.testing.assert_allclose(found.duty, fresh.inclusion, atol=0.02)


def test_the_flow_is_that_of_its_equation(rng: np.random.Generator) -> None:
    """Scores to 1e-8 and integrals of the loss to 1e-4, against an ODE solver; and the time of a climb."""
    for trial in range(40):
        eta, against = 10 ** rng.uniform(-4, -0.1), 0.0 if trial % 5 == 0 else 10 ** rng.uniform(-5, 0.5)
        start, time = rng.uniform(-12, 6), 10 ** rng.uniform(-2, 3)

        def slopes(_: float, at: Floats, eta: float = eta, against: float = against) -> list[float]:
            return [eta - (eta + against) * expit(at[0]), np.logaddexp(0, at[0]) - eta * at[0]]

        expected = solve_ivp(slopes, (0, time), [start, 0.0], method="LSODA", rtol=1e-11, atol=1e-12).y[:, -1]
        f, etas, b, later, losses, back = (np.array([x]) for x in (start, eta, against, 0.0, 0.0, 0.0))
        flow(f, etas, b, np.array([time]), later, losses)
        assert later[0] == pytest.approx(expected[0], abs=1e-8)
        assert losses[0] == pytest.approx(expected[1], rel=1e-4)
        if later[0] > start + 1e-2:
            climb(f, float(later[0]) - 1e-3, etas, b, back)
            again = np.empty(1)
            flow(f, etas, b, back, again, losses)
            assert again[0] == pytest.approx(later[0] - 1e-3, abs=1e-8)


def test_draws_that_hardly_ever_count_are_as_good_as_none() -> None:
    """From -6 the score rises for the same time with B = 0, 1e-12, and where 1 - e^{f - rest} rounds to 1."""
    ends = []
    for against in (0.0, 1e-12, 1e-15, 1e-17, 1e-300):
        later, losses = np.empty(1), np.empty(1)
        flow(np.array([-6.0]), np.array([0.1]), np.array([against]), np.array([20.0]), later, losses)
        ends.append(later[0])
    assert ends == pytest.approx([ends[0]] * 5, abs=1e-9)


def test_outside_without_draws_scores_rise_as_f_plus_exp_f() -> None:
    """f + e^f = C + ηt; a line, f = C + ηt, is far off."""
    f, eta, later, losses = np.array([-3.0]), np.array([0.2]), np.empty(1), np.empty(1)
    flow(f, eta, np.zeros(1), np.array([50.0]), later, losses)
    assert later[0] + np.exp(later[0]) == pytest.approx(-3 + np.exp(-3) + 10, rel=1e-12)
    assert later[0] < 0.5 * (-3 + 10)


def test_what_is_no_stale_index_says_so() -> None:
    parts: dict[str, Any] = {"weighting": il.weightings.Unit(), "m": 3, "hits": "mask"}
    without = il.Scheme(il.samplers.Uniform(), **parts)
    replaced = il.Scheme(il.samplers.Uniform(), hard=il.HardNegatives(4, positives="replace"), **parts)
    in_batch = il.Scheme(il.samplers.WithinBatch(), hard=il.HardNegatives(4), **parts)
    for refused, said in (
        (lambda: il.stale_index(scheme(), ETA, 0, STEP), "refresh, the number of steps"),
        (lambda: il.stale_index(scheme(), ETA, 1, 0.0), "step must be a number > 0"),
        (lambda: il.stale_index(scheme(), ETA, 10**400, STEP), "must be at most 1e[+]09, got refresh = 1"),
        (lambda: il.stale_index(scheme(), ETA, 1, 1e308), "refresh x step must be at most 1e[+]09"),
        (lambda: il.stale_index(scheme(), ETA, 1, STEP, method="map"), "method must be 'period map' or 'renewal'"),  # type: ignore[arg-type]
        (lambda: il.stale_index(scheme(), ETA, 1, STEP, refreshes=2), "refreshes"),
        (lambda: il.stale_index(scheme(), [0.5, 1.5, 0.1, 0.1, 0.1], 1, STEP), "label 1 has 1.5"),
        (lambda: il.stale_index(scheme(k=60), ETA, 1, STEP), "at most L - 1 = 59"),
        (lambda: il.stale_index(in_batch, ETA, 1, STEP), "a prior is needed for"),
        (lambda: il.stale_index(replaced, ETA, 1, STEP), "got 'replace'"),
        (lambda: il.stale_index(without, ETA, 1, STEP), "got a scheme without"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            refused()
