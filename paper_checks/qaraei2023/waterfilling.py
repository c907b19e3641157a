"""What the method teaches: labels near rank k are tied at one score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.hard import HardNegatives, Positives
from implicitloss.kernels.descent import descend
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import Decoupled, logistic
from implicitloss.optima.waterfilling import Waterfilling, waterfilling
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.weightings import Unit

LOGISTIC = Decoupled(logistic)
SOURCE = "derived here, of the method in the abstract of Qaraei and Babbar 2023"
ONE_X = "logistic loss, one x, scores free, a fresh index, small steps"


@dataclass(frozen=True)
class Mined:
    """k hard negatives and m uniform draws, weights of 1, at an x with η_j = .6/j of `n_labels` labels."""

    k: int
    m: int
    n_labels: int = 100
    positives: Positives = "drop"

    @property
    def eta(self) -> Floats:
        return 0.6 / np.arange(1, self.n_labels + 1)

    @property
    def p(self) -> float:
        """How often a label counts by draws."""
        return self.m / self.n_labels

    @property
    def scheme(self) -> Scheme:
        return Scheme(Uniform(), Unit(), m=self.m, hits="mask", hard=HardNegatives(self.k, positives=self.positives))

    @property
    def optimum(self) -> Waterfilling:
        return waterfilling(self.scheme, LOGISTIC, self.eta, LabelPrior.zipf(self.n_labels, 0.0))

    def __str__(self) -> str:
        return f"k = {self.k}, m = {self.m}, L = {self.n_labels}"


@dataclass(frozen=True, eq=False)
class Descent:
    """What gradient descent leaves: means over time, shares of time in T, the extremes of each score."""

    loss: float
    mean: Floats
    inclusion: Floats
    low: Floats
    high: Floats


@lru_cache
def descent(at: Mined, refresh: int, step: float, steps: int) -> Descent:
    """Gradient descent from scores of 0, which knows nothing of the optimum; the last half of the steps counts."""
    f, n = np.zeros(at.n_labels), at.n_labels
    visits, mean, low, high = (np.empty(n) for _ in range(4))
    p = np.full(n, at.p)
    loss = descend(f, at.eta, p, 1 + p, at.k, refresh, step, steps, steps // 2, visits, mean, low, high)
    return Descent(float(loss), mean, visits, low, high)


def known(values: Floats, error: float, what: str, method: str) -> Estimate:
    """A number for each label, all known within `error`."""
    return Estimate(values, np.full(values.shape, error), what, method)


def _fresh(at: Mined) -> Descent:
    return descent(at, 1, 0.05, 60_000)


def _mined(setting: Setting) -> tuple[Mined, ...]:
    return Mined(5, 5), Mined(10, 10), Mined(2, 20)


def _descended(at: Mined) -> Estimate:
    """Descent has come to rest within 1/100, and its last scores swing by a step."""
    return known(_fresh(at).mean, 0.01, "mean scores", "gradient descent")


def _times_in_t(at: Mined) -> Estimate:
    return known(_fresh(at).inclusion, 0.01, "inclusion", "gradient descent")


def _scores(at: Mined) -> Estimate:
    return known(at.optimum.scores, 1e-9, "f*", "waterfilling")


def _inclusion(at: Mined) -> Estimate:
    return known(at.optimum.inclusion, 1e-9, "r", "waterfilling")


def _nominal(at: Mined) -> Estimate:
    """The margin of today's T: 1 + p for the k best, p for all others."""
    p = at.p + (np.arange(at.n_labels) < at.k)
    return known(np.log(at.eta) - np.log(p), 1e-9, "f", "closed form")


def _by_draws(at: Mined) -> Estimate:
    return known(np.log(at.eta / (1 - at.eta)) - np.log(at.p), 1e-9, "f", "closed form")


def _on_plateau(of: Callable[[Mined], Estimate]) -> Callable[[Mined], Estimate]:
    """Scores of the tied labels above their mean."""

    def spread(at: Mined) -> Estimate:
        found, tied = of(at), at.optimum.tied
        values = np.asarray(found.value)[tied]
        return known(values - values.mean(), float(np.max(found.error)), "spread", found.method)

    return spread


def _top_k(at: Mined) -> Estimate:
    return known((np.arange(at.n_labels) < at.k).astype(float), 1e-9, "r", "closed form")


CLAIMS = (
    Claim(
        "qaraei2023.waterfilling.scores",
        "Scores come to rest at f_j = max(logit η_j - log(1 + p), min(c, logit η_j - log p)), p = m/L, c such that "
        "the labels tied at it fill the k places.",
        SOURCE,
        (
            Exact(
                "gradient descent",
                _mined,
                _descended,
                _scores,
                {
                    "f* = log η - log p with the margins of the k best as T": _nominal,
                    "f* is that of the draws alone": _by_draws,
                },
                resolution=0.02,
                floor=0.02,
                uses_prior=False,
                detail="60,000 steps of .05 from scores of 0",
            ),
        ),
        (ONE_X,),
    ),
    Claim(
        "qaraei2023.waterfilling.plateau",
        "Labels whose odds lie within a factor (1 + p)/p around rank k are tied: the ranking inside the plateau is "
        "lost.",
        SOURCE,
        (
            Exact(
                "gradient descent",
                _mined,
                _on_plateau(_descended),
                _on_plateau(_scores),
                {
                    "tied labels keep the order of log η": _on_plateau(
                        lambda at: known(np.log(at.eta), 1e-9, "log η", "closed form")
                    ),
                },
                resolution=0.02,
                floor=0.05,
                uses_prior=False,
                detail="60,000 steps of .05 from scores of 0",
            ),
        ),
        (ONE_X,),
    ),
    Claim(
        "qaraei2023.waterfilling.inclusion",
        "A tied label is among the k best for a share r_j = e^(logit η_j - c) - p of the time.",
        SOURCE,
        (
            Exact(
                "gradient descent",
                _mined,
                _times_in_t,
                _inclusion,
                {"the k best stay the k best": _top_k},
                resolution=0.02,
                floor=0.02,
                uses_prior=False,
                detail="60,000 steps of .05 from scores of 0",
            ),
        ),
        (ONE_X,),
    ),
)
