"""Covariances of one class from n samples, n < d or not: shrunk towards a multiple of the identity.

With S the unbiased sample covariance (n - 1 in the denominator) the estimate is (1 - ρ) S + ρ (tr S / d) I, which has
the trace of S.  It needs tr S, tr S² and Σ_i ‖x_i - x̄‖⁴ alone, and these cost n² d or n d², whichever is less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from implicitloss.labels import Floats

__all__ = ["SampleMoments", "Shrinkage", "ShrunkCovariances", "effective_rank", "estimate", "intensity"]

Shrinkage = Literal["oas", "ledoit-wolf"]
# Numbers in K full covariances, at most: 1 GB; and in the factors that replace them.
MOST_WHOLE, MOST_IN_FACTORS = 1 << 27, 1 << 26


@dataclass(frozen=True)
class SampleMoments:
    """tr S, tr S² and Q = Σ_i ‖x_i - x̄‖⁴ / (n - 1) of n samples in d dimensions."""

    n: int
    d: int
    trace: float
    trace_of_square: float
    fourth: float

    @classmethod
    def from_centred(cls, centred: Floats) -> SampleMoments:
        """The moments of samples (n, d), n >= 2, from which their mean has been taken off."""
        n, d = centred.shape
        squares = np.einsum("ia,ia->i", centred, centred)
        gram = centred @ centred.T if n < d else centred.T @ centred
        degrees = n - 1
        return cls(
            n,
            d,
            float(squares.sum()) / degrees,
            float(np.sum(gram**2)) / degrees**2,
            float(squares @ squares) / degrees,
        )

    @property
    def unbiased(self) -> tuple[float, float]:
        """Estimates of (tr Σ)² and of tr Σ² without bias, whatever the law of the samples; n >= 4.

        Both are U-statistics (Himeno and Yamada 2014, Eqs. 2.2 and 2.3).
        """
        n, first, second = self.n, self.trace**2, self.trace_of_square
        scale = (n - 1) / (n * (n - 2) * (n - 3))
        square_of_trace = scale * (2 * second + (n * n - 3 * n + 1) * first - n * self.fourth)
        trace_of_square = scale * ((n - 1) * (n - 2) * second + first - n * self.fourth)
        return square_of_trace, trace_of_square


def intensity(moments: SampleMoments, kind: Shrinkage) -> float:
    """ρ, from 0 to 1: 1 where all that the samples say about directions is noise."""
    degrees, d = moments.n - 1, moments.d
    first, second = moments.trace**2, moments.trace_of_square
    spread = second - first / d  # ‖S - (tr S / d) I‖²
    if spread <= 1e-14 * second:
        return 1.0
    if kind == "oas":
        noise = (1 - 2 / d) * second + first
        return float(min(1.0, noise / ((degrees + 1 - 2 / d) * spread)))
    # Σ_i ‖x_i x_iᵀ - S'‖² / n², S' = S (n - 1)/n, over ‖S' - (tr S' / d) I‖².  Two samples have one x xᵀ.
    noise = moments.fourth / degrees - second / moments.n
    return float(np.clip(noise / spread, 0.0, 1.0)) if moments.n > 2 else 1.0


@dataclass(frozen=True)
class ShrunkCovariances:
    """Σ_k as a GaussianMixture takes them, and the effective rank of each class without the shrinkage."""

    covariances: Floats
    factors: Floats | None
    effective_rank: Floats


def estimate(parts: Sequence[Floats], varies: NDArray[np.bool_], kind: Shrinkage) -> ShrunkCovariances:
    """The covariances of classes from their centred samples, (n_k, d) each, 0 in features that never vary.

    Classes are shrunk towards the identity of the others, so that those features change nothing.
    """
    n, d = len(parts), varies.size
    moments = [replace(SampleMoments.from_centred(part), d=int(varies.sum())) for part in parts]
    shares = [intensity(each, kind) for each in moments]
    level = np.array([share * each.trace / each.d for share, each in zip(shares, moments, strict=True)])
    rank = np.array([effective_rank(each) for each in moments])
    if n * d * d <= MOST_WHOLE:
        whole = np.empty((n, d, d))
        for k, part in enumerate(parts):
            whole[k] = (1 - shares[k]) / (len(part) - 1) * (part.T @ part) + level[k] * np.diag(varies)
        return ShrunkCovariances(whole, None, rank)
    r = min(max(map(len, parts)) - 1, max(1, MOST_IN_FACTORS // (n * d)), d)
    factors = np.zeros((n, d, r))
    for k, part in enumerate(parts):
        scaled = part * np.sqrt((1 - shares[k]) / (len(part) - 1))
        gram = scaled @ scaled.T if len(part) < d else scaled.T @ scaled
        values, vectors = np.linalg.eigh(gram)
        first = slice(max(0, len(values) - r), None)
        directions = (
            scaled.T @ vectors[:, first] if len(part) < d else vectors[:, first] * np.sqrt(values[first].clip(0))
        )
        factors[k, :, : directions.shape[1]] = directions
        level[k] += max(0.0, float(np.sum(scaled**2) - np.sum(directions**2))) / moments[k].d
    return ShrunkCovariances(level[:, None] * varies, factors, rank)


def effective_rank(moments: SampleMoments) -> float:
    """(tr Σ)² / tr Σ², within 1 and d; of fewer than four samples that of S, which is at most n - 1."""
    first, second = moments.unbiased if moments.n > 3 else (moments.trace**2, moments.trace_of_square)
    return float(np.clip(first / second, 1.0, moments.d)) if second > 0 else float(moments.d)
