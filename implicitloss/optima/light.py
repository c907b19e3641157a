"""Light labels: what they add to the balance of pushes, all together, in O(L) at a few numbers a label.

The notation is that of `implicitloss.optima.balance`.  A label is light where it is at most a part h of 1 - Φ at every
u, that is where q r(u) <= h (1 - Φ(u)), r = 1 - e^{-u z}.  Beside it as the positive, φ = Φ + δ, where

    δ = q r if hits are masked, δ = q/(1 - q) (r - (1 - Φ)) if they are excluded, |δ| <= h (1 - Φ),

for h at least q/(1 - q).  Then φ^n = Σ_k C(n, k) Φ^{n-k} δ^k, and the term k is at most h^k times a probability of the
binomial distribution of n and 1 - Φ.  Terms with h^k <= `NEGLECTED` are left out: as small a part of 1 - φ^m, and about
that of the integrals of φ^{m-1} (tests find up to 1.1 times that a standard deviation off the optimum; scores that are
far off it may have ten times that).  What is left are sums of exponentials e^{-u x}, x = 1/s + i z for i <= k: each a
function of one number of a label, for which labels go into bins (`implicitloss.optima.sums`).  *Source:* derived.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.balance import ratios
from implicitloss.labels import Floats, Labels
from implicitloss.optima.sums import HELD, QUIET, Tables, in_parts, measure_of, sums
from implicitloss.scheme import Hits
from implicitloss.witness.integrate.quadrature import STEP, power

__all__ = ["MANY", "NEGLECTED", "ORDERS", "WIDTH", "Light", "are_light", "shares"]

# So small a part of a sum is left out; a label is light up to this part of it, and ORDERS terms are then enough.
NEGLECTED, HEAVIEST, ORDERS = 1e-11, 1 / 200, 5
# Terms of other signs may be so large beside their sum: digits cancel.
MOST_CANCELLED = 1e4
# Bins of log x, and from how many labels on.
WIDTH, MANY = 1 / 2, 5_000


def shares(log_step: Floats, log_z: Floats, v: Floats, below: Floats, hits: Hits) -> Floats:
    """A bound on h of each label, (L,): of any label at the upper end of its bin of log z."""
    low, n_bins = float(log_z.min()), int(np.ptp(log_z) / WIDTH) + 1
    ends = low + WIDTH * np.arange(1, n_bins + 1)
    largest = np.max(-np.expm1(-np.exp(v + ends[:, None])) / below, axis=1)
    if hits == "exclude":
        largest = np.maximum(largest, 1.0)
    return np.asarray(np.exp(log_step) * largest[((log_z - low) / WIDTH).astype(np.intp)])


@dataclass(frozen=True, eq=False)
class Light:
    """Blocks of light labels at given scores, (n,) each.

    `size` is η, or η/(1 - q) where hits are excluded, `step` q or q/(1 - q), and `c` a b; `log_odds` is log(η/(m q));
    `log_weight` and `log_mass` are log size and log q with the number of labels, -inf for blocks that are not light;
    `log_more` is log(1 + a b), and `log_rate` log(1/s).  `h` bounds what terms of the series are, of which those are
    left out that are `neglected`.
    """

    log_mass: Floats
    log_weight: Floats
    log_odds: Floats
    log_step: Floats
    log_more: Floats
    size: Floats
    step: Floats
    c: Floats
    h: Floats
    m: int
    hits: Hits
    log_z: Floats
    log_rate: Floats
    v: Floats
    neglected: float = NEGLECTED

    def below(self) -> Floats:
        """What they add to 1 - Φ, (V,)."""
        return -sums(measure_of(self.log_mass, self.log_z, WIDTH, MANY), self.v, np.expm1)

    def psi(self, log_phi: Floats) -> Floats:
        """What they add to Ψ, (V,)."""
        found = np.zeros(self.v.size)
        for k in range(1 if self.hits == "keep" else min(ORDERS, self.m)):
            members = self._members(k - 1, self.h**k)
            if not self.h[members].size:
                break
            weight = self.log_weight[members] + k * self.log_step[members] if k else self.log_weight
            for i in range(k + 1):
                of_x = sums(measure_of(weight, self._log_x(i, members), WIDTH, MANY), self.v, np.exp)
                found += (-1) ** i * math.comb(k, i) * of_x * self._factor(k, i, self.m - 1, log_phi)
        return found

    def log_ratio(self, log_phi: Floats, psi: Floats) -> Floats:
        """log(right/left) of each block, (n,), for Φ and Ψ of all labels."""
        orders = self._orders
        # C(m, k) = (m/k) C(m-1, k-1): the right side at k and the own push at k - 1 need the same integrals.
        terms = [(k, i) for k in range(1, orders + 1) for i in range(k + 1)]
        factors = [self._factor(k - 1, i - 1, self.m - 1, log_phi) for k, i in terms]
        of = np.stack([psi, -np.expm1(self.m * log_phi), *factors], axis=1)
        low = float(min(self.log_z.min(), self.log_rate.min()))
        high = float(max(self.log_z.max(), self.log_rate.max() + np.log1p(orders * self.c.max())))
        tables = Tables.of(partial(self._integral, of=of), low, high)
        out = np.empty(self.log_z.size)

        def fill(part: slice) -> None:
            given = (getattr(self, name)[part] for name in ("log_z", "log_rate", "log_more", "size", "step", "c", "h"))
            ratios(*given, self.m, orders, self.neglected, tables.low, tables.width, tables.powers, out[part])
            with np.errstate(**QUIET):  # of this thread
                out[part] = np.log(out[part]) + self.log_odds[part]

        in_parts(fill, out.size)
        return out

    @property
    def _orders(self) -> int:
        """How many terms of the series count for any block."""
        orders = 0 if self.hits == "keep" else min(ORDERS, self.m)
        most = float(self.h.max())
        return sum(k == 1 or most ** (k - 1) > self.neglected for k in range(1, orders + 1))

    def _members(self, k: int, bound: Floats) -> Labels | slice:
        """The blocks for which the bound is more than is neglected; all up to k = 0, and where these are most."""
        if k == 0:
            return slice(None)
        counts = bound > self.neglected
        return slice(None) if 2 * np.count_nonzero(counts) > counts.size else np.flatnonzero(counts)

    def _factor(self, k: int, i: int, n: int, log_phi: Floats) -> Floats:
        """C(n, k) Φ^{n-k} where hits are masked, C(n, k) Φ^{n-i} where they are excluded, (V,)."""
        return math.comb(n, k) * np.exp(power(n - (i if self.hits == "exclude" else k), log_phi))

    def _log_x(self, i: int, members: Labels | slice) -> Floats:
        """log(1/s + i z), as z = a b/s."""
        rate = self.log_rate[members]
        if i <= 1:
            return rate + self.log_more[members] if i else rate
        return rate + np.log1p(i * self.c[members])

    def _integral(self, log_x: Floats, of: Floats) -> Floats:
        """x ∫ e^{-u x} `of` du at each x, (P, n), of functions (V, n)."""
        found = np.empty((log_x.size, of.shape[1]))
        rows = max(1, HELD // self.v.size)
        for start in range(0, log_x.size, rows):
            s = np.exp(log_x[start : start + rows, None] + self.v)
            found[start : start + rows] = STEP * ((s * np.exp(-s)) @ of)
        return found


def are_light(h: Floats, log_step: Floats, m: int) -> NDArray[np.bool_]:
    """Which labels are light: those of small h whose terms do not cancel."""
    light = h <= HEAVIEST
    for k in range(1, ORDERS):
        few = log_step <= math.log(MOST_CANCELLED * math.factorial(k)) / k - math.log(2 * m)
        light &= few if k == 1 else few | (h <= NEGLECTED ** (1 / k))
    return light
