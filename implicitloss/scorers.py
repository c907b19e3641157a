"""Synthetic long-tail scorers: where f(x) comes from when there is no model.

Each is a frozen value with `scores(prior, rng) -> (L,)`; the same seed gives the same scores.  `rng` is anything
`numpy.random.default_rng` takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from implicitloss.labels import Floats, LabelPrior
from implicitloss.logsum import logsumexp


class Scorer(Protocol):
    """A source of scores."""

    def scores(self, prior: LabelPrior, rng: Any = None) -> Floats:
        """f(x), (L,), for one random x."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """f_y = scale · N(0, 1), independent of the prior: an untrained model."""

    scale: float = 1.0

    def scores(self, prior: LabelPrior, rng: Any = None) -> Floats:
        return self.scale * np.random.default_rng(rng).standard_normal(prior.n_labels)


@dataclass(frozen=True)
class Aligned:
    """f_y = strength · (log π_y - mean log π) + scale · N(0, 1): a model that has learned the prior.

    A negative strength is a model that goes against it.  Labels with π = 0 are treated as having half the least prior.
    """

    strength: float = 1.0
    scale: float = 1.0

    def scores(self, prior: LabelPrior, rng: Any = None) -> Floats:
        seen = prior.probabilities > 0
        level = np.log(np.where(seen, prior.probabilities, prior.probabilities[seen].min() / 2))
        noise = np.random.default_rng(rng).standard_normal(prior.n_labels)
        return self.strength * (level - level.mean()) + self.scale * noise


def against(strength: float = 1.0, scale: float = 1.0) -> Aligned:
    """Scores against the prior: `Aligned(-strength, scale)`."""
    return Aligned(-strength, scale)


@dataclass(frozen=True)
class HeavyTailed:
    """f_y = scale · t_ν, Student's t with ν = `freedom` degrees of freedom: a few scores stand out."""

    freedom: float = 3.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not self.freedom > 0:
            raise ValueError(f"the degrees of freedom must be positive, got {self.freedom}")

    def scores(self, prior: LabelPrior, rng: Any = None) -> Floats:
        return self.scale * np.random.default_rng(rng).standard_t(self.freedom, prior.n_labels)


@dataclass(frozen=True)
class ClassConditional:
    """Scores log P(x given y) for x from class-conditional Gaussians N(c_y, I) in `dimensions`, c_y ~ N(0, s² I).

    The class probabilities η_y(x) ∝ π_y P(x given y) are known: see `draw`.  s = `separation`.
    """

    dimensions: int = 8
    separation: float = 1.0

    def __post_init__(self) -> None:
        if self.dimensions < 1:
            raise ValueError(f"dimensions must be at least 1, got {self.dimensions}")

    def scores(self, prior: LabelPrior, rng: Any = None) -> Floats:
        return self.draw(prior, rng)[0]

    def draw(self, prior: LabelPrior, rng: Any = None) -> tuple[Floats, Floats, int]:
        """(f, η(x), y): scores (L,), class probabilities (L,), and the label that x was drawn from."""
        generator = np.random.default_rng(rng)
        centres = self.separation * generator.standard_normal((prior.n_labels, self.dimensions))
        y = int(generator.choice(prior.n_labels, p=prior.probabilities))
        x = centres[y] + generator.standard_normal(self.dimensions)
        scores = -0.5 * np.sum((x - centres) ** 2, axis=1) - 0.5 * self.dimensions * np.log(2 * np.pi)
        log_eta = prior.log + scores
        return scores, np.exp(log_eta - logsumexp(log_eta)), y


def examples() -> dict[str, Scorer]:
    """One of each scorer by the name the command line uses."""
    return {
        "gaussian": Gaussian(),
        "aligned": Aligned(),
        "against": against(),
        "heavy-tailed": HeavyTailed(),
        "class-conditional": ClassConditional(),
    }
