"""The classifier by the nearer of two class means: its moments, and its error, which is no Φ of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Average, Averages, Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.spectral import MeanDifference, Prediction, predict
from paper_checks.spectral.populations import SIGNS, Population

FEW = Population((1.0, 0.3), (7, 4), (3.0, 5.0), d=3, rotated=True)
# Effective ranks of 1.2 and 8.
STEEP = Population((2.0, 0.5), (6, 10), (10.0, 12.0), d=10)
# The library averages its error over draws; so many leave nothing that the resolution sees.
DRAWS = 200_000


@lru_cache
def _predicted(population: Population) -> Prediction:
    return predict(population.mixture, MeanDifference(draws=DRAWS))


# --- moments ----------------------------------------------------------------------------------------------------------


def _few(setting: Setting) -> tuple[Population]:
    return (FEW,)


def _integrated(population: Population) -> Estimate:
    """Averages over the two training means of w·μ_k + b, wᵀΣ_k w and w·x̄_k + b, (6,), all of them quadratic.

    Three nodes of the Gauss-Hermite rule in each dimension are exact for a quadratic.
    """
    nodes, weights = np.sqrt(3) * np.array([-1.0, 0.0, 1.0]), np.array([1.0, 4.0, 1.0]) / 6
    total, d = np.zeros(6), population.d
    for chosen in itertools.product(range(3), repeat=2 * d):
        at = list(chosen)
        shifts = np.einsum("kab,kb->ka", population.roots, nodes[at].reshape(2, d))
        seen = population.means + shifts / np.sqrt(population.counts)[:, None]
        w, b = seen[0] - seen[1], float(seen[1] @ seen[1] - seen[0] @ seen[0]) / 2
        variance = [float(w @ covariance @ w) for covariance in population.covariances]
        total += weights[at].prod() * np.concatenate([population.means @ w + b, variance, seen @ w + b])
    return Estimate(total, 1e-12 * np.maximum(1, np.abs(total)), "moments", "Gauss-Hermite")


def _moments(population: Population) -> Floats:
    found = _predicted(population)
    return np.concatenate([found.mean, found.variance, found.training_mean])


def _off(mean: Callable[[Population], Floats | float], variance: bool = True) -> Callable[[Population], Floats]:
    """The moments, less a part of the mean, or of the variance what training means vary."""

    def moments(population: Population) -> Floats:
        value = _moments(population)
        value[:2] -= mean(population)
        if not variance:
            apart = population.means[0] - population.means[1]
            value[2:4] = np.einsum("a,kab,b->k", apart, population.covariances, apart)
        return value

    return moments


def _middle(population: Population) -> float:
    """½ (tr Σ_2/n_2 - tr Σ_1/n_1)."""
    noise = np.array(population.traces) / population.counts
    return float(noise[1] - noise[0]) / 2


# --- the error --------------------------------------------------------------------------------------------------------


def _mistaken(k: int) -> Callable[[np.random.Generator, int], Floats]:
    """Whether a fresh sample of class k is mistaken, each by means of a training set of its own, (n,)."""

    def mistaken(rng: np.random.Generator, n: int) -> Floats:
        scale = np.sqrt(np.stack([np.diag(covariance) for covariance in STEEP.covariances]))
        first, second = (
            mean + rng.standard_normal((n, STEEP.d)) * root / np.sqrt(count)
            for mean, root, count in zip(STEEP.means, scale, STEEP.counts, strict=True)
        )
        x = STEEP.means[k] + rng.standard_normal((n, STEEP.d)) * scale[k]
        nearer = np.sum((x - first) ** 2, axis=1) < np.sum((x - second) ** 2, axis=1)
        return np.asarray(nearer != (k == 0), dtype=np.float64)

    return mistaken


def _errors(setting: Setting) -> list[tuple[Average, float]]:
    error = _predicted(STEEP).error
    return [(Average(f"{STEEP}, samples of class {k + 1}", _mistaken(k)), float(error[k])) for k in (0, 1)]


def _of_moments(setting: Setting) -> list[float]:
    found = _predicted(STEEP)
    return list(ndtr(-SIGNS * found.mean / np.sqrt(found.variance)))


CLAIMS = (
    Claim(
        "spectral.mean-difference",
        "For w = x̄_1 - x̄_2, the midpoint b and Δ = μ_1 - μ_2, averages over training sets are m_k = ±½‖Δ‖² + "
        "½ (tr Σ_2/n_2 - tr Σ_1/n_1) of the score's mean and q_k = ΔᵀΣ_kΔ + tr(Σ_k (Σ_1/n_1 + Σ_2/n_2)) of its "
        "variance within one training set, exactly.  The error is an average of Φ over training sets, and on steep "
        "spectra it is not Φ of these averages.",
        "derived",
        (
            Exact(
                "means and variances of the score",
                _few,
                _integrated,
                _moments,
                {
                    "the counts do not shift the midpoint": _off(_middle),
                    "q_k is ΔᵀΣ_kΔ, as if means were known": _off(lambda population: 0.0, variance=False),
                },
                resolution=1e-10,
                uses_prior=False,
                detail="Gauss-Hermite rule, exact for quadratics",
            ),
            Averages(
                _errors,
                {"the error is Φ(-s_k m_k/√q_k)": _of_moments},
                resolution=0.01,
                uses_prior=False,
            ),
        ),
        ("Gaussian classes",),
    ),
)
