"""The fast path for many labels against its slow twins: label by label, rigorous enclosures, and memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.estimate import QUANTITIES, Quantity
from implicitloss.kernels.compression import SUB_BLOCK, add_moments, scan, spread
from implicitloss.kernels.transform import log_transform, log_transform_about, log_transform_about_mean
from implicitloss.labels import Floats
from implicitloss.scheme import HITS, Plan
from implicitloss.witness.integrate import compression
from implicitloss.witness.integrate import draw as measure
from implicitloss.witness.integrate.compression import WIDTH, N
from implicitloss.witness.integrate.quadrature import LEAST_LOG_Q

SOFTMAX = il.losses.SoftmaxCrossEntropy()


def problem(rng: np.random.Generator, n_labels: int, spread: float = 1.0) -> il.Problem:
    prior = il.LabelPrior.zipf(n_labels, float(rng.uniform(0, 1.5)))
    return il.Problem(spread * rng.normal(size=n_labels), prior, int(rng.integers(n_labels)))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Compress even a few labels; call to switch it off."""
    monkeypatch.setattr(measure, "COMPRESS_FROM_LABELS", 1)
    return lambda: monkeypatch.setattr(measure, "COMPRESS_FROM_LABELS", 10**12)


# --- integrals ----------------------------------------------------------------------------------------------------


@pytest.mark.in_turn
@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("weighting", il.weightings.examples(), ids=str)
def test_compressed_equals_label_by_label(weighting: Any, hits: Any, few: Any, rng: np.random.Generator) -> None:
    """Within the two error bounds, and these as small as promised; every quantity, m from 1 to a million."""
    compressed, at = [], []
    # Each number of draws beside each weighting and way of hits, and in all beside each sampler.
    draws = [1, 64, 10**6, int(rng.choice([1, 64, 10**6]))]
    for sampler in (il.samplers.Uniform(), il.samplers.WithinBatch(), il.samplers.Power(), il.samplers.ModelBased()):
        here = problem(rng, int(rng.integers(50, 3000)), float(rng.choice([1e-6, 0.1, 1.0, 5.0])))
        scheme = il.Scheme(sampler, weighting, m=draws.pop(rng.integers(len(draws))), hits=hits)
        at.append((scheme, here))
        compressed.append({q: il.integrate(scheme, SOFTMAX, here, q) for q in QUANTITIES})
    few()
    for (scheme, here), fast in zip(at, compressed, strict=True):
        for quantity in QUANTITIES:
            slow, quick = il.integrate(scheme, SOFTMAX, here, quantity), fast[quantity]
            off = np.abs(quick.value - slow.value)
            assert np.all(off <= np.asarray(quick.error) + np.asarray(slow.error)), (scheme, quantity)
            size = np.abs(quick.value)
            if quantity in ("mean", "gradient"):
                assert np.all(quick.error <= 1e-12 * size), (scheme, quantity)
            elif quantity == "gradient_variance":
                second = float(size) + float(np.sum(np.square(fast["gradient"].value)))
                assert quick.error <= 5e-11 * second, (scheme, quantity)
            else:
                mean = float(fast["mean"])
                assert off <= 1e-8 * max(size, 1e-14 * (mean if quantity == "gap" else mean**2)), (scheme, quantity)


