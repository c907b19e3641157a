"""The measured parts of an audit, sorted by what they say of a scheme, and as arrays that margins are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from implicitloss.auditing.comparison import BY_SCORE, HITS, NEVER, Comparison
from implicitloss.labels import Floats, Labels

__all__ = ["LEAST_RELATIVE_ERROR", "MOST_ERROR", "Parts", "error_of_hits"]

# The least relative error of a measured part: of the decoded weights, and of the single weight of a draw.
LEAST_RELATIVE_ERROR = 1e-4
# Parts with a larger relative error say too little to fit a slope, or to name a scheme.
MOST_ERROR = 0.3
# The misfit of the right scheme is larger than is allowed with this probability.
FALSE_MISFIT = 1e-9


@dataclass(frozen=True, eq=False)
class Parts:
    """Comparisons by what they say: parts that were `seen`, `empty` ones, `hits`, and those `used` for the distance.

    The `apart` ones have no label in common, for one positive, and enough draws for a fit.
    """

    seen: list[Comparison]
    empty: list[Comparison]
    hits: list[Comparison]
    used: list[Comparison]
    apart: list[Comparison]

    @classmethod
    def of(cls, comparisons: Sequence[Comparison]) -> Parts:
        """Sort them; a positive whose loss is 0 says nothing."""
        counted = {c.positive for c in comparisons if c.measured > 0}
        parts = [c for c in comparisons if c.part != HITS and c.labels.size and c.positive in counted]
        seen, empty = [c for c in parts if c.measured > 0], [c for c in parts if not c.measured > 0]
        used = [c for c in seen if c.decisive] or seen
        apart = [
            c
            for c in seen
            if (c.ranks is not None or c.part == NEVER) and not c.exceeds_bound and c.spread <= MOST_ERROR * c.measured
        ]
        hits = [c for c in comparisons if c.part == HITS and c.positive in counted]
        return cls(seen, empty, hits, used, apart)

    @property
    def known_hits(self) -> list[Comparison]:
        """The hits that were seen often enough for a fit."""
        return [c for c in self.hits if c.measured > 0 and c.spread <= MOST_ERROR * c.measured]

    @cached_property
    def positives(self) -> list[int]:
        """The positives that any part is about."""
        return list(dict.fromkeys(c.positive for c in (*self.seen, *self.empty, *self.hits)))

    @property
    def misfit_by_chance(self) -> float:
        """What the misfit of the right scheme exceeds with probability about `FALSE_MISFIT`: it has as many terms."""
        return float(special.chdtri(len(self.apart or self.used) + len(self.hits), FALSE_MISFIT))

    @cached_property
    def sums(self) -> _Sums:
        """The parts that were seen, of which there is one at least, as arrays."""
        return _Sums.of(self)


@dataclass(frozen=True, eq=False)
class _Sums:
    """The parts that were seen as arrays (parts,): what was measured, and which margins (rows, L) each adds up."""

    entries: tuple[Labels, Labels, Labels]  # part, row and label of each margin that is added up
    log_measured: Floats
    low: Floats
    high: Floats
    error: Floats  # of log_measured
    is_used: NDArray[np.bool_]
    is_apart: NDArray[np.bool_]
    is_by_score: NDArray[np.bool_]

    @classmethod
    def of(cls, parts: Parts) -> _Sums:
        """The arrays of these parts."""
        seen = parts.seen
        row = np.array([parts.positives.index(c.positive) for c in seen])
        others = [c.labels[c.labels != c.positive] for c in seen]
        part = np.repeat(np.arange(len(seen)), [labels.size for labels in others])
        measured, low, high, spread = np.array([(c.measured, c.low, c.high, c.spread) for c in seen]).T
        return cls(
            (part, row[part], np.concatenate(others)), np.log(measured), low, high,
            np.maximum(spread / measured, [max(c.rounding, LEAST_RELATIVE_ERROR) for c in seen]),
            np.array([c in parts.used for c in seen]), np.array([c in parts.apart for c in seen]),
            np.array([c.part in BY_SCORE for c in seen]),
        )  # fmt: skip

    def expected(self, p: Floats) -> Floats:
        """The sums of the margins p (rows, L) over the negatives of each part."""
        part, row, label = self.entries
        return np.asarray(np.bincount(part, p[row, label], minlength=self.error.size), dtype=np.float64)


def error_of_hits(hits: Comparison) -> float:
    """The relative error of a measured weight of hits."""
    return max(hits.spread / hits.measured, hits.rounding, LEAST_RELATIVE_ERROR)
