"""Products over labels Π_j (1 - P_j (1 - y_jt)), P complex: sets whose labels come in independently at each node."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

__all__ = ["add_missing_products", "add_product_shares", "add_product_squares"]

Floats = NDArray[np.float64]


@kernel
def add_missing_products(p: Floats, w: float, v: float, misses: Floats, out: Floats) -> None:
    """Add Re (w + iv) (1 - Π_j (1 - P_j (1 - y_jt))) to `out`, (T,); `p` is (2, J), 1 - y = `misses` (J, T)."""
    real, imaginary = p
    n = out.size
    e, f = np.zeros(n), np.zeros(n)
    for j in range(real.size):
        x, y = real[j], imaginary[j]
        for t in range(n):
            a, b = x * misses[j, t], y * misses[j, t]
            e[t], f[t] = e[t] + a - (e[t] * a - f[t] * b), f[t] + b - (e[t] * b + f[t] * a)
    for t in range(n):
        out[t] += w * e[t] - v * f[t]


@kernel
def add_product_shares(
    p: Floats, rest: Floats, w: float, v: float, misses: Floats, weights: Floats, out: Floats
) -> None:
    """Add Re (w + iv) Σ_t weights_t P_j y_jt Π_{k≠j} (1 - P_k (1 - y_kt)) to `out`, (J,); 1 - P = `rest` (2, J)."""
    real, imaginary = p
    n = weights.size
    e, f = np.ones(n), np.zeros(n)
    for again in range(2):
        for j in range(real.size):
            total = 0.0
            for t in range(n):
                stay = 1.0 - misses[j, t]
                x, y = real[j] * stay, imaginary[j] * stay
                a, b = rest[0, j] + x, rest[1, j] + y
                if again == 0:
                    e[t], f[t] = e[t] * a - f[t] * b, e[t] * b + f[t] * a
                else:
                    over = 1.0 / max(a * a + b * b, 1e-300)
                    g, h = (x * a + y * b) * over, (y * a - x * b) * over
                    c, d = w * e[t] - v * f[t], w * f[t] + v * e[t]
                    total += weights[t] * (c * g - d * h)
            if again == 1:
                out[j] += total


@kernel
def add_product_squares(
    p: Floats, rest: Floats, w: float, v: float, adds: Floats, singles: Floats, misses: Floats, out: Floats
) -> None:
    """Add Re (w + iv) Π_j D_j [(Σ h_j X_j)² + Σ h_j (1 - h_j) X_j² + Σ h_j Z_j] to `out`, (T,).

    D_j = rest + p y, h_j = p y/D_j the tilted chance of j; p and rest are complex, (2, J) each; X = `adds` and
    Z = `singles` are (J, T).
    """
    n = out.size
    e, f = np.ones(n), np.zeros(n)
    mean, imean, spread, ispread = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for j in range(misses.shape[0]):
        x, y, c, k = p[0, j], p[1, j], rest[0, j], rest[1, j]
        for t in range(n):
            stay, add = 1.0 - misses[j, t], adds[j, t]
            dr, di = c + x * stay, k + y * stay
            inverse = 1.0 / max(dr * dr + di * di, 1e-300)
            gr, gi = dr * inverse, -di * inverse
            # h, and 1 - h
            hr, hi = stay * (x * gr - y * gi), stay * (x * gi + y * gr)
            lr, li = c * gr - k * gi, c * gi + k * gr
            e[t], f[t] = e[t] * dr - f[t] * di, e[t] * di + f[t] * dr
            mean[t] += add * hr
            imean[t] += add * hi
            spread[t] += add * add * (hr * lr - hi * li) + singles[j, t] * hr
            ispread[t] += add * add * (hr * li + hi * lr) + singles[j, t] * hi
    for t in range(n):
        sr = mean[t] * mean[t] - imean[t] * imean[t] + spread[t]
        si = 2.0 * mean[t] * imean[t] + ispread[t]
        ar, ai = w * e[t] - v * f[t], w * f[t] + v * e[t]
        out[t] += ar * sr - ai * si
