"""The spectrum of one class: how many directions its variance lies in, and how fast its eigenvalues fall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import stdtrit

from implicitloss.labels import Floats
from implicitloss.spectral.arguments import SMALLEST_TRACE, checked_features
from implicitloss.spectral.shrinkage import SampleMoments, effective_rank

__all__ = ["Spectrum", "spectrum"]

# Samples at least: the estimates need four, and the groups that are left out leave that many.
FEWEST = 8
GROUPS = 20
STEEPEST = 50.0
COVERAGE = 0.95


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum:
    """The spectrum of a class, as `spectrum` returns it.

    Parameters
    ----------
    n, d : int
        Samples, and features that vary.
    effective_rank : float
        (tr Σ)² / tr Σ², from 1 to d.
    effective_rank_interval : tuple of two
        Its 95 % interval.
    exponent : float
        α of the power law i^{-α} that has this effective rank in d dimensions.
    exponent_interval : tuple of two
        Its 95 % interval, if the eigenvalues follow a power law; otherwise of nothing but the effective rank.
    eigenvalues : ndarray, (d,)
        Those of the sample covariance, largest first.  They fall faster than those of Σ, n - 1 of them at most being
        above 0.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> X = np.random.default_rng(0).standard_normal((50, 80)) * np.arange(1, 81) ** -0.25
    >>> il.spectral.spectrum(X)  # the true exponent is .5
    Spectrum(50 samples, dimension 80, effective rank 58.2 (48.5 to 72.8), exponent 0.46 (0.28 to 0.56))
    """

    n: int
    d: int
    effective_rank: float
    effective_rank_interval: tuple[float, float]
    exponent: float
    exponent_interval: tuple[float, float]
    eigenvalues: Floats

    def __repr__(self) -> str:
        low, high = self.effective_rank_interval
        flat, steep = self.exponent_interval
        return (
            f"Spectrum({self.n} samples, dimension {self.d}, effective rank {self.effective_rank:.3g} "
            f"({low:.3g} to {high:.3g}), exponent {self.exponent:.2f} ({flat:.2f} to {steep:.2f}))"
        )


def spectrum(X: ArrayLike) -> Spectrum:
    """Estimate the effective rank (tr Σ)² / tr Σ² of a class, and the exponent of its eigenvalues.

    Both traces are estimated by U-statistics without bias, at n < d too.  The exponent is that of the power law
    λ_i = i^{-α} with the same effective rank.  A line through the logarithms of the sample's eigenvalues is far too
    steep at small n.  Intervals are by the jackknife: the inverse of the effective rank without one
    of 20 groups of samples each, and Student's t.  Over 150 Gaussian samples each of n = 15 to 200, d = 20 to 400, they
    covered the truth in 90 to 100 %, and in 86 % at an effective rank of 4.5.

    Parameters
    ----------
    X : array_like, (n, d)
        Features of one class, n >= 8, within ±1e60.  Features that never vary are left out.

    Returns
    -------
    Spectrum
        Effective rank, exponent, their intervals, and the eigenvalues of the sample covariance.

    Raises
    ------
    ValueError
        For features that are not finite, fewer than 8 samples, and samples that are all equal.

    References
    ----------
    Himeno and Yamada 2014, "Estimations for some functions of covariance matrix in high dimension under
    non-normality", for the U-statistics; derived here otherwise.

    Examples
    --------
    A class with a true exponent of .25 in 80 dimensions, and an effective rank of 74.4.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> X = np.random.default_rng(0).standard_normal((50, 80)) * np.arange(1, 81) ** -0.125
    >>> found = il.spectral.spectrum(X)
    >>> print(round(found.effective_rank, 1), round(found.exponent, 2))
    76.2 0.21
    >>> slope = np.polyfit(np.log(np.arange(1, 50)), np.log(found.eigenvalues[:49]), 1)[0]
    >>> print(round(-slope, 2))
    1.0
    """
    features = checked_features(X)
    n = len(features)
    if n < FEWEST:
        raise ValueError(f"a spectrum needs {FEWEST} samples or more, got {n}")
    centred = features - features.mean(axis=0)
    centred = centred[:, np.ptp(features, axis=0) > 0]
    d = centred.shape[1]
    if d == 0 or np.sum(centred**2) < SMALLEST_TRACE * n:
        raise ValueError("samples must differ for a spectrum, but all of them are equal")
    rank = effective_rank(SampleMoments.from_centred(centred))
    concentration = _concentration(centred)
    groups = np.array_split(np.arange(n), min(GROUPS, n // 2))
    without = []
    for group in groups:
        part = np.delete(centred, group, axis=0)
        without.append(_concentration(part - part.mean(axis=0)))
    g = len(groups)
    width = float(stdtrit(g - 1, (1 + COVERAGE) / 2)) * float(np.std(without)) * (g - 1) ** 0.5
    low, high = (1 / float(np.clip(concentration + side, 1 / d, 1.0)) for side in (width, -width))
    gram = centred @ centred.T if n < d else centred.T @ centred
    values = np.zeros(d)
    found = np.linalg.eigvalsh(gram)[::-1][: min(n - 1, d)].clip(0) / (n - 1)
    values[: found.size] = found
    values.setflags(write=False)
    exponents = (_exponent(high, d), _exponent(low, d))
    return Spectrum(n, d, rank, (low, high), _exponent(rank, d), exponents, values)


def _concentration(centred: Floats) -> float:
    """tr Σ² / (tr Σ)², from samples whose mean is taken off; noise may bring it below its least value 1/d."""
    first, second = SampleMoments.from_centred(centred).unbiased
    return second / first if first > 0 else 1.0


def _exponent(rank: float, d: int) -> float:
    """The α >= 0, at most 50, of the power law in d dimensions with this effective rank, which falls in α."""
    log_i = np.log(np.arange(1, d + 1))

    def above(alpha: float) -> float:
        first, second = np.exp(-alpha * log_i), np.exp(-2 * alpha * log_i)
        return float(first.sum() ** 2 / second.sum()) - rank

    if above(0.0) <= 0 or d == 1:
        return 0.0
    return STEEPEST if above(STEEPEST) >= 0 else float(brentq(above, 0.0, STEEPEST, xtol=1e-12))
