"""m draws, each from q: a label may come several times, and counts each time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.draws.design import DrawsName, Node, Runs
from implicitloss.draws.product import EPS
from implicitloss.labels import Floats, Labels
from implicitloss.samplers.sampler import Draw

if TYPE_CHECKING:
    import sympy as sp

__all__ = ["Iid", "IidLaw"]


@dataclass(frozen=True, eq=False)
class IidLaw:
    """m i.i.d. draws from q; "inclusion" is the expected count m q."""

    q: Floats
    m: int

    @property
    def inclusion(self) -> Floats:
        return self.m * self.q

    @property
    def error(self) -> float:
        return EPS * (64 + self.q.size)

    def missing(self, misses: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return -np.expm1(self.m * np.log1p(-np.minimum(self.q @ misses, 1.0)))

    def shares(self, misses: Floats, weights: Floats) -> Floats:
        rest = (self.q @ (1 - misses)) ** (self.m - 1)
        return self.m * self.q * ((1 - misses) @ (weights * rest))

    def squares(self, adds: Floats, singles: Floats, misses: Floats) -> Floats:
        stay = 1 - misses
        phi, once = self.q @ stay, self.q @ ((adds**2 + singles) * stay)
        twice = (self.q @ (adds * stay)) ** 2
        pairs = self.m * (self.m - 1) * twice * phi ** (self.m - 2) if self.m > 1 else 0.0
        return np.asarray(self.m * once * phi ** (self.m - 1) + pairs)

    def moments(self, adds: Floats) -> tuple[float, float]:
        mean = float(self.q @ adds)
        return self.m * mean, self.m * float(self.q @ (adds - mean) ** 2)

    def nodes(self) -> Iterator[Node]:
        return iter(())


@dataclass(frozen=True)
class Iid:
    """Independent draws, as the sources of this package have them."""

    name: DrawsName = "iid"

    def check(self, n_drawable: int, m: int) -> None:
        """Any m will do."""

    def law(self, q: Floats, m: int) -> IidLaw:
        return IidLaw(q, m)

    def inclusion(self, q: sp.Expr, m: sp.Expr, of: sp.Expr, are_alike: bool) -> sp.Expr:
        return m * q

    def sizes(self, n_drawable: int, m: int) -> tuple[int, int]:
        return m, m

    def runs(self, draw: Draw, q: Floats, m: int) -> Runs:
        """Draw m labels."""

        def runs(rng: np.random.Generator, size: int) -> Labels:
            return draw(rng, size * m).reshape(size, m)

        return runs
