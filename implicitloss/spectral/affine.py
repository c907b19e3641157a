"""Scores that are affine in Gaussian features: their moments are exact, and so are their errors."""

from __future__ import annotations

import numpy as np

from implicitloss.labels import Floats
from implicitloss.spectral.learners import Affine, MeanDifference
from implicitloss.spectral.mixture import GaussianMixture
from implicitloss.spectral.orthant import sign_error
from implicitloss.spectral.prediction import Prediction, ScoreVariances, frozen, made

__all__ = ["predict_affine", "predict_mean_difference"]

# Half-width of a 99.9 % interval, in standard errors of a mean over many draws.
WIDTH = 3.290527
# Numbers of all draws in memory at a time.
BLOCK = 1 << 22


def predict_affine(mixture: GaussianMixture, learner: Affine) -> Prediction:
    """M_k = W μ_k + b and Q_k = W Σ_k Wᵀ."""
    weights, b = learner.scores(mixture)
    mean = mixture.means @ weights + b
    n, o = mean.shape
    variances = ScoreVariances(mixture.of_classes, weights, np.eye(n), np.zeros((n, n)), np.zeros((n, o)))
    return made(mixture, mean, mean.copy(), np.zeros(n), variances, is_exact=True)


def predict_mean_difference(mixture: GaussianMixture, learner: MeanDifference) -> Prediction:
    """The averages over training sets of the mean and of the variance of z, and of the error Φ.

    m_k = ±½ ‖Δ‖² + ½ (tr Σ_2/n_2 - tr Σ_1/n_1), q_k = Δᵀ Σ_k Δ + tr(Σ_k Σ̄), Σ̄ = Σ_1/n_1 + Σ_2/n_2, Δ = μ_1 - μ_2.
    The error is no Φ of these: z's mean varies with the training set too.
    """
    if mixture.n_classes != 2:
        raise ValueError(f"the mean difference must have two classes, got {mixture.n_classes}")
    covariances, counts = mixture.of_classes, mixture.counts
    d = mixture.means.shape[1]
    apart = mixture.means[0] - mixture.means[1]
    noise = covariances.traces / counts
    products = covariances.products(np.eye(d))
    square, forms = float(apart @ apart), covariances.forms(apart[:, None])[:, 0, 0]
    if mixture.mean_counts is not None:
        square = max(0.0, square - float(np.sum(covariances.traces / mixture.mean_counts)))
        forms = np.maximum(forms - products @ (1 / mixture.mean_counts), 0.0)
    mean = np.array([0.5, -0.5]) * square + (noise[1] - noise[0]) / 2
    variance = forms + products @ (1 / counts)
    training_mean = mean + np.array([1.0, -1.0]) * noise
    # Estimated means are farther apart than the true ones.
    errors = _errors(mixture, apart * np.sqrt(square / max(float(apart @ apart), 1e-300)), learner)
    error, uncertainty = errors.mean(axis=1), WIDTH * errors.std(axis=1, ddof=1) / np.sqrt(learner.draws)
    return frozen(mixture, error, uncertainty, mean, training_mean, covariances.traces, variance, is_exact=True)


def _errors(mixture: GaussianMixture, apart: Floats, learner: MeanDifference) -> Floats:
    """The two errors at each draw of the training means, (2, draws)."""
    covariances, counts = mixture.of_classes, mixture.counts
    draw = np.random.default_rng(learner.rng)
    errors = np.empty((2, learner.draws))
    step = max(1, BLOCK // covariances.normals)
    for start in range(0, learner.draws, step):
        stop = min(learner.draws, start + step)
        normal = draw.standard_normal((2, stop - start, covariances.normals))
        first, second = (covariances.draws(k, normal[k]) / np.sqrt(counts[k]) for k in (0, 1))
        w, shift = apart + first - second, first + second
        for k, sign in enumerate((1.0, -1.0)):
            mean = 0.5 * np.einsum("ia,ia->i", w, sign * apart - shift)
            errors[k, start:stop] = sign_error(sign * mean, covariances.squares(k, w))
    return errors
