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
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implicitloss.labels import Floats, Labels
from implicitloss.optima.sums import HELD, PART, QUIET, Tables, measure_of, sums
from implicitloss.scheme import Hits
from implicitloss.witness.integrate.compression import in_order
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

    `log_size` is log η, less log(1 - q) where hits are excluded; `log_step` is log q, or log(q/(1 - q)); `log_rate` is
    log(1/s), `log_c` log(a b), `log_times` log(1 + i a b) for i = 1, 2, ...; `h` bounds what terms of the series are,
    of which those are left out that are `neglected`.
    """

    log_size: Floats
    log_q: Floats
    log_step: Floats
    log_z: Floats
    log_rate: Floats
    log_c: Floats
    log_counts: Floats
    eta: Floats
    h: Floats
    log_times: list[Floats]
    v: Floats
    m: int
    hits: Hits
    neglected: float = NEGLECTED

    def among(self, chosen: NDArray[np.bool_]) -> Light:
        """Some of the blocks, without what changes with the scores."""
        names = ("log_size", "log_q", "log_step", "log_c", "log_counts", "eta")
        some: dict[str, Any] = {name: getattr(self, name)[chosen] for name in names}
        return replace(self, **some, log_times=[of[chosen] for of in self.log_times])

    def below(self) -> Floats:
        """What they add to 1 - Φ, (V,)."""
        return -sums(measure_of(self.log_q + self.log_counts, self.log_z, WIDTH, MANY), self.v, np.expm1)

    def psi(self, log_phi: Floats) -> Floats:
        """What they add to Ψ, (V,)."""
        found = np.zeros(self.v.size)
        for k in range(1 if self.hits == "keep" else min(ORDERS, self.m)):
            members = self._members(k - 1, self.h**k)
            if not self.h[members].size:
                break
            weight = self._log_weight[members] + k * self.log_step[members]
            for i in range(k + 1):
                of_x = sums(measure_of(weight, self._log_x(i, members), WIDTH, MANY), self.v, np.exp)
                found += (-1) ** i * math.comb(k, i) * of_x * self._factor(k, i, self.m - 1, log_phi)
        return found

    def log_ratio(self, log_phi: Floats, psi: Floats) -> Floats:
        """log(right/left) of each block, (n,), for Φ and Ψ of all labels."""
        terms = self._terms()
        # C(m, k) = (m/k) C(m-1, k-1): the right side at k and the own push at k - 1 need the same integrals.
        factors = [self._factor(k - 1, i - 1, self.m - 1, log_phi) for k, i in terms]
        of = np.stack([psi, -np.expm1(self.m * log_phi), *factors], axis=1)
        times = max((float(of_i.max()) for of_i in self.log_times), default=0.0)
        low = float(min(self.log_z.min(), self.log_rate.min()))
        tables = Tables.of(
            partial(self._integral, of=of), low, float(max(self.log_z.max(), self.log_rate.max() + times))
        )
        place = {term: n for n, term in enumerate(terms, start=2)}

        def of_part(start: int) -> Floats:
            return self._part(slice(start, start + PART))._log_ratio(tables, place)

        return np.concatenate([*in_order(of_part, range(0, self.log_z.size, PART))])

    def _terms(self) -> list[tuple[int, int]]:
        """The k and i of the terms that count for any block."""
        orders = 0 if self.hits == "keep" else min(ORDERS, self.m)
        most = float(self.h.max())
        return [
            (k, i) for k in range(1, orders + 1) if k == 1 or most ** (k - 1) > self.neglected for i in range(k + 1)
        ]

    @cached_property
    def _log_weight(self) -> Floats:
        return self.log_size + self.log_counts

    def _part(self, part: slice) -> Light:
        """Some of the blocks."""
        names = ("log_size", "log_q", "log_step", "log_z", "log_rate", "log_c", "log_counts", "eta", "h")
        some: dict[str, Any] = {name: getattr(self, name)[part] for name in names}
        return replace(self, **some, log_times=[of[part] for of in self.log_times])

    @np.errstate(**QUIET)
    def _log_ratio(self, tables: Tables, place: dict[tuple[int, int], int]) -> Floats:
        """log(right/left) of each block, by tables of both sides beside no positive, and of the terms."""
        left, right = tables(self.log_z, 0), tables(self.log_rate, 1)
        step, c, size = np.exp(self.log_step), np.exp(self.log_c), np.exp(self.log_size)
        own, share = np.zeros_like(left), np.ones_like(left)
        of_h, of_step = share, share
        for k in range(1, max((k for k, _ in place), default=0) + 1):
            members = self._members(k - 1, np.maximum(self.h, share) * of_h)
            here = of_step[members]
            of_right, of_own = np.zeros_like(here), np.zeros_like(here)
            for i in range(k + 1 if here.size else 0):
                part = tables(self._log_x(i, members), place[k, i])
                if i:
                    part /= 1.0 + i * c[members]
                    of_own += (-1) ** (i - 1) * math.comb(k - 1, i - 1) * part
                of_right += (-1) ** i * math.comb(k, i) * part
            right[members] -= self.m / k * step[members] * here * of_right
            own[members] += c[members] * here * of_own
            if k == 1:
                share = size * own / left
            of_h, of_step = of_h * self.h, of_step * step
        left = self.m * np.exp(self.log_q) * (left - size * own)
        return np.log(self.eta * right) - np.log(left)

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
        return rate + self.log_times[i - 1][members] if i else rate

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
