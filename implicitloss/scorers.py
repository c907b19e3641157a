"""Synthetic scorers, for scores f(x) without a model.

Each is a frozen value with a method `scores(prior, rng)`; the same seed gives the same scores.

One file: the scorers are a few lines each, beside the documentation of their public classes.
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
    """A source of scores f(x), (L,).

    A class of your own needs `scores`; `name` has a default.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import implicitloss as il
    >>> @dataclass(frozen=True)
    ... class Flat(il.scorers.Scorer):
    ...     def scores(self, prior, rng=None):
    ...         return np.zeros(prior.n_labels)
    >>> Flat().name, Flat().scores(il.LabelPrior.zipf(3, 1.0))
    ('flat', array([0., 0., 0.]))
    """

    @property
    def name(self) -> str:
        """How the command line calls the scorer.  Default: its class's name in lower case, e.g. heavy-tailed."""
        return as_word(type(self))

    def scores(self, prior: LabelPrior, rng: Seed = None) -> Floats:
        """The scores f(x) of one random x.

        Parameters
        ----------
        prior : LabelPrior
            The label prior.
        rng : seed or Generator, optional
            Anything that `numpy.random.default_rng` takes.

        Returns
        -------
        ndarray, (L,)
            f(x).
        """
        ...


@dataclass(frozen=True)
class Gaussian(Scorer):
    """Normal scores, f_y = scale · N(0, 1), independent of the prior, as of an untrained model.

    Parameters
    ----------
    scale : float
        A factor, within ±10¹⁰⁰.

    Raises
    ------
    ValueError
        For a scale out of range.

    Examples
    --------
    >>> import implicitloss as il
    >>> f = il.scorers.Gaussian(2.0).scores(il.LabelPrior.zipf(10_000, 1.0), rng=0)
    >>> f.shape, round(float(f.std()), 1)
    ((10000,), 2.0)
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _checked_scale(self.scale, "the scale"))

    def scores(self, prior: LabelPrior, rng: Seed = None) -> Floats:
        return self.scale * _generator(rng).standard_normal(checked_prior(prior).n_labels)


@dataclass(frozen=True)
class Aligned(Scorer):
    """Scores that follow the prior, f_y = strength · (log π_y - mean log π) + scale · N(0, 1).

    A model that has learned the prior has such scores.  A label with π = 0 counts as if it had half the least π.

    Parameters
    ----------
    strength : float
        How much frequent labels gain, within ±10¹⁰⁰; negative: rare labels gain.
    scale : float
        The factor of the noise, within ±10¹⁰⁰.

    Raises
    ------
    ValueError
        For a number out of range.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.scorers.Aligned(1.0, scale=0.0).scores(il.LabelPrior.from_counts([8, 4, 2])).round(3)
    array([ 0.693,  0.   , -0.693])
    """

    strength: float = 1.0
    scale: float = 1.0

    @property
    def name(self) -> str:
        """How the command line calls the scorer: aligned, or against where the strength is negative."""
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
    """Make scores that fall with the prior, f_y = -strength · (log π_y - mean log π) + scale · N(0, 1).

    Parameters
    ----------
    strength : float
        How much rare labels gain, within ±10¹⁰⁰.
    scale : float
        The factor of the noise, within ±10¹⁰⁰.

    Returns
    -------
    Aligned
        The scorer.

    Raises
    ------
    ValueError
        For a number out of range.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.scorers.against(0.5)
    Aligned(strength=-0.5, scale=1.0)
    """
    return Aligned(-_checked_scale(strength, "the strength"), scale)


@dataclass(frozen=True)
class HeavyTailed(Scorer):
    """Heavy-tailed scores, f_y = scale · t_ν by Student's t distribution: a few scores stand out.

    Parameters
    ----------
    freedom : float
        The degrees of freedom ν, at least 0.1.
    scale : float
        A factor, within ±10¹⁰⁰.

    Raises
    ------
    ValueError
        For a number out of range.

    Examples
    --------
    >>> import implicitloss as il
    >>> f = il.scorers.HeavyTailed(1.0).scores(il.LabelPrior.zipf(1000, 1.0), rng=0)
    >>> bool(abs(f).max() > 100 * abs(f).mean())
    True
    """

    freedom: float = 3.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        # With less than 0.1, scores can overflow.
        freedom = checked_number(self.freedom, "the degrees of freedom", "a number >= 0.1", lambda x: x >= 0.1)
        object.__setattr__(self, "freedom", freedom)
        object.__setattr__(self, "scale", _checked_scale(self.scale, "the scale"))

    def scores(self, prior: LabelPrior, rng: Seed = None) -> Floats:
        return self.scale * _generator(rng).standard_t(self.freedom, checked_prior(prior).n_labels)


@dataclass(frozen=True)
class ClassConditional(Scorer):
    """Log-likelihoods as scores, f_y = log P(x given y), where x given y is N(c_y, I) and c_y is N(0, s² I).

    The class probabilities η_y(x) ∝ π_y P(x given y) are known: `draw` gives them too.

    Parameters
    ----------
    dimensions : int
        The number of features of x, at least 1.
    separation : float
        s, within ±10¹⁰⁰.

    Raises
    ------
    ValueError
        For a number out of range; when it is used, for more than 5·10⁸ dimensions times labels.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.zipf(20, 1.0)
    >>> f, eta, y = il.scorers.ClassConditional(separation=2.0).draw(prior, rng=0)
    >>> y, int(eta.argmax()), int((f + prior.log).argmax())
    (18, 18, 18)
    """

    dimensions: int = 8
    separation: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimensions", checked_whole(self.dimensions, "dimensions", 1, MOST_NUMBERS))
        object.__setattr__(self, "separation", _checked_scale(self.separation, "the separation"))

    def scores(self, prior: LabelPrior, rng: Seed = None) -> Floats:
        return self.draw(prior, rng)[0]

    def draw(self, prior: LabelPrior, rng: Seed = None) -> tuple[Floats, Floats, int]:
        """Draw one example x of a label y, and give its scores and class probabilities.

        Parameters
        ----------
        prior : LabelPrior
            The law of y.
        rng : seed or Generator, optional
            Anything that `numpy.random.default_rng` takes.

        Returns
        -------
        scores : ndarray, (L,)
            f_y' = log P(x given y').
        eta : ndarray, (L,)
            η(x).
        positive : int
            y.
        """
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
    """List one of each scorer, the aligned one with the prior and against it.

    Returns
    -------
    tuple of Scorer
        The scorers.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.scorers.Gaussian() in il.scorers.examples()
    True
    """
    return (Gaussian(), Aligned(), against(), HeavyTailed(), ClassConditional())
