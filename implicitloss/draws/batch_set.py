"""The different labels among m i.i.d. draws: a batch as a set.

Poissonisation: given a random number of draws, labels come in independently with P_j = 1 - e^{-zq_j}, and the
coefficient of z^m gives m draws back: E Π_{j∈N} y_j = m!/(2πi) ∮ e^z z^{-m-1} Π_j [1 - P_j (1 - y_j)] dz, on |z| = m.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.draws.design import DrawsName, Runs
from implicitloss.draws.product import EPS, ProductLaw
from implicitloss.labels import Floats, Labels
from implicitloss.samplers.sampler import Draw

if TYPE_CHECKING:
    import sympy as sp

__all__ = ["BatchSet"]

REACH = 41.0


@dataclass(frozen=True)
class BatchSet:
    """The set of the labels of m i.i.d. draws, P(j ∈ N) = 1 - (1 - q_j)^m: in-batch negatives counted once."""

    name: DrawsName = "set"

    def check(self, n_drawable: int, m: int) -> None:
        """Any m will do."""

    def law(self, q: Floats, m: int) -> ProductLaw:
        n = int(np.ceil(17 * np.sqrt(m) + 40))
        n += n % 2
        thetas = 2 * np.pi * np.arange(n // 2 + 1) / n
        # The lower half of the circle is the conjugate of the upper.
        shares = np.full(thetas.size, 2 / n)
        shares[[0, -1]] = 1 / n
        near = m * (1 - np.cos(thetas)) < REACH
        thetas, shares = thetas[near], shares[near]
        z = m * np.exp(1j * thetas)
        # m! m^{-m} e^{m}, and e^{z - m}, apart: both are of moderate size.
        scale = np.exp(lgamma(m + 1) - m * np.log(m) + m)
        # e^{z - m - imθ} with z - m = -m (1 - cos θ) + i m sin θ
        turn = m * (np.sin(thetas) - thetas)
        weights = shares * scale * np.exp(-2 * m * np.sin(thetas / 2) ** 2) * np.exp(1j * turn)
        with np.errstate(divide="ignore"):
            inclusion = -np.expm1(m * np.log1p(-q))

        def chance(i: int) -> tuple[Floats, Floats]:
            a = z[i] * q
            return -np.expm1(-a), np.exp(-a)

        return ProductLaw(inclusion, weights, chance, EPS * (64 + q.size + 8 * np.sqrt(m)))

    def inclusion(self, q: sp.Expr, m: sp.Expr, of: sp.Expr, are_alike: bool) -> sp.Expr:
        return 1 - (1 - q) ** m

    def sizes(self, n_drawable: int, m: int) -> tuple[int, int]:
        return 1, min(m, n_drawable)

    def runs(self, draw: Draw, q: Floats, m: int) -> Runs:
        """Draw m labels, and let each count once."""

        def runs(rng: np.random.Generator, size: int) -> Labels:
            labels = np.sort(draw(rng, size * m).reshape(size, m), axis=1)
            labels[:, 1:][labels[:, 1:] == labels[:, :-1]] = q.size
            return labels

        return runs
