"""Learners fitted to simulated training sets by themselves: nothing here is shared with what predicts them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtr

Fit = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def least_squares(X: np.ndarray, y: np.ndarray, lam: float) -> tuple[np.ndarray, np.ndarray]:
    """W (d, K) and b (K,) of Σ ½ ‖W x + b - e_y‖² + (λ/2) ‖W‖², by the normal equations with the intercept in them."""
    n, d = X.shape
    wide = np.hstack([X, np.ones((n, 1))])
    penalty = lam * np.eye(d + 1)
    penalty[d, d] = 0.0
    found = np.linalg.solve(wide.T @ wide + penalty, wide.T @ np.eye(y.max() + 1)[y])
    return found[:d], found[d]


def logistic(
    X: np.ndarray, y: np.ndarray, lam: float, p: tuple[float, float] = (1.0, 1.0)
) -> tuple[np.ndarray, np.ndarray]:
    """w (d, 1) and b (1,) of Σ log(1 + p e^{∓z}) + (λ/2) ‖w‖², by a quasi-Newton method."""
    sign, shift = np.where(y == 0, 1.0, -1.0), np.log(np.where(y == 0, p[0], p[1]))

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = at[:-1], at[-1]
        u = shift - sign * (X @ w + b)
        slope = -sign / (1 + np.exp(-u))
        return float(np.logaddexp(0, u).sum() + lam / 2 * w @ w), np.append(X.T @ slope + lam * w, slope.sum())

    found = minimize(objective, np.zeros(X.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    return found.x[:-1, None], found.x[-1:]


def training_set(mixture: Any, roots: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Samples of the mixture; `roots` are the standard deviations (K, d) or roots (K, d, d) of its covariances."""
    counts = mixture.counts.astype(int)
    normal = [rng.standard_normal((n, mixture.means.shape[1])) for n in counts]
    parts = [m + (z * r if r.ndim == 1 else z @ r) for m, z, r in zip(mixture.means, normal, roots, strict=True)]
    return np.concatenate(parts), np.repeat(np.arange(len(counts)), counts)


def two_classes(mixture: Any, fit: Fit, runs: int, rng: np.random.Generator) -> np.ndarray:
    """error, mean and variance of the score f_1 - f_2 of a diagonal mixture's two classes in each run, (runs, 6).

    The features are simulated; given w and b, the three are exact.
    """
    roots, found = np.sqrt(mixture.covariances), np.empty((runs, 6))
    for run in range(runs):
        w, b = fit(*training_set(mixture, roots, rng))
        w, b = (w[:, 0], b[0]) if w.shape[1] == 1 else (w[:, 0] - w[:, 1], b[0] - b[1])
        mean, variance = mixture.means @ w + b, mixture.covariances @ w**2
        found[run] = [*ndtr(np.array([-1, 1]) * mean / np.sqrt(variance)), *mean, *variance]
    return found


def agrees(found: np.ndarray, expected: np.ndarray, resolution: float = 0.05) -> bool:
    """Whether simulated means are within the resolution of the expected numbers, relative to those.

    The two means of a score, where six numbers of two classes are compared, are taken relative to the larger one.

    False alarm, if the expected numbers are right: below 1e-6 each, as the resolution is five standard errors or more,
    which is asserted.
    """
    scale = np.abs(found.mean(axis=0))
    if scale.size == 6:
        scale[2:4] = scale[2:4].max()
    standard_error = found.std(axis=0, ddof=1) / len(found) ** 0.5
    assert np.all(5 * standard_error <= resolution * scale), standard_error / scale
    return bool(np.all(np.abs(found.mean(axis=0) - expected) <= resolution * scale))
