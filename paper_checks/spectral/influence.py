"""From training samples to fresh ones: how far the mean score of each class falls back."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from paper_checks.spectral.populations import SOURCE, Sets, after, by_class, training_sets
from paper_checks.spectral.ridge import SETS, Regression, two_classes

# What the limit may be off: V_k by leverages, which count a sample's own part of the mean and of the intercept too.
LIMIT, SETS_OF_LEVERAGES = 0.05, 60

Influence = Callable[[Regression], Floats]


def fallen(sets: Sets) -> Estimate:
    """The mean score on training samples less that on fresh ones, (2,)."""
    return after(sets.training - sets.fresh)


def pulled(sets: Sets, influence: Floats) -> Estimate:
    """V_k m̂_k/n_k, (2,), m̂_k/n_k the mean of -ℓ' over the training samples of class k."""
    pull = after(sets.pull)
    value = influence * pull.value
    return Estimate(value, influence * pull.error + LIMIT * np.abs(value), "mean", "V m̂/n", n=pull.n)


def _influence(case: Regression) -> Floats:
    return case.predicted().influence


def _pulled(factor: float, influence: Influence = _influence) -> Callable[[Regression], Estimate]:
    return lambda case: pulled(case.sets, factor * influence(case))


@lru_cache
def _leverages(case: Regression) -> Estimate:
    """Class means of h_i/(1 - h_i), h_i the leverage with 1/n, (2,)."""
    found = []
    for X in training_sets(case.population, SETS_OF_LEVERAGES):
        C = X - X.mean(axis=0)
        inverse = np.linalg.inv(C.T @ C + case.lam * np.eye(case.population.d))
        h = np.einsum("ia,ia->i", C @ inverse, C) + 1 / len(X)
        found.append(by_class(case.population, h / (1 - h)))
    return after(np.array(found))


def _about(influence: Influence) -> Callable[[Regression], Estimate]:
    return lambda case: Estimate(influence(case), LIMIT * influence(case), "influence", "predicted")


OTHERS = "V_1 stands for V_2, and V_2 for V_1"
TWICE = "the influence is 2 V_k"

CLAIMS = (
    Claim(
        "spectral.influence",
        "The mean score of class k falls from training to fresh samples by V_k m̂_k/n_k, where V_k = tr Σ_k A⁻¹ is the "
        "class's own effective dimension and m̂_k/n_k the mean of -ℓ' over its training samples; class means of "
        "h_i/(1 - h_i), h_i the leverage, are V_k within 5 %.",
        SOURCE,
        (
            Exact(
                "training mean less fresh mean",
                two_classes,
                lambda case: fallen(case.sets),
                _pulled(1.0),
                {
                    OTHERS: _pulled(1.0, lambda case: _influence(case)[::-1]),
                    TWICE: _pulled(2.0),
                    "fresh means are training means": _pulled(0.0),
                },
                resolution=0.2,
                uses_prior=False,
                detail=f"{SETS} training sets drawn and fitted, 6 standard errors",
            ),
            Exact(
                "leverages",
                two_classes,
                _leverages,
                _about(_influence),
                {OTHERS: _about(lambda case: _influence(case)[::-1]), TWICE: _about(lambda case: 2 * _influence(case))},
                resolution=0.07,
                uses_prior=False,
                detail=f"{SETS_OF_LEVERAGES} training sets drawn, 6 standard errors",
            ),
        ),
        ("ridge least squares", "d = 120, effective ranks from 106"),
    ),
)
