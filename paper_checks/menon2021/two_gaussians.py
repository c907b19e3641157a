"""The binary study: x ~ N(±(1, 1), I), one label in twenty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erfc, exp, pi, sqrt

import numpy as np
from scipy.optimize import brentq

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.margins import LogitAdjusted, Margin, Softmax
from implicitloss.optima.population import population_optimum
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.weightings import ForMargin

RARE = 0.05
PRIOR = LabelPrior.from_probabilities([1 - RARE, RARE])
# Along (1, 1)/√2 the means are ±√2; across it the labels do not differ.
MEAN = sqrt(2)


@dataclass(frozen=True)
class _Study:
    """The only case."""

    def __str__(self) -> str:
        return "x ~ N(±(1, 1), I), P(rare) = .05"


def _study(setting: Setting) -> list[_Study]:
    return [_Study()]


def _density(at: float, mean: float) -> float:
    return exp(-((at - mean) ** 2) / 2) / sqrt(2 * pi)


def _least(study: _Study) -> Estimate:
    """½ ∫ min(p(x given frequent), p(x given rare)) dx along the line: no rule has a lower balanced error.

    The trapezoidal rule with 0, where the least changes sides, among its points; its error falls by four with half the
    step, and is extrapolated (Richardson).  What lies beyond ±14 is below e^-79.
    """

    def total(half: int) -> float:
        at = np.linspace(-14, 14, 2 * half + 1)
        values = [min(_density(x, MEAN), _density(x, -MEAN)) for x in at]
        return float(np.sum(values)) * (at[1] - at[0]) / 2  # the ends add nothing

    coarse, fine = total(4_000), total(8_000)
    return Estimate(fine + (fine - coarse) / 3, 1e-11, "balanced error", "a sum over a grid")


def _normal_tail(at: float) -> float:
    return erfc(at / sqrt(2)) / 2


def _stated(study: _Study) -> float:
    return _normal_tail(MEAN)


def _threshold(margin: Margin) -> float:
    """Where on the line the loss's best scores of the two labels are equal: η at x is logistic."""

    def gap(at: float) -> float:
        odds = (1 - RARE) / RARE * exp(2 * MEAN * at)
        eta = np.array([odds, 1.0]) / (1 + odds)
        scheme = Scheme(Uniform(), ForMargin(margin), m=1, hits="exclude")
        f = population_optimum(scheme, SoftmaxCrossEntropy(), eta, PRIOR, of="implicit")
        return float(f[0] - f[1])

    return float(brentq(gap, -3, 3, xtol=1e-13))


def _error_of(margin: Margin) -> Callable[[_Study], Estimate]:
    """The balanced error of the rule that the loss teaches where scores are free: frequent above its threshold."""

    def error(study: _Study) -> Estimate:
        at = _threshold(margin)
        return Estimate((_normal_tail(MEAN - at) + _normal_tail(MEAN + at)) / 2, 1e-7, "balanced error", "closed form")

    return error


CLAIMS = (
    Claim(
        "menon2021.two-gaussians",
        "Of two labels with x ~ N(±(1, 1), I) the least balanced error is Φ(-√2) = 7.86 %, however rare one is; logit "
        "adjustment teaches the rule that has it, and softmax, with one label in twenty, another.",
        "Menon et al. 2021, section 6.1",
        (
            Exact(
                "sum over a grid",
                _study,
                _least,
                _stated,
                {
                    "it is Φ(-1), one mean's distance along an axis": lambda study: _normal_tail(1.0),
                    "it is Φ(-2)": lambda study: _normal_tail(2.0),
                },
                uses_prior=False,
            ),
            Exact(
                "thresholds of optima",
                _study,
                _error_of(LogitAdjusted()),
                _stated,
                {
                    "softmax teaches it too": _error_of(Softmax()),
                    "τ = 2 teaches it too": _error_of(LogitAdjusted(2.0)),
                },
                resolution=1e-5,
                uses_prior=False,
            ),
        ),
        ("scores free at each x",),
    ),
)
