"""Every set of labels that a run can draw, with its chance, written out here and not asked of the library."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from implicitloss.draws import DrawsName
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit
from implicitloss.scheme import Hits, Scheme
from implicitloss.weightings import Importance, Weighting
from paper_checks.design.listing import Listing

LAWS: tuple[tuple[float, ...], ...] = (
    (0.55, 0.25, 0.15, 0.05),
    (0.9, 0.07, 0.02, 0.01),
    (0.3, 0.25, 0.2, 0.15, 0.1),
    (0.97, 0.02, 0.009, 0.000999, 0.000001),
)
LISTED = "every run listed"
SCORES = (0.3, -0.4, 1.2, -1.7, 0.5)
OTHER_SCORES = (-0.6, 0.9, 0.4, 1.1, -1.3)
ROUNDING = 1e-13


@dataclass(frozen=True)
class Runs:
    """Runs of a design from a law, for the positive y."""

    design: DrawsName
    m: int
    law: tuple[float, ...] = LAWS[0]
    hits: Hits = "mask"
    positive: int = 1

    def __str__(self) -> str:
        return f"{self.design}, m={self.m}, hits={self.hits}, y={self.positive}, q = {self.law}"

    @property
    def q(self) -> Floats:
        """The law of a draw, of others than y where hits are excluded."""
        q = np.array(self.law)
        if self.hits == "exclude":
            q[self.positive] = 0.0
            q /= q.sum()
        return q

    @cached_property
    def sets(self) -> dict[tuple[int, ...], float]:
        """The chance of each set of labels, in order of its labels; of multisets where draws are i.i.d."""
        labels = [j for j, q in enumerate(self.q) if q > 0]
        found: dict[tuple[int, ...], float] = {}
        if self.design == "bernoulli":
            # The chance that none of m draws is j, for each label by itself.
            out = {j: math.prod([1 - self.q[j]] * self.m) for j in labels}
            for k in range(len(labels) + 1):
                for chosen in itertools.combinations(labels, k):
                    found[chosen] = math.prod(1 - out[j] if j in chosen else out[j] for j in labels)
            return found
        orders = (
            itertools.permutations(labels, self.m)
            if self.design == "distinct"
            else itertools.product(labels, repeat=self.m)
        )
        for order in orders:
            chance = 1.0
            for i, j in enumerate(order):
                rest = math.fsum(self.q[k] for k in labels if k not in order[:i]) if self.design == "distinct" else 1.0
                chance *= self.q[j] / rest
            chosen = tuple(sorted(order if self.design == "iid" else set(order)))
            found[chosen] = found.get(chosen, 0.0) + chance
        return found

    @cached_property
    def inclusion(self) -> Floats:
        """P(j ∈ N), (L,); the expected count where draws are i.i.d."""
        found = np.zeros(len(self.law))
        for chosen, chance in self.sets.items():
            for j in chosen:
                found[j] += chance
        return found

    def scheme(self, weighting: Weighting | None = None) -> Scheme:
        """The library's scheme, with importance weights if no others are given."""
        return Scheme(
            Explicit(np.array(self.law)), weighting or Importance(), m=self.m, hits=self.hits, draws=self.design
        )

    def problem(self, scores: Sequence[float] = SCORES) -> Problem:
        """An example with the positive y."""
        n = len(self.law)
        return Problem(np.array(scores[:n]), LabelPrior.from_counts(np.arange(n, 0, -1.0)), self.positive)

    def sums(self, adds: Floats) -> tuple[Floats, Floats]:
        """Σ_{j ∈ N} adds_j of each run, and its chance."""
        return np.array([adds[list(chosen)].sum() for chosen in self.sets]), np.array(list(self.sets.values()))


def exact(values: Floats | float, what: str, error: float = ROUNDING) -> Estimate:
    """Numbers with a relative rounding error."""
    array = np.asarray(values, dtype=np.float64)
    return Estimate(
        array if array.ndim else float(array),
        np.abs(array) * error if array.ndim else abs(float(array)) * error,
        what,
        "listing",
    )


def listed(design: DrawsName, m: int, eta: Floats, q: Floats, weights: Floats, hits: Hits) -> Listing:
    """Each run beside each positive, with weights w_yy', (L, L); hits are masked, or kept."""
    n = q.size
    chances, totals, own = [], [], []
    for chosen, chance in Runs(design, m, tuple(q.tolist())).sets.items():
        for y in range(n):
            row = np.zeros(n)
            for j in chosen:
                row[j] += weights[y, j] if j != y or hits == "keep" else 0.0
            row[y] += 1
            chances.append(chance * eta[y])
            totals.append(row)
            own.append(np.arange(n) == y)
    return Listing(np.array(chances), np.array(totals), np.array(own, dtype=np.float64))
