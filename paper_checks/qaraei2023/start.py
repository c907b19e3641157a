"""The first gradient: how large it is with hard negatives, for label vectors that are still random."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Average, Averages, Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, Labels

# Terms are squared norms over this many times their mean, cut off at 1: in 16 dimensions less than 1e-12 lies beyond.
SCALE = 6.0
# The variance of a squared norm is about 2/d of its squared mean.
LARGEST_VARIANCE = 3 / 16 / SCALE**2
BLOCK = 64


@dataclass(frozen=True)
class Start:
    """L label vectors w_j ~ N(0, I/d); T the k with the largest ⟨w_j, h⟩, |h| = 1, beside m_u uniform draws."""

    n_labels: int
    d: int
    k: int
    m: int

    def __str__(self) -> str:
        return f"L = {self.n_labels}, d = {self.d}, k = {self.k}, m_u = {self.m}"


# The sizes of an extreme classification, and some that can be simulated.
LARGE = tuple(Start(20_000, 64, k, 1000 - k) for k in (0, 5, 20, 50, 200, 500, 1000))
SMALL = (Start(200, 16, 4, 28), Start(200, 16, 16, 16), Start(200, 16, 32, 0))


def formula(start: Start, *, hard: bool = True, square: bool = True) -> float:
    """(k + m_u)(d - 1)/d + m_u/d + m_u (m_u - 1)/L + (k μ_k)²/d, μ_k = L φ(z_{k/L})/k; each argument makes one mistake.

    φ is the normal density, and z_{k/L} is exceeded with probability k/L.
    """
    n, d, k, m = start.n_labels, start.d, start.k, start.m
    total = (k + m) * (d - 1) / d + m / d + m * (m - 1) / n
    if not hard or not k:
        return total
    from scipy import stats  # which takes half a second

    top = n * float(stats.norm.pdf(stats.norm.isf(k / n)))
    return total + (top**2 if square else top**2 / k) / d


def _approximate(start: Start) -> Estimate:
    """The formula, which is within 1 %."""
    value = formula(start)
    return Estimate(value, 0.01 * value, "squared norm", "closed form")


@lru_cache
def exact(start: Start) -> Estimate:
    """E|Σ_N w|², by one integral over the (k + 1)-th largest of L normal numbers.

    Given it, the k above are independent, with the normal law beyond it: their sum S_k has E S_k² = k E z² +
    k (k - 1) (E z)².  Across h, T is k vectors of no mean.  Draws add m_u + m_u (m_u - 1)/L, and with T 2 k m_u/L.
    """
    n, d, k, m = start.n_labels, start.d, start.k, start.m
    along = 0.0
    if k:
        from scipy import stats

        # The chance to exceed the (k + 1)-th largest is Beta(k + 1, L - k).
        law = stats.beta(k + 1, n - k)
        edges = [*law.ppf([1e-16, 0.5]).tolist(), float(law.isf(1e-16))]
        nodes, weights = np.polynomial.legendre.leggauss(60)
        for low, high in itertools.pairwise(edges):
            chance = (high + low) / 2 + (high - low) / 2 * nodes
            z = stats.norm.isf(chance)
            mean = stats.norm.pdf(z) / chance
            square = k * (1 + z * mean) + k * (k - 1) * mean**2
            along += float((high - low) / 2 * np.sum(weights * law.pdf(chance) * square))
    value = along / d + k * (d - 1) / d + m + m * (m - 1) / n + 2 * k * m / n
    return Estimate(value, 1e-9 * value, "squared norm", "order statistics")


def _largest(along: NDArray[np.float32], k: int) -> Labels:
    """The k labels with the largest entries of each row."""
    return np.argpartition(along, along.shape[1] - k - 1, axis=1)[:, along.shape[1] - k :]


def _drawn(start: Start, rng: np.random.Generator, runs: int) -> Floats:
    """|Σ_N w|² of so many starts, drawn: vectors, the k largest of them along h, uniform labels, their sum."""
    found = np.empty(runs)
    for first in range(0, runs, BLOCK):
        size = min(BLOCK, runs - first)
        w = rng.standard_normal((size, start.n_labels, start.d), dtype=np.float32)
        # h is the first axis.
        known = _largest(w[:, :, 0], start.k)
        negatives = np.concatenate([known, rng.integers(start.n_labels, size=(size, start.m))], axis=1)
        total = np.take_along_axis(w, negatives[:, :, None], axis=1).sum(axis=1, dtype=np.float64)
        found[first : first + size] = (total**2).sum(axis=1) / start.d
    return found


def _terms(start: Start) -> Average:
    """Squared norms over SCALE times their mean."""
    scale = SCALE * float(exact(start))
    return Average(str(start), lambda rng, n: np.minimum(_drawn(start, rng, n) / scale, 1.0))


def _simulated(setting: Setting) -> list[tuple[Average, float]]:
    return [(_terms(start), 1 / SCALE) for start in SMALL]


def _as_share(claimed: Callable[[Start], float]) -> Callable[[Setting], list[float]]:
    return lambda setting: [claimed(start) / (SCALE * float(exact(start))) for start in SMALL]


def _number(start: Start) -> float:
    return float(start.k + start.m)


def _large(setting: Setting) -> tuple[Start, ...]:
    return LARGE


NUMBER = "it is k + m_u, the number of negatives"
AS_RANDOM = "hard negatives add what as many random vectors do, 1 each"

CLAIMS = (
    Claim(
        "qaraei2023.start.norm",
        "At the start, w_j ~ N(0, I/d), E|Σ_N w|² = (k + m_u)(d - 1)/d + m_u/d + m_u (m_u - 1)/L + (k μ_k)²/d to 1 %, "
        "μ_k = L φ(z_{k/L})/k: hard negatives share a direction, and their part grows like k² and not like k.",
        "derived; makes precise 'using hard negatives excessively from the beginning of training leads to unstable "
        "gradient', Qaraei and Babbar 2023, abstract",
        (
            Exact(
                "order statistics of L normal numbers",
                _large,
                exact,
                _approximate,
                {
                    NUMBER: _number,
                    AS_RANDOM: partial(formula, hard=False),
                    "hard negatives add k μ_k²/d, as if they pointed apart": partial(formula, square=False),
                },
                resolution=0.02,
                uses_prior=False,
            ),
            Averages(
                _simulated,
                {
                    NUMBER: _as_share(_number),
                    AS_RANDOM: _as_share(partial(formula, hard=False)),
                },
                resolution=0.02,
                largest_variance=LARGEST_VARIANCE,
                uses_prior=False,
            ),
        ),
        (
            "T the k labels with the largest ⟨w_j, h⟩, |h| = 1; uniform draws from all labels",
            "left out: 2 k m_u/L, for draws that fall in T, and the variance of Σ_T ⟨w_j, h⟩",
            "L = 20,000, d = 64, k + m_u = 1000",
        ),
    ),
)
