"""Fixed points x = F(x) of a few numbers, by Anderson's acceleration; what does not converge is an error."""

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


def fixed_point(
    step: Callable[[Floats], Floats],
    start: Floats,
    what: str,
    damping: float = 1.0,
    loose: float = 1.0,
    most: int = 300,
) -> Floats:
    """The x with x = step(x), from `start`; x has logarithms of scales, or numbers near 1.

    Anderson's acceleration of x + damping (F(x) - x).  It starts anew where the residual grows.  Tolerances are `loose`
    times as large as usual; `most` limits the steps.
    """
    x, xs, fs = start, list[Floats](), list[Floats]()
    least = np.inf
    for _ in range(most):
        f = step(x) - x
        if not np.all(np.isfinite(f)):
            break
        size = float(np.max(np.abs(f) / (1 + np.abs(x))))
        if size > 4 * least:
            xs, fs = [], []
        least = min(least, size)
        xs, fs = [*xs, x][-MEMORY:], [*fs, f][-MEMORY:]
        move = damping * f
        if len(fs) > 1:
            df, dx = np.diff(fs, axis=0), np.diff(xs, axis=0)
            move = move - (dx + damping * df).T @ np.linalg.lstsq(df.T, f, rcond=1e-13)[0]
        length = float(np.max(np.abs(move) / (1 + np.abs(x))))
        if size <= loose * RESIDUAL and length <= loose * STEP:
            return np.asarray(x + move)
        x = x + move * min(1.0, LONGEST_STEP / max(length, 1e-300))
    raise ValueError(f"{what} must converge to {STEP:g}, but it is still off by {least:.3g}: take a larger lam")


def inverse_root(matrix: Floats) -> Floats:
    """R = L⁻¹ of a positive definite matrix L Lᵀ, so that its inverse is Rᵀ R."""
    try:
        lower = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise ValueError("lam must be larger beside these covariances: λI + Σ V̂_k Σ_k is singular in doubles") from None
    found, _ = dtrtri(lower, lower=1)
    return np.asarray(np.tril(found))
