"""One draw as a measure: it adds x to the sum with probability q(x); label by label, or compressed for many labels.

What the integrals need of a draw are sums F = Σ_j q_j g(u_j), u = log x, for functions g that are analytic in u.  For
many labels the u are put into bins of width 2r <= 1/8, and in each bin g is replaced by its interpolant at the N = 14
Chebyshev points: F becomes a sum over the bins' points, with masses Q_i that depend on the bin's Chebyshev moments only
(one pass over the labels, once, for every g).

Error (Trefethen 2013, theorem 8.2): if |g| <= M on the ellipse with foci at the ends of the bin and half axes r cosh λ
along and r sinh λ across, the interpolant is off by at most 4 M ρ^{1-N}/(ρ - 1), ρ = e^λ; a bin with mass Q adds Q
times that.  With z = v + u and half axis across b <= π/2:

- g = 1 - e^{-e^z}: |g| <= min(2, e^{Re z}) while g >= (1 - 1/e) min(1, e^z) on the bin, so the error is at most
  1.6 e^{r cosh λ + r} 4 ρ^{1-N}/(ρ - 1) *of the sum itself*, at every v (`relative_error`: 3e-20 for r = 1/16).
- g = e^{-Z} - 1 + Z and e^{-Z} - 1, Z = s (e^{u-c} - 1): |g| <= |Z|²/2 e^{(-Re Z)+} and |Z| e^{(-Re Z)+} (Taylor's
  theorem), Re Z >= s (e^{Re u - c} cos b - 1); the least bound over ρ = 2, 4, ..., 64 is taken in every bin.
- J(u) = E e^u/(A + e^u), A >= 1: |J| <= √2 e^{r cosh λ} J(Re u) on the ellipse, so the same with √2 for 1.6, of the
  value.

Rounding: moments are summed in three levels, of 1024 labels, 256 of these, and the rest.  It makes the masses
uncertain, and so F by as much as the greatest |g| in each bin: relative to F for 1 - e^{-e^z}, which keeps its size in
a bin, and counted bin by bin for e^{-e^z} far out and for the centred g, which vanish where most of the mass may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np

from implicitloss.kernels.bins import SUB_BLOCK, add_moments, scan, spread
from implicitloss.labels import Floats
from implicitloss.logsum import logsumexp
from implicitloss.scheme import Plan

T = TypeVar("T")

N = 14
WIDTH = 1 / 8
# Fewer labels than this are summed one by one: compression would not pay.
MANY = 5_000
MOST_BINS = 4_000
CHUNK = 256 * SUB_BLOCK
EPS = float(np.finfo(np.float64).eps)
# log of the least q that is handled: above the subnormal numbers.
TINY = -700.0

_angles = np.pi * (np.arange(N) + 0.5) / N
POINTS = np.cos(_angles)
# T_k at the points, (points, k); their discrete orthogonality turns moments into masses and values into coefficients.
_T = np.cos(np.multiply.outer(_angles, np.arange(N)))
_TO_MASSES = np.where(np.arange(N) == 0, 1.0, 2.0)[:, None] * _T.T / N
_RHO = 2.0 ** np.arange(1, 7)


@dataclass(frozen=True, eq=False)
class Bins:
    """Equal bins of log x from `low`, `width` each: those that hold labels by `number` (B,), with their `mass` (B,)."""

    low: float
    width: float
    n_bins: int
    number: Floats
    mass: Floats
    rounding: float

    @cached_property
    def points(self) -> Floats:
        """The Chebyshev points, (B, N)."""
        centres = self.low + self.width * (self.number + 0.5)
        return centres[:, None] + self.width / 2 * POINTS

    @property
    def _axes(self) -> tuple[Floats, Floats, Floats]:
        """Half axes along and across, and the theorem's factor, for each ρ whose ellipse keeps to |Im u| < π/2."""
        r = self.width / 2
        along, across = r * (_RHO + 1 / _RHO) / 2, r * (_RHO - 1 / _RHO) / 2
        kept = across < np.pi / 2
        return along[kept], across[kept], (4 * _RHO ** (1.0 - N) / (_RHO - 1))[kept]

    @property
    def relative_error(self) -> float:
        """Of Σ q (1 - e^{-e^{v+u}}) at any v, and (√2 for 1.6) of J at any label."""
        r = self.width / 2
        # The ellipse with half axis 1.5 < π/2 across.
        rho = 1.5 / r + np.hypot(1.5 / r, 1)
        return float(1.6 * np.exp(r * (rho + 1 / rho) / 2 + r) * 4 * rho ** (1.0 - N) / (rho - 1))

    def at_most(self, v: Floats) -> Floats:
        """A bound on φ(e^v): every label at the lower end of its bin."""
        with np.errstate(over="ignore"):
            return np.exp(-np.exp(v[:, None] + (self.low + self.width * self.number))) @ self.mass

    def centred_error(self, scale: Floats, centre: float, order: Literal[1, 2]) -> Floats:
        """Of Σ q g with g = e^{-Z} - 1 (+ Z if `order` is 2), Z = scale (e^{u - centre} - 1), at each scale, (n,)."""
        along, across, factor = self._axes
        # Last, the bin itself: what the rounding of its masses makes of the greatest |g| there.
        along, across = np.append(along, self.width / 2), np.append(across, 0.0)
        # (B, ρ): where the ellipse lies, relative to the centre
        at = (self.low + self.width * (self.number + 0.5) - centre)[:, None]
        least, most = at - along, at + along
        away = np.hypot(np.maximum(np.abs(least), np.abs(most)), across)
        # Overflow is a bound too: such a measure is not used.
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.minimum(np.exp(most) + 1, away * np.exp(away))
            growth = np.maximum(0.0, 1 - np.exp(least) * np.cos(across))
            error = np.empty(scale.size)
            for i, s in enumerate(scale):
                z, grown = s * size, np.exp(np.minimum(s * growth, 600.0))
                near, far = (z * z / 2 * grown, 1 + z + grown) if order == 2 else (z * grown, 1 + grown)
                bound = np.fmin(near, far)
                error[i] = self.mass @ (np.min(factor * bound[:, :-1], axis=1) + self.rounding * bound[:, -1])
        return np.where(np.isnan(error), np.inf, error)


