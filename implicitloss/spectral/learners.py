"""The linear learners whose errors are predicted, as values.

One file: each is a few lines beside the documentation of its objective.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from implicitloss.arguments import checked_array, checked_number, checked_whole
from implicitloss.labels import Floats, LabelPrior
from implicitloss.margins import Margin, checked_margin
from implicitloss.numerics.seeds import Seed, root_of
from implicitloss.spectral.arguments import LARGEST
from implicitloss.spectral.mixture import GaussianMixture

__all__ = ["Affine", "Learner", "Logistic", "MeanDifference", "Ridge"]

MOST_DRAWS = 10_000_000
# Margins p between e^-LARGEST_LOG and e^LARGEST_LOG.
LARGEST_LOG = 50.0


def _checked_lam(lam: float) -> float:
    return checked_number(lam, "lam", "a number from 1e-30 to 1e60", lambda x: 1e-30 <= x <= 1e60)


@dataclass(frozen=True)
class Ridge:
    """Least squares with a ridge: minimise Σ_i ½ ‖W x_i + b - e_{y_i}‖² + (λ/2) ‖W‖² over W and a free intercept b.

    A sum over samples, without 1/n; e_y is the y-th unit vector.  For two classes the score f_1 - f_2 is that of least
    squares on ±1 with the same λ.

    Parameters
    ----------
    lam : float
        λ > 0.

    Raises
    ------
    ValueError
        For λ out of range.

    References
    ----------
    Loureiro et al. 2021, "Learning Gaussian Mixtures with Generalized Linear Models: Precise Asymptotics in
    High-dimensions".

    Examples
    --------
    The classes differ in nothing but their spectra, and the less ridge the farther apart are their errors.

    >>> import implicitloss as il
    >>> mixture = il.spectral.GaussianMixture.power_law([0.0, 0.6], d=300, distance=4.0, counts=200)
    >>> for lam in (1.0, 100.0, 10000.0):
    ...     print(lam, il.spectral.predict(mixture, il.spectral.Ridge(lam)).error.round(3))
    1.0 [0.173 0.127]
    100.0 [0.066 0.036]
    10000.0 [0.033 0.028]
    """

    lam: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "lam", _checked_lam(self.lam))


@dataclass(frozen=True)
class Logistic:
    """Logistic regression on two classes, perhaps with margins: a sum over samples, without 1/n.

    Minimise Σ_{i of class 1} log(1 + p_12 e^{-z_i}) + Σ_{i of class 2} log(1 + p_21 e^{z_i}) + (λ/2) ‖w‖² over w and a
    free intercept b, z = f_1 - f_2 = w·x + b.

    Parameters
    ----------
    lam : float
        λ > 0.
    margins : tuple of two, or Margin, optional
        p_12 and p_21, from e^-50 to e^50; or a margin of `implicitloss.margins`, which sees the training counts.  By
        default both are 1.

    Raises
    ------
    ValueError
        For λ or margins out of range.

    References
    ----------
    Loureiro et al. 2021, "Learning Gaussian Mixtures with Generalized Linear Models: Precise Asymptotics in
    High-dimensions"; Rawat et al. 2021, Eq. 6, for margins.

    Examples
    --------
    Logit adjustment counters what unequal counts do.

    >>> import implicitloss as il
    >>> mixture = il.spectral.GaussianMixture.power_law([0.3, 0.3], d=60, distance=4.0, counts=[300, 100])
    >>> for margins in (None, il.margins.LogitAdjusted()):
    ...     print(il.spectral.predict(mixture, il.spectral.Logistic(1.0, margins)).error.round(3))
    [0.013 0.062]
    [0.028 0.032]
    """

    lam: float
    margins: tuple[float, float] | Margin | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "lam", _checked_lam(self.lam))
        given: Any = self.margins
        if isinstance(given, list) or (isinstance(given, np.ndarray) and given.ndim == 1):
            given = tuple(given)
        if isinstance(given, tuple):
            if len(given) != 2:
                raise ValueError(f"margins must be p_12 and p_21, got {len(given)} numbers")
            given = tuple(checked_number(p, "margins", "from e^-50 to e^50", _is_in_reach) for p in given)
        elif given is not None:
            given = checked_margin(given)
        object.__setattr__(self, "margins", given)

    def log_margins(self, mixture: GaussianMixture) -> tuple[float, float]:
        """The logarithms of p_12 and p_21.

        Parameters
        ----------
        mixture : GaussianMixture
            The classes, whose counts are the prior of a margin.
        """
        if self.margins is None:
            return 0.0, 0.0
        if isinstance(self.margins, tuple):
            return math.log(self.margins[0]), math.log(self.margins[1])
        prior = LabelPrior.from_counts(mixture.counts)
        found = float(self.margins.log_margin(prior, 0)[1]), float(self.margins.log_margin(prior, 1)[0])
        if not max(map(abs, found)) <= LARGEST_LOG:
            raise ValueError(f"margins must lie from e^-50 to e^50, got e^{found[0]:.3g} and e^{found[1]:.3g}")
        return found


def _is_in_reach(p: float) -> bool:
    return p > 0 and abs(math.log(p)) <= LARGEST_LOG


@dataclass(frozen=True)
class MeanDifference:
    """The classifier by the nearer of two class means: z = w·x + b, w = x̄_1 - x̄_2, b = -½ (‖x̄_1‖² - ‖x̄_2‖²).

    Up to scale, w is the limit of ridge and of logistic regression for λ → ∞.

    Parameters
    ----------
    draws : int
        The error is averaged over so many draws of the two training means, from 100.
    rng : int, Generator or None
        The seed of the draws.

    Raises
    ------
    ValueError
        For arguments out of range.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> mixture = il.spectral.GaussianMixture.power_law([0.0, 0.6], d=300, distance=4.0, counts=200)
    >>> p = il.spectral.predict(mixture, il.spectral.MeanDifference())
    >>> p.error.round(3), p.mean.round(6)
    (array([0.033, 0.032]), array([ 8., -8.]))
    """

    draws: int = 10_000
    rng: Seed = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "draws", checked_whole(self.draws, "draws", 100, MOST_DRAWS))
        object.__setattr__(self, "rng", _as_value(root_of(self.rng)))


def _as_value(root: int | list[int]) -> Any:
    """A seed that can be hashed."""
    return root if isinstance(root, int) else tuple(root)


@dataclass(frozen=True, eq=False, repr=False)
class Affine:
    """A classifier that is there already: f = W x + b, or f_1 - f_2 = w·x + b for two classes.

    Parameters
    ----------
    w : array_like, (K, d), or (d,) for two classes
        The weights.
    b : array_like, (K,), or a number for two classes
        The intercepts, by default 0.

    Raises
    ------
    ValueError
        For numbers that are not finite and shapes that do not fit.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> mixture = il.spectral.GaussianMixture([[1.0], [-1.0]], [[1.0], [4.0]], counts=[1, 1])
    >>> il.spectral.predict(mixture, il.spectral.Affine([1.0])).error.round(4)  # Φ(-1), Φ(-1/2)
    array([0.1587, 0.3085])
    """

    w: Floats
    b: Floats = 0.0  # type: ignore[assignment]

    def __post_init__(self) -> None:
        w = checked_array(self.w, "w", {1: "(d,)", 2: "(K, d)"}, LARGEST)
        b = checked_array(self.b, "b", {0: "a number", 1: "(K,)"}, LARGEST)
        if b.ndim and b.shape != w.shape[: w.ndim - 1]:
            raise ValueError(f"b must be one number, or one for each row of w, got shape {b.shape} for {w.shape}")
        for name, value in (("w", w), ("b", b)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    def scores(self, mixture: GaussianMixture) -> tuple[Floats, Floats]:
        """The weights (d, o) and intercepts (o,) of one score for two classes, else of K.

        Parameters
        ----------
        mixture : GaussianMixture
            The classes.
        """
        n, d = mixture.means.shape
        if self.w.shape not in ((n, d), *([(d,)] if n == 2 else [])):
            wanted = f"({n}, {d})" + (f" or ({d},)" if n == 2 else "")
            raise ValueError(f"w must have shape {wanted} for these classes, got {self.w.shape}")
        if self.w.ndim == 1:
            return self.w[:, None], self.b.reshape(1)
        b = np.broadcast_to(self.b, (n,))
        if n == 2:
            return (self.w[0] - self.w[1])[:, None], (b[:1] - b[1:])
        return self.w.T, b

    def __repr__(self) -> str:
        return f"Affine(weights {self.w.shape})"


Learner = Ridge | Logistic | MeanDifference | Affine
