"""Synthetic long-tail scorers: where f(x) comes from when there is no model.

Each is a frozen value with `scores(prior, rng) -> (L,)`; the same seed gives the same scores.  `rng` is anything
`numpy.random.default_rng` takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from implicitloss.arguments import as_word, checked_number, checked_whole
from implicitloss.labels import Floats, LabelPrior, checked_prior
from implicitloss.numerics.logsum import logsumexp
from implicitloss.numerics.seeds import Seed, checked_seed

__all__ = [
    "Aligned",
    "ClassConditional",
    "Gaussian",
    "HeavyTailed",
    "Scorer",
    "against",
    "examples",
]

# Far beyond the scores that a `Problem` takes, and far from overflowing.
LARGEST_SCALE = 1e100
MOST_NUMBERS = 500_000_000


def _checked_scale(value: float, what: str) -> float:
    return checked_number(value, what, "a number between -1e100 and 1e100", lambda x: abs(x) <= LARGEST_SCALE)


def _generator(rng: Seed) -> np.random.Generator:
    return np.random.default_rng(checked_seed(rng))


class Scorer(Protocol):
    """A source of scores."""

    @property
    def name(self) -> str:
        """How the command line calls it.  Default: the name of its class, as in heavy-tailed."""
        return as_word(type(self))

    def scores(self, prior: LabelPrior, rng: Seed = None) -> Floats:
        """f(x), (L,), for one random x."""
        ...


@dataclass(frozen=True)
class Gaussian(Scorer):
    """f_y = scale · N(0, 1), independent of the prior: an untrained model."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _checked_scale(self.scale, "the scale"))

    def scores(self, prior: LabelPrior, rng: Seed = None) -> Floats:
        return self.scale * _generator(rng).standard_normal(checked_prior(prior).n_labels)


@dataclass(frozen=True)
class Aligned(Scorer):
    """f_y = strength · (log π_y - mean log π) + scale · N(0, 1): a model that has learned the prior.

    A negative strength is a model that goes against it.  Labels with π = 0 are treated as having half the least prior.
    """

    strength: float = 1.0
    scale: float = 1.0

    @property
    def name(self) -> str:
        """aligned, or against where the strength is negative."""
        return "against" if self.strength < 0 else "aligned"

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", _checked_scale(self.strength, "the strength"))
        object.__setattr__(self, "scale", _checked_scale(self.scale, "the scale"))

    def scores(self, prior: LabelPrior, rng: Seed = None) -> Floats:
        checked_prior(prior)
        seen = prior.probabilities > 0
        level = np.log(np.where(seen, prior.probabilities, prior.probabilities[seen].min() / 2))
        noise = _generator(rng).standard_normal(prior.n_labels)
        return self.strength * (level - level.mean()) + self.scale * noise


def against(strength: float = 1.0, scale: float = 1.0) -> Aligned:
    """Scores against the prior: `Aligned(-strength, scale)`."""
    return Aligned(-_checked_scale(strength, "the strength"), scale)


@dataclass(frozen=True)
class HeavyTailed(Scorer):
    """f_y = scale · t_ν, Student's t with ν = `freedom` >= 0.1 degrees of freedom: a few scores stand out."""

    freedom: float = 3.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        # With fewer, scores leave the range of floats.
        freedom = checked_number(self.freedom, "the degrees of freedom", "a number >= 0.1", lambda x: x >= 0.1)
        object.__setattr__(self, "freedom", freedom)
        object.__setattr__(self, "scale", _checked_scale(self.scale, "the scale"))

    def scores(self, prior: LabelPrior, rng: Seed = None) -> Floats:
        return self.scale * _generator(rng).standard_t(self.freedom, checked_prior(prior).n_labels)


@dataclass(frozen=True)
class ClassConditional(Scorer):
    """Scores log P(x given y) for x from class-conditional Gaussians N(c_y, I) in `dimensions`, c_y ~ N(0, s² I).

    The class probabilities η_y(x) ∝ π_y P(x given y) are known: see `draw`.  s = `separation`.
    """

    dimensions: int = 8
    separation: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimensions", checked_whole(self.dimensions, "dimensions", 1, MOST_NUMBERS))
        object.__setattr__(self, "separation", _checked_scale(self.separation, "the separation"))

    def scores(self, prior: LabelPrior, rng: Seed = None) -> Floats:
        return self.draw(prior, rng)[0]

    def draw(self, prior: LabelPrior, rng: Seed = None) -> tuple[Floats, Floats, int]:
        """(f, η(x), y): scores (L,), class probabilities (L,), and the label that x was drawn from."""
        if checked_prior(prior).n_labels * self.dimensions > MOST_NUMBERS:
            raise ValueError(
                f"dimensions times labels must be at most {MOST_NUMBERS:,}, got {self.dimensions:,} times "
                f"{prior.n_labels:,}"
            )
        generator = _generator(rng)
        centres = self.separation * generator.standard_normal((prior.n_labels, self.dimensions))
        y = int(generator.choice(prior.n_labels, p=prior.probabilities))
        x = centres[y] + generator.standard_normal(self.dimensions)
        scores = -0.5 * np.sum((x - centres) ** 2, axis=1) - 0.5 * self.dimensions * np.log(2 * np.pi)
        log_eta = prior.log + scores
        return scores, np.exp(log_eta - logsumexp(log_eta)), y


def examples() -> tuple[Scorer, ...]:
    """One of each scorer; the aligned one with the prior and against it."""
    return (Gaussian(), Aligned(), against(), HeavyTailed(), ClassConditional())
