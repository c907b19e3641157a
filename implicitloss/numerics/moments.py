"""Means and sums of squared deviations of some terms, merged from blocks."""

from __future__ import annotations

from dataclasses import dataclass

from implicitloss.labels import Floats

__all__ = ["Moments"]


@dataclass(frozen=True)
class Moments:
    """n, mean, sum of squared deviations of some terms (each a vector)."""

    n: int
    mean: Floats
    squares: Floats

    def merged(self, other: Moments) -> Moments:
        n = self.n + other.n
        step = other.mean - self.mean
        return Moments(
            n,
            self.mean + step * (other.n / n),
            self.squares + other.squares + step**2 * (self.n * other.n / n),
        )
