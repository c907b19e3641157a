"""The Laplace transform φ(t) = Σ_j q_j e^{-t x_j} of one draw, on a grid of v = log t: what all integrals share.

Sums of one sign are taken in blocks of 128, so that their relative rounding error is (128 + L/128) eps at worst.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

__all__ = ["log_transform", "log_transform_about", "log_transform_about_mean", "tilted_integrals", "tilted_moments"]

Floats = NDArray[np.float64]

_BLOCK = 128
_TERMS = 18
# e^u is 0 below the first of these, and e^{-e^u} is above the second.  Above the third e^{-z} is at most a half, and so
# e^{-z} - 1 loses no digits; above the fourth it is 0.
_NOTHING, _ALL, _HALF, _GONE = -746.0, 6.7, 0.6932, 750.0
# e^u and e^{-u} are normal numbers.
_RANGE = 700.0


@kernel
def log_transform(nodes: Floats, q: Floats, log_x: Floats) -> Floats:
    """log φ(e^v) at each node v, (n,): by φ - 1 where φ is near 1, by φ where it is not.

    Up to s = e^v max x = 1 all labels share a Taylor series, φ - 1 = Σ_k (-s)^k M_k/k!, M_k = Σ_j q_j (x_j/max x)^k;
    the terms that are left out are together at most 2/19! of it.
    """
    high, in_range, x = -np.inf, True, np.empty(q.size)
    for j in range(q.size):
        high = max(high, log_x[j])
        x[j] = math.exp(log_x[j])
        in_range = in_range and (log_x[j] == -np.inf or abs(log_x[j]) < _RANGE)
    out = np.zeros(nodes.size)
    if high == -np.inf:
        return out
    series, part = np.zeros(_TERMS), np.zeros(_TERMS)
    for start in range(0, q.size, _BLOCK):
        for j in range(start, min(start + _BLOCK, q.size)):
            y = math.exp(log_x[j] - high)
            term = q[j]
            for k in range(_TERMS):
                term *= y
                part[k] += term
        for k in range(_TERMS):
            series[k] += part[k]
            part[k] = 0.0
    sign_over_factorial = 1.0
    for k in range(_TERMS):
        sign_over_factorial /= -(k + 1.0)
        series[k] *= sign_over_factorial
    for i in range(nodes.size):
        v = nodes[i]
        below_one, total = 0.0, 0.0
        if v + high <= 0.0:
            s = math.exp(v + high)
            for k in range(_TERMS - 1, -1, -1):
                below_one = s * (series[k] + below_one)
            out[i] = math.log1p(below_one)
            continue
        plain, t = in_range and abs(v) < _RANGE, math.exp(v)
        for start in range(0, q.size, _BLOCK):
            part_below, part_total = 0.0, 0.0
            for j in range(start, min(start + _BLOCK, q.size)):
                if plain:
                    z = t * x[j]
                else:
                    # Where scores lie far apart most labels are on one side or the other, and cost no exponential.
                    u = v + log_x[j]
                    z = 0.0 if u < _NOTHING else _GONE if u > _ALL else math.exp(u)
                if z >= _GONE:
                    part_below -= q[j]
                elif z > _HALF:
                    left = math.exp(-z)
                    part_total += q[j] * left
                    part_below += q[j] * (left - 1.0)
                elif z > 0.0:
                    gone = math.expm1(-z)
                    part_total += q[j] * (1.0 + gone)
                    part_below += q[j] * gone
                else:
                    part_total += q[j]
            below_one += part_below
            total += part_total
        if below_one > -0.5:
            out[i] = math.log1p(below_one)
        else:
            # With signed masses, rounding can make a zero sum negative.
            out[i] = math.log(total) if total > 0.0 else -np.inf
    return out


@kernel
def _second_order(z: float) -> float:
    """e^{-z} - 1 + z >= 0, without cancellation near 0."""
    if abs(z) > 0.5:
        return math.expm1(-z) + z
    # Taylor: z²/2 (1 - z/3 (1 - z/4 (1 - ...))); the next term is 0.5^18/18! of the sum.
    series = 1.0
    for n in range(18, 2, -1):
        series = 1.0 - z / n * series
    return 0.5 * z * z * series


@kernel
def log_transform_about_mean(nodes: Floats, q: Floats, excess: Floats, ratio: float) -> Floats:
    """log Σ_j q_j e^{-z_j}, z_j = e^v ratio excess_j, where Σ q_j excess_j = 0: log(1 + Σ q_j (e^{-z_j} - 1 + z_j)).

    Every term is positive: nothing cancels, however small the spread of the draws.
    """
    out = np.empty(nodes.size)
    for i in range(nodes.size):
        scale = math.exp(nodes[i]) * ratio
        total = 0.0
        for start in range(0, q.size, _BLOCK):
            part = 0.0
            for j in range(start, min(start + _BLOCK, q.size)):
                part += q[j] * _second_order(scale * excess[j])
            total += part
        out[i] = math.log1p(total)
    return out


@kernel
def log_transform_about(nodes: Floats, q: Floats, log_excess: Floats, log_ratio: float) -> Floats:
    """log Σ_j q_j e^{-z_j}, z_j = e^{v + log_ratio} (e^{log_excess_j} - 1), for any centre."""
    out = np.empty(nodes.size)
    for i in range(nodes.size):
        v = nodes[i] + log_ratio
        scale = math.exp(v)
        total = 0.0
        for start in range(0, q.size, _BLOCK):
            part = 0.0
            for j in range(start, min(start + _BLOCK, q.size)):
                g = log_excess[j]
                z = scale * math.expm1(g) if g < 30.0 else math.exp(v + g) - scale
                part += q[j] * math.expm1(-z)
            total += part
        out[i] = math.log1p(total)
    return out


@kernel
def tilted_integrals(nodes: Floats, log_weights: Floats, log_x: Floats, log_scale: Floats) -> Floats:
    """Σ_v exp(log_weights_v + log_scale_k - e^v x_k) for each k, (K,): one gradient entry each."""
    out = np.empty(log_x.size)
    for k in range(log_x.size):
        total = 0.0
        for start in range(0, nodes.size, _BLOCK):
            part = 0.0
            for i in range(start, min(start + _BLOCK, nodes.size)):
                exponent = log_weights[i] + log_scale[k]
                if nodes[i] + log_x[k] > _NOTHING:
                    exponent -= math.exp(nodes[i] + log_x[k])
                if exponent > _NOTHING:
                    part += math.exp(exponent)
            total += part
        out[k] = total
    return out


@kernel
def tilted_moments(nodes: Floats, q: Floats, log_x: Floats, weights: Floats) -> Floats:
    """Σ q z e^{-z}, Σ q z² e^{-z}, Σ (q z e^{-z})² and Σ weights q z e^{-z}, z = e^v x, at each node v, (4, n)."""
    out = np.zeros((4, nodes.size))
    for i in range(nodes.size):
        for start in range(0, q.size, _BLOCK):
            first, second, squares, weighted = 0.0, 0.0, 0.0, 0.0
            for j in range(start, min(start + _BLOCK, q.size)):
                u = nodes[i] + log_x[j]
                # Below the first e^u, above the second e^{-e^u} is 0.
                if _NOTHING < u < _ALL:
                    z = math.exp(u)
                    one = q[j] * z * math.exp(-z)
                    first += one
                    second += z * one
                    squares += one * one
                    weighted += weights[j] * one
            out[0, i] += first
            out[1, i] += second
            out[2, i] += squares
            out[3, i] += weighted
    return out
