"""Offsets of a score: that which equalises the errors of two classes, and that which minimises their mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import bisect, minimize_scalar
from scipy.special import ndtr, ndtri

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, Labels
from implicitloss.spectral import equal_error_offset, least_error_offset
from implicitloss.spectral.equalise import equal_errors, least_error
from paper_checks.spectral.populations import SIGNS, SOURCE, after, within
from paper_checks.spectral.ridge import LIMIT, SETS, Regression, two_classes

# Where the least mean error lies to a few times the root of a rounding.
SEARCH = 1e-6

Offset = Callable[[Floats, Floats], float]


@dataclass(frozen=True)
class Scores:
    """The score is N(m_k, q_k) on samples of class k."""

    mean: tuple[float, float]
    variance: tuple[float, float]

    def __str__(self) -> str:
        return f"m = {self.mean[0]:g} and {self.mean[1]:g}, q = {self.variance[0]:g} and {self.variance[1]:g}"

    def errors(self, offset: float) -> Floats:
        """Both errors, where δ is added to the score."""
        return np.asarray(ndtr(-SIGNS * (np.array(self.mean) + offset) / np.sqrt(self.variance)))


def _cases(setting: Setting) -> tuple[Scores, ...]:
    return (
        Scores((0.6, -0.9), (0.6, 0.2)),
        Scores((2.0, -0.5), (1.0, 3.0)),
        Scores((0.3, -0.4), (0.25, 0.25)),
        Scores((1.0, -1.0), (9.0, 0.25)),
        # The narrow class lies within the wide one, and δ_B beyond -m_1.
        Scores((0.1, -0.1), (4.0, 0.01)),
    )


def _equalising(case: Scores) -> Estimate:
    found = bisect(lambda offset: float(np.subtract(*case.errors(offset))), -20.0, 20.0, xtol=1e-13)
    return Estimate(float(found), 1e-11, "δ", "bisection")


def _minimising(case: Scores) -> Estimate:
    """The best of a grid, and then between its neighbours."""
    grid = np.linspace(-6, 6, 1201)
    at = int(np.argmin([case.errors(offset).sum() for offset in grid]))
    found = minimize_scalar(
        lambda offset: float(case.errors(offset).sum()),
        bounds=(grid[at - 1], grid[at + 1]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return Estimate(float(found.x), SEARCH, "δ", "search")


def _by(offset: Offset) -> Callable[[Scores], Estimate]:
    return lambda case: Estimate(offset(np.array(case.mean), np.array(case.variance)), 1e-12, "δ", "closed form")


def _between(case: Scores) -> Estimate:
    """δ_B, or the nearer of -m_1 and -m_2 where it lies beyond."""
    offset = least_error_offset(case.mean, case.variance)
    return Estimate(float(np.clip(offset, -case.mean[0], -case.mean[1])), 1e-12, "δ", "closed form")


def _other_root(case: Scores) -> Estimate:
    """The other solution of (m_1 + δ)²/q_1 + log q_1 = (m_2 + δ)²/q_2 + log q_2, if there are two."""
    m, q = np.array(case.mean), np.array(case.variance)
    a, b, c = (float(np.subtract(*part)) for part in (1 / q, 2 * m / q, m**2 / q + np.log(q)))
    roots = np.roots([a, b, c]) if a else np.array([-c / b])
    best = least_error_offset(m, q)
    return Estimate(float(roots[np.argmax(np.abs(roots - best))].real), 1e-9, "δ", "closed form")


# --- samples of the scores --------------------------------------------------------------------------------------------

# Samples of each class, at as many quantiles; kernels of the width n^(-1/3) smooth them.
QUANTILES = 3_000


def _from_samples(find: Callable[[Floats, Labels], Floats]) -> Callable[[Scores], Estimate]:
    """δ_1 - δ_2 of the offsets that the library finds from scores f = ± z/2."""

    def offset(case: Scores) -> Estimate:
        z = ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)
        scores = np.concatenate([m + np.sqrt(q) * z for m, q in zip(case.mean, case.variance, strict=True)]) / 2
        delta = find(np.column_stack([scores, -scores]), np.repeat([0, 1], QUANTILES))
        return Estimate(float(np.subtract(*delta)), 0.005, "δ", "samples")

    return offset


# --- classifiers that were trained ------------------------------------------------------------------------------------


def _errors_at_equality(case: Regression) -> Estimate:
    """Errors of trained classifiers whose scores the offset of the prediction is added to, (2,)."""
    found, sets = case.predicted(), case.sets
    offset = equal_error_offset(found.mean, found.variance)
    return after(ndtr(-SIGNS * (sets.fresh + offset) / np.sqrt(sets.spread)))


def _equal(case: Regression) -> Estimate:
    """Φ(-(m_1 - m_2)/(√q_1 + √q_2)) for both."""
    found = case.predicted()
    error = float(ndtr(-np.subtract(*found.mean) / np.sqrt(found.variance).sum()))
    return within(np.array([error, error]), LIMIT)


def _errors_at(offset: Offset) -> Callable[[Regression], Estimate]:
    def errors(case: Regression) -> Estimate:
        found = case.predicted()
        return within(ndtr(-SIGNS * (found.mean + offset(found.mean, found.variance)) / np.sqrt(found.variance)), LIMIT)

    return errors


CLAIMS = (
    Claim(
        "spectral.offsets",
        "Added to a score that is N(m_k, q_k) in class k, δ_E = -(m_1√q_2 + m_2√q_1)/(√q_1 + √q_2) makes both errors "
        "equal, Φ(-(m_1 - m_2)/(√q_1 + √q_2)).  The mean error is least at δ_B, which is another one unless q_1 = q_2: "
        "one of the two places where the densities cross.",
        SOURCE,
        (
            Exact(
                "bisection for equal errors",
                _cases,
                _equalising,
                _by(equal_error_offset),
                {"δ_B equalises": _by(least_error_offset)},
                floor=1e-9,
                uses_prior=False,
            ),
            Exact(
                "search for the least mean error",
                _cases,
                _minimising,
                _by(least_error_offset),
                {
                    "δ_E minimises": _by(equal_error_offset),
                    "it is the other root": _other_root,
                    "it lies from -m_1 to -m_2 always": _between,
                },
                resolution=1e-4,
                floor=1e-4,
                uses_prior=False,
            ),
            Exact(
                "offsets for equal errors from samples",
                _cases,
                _from_samples(equal_errors),
                _by(equal_error_offset),
                {"δ_B equalises": _by(least_error_offset)},
                floor=0.01,
                uses_prior=False,
                detail=f"{QUANTILES:,} quantiles a class",
            ),
            Exact(
                "offsets for the least mean error from samples",
                _cases,
                _from_samples(least_error),
                _by(least_error_offset),
                {"δ_E minimises": _by(equal_error_offset)},
                floor=0.01,
                uses_prior=False,
                detail=f"{QUANTILES:,} quantiles a class",
            ),
            Exact(
                "errors of trained classifiers at the predicted δ_E",
                two_classes,
                _errors_at_equality,
                _equal,
                {
                    "the errors are those without an offset": _errors_at(lambda mean, variance: 0.0),
                    "the errors are those at δ_B": _errors_at(least_error_offset),
                },
                resolution=0.05,
                uses_prior=False,
                detail=f"{SETS} training sets drawn and fitted, 6 standard errors",
            ),
        ),
        ("two classes",),
    ),
)