def test_a_moment_less_would_be_seen(few: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power of the comparison above: with the second moments lost, far off the error bounds."""
    here = problem(rng, 2000)
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Importance(), m=8, hits="mask")
    right = il.integrate(scheme, SOFTMAX, here)
    broken = np.array(measure.TO_MASSES)
    broken[2] = 0
    monkeypatch.setattr(measure, "TO_MASSES", broken)
    wrong = il.integrate(scheme, SOFTMAX, here)
    assert abs(float(wrong) - float(right)) > 1e3 * (float(wrong.error) + float(right.error))


def test_compression_is_refined_where_mass_is_concentrated(few: Any) -> None:
    """Nearly all draws within 1e-4 of each other, a few far off: the coarse bins' bound says no, finer ones do."""
    n = 4000
    scores = np.concatenate([1e-4 * np.linspace(-1, 1, n - 20), np.linspace(-3, 3, 20)])
    q = np.concatenate([np.full(n - 20, (1 - 1e-9) / (n - 20)), np.full(20, 1e-9 / 20)])
    here = il.Problem(scores, il.LabelPrior.zipf(n, 0), 0)
    scheme = il.Scheme(il.samplers.Explicit(q), il.weightings.Constant(), m=4, hits="exclude")
    quick = il.integrate(scheme, SOFTMAX, here, "gap")
    plan, payment = scheme.plan(here), SOFTMAX.log_payment(here.scores, 0)
    coarse = measure.compressed(plan, payment, WIDTH)
    assert coarse is not None
    assert coarse.bins is not None
    few()
    slow = il.integrate(scheme, SOFTMAX, here, "gap")
    assert abs(float(quick) - float(slow)) <= float(quick.error) + float(slow.error)
    assert abs(float(quick) - float(slow)) <= 1e-8 * float(slow)


# --- the sums themselves ------------------------------------------------------------------------------------------


def _plan(rng: np.random.Generator, n: int) -> tuple[Plan, Floats]:
    q = rng.dirichlet(np.full(n, 0.3))
    q = np.maximum(q, 1e-300)
    return Plan(np.log(q / q.sum()), rng.normal(size=n)), 3 * rng.normal(size=n)


def test_transforms_of_a_compressed_measure(rng: np.random.Generator) -> None:
    """φ, and φ about two centres, at every v: off by no more than `total_error` and `centred_error` say."""
    for _ in range(20):
        plan, payment = _plan(rng, int(rng.integers(10, 5000)))
        fast, slow = measure.compressed(plan, payment, WIDTH), measure.whole(plan, payment)
        assert fast is not None
        v = np.linspace(-60, 6, 200)
        below = -np.expm1(log_transform(v, slow.q, slow.log_x))
        off = np.abs(-np.expm1(log_transform(v, fast.q, fast.log_x)) - below)
        assert np.all(off <= fast.total_error(v, np.log1p(-below)) + (fast.rounding + slow.rounding) * below)
        assert fast.bins is not None
        assert fast.bins.relative_error < 1e-18
        scale, centre = np.exp(np.linspace(-20, 3, 60)), slow.log_mean
        for order, kernel in ((2, log_transform_about_mean), (1, log_transform_about)):
            sums = []
            for one in (fast, slow):
                if order == 2:
                    log = kernel(np.log(scale), one.q, np.expm1(one.log_x - centre), 1.0)
                else:
                    log = kernel(np.log(scale), one.q, one.log_x - centre, 0.0)
                sums.append(np.expm1(log))
            terms = np.expm1(-np.multiply.outer(scale, np.expm1(slow.log_x - centre)))
            size = np.abs(terms) @ slow.q
            assert np.all(np.abs(sums[0] - sums[1]) <= fast.centred_error(scale, centre, order) + 1e-12 * size)  # type: ignore[arg-type]


def test_the_interpolation_bound_is_no_mere_rounding(rng: np.random.Generator) -> None:
    """With bins so wide that interpolation dominates, its error is seen, and is within the bound."""
    plan, payment = _plan(rng, 3000)
    slow = measure.whole(plan, payment)
    fast = measure.compressed(plan, payment, 2.0)
    assert fast is not None
    assert fast.bins is not None
    v = np.linspace(-3, 2, 50)
    below = -np.expm1(log_transform(v, slow.q, slow.log_x))
    off = np.abs(-np.expm1(log_transform(v, fast.q, fast.log_x)) - below) / below
    assert 1e-12 < off.max() <= fast.bins.relative_error < 1e-4


def test_labels_may_go_by_way_of_fine_bins(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """As exact as bins at once; with a fine bin's second moments lost, far off; few labels take the bins at once."""
    plan, payment = _plan(rng, 3000)
    v = np.linspace(-60, 6, 100)
    slow = measure.whole(plan, payment)
    below = -np.expm1(log_transform(v, slow.q, slow.log_x))

    def off(width: float) -> tuple[float, float]:
        """The largest relative difference, and the interpolation's bound on it."""
        fast = measure.compressed(plan, payment, width, by_fine_bins=True)
        assert fast is not None
        assert fast.bins is not None
        found = np.abs(-np.expm1(log_transform(v, fast.q, fast.log_x)) - below) / below
        assert np.all(found * below <= fast.total_error(v, np.log1p(-below)) + (fast.rounding + slow.rounding) * below)
        return found.max(), fast.bins.relative_error

    assert off(WIDTH)[1] < 1e-20
    monkeypatch.setattr(measure, "LABELS_A_FINE_BIN", 0)
    assert 1e-20 < off(WIDTH)[1] < 2e-16
    # So wide that interpolation dominates.
    seen, bound = off(2.0)
    assert 1e-12 < seen <= bound < 1e-4
    broken = np.array(compression._TO_FINE_MASSES)
    broken[2] = 0
    monkeypatch.setattr(compression, "_TO_FINE_MASSES", broken)
    with pytest.raises(AssertionError):
        off(WIDTH)


def test_kernels_have_their_slow_twins(rng: np.random.Generator) -> None:
    plan, payment = _plan(rng, 3000)
    payment[:5] = -np.inf
    log_q = np.array(plan.log_q)
    log_q[5:10], log_q[10] = -np.inf, -800.0
    found = scan(log_q, plan.log_w, payment, LEAST_LOG_Q)
    twin = scan.py_func(log_q, plan.log_w, payment, LEAST_LOG_Q)
    assert found == pytest.approx(twin, rel=1e-15)
    assert (found[3], found[5]) == (5, 1)
    low, high = found[:2]
    width = (high - low) / 37
    moments = [np.zeros((38, N)) for _ in range(2)]
    for kernel, out in zip((add_moments, add_moments.py_func), moments, strict=True):
        kernel(np.exp(log_q), plan.log_w, payment, np.exp(LEAST_LOG_Q), low, width, out)
    assert moments[0] == pytest.approx(moments[1], abs=1e-15)
    u = (plan.log_w + payment)[11:]
    assert moments[0][:, 0].sum() == pytest.approx(np.exp(log_q[11:]).sum(), rel=1e-14)
    assert u.min() == low
    coefficients = rng.normal(size=(38, N))
    out = np.empty(3000)
    spread(log_q, plan.log_w, payment, LEAST_LOG_Q, low, width, coefficients, 3, out)
    place = np.clip((u - low) / width, 0, None)
    number = np.minimum(place.astype(int), 37)
    series = np.array(
        [np.polynomial.chebyshev.chebval(2 * (p - b) - 1, coefficients[b]) for p, b in zip(place, number, strict=True)]
    )
    assert out[11:] == pytest.approx(3 * np.exp(log_q[11:]) * series, rel=1e-10, abs=1e-14)
    assert np.all(out[:11] == 0)


def test_a_label_is_in_one_bin_for_its_moments_and_for_its_gradient(rng: np.random.Generator) -> None:
    """Labels on the edges of bins, which rounding puts on either side: each gets what its own bin has."""
    q, nothing = np.full(38, 1 / 38), np.zeros(38)
    for width in rng.uniform(0.01, 0.125, 50):
        log_w, moments, out = width * np.arange(38), np.zeros((38, N)), np.empty(38)
        add_moments(q, log_w, nothing, 0.0, 0.0, width, moments)
        has = np.zeros((38, N))
        has[:, 0] = moments[:, 0] > 0
        spread(np.log(q), log_w, nothing, LEAST_LOG_Q, 0.0, width, has, 1, out)
        assert out == pytest.approx(q, rel=1e-14)


def test_many_labels_in_one_bin_are_all_there() -> None:
    """More than are summed one after the other."""
    n = 3 * SUB_BLOCK + 7
    moments = np.zeros((2, 3))
    add_moments(np.full(n, 1 / n), np.full(n, 0.5), np.zeros(n), 0.0, 0.0, 1.0, moments)
    # T_k(0) = 1, 0, -1.
    assert moments == pytest.approx(np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]]), abs=1e-14)


