"""Logistic regression on mixtures: simulated training sets, margins as offsets, the square loss by its own formulas."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from fits import agrees, logistic, training_set, two_classes
from scipy.optimize import brentq, minimize
from scipy.special import expit

import implicitloss as il
from implicitloss.spectral import Dropout, GaussianMixture, Logistic, Noise, Prediction, Ridge, predict
from implicitloss.spectral.logistic import loss_moments

NODES = 40


def numbers(p: Prediction) -> np.ndarray:
    return np.concatenate([p.error, p.mean, p.variance])


@pytest.fixture(scope="module")
def mixture() -> GaussianMixture:
    return GaussianMixture.power_law([0.1, 0.4], d=120, distance=2.0, counts=[90, 160], rng=2)


def test_simulated_training_sets(mixture: GaussianMixture, rng: np.random.Generator) -> None:
    """With margins; without them, and with those of the other class, it is another learner."""
    p = (2.0, 0.6)
    found = two_classes(mixture, lambda X, y: logistic(X, y, 3.0, p), 220, rng)
    assert agrees(found, numbers(predict(mixture, Logistic(3.0, p))))
    for mutant in (Logistic(3.0), Logistic(3.0, p[::-1]), Logistic(6.0, p)):
        assert not agrees(found, numbers(predict(mixture, mutant)))
    # The influence of the square loss, whose curvature is 1, for that of the logistic one.
    assert not agrees(found, numbers(predict(mixture, Ridge(3.0))))


def noisy_logistic(X: np.ndarray, y: np.ndarray, lam: float, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression whose loss is averaged over noise of a variance by sample and feature, by quadrature."""
    nodes, share = np.polynomial.hermite_e.hermegauss(24)
    share = share / share.sum()
    sign = np.where(y == 0, 1.0, -1.0)

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = at[:-1], at[-1]
        size = np.sqrt(variance @ w**2 + 1e-300)
        u = -sign[:, None] * ((X @ w + b)[:, None] + size[:, None] * nodes)
        slope = -sign[:, None] / (1 + np.exp(-u))
        by_size = (slope * nodes) @ share / size
        gradient = X.T @ (slope @ share) + (variance.T @ by_size) * w + lam * w
        return float((np.logaddexp(0, u) @ share).sum() + lam / 2 * w @ w), np.append(gradient, (slope @ share).sum())

    start = np.append(X[y == 0].mean(axis=0) - X[y == 1].mean(axis=0), 0.0) / 10
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return found.x[:-1, None], found.x[-1:]


@pytest.mark.slow
def test_noise_on_features(mixture: GaussianMixture, rng: np.random.Generator) -> None:
    """The loss averaged over the noise of the score, and a ridge; neither the ridge of the square loss nor none."""
    variance = np.array([0.4, 1.5])
    found = two_classes(
        mixture, lambda X, y: noisy_logistic(X, y, 3.0, np.repeat(variance[y][:, None], X.shape[1], axis=1)), 120, rng
    )
    assert agrees(found, numbers(predict(mixture, Logistic(3.0), Noise(variance))), 0.1)
    full = Logistic(3.0 + float(variance @ mixture.counts))
    for mutant in (predict(mixture, Logistic(3.0)), predict(mixture, full)):
        assert not agrees(found, numbers(mutant), 0.1)


@pytest.mark.slow
def test_dropout_on_features(mixture: GaussianMixture, rng: np.random.Generator) -> None:
    """Trained with the score of each sample as dropout spreads it: within 5 %; as it was with another rate, not."""
    rate = 0.4
    odds = rate / (1 - rate)
    found = two_classes(mixture, lambda X, y: noisy_logistic(X, y, 3.0, odds * X**2), 220, rng)
    assert agrees(found, numbers(predict(mixture, Logistic(3.0), Dropout(rate))))
    for mutant in (None, Dropout(0.36), Dropout(0.44), Noise(odds * float(mixture.counts[0]))):
        assert not agrees(found, numbers(predict(mixture, Logistic(3.0), mutant)))


