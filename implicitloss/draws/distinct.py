"""Draws until m labels are different: successive sampling, TensorFlow's default (`unique=True`).

In the race of `draws.races`, with r_j = q_j/(1 + z u_j), P_j = z u_j/(1 + z u_j), R = Σ r_k and ⟨g⟩ its integral:

    P(i ∈ N)          = ⟨r_i + P_i (R - r_i)⟩
    E Π_{j∈N} y_j     = ⟨Π (1 + z u_j y_j)/Π (1 + z u_j) Σ_k q_k y_k/(1 + z u_k y_k)⟩
    V Σ_{j∈N} X_j     = ⟨Σ_k r_k [(X_k + A_k - mean)² + V_k]⟩,  A_k = Σ_{j≠k} P_j X_j,  V_k = Σ_{j≠k} P_j (1 - P_j) X_j²

⟨R⟩ = 1 and Σ_i P(i ∈ N) = m hold exactly: how far the numbers are from them is part of the stated error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.draws.design import DrawsName, Runs
from implicitloss.draws.groups import FINE, WIDTH, grouped
from implicitloss.draws.iid import IidLaw
from implicitloss.draws.product import EPS, ProductLaw
from implicitloss.draws.races import Heat, Race, race, typical_time
from implicitloss.kernels.distinct import first_distinct
from implicitloss.kernels.races import add_inclusion, add_missing, add_shares, add_squares
from implicitloss.labels import Floats, Labels
from implicitloss.samplers.sampler import Draw

if TYPE_CHECKING:
    import sympy as sp

__all__ = ["Distinct", "DistinctLaw"]

# Drawing ends with an error if fewer than one draw in this many brings a new label.
DRAWS_A_LABEL = 1 << 14


@dataclass(frozen=True, eq=False)
class DistinctLaw:
    """m different labels out of more, 2 <= m: sums over the nodes of a race."""

    q: Floats
    m: int

    @cached_property
    def _found(self) -> tuple[Floats, float]:
        width = WIDTH
        groups = grouped(self.q, width)
        if groups.bins and typical_time(groups.q, groups.times, self.m) * self.q.max() > 8.0:
            groups = grouped(self.q, FINE)
        race_of_groups = race(groups.q, groups.times, self.m)

        def of(heat: Heat) -> Floats:
            out = np.zeros(groups.q.size)
            add_inclusion(heat.chances(groups.q), groups.q, heat.thetas, heat.weights, heat.rates, out)
            return out

        inclusion = np.minimum(groups.spread(race_of_groups.total(of)), 1.0)
        return inclusion, self._off(race_of_groups.one, float(inclusion.sum()))

    def _off(self, one: float, number: float) -> float:
        """The relative error: that of the identities, four times, and the rounding of the sums over labels."""
        off = abs(one - 1) + abs(number / self.m - 1)
        if not off < 1e-6:
            raise ArithmeticError(
                f"the integrals of {self.m} distinct draws from {self.q.size} labels lost their digits: "
                f"⟨R⟩ is 1 and the inclusion probabilities sum to m, but they are off by {off:.1g}"
            )
        return 4 * off + EPS * (256 + 8 * self.m)

    @property
    def inclusion(self) -> Floats:
        return self._found[0]

    @property
    def error(self) -> float:
        return self._found[1]

    @property
    def tries(self) -> float:
        """The expected number of single draws, ⟨s R⟩: the time of the last, with one draw a unit of time."""
        return sum(heat.s * heat.one for heat in self._race.heats)

    @cached_property
    def _race(self) -> Race:
        return race(self.q, np.ones(self.q.size), self.m)

    def missing(self, misses: Floats) -> Floats:
        def of(heat: Heat) -> Floats:
            out = np.zeros(misses.shape[1])
            add_missing(heat.chances(self.q), self.q, heat.thetas, heat.weights, misses, out)
            return out

        return self._race.total(of)

    def shares(self, misses: Floats, weights: Floats) -> Floats:
        def of(heat: Heat) -> Floats:
            out = np.zeros(self.q.size)
            add_shares(heat.chances(self.q), self.q, heat.thetas, heat.weights, misses, weights, out)
            return out

        return self._race.total(of)

    def squares(self, adds: Floats, singles: Floats, misses: Floats) -> Floats:
        def of(heat: Heat) -> Floats:
            out = np.zeros(misses.shape[1])
            add_squares(heat.chances(self.q), self.q, heat.thetas, heat.weights, adds, singles, misses, out)
            return out

        return self._race.total(of)

    def moments(self, adds: Floats) -> tuple[float, float]:
        mean = float(self.inclusion @ adds)

        def of(heat: Heat) -> float:
            p, rest = heat.chances(self.q)
            total = 0.0
            for theta, (w, v) in zip(heat.thetas, heat.weights, strict=True):
                d = p * np.exp(1j * theta) + rest
                c, came = rest / d, p * np.exp(1j * theta) / d
                expected, spread = came * adds, came * c * adds**2
                others = (adds - expected) + (expected.sum() - mean)
                total += ((w + 1j * v) * np.sum(self.q * c * (others**2 + spread.sum() - spread))).real
            return total

        return mean, self._race.total(of)


@dataclass(frozen=True)
class Distinct:
    """Draws from q until m labels are different."""

    name: DrawsName = "distinct"

    def check(self, n_drawable: int, m: int) -> None:
        if m > n_drawable:
            raise ValueError(
                f"draws='distinct' needs m at most {n_drawable}, the number of labels that can be drawn, got m = {m}"
            )

    def law(self, q: Floats, m: int) -> DistinctLaw | IidLaw | ProductLaw:
        if m == 1:
            return IidLaw(q, 1)
        if m == q.size:
            # All of them come.
            p, rest = np.ones(q.size), np.zeros(q.size)
            return ProductLaw(p, np.ones(1), lambda _: (p, rest), EPS * (64 + q.size))
        return DistinctLaw(q, m)

    def inclusion(self, q: sp.Expr, m: sp.Expr, of: sp.Expr, are_alike: bool) -> sp.Expr:
        # Labels that are all alike share the m places; otherwise every other label's q matters.
        return m * q if are_alike else of

    def sizes(self, n_drawable: int, m: int) -> tuple[int, int]:
        return m, m

    def runs(self, draw: Draw, q: Floats, m: int) -> Runs:
        """Draw labels, and leave out those that the run has already."""
        stamps = np.full(q.size, -1, dtype=np.intp)

        def runs(rng: np.random.Generator, size: int) -> Labels:
            labels = np.empty((size, m), dtype=np.intp)
            state = np.zeros(2, dtype=np.intp)  # the run, and how many labels it has
            seen, drawn = np.array(stamps), 0
            while state[0] < size:
                if drawn > DRAWS_A_LABEL * (state[0] * m + state[1] + 1024):
                    raise ValueError(
                        f"draws='distinct' cannot be simulated here: {drawn} draws gave {state[0] * m + state[1]} "
                        "labels that their runs did not have; use integrate, or a smaller m"
                    )
                piece = draw(rng, max(1024, min(1 << 16, (size - int(state[0])) * m)))
                drawn += piece.size
                first_distinct(piece, seen, state, labels)
            return labels

        return runs