@dataclass(frozen=True, eq=False)
class Measure:
    """q (J,) on log x (J,), which lies between `low` and `high`; with `bins`, q are signed masses at their points.

    `size` is the largest sum of the magnitudes of the logarithms that a term is made of: what rounds in it.
    """

    q: Floats
    log_x: Floats
    low: float
    high: float
    size: float = 0.0
    # Roundings of one term's sum, beside those of the (128 + J/128) in the integrals' own sums.
    summed: float = 0.0
    bins: Bins | None = None

    @cached_property
    def log_mean(self) -> float:
        """log Σ q x."""
        return float(logsumexp(self.log_x, b=self.q))

    @property
    def log_rounding(self) -> float:
        """Rounding error of each log q and log x together."""
        return EPS * (4 + 2 * self.size)

    @property
    def rounding(self) -> float:
        """Relative rounding error of a sum over labels, of the logs x it is made of, and of a sum over nodes."""
        return EPS * (256 + self.q.size / 128 + self.summed) + self.log_rounding

    def total_error(self, v: Floats, log_phi: Floats) -> Floats:
        """The error of φ(e^v) that compression makes."""
        if self.bins is None:
            return np.zeros_like(v)
        error = -self.bins.relative_error * np.expm1(log_phi)
        small = log_phi < -0.5
        error[small] += self.bins.rounding * self.bins.at_most(v[small])
        return error

    def centred_error(self, scale: Floats, centre: float, order: Literal[1, 2]) -> Floats:
        """The error of a centred sum that interpolation makes, at each scale."""
        return np.zeros_like(scale) if self.bins is None else self.bins.centred_error(scale, centre, order)


