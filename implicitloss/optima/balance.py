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

One file: both sides of the balance, and the starts from which it is reached, are about the same blocks of labels.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from implicitloss.labels import Floats, Labels
from implicitloss.numerics.logsum import log_rest
from implicitloss.optima.alike import alike
from implicitloss.optima.fixed_point import SOUGHT, fixed_point
from implicitloss.optima.light import MANY, NEGLECTED, Light, are_light, shares
from implicitloss.optima.light import WIDTH as BINS
from implicitloss.optima.many import Newton, balanced_alone, descent
from implicitloss.optima.newton import NoOptimum
from implicitloss.optima.sums import QUIET, measure_of, sums
from implicitloss.scheme import Hits
from implicitloss.witness.integrate.quadrature import LEFT, RIGHT, STEP, nodes, power

__all__ = ["balanced", "balanced_blocks"]

# A step of many blocks, which is as long as f is off, is no longer than this.
SOUGHT_OF_MANY = 1e-9
# That of cells of blocks, and that of all where hits are kept, from which it starts.
NEAR, KEPT = 1e-2, 2e-3
# Each block is balanced alone, and again beside what all then are, so many times at most, until none moves by more.
AGAIN, MOVED = 3, 0.05
# The bound is looked for by so many times as many draws each, up to so many.
MORE, MOST_DRAWS = 4, 1_000
# More blocks than this start from cells of them.
IN_CELLS = 64
# The side of a cell of labels, and the number of cells, for a start.
CELL, WIDER, MOST_CELLS = 0.5, 1.4, 300
# So many labels are looked at to count cells; and up to this number a key has a place in a table.
COUNTED, FEW_KEYS = 1 << 16, 1 << 22
# More than this share of a sum is not taken off it, which would cancel digits.
MOST_TAKEN_OFF, HEAVY = 0.25, 0.01
# Numbers of a matrix of labels times nodes that are held at once.
HELD = 1 << 21
# The exponentials of two numbers of this size have a product within numbers.
SAFE = 350.0
# Which labels are light is looked at again when a score has moved by more: r and 1 - Φ change by e^STAYS at most.
STAYS = 1 / 16
# Logarithms that span more go into too many bins.
WIDEST = 400.0


def balanced(eta: Floats, log_q: Floats, log_a: Floats, log_b: Floats, m: int, hits: Hits, start: Floats) -> Floats:
    """The optimum f*, (L,), centred, from the scores `start`; *raises* NoOptimum where it is not reached."""
    table = np.stack([eta, log_q, log_a, log_b, log_rest(log_q), start])
    first, of_label, counts = alike(table)
    if first.size == eta.size:  # all differ
        f = balanced_blocks(table, np.ones_like(counts), m, hits)
    else:
        f = balanced_blocks(table[:, first], counts, m, hits)[of_label]
    return np.asarray(f - f.mean())


def balanced_blocks(blocks: Floats, counts: Labels, m: int, hits: Hits, sought: float = SOUGHT) -> Floats:
    """The optimum (K,), up to a constant, of K blocks of `counts` labels that are alike.

    `blocks` (6, K) are η, log q, log a and log b of one label, the log of the law's mass on all others, and a start.
    The two sides of the balance then agree to the part `sought`, if rounding lets them.
    """
    n = counts.astype(np.float64)
    sides = _Sides(blocks[0], blocks[1], blocks[2], blocks[3], np.exp(blocks[4]), n, m, hits)
    kept, near = dataclasses.replace(sides, hits="keep"), blocks[5]
    is_wide = max(np.ptp(log) for log in (np.log(blocks[0]), *blocks[1:4])) > WIDEST
    if n.size > IN_CELLS and not is_wide:
        with suppress(NoOptimum):
            near = _near(kept)
    if n.size < MANY or is_wide:
        return _from_more_draws(sides, near, sought)
    found = descent(sides.step, near, n * blocks[0], max(sought, SOUGHT_OF_MANY))
    if found is None and hits != "keep":
        nearer = descent(kept.step, near, n * blocks[0], KEPT)
        near = near if nearer is None else nearer
        found = descent(sides.step, near, n * blocks[0], max(sought, SOUGHT_OF_MANY))
    return fixed_point(sides.log_ratio, near, n * blocks[0], max(sought, NEGLECTED)) if found is None else found


