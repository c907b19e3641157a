"""Integrals over exponential races: the nodes (s, z) and their weights.

Label j arrives at a time T_j ~ Exp(q_j).  The first m to arrive are m draws without repetition (successive sampling).
With u_j = e^{q_j s} - 1, G = e^{-s} Π (1 + z u_j), and s the time at which the last of the m arrives,

    ⟨g⟩ = ∫_0^∞ ds [z^{m-1}] G g = ∫ ds (1/2π) ∫ dθ z^{1-m} G g,   z = r e^{iθ}.

At each s, r makes m - 1 the mean number that has arrived, by which G z^{1-m} is largest on the circle at θ = 0, and
falls as e^{-σ²(1 - cos θ)} away from it, σ² the variance of that number.  The trapezoid rule is exact to e^{-17²/2} in
θ; in log s its step is half the standard deviation of log T_(m), at most 3/16.  Points stand half a step aside of
θ = 0, as 1 + z u_j y_j may vanish at θ = π.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from implicitloss.draws.threads import of_nodes
from implicitloss.kernels.races import around, arrived, radius, spread_of
from implicitloss.labels import Floats

__all__ = ["Heat", "Race", "race", "typical_time"]

T = TypeVar("T")
# Nodes whose weight is e^-REACH of the largest are left out.
REACH = 40.0
STEP = 3 / 16


@dataclass(frozen=True, eq=False)
class Heat:
    """One time s of a race: log r, the places θ (n,) on the circle, their complex weights, and R, (n, 2) each."""

    s: float
    log_r: float
    thetas: Floats
    weights: Floats
    rates: Floats

    @property
    def one(self) -> float:
        """Σ_θ w R, its share of ⟨R⟩."""
        return float(self.weights[:, 0] @ self.rates[:, 0] - self.weights[:, 1] @ self.rates[:, 1])

    def chances(self, q: Floats) -> Floats:
        """p_j and 1 - p_j of labels with these q, (2, J)."""
        found: Floats = arrived(self.s, self.log_r, q)
        return found


@dataclass(frozen=True, eq=False)
class Race:
    """All nodes of a race between so many labels, by their times."""

    heats: tuple[Heat, ...]
    n_labels: int

    @property
    def one(self) -> float:
        """⟨R⟩, R = Σ q_k/(1 + z u_k), which is 1: some label arrives last."""
        return sum(heat.one for heat in self.heats)

    def total(self, of: Callable[[Heat], T]) -> T:
        """Σ of(heat), in order."""
        parts = of_nodes(of, self.heats, self.n_labels)
        total = parts[0]
        for part in parts[1:]:
            total = total + part  # type: ignore[operator]
        return total


def race(q: Floats, times: Floats, m: int) -> Race:
    """The nodes for labels with rates `q` (J,), each of which stands for `times` (J,) labels; 2 <= m < their number."""
    target = float(m - 1)
    centre, step = _centre_and_step(q, times, m)
    reference, _ = _log_weight(centre, target, m, q, times, 0.0)
    found: list[tuple[float, float]] = []
    for first, sign in ((0, 1), (1, -1)):
        k, guess = first, 0.0
        while True:
            v = centre + sign * k * step
            weight, guess = _log_weight(v, target, m, q, times, guess)
            if not weight >= reference - REACH:
                break
            found.append((v, guess))
            k += 1
    found.sort()
    heats = of_nodes(lambda at: _heat(at[0], at[1], step, m, q, times), found, q.size)
    return Race(tuple(heats), q.size)


def typical_time(q: Floats, times: Floats, m: int) -> float:
    """The time by which m - 1/2 labels have arrived in the mean."""
    from scipy.optimize import brentq

    def early(v: float) -> float:
        return float(times @ -np.expm1(-q * np.exp(v))) - (m - 0.5)

    return float(np.exp(brentq(early, -50.0, float(np.log(100.0 / q.min())))))


def _centre_and_step(q: Floats, times: Floats, m: int) -> tuple[float, float]:
    """log s at which m - 1/2 labels have arrived in the mean, and the step in log s."""
    s = typical_time(q, times, m)
    here = -np.expm1(-q * s)
    variance, slope = float(times @ (here * (1 - here))), float(times @ (q * s * np.exp(-q * s)))
    return float(np.log(s)), min(STEP, 0.5 * float(np.sqrt(variance + 0.3)) / (slope + 1e-300))


def _log_weight(v: float, target: float, m: int, q: Floats, times: Floats, guess: float) -> tuple[float, float]:
    """The logarithm of a time's weight at θ = 0, and log r."""
    s = float(np.exp(v))
    log_r = float(radius(s, target, q, times, guess))
    _, _, product, rate = spread_of(s, log_r, q, times)
    with np.errstate(divide="ignore"):
        return float(product - (m - 1) * log_r + np.log(rate) + v), log_r


def _heat(v: float, log_r: float, step: float, m: int, q: Floats, times: Floats) -> Heat:
    s = float(np.exp(v))
    _, variance, product, _ = spread_of(s, log_r, q, times)
    n = int(np.ceil(17 * np.sqrt(variance) + 40))
    n += n % 2
    thetas = 2 * np.pi * (np.arange(n // 2) + 0.5) / n
    thetas = thetas[variance * (1 - np.cos(thetas)) < REACH + 1]
    chances = arrived(s, log_r, q)
    sums = around(chances, q, times, thetas)
    log_size = product - (m - 1) * log_r + v + sums[:, 0]
    turned = sums[:, 1] - (m - 1) * thetas
    # The lower half of the circle is the conjugate of the upper.
    size = step * 2 / n * np.exp(log_size)
    weights = np.stack([size * np.cos(turned), size * np.sin(turned)], axis=1)
    return Heat(s, log_r, thetas, weights, np.ascontiguousarray(sums[:, 2:]))
