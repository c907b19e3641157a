"""What margins alone hide: whether draws come together, and what the gradient pushes on, in the mean."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import special, stats

from implicitloss.labels import Floats, Labels

# A variance this share above that of independent draws, beyond its own error, is that of draws that come together.
MUCH = 0.1
CERTAIN = 1e-9


@dataclass(eq=False)
class Spread:
    """Counts of each slice (rows, S): their variance from evaluation to evaluation, and of means from call to call."""

    rows: int
    slices: Floats  # (L, S), 0 or 1
    n: int = 0
    total: Floats = field(init=False)
    squares: Floats = field(init=False)
    draws: Floats = field(init=False)
    means: list[Floats] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        shape = self.rows, self.slices.shape[1]
        self.total, self.squares, self.draws = np.zeros(shape), np.zeros(shape), np.zeros(self.rows)

    def add(self, counts: Floats) -> None:
        """Counts of one call, (rows, b, L)."""
        some = counts @ self.slices
        self.n += some.shape[1]
        self.total += some.sum(axis=1)
        self.squares += (some**2).sum(axis=1)
        self.draws = np.maximum(self.draws, counts.sum(axis=2).max(axis=1))
        self.means.append(some.mean(axis=1))
        self.sizes.append(some.shape[1])

    @property
    def dispersion(self) -> Floats:
        """Variance of a slice's count over that of as many independent draws, (rows, S): less than 1 for draws without
        replacement, more for draws that come together; 1 where there is nothing to compare."""
        mean = self.total / max(self.n, 1)
        # Of the most draws of an evaluation: masked hits are draws that are not seen.
        share = np.minimum(mean / np.maximum(self.draws, 1e-300)[:, None], 1.0)
        expected = mean * (1 - share)
        variance = (self.squares - self.n * mean**2) / max(self.n - 1, 1)
        return np.where(expected * self.n > 10, variance / np.maximum(expected, 1e-300), 1.0)

    def excess(self) -> float:
        """By how much the variance of sums exceeds that of independent draws, at worst, if beyond doubt; else 1.

        Within evaluations by the dispersion, whose error is that of a variance of counts (kurtosis 3 + 1/mean at most);
        between evaluations of one call by the means of calls, as chi-square.
        """
        mean = self.total / max(self.n, 1)
        error = np.sqrt((2 + 1 / np.maximum(mean, 1e-300)) / max(self.n, 1))
        sure = float(stats.norm.isf(CERTAIN))
        within = np.where(self.dispersion > 1 + MUCH + sure * error, self.dispersion, 1.0)
        found = float(within.max(initial=1.0))
        size = max(self.sizes, default=1)
        calls = np.array([m for m, b in zip(self.means, self.sizes, strict=True) if b == size])
        if size > 1 and len(calls) > 4:
            variance = (self.squares - self.n * mean**2) / max(self.n - 1, 1)
            ratio = calls.var(axis=0, ddof=1) * size / np.maximum(variance, 1e-300)
            limit = float(stats.chi2.isf(CERTAIN, len(calls) - 1)) / (len(calls) - 1)
            found *= float(np.where((ratio > limit) & (variance > 0), ratio, 1.0).max(initial=1.0))
        return found


@dataclass(eq=False)
class Pushes:
    """The expected gradient on each slice of negatives, beside that of softmax over all labels, (rows, S)."""

    rows: int
    slices: Floats
    n: int = 0
    sums: Floats = field(init=False)  # (5, rows, S): g, full, g², g full, full²

    def __post_init__(self) -> None:
        self.sums = np.zeros((5, self.rows, self.slices.shape[1]))

    def add(self, scores: Floats, positive: Labels, slopes: Floats) -> None:
        """Scores over the temperature and the loss's gradients in them, (B, L) both, of one call."""
        at = np.arange(len(scores))
        full = special.softmax(scores, axis=1)
        given = slopes.copy()
        full[at, positive] = given[at, positive] = 0.0
        g, f = ((x @ self.slices).reshape(self.rows, -1, self.slices.shape[1]) for x in (given, full))
        self.n += g.shape[1]
        self.sums += np.stack([x.sum(axis=1) for x in (g, f, g * g, g * f, f * f)])

    @property
    def ratio(self) -> Floats:
        """E g over that of softmax, (rows, S)."""
        return self.sums[0] / np.maximum(self.sums[1], 1e-300)

    @property
    def error(self) -> Floats:
        """One standard error of the ratio, to first order."""
        ratio, n = self.ratio, max(self.n, 1)
        residual = self.sums[2] - 2 * ratio * self.sums[3] + ratio**2 * self.sums[4]
        return np.sqrt(np.maximum(residual, 0.0)) / np.maximum(self.sums[1], 1e-300) * np.sqrt(n / max(n - 1, 1))