# --- rigour -------------------------------------------------------------------------------------------------------


def test_rigorous_enclosures() -> None:
    """The mean and a gradient entry of 30,000 labels lie in their enclosures by ball arithmetic; a neighbour does not.

    A tenth of the labels have the same score, so that the enclosure sums over 12 of them only.
    """
    flint = pytest.importorskip("flint", reason="needs the extra certify: pip install 'implicitloss[certify]'")
    values = np.linspace(-1.5, 2.0, 12)
    scores = np.repeat(values, 2500)
    at = il.Problem(scores, il.LabelPrior.zipf(scores.size, 0), 0)
    m = 16
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=m, hits="exclude")
    assert scores.size >= measure.COMPRESS_FROM_LABELS
    mean, gradient = il.integrate(scheme, SOFTMAX, at), il.integrate(scheme, SOFTMAX, at, "gradient")
    flint.ctx.prec = 120
    n = scores.size
    atoms = [
        (
            (flint.arb(2500) - (i == 0)) / (n - 1),
            flint.arb(float(value)) - flint.arb(float(values[0])) - flint.arb(m).log(),
        )
        for i, value in enumerate(values)
    ]

    def phi(v: Any) -> Any:
        return sum((q * (-(v + u).exp()).exp() for q, u in atoms), flint.acb(0))

    low, high = -60, 5
    integral = flint.acb.integral(lambda v, _: (-v.exp()).exp() * (1 - phi(v) ** m), low, high).real
    # Left of it at most E S e^{-60}, right of it at most e^{-e^5}/e^5.
    tail = flint.arb(0, 1e-20)
    assert float((integral + tail).rad()) < 1e-18
    enclosure = integral + tail
    assert abs(float(mean) - float(enclosure.mid())) <= float(mean.error) + float(enclosure.rad())
    assert float(mean.error) <= 1e-12 * float(mean)
    neighbour = il.integrate(il.Scheme(scheme.sampler, scheme.weighting, m=m + 1, hits="exclude"), SOFTMAX, at)
    assert abs(float(neighbour) - float(enclosure.mid())) > 100 * float(mean.error)
    _, u = atoms[-1]
    entry = flint.acb.integral(
        lambda v, _: m / flint.arb(n - 1) * (v + u - v.exp() - (v + u).exp()).exp() * phi(v) ** (m - 1), low, high
    ).real
    found, error = gradient.value[-1], gradient.error[-1]  # type: ignore[index]
    assert abs(found - float(entry.mid())) <= error + 1e-20
    assert error <= 1e-12 * found


