"""A comparison: the claimed and the measured margins of a part of the labels, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.labels import Floats, Labels
from implicitloss.numerics.bounds import TILTS, sum_half_width

__all__ = [
    "BY_SCORE",
    "HITS",
    "HIT_RESOLUTION",
    "LEAST_HITS",
    "NEVER",
    "NO_COUNT",
    "PILOT_SHARE",
    "SLICES",
    "SPARE",
    "Comparison",
    "Result",
    "farthest",
    "in_reach",
    "ranks_named",
]

# Accidental hits are either kept or removed, so the order of magnitude of their weight is enough.
HIT_RESOLUTION = 9.0
# Hits that are not settled so, and negatives that are claimed not to count, hold if what is left open of them changes
# e^loss at equal scores by this share.
MINOR_SHARE = 0.01
# Hits of at most this weight, beside a positive of weight 1, are those of a loss that is cut off near 0, as one whose
# probabilities are clipped to 1 - 1e-7.
LEAST_HITS = 2e-6
# The first evaluations of so many are the pilot.  The largest contribution in a larger one grows about so much.
PILOT_SHARE, PILOT_GROWS = 16, 2.0
# One call is assumed to contribute at most this many times the largest contribution of as many examples in the pilot.
SPARE = 3.0
# Sums of some hundred contributions, each from a loss in double precision, are rounded by less than this share.
SUM_ROUNDING = 1e-9

Result = Literal["holds", "refuted", "inconclusive", "measured"]
Route = Literal["gradient", "value"]
SLICES = ("head", "torso", "tail")
NEVER = "never drawn in the pilot"
# Labels of count 0: no verdict waits for them.
NO_COUNT = "of count 0"
HITS, BY_SCORE = "accidental hits", ("scored above the positive", "scored below it")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Σ p_yy' over the `labels` of a part, for one positive: the claim, and the measured value between two limits.

    The limits assume that the examples of one call contribute at most `largest_contribution`, together.  If those of a
    call contribute more, the comparison `exceeds_bound` and stays inconclusive.  An audit holds only if every
    `decisive` comparison is known to within its `resolution`; any comparison can refute.
    """

    positive: int
    part: str
    labels: Labels
    route: Route
    largest_contribution: float
    claimed: float | None
    decisive: bool = False
    resolution: float = 0.25
    measured: float = float("nan")
    low: float = 0.0
    high: float = float("inf")
    exceeds_bound: bool = False
    # The first and the last rank by frequency, where the labels are those of a range of ranks.
    ranks: tuple[int, int] | None = None
    # Upper limit that still passes where the claim is 0.
    negligible: float = 0.0
    # Of accidental hits, and of negatives that are not to count: 1 + Σ p_yy' + p_yy as claimed, e^loss at equal scores.
    whole: float = 0.0
    # The standard error of the measured value.
    spread: float = 0.0
    # Upper limit on the relative error that the rounding of the loss makes in a contribution.
    rounding: float = 0.0
    # The calls that were made, or as many independent evaluations.
    calls: float = 0.0
    # The evaluations, and what of the width of the limits falls as 1/√n: the rest falls as 1/n.
    n: int = 0
    of_variance: float = 0.0

    def with_sums(
        self, total: float, squares: float, most: float, n: int, delta: float, unseen: float = 0.0,
        expected: float = 0.0,
    ) -> Comparison:  # fmt: skip
        """The comparison after `n` evaluations, by the sums over the examples of each call.

        `total` is their total, `squares` the sum of their squared distances from what was `expected` of a call by the
        pilot, and `most` the largest.  The limits are wrong with probability at most `delta`; rounding may hide
        `unseen` in the mean.
        """
        # As many draws as the limit has are no more than it, whatever the rounding of their sum.
        mean, bound = total / n, self.largest_contribution * (1 + SUM_ROUNDING + self.rounding)
        width = float(sum_half_width(squares, farthest(expected, bound), delta)) / n
        low = max(mean - width, 0.0) / (1 + self.rounding)
        high = (mean + width) * (1 + self.rounding) + unseen
        return replace(
            self, measured=float(mean), low=float(low), high=float(high), exceeds_bound=bool(most > bound),
            spread=math.sqrt(squares) / n, n=n,
            of_variance=min(math.sqrt(2 * squares * math.log(2 * TILTS.size / delta)) / n, width),
        )  # fmt: skip

    def without(self, hits: Comparison, known: bool) -> Comparison:
        """The comparison of what is left of the sum when the `hits` in it, in its units, are taken off.

        The limits of both hold at once, and so do those of their difference.  Where no negative is claimed, one draw
        refutes if it is `known` to be no hit; else the lower limit has to.
        """
        low, high = max(self.low - hits.high, 0.0), max(self.high - hits.low, 0.0)
        is_seen = known or self.claimed != 0.0 or low > 0.0
        return replace(
            self, measured=max(self.measured - hits.measured, 0.0) if is_seen else 0.0, low=low, high=high,
            exceeds_bound=self.exceeds_bound or hits.exceeds_bound, spread=math.hypot(self.spread, hits.spread),
            of_variance=self.of_variance + hits.of_variance,
        )  # fmt: skip

    def result(self, tolerance: float) -> Result:
        """How the comparison ends if a relative deviation of `tolerance` counts as equal.

        Accidental hits, or negatives of no weight, that are still open hold if what is undecided of their weight is a
        small part of the `whole`: softmax losses are log(1 + p_yy + Σ p_yy' e^{f_y' - f_y}) in the mean, and so hits
        of weight .01 beside negatives of weight 1 hardly change them, however badly that .01 is known.
        """
        if not self.is_open(tolerance):
            return self._result(tolerance)
        claimed = self.claimed or 0.0
        undecided = max(self.high - claimed, claimed - self.low)
        is_minor = not self.exceeds_bound and undecided <= MINOR_SHARE * self.whole
        return "holds" if is_minor else "inconclusive"

    def is_open(self, tolerance: float) -> bool:
        """Whether more evaluations may settle the comparison."""
        return self._result(tolerance) == "inconclusive"

    def _result(self, tolerance: float) -> Result:
        if self.claimed is None:
            return "measured"
        if self.claimed == 0.0:
            if self.part == HITS and self.high <= LEAST_HITS:
                return "holds"
            return "refuted" if self.measured > 0 else "holds" if self.high <= self.negligible else "inconclusive"
        if self.exceeds_bound:
            return "inconclusive"
        if self.high * (1 + tolerance) < self.claimed or self.low > self.claimed * (1 + tolerance):
            return "refuted"
        reach = 1 + tolerance + self.resolution
        return "holds" if self.low * reach >= self.claimed and self.high <= self.claimed * reach else "inconclusive"

    def runs_needed(self, tolerance: float) -> float:
        """About how many evaluations would settle a comparison that is open, inf if that cannot be said.

        It holds once its limits are narrower than its resolution, or is refuted once they leave out the claim.  The
        widths of limits are those measured, and fall as a/√n + b/n; two standard errors are left for the measured
        value.  More evaluations have a larger pilot, which sees heavier calls: b may double, and a pilot as large as
        these evaluations has seen the call that exceeds the limit.
        """
        if self.claimed is None or not self.n or not math.isfinite(self.high):
            return math.inf
        off = max(abs(self.measured - self.claimed) - 2 * self.spread, 0.0)
        reach = 1 + tolerance + self.resolution
        within = self.negligible if self.claimed == 0.0 else self.claimed * (1 - 1 / reach - self.rounding)
        aim = max(within - off, MINOR_SHARE * self.whole - off, off - tolerance * self.claimed)
        width = max(self.high - self.measured, self.measured - self.low)
        falls_fast = PILOT_GROWS * max(width - self.of_variance, 0.0)
        times = _times(self.of_variance + 2 * self.spread, falls_fast, aim)
        return self.n * max(times, PILOT_SHARE if self.exceeds_bound else 0.0)

    @property
    def known_to(self) -> float:
        """The largest relative distance between the claim and a limit."""
        if not self.claimed or not self.low > 0:
            return float("inf")
        return float(max(self.high / self.claimed, self.claimed / self.low) - 1)

    @property
    def off_by(self) -> float:
        """The factor between the claim and the nearer limit; below 1 if the claim lies between the limits."""
        if not self.claimed:
            return float("inf") if self.measured > 0 else 0.0
        return float(max(self.low / self.claimed, self.claimed / self.high if self.high > 0 else math.inf))

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
            "exceeds_bound": self.exceeds_bound,
        }


