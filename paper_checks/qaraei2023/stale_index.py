"""A stale index: how far scores swing between refreshes, and what that costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.kernels.descent import descend
from implicitloss.optima.stale_index import Method, StaleIndex, stale_index
from paper_checks.qaraei2023.waterfilling import SOURCE, Descent, Mined, descent, known

STEP = 0.1
REFRESHED = "logistic loss, one x, scores free, hard negatives looked up every R steps"
MINED = (Mined(4, 3, 50), Mined(2, 10, 50))
# Steps and refreshes of gradient descent, at least.
STEPS, REFRESHES = 50_000, 20


@dataclass(frozen=True)
class Stale:
    """Hard negatives that are looked up every `refresh` steps of .1."""

    mined: Mined
    refresh: int

    @property
    def descent(self) -> Descent:
        """Steps from scores of 0, for as long as the slowest labels need."""
        return descent(self.mined, self.refresh, STEP, max(STEPS // self.refresh, REFRESHES) * self.refresh)

    def __str__(self) -> str:
        return f"{self.mined}, R = {self.refresh}"


@lru_cache
def _predicted(at: Stale, method: Method) -> StaleIndex:
    return stale_index(at.mined.scheme, at.mined.eta, at.refresh, STEP, method=method)


def _stale(setting: Setting) -> tuple[Stale, ...]:
    return tuple(Stale(mined, refresh) for mined in MINED for refresh in (1, 100, 10_000))


def _long(setting: Setting) -> tuple[Stale, ...]:
    return tuple(Stale(mined, 5_000) for mined in MINED)


def _loss(at: Stale) -> Estimate:
    """Steps of .1 are what the flow leaves out."""
    return Estimate(at.descent.loss, 0.0015 * at.descent.loss, "loss over time", "gradient descent")


def _by(method: Method, part: float) -> Callable[[Stale], Estimate]:
    """A prediction of the loss over time, right within a `part`."""

    def loss(at: Stale) -> Estimate:
        value = _predicted(at, method).loss
        return Estimate(value, part * value, "loss over time", method)

    return loss


def _loss_at_rest(at: Stale) -> Estimate:
    f = at.mined.optimum.scores
    value = float(np.sum(np.logaddexp(0, f) - at.mined.eta * f))
    return Estimate(value, 1e-6 * value, "loss", "waterfilling")


def _four_times(at: Stale) -> Estimate:
    return _by("period map", 0.0005)(Stale(at.mined, 4 * at.refresh))


def _masked(at: Stale) -> Estimate:
    """The prediction where a draw of a label in T counts nothing."""
    scheme = at.mined.scheme
    assert scheme.hard is not None
    other = replace(scheme, hard=replace(scheme.hard, overlap="mask"))
    value = stale_index(other, at.mined.eta, at.refresh, STEP).loss
    return Estimate(value, 0.0005 * value, "loss over time", "period map")


def _swing(at: Stale) -> Estimate:
    found = float(np.max(at.descent.high - at.descent.low))
    return Estimate(found, 0.01 * found, "largest swing", "gradient descent")


def _cap(factor: float) -> Callable[[Stale], Estimate]:
    return lambda at: Estimate(factor * float(np.log(1 + 1 / at.mined.p)), 1e-12, "cap", "closed form")


# --- outside T, without draws -----------------------------------------------------------------------------------------

RISING, TIME = np.array([0.02, 0.1, 0.4, 0.8]), 60.0


@lru_cache
def _risen(step: float) -> tuple[float, ...]:
    """Scores of labels that nothing pushes down, after a time; a fifth label, far above, is T."""
    f, n = np.append(np.full(RISING.size, -2.0), 50.0), RISING.size + 1
    eta = np.append(RISING, 0.5)
    visits, mean, low, high = (np.empty(n) for _ in range(4))
    steps = round(TIME / step)
    descend(f, eta, np.zeros(n), np.ones(n), 1, 1, step, steps, steps, visits, mean, low, high)
    return tuple(f[:-1].tolist())


def _none(setting: Setting) -> tuple[str]:
    return ("four labels from -2, time 60",)


def _rises(case: str) -> Estimate:
    """Steps of .005 and half of it: their difference bounds the error of the smaller ones."""
    coarse, fine = (np.array(_risen(step)) for step in (0.005, 0.0025))
    return known(fine, float(2 * np.abs(fine - coarse).max()), "f", "gradient descent")


def _by_law(case: str) -> Estimate:
    total = -2 + np.exp(-2) + RISING * TIME
    found = np.array([brentq(lambda f, c=c: f + np.exp(f) - c, -5, 50, xtol=1e-13) for c in total])
    return known(found, 1e-10, "f", "f + e^f = C + ηt")


def _linear(case: str) -> Estimate:
    return known(-2 + RISING * TIME, 1e-10, "f", "f = C + ηt")


def _logarithmic(case: str) -> Estimate:
    return known(np.log(np.exp(-2) + RISING * TIME), 1e-10, "f", "e^f = C + ηt")


CLAIMS = (
    Claim(
        "qaraei2023.stale.loss",
        "Between refreshes each score follows df/dt = η - (η + (1-η) p) σ(f), t = step x steps; that flow, with the k "
        "best looked up at each refresh, gives the loss over time.  That each label falls for a period and climbs back "
        "to one level gives it nearly.",
        SOURCE,
        (
            Exact(
                "the period map",
                _stale,
                _loss,
                _by("period map", 0.0005),
                {
                    "an index that is not refreshed costs nothing": _loss_at_rest,
                    "four times as many steps between refreshes cost the same": _four_times,
                    "draws of labels in T count nothing": _masked,
                },
                resolution=0.005,
                uses_prior=False,
                detail="against gradient descent, within 2 in a thousand",
            ),
            Exact(
                "the renewal formula",
                _stale,
                _loss,
                _by("renewal", 0.05),
                {"an index that is not refreshed costs nothing": _loss_at_rest},
                resolution=0.08,
                uses_prior=False,
                detail="against gradient descent, within 5 %",
            ),
        ),
        (REFRESHED,),
    ),
    Claim(
        "qaraei2023.stale.swing",
        "A stale index lets a score swing by at most log((1 + p)/p), and after long periods by all of it.",
        SOURCE,
        (
            Exact(
                "gradient descent",
                _long,
                _swing,
                _cap(1.0),
                {"the swing is half of log((1 + p)/p)": _cap(0.5), "draws cap nothing": (">", _cap(1.5))},
                resolution=0.02,
                uses_prior=False,
                detail="R = 5,000 steps of .1",
            ),
        ),
        (REFRESHED,),
    ),
    Claim(
        "qaraei2023.stale.rise",
        "Without draws nothing holds a label outside T: f + e^f = C + ηt, without limit.",
        SOURCE,
        (
            Exact(
                "gradient descent",
                _none,
                _rises,
                _by_law,
                {
                    "the score rises linearly, f = C + ηt": _linear,
                    "it rises as a logarithm, e^f = C + ηt": _logarithmic,
                },
                resolution=1e-2,
                uses_prior=False,
                detail="steps of .005 and .0025",
            ),
        ),
        ("logistic loss, one x, hard negatives alone",),
    ),
)
