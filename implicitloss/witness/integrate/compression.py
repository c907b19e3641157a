"""Compression: a draw from many labels as a few thousand numbers, Chebyshev moments in narrow bins of log x.

What the integrals need of a draw are sums F = Σ_j q_j g(u_j), u = log x, for functions g that are analytic in u.  For
many labels the u are put into bins of width 2r <= 1/8, and in each bin g is replaced by its interpolant at the N = 14
Chebyshev points: F becomes a sum over the bins' points, with masses Q_i that depend on the bin's Chebyshev moments only
(one pass over the labels, once, for every g).

Error (Trefethen 2013, theorem 8.2): if |g| <= M on the ellipse with foci at the ends of the bin and half axes r cosh λ
along and r sinh λ across, the interpolant is off by at most 4 M ρ^{1-N}/(ρ - 1), ρ = e^λ; a bin with mass Q adds Q
times that.  With z = v + u and half axis across b <= π/2:

- g = 1 - e^{-e^z}: |g| <= min(2, e^{Re z}) while g >= (1 - 1/e) min(1, e^z) on the bin, so the error is at most
  1.6 e^{r cosh λ + r} 4 ρ^{1-N}/(ρ - 1) *of the sum itself*, at every v (`relative_error`: 9e-23 for r = 1/16).
- g = e^{-Z} - 1 + Z and e^{-Z} - 1, Z = s (e^{u-c} - 1): |g| <= |Z|²/2 e^{(-Re Z)+} and |Z| e^{(-Re Z)+} (Taylor's
  theorem), Re Z >= s (e^{Re u - c} cos b - 1); the least bound over ρ = 2, 4, ..., 64 is taken in every bin.
- J(u) = E e^u/(A + e^u), A >= 1: |J| <= √2 e^{r cosh λ} J(Re u) on the ellipse, so the same with √2 for 1.6, of the
  value.

Many labels of a mean or a gradient first go into 64 fine bins to a bin, with 5 points each, and then their fine
points' masses into the bin: less than half of the time.  With P the interpolant in a bin and P' that in a fine bin, the
sum is that of P'Pg, off by P'(Pg - g) + P'g - g: the error above times the Lebesgue constant of P', at most
1 + (2/π) log 5 (Rivlin 1990, theorem 1.2), and that of the fine bins: 1e-16 of 1 - e^{-e^z}.  Centred g have no such
bound and take the bins at once.

Rounding: moments are summed in three levels, of 512 labels of a bin, 512 of these, and the rest.  It makes the masses
uncertain, and so F by as much as the greatest |g| in each bin: relative to F for 1 - e^{-e^z}, which keeps its size in
a bin, and counted bin by bin for e^{-e^z} far out and for the centred g, which vanish where most of the mass may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from implicitloss.kernels.compression import SUB_BLOCK, spread
from implicitloss.labels import Floats
from implicitloss.numerics.threads import in_order
from implicitloss.scheme import Plan
from implicitloss.witness.integrate.quadrature import LEAST_LOG_Q

__all__ = [
    "CHUNK",
    "COMPRESS_FROM_LABELS",
    "MOST_BINS",
    "N_FINE",
    "SPLIT",
    "TO_MASSES",
    "WIDTH",
    "Bins",
    "N",
    "joined",
    "spread_over_labels",
]

N = 14
WIDTH = 1 / 8
# Fewer labels than this are summed one by one: compression would not pay.
COMPRESS_FROM_LABELS = 5_000
MOST_BINS = 4_000
CHUNK = 512 * SUB_BLOCK


def _points_and_masses(n: int) -> tuple[Floats, Floats]:
    """The n Chebyshev points, and the matrix that turns moments into masses, and values into coefficients."""
    angles = np.pi * (np.arange(n) + 0.5) / n
    # By the discrete orthogonality of T_k at the points, (points, k).
    t = np.cos(np.multiply.outer(angles, np.arange(n)))
    return np.cos(angles), np.where(np.arange(n) == 0, 1.0, 2.0)[:, None] * t.T / n


POINTS, TO_MASSES = _points_and_masses(N)
# For means and gradients of many labels: each bin in SPLIT fine ones, with N_FINE points each.
SPLIT, N_FINE = 64, 5
_FINE_POINTS, _TO_FINE_MASSES = _points_and_masses(N_FINE)
_PLACES = (2 * np.arange(SPLIT)[:, None] + 1 + _FINE_POINTS).ravel() / SPLIT - 1
# T_k of the bin at the fine points, in eight parts: short sums round little.
_T_AT_PLACES = np.cos(np.multiply.outer(np.arccos(_PLACES), np.arange(N))).reshape(8, -1, N)
# Lebesgue's constant of N_FINE Chebyshev points is at most this.
_LEBESGUE = 1 + 2 / np.pi * np.log(N_FINE)
_RHO = 2.0 ** np.arange(1, 7)


@dataclass(frozen=True, eq=False)
class Bins:
    """Equal bins of log x from `low` on, `width` each: the `number` (B,) and the `mass` (B,) of those with labels."""

    low: float
    width: float
    n_bins: int
    number: Floats
    mass: Floats
    rounding: float
    split: int = 1

    @cached_property
    def points(self) -> Floats:
        """The Chebyshev points, (B, N)."""
        centres = self.low + self.width * (self.number + 0.5)
        return centres[:, None] + self.width / 2 * POINTS

    @property
    def _axes(self) -> tuple[Floats, Floats, Floats]:
        """Half axes along and across, and the theorem's factor, for each ρ whose ellipse lies within |Im u| < π/2."""
        r = self.width / 2
        along, across = r * (_RHO + 1 / _RHO) / 2, r * (_RHO - 1 / _RHO) / 2
        kept = across < np.pi / 2
        return along[kept], across[kept], (4 * _RHO ** (1.0 - N) / (_RHO - 1))[kept]

    @property
    def relative_error(self) -> float:
        """Relative interpolation error of Σ q (1 - e^{-e^{v+u}}) at any v, and (√2 for 1.6) of J at any label."""
        error = _relative_error(self.width, N)
        if self.split > 1:
            error = _LEBESGUE * error + _relative_error(self.width / self.split, N_FINE)
        return error

    def at_most(self, v: Floats) -> Floats:
        """A bound on φ(e^v): every label at the lower end of its bin."""
        with np.errstate(over="ignore"):
            return np.exp(-np.exp(v[:, None] + (self.low + self.width * self.number))) @ self.mass

    def centred_error(self, scale: Floats, centre: float, order: Literal[1, 2]) -> Floats:
        """Error of Σ q g, g = e^{-Z} - 1 (+ Z if `order` is 2), Z = scale (e^{u - centre} - 1), at each scale, (n,)."""
        assert self.split == 1
        along, across, factor = self._axes
        # The last entry is the bin itself, where the rounding of its masses multiplies the greatest |g|.
        along, across = np.append(along, self.width / 2), np.append(across, 0.0)
        # (B, ρ): where the ellipse lies, relative to the centre
        at = (self.low + self.width * (self.number + 0.5) - centre)[:, None]
        least, most = at - along, at + along
        away = np.hypot(np.maximum(np.abs(least), np.abs(most)), across)
        # The bound may overflow: such a measure is not used.
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


