"""Leave-one-out: what n fits give, from one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, Labels
from implicitloss.spectral import Ridge, leave_one_out


@dataclass(frozen=True)
class Samples:
    """n_k samples of each class in d dimensions, far from Gaussian, and λ."""

    counts: tuple[int, ...]
    d: int
    lam: float

    def __str__(self) -> str:
        return f"n = {', '.join(map(str, self.counts))}, d = {self.d}, λ = {self.lam:g}"

    @property
    def labels(self) -> Labels:
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def features(self) -> Floats:
        rng = np.random.default_rng([2021, self.d])
        centres = rng.standard_normal((len(self.counts), self.d))
        return np.asarray(3 + centres[self.labels] + rng.standard_t(3, (sum(self.counts), self.d)))


def _cases(setting: Setting) -> tuple[Samples, ...]:
    return Samples((9, 14, 7), 5, 0.3), Samples((12, 10), 40, 2.0), Samples((5, 5, 5, 5), 3, 1e-3)


def _scores(X: Floats, targets: Floats, lam: float, at: Floats) -> Floats:
    """Scores at some features by least squares in λ's rows and those of the samples, the intercept a column of 1."""
    n, d = X.shape
    rows = np.block([[X, np.ones((n, 1))], [np.sqrt(lam) * np.eye(d), np.zeros((d, 1))]])
    theta = np.linalg.lstsq(rows, np.vstack([targets, np.zeros((d, targets.shape[1]))]), rcond=None)[0]
    return np.asarray(np.column_stack([at, np.ones(len(at))]) @ theta)


@lru_cache
def _refitted(case: Samples) -> Estimate:
    """Scores of each sample by a fit on all others, (n, K)."""
    X, targets, every = case.features, np.eye(len(case.counts))[case.labels], np.arange(sum(case.counts))
    value = np.vstack([_scores(X[every != i], targets[every != i], case.lam, X[[i]]) for i in every])
    return Estimate(value, 1e-10 * np.maximum(1, np.abs(value)), "scores", "n fits")


def _by_library(case: Samples) -> Estimate:
    value = leave_one_out(case.features, case.labels, Ridge(case.lam)).scores
    return Estimate(value, np.zeros_like(value), "scores", "one fit")


def _by(influence: Callable[[Floats, int], Floats]) -> Callable[[Samples], Floats]:
    """z - V (t - z), V a function of the leverage h and of n."""

    def scores(case: Samples) -> Floats:
        X, targets = case.features, np.eye(len(case.counts))[case.labels]
        n, z = len(X), _scores(X, targets, case.lam, X)
        C = X - X.mean(axis=0)
        h = np.diag(C @ np.linalg.solve(C.T @ C + case.lam * np.eye(case.d), C.T)) + 1 / n
        return np.asarray(z - influence(h, n)[:, None] * (targets - z))

    return scores


CLAIMS = (
    Claim(
        "spectral.leave-one-out",
        "Ridge least squares scores a sample that is left out of training z_i - V_i (t_i - z_i), V_i = h_i/(1 - h_i), "
        "with z_i its score and h_i its leverage in training, exactly: one fit does for n.",
        "derived; Allen 1974",
        (
            Exact(
                "n fits",
                _cases,
                _refitted,
                _by_library,
                {
                    "the leverage lacks its 1/n": _by(lambda h, n: (h - 1 / n) / (1 - h + 1 / n)),
                    "V_i is h_i/(1 + h_i)": _by(lambda h, n: h / (1 + h)),
                    "scores are those in training": _by(lambda h, n: 0 * h),
                },
                floor=1e-9,
                uses_prior=False,
            ),
        ),
        ("any data", "intercept free and not penalised"),
    ),
)
