"""How often a Gaussian vector of scores has another component than k as its largest one.

The differences s_k - s_j are Gaussian, and the answer is one minus the probability of an orthant.  It is integrated
one difference after the other (Genz 1992, "Numerical computation of multivariate normal probabilities") on shifted
lattices, the differences that fail most often first.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from implicitloss.labels import Floats

__all__ = ["argmax_error", "sign_error"]

SHIFTS = 12
# Half-width of a 99.9 % interval, in standard errors of the mean over shifts.
WIDTH = float(stdtrit(SHIFTS - 1, 0.9995))
# Differences that fail so rarely are left out: all of them together, over the one that fails most often.  How often
# they fail is added to the uncertainty.
RARE = 1e-4
# Points of a lattice times differences, about; and points at least and at most.
WORK, FEWEST, MOST = 1 << 16, 96, 2048
# Added to variances of 1, so that differences that depend on each other have a Cholesky factor: the least that does.
JITTERS = (1e-12, 1e-10, 1e-8, 1e-6)
BLOCK = 64


def sign_error(mean: Floats, variance: Floats) -> Floats:
    """Φ(-m/√q): how often a score whose mean should be positive is not; a half at m = q = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(mean == 0, 0.0, mean / np.sqrt(variance))
    return np.asarray(ndtr(-z))


def argmax_error(mean: Floats, covariance: Floats, k: int) -> tuple[float, float]:
    """P(s_j > s_k for a j), s ~ N(mean, covariance), and the half-width of its 99.9 % interval."""
    others = np.arange(mean.size) != k
    gap = mean[k] - mean[others]
    row = covariance[k, others]
    spread = covariance[np.ix_(others, others)] + (covariance[k, k] - row[:, None] - row)
    sd = np.sqrt(np.maximum(np.diagonal(spread), 0.0))
    scale = max(float(np.abs(gap).max()), float(sd.max()), 1e-300)
    sd = np.maximum(sd, 1e-9 * scale)
    z = gap / sd
    fail = ndtr(-z)
    order = np.argsort(z, kind="stable")
    # From the last one on.
    rest = np.cumsum(fail[order][::-1])[::-1]
    kept = max(1, int(np.sum(rest > RARE * fail.max())))
    left_out = float(rest[kept]) if kept < order.size else 0.0
    order = order[:kept]
    if kept == 1:
        return float(fail[order[0]]), left_out
    correlation = spread[np.ix_(order, order)] / np.outer(sd[order], sd[order])
    error, width = _failing(z[order], _lower(correlation))
    return error, width + left_out


def _lower(correlation: Floats) -> Floats:
    for jitter in JITTERS:
        np.fill_diagonal(correlation, 1 + jitter)
        try:
            return np.asarray(np.linalg.cholesky(correlation))
        except np.linalg.LinAlgError:
            continue
    raise ValueError("the covariance of the scores must be positive semi-definite, and here rounding hides it")


def _failing(bound: Floats, lower: Floats) -> tuple[float, float]:
    """P(some w_i > bound_i), w = lower ξ, and the half-width of its interval."""
    n, points = bound.size, int(np.clip(WORK // bound.size, FEWEST, MOST))
    uniform = _lattice(n - 1, points)
    normal = np.empty((n, SHIFTS * points))
    log_passing = np.zeros(SHIFTS * points)
    for start in range(0, n, BLOCK):
        stop = min(n, start + BLOCK)
        before = lower[start:stop, :start] @ normal[:start]
        for i in range(start, stop):
            known = before[i - start] + lower[i, start:i] @ normal[start:i]
            fail = np.minimum(ndtr((known - bound[i]) / lower[i, i]), 1 - 1e-16)
            log_passing += np.log1p(-fail)
            if i < n - 1:
                normal[i] = ndtri(np.maximum(uniform[i] * (1 - fail), 1e-300))
    means = -np.expm1(log_passing).reshape(SHIFTS, points).mean(axis=1)
    return float(means.mean()), WIDTH * float(means.std(ddof=1)) / SHIFTS**0.5


@lru_cache(maxsize=4)
def _lattice(n: int, points: int) -> Floats:
    """Points of Richtmyer's lattice, √prime in each direction, once a random shift and folded, (n, SHIFTS x points)."""
    steps = np.sqrt(_primes(n))[:, None]
    shifts = np.random.default_rng([n, points]).random((n, SHIFTS))
    at = (steps * np.arange(1, points + 1))[:, None, :] + shifts[:, :, None]
    return np.asarray(np.abs(2 * (at % 1.0) - 1).reshape(n, -1))


def _primes(n: int) -> Floats:
    """The first n primes."""
    limit = 30 + int(2 * n * np.log(n + 2))
    sieve = np.ones(limit, dtype=bool)
    sieve[:2] = False
    for i in range(2, int(limit**0.5) + 1):
        sieve[i * i :: i] = False
    return np.flatnonzero(sieve)[:n].astype(np.float64)
