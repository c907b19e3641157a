"""The flow of a logistic score under gradient steps: df/dt = η - (η + B) σ(f), exact, with the integral of its loss.

With E = e^f it is df/dt = (η - B E)/(1 + E), whose rest is f = log(η/B).  Time is a function of the score,
t = [f/η - (1/B + 1/η) log|η - B E|], and f + e^f = C + ηt where B = 0.  Its inverse is found by Newton's method.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

__all__ = ["climb", "flow", "move"]

Floats = NDArray[np.float64]

# Gauss's nodes and weights on (0, 1), for panels that double.
_NODES = (0.06943184420297371, 0.33000947820757187, 0.6699905217924281, 0.9305681557970262)
_WEIGHTS = (0.17392742256872692, 0.32607257743127305, 0.32607257743127305, 0.17392742256872692)
# The first panel, in units of 1/(η + B); Newton's steps, and where they end.
_FIRST, _MOST_STEPS, _EPS = 0.25, 100, 1e-13


@kernel
def _rest(x: float) -> float:
    """z = log|e^x - 1|, x the score over its rest."""
    if x > 1.0:
        return x + math.log1p(-math.exp(-x))
    if x < -1.0:  # far below its rest z is about -e^x
        return math.log1p(-math.exp(x))
    return math.log(abs(math.expm1(x)))


@kernel
def _from_rest(z: float, side: float) -> float:
    """x of z; `side` is 1 above the rest and -1 below."""
    if side < 0:
        return math.log(-math.expm1(z)) if z < 0 else -745.0
    return z + math.log1p(math.exp(-z)) if z > 1.0 else math.log1p(math.exp(z))


@kernel
def _after(f: float, eta: float, against: float, t: float) -> float:
    """The score a time t later."""
    if t <= 0.0:
        return f
    if against == 0.0:
        # From the right of the root of a convex function Newton's steps stay there.
        total = f + math.exp(f) + eta * t
        g = math.log(total) if total > 1.0 else total
        for _ in range(_MOST_STEPS):
            grown = math.exp(g)
            moved = (g + grown - total) / (1.0 + grown)
            g -= moved
            if abs(moved) <= _EPS * max(1.0, abs(g)):
                break
        return g
    at_rest = math.log(eta) - math.log(against)
    x = f - at_rest
    if x == 0.0:
        return f
    side = 1.0 if x > 0 else -1.0
    rate = 1.0 / against + 1.0 / eta
    z = _rest(x)
    target = rate * z - x / eta - t
    for _ in range(_MOST_STEPS):
        x = _from_rest(z, side)
        # d/dz log(1 + s e^z) = s e^z/(1 + s e^z), which is 1 - e^{-x}.
        moved = (rate * z - x / eta - target) / (rate + math.expm1(-x) / eta)
        z -= moved
        # Far below its rest z is about -e^x, and only its relative error matters.
        if abs(moved) <= _EPS * (abs(z) if side < 0 else max(1.0, abs(z))):
            break
    return at_rest + _from_rest(z, side)


@kernel
def _loss(f: float, eta: float) -> float:
    """η log(1 + e^{-f}) + (1 - η) log(1 + e^f)."""
    return max(f, 0.0) + math.log1p(math.exp(-abs(f))) - eta * f


@kernel
def flow(scores: Floats, eta: Floats, against: Floats, times: Floats, later: Floats, losses: Floats) -> None:
    """Fill `later` (L,), the scores after `times`, and `losses` (L,), the integrals of the logistic loss until then."""
    for j in range(scores.size):
        f, start, total = scores[j], 0.0, 0.0
        width = min(_FIRST / (eta[j] + against[j]), times[j])
        while start < times[j]:
            width = min(width, times[j] - start)
            for i in range(4):
                total += width * _WEIGHTS[i] * _loss(_after(f, eta[j], against[j], _NODES[i] * width), eta[j])
            f = _after(f, eta[j], against[j], width)
            start += width
            width *= 2.0
            if times[j] - start <= 1e-12 * times[j]:
                break
        later[j], losses[j] = f, total


@kernel
def move(scores: Floats, eta: Floats, against: Floats, times: Floats, later: Floats) -> None:
    """Fill `later` (L,), the scores after `times`."""
    for j in range(scores.size):
        later[j] = _after(scores[j], eta[j], against[j], times[j])


@kernel
def climb(low: Floats, high: float, eta: Floats, against: Floats, times: Floats) -> None:
    """Fill `times` (L,) that scores need from `low` to `high`: inf where they come to rest below."""
    for j in range(low.size):
        if low[j] >= high:
            times[j] = 0.0
        elif against[j] == 0.0:
            times[j] = (high + math.exp(high) - low[j] - math.exp(low[j])) / eta[j]
        else:
            at_rest = math.log(eta[j]) - math.log(against[j])
            if high >= at_rest:
                times[j] = np.inf
            else:
                rate = 1.0 / against[j] + 1.0 / eta[j]
                first, last = low[j] - at_rest, high - at_rest
                times[j] = rate * (_rest(first) - _rest(last)) + (last - first) / eta[j]