def test_dropped_scores_are_nearly_gaussian(mixture: GaussianMixture, rng: np.random.Generator) -> None:
    """The mean loss of a trained classifier over 2,500 copies of its training set, within 1 %."""
    X, y = training_set(mixture, np.sqrt(mixture.covariances), rng)
    rate, sign = 0.4, np.where(y == 0, 1.0, -1.0)
    w, b = (part.ravel() for part in noisy_logistic(X, y, 3.0, rate / (1 - rate) * X**2))
    losses = []
    for _ in range(2_500):
        dropped = X * (rng.random(X.shape) >= rate) / (1 - rate)
        u = -sign * (dropped @ w + b)
        losses.append(np.logaddexp(0, u).mean())
    nodes, share = np.polynomial.hermite_e.hermegauss(24)
    spread = np.sqrt(rate / (1 - rate) * X**2 @ w**2)
    u = -sign[:, None] * ((X @ w + b)[:, None] + spread[:, None] * nodes)
    gaussian = (np.logaddexp(0, u) @ share).mean() / share.sum()
    assert 6 * np.std(losses) / 50 < 0.01 * gaussian
    assert np.mean(losses) == pytest.approx(gaussian, rel=0.01)
    assert np.logaddexp(0, -sign * (X @ w + b)).mean() < 0.98 * gaussian


def test_the_ratio_of_two_margins_is_an_offset(mixture: GaussianMixture) -> None:
    """δ = ½ log(p_12/p_21) beside the model with both margins √(p_12 p_21): only the means move, by δ."""
    p = (3.0, 0.25)
    one, both = (predict(mixture, Logistic(2.0, q)) for q in (p, (float(np.sqrt(p[0] * p[1])),) * 2))
    delta = 0.5 * np.log(p[0] / p[1])
    assert one.mean == pytest.approx(both.mean + delta, abs=1e-9)
    assert one.variance == pytest.approx(both.variance, rel=1e-9)
    assert one.mean != pytest.approx(both.mean + 2 * delta, abs=0.1)
    # A product other than 1 is a margin on both classes, which changes w.
    assert predict(mixture, Logistic(2.0)).variance != pytest.approx(both.variance, rel=1e-3)


def test_margins_by_name_see_the_counts(mixture: GaussianMixture) -> None:
    named = predict(mixture, Logistic(2.0, il.margins.LogitAdjusted()))
    n = mixture.counts
    assert numbers(named) == pytest.approx(numbers(predict(mixture, Logistic(2.0, (n[1] / n[0], n[0] / n[1])))))
    assert numbers(named) != pytest.approx(numbers(predict(mixture, Logistic(2.0, (n[0] / n[1], n[1] / n[0])))))


def test_much_ridge_is_least_squares_on_a_quarter_of_the_curvature() -> None:
    """Scores near 0 see ¼ (z - 2 t)²/2, that is ridge of 4λ with targets ±2; the same λ is another learner."""
    mixture = GaussianMixture.power_law([0.1, 0.4], d=60, distance=2.0, counts=80, rng=2)
    p, ridge = predict(mixture, Logistic(1e6)), predict(mixture, Ridge(4e6))
    assert p.mean == pytest.approx(2 * ridge.mean, rel=2e-4)
    assert p.influence == pytest.approx(4 * ridge.influence, rel=2e-4)
    assert p.mean != pytest.approx(2 * predict(mixture, Ridge(1e6)).mean, rel=0.1)


def by_mpmath(m: float, q: float, V: float, sign: float, log_p: float) -> list[float]:
    """The averages of g, g² and h/(1 + V h) at thirty digits, the proximal points by bisection, on the same nodes."""
    with mp.workdps(30):
        nodes = [mp.mpf(-9) + mp.mpf(18) * i / NODES for i in range(NODES + 1)]
        shares = [mp.exp(-(x**2) / 2) for x in nodes]
        s = []
        for x in nodes:
            a = sign * (m + mp.sqrt(q) * x) - log_p
            low, high = a, a + V
            for _ in range(120):
                v = (low + high) / 2
                low, high = (low, v) if v - a - V / (1 + mp.exp(v)) > 0 else (v, high)
            s.append(1 / (1 + mp.exp(low)))
        parts = ([sign * p for p in s], [p**2 for p in s], [p * (1 - p) / (1 + V * p * (1 - p)) for p in s])
        return [float(mp.fdot(shares, part) / mp.fsum(shares)) for part in parts]


@pytest.mark.parametrize("at", [(0.3, 2.0, 1e-3, 1.0, 0.0), (-40.0, 9.0, 30.0, 1.0, 1.0), (8.0, 50.0, 1e6, -1.0, -2.0)])
def test_proximal_points_at_thirty_digits(at: tuple[float, float, float, float, float]) -> None:
    m, q, V, sign, log_p = at
    expected = by_mpmath(*at)
    for influence, is_right in ((V, True), (1.02 * V, False)):
        found = loss_moments(m, q, influence, sign, log_p, 0.0, NODES)
        is_close = [found.mean, found.square, found.curvature] == pytest.approx(expected, rel=1e-11, abs=1e-14)
        assert is_close is is_right


