"""What distinct draws, sets and coins teach with the weights Q_y/Q_y', Q = P(y' ∈ N)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.draws import DrawsName
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.scheme import Hits
from implicitloss.weightings import Relative
from implicitloss.witness.exhaust import exhaust
from implicitloss.witness.integrate import integrate
from paper_checks.design.listing import ETAS, SEEN, centred, ratios
from paper_checks.draws.listing import LAWS, LISTED, Runs, listed

BY_Q = "with Q_y/Q_y'"


@dataclass(frozen=True)
class Taught:
    """m negatives from a law of four labels, beside positives from η."""

    m: int
    law: int
    at: int

    def __str__(self) -> str:
        return f"m={self.m}, q = {LAWS[self.law]}, η = {ETAS[self.at]}"

    @property
    def eta(self) -> Floats:
        return np.array(ETAS[self.at])

    @property
    def q(self) -> Floats:
        return np.array(LAWS[self.law])


def _cases(setting: Setting) -> list[Taught]:
    return [Taught(m, law, at) for m, law, at in itertools.product((1, 2, 3), (0, 1), (0, 1))]


def _optimum(design: DrawsName, hits: Hits = "mask", unit: bool = False) -> Callable[[Taught], Estimate]:
    def optimum(case: Taught) -> Estimate:
        q = Runs(design, case.m, tuple(case.q.tolist())).inclusion
        weights = np.ones((q.size, q.size)) if unit else ratios(1 / q)
        return centred(listed(design, case.m, case.eta, case.q, weights, hits).optimum)

    return optimum


def _gradient(case: Taught, witness: Callable[..., Estimate], scores: Floats) -> Estimate:
    runs = Runs("bernoulli", case.m, tuple(case.q.tolist()))
    parts = [
        witness(runs.scheme(Relative()), SoftmaxCrossEntropy(), Problem(scores, runs.problem().prior, y), "gradient")
        for y in range(case.eta.size)
    ]
    value, error = (case.eta @ np.array([getattr(part, name) for part in parts]) for name in ("value", "error"))
    return Estimate(value, error, "gradient", "exact")


def _nothing(case: Taught) -> Floats:
    return np.zeros(case.eta.size)


def _of_uniform(case: Taught) -> Estimate:
    return _gradient(case, exhaust, np.zeros(case.eta.size))


CLAIMS = (
    Claim(
        "draws.optima.coins",
        "If each label is in N by a coin of its own, weights Q_y/Q_y' with hits masked teach f* = log η exactly, "
        "however few come; weights of 1 teach log(η/Q).",
        "derived: given C = N ∪ {y}, P(C | y) is in proportion to 1/Q_y, and the loss is the cross-entropy of P(y | C)",
        (
            Exact(
                f"{LISTED}, Newton's method",
                _cases,
                _optimum("bernoulli"),
                lambda case: centred(np.log(case.eta)),
                {
                    "hits may be kept": _optimum("bernoulli", "keep"),
                    "m distinct draws teach it too": _optimum("distinct"),
                    "the set of m draws teaches it too": _optimum("set"),
                    "weights of 1 teach it too": _optimum("bernoulli", unit=True),
                },
                resolution=SEEN,
                floor=SEEN,
                uses_prior=False,
            ),
            Exact(
                f"{LISTED}, Newton's method, weights of 1",
                _cases,
                _optimum("bernoulli", unit=True),
                lambda case: centred(np.log(case.eta) - np.log(1 - (1 - case.q) ** case.m)),
                {"weights of 1 teach log(η/q)": lambda case: centred(np.log(case.eta) - np.log(case.q))},
                resolution=SEEN,
                floor=SEEN,
                uses_prior=False,
            ),
            Exact(
                "gradient at log η, integrated over products",
                _cases,
                lambda case: _gradient(case, integrate, np.log(case.eta)),
                _nothing,
                {"it is that of equal scores": _of_uniform},
                resolution=SEEN,
                floor=SEEN,
                uses_prior=False,
            ),
        ),
        ("four labels, η = (.4, .1, .3, .2) and (.1, .2, .3, .4)",),
    ),
    Claim(
        "draws.optima.distinct",
        "Distinct draws and sets do not teach log η, even by the true Q and with hits masked.",
        "derived",
        (
            Exact(
                f"{LISTED}, Newton's method: how far off the optima are",
                lambda setting: [Taught(m, 0, 0) for m in (2,)],
                lambda case: _off(case, "distinct"),
                lambda case: _off_by_library(case, "distinct"),
                {"they are not off at all": lambda case: 0.0},
                resolution=1e-4,
                floor=1e-7,
                uses_prior=False,
            ),
            Exact(
                f"{LISTED}, Newton's method: how far off those of sets are",
                lambda setting: [Taught(m, 0, 0) for m in (2, 3)],
                lambda case: _off(case, "set"),
                lambda case: _off_by_library(case, "set"),
                {"they are not off at all": lambda case: 0.0},
                resolution=1e-4,
                floor=1e-7,
                uses_prior=False,
            ),
        ),
        ("q = (.55, .25, .15, .05), η = (.4, .1, .3, .2)",),
    ),
)


def _off(case: Taught, design: DrawsName) -> Estimate:
    """The largest entry of f* - log η, both centred."""
    target = np.log(case.eta) - np.log(case.eta).mean()
    return Estimate(float(np.abs(np.asarray(_optimum(design)(case).value) - target).max()), 1e-9, "distance", "listing")


def _off_by_library(case: Taught, design: DrawsName) -> Estimate:
    """The same, where SciPy finds a root of the gradient that the library integrates."""
    from scipy.optimize import root

    runs = Runs(design, case.m, tuple(case.q.tolist()))
    scheme, prior = runs.scheme(Relative()), runs.problem().prior

    def gradient(g: Floats) -> Floats:
        f = np.append(0.0, g)
        parts = [integrate(scheme, SoftmaxCrossEntropy(), Problem(f, prior, y), "gradient").value for y in range(4)]
        return np.asarray(case.eta @ np.array(parts))[1:]

    start = np.log(case.eta / case.eta[0])[1:]
    f = np.append(0.0, root(gradient, start, tol=1e-9).x)
    target = np.log(case.eta) - np.log(case.eta).mean()
    return Estimate(float(np.abs(f - f.mean() - target).max()), 1e-6, "distance", "integrate")
