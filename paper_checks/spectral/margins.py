"""Margins of logistic regression on two classes: their ratio is an offset, and their product a margin of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy as sp

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact, Identity
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.margins import LogitAdjusted, Margin, Offsets
from implicitloss.samplers import Uniform, WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.spectral import Logistic, predict
from implicitloss.theory.implicit import implicit_margins
from implicitloss.weightings import Constant, ForMargin, Importance, Relative, Tail
from paper_checks.rawat2021.table2 import ROWS, scheme
from paper_checks.spectral.populations import SIGNS, Population, logistic_fit

Pair = tuple[float, float]


@dataclass(frozen=True)
class Training:
    """Logistic regression on n_1 and n_2 samples in three dimensions, far from Gaussian, with p_12 and p_21."""

    counts: tuple[int, int]
    margins: Pair
    lam: float = 0.5

    def __str__(self) -> str:
        return f"n = {self.counts[0]} and {self.counts[1]}, p = {self.margins[0]:.4g} and {self.margins[1]:.4g}"

    @property
    def offset(self) -> float:
        """δ = ½ log(p_12/p_21)."""
        return float(np.log(self.margins[0] / self.margins[1]) / 2)


@lru_cache
def _scores(counts: tuple[int, int], lam: float, margins: Pair) -> Floats:
    """w·x + b at five fresh x, for the minimum with these margins."""
    rng, labels = np.random.default_rng([2021, *counts]), np.repeat([0, 1], counts)
    centres = rng.standard_normal((2, 3))
    X = centres[labels] + rng.standard_t(3, (labels.size, 3))
    w, b = logistic_fit(X, SIGNS[labels], np.log(margins)[labels], lam)
    return rng.standard_t(3, (5, 3)) @ w + b


def _trained(case: Training) -> Estimate:
    value = _scores(case.counts, case.lam, case.margins)
    return Estimate(value, np.full(5, 1e-8), "scores", "Newton's method")


def _shifted(offset: Callable[[Training], float], *, plain: bool = False) -> Callable[[Training], Estimate]:
    """Scores of the model with both margins √(p_12 p_21), or 1, and an offset."""

    def scores(case: Training) -> Estimate:
        common = 1.0 if plain else float(np.sqrt(case.margins[0] * case.margins[1]))
        value = _scores(case.counts, case.lam, (common, common)) + offset(case)
        return Estimate(value, np.full(5, 1e-8), "scores", "Newton's method, with an offset")

    return scores


def _pairs(setting: Setting) -> list[Training]:
    return [Training((23, 14), p) for p in ((4.0, 0.5), (1 / 3, 3.0), (2.0, 2.0), (0.1, 0.7))]


# --- an example's loss, in symbols ------------------------------------------------------------------------------------

first, second = sp.symbols("p_12 p_21", positive=True)
z = sp.Symbol("z", real=True)


def _losses(delta: sp.Expr, common: sp.Expr) -> Callable[[], Iterator[tuple[str, sp.Expr, sp.Expr]]]:
    """What an example of each class pays at z + δ with its own margin, and at z with the common one."""

    def pairs() -> Iterator[tuple[str, sp.Expr, sp.Expr]]:
        for name, margin, sign in (("class 1", first, 1), ("class 2", second, -1)):
            yield name, sp.log(1 + margin * sp.exp(-sign * (z + delta))), sp.log(1 + common * sp.exp(-sign * z))

    return pairs


# --- the library's prediction -----------------------------------------------------------------------------------------

SMALL = Population((0.0, 0.5), (40, 25), (30.0, 30.0), d=30)


@dataclass(frozen=True)
class Given:
    """Margins as the library is given them, and what p_12 and p_21 then are."""

    margins: Pair | Margin
    pair: Pair

    def __str__(self) -> str:
        return f"{SMALL}, margins {self.margins}"

    def moments(self, factor: float, *, plain: bool = False) -> Estimate:
        """Moments with both margins √(p_12 p_21), or 1, and `factor` δ added to the means."""
        common = 1.0 if plain else float(np.sqrt(self.pair[0] * self.pair[1]))
        offset = np.log(self.pair[0] / self.pair[1]) / 2
        return _moments((common, common), factor * float(offset))


def _given(setting: Setting) -> tuple[Given, ...]:
    first, second = SMALL.counts
    return (
        Given((4.0, 0.5), (4.0, 0.5)),
        Given(LogitAdjusted(), (second / first, first / second)),
    )


@lru_cache
def _moments(margins: Pair | Margin, offset: float = 0.0) -> Estimate:
    """m_1 + δ, m_2 + δ, q_1, q_2."""
    found = predict(SMALL.mixture, Logistic(1.0, margins))
    value = np.hstack([found.mean + offset, found.variance])
    return Estimate(value, 1e-8 * np.abs(value), "moments", "predicted")


# --- schemes ----------------------------------------------------------------------------------------------------------

BALANCED, SKEWED = (20, 20), (30, 10)
TAU = {
    (Uniform, Constant): 0.0,
    (Uniform, Importance): 0.0,
    (Uniform, Relative): 0.0,
    (Uniform, Tail): 1.0,
    (WithinBatch, Constant): 0.5,
    (WithinBatch, Importance): 0.0,
    (WithinBatch, Relative): -0.5,
    (WithinBatch, Tail): 1.0,
}


# Proposition 4 makes a margin that shifts by δ_1 - δ_2 at any prior.
OFFSETS = (0.7, -0.2)
MADE = Scheme(WithinBatch(), ForMargin(Offsets(np.array(OFFSETS))), m=8, hits="mask")


@dataclass(frozen=True)
class Sampled:
    """Training with the margins that a scheme has at the label prior of the counts."""

    scheme: Scheme
    counts: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.scheme}, n = {self.counts[0]} and {self.counts[1]}"

    @property
    def training(self) -> Training:
        p = implicit_margins(self.scheme, LabelPrior.from_counts(self.counts))
        return Training(self.counts, (float(p[0, 1]), float(p[1, 0])))

    @property
    def law(self) -> float:
        """τ log(π_2/π_1), or what the offsets of its margin differ by."""
        if self.scheme is MADE:
            return float(np.subtract(*OFFSETS))
        kinds = type(self.scheme.sampler), type(self.scheme.weighting)
        return float(TAU[kinds] * np.log(self.counts[1] / self.counts[0]))


def _sampled(setting: Setting) -> list[Sampled]:
    return [Sampled(made, counts) for made in (*map(scheme, ROWS), MADE) for counts in (BALANCED, SKEWED)]


def _moved(law: Callable[[Sampled], float]) -> Callable[[Sampled], Estimate]:
    return lambda case: _shifted(lambda training: law(case))(case.training)


def _everywhere(case: Sampled) -> float:
    """Within-batch draws with constant weights shift at a balanced prior what they shift at 3 : 1."""
    if (type(case.scheme.sampler), type(case.scheme.weighting)) == (WithinBatch, Constant):
        return Sampled(case.scheme, SKEWED).law
    return case.law


WITHOUT_HALF, BESIDE_PLAIN = "the offset is log(p_12/p_21), without ½", "it is beside the model without margins"

CLAIMS = (
    Claim(
        "spectral.margins.ratio",
        "Logistic regression with margins p_12 and p_21, intercept free, is the model with both margins √(p_12 p_21), "
        "its scores shifted by δ = ½ log(p_12/p_21), on any data.",
        "derived",
        (
            Identity(
                _losses(sp.log(first / second) / 2, sp.sqrt(first * second)),
                {
                    WITHOUT_HALF: _losses(sp.log(first / second), sp.sqrt(first * second)),
                    BESIDE_PLAIN: _losses(sp.log(first / second) / 2, sp.Integer(1)),
                },
                detail="what each example pays",
                whole=False,
            ),
            Exact(
                "scores by Newton's method",
                _pairs,
                _trained,
                _shifted(lambda case: case.offset),
                {
                    WITHOUT_HALF: _shifted(lambda case: 2 * case.offset),
                    BESIDE_PLAIN: _shifted(lambda case: case.offset, plain=True),
                },
                floor=1e-7,
                uses_prior=False,
            ),
            Exact(
                "predicted means and variances",
                _given,
                lambda case: _moments(case.margins),
                lambda case: case.moments(1.0),
                {
                    WITHOUT_HALF: lambda case: case.moments(2.0),
                    BESIDE_PLAIN: lambda case: case.moments(1.0, plain=True),
                },
                resolution=1e-7,
                uses_prior=False,
            ),
        ),
        ("two classes", "the intercept is free and not penalised"),
    ),
    Claim(
        "spectral.margins.table2",
        "Beside the model with both margins √(p_12 p_21), a scheme of Table 2 shifts scores by τ log(π_2/π_1): τ = 1 "
        "with tail weights, ½ and -½ within the batch with constant and relative ones, 0 else.  At a balanced prior "
        "none shifts the boundary, whatever the features are; the margin e^(δ_y - δ_y') of Proposition 4 does, by "
        "δ_1 - δ_2.",
        "derived; the schemes are those of Rawat et al. 2021, Table 2 and Proposition 4",
        (
            Exact(
                "scores by Newton's method",
                _sampled,
                lambda case: _trained(case.training),
                _moved(lambda case: case.law),
                {
                    "within-batch draws with constant weights shift it at a balanced prior too": _moved(_everywhere),
                    "none shifts it at 3 : 1 either": _moved(lambda case: 0.0),
                    "nor does the margin of Proposition 4 at a balanced prior": _moved(
                        lambda case: 0.0 if case.counts == BALANCED else case.law
                    ),
                    "tail weights and the others have half of their τ": _moved(lambda case: case.law / 2),
                },
                floor=1e-7,
                uses_prior=False,
            ),
        ),
        ("two classes", "the intercept is free and not penalised"),
    ),
)
