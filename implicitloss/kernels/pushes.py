"""What pushes scores up and down where the labels that come are a product, and a last one, at each node."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

__all__ = ["add_pushes"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
# |F|² is at least this, so that a product without one or two of its factors is had by division.
LEAST = 1e-280


@kernel
def add_pushes(
    weights: Complexes, p: Complexes, rest: Complexes, last: Complexes, of_none: float, is_masked: bool, heavy: int,
    stay: Floats, pull: Floats, counts: Floats, up: Floats, down: Floats,
) -> None:  # fmt: skip
    """Add the pushes of the nodes, summed over t, to `up` and `down`, (J,).

    At a node, with its weight w, label j comes with p_j, 1 - p_j = `rest`_j, or is the last to come at the rate
    `last`_j, (nodes, J); T = `of_none` + Σ last y/F.  With F = rest + p y, y = `stay`, s = `pull` and c = `counts`, all
    (J, T), the pushes are Re w Π F s_k/F_k c_y E 1[k ∈ N], summed over k ≠ y for `up` and over y ≠ k for `down`; y is
    taken out of N if it `is_masked`.  Sums leave out label `heavy`, beside which the digits of the others may be lost.
    """
    n = stay.shape[1]
    for node in range(weights.size):
        product, lasts = np.full(n, weights[node]), np.full(n, complex(of_none))
        c_all, d_all = np.zeros(n, np.complex128), np.zeros(n, np.complex128)
        a_all, b_all = np.zeros(n, np.complex128), np.zeros(n, np.complex128)
        c_own, d_own, h_own = np.zeros(n, np.complex128), np.zeros(n, np.complex128), np.zeros(n, np.complex128)
        a_own, b_own = np.zeros(n, np.complex128), np.zeros(n, np.complex128)
        for again in range(2):
            for j in range(up.size):
                of_up, of_down = 0.0, 0.0
                chance, gone, rate = p[node, j], rest[node, j], last[node, j]
                for t in range(n):
                    f = gone + chance * stay[j, t]
                    size = f.real * f.real + f.imag * f.imag
                    if size < LEAST:
                        f, size = complex(LEAST**0.5), LEAST
                    over = f.conjugate() * (1.0 / size)
                    h, s = rate * stay[j, t] * over, pull[j, t] * over
                    c, moved = complex(counts[j, t]), 0.0j
                    if is_masked:
                        c, moved = counts[j, t] * over, rate - h
                    b = s * chance
                    if again == 0:
                        product[t] *= f
                        if j == heavy:
                            h_own[t], b_own[t], a_own[t], c_own[t], d_own[t] = h, b, s * rate, c, c * moved
                            continue
                        lasts[t] += h
                        b_all[t] += b
                        a_all[t] += s * rate - b * h
                        c_all[t] += c
                        d_all[t] += c * moved
                    elif j == heavy:
                        of_down += (product[t] * (a_own[t] * c_all[t] + b * d_all[t])).real
                        of_up += (product[t] * c * (a_all[t] + b_all[t] * moved)).real
                    else:
                        a = s * rate + b * (lasts[t] - h)
                        of_down += (
                            product[t] * (a * (c_all[t] - c + c_own[t]) + b * (d_all[t] - c * moved + d_own[t]))
                        ).real
                        of_up += (product[t] * c * (a_all[t] - a + a_own[t] + (b_all[t] - b + b_own[t]) * moved)).real
                if again == 1:
                    up[j] += of_up
                    down[j] += of_down
            if again == 0:
                for t in range(n):
                    a_own[t] += lasts[t] * b_own[t]
                    lasts[t] += h_own[t]
                    a_all[t] += lasts[t] * b_all[t]
