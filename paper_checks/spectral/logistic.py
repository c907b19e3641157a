"""Logistic regression on Gaussian classes, with margins and without: what it does on fresh samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.spectral import GaussianMixture, Logistic, Prediction, Ridge, predict
from paper_checks.spectral.influence import OTHERS, fallen, pulled
from paper_checks.spectral.populations import SOURCE, Population, Sets, logistic_sets
from paper_checks.spectral.ridge import POOLED, SWAPPED, pooled, predicted, simulated, swapped, whole

SETS = 200


@dataclass(frozen=True)
class Regression:
    """Logistic regression on a population, with margins p_12 and p_21."""

    population: Population
    lam: float
    margins: tuple[float, float] = (1.0, 1.0)

    def __str__(self) -> str:
        return f"{self.population}, λ = {self.lam:g}, margins {self.margins[0]:g} and {self.margins[1]:g}"

    @property
    def sets(self) -> Sets:
        """What fits on training sets of their own did."""
        return logistic_sets(self.population, self.lam, self.margins, SETS)


@lru_cache
def _found(case: Regression, of: Callable[[Population], GaussianMixture]) -> Prediction:
    return predict(of(case.population), Logistic(case.lam, case.margins))


CASES = (
    Regression(Population((0.0, 0.3), (160, 120), (120.0, 80.0)), 5.0),
    Regression(Population((0.0, 0.3), (160, 120), (120.0, 80.0), distance=2.0), 10.0, (1.0, 2.0)),
)


def _cases(setting: Setting) -> tuple[Regression, ...]:
    return CASES


def _on(of: Callable[[Population], GaussianMixture]) -> Callable[[Regression], Estimate]:
    return lambda case: predicted(_found(case, of))


def _reversed(case: Regression) -> Estimate:
    return predicted(_found(replace(case, margins=case.margins[::-1]), whole))


def _pulled(influence: Callable[[Regression], Floats]) -> Callable[[Regression], Estimate]:
    return lambda case: pulled(case.sets, influence(case))


def _square(curvature: float) -> Callable[[Regression], Floats]:
    """V_k of a square loss with this curvature in place of ℓ''."""

    def influence(case: Regression) -> Floats:
        return predict(case.population.mixture, Ridge(case.lam / curvature)).influence / curvature

    return influence


CLAIMS = (
    Claim(
        "spectral.logistic",
        "Logistic regression on two Gaussian classes, with margins p_12 and p_21, has a deterministic equivalent too, "
        "by proximal points: V̂_k = n_k E[ℓ''/(1 + V_k ℓ'')].  Its errors, means and variances on fresh samples are "
        "right within 8 %, and means fall by V_k m̂_k/n_k from training samples to fresh ones.",
        SOURCE,
        (
            Exact(
                "errors, means and variances on fresh samples, means on training samples",
                _cases,
                lambda case: simulated(case.sets),
                _on(whole),
                {POOLED: _on(pooled), SWAPPED: _on(swapped), "the margins are in reverse": _reversed},
                resolution=0.08,
                uses_prior=False,
                detail=f"{SETS} training sets drawn and fitted, 6 standard errors",
            ),
            Exact(
                "training mean less fresh mean",
                _cases,
                lambda case: fallen(case.sets),
                _pulled(lambda case: _found(case, whole).influence),
                {
                    "V_k is that of the square loss": _pulled(_square(1.0)),
                    "V_k is that of a square loss with the curvature at 0, 1/4": _pulled(_square(0.25)),
                    OTHERS: _pulled(lambda case: _found(case, whole).influence[::-1]),
                },
                resolution=0.25,
                uses_prior=False,
                detail=f"{SETS} training sets drawn and fitted, 6 standard errors",
            ),
        ),
        ("d = 120, effective ranks from 106", "intercept free and not penalised"),
    ),
)
