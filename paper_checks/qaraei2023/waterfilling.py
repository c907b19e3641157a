"""What the method teaches: labels near rank k are tied at one score; replaced positives have a convex loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.hard import HardNegatives, Positives
from implicitloss.kernels.descent import descend
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import Decoupled, logistic
from implicitloss.optima.waterfilling import Waterfilling, waterfilling
from implicitloss.problem import Problem
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.theory.implicit import implicit_gradient, implicit_loss
from implicitloss.weightings import Unit

LOGISTIC = Decoupled(logistic)
SOURCE = "derived here, of Qaraei and Babbar 2023, section 3"
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


# --- replaced positives ----------------------------------------------------------------------------------------------

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
def _largest_violation(positives: Positives) -> float:
    """max ℓ(f) + <ℓ'(f), g - f> - ℓ(g) over 400 random pairs of scores of five labels, T frozen in the gradient."""
    rng, prior, scheme = np.random.default_rng([2023, 16]), LabelPrior.zipf(FEW, 0.0), _replaced_scheme(positives)
    worst = -np.inf
    for _ in range(400):
        y = int(rng.integers(FEW))
        f, g = (Problem(rng.normal(0, 1.5, FEW), prior, y) for _ in range(2))
        here, there = (float(implicit_loss(scheme, LOGISTIC, at)) for at in (f, g))
        slope = np.asarray(implicit_gradient(scheme, LOGISTIC, f))
        worst = max(worst, here + float(slope @ (g.scores - f.scores)) - there)
    return float(worst)


def _violation(positives: Positives) -> Callable[[str], Estimate]:
    return lambda case: Estimate(_largest_violation(positives), 1e-12, "largest violation", "400 random pairs")


def _nothing(case: str) -> Estimate:
    return Estimate(0.0, 1e-12, "violation", "claimed")


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
        "Where the positive is dropped from T and not replaced, the loss jumps as it enters the k best, and the "
        "gradient with T frozen is a subgradient of no convex loss.",
        SOURCE,
        (
            Exact(
                "ℓ(g) >= ℓ(f) + <ℓ'(f), g - f>",
                _one,
                _violation("drop"),
                lambda case: Estimate(0.1, 0.0, "violation", "claimed"),
                {"it holds as it does where the positive is replaced": ("=", _violation("replace"))},
                relation=">",
                uses_prior=False,
            ),
        ),
        ("logistic loss, T fresh",),
    ),
)
