"""Offsets δ of K scores that make the errors of all classes equal, or their mean least, from scores and classes alone.

The error of a class is the share of its samples whose margin, their own score less the best other, is below 0.  It is
smoothed over a width of the class's own, as a kernel estimate of that distribution is, so that it moves with δ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtr

from implicitloss.labels import Floats, Labels

__all__ = ["equal_errors", "least_error"]

# Errors are equal within this; the steps of Newton's method; what is taken off its diagonal.
EQUAL, MOST_STEPS, DAMPING = 1e-9, 100, 1e-10
# Widths of the kernel beyond the last sample at which an error is 0 or 1; halvings of the way.
FARTHEST, HALVINGS = 8.0, 40
# A width of the kernel of this many standard deviations, over n^(1/3), is best for a distribution function.
WIDTH = 1.0
NORMAL = 1 / np.sqrt(2 * np.pi)


@dataclass(frozen=True, eq=False)
class _Errors:
    """Smoothed errors of the classes of samples with scores (n, K); `widths` (n,) are those of their classes."""

    scores: Floats
    codes: Labels
    counts: Labels
    widths: Floats

    @classmethod
    def of(cls, scores: Floats, codes: Labels) -> _Errors:
        counts = np.bincount(codes, minlength=scores.shape[1])
        plain = cls(scores, codes, counts, np.ones(len(codes)))
        margin, _ = plain.margins(np.zeros(scores.shape[1]))
        mean = plain._by_class(margin)
        spread = np.sqrt(plain._by_class((margin - mean[codes]) ** 2))
        least = 1e-9 * (float(np.abs(scores).max()) or 1.0)
        widths = np.maximum(WIDTH * spread / np.cbrt(counts), least)
        return cls(scores, codes, counts, widths[codes])

    def _by_class(self, values: Floats) -> Floats:
        return np.asarray(np.bincount(self.codes, values, self.counts.size) / self.counts)

    def margins(self, delta: Floats) -> tuple[Floats, Labels]:
        """Each sample's own score less the best other, (n,), and whose that is, (n,)."""
        shifted, rows = self.scores + delta, np.arange(len(self.codes))
        own = shifted[rows, self.codes]
        shifted[rows, self.codes] = -np.inf
        best = shifted.argmax(axis=1)
        return own - shifted[rows, best], best

    def at(self, delta: Floats) -> tuple[Floats, Floats]:
        """The smoothed errors, (K,), and their derivatives by δ, (K, K)."""
        margin, best = self.margins(delta)
        ratio, k = margin / self.widths, self.counts.size
        density = NORMAL * np.exp(-(ratio**2) / 2) / (self.widths * self.counts[self.codes])
        slopes: Floats = np.bincount(self.codes * k + best, density, k * k).reshape(k, k).astype(np.float64)
        slopes[np.arange(k), np.arange(k)] = -slopes.sum(axis=1)
        return self._by_class(ndtr(-ratio)), slopes

    def to_level(self, delta: Floats, level: float) -> Floats:
        """How far each class has to be moved alone, (K,), for its error to be `level`; by bisection."""
        margin, _ = self.margins(delta)
        ratio, width = margin / self.widths, np.empty(self.counts.size)
        width[self.codes] = self.widths
        low, high = np.full(width.size, np.inf), np.full(width.size, -np.inf)
        np.minimum.at(low, self.codes, -ratio)
        np.maximum.at(high, self.codes, -ratio)
        low, high = low - FARTHEST, high + FARTHEST
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            above = self._by_class(ndtr(-ratio - middle[self.codes])) > level
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return np.asarray(width * (low + high) / 2)


def equal_errors(scores: Floats, codes: Labels) -> Floats:
    """δ, (K,), of mean 0, at which the smoothed errors of all classes are equal, or as near to it as is found.

    Newton's method; where a step does not bring errors together, each class moves half way to where its own error,
    the others being as they are, is the mean of all.
    """
    errors, k = _Errors.of(scores, codes), scores.shape[1]
    unit, delta, system = float(np.median(errors.widths)), np.zeros(k), np.zeros((k + 1, k + 1))
    system[:k, k], system[k, :k] = -1.0, 1.0
    value, slopes = errors.at(delta)
    best, least = delta, float(np.ptp(value))
    for _ in range(MOST_STEPS):
        if least < EQUAL:
            break
        # The rows of the slopes sum to 0; less on the diagonal, the system has one solution.
        system[:k, :k] = unit * slopes
        system[np.arange(k), np.arange(k)] -= DAMPING * (unit * np.abs(slopes).max() + 1)
        step = unit * np.linalg.solve(system, np.append(-value, 0.0))[:k]
        tried = errors.at(delta + step)
        if not np.ptp(tried[0]) < np.ptp(value) / 2:
            step = errors.to_level(delta, float(value.mean())) / 2
            tried = errors.at(delta + step)
        delta = delta + step - step.mean()
        value, slopes = tried
        if np.ptp(value) < least:
            best, least = delta, float(np.ptp(value))
    return best


def least_error(scores: Floats, codes: Labels) -> Floats:
    """δ, (K,), of mean 0, at which the mean of the classes' smoothed errors is least, from 0 and from equality."""
    errors, k = _Errors.of(scores, codes), scores.shape[1]
    unit = float(np.median(errors.widths))

    def objective(at: Floats) -> tuple[float, Floats]:
        value, slopes = errors.at(unit * at)
        return float(value.mean()), unit * slopes.mean(axis=0)

    starts = (np.zeros(k), equal_errors(scores, codes) / unit)
    found = [minimize(objective, start, jac=True, method="L-BFGS-B") for start in starts]
    delta = unit * min(found, key=lambda result: float(result.fun)).x
    return np.asarray(delta - delta.mean())
