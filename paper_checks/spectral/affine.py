"""Affine scores of Gaussian features: how often a class is mistaken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Average, Averages
from implicitloss.claims.claim import Claim
from implicitloss.labels import Floats
from implicitloss.spectral import Affine, GaussianMixture, Prediction, predict

# Three classes in three dimensions, of which the first two have a rule of their own.
MEANS = np.array([[0.8, 0.1, -0.2], [-0.5, 0.4, 0.3], [0.1, -0.9, 0.2]])
ROOTS = np.array(
    [
        [[1.3, 0.0, 0.0], [0.4, 0.6, 0.0], [-0.2, 0.3, 0.5]],
        [[0.4, 0.0, 0.0], [0.2, 0.9, 0.0], [0.1, -0.5, 0.7]],
        [[0.7, 0.0, 0.0], [-0.6, 0.5, 0.0], [0.3, 0.2, 0.9]],
    ]
)
W, B = np.array([[1.4, 0.2, -0.5], [-0.6, 0.8, 0.4], [0.0, -1.2, 0.3]]), np.array([0.2, 0.0, -0.1])
RULES: dict[int, tuple[Floats, Floats]] = {2: (W[0], np.array(0.15)), 3: (W, B)}


@dataclass(frozen=True)
class Rule:
    """A rule for `n_classes` classes, on fresh samples of the class `k`."""

    n_classes: int
    k: int

    def __str__(self) -> str:
        return f"{self.n_classes} classes, samples of class {self.k + 1}"

    def mistaken(self, rng: np.random.Generator, n: int) -> Floats:
        """Whether each of n fresh samples is taken for another class, (n,)."""
        w, b = RULES[self.n_classes]
        z = (MEANS[self.k] + rng.standard_normal((n, 3)) @ ROOTS[self.k].T) @ np.transpose(w) + b
        taken = np.where(z > 0, 0, 1) if self.n_classes == 2 else z.argmax(axis=1)
        return np.asarray(taken != self.k, dtype=np.float64)


CASES = tuple(Rule(n, k) for n in RULES for k in range(n))


def _predicted(n: int, order: Sequence[int] = (0, 1, 2)) -> Prediction:
    """What the library says, where classes have the covariances of those in `order`."""
    covariances = (ROOTS @ ROOTS.transpose(0, 2, 1))[list(order)[:n]]
    return predict(GaussianMixture(MEANS[:n], covariances, np.ones(n)), Affine(*RULES[n]))


def _errors(order: Sequence[int] = (0, 1, 2)) -> Callable[[Setting], list[float]]:
    return lambda setting: [float(_predicted(rule.n_classes, order).error[rule.k]) for rule in CASES]


def _cases(setting: Setting) -> list[tuple[Average, float]]:
    averages = [Average(str(rule), rule.mistaken) for rule in CASES]
    return list(zip(averages, _errors()(setting), strict=True))


def _lost_root(setting: Setting) -> list[float]:
    """Φ(-s m/q) for two classes."""
    two = _predicted(2)
    wrong = ndtr(np.array([-1, 1]) * two.mean / two.variance)
    return [*wrong.tolist(), *_errors()(setting)[2:]]


CLAIMS = (
    Claim(
        "spectral.affine",
        "Where features of each class are Gaussian and the score is z = w·x + b, classes are mistaken with probability "
        "Φ(-s_k m_k/√q_k), m_k = w·μ_k + b, q_k = wᵀΣ_k w, s = (1, -1).  With K scores a class is recognised "
        "with the probability of an orthant.",
        "derived",
        (
            Averages(
                _cases,
                {"Σ_1 and Σ_2 are swapped": _errors((1, 0, 2)), "a root is lost, Φ(-s_k m_k/q_k)": _lost_root},
                resolution=0.01,
                uses_prior=False,
            ),
        ),
        ("x | y = k ~ N(μ_k, Σ_k)",),
    ),
)
