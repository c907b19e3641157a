"""Affine rules, the nearer mean, and the errors of several classes as probabilities of orthants."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fits import agrees, training_set
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import norm

from implicitloss.spectral import Affine, GaussianMixture, MeanDifference, predict
from implicitloss.spectral.orthant import argmax_error


def test_two_classes_by_hand() -> None:
    """Φ(-s_k m_k/√q_k); with the covariances swapped it is another number."""
    sigma = np.array([[[2.0, 0.5], [0.5, 1.0]], [[1.0, -0.3], [-0.3, 3.0]]])
    mixture = GaussianMixture([[1.0, 0.0], [0.0, -1.0]], sigma, 10)
    w, b = np.array([0.7, 0.4]), 0.2
    expected = [norm.cdf(-(0.7 + 0.2) / (w @ sigma[0] @ w) ** 0.5), norm.cdf((-0.4 + 0.2) / (w @ sigma[1] @ w) ** 0.5)]
    for rule in (Affine(w, b), Affine([w, [0.0, 0.0]], [b, 0.0])):
        p = predict(mixture, rule)
        assert p.error == pytest.approx(expected, abs=1e-15)
        assert p.reliable.all()
        assert not p.influence.any()
    swapped = GaussianMixture(mixture.means, sigma[::-1], 10)
    assert predict(swapped, Affine(w, b)).error != pytest.approx(expected, abs=1e-3)


def test_one_score_says_all() -> None:
    """Three classes on one feature: the scores depend on each other, and the errors are those of intervals."""
    mixture = GaussianMixture([[-2.0], [0.0], [2.5]], [[1.0], [0.5], [2.0]], 10)
    # Scores -(x - c)²/2 less x²/2: boundaries half-way between the centres c.
    c = np.array([-2.0, 0.0, 2.5])
    p = predict(mixture, Affine(c[:, None], -(c**2) / 2))
    low, high = np.array([-np.inf, -1.0, 1.25]), np.array([-1.0, 1.25, np.inf])
    sd = np.sqrt([1.0, 0.5, 2.0])
    expected = 1 - (ndtr((high - c) / sd) - ndtr((low - c) / sd))
    assert np.all(np.abs(p.error - expected) <= p.uncertainty + 1e-6)
    assert np.all(p.uncertainty < 0.01)
    assert np.any(np.abs(p.error[::-1] - expected) > p.uncertainty + 1e-6)


@pytest.mark.parametrize("n", [3, 5, 20, 150])
def test_independent_scores(n: int) -> None:
    """P(s_j > s_0 for a j) of independent scores by one integral, ∫ φ(x) [1 - Π Φ((m_0 - m_j + x σ_0)/σ_j)] dx."""
    m, sd = np.linspace(0.0, -1.5, n), np.linspace(1.0, 0.4, n)
    m[0] = 1.0

    def excess(x: float) -> float:
        return float(norm.pdf(x) * (1 - np.prod(ndtr((m[0] + x * sd[0] - m[1:]) / sd[1:]))))

    expected = quad(excess, -10, 10, epsabs=1e-11)[0]
    found, width = argmax_error(m, np.diag(sd**2), 0)
    assert abs(found - expected) <= width
    assert width < 0.02 * expected
    wrong, _ = argmax_error(m, np.diag((1.05 * sd) ** 2), 0)
    assert abs(wrong - expected) > width


def test_rare_errors_are_not_zero() -> None:
    """An error of 1e-9 has its own digits."""
    found, width = argmax_error(np.array([6.0, 0.0, -0.1]), np.diag([0.5, 0.5, 0.5]), 0)
    root = 0.5**0.5

    def density(x: float) -> float:
        return float(norm.pdf(x) * (1 - ndtr((6.0 + x * root) / root) * ndtr((6.1 + x * root) / root)))

    expected = quad(density, -12, 12, epsabs=0, epsrel=1e-8, points=[-4.2, 0])[0]
    assert abs(found - expected) <= width + 1e-3 * expected
    assert 0 < width < 0.1 * expected


def test_moments_of_the_mean_difference(rng: np.random.Generator) -> None:
    """The averages over training sets, by all sets of two samples of ±1 noise: Σ = I in one dimension, enumerated.

    The mean and the variance of the score need no Gaussian features, but for their first two moments.
    """
    mixture = GaussianMixture([[1.0], [-0.5]], [[1.0], [4.0]], [2, 1])
    means, variances = [], []
    for signs in itertools.product([-1.0, 1.0], repeat=3):
        first, second = 1.0 + (signs[0] + signs[1]) / 2, -0.5 + 2 * signs[2]
        w, b = first - second, -(first**2 - second**2) / 2
        means.append([w * 1.0 + b, w * -0.5 + b])
        variances.append([w * w * 1.0, w * w * 4.0])
    p = predict(mixture, MeanDifference(draws=100))
    assert p.mean == pytest.approx(np.mean(means, axis=0), abs=1e-12)
    assert p.variance == pytest.approx(np.mean(variances, axis=0), abs=1e-12)
    assert p.mean[::-1] != pytest.approx(np.mean(means, axis=0), abs=0.1)


def test_errors_of_the_mean_difference(rng: np.random.Generator) -> None:
    """Simulated training sets on steep spectra; Φ of the averaged moments is another number there."""
    mixture = GaussianMixture.power_law([1.2, 1.0], d=100, distance=3.0, counts=[8, 14], rng=1)
    roots, found, training = np.sqrt(mixture.covariances), [], []
    for _ in range(3000):
        X, y = training_set(mixture, roots, rng)
        a, b = X[y == 0].mean(axis=0), X[y == 1].mean(axis=0)
        w, shift = a - b, (b @ b - a @ a) / 2
        m, q = mixture.means @ w + shift, mixture.covariances @ w**2
        found.append(ndtr(np.array([-1, 1]) * m / np.sqrt(q)))
        training.append([np.mean(X[y == k] @ w + shift) for k in (0, 1)])
    p = predict(mixture, MeanDifference(draws=40_000))
    assert agrees(np.array(found), p.error)
    assert agrees(np.array(training), p.training_mean)
    assert not agrees(np.array(found), ndtr(np.array([-1, 1]) * p.mean / np.sqrt(p.variance)))
    assert p.training_mean - p.mean == pytest.approx(np.array([1, -1]) * p.influence / mixture.counts)


def test_two_means_only() -> None:
    three = GaussianMixture.power_law([0.0] * 3, d=30, distance=2.0, counts=20)
    with pytest.raises(ValueError, match=r"^the mean difference must have two classes, got 3$"):
        predict(three, MeanDifference())
