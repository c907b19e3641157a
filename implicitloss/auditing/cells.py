"""Cells: labels whose claimed margins are compared with the measured ones together, and how that comparison ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from implicitloss.bounds import sum_interval
from implicitloss.labels import Floats, Labels

Result = Literal["holds", "refuted", "inconclusive", "measured"]
Route = Literal["gradient", "value"]


@dataclass(frozen=True, eq=False)
class Cell:
    """Σ p_yy' over the `labels` of a part, for one positive: claimed, and measured between two limits.

    `heaviest` is the most that one draw may add.  Only `decisive` cells have to be known to within their `resolution`
    for an audit to hold; any cell can refute.
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
    # How much of the positive's own hits is in it, where values cannot tell them apart.
    hits_in: float = 0.0

    def with_sum(self, total: float, n: int, delta: float) -> Cell:
        """The same cell, measured by the sum over `n` evaluations; limits are wrong with probability `delta`."""
        low, high = sum_interval(total / self.heaviest, delta)
        scale = self.heaviest / n
        return replace(self, measured=total / n, low=float(low) * scale, high=float(high) * scale)

    def result(self, tolerance: float) -> Result:
        """How the claim stands here, if a share of `tolerance` either way is as good as equal."""
        if self.claimed is None:
            return "measured"
        if self.claimed == 0.0:
            return "refuted" if self.measured > 0 else "holds"
        if self.high * (1 + tolerance) < self.claimed or self.low > self.claimed * (1 + tolerance):
            return "refuted"
        reach = 1 + tolerance + self.resolution
        return "holds" if self.low * reach >= self.claimed and self.high <= self.claimed * reach else "inconclusive"

    @property
    def visible(self) -> float:
        """The relative deviation that would have been seen here: the wider side of the limits."""
        if not self.measured > 0:
            return float("inf")
        return float(max(self.high / self.measured, self.measured / self.low if self.low > 0 else np.inf) - 1)

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
        }


def sightings_needed(resolution: float, delta: float) -> float:
    """Draws that have to be seen for limits to lie within 1 + `resolution` of the truth, and some to spare."""
    log = np.log(2 / delta)
    # z - 1 - log z at both ends, and as much again for the measured value's own distance from the truth.
    ends = (resolution - np.log1p(resolution), np.log1p(resolution) + 1 / (1 + resolution) - 1)
    return float(2.5 * log / min(ends))


def partition(order: Labels, sightings: Floats, heaviest: Floats, needed: float) -> list[Labels]:
    """Neighbours in `order` put together until each part has `needed` sightings, as few labels each as that takes.

    `sightings` (L,) are what each label is expected to add, in weight; a part's are that over its heaviest draw.
    """
    parts: list[list[int]] = []
    part: list[int] = []
    weight, heavy = 0.0, 0.0
    for label in order.tolist():
        part.append(label)
        weight, heavy = weight + float(sightings[label]), max(heavy, float(heaviest[label]))
        if heavy > 0 and weight / heavy >= needed:
            parts.append(part)
            part, weight, heavy = [], 0.0, 0.0
    if part and parts:
        parts[-1] += part
    elif part:
        parts.append(part)
    return [np.array(part) for part in parts]
