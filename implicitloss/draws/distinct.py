"""Draws until m labels are different: successive sampling, TensorFlow's default (`unique=True`).

In the race of `draws.races`, with r_j = q_j/(1 + z u_j), P_j = z u_j/(1 + z u_j), R = Σ r_k and ⟨g⟩ its integral:

    P(i ∈ N)          = ⟨r_i + P_i (R - r_i)⟩
    E Π_{j∈N} y_j     = ⟨Π (1 + z u_j y_j)/Π (1 + z u_j) Σ_k q_k y_k/(1 + z u_k y_k)⟩
    V Σ_{j∈N} X_j     = ⟨Σ_k r_k [(X_k + A_k - mean)² + V_k]⟩,  A_k = Σ_{j≠k} P_j X_j,  V_k = Σ_{j≠k} P_j (1 - P_j) X_j²

⟨R⟩ = 1 and Σ_i P(i ∈ N) = m hold exactly: how far the numbers are from them is part of the stated error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from implicitloss.draws.design import DrawsName, Node, Runs
from implicitloss.draws.groups import FINE, WIDTH, Groups, grouped
from implicitloss.draws.iid import IidLaw
from implicitloss.draws.product import EPS, ProductLaw
from implicitloss.draws.races import Heat, Race, race, typical_time
from implicitloss.kernels.distinct import first_distinct
from implicitloss.kernels.races import add_inclusion, add_missing, add_shares, add_squares, power_sums
from implicitloss.labels import Floats, Labels
from implicitloss.samplers.sampler import Draw

if TYPE_CHECKING:
    import sympy as sp

__all__ = ["Distinct", "DistinctLaw"]

# Drawing ends with an error if fewer than one draw in this many brings a new label.
DRAWS_A_LABEL = 1 << 14
# Powers of odds that are below e^-LEAST_DIGITS of the first are left out.
LEAST_DIGITS = 39.0
# A power of one label costs less than the label itself at so many places on the circle.
PLACES_A_TERM = 0.5


@dataclass(frozen=True, eq=False)
class DistinctLaw:
    """m different labels out of more, 2 <= m: sums over the nodes of a race."""

    q: Floats
    m: int

    @cached_property
    def _found(self) -> tuple[Floats, float]:
        groups, race_of_groups = self._groups, self._race

        def of(heat: Heat) -> Floats:
            out = np.zeros(groups.q.size)
            add_inclusion(heat.chances(groups.q), groups.q, heat.thetas, heat.weights, heat.rates, out)
            return out

        inclusion = np.minimum(groups.spread(race_of_groups.total(of)), 1.0)
        return inclusion, self._off(race_of_groups.one, float(inclusion.sum()))

    @cached_property
    def _groups(self) -> Groups:
        groups = grouped(self.q, WIDTH)
        is_steep = groups.bins and typical_time(groups.q, groups.times, self.m) * self.q.max() > 8.0
        return grouped(self.q, FINE) if is_steep else groups

    @cached_property
    def _race(self) -> Race:
        return race(self._groups.q, self._groups.times, self.m)

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

    def missing(self, misses: Floats) -> Floats:
        def of(heat: Heat) -> Floats:
            out, chances = np.zeros(misses.shape[1]), heat.chances(self.q)
            late, terms = _late(chances, heat.thetas.size)
            powers = power_sums(chances, self.q, np.flatnonzero(late), terms, misses)
            early = np.flatnonzero(~late)
            add_missing(chances, self.q, early, powers, heat.thetas, heat.weights, misses, out)
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

    def nodes(self) -> Iterator[Node]:
        for heat in self._race.heats:
            p, rest = heat.chances(self.q)
            for theta, (w, v) in zip(heat.thetas, heat.weights, strict=True):
                turned = p * np.exp(1j * theta)
                d = turned + rest
                yield Node(complex(w, v), turned / d, rest / d, self.q * rest / d, 0.0)


def _late(chances: Floats, n_places: int) -> tuple[NDArray[np.bool_], Labels]:
    """Labels whose odds p/(1 - p) have few enough powers, (J,), and how many: those that follow are rounding errors."""
    p, rest = chances
    with np.errstate(divide="ignore"):
        log_odds = np.log(p) - np.log(rest)
    late = log_odds < -LEAST_DIGITS / (PLACES_A_TERM * n_places)
    terms = np.ceil(-LEAST_DIGITS / np.maximum(log_odds[late], -LEAST_DIGITS))
    return late, terms.astype(np.intp)


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