# --- memory -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", ["mean", "variance", "gradient"])
def test_memory_is_at_most_40_bytes_a_label(quantity: Quantity) -> None:
    n = 1_000_000
    at = il.Problem(np.sin(np.arange(n) * 1.7), il.LabelPrior.zipf(n, 1.0), n // 2)
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=32, hits="exclude")
    small = il.Problem(at.scores[:30_000], il.LabelPrior.zipf(30_000, 1.0), 7)
    il.integrate(scheme, SOFTMAX, small, quantity)  # compilation is not counted
    tracemalloc.start()
    il.integrate(scheme, SOFTMAX, at, quantity)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 40 * n + 2_000_000


def test_many_labels_that_add_nothing_cost_no_digits() -> None:
    """Half of 100,000 labels weigh 0: their mass at x = 0 is in φ and not in 1 - φ."""

    class Half:
        is_eta_over_m = True

        def log_weight(self, draws: Any) -> Any:
            even = np.arange(draws.prior.n_labels) % 2 == 0
            return np.where(even, -np.log(draws.m), -np.inf)

    n = 100_000
    at = il.Problem(np.sin(np.arange(n) * 1.7), il.LabelPrior.zipf(n, 1.0), 7)
    scheme = il.Scheme(il.samplers.Uniform(), Half(), m=64, hits="mask")  # type: ignore[arg-type]
    for quantity in ("mean", "gradient"):
        estimate = il.integrate(scheme, SOFTMAX, at, quantity)  # type: ignore[arg-type]
        assert np.all(estimate.error <= 1e-12 * np.abs(estimate.value))
