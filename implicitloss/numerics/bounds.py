"""Concentration bounds: how far a sample mean can lie from the truth, with a stated chance of being wrong.

Normal error bars lie on long tails: with rare large draws the sample variance is mostly seen too small.  These bounds
hold at every sample size, given only that each term lies in a known range.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.optimize import brentq
from scipy.special import gammaln

__all__ = [
    "TILTS",
    "cdf_half_width",
    "count_is_unlikely",
    "deviation_half_width",
    "deviation_mean",
    "half_width",
    "likely_sum",
    "log_one_repeat",
    "runs_needed",
    "sum_half_width",
    "total_variation_seen",
]

# The probability of a repeat is summed on a circle, at so many points a standard deviation; points times labels.
WIDTHS_OF_CIRCLE, MOST_OF_CIRCLE = 12, 3_000_000
# Where the sum is 0, or next to it, rounding is what is left: this part of the largest term.
ROUNDING_OF_SUMS = 1e-13


def half_width(variance: float, span: float, n: int, delta: float) -> float:
    """Empirical Bernstein: |mean - truth| exceeds this with probability at most `delta`.

    √(2 V log(4/δ)/n) + 7 span log(4/δ)/(3(n-1)) for n i.i.d. terms in an interval of length `span` with sample
    variance V.  *Source:* Maurer and Pontil 2009, theorem 4, on both sides.
    """
    if n < 2:
        return math.inf
    log = math.log(4 / delta)
    return math.sqrt(2 * variance * log / n) + 7 * span * log / (3 * (n - 1))


# The tilts λ among which `sum_half_width` takes the best, each with its share of the error: neighbours lose 3 %.
TILTS = 0.95 * 0.6 ** np.arange(16)
OF_VARIANCE = -(np.log1p(-TILTS) + TILTS)


def sum_half_width(squares: ArrayLike, span: ArrayLike, delta: float) -> NDArray[np.float64]:
    """|Σ (Y_k - E Y_k)| exceeds this with probability at most `delta`, for independent Y_k of any laws.

    min_λ (span log(2J/δ) + (-log(1-λ) - λ) squares/span)/λ over J = 16 fixed λ < 1, where squares = Σ (Y_k - c_k)².
    Each Y_k lies within `span` of its c_k, and the c_k were fixed before the Y_k were drawn.  It is
    √(2 squares log(2J/δ)) where the variance decides, and about span log(2J/δ) where the range does, also if no Y_k
    was anything but c_k.  *Source:* Fan, Grama and Liu 2015, lemma 4.1: E e^{λξ - (-log(1-λ) - λ) ξ²} <=
    1 + λ E ξ for ξ >= -1; here with ξ = ±(Y_k - c_k)/span, and Markov's inequality on both sides for each λ.
    """
    span = np.asarray(span, dtype=np.float64)
    of_range = span * math.log(2 * TILTS.size / delta)
    with np.errstate(over="ignore"):  # squares of numbers that were said to have no span limit nothing
        of_variance = np.asarray(squares) / np.maximum(span, 1e-300)
        of_range, of_variance = np.broadcast_arrays(of_range, of_variance)
        tilts, factors = (each.reshape(-1, *[1] * of_range.ndim) for each in (TILTS, OF_VARIANCE))
        return np.asarray(((of_range + factors * of_variance) / tilts).min(axis=0))


def likely_sum(mean: float, variance: float, most: float, delta: float) -> float:
    """A sum of independent terms exceeds this with probability at most `delta`.

    Terms lie between 0 and `most`; `mean` is that of the sum, and `variance` is at least Σ E X².  It is
    mean + u variance/most, with (1 + u) log(1 + u) - u = most² log(1/δ)/variance.  *Source:* Bennett 1962, whose u is
    e^{1 + W((c - 1)/e)} - 1 for c on the right, with Lambert's W.
    """
    if not (most > 0 and variance > 0):
        return mean
    c = most**2 * math.log(1 / delta) / variance
    u = math.expm1(1 + float(special.lambertw((c - 1) / math.e).real))
    return mean + u * variance / most


def runs_needed(variance: float, span: float, width: float, delta: float) -> int:
    """The n at which `half_width` is at most `width`."""
    log = math.log(4 / delta)
    # width = a/√n + b/n, a quadratic in 1/√n.
    a, b = math.sqrt(2 * variance * log), 7 * span * log / 3
    root = (a + math.sqrt(a * a + 4 * b * width)) / (2 * width)
    # What no computer can run: also where the range itself overflows.
    return math.ceil(root * root) + 2 if root < 1e100 else 10**200


def cdf_half_width(n: int, delta: float) -> float:
    """Dvoretzky-Kiefer-Wolfowitz: sup |F_n - F| exceeds √(log(2/δ)/(2n)) with probability at most `delta`.

    *Source:* Massart 1990; holds for discrete F too.
    """
    return math.sqrt(math.log(2 / delta) / (2 * n))


def deviation_mean(n: int, q: NDArray[np.float64]) -> float:
    """E Σ_j |n_j/n - q_j| for counts n_j of n draws from q, exactly.

    Each term is 2 k C(n, k) q^k (1-q)^{n-k+1}/n with k = ⌊n q⌋ + 1.
    *Source:* De Moivre 1730; Diaconis and Zabell 1991.
    """
    q = q[(q > 0) & (q < 1)]
    k = np.floor(n * q) + 1
    log = gammaln(n + 1) - gammaln(k) - gammaln(n - k + 1) + k * np.log(q) + (n - k + 1) * np.log1p(-q)
    return float(2 / n * np.sum(np.exp(log)))


def deviation_half_width(n: int, delta: float) -> float:
    """Σ_j |n_j/n - q_j| is off its mean by more than √(2 log(2/δ)/n) with probability at most `delta`.

    *Source:* McDiarmid 1989: one draw changes the sum by at most 2/n.
    """
    return math.sqrt(2 * math.log(2 / delta) / n)


def total_variation_seen(n: int, q: NDArray[np.float64], delta: float) -> float:
    """The total variation from q at which a law is detected with probability at least 1 - δ; 1 if none is.

    It is detected if Σ_j |n_j/n - q_j| is further from its mean under q than the half-width.  Where ½ Σ |q'_j - q_j| =
    τ, the sum has a mean of at least 2 τ under q' (Jensen), and is off that by at most its half-width.
    """
    return min(deviation_mean(n, q) / 2 + deviation_half_width(n, delta), 1.0)


def count_is_unlikely(count: int, n: int, q: float, delta: float) -> bool:
    """Whether a binomial count lies in a tail, on either side, that has probability at most `delta`/2."""
    return bool(min(special.bdtr(count, n, q), special.bdtrc(count - 1, n, q)) < delta / 2)


def log_one_repeat(q: NDArray[np.float64], m: int) -> float:
    """The logarithm of the probability that at most one of m independent draws is a repeat, at most.

    The law q (L,) may sum to less than 1: draws of what is left out may come often.  The probability is m! times the
    coefficient of t^m in F(t) = e^{r t} Π_j (1 + t q_j) (1 + Σ_j t² q_j²/(2 (1 + t q_j))), r = 1 - Σ_j q_j.  The mean
    of F(z) z^-m over n points of a circle |z| = t is the sum of the coefficients of t^m, t^(m±n), ..., times powers of
    t.  All are positive, and so the result is too large, if anything; hardly, where n is several standard deviations.
    """
    rest = max(1.0 - float(q.sum()), 0.0)

    def more(log_t: float) -> float:
        come = math.exp(log_t) * q
        return rest * math.exp(log_t) + float((come / (1.0 + come)).sum()) - m

    low, high = math.log(m), math.log(1e9 * m)
    log_t = high if more(high) < 0 else brentq(more, low - 1e-9, high, xtol=1e-3)
    t = math.exp(log_t)
    spread = math.sqrt(rest * t + float((t * q / np.square(1.0 + t * q)).sum()))
    n = int(min(WIDTHS_OF_CIRCLE * (1.0 + spread), max(MOST_OF_CIRCLE // q.size, 1)))
    peak = rest * t + float(np.log1p(t * q).sum())
    repeats = math.log1p(float((np.square(t * q) / (2.0 * (1.0 + t * q))).sum()))
    total = 0.0
    for angle in 2 * math.pi * np.arange(n) / n:
        z = t * np.exp(1j * angle)
        come = z * q
        value = np.exp(rest * z + np.log1p(come).sum() - peak - 1j * m * angle)
        total += float((value * (1.0 + (np.square(come) / (2.0 * (1.0 + come))).sum())).real)
    mean = max(total / n, ROUNDING_OF_SUMS * math.exp(repeats))
    return min(0.0, float(gammaln(m + 1)) - m * log_t + peak + math.log(mean))