def _times(of_root: float, of_inverse: float, aim: float) -> float:
    """The factor x of n at which `of_root`/√x + `of_inverse`/x is the `aim`, inf if that is not above 0."""
    if not aim > 0:
        return math.inf
    root = (of_root + math.sqrt(of_root**2 + 4 * of_inverse * aim)) / (2 * aim)
    return root**2


def ranks_named(first: int, last: int) -> str:
    """The name of a part that is a range of ranks."""
    return f"rank {first}" if first == last else f"ranks {first} to {last}"


def farthest(expected: ArrayLike, largest_contribution: ArrayLike) -> Floats:
    """How far a call's sum, from 0 to `largest_contribution`, can lie from the `expected` one."""
    return np.maximum(expected, np.subtract(largest_contribution, expected))


def in_reach(
    sums: Floats,
    n: int,
    largest_contribution: float,
    runs: int,
    resolution: float,
    delta: float,
    most: float = math.inf,
) -> bool:
    """Whether limits after `runs` evaluations are likely to lie within a factor 1 + `resolution` of the mean.

    `sums` are those of the calls of a pilot of `n` evaluations; the mean is theirs, and no larger than `most`.  The
    limits may take 60 % of that distance; the rest is left for the error of the measured mean.
    """
    squares = float(sums.var(ddof=1)) * sums.size * runs / n
    width = float(sum_half_width(squares, farthest(float(sums.mean()), largest_contribution), delta)) / runs
    return width <= 0.6 * resolution / (1 + resolution) * min(float(sums.sum()) / n, most)
