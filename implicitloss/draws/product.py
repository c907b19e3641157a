"""Designs whose labels come in independently, given a node: E g = ⟨Π_j ...⟩ over nodes with chances P_j."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from implicitloss.draws.design import Node
from implicitloss.draws.threads import of_nodes
from implicitloss.kernels.products import add_missing_products, add_product_shares, add_product_squares
from implicitloss.labels import Floats

__all__ = ["EPS", "ProductLaw"]

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class ProductLaw:
    """E Π_{j∈N} y_j = Σ_n Re w_n Π_j (1 - P_nj (1 - y_j)): nodes n with complex `weights` (N,).

    `chance(n)` returns P_n and 1 - P_n, (J,) each.
    """

    inclusion: Floats
    weights: Floats
    chance: Callable[[int], tuple[Floats, Floats]]
    error: float

    def missing(self, misses: Floats) -> Floats:
        def of(n: int) -> Floats:
            out = np.zeros(misses.shape[1])
            add_missing_products(_pair(self.chance(n)[0]), *_parts(self.weights[n]), misses, out)
            return out

        return self._sum(of)

    def shares(self, misses: Floats, weights: Floats) -> Floats:
        def of(n: int) -> Floats:
            out = np.zeros(misses.shape[0])
            p, rest = self.chance(n)
            add_product_shares(_pair(p), _pair(rest), *_parts(self.weights[n]), misses, weights, out)
            return out

        return self._sum(of)

    def squares(self, adds: Floats, singles: Floats, misses: Floats) -> Floats:
        def of(n: int) -> Floats:
            out = np.zeros(misses.shape[1])
            p, rest = self.chance(n)
            add_product_squares(_pair(p), _pair(rest), *_parts(self.weights[n]), adds, singles, misses, out)
            return out

        return self._sum(of)

    def moments(self, adds: Floats) -> tuple[float, float]:
        mean = float(self.inclusion @ adds)

        def of(n: int) -> Floats:
            p, rest = self.chance(n)
            square = (p @ adds - mean) ** 2 + (p * rest) @ adds**2
            return np.array([(self.weights[n] * square).real])

        return mean, float(self._sum(of)[0])

    def nodes(self) -> Iterator[Node]:
        for n, weight in enumerate(self.weights):
            p, rest = (np.asarray(each, dtype=np.complex128) for each in self.chance(n))
            yield Node(complex(weight), p, rest, np.zeros_like(p), 1.0)

    def _sum(self, of: Callable[[int], Floats]) -> Floats:
        """Σ over nodes, in order."""
        return np.asarray(sum(of_nodes(of, range(self.weights.size), self.inclusion.size)))


def _pair(values: Floats) -> Floats:
    return np.stack([np.real(values), np.imag(values)])


def _parts(weight: complex) -> tuple[float, float]:
    return float(np.real(weight)), float(np.imag(weight))
