"""Concentration bounds: how far a sample mean can lie from the truth, with a stated chance of being wrong.

Normal error bars lie on long tails: with rare large draws the sample variance is mostly seen too small.  These bounds
hold at every sample size, given only that each term lies in a known range.
"""

from __future__ import annotations

import math


def half_width(variance: float, span: float, n: int, delta: float) -> float:
    """Empirical Bernstein: |mean - truth| exceeds this with probability at most `delta`.

    √(2 V log(4/δ)/n) + 7 span log(4/δ)/(3(n-1)) for n i.i.d. terms in an interval of length `span` with sample
    variance V.  *Source:* Maurer and Pontil 2009, theorem 4, on both sides.
    """
    if n < 2:
        return math.inf
    log = math.log(4 / delta)
    return math.sqrt(2 * variance * log / n) + 7 * span * log / (3 * (n - 1))


def runs_needed(variance: float, span: float, width: float, delta: float) -> int:
    """The n at which `half_width` is at most `width`."""
    log = math.log(4 / delta)
    # width = a/√n + b/n, a quadratic in 1/√n.
    a, b = math.sqrt(2 * variance * log), 7 * span * log / 3
    root = (a + math.sqrt(a * a + 4 * b * width)) / (2 * width)
    return math.ceil(root * root) + 2


def cdf_half_width(n: int, delta: float) -> float:
    """Dvoretzky-Kiefer-Wolfowitz: sup |F_n - F| exceeds √(log(2/δ)/(2n)) with probability at most `delta`.

    *Source:* Massart 1990; holds for discrete F too.
    """
    return math.sqrt(math.log(2 / delta) / (2 * n))