def test_training_means_are_those_of_proximal_points(mixture: GaussianMixture) -> None:
    """c_k = E prox_k(u), u ~ N(m_k, q_k), with z = prox_k(u) the root of z + V_k ℓ_k'(z) = u, one by one."""
    margins = (2.0, 0.6)
    p = predict(mixture, Logistic(3.0, margins))
    nodes, shares = np.polynomial.hermite_e.hermegauss(160)
    for k, sign in ((0, 1.0), (1, -1.0)):
        m, q, V, log_p = p.mean[k], p.variance[k], p.influence[k], np.log(margins[k])

        def prox(u: float, V: float = V, sign: float = sign, log_p: float = log_p) -> float:
            found = brentq(lambda z: z - V * sign * expit(log_p - sign * z) - u, u - V, u + V, xtol=1e-13)
            return float(found)

        mean = shares @ [prox(m + np.sqrt(q) * x) for x in nodes] / shares.sum()
        assert p.training_mean[k] == pytest.approx(mean, abs=1e-8)
        assert abs(p.training_mean[k] - (m + 0.9 * (mean - m))) > 0.01


def test_separable_classes(rng: np.random.Generator) -> None:
    """n < d and next to no ridge, where a plain Newton's method gave a third of the influence in silence."""
    mixture = GaussianMixture.power_law([0.1, 0.4], d=120, distance=3.0, counts=[50, 40], rng=1)
    found = two_classes(mixture, lambda X, y: logistic(X, y, 0.02), 150, rng)
    assert agrees(found, numbers(predict(mixture, Logistic(0.02))), 0.1)
    assert not agrees(found, numbers(predict(mixture, Logistic(0.04))), 0.1)


def averages(u: np.ndarray, influence: float, sign: float) -> np.ndarray:
    """g, g² and h/(1 + V h) at the proximal points of u, by bisection, (3, nodes)."""
    low, high = sign * u, sign * u + influence
    for _ in range(80):
        v = (low + high) / 2
        above = v > sign * u + influence * expit(-v)
        low, high = np.where(above, low, v), np.where(above, v, high)
    p, h = expit(-low), expit(low) * expit(-low)
    return np.array([sign * p, p**2, h / (1 + influence * h)])


@pytest.mark.in_turn(1)
@pytest.mark.parametrize(
    ("exponents", "d", "distance", "counts", "lam"),
    [([0.94, 1.32], 8, 7.23, [317, 364], 8.2e-6), ([1.27, 0.76], 16, 7.28, [344, 146], 5.2e-4)],
)
def test_next_to_no_ridge(exponents: list[float], d: int, distance: float, counts: list[int], lam: float) -> None:
    """Classes far apart, where accelerated steps do not converge: what is found solves the equations, written anew."""
    mixture = GaussianMixture.power_law(exponents, d=d, distance=distance, counts=counts)
    p = predict(mixture, Logistic(lam))
    x = np.linspace(-9, 9, 20_001)
    share = np.exp(-(x**2) / 2) / np.exp(-(x**2) / 2).sum()
    of_each = zip(p.mean, p.variance, p.influence, (1.0, -1.0), strict=True)
    dual, square, curvature = np.transpose(
        [n * averages(m + np.sqrt(q) * x, v, s) @ share for n, (m, q, v, s) in zip(counts, of_each, strict=True)]
    )
    inverse = 1 / (lam + curvature @ mixture.covariances)
    weights = inverse * (dual @ mixture.means)
    products = (mixture.covariances * inverse**2) @ mixture.covariances.T
    assert p.influence == pytest.approx(mixture.covariances @ inverse, rel=1e-7)
    assert p.variance == pytest.approx(mixture.covariances @ weights**2 + products @ square, rel=1e-7)
    assert p.mean[0] - p.mean[1] == pytest.approx((mixture.means[0] - mixture.means[1]) @ weights, rel=1e-7)
    assert dual.sum() == pytest.approx(0, abs=1e-7 * dual[0])
    assert p.influence != pytest.approx(mixture.covariances @ (inverse / 1.001), rel=1e-7)


def test_two_classes_only() -> None:
    three = GaussianMixture.power_law([0.0, 0.0, 0.0], d=30, distance=2.0, counts=20)
    with pytest.raises(ValueError, match=r"^Logistic must have two classes, got 3: take Ridge"):
        predict(three, Logistic(1.0))
