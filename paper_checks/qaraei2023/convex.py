"""Positives among the mined labels: where they are replaced the loss is convex, where they are dropped none is."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.hard import HardNegatives, Positives
from implicitloss.labels import Floats, LabelPrior
from implicitloss.optima.waterfilling import waterfilling
from implicitloss.problem import Problem
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.theory.implicit import implicit_gradient, implicit_loss
from implicitloss.weightings import Unit
from paper_checks.qaraei2023.waterfilling import LOGISTIC, SOURCE

FEW, FEW_ETA = 5, np.array([0.3, 0.25, 0.2, 0.15, 0.1])


def _replaced_scheme(positives: Positives) -> Scheme:
    return Scheme(Uniform(), Unit(), m=1, hits="mask", hard=HardNegatives(2, positives=positives))


def _whole(f: Floats) -> float:
    """Σ_y η_y (φ(f_y) + Σ_{j≠y} ϕ(f_j)/L + the two largest ϕ beside y)."""
    pays, total = np.logaddexp(0, f), 0.0
    for y in range(FEW):
        others = np.delete(pays, y)
        total += FEW_ETA[y] * (np.logaddexp(0, -f[y]) + others.sum() / FEW + np.sort(others)[-2:].sum())
    return float(total)


def _one(setting: Setting) -> tuple[str]:
    return ("five labels",)


@lru_cache
def _least() -> float:
    """The least of the convex loss: the sum of the k largest is min_t k t + Σ (ϕ - t)⁺, and a smooth program."""

    def value(x: Floats) -> float:
        f, t, s = x[:FEW], x[FEW : 2 * FEW], x[2 * FEW :].reshape(FEW, FEW)
        pays = np.logaddexp(0, f)
        return float(FEW_ETA @ (np.logaddexp(0, -f) + (pays.sum() - pays) / FEW + 2 * t + s.sum(axis=1)))

    def slack(x: Floats) -> Floats:
        over = x[2 * FEW :].reshape(FEW, FEW) - np.logaddexp(0, x[:FEW]) + x[FEW : 2 * FEW, None]
        return np.asarray(over[~np.eye(FEW, dtype=bool)])

    start = np.concatenate([np.zeros(FEW), np.full(FEW, 0.7), np.zeros(FEW * FEW)])
    found = minimize(
        value, start, method="SLSQP", bounds=[(-9, 9)] * (2 * FEW) + [(0, 9)] * (FEW * FEW),
        constraints={"type": "ineq", "fun": slack}, options={"maxiter": 500, "ftol": 1e-13},
    )  # fmt: skip
    return float(found.fun)


def _least_loss(case: str) -> Estimate:
    return Estimate(_least(), 1e-7, "least loss", "sequential quadratic program")


def _loss_at(positives: Positives) -> Callable[[str], Estimate]:
    def loss(case: str) -> Estimate:
        prior = LabelPrior.zipf(FEW, 0.0)
        return Estimate(
            _whole(waterfilling(_replaced_scheme(positives), LOGISTIC, FEW_ETA, prior).scores), 1e-7, "loss", "exact"
        )

    return loss


@lru_cache
def _pairs(positives: Positives) -> tuple[tuple[float, float], ...]:
    """400 random pairs of near scores f, g of five labels: ℓ(f) + <ℓ'(f), g - f> - ℓ(g), and <ℓ'(g) - ℓ'(f), g - f>."""
    rng, prior, scheme = np.random.default_rng([2023, 16]), LabelPrior.zipf(FEW, 0.0), _replaced_scheme(positives)
    found = []
    for _ in range(400):
        y = int(rng.integers(FEW))
        scores = rng.normal(0, 1.5, FEW)
        f, g = (Problem(at, prior, y) for at in (scores, scores + rng.normal(0, 0.5, FEW)))
        here, there = (float(implicit_loss(scheme, LOGISTIC, at)) for at in (f, g))
        slope, other = (np.asarray(implicit_gradient(scheme, LOGISTIC, at)) for at in (f, g))
        step = g.scores - f.scores
        found.append((here + float(slope @ step) - there, float((other - slope) @ step)))
    return tuple(found)


def _violation(positives: Positives) -> Callable[[str], Estimate]:
    return lambda case: Estimate(max(v for v, _ in _pairs(positives)), 1e-12, "largest violation", "400 random pairs")


def _monotone(positives: Positives) -> Callable[[str], Estimate]:
    """The least <ℓ'(g) - ℓ'(f), g - f>, which is not below 0 for subgradients of a convex loss."""
    return lambda case: Estimate(min(m for _, m in _pairs(positives)), 1e-12, "least product", "400 random pairs")


def _nothing(case: str) -> Estimate:
    return Estimate(0.0, 1e-12, "violation", "claimed")


CLAIMS = (
    Claim(
        "qaraei2023.convex.replaced",
        "Where the positive's place in T goes to the next best label, the gradient with T frozen is a subgradient of a "
        "convex loss, whose minimum is the waterfilling.",
        SOURCE,
        (
            Exact(
                "ℓ(g) >= ℓ(f) + <ℓ'(f), g - f>",
                _one,
                _violation("replace"),
                _nothing,
                {"it is violated by as much as where it is dropped": ("=", _violation("drop"))},
                relation="<=",
                uses_prior=False,
            ),
            Exact(
                "its least value",
                _one,
                _least_loss,
                _loss_at("replace"),
                {"its minimum is the rest of scores where positives are dropped": _loss_at("drop")},
                resolution=1e-5,
                uses_prior=False,
                detail="as a smooth program with 35 variables",
            ),
        ),
        ("logistic loss, T fresh",),
    ),
    Claim(
        "qaraei2023.convex.dropped",
        "Where the positive is dropped from T and not replaced, the gradient with T frozen is not monotone, and so a "
        "subgradient of no convex loss.",
        SOURCE,
        (
            Exact(
                "<ℓ'(g) - ℓ'(f), g - f> of some f, g",
                _one,
                _monotone("drop"),
                lambda case: Estimate(-0.01, 0.0, "product", "claimed"),
                {"it is as monotone as where the positive is replaced": ("=", _monotone("replace"))},
                relation="<",
                uses_prior=False,
            ),
        ),
        ("logistic loss, T fresh",),
    ),
)
