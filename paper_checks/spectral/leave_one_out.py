"""Leave-one-out: what n fits give, from one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import expit

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, Labels
from implicitloss.spectral import Logistic, Ridge, leave_one_out
from paper_checks.spectral.populations import SIGNS, logistic_fit


@dataclass(frozen=True)
class Samples:
    """n_k samples of each class in d dimensions, λ and margins; far from Gaussian, unless they have margins."""

    counts: tuple[int, ...]
    d: int
    lam: float
    margins: tuple[float, float] | None = None

    def __str__(self) -> str:
        margins = f", margins {self.margins[0]:g} and {self.margins[1]:g}" if self.margins else ""
        return f"n = {', '.join(map(str, self.counts))}, d = {self.d}, λ = {self.lam:g}{margins}"

    @property
    def labels(self) -> Labels:
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def features(self) -> Floats:
        rng = np.random.default_rng([2021, self.d])
        centres = rng.standard_normal((len(self.counts), self.d))
        if self.margins:
            return np.asarray(3 + 0.5 * centres[self.labels] + rng.standard_normal((sum(self.counts), self.d)))
        return np.asarray(3 + centres[self.labels] + rng.standard_t(3, (sum(self.counts), self.d)))


def _cases(setting: Setting) -> tuple[Samples, ...]:
    return Samples((9, 14, 7), 5, 0.3), Samples((12, 10), 40, 2.0), Samples((5, 5, 5, 5), 3, 1e-3)


def scores(X: Floats, targets: Floats, lam: float, at: Floats) -> Floats:
    """Scores at some features by least squares in λ's rows and those of the samples, the intercept a column of 1."""
    n, d = X.shape
    rows = np.block([[X, np.ones((n, 1))], [np.sqrt(lam) * np.eye(d), np.zeros((d, 1))]])
    theta = np.linalg.lstsq(rows, np.vstack([targets, np.zeros((d, targets.shape[1]))]), rcond=None)[0]
    return np.asarray(np.column_stack([at, np.ones(len(at))]) @ theta)


@lru_cache
def refitted(case: Samples) -> Estimate:
    """Scores of each sample by a fit on all others, (n, K)."""
    X, targets, every = case.features, np.eye(len(case.counts))[case.labels], np.arange(sum(case.counts))
    value = np.vstack([scores(X[every != i], targets[every != i], case.lam, X[[i]]) for i in every])
    return Estimate(value, 1e-10 * np.maximum(1, np.abs(value)), "scores", "n fits")


def _by_library(case: Samples) -> Estimate:
    value = leave_one_out(case.features, case.labels, Ridge(case.lam)).scores
    return Estimate(value, np.zeros_like(value), "scores", "one fit")


def _by(influence: Callable[[Floats, int], Floats]) -> Callable[[Samples], Floats]:
    """z - V (t - z), V a function of the leverage h and of n."""

    def left_out(case: Samples) -> Floats:
        X, targets = case.features, np.eye(len(case.counts))[case.labels]
        n, z = len(X), scores(X, targets, case.lam, X)
        C = X - X.mean(axis=0)
        h = np.diag(C @ np.linalg.solve(C.T @ C + case.lam * np.eye(case.d), C.T)) + 1 / n
        return np.asarray(z - influence(h, n)[:, None] * (targets - z))

    return left_out


# --- logistic regression: what a score loses where its sample is left out ---------------------------------------------


def _logistic_cases(setting: Setting) -> tuple[Samples, ...]:
    return (
        Samples((60, 60), 10, 3.0, (1.0, 1.0)),
        Samples((80, 60), 10, 2.0, (2.0, 0.5)),
        Samples((60, 40), 15, 10.0, (2.0, 0.5)),
    )


@lru_cache
def _fitted(case: Samples) -> tuple[Floats, Floats, Floats]:
    """Scores in training, ℓ_i' and ℓ_i'', (n,) each."""
    signs, log_margins = _signs(case)
    w, b = logistic_fit(case.features, signs, log_margins, case.lam)
    z = case.features @ w + b
    p = expit(log_margins - signs * z)
    return z, -signs * p, p * (1 - p)


def _signs(case: Samples) -> tuple[Floats, Floats]:
    return SIGNS[case.labels], np.log(case.margins or (1.0, 1.0))[case.labels]


@lru_cache
def _lost(case: Samples) -> Floats:
    """The score by a fit on all others, less that in training, (n,)."""
    X, (signs, log_margins), (z, _, _) = case.features, _signs(case), _fitted(case)
    value, every = np.empty(len(X)), np.arange(len(X))
    for i in every:
        w, b = logistic_fit(X[every != i], signs[every != i], log_margins[every != i], case.lam)
        value[i] = X[i] @ w + b - z[i]
    return value


def _first_order(value: Floats) -> Estimate:
    return Estimate(value, 0.06 * np.abs(value), "loss of score", "first order")


def _lost_by_library(case: Samples) -> Estimate:
    found = leave_one_out(case.features, case.labels, Logistic(case.lam, case.margins))
    return _first_order((found.scores - found.fitted) @ SIGNS)


def _lost_by(influence: Callable[[Floats, Floats], Floats]) -> Callable[[Samples], Estimate]:
    """V_i ℓ_i', V a function of the leverage h and of ℓ''."""

    def lost(case: Samples) -> Estimate:
        _, slope, curvature = _fitted(case)
        wide = np.column_stack([case.features, np.ones(len(slope))])
        H = (wide.T * curvature) @ wide + np.diag([case.lam] * case.d + [0.0])
        h = np.einsum("ij,ji->i", wide, np.linalg.solve(H, wide.T))
        return _first_order(influence(h, curvature) * slope)

    return lost


CLAIMS = (
    Claim(
        "spectral.leave-one-out",
        "Ridge least squares scores a sample that is left out of training z_i - V_i (t_i - z_i), V_i = h_i/(1 - h_i), "
        "with z_i its score and h_i its leverage in training, exactly: one fit does for n.  Logistic regression scores "
        "it z_i + V_i ℓ_i', V_i = h_i/(1 - ℓ_i'' h_i), to first order: what it loses is right within 6 % here.",
        "derived; Allen 1974",
        (
            Exact(
                "n fits",
                _cases,
                refitted,
                _by_library,
                {
                    "the leverage lacks its 1/n": _by(lambda h, n: (h - 1 / n) / (1 - h + 1 / n)),
                    "V_i is h_i/(1 + h_i)": _by(lambda h, n: h / (1 + h)),
                    "scores are those in training": _by(lambda h, n: 0 * h),
                },
                floor=1e-9,
                uses_prior=False,
            ),
            Exact(
                "n fits of logistic regression",
                _logistic_cases,
                _lost,
                _lost_by_library,
                {
                    "V_i is h_i, without 1 - ℓ_i'' h_i": _lost_by(lambda h, curvature: h),
                    "ℓ_i'' stands in front of h_i": _lost_by(lambda h, curvature: curvature * h / (1 - curvature * h)),
                },
                resolution=0.07,
                uses_prior=False,
                detail="score left out less score in training, within 6 %",
            ),
        ),
        ("any data; of logistic regression, n > 5 d", "intercept free and not penalised"),
    ),
)
