"""Fixed points x = F(x), by Anderson's acceleration or Newton's method; what does not converge is an error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg.lapack import dtrtri

from implicitloss.labels import Floats

__all__ = ["STEP", "fixed_point", "inverse_root"]

MEMORY = 6
# Largest F(x) - x, and largest step, which is close to the error that is left; both relative to 1 + |x|.
RESIDUAL, STEP = 1e-12, 1e-11
LONGEST_STEP = 3.0
# So many numbers are few: Newton's method evaluates F once for each, and once more for each halving of a step.
FEW, NEWTON_STEPS, HALVINGS, DIFFERENCE = 8, 40, 10, 1e-6


def fixed_point(
    step: Callable[[Floats], Floats],
    start: Floats,
    what: str,
    damping: float = 1.0,
    loose: float = 1.0,
    most: int = 300,
) -> Floats:
    """The x with x = step(x), from `start`; x has logarithms of scales, or numbers near 1.

    Anderson's acceleration, and for a few numbers Newton's method where that does not converge.  Tolerances are `loose`
    times as large as usual; `most` limits the steps.  *Raises* ValueError where neither converges.
    """
    try:
        return _anderson(step, start, what, damping, loose, most)
    except ValueError:
        found = None if start.size > FEW else _newton(step, start, loose)
        if found is None:
            raise
        return found


def _anderson(
    step: Callable[[Floats], Floats], start: Floats, what: str, damping: float, loose: float, most: int
) -> Floats:
    """Anderson's acceleration of x + damping (F(x) - x), which starts anew where the residual grows."""
    x, xs, fs = start, list[Floats](), list[Floats]()
    least = np.inf
    for _ in range(most):
        f = step(x) - x
        if not np.all(np.isfinite(f)):
            break
        size = _size(f, x)
        if size > 4 * least:
            xs, fs = [], []
        least = min(least, size)
        xs, fs = [*xs, x][-MEMORY:], [*fs, f][-MEMORY:]
        move = damping * f
        if len(fs) > 1:
            df, dx = np.diff(fs, axis=0), np.diff(xs, axis=0)
            move = move - (dx + damping * df).T @ np.linalg.lstsq(df.T, f, rcond=1e-13)[0]
        length = _size(move, x)
        if size <= loose * RESIDUAL and length <= loose * STEP:
            return np.asarray(x + move)
        x = x + move * min(1.0, LONGEST_STEP / max(length, 1e-300))
    raise ValueError(f"{what} must converge to {STEP:g}, but it is still off by {least:.3g}: take a larger lam")


def _newton(step: Callable[[Floats], Floats], start: Floats, loose: float) -> Floats | None:
    """Newton's method for F(x) - x = 0, with derivatives by differences, and None where it does not converge.

    A step is halved until ‖F(x) - x‖ falls, or until rounding alone is left of it.
    """
    x, f = start, _residual(step, start)
    for _ in range(NEWTON_STEPS):
        shifts = np.diag(DIFFERENCE * (1 + np.abs(x)))
        slopes = np.array([(_residual(step, x + one) - f) / one.sum() for one in shifts]).T
        if not np.all(np.isfinite(slopes)):
            return None
        move = -np.linalg.lstsq(slopes, f, rcond=1e-15)[0]
        length = _size(move, x)
        if _size(f, x) <= loose * RESIDUAL and length <= loose * STEP:
            return np.asarray(x + move)
        share = min(1.0, LONGEST_STEP / max(length, 1e-300))
        for _ in range(HALVINGS):
            tried = _residual(step, x + share * move)
            if np.linalg.norm(tried) < (1 - share / 4) * np.linalg.norm(f) or _size(tried, x) < RESIDUAL:
                break
            share /= 2
        else:
            return None
        x, f = x + share * move, tried
    return None


def _residual(step: Callable[[Floats], Floats], x: Floats) -> Floats:
    """F(x) - x; NaN where F has no value."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return step(x) - x
    except ValueError:
        return np.full_like(x, np.nan)


def _size(move: Floats, x: Floats) -> float:
    return float(np.max(np.abs(move) / (1 + np.abs(x))))


def inverse_root(matrix: Floats) -> Floats:
    """R = L⁻¹ of a positive definite matrix L Lᵀ, so that its inverse is Rᵀ R."""
    try:
        lower = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise ValueError("lam must be larger beside these covariances: λI + Σ V̂_k Σ_k is singular in doubles") from None
    found, _ = dtrtri(lower, lower=1)
    return np.asarray(np.tril(found))
