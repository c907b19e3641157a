"""Ridge regression on Gaussian classes: what it does on fresh samples, as the number of dimensions grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.spectral import GaussianMixture, Prediction, Ridge, predict
from paper_checks.spectral.populations import (
    SIGNS,
    SOURCE,
    Population,
    Sets,
    after,
    ridge_fit,
    ridge_sets,
    training_sets,
    within,
)

SETS, SETS_OF_THREE = 450, 420
# What the limit may be off in 120 dimensions, beside the errors of the simulation.
LIMIT = 0.01
NODES = np.polynomial.legendre.leggauss(60)


@dataclass(frozen=True)
class Regression:
    """Ridge regression on a population."""

    population: Population
    lam: float

    def __str__(self) -> str:
        return f"{self.population}, λ = {self.lam:g}"

    @property
    def sets(self) -> Sets:
        """What fits on training sets of their own did."""
        return ridge_sets(self.population, self.lam, SETS)

    def predicted(self, mixture: GaussianMixture | None = None) -> Prediction:
        """What the library says, on the population or on another mixture."""
        return predict(mixture or self.population.mixture, Ridge(self.lam))


UNEQUAL = Regression(Population((0.0, 0.3), (240, 100), (120.0, 80.0)), 20.0)
ROTATED = Regression(Population((0.1, 0.3), (160, 120), (120.0, 80.0), rotated=True), 5.0)
THREE = Regression(Population((0.0, 0.15, 0.3), (120, 90, 60), (120.0, 100.0, 70.0)), 20.0)


def two_classes(setting: Setting) -> tuple[Regression, ...]:
    return UNEQUAL, ROTATED


def _three_classes(setting: Setting) -> tuple[Regression, ...]:
    return (THREE,)


def whole(population: Population) -> GaussianMixture:
    """The population as it is."""
    return population.mixture


def pooled(population: Population) -> GaussianMixture:
    """All classes with the mean of their covariances, weighed by n_k."""
    counts = np.array(population.counts, dtype=np.float64)
    mean = np.tensordot(counts / counts.sum(), population.covariances, 1)
    return GaussianMixture(population.means, np.stack([mean] * counts.size), counts)


def swapped(population: Population) -> GaussianMixture:
    """The counts in reverse."""
    return GaussianMixture(population.means, population.covariances, np.array(population.counts[::-1]))


def simulated(sets: Sets) -> Estimate:
    """Errors, means and variances on fresh samples, and means on training samples, (8,)."""
    return after(np.hstack([sets.errors, sets.fresh, sets.spread, sets.training]))


def predicted(found: Prediction) -> Estimate:
    """The same, as the library has them."""
    return within(np.hstack([found.error, found.mean, found.variance, found.training_mean]), LIMIT)


def _two(of: Callable[[Population], GaussianMixture]) -> Callable[[Regression], Estimate]:
    return lambda case: predicted(case.predicted(of(case.population)))


def _without_noise(case: Regression) -> Estimate:
    """q_k = w̄ᵀ Σ_k w̄, without Σ_j q̂_j tr(Σ_k A⁻¹ Σ_j A⁻¹): w̄ from the predicted V and m."""
    population, found = case.population, case.predicted()
    dual = np.array(population.counts) / (1 + found.influence)
    A = case.lam * np.eye(population.d) + np.tensordot(dual, population.covariances, 1)
    w = np.linalg.solve(A, population.means.T @ (dual * (SIGNS - found.mean)))
    spread = np.einsum("a,kab,b->k", w, population.covariances, w)
    return within(
        np.hstack([ndtr(-SIGNS * found.mean / np.sqrt(spread)), found.mean, spread, found.training_mean]), LIMIT
    )


# --- three classes ----------------------------------------------------------------------------------------------------


@lru_cache
def _errors_of_three(case: Regression) -> Floats:
    """Errors of each class on fresh samples, (sets, 3), by regressions on unit vectors."""
    population, targets = case.population, np.eye(3)[case.population.labels]
    penalty, sets = case.lam * np.eye(population.d), training_sets(case.population, SETS_OF_THREE)
    return np.array([_mistaken(population, *ridge_fit(X, targets, penalty)) for X in sets])


def _mistaken(population: Population, W: Floats, b: Floats) -> list[float]:
    """1 - P(z_k > z_i, z_k > z_j): one integral over the first difference, the second given the first."""
    found, (x, weight) = [], NODES
    for k, (i, j) in enumerate(((1, 2), (0, 2), (0, 1))):
        D = np.column_stack([W[:, k] - W[:, i], W[:, k] - W[:, j]])
        gap = population.means[k] @ D + np.array([b[k] - b[i], b[k] - b[j]])
        S = np.sum((D.T @ population.roots[k])[:, None] * (D.T @ population.roots[k])[None], axis=2)
        sd = np.sqrt(np.diag(S))
        rho = S[0, 1] / sd.prod()
        first, second = gap / sd
        u = -first + (9 + first) * (x + 1) / 2
        inside = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi) * ndtr((second + rho * u) / np.sqrt(1 - rho**2))
        found.append(1 - float((9 + first) / 2 * weight @ inside))
    return found


def _three(of: Callable[[Population], GaussianMixture]) -> Callable[[Regression], Estimate]:
    return lambda case: within(case.predicted(of(case.population)).error, LIMIT)


POOLED, SWAPPED = "classes share the pooled covariance", "the counts are in reverse"

CLAIMS = (
    Claim(
        "spectral.ridge",
        "Ridge least squares on Gaussian classes has a deterministic equivalent: with V̂_k = n_k/(1 + V_k), "
        "A = λI + Σ V̂_k Σ_k and V_k = tr Σ_k A⁻¹, the mean m_k and the variance q_k of a score on fresh samples of "
        "class k solve linear equations, its mean on training samples is m_k + V_k m̂_k/n_k, and the error is "
        "Φ(-s_k m_k/√q_k).  At effective ranks of 90 and more all are right within 5 %.",
        SOURCE,
        (
            Exact(
                "errors, means and variances on fresh samples, means on training samples",
                two_classes,
                lambda case: simulated(case.sets),
                _two(whole),
                {
                    POOLED: _two(pooled),
                    "q_k is w̄ᵀΣ_k w̄, without the term of q̂": _without_noise,
                    SWAPPED: _two(swapped),
                },
                resolution=0.05,
                uses_prior=False,
                detail=f"{SETS} training sets drawn and fitted, 6 standard errors",
            ),
            Exact(
                "errors of three classes",
                _three_classes,
                lambda case: after(_errors_of_three(case)),
                _three(whole),
                {POOLED: _three(pooled), SWAPPED: _three(swapped)},
                resolution=0.05,
                uses_prior=False,
                detail=f"{SETS_OF_THREE} training sets drawn and fitted, 6 standard errors",
            ),
        ),
        ("d = 120, effective ranks from 106", "intercept free and not penalised"),
    ),
)
