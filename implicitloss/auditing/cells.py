"""Cells: labels whose claimed margins are compared with the measured ones together, and how that comparison ends."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from implicitloss.labels import Labels
from implicitloss.numerics.bounds import half_width

# Hits are kept or they are not: of their weight the order of magnitude is enough.
ORDER = 9.0

Result = Literal["holds", "refuted", "inconclusive", "measured"]
Route = Literal["gradient", "value"]
SLICES = ("head", "torso", "tail")
NEVER = "never drawn in the pilot"
HITS, BY_SCORE = "accidental hits", ("scored above the positive", "scored below it")


@dataclass(frozen=True, eq=False)
class Cell:
    """Σ p_yy' over the `labels` of a part, for one positive: claimed, and measured between two limits.

    `heaviest` is the most that one evaluation is taken to add; one that adds more `bursts` it, and the cell says
    nothing.  Only `decisive` cells have to be known to within their `resolution` for an audit to hold; any can refute.
    """

    positive: int
    part: str
    labels: Labels
    route: Route
    heaviest: float
    claimed: float | None
    decisive: bool = False
    resolution: float = 0.25
    measured: float = float("nan")
    low: float = 0.0
    high: float = float("inf")
    bursts: bool = False
    # What is little, where nothing is claimed to be there.
    little: float = 0.0
    # How much of the positive's own hits is in it, where values cannot tell them apart.
    hits_in: float = 0.0

    def with_sums(self, total: float, variance: float, most: float, n: int, delta: float, unseen: float = 0.0) -> Cell:
        """The same cell, measured by sum, variance of one and maximum over `n` evaluations.

        Empirical-Bernstein limits, wrong with probability `delta`; `unseen` may hide below the rounding of each.
        """
        mean = total / n
        width = half_width(variance, self.heaviest, n, delta)
        if total == 0.0:
            # What was never seen has a probability of at most log(1/δ)/n; each of the two bounds has half of δ.
            width = min(half_width(0.0, self.heaviest, n, delta / 2), self.heaviest * math.log(2 / delta) / n)
        low, high = max(mean - width, 0.0), mean + width + unseen
        return replace(self, measured=float(mean), low=float(low), high=float(high), bursts=bool(most > self.heaviest))

    def result(self, tolerance: float) -> Result:
        """How the claim stands here, if a share of `tolerance` either way is as good as equal."""
        if self.claimed is None:
            return "measured"
        if self.claimed == 0.0:
            return "refuted" if self.measured > 0 else "holds" if self.high <= self.little else "inconclusive"
        if self.bursts:
            return "inconclusive"
        if self.high * (1 + tolerance) < self.claimed or self.low > self.claimed * (1 + tolerance):
            return "refuted"
        reach = 1 + tolerance + self.resolution
        return "holds" if self.low * reach >= self.claimed and self.high <= self.claimed * reach else "inconclusive"

    @property
    def known_to(self) -> float:
        """How far the limits lie from what is claimed at most, relative to it."""
        if not self.claimed or not self.low > 0:
            return float("inf")
        return float(max(self.high / self.claimed, self.claimed / self.low) - 1)

    @property
    def off_by(self) -> float:
        """By what factor the nearer limit is off what is claimed; below 1 if the claim lies between the limits."""
        if not self.claimed:
            return float("inf") if self.measured > 0 else 0.0
        return float(max(self.low / self.claimed, self.claimed / self.high if self.high > 0 else np.inf))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "positive": self.positive,
            "part": self.part,
            "n_labels": int(self.labels.size),
            "route": self.route,
            "claimed": self.claimed,
            "measured": self.measured,
            "low": self.low,
            "high": self.high,
            "decisive": self.decisive,
            "bursts": self.bursts,
        }


def in_reach(mean: float, variance: float, heaviest: float, runs: int, resolution: float, delta: float) -> bool:
    """Whether limits after `runs` evaluations are likely to lie within 1 + `resolution` of `mean`.

    Half of the way is for the limits, the rest for the measured mean's own distance from the truth.
    """
    return half_width(variance, heaviest, runs, delta) <= 0.6 * resolution / (1 + resolution) * mean
