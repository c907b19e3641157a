"""Gaussian classes on which the claims are tried, and classifiers trained on samples of them.

All of it is written out here: samples are drawn, classifiers fitted, and a fitted one is asked what it does on fresh
samples.  The library is given the same means, covariances and counts, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr

from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.spectral import GaussianMixture

SOURCE = "derived, from Loureiro et al. 2021 and leave-one-out algebra"
# What a mean over training sets may be off, in standard errors: a true one is farther off once in 7 million comparisons
# with 60 sets, and once in 100 million with 200.
ERRORS = 6.0
# Of an objective at its minimum, for each sample.
SLOPE = 1e-12
SIGNS = np.array([1.0, -1.0])


@dataclass(frozen=True)
class Population:
    """Gaussian classes, x | y = k ~ N(μ_k, Σ_k), and the samples n_k of each in a training set.

    The eigenvalues of Σ_k fall as i^-α_k and add up to its trace, along the axes of x; if `rotated`, those of all
    classes but the first along random ones.  Any two means are `distance` apart, about the same `centre` in every
    direction.
    """

    exponents: tuple[float, ...]
    counts: tuple[int, ...]
    traces: tuple[float, ...]
    d: int = 120
    distance: float = 2.5
    rotated: bool = False
    centre: float = 0.0

    def __str__(self) -> str:
        numbers = ", ".join(f"α = {a:g}, n = {n}" for a, n in zip(self.exponents, self.counts, strict=True))
        centre = f", about {self.centre:g}" if self.centre else ""
        return f"{numbers}, d = {self.d}{', rotated' if self.rotated else ''}{centre}"

    @cached_property
    def means(self) -> Floats:
        n = len(self.counts)
        corners = np.array([[0.5], [-0.5]]) if n == 2 else np.eye(n) / np.sqrt(2)
        axes = _orthonormal(np.random.default_rng([2021, 1]), self.d)[:, : corners.shape[1]]
        return np.asarray(self.centre + self.distance * corners @ axes.T)

    @cached_property
    def roots(self) -> Floats:
        """R_k with Σ_k = R_k R_kᵀ, (K, d, d)."""
        rng, found = np.random.default_rng([2021, 2]), []
        for k, (alpha, trace) in enumerate(zip(self.exponents, self.traces, strict=True)):
            values = np.arange(1, self.d + 1) ** -alpha
            root = np.diag(np.sqrt(trace * values / values.sum()))
            found.append(_orthonormal(rng, self.d) @ root if self.rotated and k else root)
        return np.stack(found)

    @cached_property
    def covariances(self) -> Floats:
        return np.asarray(self.roots @ self.roots.transpose(0, 2, 1))

    @cached_property
    def labels(self) -> Floats:
        """The class of each sample of a training set, (n,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def mixture(self) -> GaussianMixture:
        """What the library is given."""
        return GaussianMixture(self.means, self.covariances, np.array(self.counts))

    def draw(self, rng: np.random.Generator) -> Floats:
        """The samples of a training set, (n, d), class after class."""
        parts = []
        for k, (mean, root, n) in enumerate(zip(self.means, self.roots, self.counts, strict=True)):
            normal = rng.standard_normal((n, self.d))
            parts.append(mean + (normal @ root.T if self.rotated and k else normal * np.diag(root)))
        return np.concatenate(parts)


def training_sets(population: Population, sets: int) -> Iterator[Floats]:
    """So many training sets, each with random numbers of its own."""
    for i in range(sets):
        yield population.draw(np.random.Generator(np.random.SFC64([2021, i])))


def _orthonormal(rng: np.random.Generator, d: int) -> Floats:
    return np.linalg.qr(rng.standard_normal((d, d)))[0]


class Sets(NamedTuple):
    """What classifiers of two classes did, each trained on a set of its own; every array is (sets, 2)."""

    errors: Floats  # on fresh samples
    fresh: Floats  # the score's mean on fresh samples
    spread: Floats  # its variance on fresh samples
    training: Floats  # its mean on training samples
    pull: Floats  # the mean of -ℓ' on training samples


def after(sets: Floats) -> Estimate:
    """The mean over training sets."""
    error = ERRORS * sets.std(axis=0, ddof=1) / np.sqrt(len(sets))
    return Estimate(sets.mean(axis=0), error, "mean", "training sets drawn and fitted", n=len(sets))


def within(value: Floats, part: float) -> Estimate:
    """A predicted number, right within a `part` of it: what is left at a finite dimension."""
    return Estimate(value, part * np.abs(value), "mean", "predicted")


def ridge_fit(X: Floats, targets: Floats, penalty: Floats) -> tuple[Floats, Floats]:
    """The minimum of Σ_i ½ ‖wᵀx_i + b - t_i‖² + ½ tr wᵀ P w, for one score or several."""
    middle, level = X.mean(axis=0), targets.mean(axis=0)
    centred = X - middle
    w = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (targets - level))
    return w, level - middle @ w


def logistic_fit(X: Floats, signs: Floats, log_margins: Floats, lam: float) -> tuple[Floats, Floats]:
    """The minimum of Σ_i log(1 + p_i e^{-s_i (w·x_i + b)}) + (λ/2) ‖w‖², by Newton's method until the slope is 0."""
    wide = np.column_stack([X, np.ones(len(X))])
    ridge = np.append(np.full(X.shape[1], lam), 0.0)
    penalty, theta = np.diag(ridge), np.zeros(ridge.size)
    for _ in range(50):
        p = expit(log_margins - signs * (wide @ theta))
        slope = ridge * theta - wide.T @ (signs * p)
        if np.abs(slope).max() < SLOPE * len(X):
            return theta[:-1], theta[-1]
        half = wide * np.sqrt(p * (1 - p))[:, None]
        theta -= np.linalg.solve(half.T @ half + penalty, slope)
    raise ArithmeticError(f"Newton's method must come to rest, but its slope is still {np.abs(slope).max():.3g}")


def seen(population: Population, w: Floats, b: Floats) -> tuple[Floats, ...]:
    """Errors, mean and variance on fresh samples: a score w·x + b of Gaussian x is Gaussian."""
    fresh = population.means @ w + b
    spread = np.array([np.sum((w @ root) ** 2) for root in population.roots])
    return ndtr(-SIGNS * fresh / np.sqrt(spread)), fresh, spread


def by_class(population: Population, values: Floats) -> Floats:
    return np.bincount(population.labels, values) / population.counts


@lru_cache
def ridge_sets(population: Population, lam: float, sets: int) -> Sets:
    """Ridge regressions on targets ±1."""
    signs, penalty, rows = SIGNS[population.labels], lam * np.eye(population.d), []
    for X in training_sets(population, sets):
        w, b = ridge_fit(X, signs, penalty)
        z = X @ w + b
        rows.append((*seen(population, w, b), by_class(population, z), by_class(population, signs - z)))
    return Sets(*map(np.array, zip(*rows, strict=True)))


@lru_cache
def logistic_sets(population: Population, lam: float, margins: tuple[float, float], sets: int) -> Sets:
    """Logistic regressions with margins p_12 and p_21."""
    signs, log_margins, rows = SIGNS[population.labels], np.log(margins)[population.labels], []
    for X in training_sets(population, sets):
        w, b = logistic_fit(X, signs, log_margins, lam)
        z = X @ w + b
        pull = signs * expit(log_margins - signs * z)
        rows.append((*seen(population, w, b), by_class(population, z), by_class(population, pull)))
    return Sets(*map(np.array, zip(*rows, strict=True)))
