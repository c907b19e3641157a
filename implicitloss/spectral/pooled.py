"""Predictions where all classes have one covariance, Σ = Σ_k n_k Σ_k / n, which leaves means and counts as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from implicitloss.labels import Floats
from implicitloss.spectral.learners import Ridge
from implicitloss.spectral.mixture import GaussianMixture
from implicitloss.spectral.prediction import Prediction
from implicitloss.spectral.ridge import predict_ridge

__all__ = ["predict_pooled", "with_pooled_covariance"]


def with_pooled_covariance(mixture: GaussianMixture) -> GaussianMixture:
    """The mixture with Σ in each class, in the axes of Σ, as ridge regression has none of its own; means are known."""
    return _turned(mixture)[0]


def predict_pooled(mixture: GaussianMixture, learner: Ridge) -> Prediction:
    """Predict ridge regression with Σ in each class.  Estimated means have the noise of their own class's samples.

    A product μ_kᵀ B μ_k of estimated means is too large by tr(B Σ_k) / n_k, by Σ_k and not by Σ: their samples had Σ_k.
    """
    pooled, axes = _turned(mixture)
    if mixture.mean_counts is None:
        return predict_ridge(pooled, learner.lam, None)
    own, spectrum = mixture.of_classes, pooled.covariances[0]

    def noise(root: Floats) -> tuple[Floats, Floats]:
        # A⁻¹ = Rᵀ R, and A⁻¹ Σ A⁻¹ = (√Σ A⁻¹)ᵀ √Σ A⁻¹, in the axes of the features.
        turned = root @ axes.T
        half = np.sqrt(spectrum)[:, None] * (root.T @ turned)
        return own.influences(turned), np.broadcast_to(own.inner(half.T @ half), (own.shape[0],) * 2)

    return predict_ridge(replace(pooled, mean_counts=mixture.mean_counts), learner.lam, None, noise)


def _turned(mixture: GaussianMixture) -> tuple[GaussianMixture, Floats]:
    """The mixture with Σ in each class and known means, in the axes of Σ, and these axes (d, d), a column each."""
    values, axes = np.linalg.eigh(mixture.of_classes.sum(mixture.counts / mixture.counts.sum()))
    spectra = np.broadcast_to(np.maximum(values, 0.0), mixture.means.shape)
    return GaussianMixture(mixture.means @ axes, spectra, mixture.counts, classes=mixture.classes), axes
