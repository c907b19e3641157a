"""What draws cost: the information that is kept, and the number of draws that is enough; and the table of both."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_matrix
from implicitloss.designing.place import OWN, Place, is_ratio
from implicitloss.labels import Floats, LabelPrior
from implicitloss.margins import BalancedSoftmax, LogitAdjusted, Margin, Softmax
from implicitloss.numerics.threads import in_order
from implicitloss.optima.information import about_each_label
from implicitloss.optima.tilt import At
from implicitloss.problem import LARGEST_SCORE
from implicitloss.samplers import Mixture, Sampler, Uniform, WithinBatch
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.scheme import HITS, MOST_NEGATIVES, Hits, Scheme
from implicitloss.weightings import Consistent

__all__ = ["PLACES", "SLICES", "Prices", "eta_of", "least_draws"]

SLICES = ("head", "torso", "tail")
PLACES: tuple[At, ...] = get_args(At)
# What "enough draws" means in the table: a tilt so close to the target's, and this share of the tail's information.
ENOUGH_TILT, ENOUGH_INFORMATION = 0.01, 0.9
# The number of draws that is found is the least, or larger by at most this part where it is large.
NEARLY = 1 / 200
# To look for it, the sides of the balance agree to so small a part of the tilt.
ROUGHLY = 1e-4
# It is looked for from here.
START = 255
# So many scores are priced, of examples that are evenly chosen, but of no fewer examples than this.
MOST_SCORES, FEWEST_EXAMPLES = 1 << 19, 2
# A label is at least so likely at an example: information about others does not see the difference.
LEAST_ETA = 1e-200
# A tilt that is rounding.
ZERO = 1e-9


@dataclass(frozen=True, eq=False)
class Prices:
    """The prices of draws for a target: at typical x, and information at those of `eta` (n, L), if there are any."""

    prior: LabelPrior
    target: Margin
    sampler: Sampler
    m: int
    eta: Floats | None
    _known: dict[tuple[Sampler, int], dict[str, float]] = field(default_factory=dict)

    @cached_property
    def samplers(self) -> list[Sampler]:
        """The samplers that are compared: the design's own, and the usual ones."""
        usual: list[Sampler] = [WithinBatch(), Mixture(0.5), Uniform()]
        return [self.sampler, *(sampler for sampler in usual if sampler != self.sampler)]

    @cached_property
    def places(self) -> dict[tuple[At, Sampler], Place]:
        """The typical x, for each sampler."""
        return {
            (at, sampler): Place(at, self.prior, sampler, self.target) for at in PLACES for sampler in self.samplers
        }

    def kept(self, sampler: Sampler, m: int) -> dict[str, float]:
        """The information that is kept about a label of each slice; slices without likely labels are left out."""
        if (sampler, m) not in self._known:
            self._known[sampler, m] = self._kept(sampler, m)
        return self._known[sampler, m]

    def _kept(self, sampler: Sampler, m: int) -> dict[str, float]:
        scheme = Scheme(sampler, Consistent(), m=m, hits="keep")
        if self.eta is not None:
            found = np.array([about_each_label(scheme, eta, self.prior) for eta in self.eta])
            return self._by_slice(found, self.eta)
        place = self.places["peaked", sampler]
        likely = np.isin(np.arange(self.prior.n_labels), place.labels).astype(np.float64)
        return self._by_slice(about_each_label(scheme, place.eta, self.prior), likely)

    def _by_slice(self, found: Floats, weights: Floats) -> dict[str, float]:
        """The weighted means of a number of each label (..., L)."""
        slices = {name: labels for name, labels in self.prior.slices().items() if weights[..., labels].any()}
        return {
            name: float(np.sum(found[..., labels] * weights[..., labels]) / np.sum(weights[..., labels]))
            for name, labels in slices.items()
        }

    def draws_for_information(self, sampler: Sampler, share: float, part: str) -> int | None:
        """The draws that keep so much information about a slice."""
        return least_draws(lambda m: 1 - self.kept(sampler, m)[part], 1 - share, START)

    def draws_for_tilt(self, sampler: Sampler, largest: float, hits: Hits, start: int = START) -> int | None:
        """The draws with which the target's own weights come so close to its optimum, where a few labels are likely."""
        place = self.places["peaked", sampler]
        return least_draws(lambda m: abs(place.off_by_own(m, hits, ROUGHLY * largest)), largest, start)

    def rows(self, progress: Callable[[int, int], None] | None) -> Iterator[dict[str, Any]]:
        """The rows of `Design.alternatives`."""
        total = len(self.samplers) * len(HITS)
        if progress is not None:
            progress(0, total)
        for i, rows in enumerate(in_order(self._rows_of, range(len(self.samplers)))):
            yield from rows
            if progress is not None:
                progress((i + 1) * len(HITS), total)

    def _rows_of(self, number: int) -> list[dict[str, Any]]:
        """The rows of a sampler."""
        sampler = self.samplers[number]
        kept, places = self.kept(sampler, self.m), [self.places[at, sampler] for at in PLACES]
        enough = self.draws_for_information(sampler, ENOUGH_INFORMATION, "tail") if "tail" in kept else None
        start: int | None = None
        rows = []
        for hits in HITS:
            off = {place.name: place.off(self.m, hits) for place in places}
            start = needed = self.draws_for_tilt(sampler, ENOUGH_TILT, hits, start or START)
            for weights in self._weights:
                is_priced = hits == "keep" and weights in ("consistent", "unit")
                slopes = {f"off_{at}": found.get(weights, math.nan) for at, found in off.items()}
                draws = needed if weights == self._own else None
                if is_priced and all(abs(slope) <= ZERO for slope in slopes.values()):
                    draws = 1  # at every m
                rows.append({
                    "sampler": complete_sampler(sampler).name, "weights": weights, "hits": hits,
                    **slopes,
                    **{part: kept.get(part, math.nan) if is_priced else math.nan for part in SLICES},
                    "negatives_tilt": draws, "negatives_information": enough if is_priced else None,
                })  # fmt: skip
        return rows

    @property
    def _own(self) -> str:
        """What the table calls weights p_yy'/(m q_y') with the target's margins."""
        if isinstance(self.target, Softmax):
            return "importance"
        is_tail = isinstance(self.target, BalancedSoftmax) or self.target == LogitAdjusted(1.0)
        return "tail" if is_tail else OWN

    @property
    def _weights(self) -> list[str]:
        """The weights of the table."""
        found = ["consistent"] if is_ratio(self.target) else []
        return [*found, *dict.fromkeys((self._own, "importance", "tail", "unit"))]


