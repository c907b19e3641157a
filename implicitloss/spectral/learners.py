"""The linear learners whose errors are predicted, as values."""

from __future__ import annotations

from dataclasses import dataclass

from implicitloss.arguments import checked_number

__all__ = ["Ridge", "checked_lam"]


def checked_lam(lam: float) -> float:
    """λ, from 1e-30 to 1e60."""
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
    >>> import implicitloss as il
    >>> il.spectral.Ridge(0.1)
    Ridge(lam=0.1)
    """

    lam: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "lam", checked_lam(self.lam))
