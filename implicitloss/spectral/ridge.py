"""Least squares with a ridge: its scores on fresh features, in the limit of many dimensions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from implicitloss.labels import Floats
from implicitloss.spectral.augment import Augmentation
from implicitloss.spectral.fixed_point import STEP, fixed_point, inverse_root
from implicitloss.spectral.mixture import GaussianMixture
from implicitloss.spectral.prediction import Prediction, ScoreVariances, made

__all__ = ["Noise", "predict_ridge"]


# tr(N_k A⁻¹), (K,), and tr(Σ_k A⁻¹ N_j A⁻¹), (K, K), by R with A⁻¹ = Rᵀ R.
Noise = Callable[[Floats], tuple[Floats, Floats]]


def predict_ridge(
    mixture: GaussianMixture, lam: float, augment: Augmentation | None, mean_noise: Noise | None = None
) -> Prediction:
    """The prediction for Σ_i ½ ‖z_i - e_{y_i}‖² + (λ/2) ‖w‖².

    V̂_k = n_k / (1 + V_k), A = λI + Σ_k n_k C_k + Σ_k V̂_k Σ_k, V_k = tr(Σ_k A⁻¹); G = μ A⁻¹ μᵀ;
    M = G diag(V̂) (E - M) + 1 bᵀ with 1ᵀ diag(V̂) (E - M) = 0; m̂ = diag(V̂) (E - M), w = A⁻¹ μᵀ m̂;
    Q_k = wᵀ Σ_k w + Σ_j T_kj c_j [(e_j - M_j)(e_j - M_j)ᵀ + Q_j], T_kj = tr(Σ_k A⁻¹ Σ_j A⁻¹), c_j = V̂_j² / n_j.

    Means that were estimated have noise of covariance N_k / mean_counts_k; by default N_k is Σ_k.
    """
    covariances, counts = mixture.of_classes, mixture.counts
    n, d = mixture.means.shape
    penalty = lam * np.eye(d)
    if augment is not None:
        penalty += augment.covariances(mixture).sum(counts)

    def root_at(influence: Floats) -> Floats:
        return inverse_root(penalty + covariances.sum(counts / (1 + influence)))

    def step(log_influence: Floats) -> Floats:
        return np.log(covariances.influences(root_at(np.exp(log_influence))))

    # Where V = 0 the map is below its fixed point, where V = tr Σ / λ it is above.
    start = np.log(covariances.traces) - np.log(lam + counts * covariances.traces / d)
    influence = np.exp(fixed_point(step, start, "the influences V_k"))
    root = root_at(influence)
    dual = counts / (1 + influence)
    c = dual**2 / counts
    products = covariances.products(root)
    # Newton's step from here is the error that is left.
    left = np.linalg.solve(np.eye(n) - products * c, covariances.influences(root) - influence)
    off = float(np.max(np.abs(left / influence)))
    if not off <= 10 * STEP:
        raise ValueError(
            f"the influences V_k must converge to {10 * STEP:g}, but are off by {off:.3g}: take a larger lam"
        )
    # The free intercept takes what all means have in common.
    white = (mixture.means - mixture.means.mean(axis=0)) @ root.T
    gram = white @ white.T
    targets, residual_noise = np.eye(n), products * c
    if mixture.mean_counts is not None:
        # The noise of estimated means in products of a mean with itself.
        traces, cross = (influence, products) if mean_noise is None else mean_noise(root)
        gram -= np.diag(traces / mixture.mean_counts)
        residual_noise -= cross * (dual**2 / mixture.mean_counts)
    if n == 2:
        targets = np.array([[1.0], [-1.0]])
    system = np.zeros((n + 1, n + 1))
    system[:n, :n] = np.eye(n) + gram * dual
    system[:n, n], system[n, :n] = -1.0, dual
    right = np.vstack([gram * dual @ targets, dual @ targets])
    mean = np.linalg.solve(system, right)[:n]
    residuals = targets - mean
    weights = root.T @ (white.T @ (dual[:, None] * residuals))
    mixing = np.linalg.inv(np.eye(n) - products * c)
    variances = ScoreVariances(covariances, weights, mixing, mixing @ residual_noise, residuals)
    training_mean = mean + (influence * dual / counts)[:, None] * residuals
    return made(mixture, mean, training_mean, influence, variances)