def least_draws(lost: Callable[[int], float], allowed: float, start: int) -> int | None:
    """The least m at which `lost(m)` is at most `allowed`, where it falls with m; a large m to within `NEARLY`.

    None where 10¹² draws are too few, or what is lost is no number.
    """
    known: dict[int, float] = {}

    def excess(m: int) -> float:
        if m not in known:
            known[m] = math.log(max(lost(m), 1e-300) / allowed)
        return known[m]

    low, high, m = 0, MOST_NEGATIVES + 1, start
    stride, before = 1.0, math.inf
    while low == 0 or high > MOST_NEGATIVES:
        found = excess(m)
        if math.isnan(found) or (found > 0 and m == MOST_NEGATIVES):
            return None
        low, high = (m, high) if found > 0 else (low, m)
        if high == 1:
            return 1
        # What is lost falls about as 1/m where little is; a little further, so that the number is between two bounds.
        # Where it falls more slowly, as towards a limit, strides grow.
        stride, before = (2 * stride if found > before / 2 else stride), (found if found > 0 else before)
        further = math.log(m) + stride * found + math.copysign(3 * NEARLY, found)
        m = MOST_NEGATIVES if further >= math.log(MOST_NEGATIVES) else max(round(math.exp(further)), 1)
        m = max(m, low + 1) if found > 0 else min(m, high - 1)
    while high - low > max(1.0, NEARLY * low):
        span = math.log(high / low)
        share = excess(low) / (excess(low) - excess(high))
        # False position, which on its own may leave one bound where it is.
        m = round(low * math.exp(span * (share if 0.1 < share < 0.9 else 0.5)))
        m = min(max(m, low + 1), high - 1)
        low, high = (m, high) if excess(m) > 0 else (low, m)
    return high


def eta_of(scores: ArrayLike, prior: LabelPrior) -> Floats:
    """P(y given x) of examples, evenly chosen among those whose scores are given."""
    found = checked_matrix(np.atleast_2d(np.asarray(scores)), "scores", LARGEST_SCORE)
    if found.shape[1] != prior.n_labels or not len(found):
        raise ValueError(f"scores must be (n, {prior.n_labels}), a number for each label, got shape {found.shape}")
    n = min(len(found), max(FEWEST_EXAMPLES, MOST_SCORES // prior.n_labels))
    found = found[np.linspace(0, len(found) - 1, n).round().astype(np.intp)]
    eta = np.exp(found - found.max(axis=1, keepdims=True))
    eta = np.maximum(eta, LEAST_ETA)
    return np.asarray(eta / eta.sum(axis=1, keepdims=True))
