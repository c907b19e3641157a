"""The optimum of the expected sampled softmax loss, by the balance of what pushes each score up and down: O(L) a step.

Weights are w_yy' = a_y b_y', and labels that are alike in η, q, a and b are taken together.  With z_k = b_k e^{f_k},
s_y = a_y e^{-f_y} and u = t s_y of the integrals E[1/(1 + S)] = ∫ e^{-t} E e^{-t S} dt,

    Φ(u) = Σ_j q_j e^{-u z_j},    ψ_y(u) = η_y e^{-u/s_y} φ_y(u)^{m-1},    Ψ = Σ_y ψ_y,

where φ_y is Φ if hits are kept, Φ + q_y (1 - e^{-u z_y}) if they are masked, and (Φ - q_y e^{-u z_y})/(1 - q_y) if they
are excluded, ψ_y then with a further factor 1/(1 - q_y).  At the optimum, for each label k,

    m q_k z_k ∫ e^{-u z_k} (Ψ - ψ_k) du = η_k ∫ e^{-t} (1 - φ_k(t/s_k)^m) dt,

what k gets as a negative, and what it gets as a positive; where hits are kept, Ψ whole.  *Source:* derived.  All
integrals are sums over one grid of log u (`witness.integrate.quadrature`).

Each step adds log(right/left) to f, and Anderson's method mixes the last few steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implicitloss.labels import Floats, Labels
from implicitloss.numerics.logsum import log_rest
from implicitloss.optima.light import MANY, ORDERS, Light, orders_of, shares
from implicitloss.optima.light import WIDTH as BINS
from implicitloss.optima.many import Newton, balanced_alone, descent
from implicitloss.optima.newton import NoOptimum
from implicitloss.optima.sums import measure_of, sums
from implicitloss.scheme import Hits
from implicitloss.witness.integrate.quadrature import LEFT, RIGHT, STEP, nodes, power

__all__ = ["balanced", "balanced_blocks", "fixed_point"]

STEPS, DEPTH = 1000, 12
# Of more labels so many are looked at to mix steps.
MIXED = 5_000
# A mixed step may make the difference of the sides larger by this factor.
WORSE = 1.5
# The two sides agree to this part of η at the optimum that is looked for, and to the second at one that is accepted.
SOUGHT, ACCEPTED = 1e-13, 1e-9
# A step of many blocks, which is as long as f is off, is no longer than this.
SOUGHT_OF_MANY, NEAR = 1e-9, 1e-2
# The side of a cell of labels, and the number of cells, for a start.
CELL, MOST_CELLS = 0.5, 1_500
# After so many steps without a better one, rounding is reached.
PATIENCE = 25
# No score moves further in a step.
LONGEST = 20.0
# More than this share of a sum is not taken off it, which would cancel digits.
MOST_TAKEN_OFF, HEAVY = 0.25, 0.01
# Numbers of a matrix of labels times nodes that are held at once.
HELD = 1 << 21
# Logarithms that span more go into too many bins.
WIDEST = 400.0


def balanced(eta: Floats, log_q: Floats, log_a: Floats, log_b: Floats, m: int, hits: Hits, start: Floats) -> Floats:
    """The optimum f*, (L,), centred, from the scores `start`; *raises* NoOptimum where it is not reached."""
    table = np.stack([eta, log_q, log_a, log_b, log_rest(log_q), start])
    blocks, of_label, counts = np.unique(table, axis=1, return_inverse=True, return_counts=True)
    f = balanced_blocks(blocks, counts, m, hits)[of_label.reshape(-1)]
    return np.asarray(f - f.mean())


def balanced_blocks(blocks: Floats, counts: Labels, m: int, hits: Hits, sought: float = SOUGHT) -> Floats:
    """The optimum (K,), up to a constant, of K blocks of `counts` labels that are alike.

    `blocks` (6, K) are η, log q, log a and log b of one label, the log of the law's mass on all others, and a start.
    The two sides of the balance then agree to the part `sought`, if rounding lets them.
    """
    alike = counts.astype(np.float64)
    sides = _Sides(blocks[0], blocks[1], blocks[2], blocks[3], np.exp(blocks[4]), alike, m, hits)
    if alike.size < MANY:
        return fixed_point(sides.log_ratio, blocks[5], alike * blocks[0], sought)
    near = _near(blocks, alike, m, hits)
    found = descent(sides.step, near, alike * blocks[0], max(sought, SOUGHT_OF_MANY))
    return fixed_point(sides.log_ratio, near, alike * blocks[0], max(sought, SOUGHT_OF_MANY)) if found is None else found


def _near(blocks: Floats, counts: Floats, m: int, hits: Hits) -> Floats:
    """Scores near the optimum: that of cells of blocks, as their means have it."""
    logs = np.log(blocks[0]), *blocks[1:4]
    width = CELL
    while True:
        cell = np.zeros(counts.size, dtype=np.int64)
        for of in logs:
            key = np.floor((of - of.min()) / width).astype(np.int64)
            cell = np.unique(cell * (key.max() + 1) + key, return_inverse=True)[1]
        if cell.max() < MOST_CELLS:
            break
        width *= 1.5
    n = np.bincount(cell, counts)

    def mean(of: Floats) -> Floats:
        return np.bincount(cell, counts * of) / n

    eta, q = mean(blocks[0]), mean(np.exp(blocks[1]))
    sides = _Sides(eta, np.log(q), mean(blocks[2]), mean(blocks[3]), mean(np.exp(blocks[4])), n, m, hits)
    f = fixed_point(sides.log_ratio, np.log(eta), n * eta, NEAR)
    _, v, log_phi, psi = sides._at(f)
    return balanced_alone(f[cell], logs[0] - blocks[1] - np.log(m), blocks[3], -blocks[2], m, v, log_phi, psi)


@dataclass(frozen=True, eq=False)
class _Sides:
    """Both sides of the balance at given scores; `counts` labels are alike in each block, `rest` is 1 - q."""

    eta: Floats
    log_q: Floats
    log_a: Floats
    log_b: Floats
    rest: Floats
    counts: Floats
    m: int
    hits: Hits

    def log_ratio(self, f: Floats) -> Floats:
        """log(right/left) of each block."""
        return self._at(f)[0]

    def step(self, f: Floats) -> Floats:
        """What Newton's method adds to f, (n,), with the derivatives of the balance where hits are kept."""
        ratio, v, log_phi, psi = self._at(f)
        size = np.exp(np.log(self.eta) - self._log_rest)
        newton = Newton(self.log_b + f, f - self.log_a, self.counts * np.exp(self.log_q), self.counts * size, self.m)
        return newton.step(ratio, v, log_phi, psi)

    def _at(self, f: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """log(right/left) of each block, the nodes, and log Φ and Ψ there."""
        log_z, log_s = self.log_b + f, self.log_a - f
        low = min(-float(log_z.max()) - np.log(self.m), float(log_s.min()))
        v = nodes(low - LEFT, RIGHT + float(log_s.max()))
        if f.size < MANY or max(np.ptp(log_z), np.ptp(log_s), np.ptp(self._log_c)) > WIDEST:
            below = psi = np.zeros(v.size)
            ratio, below, psi = self._beside(log_z, log_s, v, below, psi)
            return ratio, v, np.log1p(-below), psi
        light, terms = self._split(log_z, v)
        heavy, chosen = self._of(~light), self._light(light, terms, log_z, log_s, v)
        below = chosen.below()
        log_phi = np.log1p(-np.minimum(below + heavy._below(log_z[~light], v), 1.0))
        psi = chosen.psi(log_phi)
        ratio = np.empty(f.size)
        ratio[~light], _, of_heavy = heavy._beside(log_z[~light], log_s[~light], v, below, psi)
        psi = psi + of_heavy
        ratio[light] = chosen.log_ratio(log_phi, psi)
        return ratio, v, log_phi, psi

    @cached_property
    def _log_c(self) -> Floats:
        return self.log_a + self.log_b

    @cached_property
    def _log_times(self) -> list[Floats]:
        return [np.logaddexp(0.0, np.log(i) + self._log_c) for i in range(1, ORDERS)]

    @cached_property
    def _log_rest(self) -> Floats:
        return np.log(self.rest) if self.hits == "exclude" else np.zeros_like(self.rest)

    def _of(self, chosen: NDArray[np.bool_]) -> _Sides:
        """The sides of some blocks."""
        parts = (self.eta, self.log_q, self.log_a, self.log_b, self.rest, self.counts)
        return _Sides(*(of[chosen] for of in parts), self.m, self.hits)

    def _split(self, log_z: Floats, v: Floats) -> tuple[NDArray[np.bool_], list[NDArray[np.bool_]]]:
        """Which blocks are light, and for which of them each term of the series counts."""
        if self.hits == "keep":
            everywhere = np.ones(log_z.size, dtype=bool)
            return everywhere, [everywhere]
        below = -sums(measure_of(self.log_q + np.log(self.counts), log_z, BINS), v, np.expm1)
        log_step = self.log_q - self._log_rest
        size = self.eta * np.exp(-self._log_rest)
        h = np.maximum(shares(log_step, log_z, v, below, self.hits), size / (self.counts @ size))
        return orders_of(h, log_step, self.m)

    def _light(
        self, light: NDArray[np.bool_], terms: list[NDArray[np.bool_]], log_z: Floats, log_s: Floats, v: Floats
    ) -> Light:
        orders: list[Any] = [np.flatnonzero(counts[light]) for counts in terms]
        orders = [slice(None) if of.size == light.sum() else of for of in orders]
        orders = [of for of in orders if isinstance(of, slice) or of.size]
        parts = (
            np.log(self.eta) - self._log_rest, self.log_q, self.log_q - self._log_rest, log_z, -log_s, self._log_c,
            np.log(self.counts), self.eta,
        )  # fmt: skip
        times = [of[light] for of in self._log_times[: len(orders) - 1]]
        return Light(*(of[light] for of in parts), times, orders, v, self.m, self.hits)

    def _beside(
        self, log_z: Floats, log_s: Floats, v: Floats, below_others: Floats, psi_others: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """log(right/left) of each block, one by one, beside others that add to 1 - Φ and to Ψ; 1 - Φ; Ψ of these."""
        n = log_z.size
        step = max(1, HELD // v.size)
        parts = [slice(start, start + step) for start in range(0, n, step)]
        below = np.minimum(below_others + self._below(log_z, v), 1.0)
        left, right, light = np.empty(n), np.empty(n), np.zeros(v.size)
        heavy = self._heavy
        rows = np.empty((heavy.size, v.size))
        counts = np.array(self.counts)
        counts[heavy] = 0.0
        held: list[Floats] = []
        for part in parts:
            own, right[part] = self._positives(part, log_z, log_s, v, below, below_others)
            light += counts[part] @ own
            here = (heavy >= part.start) & (heavy < part.stop)
            rows[here] = own[heavy[here] - part.start]
            held = [own]
        psi = light + self.counts[heavy] @ rows
        light += psi_others
        for part in parts:
            others: Floats = psi + psi_others
            if self.hits != "keep":
                own = held[0] if len(parts) == 1 else self._positives(part, log_z, log_s, v, below, below_others)[0]
                others = np.maximum(others - own, 0.0)
                for i in np.flatnonzero((heavy >= part.start) & (heavy < part.stop)):
                    rest = np.where(np.arange(heavy.size) == i, self.counts[heavy] - 1, self.counts[heavy])
                    others[heavy[i] - part.start] = light + rest @ rows
            pushed = np.exp(v + log_z[part, None])
            left[part] = STEP * self.m * np.exp(self.log_q[part]) * np.sum(pushed * np.exp(-pushed) * others, axis=1)
        return np.log(right) - np.log(left), below, psi

    @cached_property
    def _heavy(self) -> Labels:
        """The blocks one label of which may be a good part of Ψ."""
        size = self.eta / self.rest if self.hits == "exclude" else self.eta
        return np.flatnonzero(size > HEAVY * (self.counts @ size))

    def _below(self, log_z: Floats, v: Floats, without: int = -1) -> Floats:
        """Σ_j q_j (1 - e^{-u z_j}), what these blocks add to 1 - Φ, (V,); one label of the block `without` left out."""
        found = np.zeros(v.size)
        counts = np.array(self.counts)
        if without >= 0:
            counts[without] -= 1
        step = max(1, HELD // v.size)
        for start in range(0, log_z.size, step):
            part = slice(start, start + step)
            found += (counts[part] * np.exp(self.log_q[part])) @ _rising(log_z[part], v)
        return found

    def _positives(
        self, part: slice, log_z: Floats, log_s: Floats, v: Floats, below: Floats, below_others: Floats
    ) -> tuple[Floats, Floats]:
        """ψ of the blocks of a part, (n, V), and what each gets as a positive, (n,)."""
        q, eta = np.exp(self.log_q[part, None]), self.eta[part, None]
        rest = self.rest[part, None] if self.hits == "exclude" else 1.0
        of_others = np.broadcast_to(below, (q.size, v.size))
        if self.hits != "keep":
            mine = q * _rising(log_z[part], v)
            of_others = below - mine
            # A label that is most of the sum is left out of it, in place of being taken off.
            for i in np.flatnonzero(np.any(mine > MOST_TAKEN_OFF * below, axis=1)):
                of_others[i] = np.minimum(below_others + self._below(log_z, v, part.start + i), 1.0)
        with np.errstate(divide="ignore"):
            log_phi = np.log1p(-np.clip(of_others / rest, 0.0, 1.0))
        t = np.exp(v - log_s[part, None])
        decay = np.exp(-t)
        psi = eta / rest * decay * np.exp(power(self.m - 1, log_phi))
        return psi, STEP * np.sum(eta * t * decay * -np.expm1(self.m * log_phi), axis=1)


def _rising(log_z: Floats, v: Floats) -> Floats:
    """1 - e^{-u z} at each node, (n, V)."""
    return -np.expm1(-np.exp(v + log_z[:, None]))


def fixed_point(step: Callable[[Floats], Floats], f: Floats, weights: Floats, sought: float = SOUGHT) -> Floats:
    """Where `step` is a constant, by Anderson's method in the norm with these weights.

    A mixed step after which the sides differ more than before is taken back, for a plain one.
    """
    weights = weights / weights.sum()
    some = _some(weights)
    root = np.sqrt(weights[some])

    def moved(f: Floats) -> Floats:
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            move = step(f)
            return move - weights @ move

    move = moved(f)
    aheads, moves = [f + move], [move[some]]
    best, best_f, since = float(np.abs(move).max()), f, 0
    for _ in range(STEPS):
        if best <= sought or since > PATIENCE or not np.all(np.isfinite(move)):
            break
        trial = f + np.clip(move, -LONGEST, LONGEST)
        if len(moves) > 1:
            mix = np.linalg.lstsq(root[:, None] * np.diff(moves, axis=0).T, root * move[some], rcond=1e-12)[0]
            ahead = move.copy()
            for share, one, next_one in zip(mix, aheads[:-1], aheads[1:], strict=True):
                ahead -= share * (next_one - one)
            trial = f + np.clip(ahead, -LONGEST, LONGEST)
        trial_move = moved(trial)
        if len(moves) > 1 and not np.linalg.norm(root * trial_move[some]) <= WORSE * np.linalg.norm(root * move[some]):
            aheads, moves = [], []
            trial = f + np.clip(move, -LONGEST, LONGEST)
            trial_move = moved(trial)
        f, move = trial, trial_move
        aheads, moves = [*aheads[-DEPTH:], f + move], [*moves[-DEPTH:], move[some]]
        off = float(np.abs(move).max())
        best, best_f, since = (off, f, 0) if off < best else (best, best_f, since + 1)
    if not best <= max(ACCEPTED, sought):
        raise NoOptimum(f"the balance did not converge: what pushes a score up and down still differs by {best:.2g}")
    return best_f


def _some(weights: Floats) -> Labels | slice:
    """Labels by which steps are mixed: all, or of many those at which the running sum of weights passes a step."""
    if weights.size <= MIXED:
        return slice(None)
    return np.unique(np.searchsorted(np.cumsum(weights), (np.arange(MIXED) + 0.5) / MIXED).clip(max=weights.size - 1))
