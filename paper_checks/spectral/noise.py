"""Noise on training samples: averaged over it, the square loss has a ridge in place of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.spectral import Dropout, Noise, Ridge, predict
from paper_checks.spectral.populations import SIGNS, Population, after, ridge_fit, seen, training_sets, within
from paper_checks.spectral.ridge import LIMIT

Kind = Literal["noise", "dropout"]

# --- any data: every value of the noise, listed -----------------------------------------------------------------------

COUNTS, D, LAM, RATE = (7, 4), 4, 0.5, 0.3
LABELS = np.repeat([0, 1], COUNTS)
DRAW = np.random.default_rng([2021, 4])
SAMPLES = DRAW.standard_t(3, (sum(COUNTS), D)) + LABELS[:, None]
# C_k = R_k R_kᵀ, and noise R_k ε, ε one of the 2^d corners ±1.
NOISE = 0.4 * DRAW.standard_normal((2, D, D))


def _kinds(setting: Setting) -> tuple[Kind, ...]:
    return ("noise", "dropout")


def _listed(kind: Kind) -> Estimate:
    """w and b of the fit to every noisy copy of every sample, each with its chance."""
    rows, targets, chances = [], [], []
    for corner in itertools.product((0.0, 1.0), repeat=D):
        bits = np.array(corner)
        for x, k in zip(SAMPLES, LABELS, strict=True):
            rows.append(x + NOISE[k] @ (2 * bits - 1) if kind == "noise" else x * bits / (1 - RATE))
            targets.append(SIGNS[k])
            chances.append(0.5**D if kind == "noise" else (1 - RATE) ** bits.sum() * RATE ** (D - bits.sum()))
    root = np.sqrt(chances)[:, None]
    wide = np.block([[root * np.array(rows), root], [np.sqrt(LAM) * np.eye(D), np.zeros((D, 1))]])
    value = np.linalg.lstsq(wide, np.append(root[:, 0] * targets, np.zeros(D)), rcond=None)[0]
    return Estimate(value, np.full(D + 1, 1e-11), "w and b", "least squares on every copy")


def _penalty(kind: Kind, *, of_one: bool = False, centred: bool = False) -> Floats:
    """Σ_k n_k C_k, or Σ_k C_k; or that of dropout with variances in place of squares."""
    total = np.zeros((D, D))
    for k, n in enumerate(COUNTS):
        part = SAMPLES[k == LABELS]
        squares = part.var(axis=0) if centred else np.mean(part**2, axis=0)
        dropped = np.diag(RATE / (1 - RATE) * squares)
        total += (1 if of_one else n) * (NOISE[k] @ NOISE[k].T if kind == "noise" else dropped)
    return total


def _ridge(penalty: Callable[[Kind], Floats]) -> Callable[[Kind], Estimate]:
    def fitted(kind: Kind) -> Estimate:
        value = np.append(*ridge_fit(SAMPLES, SIGNS[LABELS], LAM * np.eye(D) + penalty(kind)))
        return Estimate(value, np.full(D + 1, 1e-11), "w and b", "ridge")

    return fitted


# --- Gaussian classes -------------------------------------------------------------------------------------------------

SETS = 250
POPULATION = Population((0.0, 0.3), (200, 120), (120.0, 80.0), centre=0.8)


@dataclass(frozen=True)
class Augmented:
    """Ridge regression on a population with noise of some variances by class, or dropout."""

    kind: Kind
    population: Population = POPULATION
    lam: float = 1.0
    variances: tuple[float, float] = (0.3, 0.1)
    rate: float = 0.2

    def __str__(self) -> str:
        what = f"noise of variance {self.variances[0]:g} and {self.variances[1]:g}"
        return f"{what if self.kind == 'noise' else f'dropout of {self.rate:g}'}, {self.population}"


def _augmented(setting: Setting) -> tuple[Augmented, ...]:
    return Augmented("noise"), Augmented("dropout")


@lru_cache
def _trained(case: Augmented) -> Estimate:
    """Errors, means and variances on fresh samples; dropout has the squares of each training set's own samples."""
    population, rows = case.population, []
    for sample in training_sets(population, SETS):
        added = np.array(case.variances)[population.labels, None] * np.ones(population.d)
        if case.kind == "dropout":
            added = case.rate / (1 - case.rate) * sample**2
        penalty = case.lam * np.eye(population.d) + np.diag(added.sum(axis=0))
        rows.append(np.hstack(seen(population, *ridge_fit(sample, SIGNS[population.labels], penalty))))
    return after(np.array(rows))


def _predicted(augment: Callable[[Augmented], Noise | Dropout | None]) -> Callable[[Augmented], Estimate]:
    def predicted(case: Augmented) -> Estimate:
        found = predict(case.population.mixture, Ridge(case.lam), augment(case))
        return within(np.hstack([found.error, found.mean, found.variance]), LIMIT)

    return predicted


def _augmentation(case: Augmented) -> Noise | Dropout:
    return Noise(np.array(case.variances)) if case.kind == "noise" else Dropout(case.rate)


def _variances(case: Augmented, *, centred: bool = False) -> Floats:
    """The diagonals of C_k, (2, d); or those of dropout with variances in place of squares."""
    population = case.population
    if case.kind == "noise":
        return np.array(case.variances)[:, None] * np.ones(population.d)
    squares = np.stack([np.diag(covariance) for covariance in population.covariances])
    return case.rate / (1 - case.rate) * (squares if centred else squares + population.means**2)


def _without_counts(case: Augmented) -> Noise:
    return Noise(_variances(case) / np.array(case.population.counts)[:, None])


WITHOUT = "the ridge is Σ C_k, without n_k"
CENTRED = "dropout has the variance of x in place of E x²"

CLAIMS = (
    Claim(
        "spectral.noise",
        "Noise of mean 0 and covariance C_k on training samples of class k, averaged over, makes λI + Σ n_k C_k of "
        "the ridge λI, for least squares on any data; dropout of rate ρ has C_k = ρ/(1-ρ) diag E_k x².",
        "derived; Bishop 1995, Wager et al. 2013",
        (
            Exact(
                "least squares on every noisy copy",
                _kinds,
                _listed,
                _ridge(_penalty),
                {
                    WITHOUT: _ridge(lambda kind: _penalty(kind, of_one=True)),
                    CENTRED: _ridge(lambda kind: _penalty(kind, centred=True)),
                },
                floor=1e-9,
                uses_prior=False,
            ),
            Exact(
                "errors, means and variances on fresh samples",
                _augmented,
                _trained,
                _predicted(_augmentation),
                {
                    WITHOUT: _predicted(_without_counts),
                    CENTRED: _predicted(lambda case: Noise(_variances(case, centred=True))),
                    "noise changes nothing": _predicted(lambda case: None),
                },
                resolution=0.07,
                uses_prior=False,
                detail=f"{SETS} training sets drawn and fitted, 6 standard errors",
            ),
        ),
        ("square loss",),
    ),
)