def _relative_error(width: float, n: int) -> float:
    """The bound on the relative interpolation error at n points, by the ellipse with half axis 1.5 < π/2 across."""
    r = width / 2
    rho = 1.5 / r + np.hypot(1.5 / r, 1)
    return float(1.6 * np.exp(r * (rho + 1 / rho) / 2 + r) * 4 * rho ** (1.0 - n) / (rho - 1))


def joined(moments: Floats) -> Floats:
    """The moments of the bins, (B, N), from those of their fine bins, (B SPLIT, N_FINE), by masses at fine points."""
    masses = (moments @ _TO_FINE_MASSES).reshape(-1, 8, SPLIT // 8 * N_FINE)
    return np.asarray(np.matmul(masses.swapaxes(0, 1), _T_AT_PLACES).sum(axis=0))


def spread_over_labels(bins: Bins, values: Floats, plan: Plan, payment: Floats, m: int) -> Floats:
    """m q_j J_j of every label, (L,), from the `values` of J at the bins' points, (B, N)."""
    coefficients = np.zeros((bins.n_bins, N))
    coefficients[bins.number.astype(np.intp)] = values @ TO_MASSES.T
    out = np.empty(plan.log_q.size)

    def fill(start: int) -> None:
        part = slice(start, start + CHUNK)
        spread(
            plan.log_q[part], plan.log_w[part], payment[part], LEAST_LOG_Q, bins.low, bins.width, coefficients, m,
            out[part],
        )  # fmt: skip

    for _ in in_order(fill, range(0, out.size, CHUNK)):
        pass
    return out
