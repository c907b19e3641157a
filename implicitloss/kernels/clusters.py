"""The law of clusters at a query, in two passes: between them NumPy's exp takes many numbers at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel, kernel_of_sums

__all__ = ["log_expected", "mix"]

Floats = NDArray[np.float64]


@kernel
def log_expected(products: Floats, log_tickets: Floats, spreads: Floats) -> Floats:
    """log B_c + ⟨h, μ_c⟩ + s_c hᵀC⁻¹h/d, less the largest, (K,).

    `products` (K + d,) are those of h with the centres, and with a basis in which hᵀC⁻¹h is the square of a length.
    """
    k, n = log_tickets.size, products.size
    length, most = 0.0, -np.inf
    for i in range(k, n):
        length += products[i] * products[i]
    length /= n - k
    logs = np.empty(k)
    for c in range(k):
        logs[c] = log_tickets[c] + products[c] + spreads[c] * length
        most = max(most, logs[c])
    for c in range(k):
        logs[c] -= most
    return logs


@kernel_of_sums
def mix(ticket_shares: Floats, defence: float, near: Floats) -> None:
    """(1 - λ) near/Σ near + λ B_c/Σ B, in place of `near` (K,)."""
    total = 0.0
    for c in range(near.size):
        total += near[c]
    for c in range(near.size):
        near[c] = (1.0 - defence) / total * near[c] + defence * ticket_shares[c]
