"""Augmentations that add noise without a mean to the features of training samples: a ridge of their covariances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implicitloss.arguments import checked_array, checked_number, shown
from implicitloss.labels import Floats
from implicitloss.spectral.arguments import LARGEST
from implicitloss.spectral.covariances import AsGiven, Covariances, Factored
from implicitloss.spectral.mixture import GaussianMixture

__all__ = ["Augmentation", "Dropout", "Noise", "checked_augmentation"]


@dataclass(frozen=True, eq=False, repr=False)
class Noise:
    """Noise N(0, C_k) on each training sample, drawn anew as often as it is seen.

    Averaged over the noise, the square loss gains Σ_k n_k wᵀ C_k w / 2: λI becomes λI + Σ_k n_k C_k.

    Parameters
    ----------
    variance : array_like
        The variance of each feature, as one number, (K,) by class, or (K, d); or C_k, (K, d, d).

    Raises
    ------
    ValueError
        For negative variances; when it is used, for a shape that does not fit.

    References
    ----------
    Derived here; Bishop 1995, "Training with noise is equivalent to Tikhonov regularization".

    Examples
    --------
    >>> import implicitloss as il
    >>> il.spectral.Noise(0.25)
    Noise(0.25)
    """

    variance: Floats

    def __post_init__(self) -> None:
        forms = {0: "a number", 1: "(K,)", 2: "(K, d)", 3: "(K, d, d)"}
        found = checked_array(self.variance, "variance", forms, LARGEST)
        least = np.linalg.eigvalsh(found).min() if found.ndim == 3 and found.shape[1] == found.shape[2] else found.min()
        if least < -1e-9 * np.abs(found).max():
            raise ValueError(f"variance must not be negative, got {least:.3g}")
        found.setflags(write=False)
        object.__setattr__(self, "variance", found)

    def covariances(self, mixture: GaussianMixture) -> Covariances:
        """C_k of each class.

        Parameters
        ----------
        mixture : GaussianMixture
            The features.
        """
        n, d = mixture.means.shape
        found = self.variance
        if found.shape not in ((), (n,), (n, d), (n, d, d)):
            raise ValueError(
                f"variance must be one number or have shape ({n},), ({n}, {d}) or ({n}, {d}, {d}), got {found.shape}"
            )
        if found.ndim == 3:
            return AsGiven((found + found.transpose(0, 2, 1)) / 2)
        column = found[:, None] if found.ndim == 1 else found
        return Factored(np.broadcast_to(np.maximum(column, 0.0), (n, d)), np.zeros((n, d, 0)))

    def __repr__(self) -> str:
        return f"Noise({f'variances {self.variance.shape}' if self.variance.ndim else f'{self.variance:g}'})"


@dataclass(frozen=True)
class Dropout:
    """Dropout of features: each is 0 with probability ρ and else divided by 1 - ρ, drawn anew each time.

    It is noise of variance C_k = ρ/(1 - ρ) diag E[x² | k].

    Parameters
    ----------
    rate : float
        ρ, 0 <= ρ < 1.

    Raises
    ------
    ValueError
        For a rate out of range.

    References
    ----------
    Derived here; Wager, Wang and Liang 2013, "Dropout training as adaptive regularization".

    Examples
    --------
    >>> import implicitloss as il
    >>> il.spectral.Dropout(0.5)
    Dropout(rate=0.5)
    """

    rate: float

    def __post_init__(self) -> None:
        rate = checked_number(self.rate, "rate", "a number from 0 to below 1", lambda x: 0 <= x < 1)
        object.__setattr__(self, "rate", rate)

    def covariances(self, mixture: GaussianMixture) -> Covariances:
        """C_k of each class.

        Parameters
        ----------
        mixture : GaussianMixture
            The features.
        """
        n, d = mixture.means.shape
        second = mixture.of_classes.diagonals + mixture.means**2
        if mixture.mean_counts is not None:
            second = np.maximum(second - mixture.of_classes.diagonals / mixture.mean_counts[:, None], 0.0)
        return Factored(self.rate / (1 - self.rate) * second, np.zeros((n, d, 0)))


Augmentation = Noise | Dropout


def checked_augmentation(augment: Augmentation | None) -> Augmentation | None:
    """`augment`, a Noise, a Dropout or None."""
    if augment is not None and not isinstance(augment, (Noise, Dropout)):
        raise ValueError(f"augment must be a Noise, a Dropout or None, e.g. spectral.Noise(0.1), got {shown(augment)}")
    return augment