def _from_more_draws(sides: _Sides, start: Floats, sought: float) -> Floats:
    """The optimum, from `start`, or else from that of more draws with the same margins m w q, near the bound's."""
    weights = sides.counts * sides.eta
    try:
        return fixed_point(sides.log_ratio, start, weights, sought)
    except NoOptimum:
        if sides.m >= MOST_DRAWS:
            raise
    more = dataclasses.replace(sides, m=MORE * sides.m, log_b=sides.log_b - np.log(MORE))
    return fixed_point(sides.log_ratio, _from_more_draws(more, start, NEAR), weights, sought)


def _near(kept: _Sides) -> Floats:
    """Scores near the optimum where hits are kept: those of cells of blocks, by their means; then each block alone."""
    counts, log_eta, m = kept.counts, np.log(kept.eta), kept.m
    logs = [log_eta, kept.log_q, kept.log_a, kept.log_b]
    lows = [float(of.min()) for of in logs]
    sizes = [float(np.ptp(of)) for of in logs]

    def keys(width: float, every: int = 1) -> Labels:
        """The number of each cell of labels, or of every so many."""
        key = np.zeros(-(-counts.size // every), dtype=np.int64)
        for of, low, size in zip(logs, lows, sizes, strict=True):
            if size >= width:
                key = key * (int(size / width) + 1) + ((of[::every] - low) / width).astype(np.int64)
        return key

    width = CELL
    while np.unique(keys(width, counts.size // COUNTED + 1)).size > MOST_CELLS:
        width *= WIDER
    cell = _numbered(keys(width))
    n = np.bincount(cell, counts).astype(np.float64)

    def mean(of: Floats) -> Floats:
        return np.bincount(cell, counts * of) / n

    eta, q = mean(kept.eta), mean(np.exp(kept.log_q))
    of_cells = _Sides(eta, np.log(q), mean(kept.log_a), mean(kept.log_b), 1 - q, n, m, "keep")
    f = _from_more_draws(of_cells, np.log(eta), NEAR)
    log_odds = log_eta - kept.log_q - np.log(m)
    near = balanced_alone(f[cell], log_odds, kept.log_b, -kept.log_a, m, *of_cells._at(f)[1:])
    for _ in range(AGAIN if counts.size >= MANY else 0):
        last, near = near, balanced_alone(near, log_odds, kept.log_b, -kept.log_a, m, *kept.totals(near))
        if np.ptp(near - last) <= MOVED:
            break
    return near


def _numbered(key: Labels) -> Labels:
    """Equal keys numbered from 0 on, in their order."""
    if key.max() > FEW_KEYS:
        return np.unique(key, return_inverse=True)[1]
    return np.asarray((np.cumsum(np.bincount(key) > 0) - 1)[key])


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
    # The last split, and log z there.
    _last: tuple[Floats, Labels, Light] | None = field(default=None, init=False)

    def log_ratio(self, f: Floats) -> Floats:
        """log(right/left) of each block."""
        return self._at(f)[0]

    @np.errstate(**QUIET)
    def step(self, f: Floats, neglected: float) -> Floats:
        """What Newton's method adds to f, (n,), with the derivatives of the balance where hits are kept."""
        ratio, v, log_phi, psi = self._at(f, neglected)
        newton = Newton(self.log_b + f, f - self.log_a, self._mass, self.counts * self.eta, self.m)
        return newton.step(ratio, v, log_phi, psi)

    @np.errstate(**QUIET)
    def _at(self, f: Floats, neglected: float = NEGLECTED) -> tuple[Floats, Floats, Floats, Floats]:
        """log(right/left) of each block, the nodes, and log Φ and Ψ there."""
        log_z, log_s = self.log_b + f, self.log_a - f
        v = _nodes(log_z, log_s, self.m)
        heavy, light = np.arange(f.size), None
        if f.size >= MANY and self._c_is_safe and max(np.ptp(log_z), np.ptp(log_s)) <= WIDEST:
            heavy, light = self._split(log_z, v)
        if light is None or heavy.size == f.size:
            nothing = np.zeros(v.size)
            ratio, below, psi = self._beside(log_z, log_s, v, nothing, nothing)
            return ratio, v, np.log1p(-below), psi
        light = dataclasses.replace(light, log_z=log_z, log_rate=-log_s, v=v, neglected=neglected)
        below, of_heavy = light.below(), self._of(heavy)
        log_phi = np.log1p(-np.minimum(below + of_heavy._below(_Rising(log_z[heavy], v)), 1.0))
        psi = light.psi(log_phi)
        of_heavy_ones, _, psi_of_heavy = of_heavy._beside(log_z[heavy], log_s[heavy], v, below, psi)
        psi = psi + psi_of_heavy
        ratio = light.log_ratio(log_phi, psi)
        ratio[heavy] = of_heavy_ones
        return ratio, v, log_phi, psi

    @np.errstate(**QUIET)
    def totals(self, f: Floats) -> tuple[Floats, Floats, Floats]:
        """The nodes, and log Φ and Ψ there, of blocks that are all light."""
        log_z, log_s = self.log_b + f, self.log_a - f
        v = _nodes(log_z, log_s, self.m)
        below = -sums(measure_of(self._log_mass, log_z, BINS, MANY), v, np.expm1)
        log_phi = np.log1p(-np.minimum(below, 1.0))
        psi = sums(measure_of(self._log_weight, -log_s, BINS, MANY), v, np.exp)
        return v, log_phi, psi * np.exp(power(self.m - 1, log_phi))

    @cached_property
    def _log_c(self) -> Floats:
        return self.log_a + self.log_b

    @cached_property
    def _c_is_safe(self) -> bool:
        return bool(np.ptp(self._log_c) <= WIDEST and self._log_c.max() <= 2 * SAFE)

    @cached_property
    def _log_rest(self) -> Floats:
        return np.log(self.rest) if self.hits == "exclude" else np.zeros_like(self.rest)

    @cached_property
    def _size(self) -> Floats:
        """η, or η/(1 - q) where hits are excluded."""
        return self.eta / self.rest if self.hits == "exclude" else self.eta

    @cached_property
    def _log_step(self) -> Floats:
        """log q, or log(q/(1 - q)) where hits are excluded."""
        return self.log_q - self._log_rest

    @cached_property
    def _mass(self) -> Floats:
        """The law's mass on each block."""
        return self.counts * np.exp(self.log_q)

    @cached_property
    def _log_mass(self) -> Floats:
        return self.log_q + np.log(self.counts)

    @cached_property
    def _log_weight(self) -> Floats:
        return np.log(self._size * self.counts)

    def _of(self, chosen: Labels) -> _Sides:
        """The sides of some blocks."""
        parts = {name: getattr(self, name)[chosen] for name in ("eta", "log_q", "log_a", "log_b", "rest", "counts")}
        return dataclasses.replace(self, **parts)

    def _split(self, log_z: Floats, v: Floats) -> tuple[Labels, Light]:
        """The blocks that are not light; and all, without these, but for what changes with the scores."""
        if self.hits == "keep":
            return np.empty(0, dtype=np.intp), self._alike
        last = self._last
        if last is None or np.abs(log_z - last[0]).max() > STAYS:
            below = -sums(measure_of(self._log_mass, log_z, BINS), v, np.expm1)
            h = np.maximum(shares(self._log_step, log_z, v, below, self.hits), self._size / (self.counts @ self._size))
            h *= np.exp(2 * STAYS)
            light = are_light(h, self._log_step, self.m)
            heavy = np.flatnonzero(~light)
            log_mass, log_weight = self._log_mass.copy(), self._log_weight.copy()
            h[heavy], log_mass[heavy], log_weight[heavy] = 0.0, -np.inf, -np.inf
            last = log_z, heavy, dataclasses.replace(self._alike, h=h, log_mass=log_mass, log_weight=log_weight)
            object.__setattr__(self, "_last", last)
        return last[1:]

    @cached_property
    def _alike(self) -> Light:
        """All blocks as light ones, but for what changes with the scores."""
        nothing, c = np.empty(0), np.exp(self._log_c)
        return Light(
            log_mass=self._log_mass, log_weight=self._log_weight,
            log_odds=np.log(self.eta) - self.log_q - np.log(self.m), log_step=self._log_step, log_more=np.log(1.0 + c),
            size=self._size, step=np.exp(self._log_step), c=c, h=np.zeros_like(c), m=self.m, hits=self.hits,
            log_z=nothing, log_rate=nothing, v=nothing,
        )  # fmt: skip

    def _beside(
        self, log_z: Floats, log_s: Floats, v: Floats, below_others: Floats, psi_others: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """log(right/left) of each block, one by one, beside others that add to 1 - Φ and to Ψ; 1 - Φ; Ψ of these."""
        n, rising = log_z.size, _Rising(log_z, v)
        below = np.minimum(below_others + self._below(rising), 1.0)
        left, right, light = np.empty(n), np.empty(n), np.zeros(v.size)
        heavy = self._heavy
        rows = np.empty((heavy.size, v.size))
        counts = np.array(self.counts)
        counts[heavy] = 0.0
        held: list[Floats] = []
        for part in rising.parts:
            own, right[part] = self._positives(part, rising, log_s, v, below, below_others)
            light += counts[part] @ own
            here = (heavy >= part.start) & (heavy < part.stop)
            rows[here] = own[heavy[here] - part.start]
            held = [own]
        psi = light + self.counts[heavy] @ rows
        light += psi_others
        for part in rising.parts:
            others: Floats = psi + psi_others
            if self.hits != "keep":
                again = len(rising.parts) > 1
                own = self._positives(part, rising, log_s, v, below, below_others)[0] if again else held[0]
                others = np.maximum(others - own, 0.0)
                for i in np.flatnonzero((heavy >= part.start) & (heavy < part.stop)):
                    rest = np.where(np.arange(heavy.size) == i, self.counts[heavy] - 1, self.counts[heavy])
                    others[heavy[i] - part.start] = light + rest @ rows
            pushed = _times(v, log_z[part]) * (1 - rising(part)) * others
            left[part] = STEP * self.m * np.exp(self.log_q[part]) * np.sum(pushed, axis=1)
        return np.log(right) - np.log(left), below, psi

    @cached_property
    def _heavy(self) -> Labels:
        """The blocks one label of which may be a good part of Ψ."""
        return np.flatnonzero(self._size > HEAVY * (self.counts @ self._size))

    def _below(self, rising: _Rising, without: int = -1) -> Floats:
        """Σ_j q_j (1 - e^{-u z_j}), what these blocks add to 1 - Φ, (V,); one label of the block `without` left out."""
        mass = self._mass
        if without >= 0:
            mass = mass.copy()
            mass[without] = (self.counts[without] - 1) * np.exp(self.log_q[without])
        return sum((mass[part] @ rising(part) for part in rising.parts), np.zeros(rising.v.size))

    def _positives(
        self, part: slice, rising: _Rising, log_s: Floats, v: Floats, below: Floats, below_others: Floats
    ) -> tuple[Floats, Floats]:
        """ψ of the blocks of a part, (n, V), and what each gets as a positive, (n,)."""
        q, eta = np.exp(self.log_q[part, None]), self.eta[part, None]
        rest = self.rest[part, None] if self.hits == "exclude" else 1.0
        of_others = below[None]
        if self.hits != "keep":
            mine = q * rising(part)
            of_others = below - mine
            # A label that is most of the sum is left out of it, in place of being taken off.
            for i in np.flatnonzero(np.any(mine > MOST_TAKEN_OFF * below, axis=1)):
                of_others[i] = np.minimum(below_others + self._below(rising, part.start + i), 1.0)
        with np.errstate(divide="ignore"):
            log_phi = np.log1p(-np.clip(of_others / rest, 0.0, 1.0))
        t = _times(v, -log_s[part])
        decay = np.exp(-t)
        psi = eta / rest * decay * np.exp(power(self.m - 1, log_phi))
        return psi, STEP * eta[:, 0] * np.sum(t * decay * -np.expm1(self.m * log_phi), axis=1)


class _Rising:
    """1 - e^{-u z} at each node, (n, V), of a part of the blocks; kept where all are one part."""

    def __init__(self, log_z: Floats, v: Floats) -> None:
        step = max(1, HELD // v.size)
        self.log_z, self.v = log_z, v
        self.parts = [slice(start, start + step) for start in range(0, log_z.size, step)]
        self._kept = self(self.parts[0]) if len(self.parts) == 1 else None

    def __call__(self, part: slice) -> Floats:
        kept = getattr(self, "_kept", None)
        return -np.expm1(-_times(self.v, self.log_z[part])) if kept is None else kept


def _nodes(log_z: Floats, log_s: Floats, m: int) -> Floats:
    """The nodes of the integrals."""
    low = min(-float(log_z.max()) - np.log(m), float(log_s.min()))
    return nodes(low - LEFT, RIGHT + float(log_s.max()))


def _times(v: Floats, logs: Floats) -> Floats:
    """e^{v + logs}, (n, V)."""
    if max(np.abs(v).max(), np.abs(logs).max()) < SAFE:
        return np.multiply.outer(np.exp(logs), np.exp(v))
    return np.exp(v + logs[:, None])