def whole(plan: Plan, payment: Floats) -> Measure:
    """Label by label; what is never drawn left out."""
    support = np.flatnonzero(plan.log_q > TINY)
    logs = plan.magnitudes(payment)[support]
    log_q, log_x = plan.log_q[support], plan.log_w[support] + payment[support]
    # A label j matters at some t <= 50 only if q_j x_j >= e^{-40} q_k min(x_k, 1/50) for every k: masks of -1e9 do not.
    share = log_q + log_x
    counts = share > float(np.max(log_q + np.minimum(log_x, -4.0))) - 40
    size = float(np.max(logs, where=counts, initial=0.0))
    return Measure(np.exp(log_q), log_x, float(log_x.min()), float(log_x.max()), size)


def compressed(plan: Plan, payment: Floats, width: float) -> Measure | None:
    """In bins of at most `width`, eight at least; None where these would be too many, and their points too rounded."""
    low, high, nothing, n_nothing, size = scan(plan.log_q, plan.log_w, payment, TINY)
    size += 2 * abs(plan.log_rest)
    if high == -np.inf:
        return Measure(np.array([nothing]), np.array([-np.inf]), -np.inf, -np.inf)
    # Never narrower than the rounding of u: labels that are all worth the same are one bin.
    width = max(min(width, (high - low) / 8), 1e-13 * max(1.0, abs(low), abs(high)))
    n_bins = int((high - low) / width) + 1
    if n_bins > MOST_BINS:
        return None
    parts = range(0, plan.log_q.size, CHUNK)

    def of(start: int) -> Floats:
        part = slice(start, start + CHUNK)
        moments = np.zeros((n_bins, N))
        add_moments(plan.log_q[part], plan.log_w[part], payment[part], TINY, low, width, moments)
        return moments

    total = np.zeros((n_bins, N))
    for moments in _in_order(of, parts):
        total += moments
    number = np.flatnonzero(total[:, 0] > 0)
    # The sum's error times 1.5, the size of a bin's coefficients, and 2 N for the masses themselves.
    summed = 0.75 * (SUB_BLOCK + CHUNK / SUB_BLOCK + len(parts) + n_nothing / SUB_BLOCK) + 2 * N
    bins = Bins(low, width, n_bins, number.astype(np.float64), total[number, 0], EPS * summed)
    q, log_x = (total[number] @ _TO_MASSES).ravel(), bins.points.ravel()
    if n_nothing:
        q, log_x = np.append(q, nothing), np.append(log_x, -np.inf)
    return Measure(q, log_x, -np.inf if n_nothing else low, high, size, summed, bins)


def measures(plan: Plan, payment: Floats) -> Iterator[Measure]:
    """The measure of a draw, compressed ever less: take the first that is exact enough; the last one always is."""
    if plan.log_q.size >= MANY:
        for width in (WIDTH, WIDTH / 8, WIDTH / 64):
            found = compressed(plan, payment, width)
            if found is not None:
                yield found
    yield whole(plan, payment)


def spread_over_labels(bins: Bins, values: Floats, plan: Plan, payment: Floats, m: int) -> Floats:
    """m q_j J_j of every label, (L,), from the `values` of J at the bins' points, (B, N)."""
    coefficients = np.zeros((bins.n_bins, N))
    coefficients[bins.number.astype(np.intp)] = values @ _TO_MASSES.T
    out = np.empty(plan.log_q.size)

    def fill(start: int) -> None:
        part = slice(start, start + CHUNK)
        spread(
            plan.log_q[part], plan.log_w[part], payment[part], TINY, bins.low, bins.width, coefficients, m, out[part]
        )

    for _ in _in_order(fill, range(0, out.size, CHUNK)):
        pass
    return out


def _in_order(function: Callable[[int], T], parts: range) -> Iterator[T]:
    """function(part) of every part, by threads, in order: the same sums for any number of them."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(function, parts)
