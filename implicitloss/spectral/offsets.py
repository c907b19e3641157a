"""The gap between two classes, in its parts, and the offsets of the score that close it.

The score z is N(m_k, q_k) on fresh x of class k, positive for the first class, and δ is added to it: class 1 errs with
probability Φ(-(m_1 + δ)/√q_1), class 2 with Φ((m_2 + δ)/√q_2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from implicitloss.arguments import checked_array, checked_number, shown
from implicitloss.labels import Floats
from implicitloss.spectral.arguments import LARGEST

__all__ = ["Gap", "equal_error_offset", "gap", "least_error_offset"]


def _checked_pair(values: ArrayLike, name: str, least: float = -LARGEST) -> Floats:
    found = checked_array(values, name, {1: "a number for each of two classes"}, LARGEST)
    if found.shape != (2,) or found.min() < least:
        raise ValueError(f"{name} must be two numbers{f' >= {least:g}' if least > 0 else ''}, got {shown(values)}")
    return found


def _checked_moments(mean: ArrayLike, variance: ArrayLike) -> tuple[Floats, Floats]:
    m, q = _checked_pair(mean, "mean"), _checked_pair(variance, "variance", 1 / LARGEST)
    if m[0] <= m[1]:
        raise ValueError(f"mean must be larger for the first class, got {m[0]:.6g} and {m[1]:.6g}")
    return m, np.sqrt(q)


@dataclass(frozen=True)
class Gap:
    """z_1 - z_2, the difference of two classes' margins in standard deviations, as a sum of four parts.

    Class k errs with probability Φ(-z_k), so that a gap above 0 is in favour of the first class.

    Parameters
    ----------
    train : float
        κ (c_1 + c_2)/2: how far the training means c_k lie off the boundary, by counts and sampling.
    overfit : float
        κ ½ Σ_k (m_k - c_k) = -κ ½ Σ_k V_k m̂_k / n_k: what classes lose on fresh x, by counts and spectrum.
    label : float
        κ δ, the offset by margins.
    scale : float
        h (1/√q_1 - 1/√q_2): scores of one class spread wider, by its spectrum alone.
    z : tuple of two
        z_1 = (m_1 + δ)/√q_1 and z_2 = -(m_2 + δ)/√q_2.

    Examples
    --------
    >>> import implicitloss as il
    >>> found = il.spectral.gap(mean=[0.6, -0.9], variance=[0.6, 0.2], training_mean=[0.8, -0.9])
    >>> print(found)
    z_1 - z_2 = -1.238 = -0.176 (train) -0.353 (overfit) +0.000 (label) -0.709 (scale)
    """

    train: float
    overfit: float
    label: float
    scale: float
    z: tuple[float, float]

    @property
    def total(self) -> float:
        """z_1 - z_2, the sum of the parts."""
        return self.z[0] - self.z[1]

    @property
    def error(self) -> Floats:
        """Φ(-z_k), (2,)."""
        return np.asarray(ndtr(-np.array(self.z)))

    def __str__(self) -> str:
        parts = (self.total, self.train, self.overfit, self.label, self.scale)
        # What rounds to 0 has no sign.
        total, train, overfit, label, scale = (f"{round(part, 3) + 0.0:+.3f}" for part in parts)
        return f"z_1 - z_2 = {total} = {train} (train) {overfit} (overfit) {label} (label) {scale} (scale)"


def gap(mean: ArrayLike, variance: ArrayLike, training_mean: ArrayLike, offset: float = 0.0) -> Gap:
    """Split the gap between two classes: z_1 - z_2 = κ (o_train + o_overfit + δ) + h (1/√q_1 - 1/√q_2), exactly.

    κ = 1/√q_1 + 1/√q_2, h = (m_1 - m_2)/2, o_train = (c_1 + c_2)/2, o_overfit = (m_1 + m_2 - c_1 - c_2)/2.

    Parameters
    ----------
    mean, variance : array_like, (2,)
        m_k and q_k > 0 of the score on fresh x of the two classes, m_1 > m_2.
    training_mean : array_like, (2,)
        c_k, the means on the training samples.
    offset : float
        δ, which is added to the score.

    Returns
    -------
    Gap
        The parts.

    Raises
    ------
    ValueError
        For numbers out of range.

    References
    ----------
    Derived here.

    Examples
    --------
    Two classes with the same counts and the same trace.

    >>> import implicitloss as il
    >>> mixture = il.spectral.GaussianMixture.power_law([0.0, 0.6], d=300, distance=4.0, counts=200)
    >>> p = il.spectral.predict(mixture, il.spectral.Ridge(100.0))
    >>> print(il.spectral.gap(p.mean, p.variance, p.training_mean))
    z_1 - z_2 = -0.283 = +0.000 (train) -0.055 (overfit) +0.000 (label) -0.229 (scale)
    """
    m, root = _checked_moments(mean, variance)
    c = _checked_pair(training_mean, "training_mean")
    delta = checked_number(offset, "offset")
    kappa, half = float(np.sum(1 / root)), float(m[0] - m[1]) / 2
    train, fresh = float(c.mean()), float(m.mean())
    scale = half * float(1 / root[0] - 1 / root[1])
    z = (float((m[0] + delta) / root[0]), float(-(m[1] + delta) / root[1]))
    return Gap(kappa * train, kappa * (fresh - train), kappa * delta, scale, z)


def equal_error_offset(mean: ArrayLike, variance: ArrayLike) -> float:
    """The offset at which both classes err equally often: δ_E = -(m_1 √q_2 + m_2 √q_1)/(√q_1 + √q_2).

    Both errors are then Φ(-(m_1 - m_2)/(√q_1 + √q_2)).

    Parameters
    ----------
    mean, variance : array_like, (2,)
        m_k and q_k > 0 of the score on fresh x of the two classes, m_1 > m_2.

    Returns
    -------
    float
        δ_E.

    Raises
    ------
    ValueError
        For numbers out of range.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> mean, variance = [0.6, -0.9], [0.6, 0.2]
    >>> delta = il.spectral.equal_error_offset(mean, variance)
    >>> il.spectral.gap(mean, variance, mean, delta).error.round(3)
    array([0.11, 0.11])
    """
    m, root = _checked_moments(mean, variance)
    return float(-(m[0] * root[1] + m[1] * root[0]) / root.sum())


def least_error_offset(mean: ArrayLike, variance: ArrayLike) -> float:
    """The offset δ_B at which the mean of the two errors is least.

    It is where the two densities cross, a root of (m_1 + δ)²/q_1 + log q_1 = (m_2 + δ)²/q_2 + log q_2: of two roots the
    smaller one for q_1 > q_2 and the larger one for q_1 < q_2; the other is a maximum.  It lies between -m_1 and -m_2
    unless the variances differ so much that the narrow class lies within the wide one.

    Parameters
    ----------
    mean, variance : array_like, (2,)
        m_k and q_k > 0 of the score on fresh x of the two classes, m_1 > m_2.

    Returns
    -------
    float
        δ_B.

    Raises
    ------
    ValueError
        For numbers out of range.

    References
    ----------
    Derived here.

    Examples
    --------
    Equal errors are not the least ones.

    >>> import implicitloss as il
    >>> mean, variance = [0.6, -0.9], [0.6, 0.2]
    >>> for offset in (il.spectral.equal_error_offset, il.spectral.least_error_offset):
    ...     delta = offset(mean, variance)
    ...     print(round(delta, 3), il.spectral.gap(mean, variance, mean, delta).error.round(4).tolist())
    0.351 [0.1098, 0.1098]
    0.23 [0.142, 0.067]
    """
    m, root = _checked_moments(mean, variance)
    # In s = δ + (m_1 + m_2)/2: a s² + 2 b s + c = 0, and the root that stays finite for a = 0.
    h, (first, second) = (m[0] - m[1]) / 2, 1 / root**2
    a, b = first - second, h * (first + second)
    c = h**2 * a + 2 * np.log(root[0] / root[1])
    return float(-c / (b + np.sqrt(max(b**2 - a * c, 0.0))) - m.mean())
