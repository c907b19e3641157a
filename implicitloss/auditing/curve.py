"""The curve of a loss: its values on the same draws, as its scores are moved.

A softmax loss is ℓ = log(1 + h + Σ a_j e^{f_j - f_y}): e^ℓ is a straight line in e^t if t is added to all negatives,
and the sums of two halves of the negatives add up.  Probes have the seed of one call, and so the same draws: no chance
is involved, and a softmax loss passes whatever its draws are.  What may differ is rounding, which is measured and
allowed for; probes take no part in the error of an audit.

One file: the curve, the calls that it is made of, and what can be read off it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from implicitloss.auditing.box import Box
from implicitloss.auditing.question import MOST_EXPONENT, Question
from implicitloss.labels import Floats, Labels

__all__ = [
    "BENDS",
    "CLIPPED_UP_TO",
    "CORE",
    "DEVIATION",
    "EXAMPLES",
    "FAR_DOWN",
    "FAR_UP",
    "FLAT",
    "LADDER",
    "SEEDS",
    "SUPPRESSED",
    "TOGETHER",
    "Asked",
    "Curve",
    "allowed",
    "curve_of",
    "fitted",
    "reach_of",
]

# All negatives are moved by these many temperatures, the positive stays: far up, around the bend, far down.
FAR_UP, LADDER, FAR_DOWN, FARTHEST = (-24.0, -16.0), (-8.0, -4.0, -2.0, 0.0, 2.0, 4.0, 8.0), (16.0, 40.0), 60.0
MOVED_BY = (*FAR_UP, *LADDER, *FAR_DOWN, FARTHEST)
# Moves up to this decide which line a curve is; a line needs so many of them.
CORE, FEWEST_POINTS = 8.0, 4
SUPPRESSED = -40.0
# Ladders are centred within this distance.
MOST_CENTRE = 12.0
# All scores are moved by this to see whether the loss moves.
TOGETHER = 3.0
# A deviation of a value from its form that counts, beside this many rounding errors.
DEVIATION, DEVIATION_IN_ROUNDINGS = 1e-3, 16.0
# Examples of a positive in a probe, and seeds until each positive has had a negative.
EXAMPLES, SEEDS = 2, 4
# A reach is halved so often until the loss has values there.
HALVED = 12
# Labels are halved in so many ways where all scores are alike.
HALVES = 4
# A plateau above this is a guard against log 0, and no clipping.  Near it nothing is compared.
CLIPPED_UP_TO, NEAR_PLATEAU = 12.0, 7.0
# A loss is flat if it rises by less over the last moves, and bends if its slope falls by more than a tenth.
FLAT, BENDS = 0.25, 0.9


def allowed(rounding: float, move: float = 0.0) -> float:
    """The deviation of a value from its form, at a move of the scores, that rounding may make."""
    return DEVIATION + DEVIATION_IN_ROUNDINGS * rounding * (1 + max(abs(move), CORE))


@dataclass(frozen=True, eq=False)
class Curve:
    """The values (B, n) of examples with these positives, whose negatives were moved by `moves` (n,) in each.

    `halves` (B, 2) are the values where only one half of the negatives is not suppressed, at move 0; `together` (B,)
    those with all scores moved; `rounding` is the size of the rounding error at scores of a few units.
    """

    positive: Labels
    moves: Floats
    values: Floats
    halves: Floats
    together: Floats
    rounding: float

    def at(self, move: float) -> Floats:
        """The values at a move, (B,)."""
        return np.asarray(self.values[:, int(np.flatnonzero(self.moves == move)[0])])

    def slope(self, low: float, high: float) -> Floats:
        """The mean slope of the values between two moves, (B,)."""
        return (self.at(high) - self.at(low)) / (high - low)

    @property
    def far_slope(self) -> Floats:
        """The slope of the values far down, (B,); nothing but the sum of weights is left of the form there."""
        farthest = self.slope(FAR_DOWN[1], FARTHEST)
        return np.where(np.isfinite(farthest), farthest, self.slope(*FAR_DOWN))

    @property
    def off_slope(self) -> float:
        """How far the slope is from 1 far down, where no guard against log 0 bends it off; 0 if nowhere."""
        off = np.abs(self.far_slope - 1.0)[np.isinf(self.guard)]
        return float(np.median(off)) if off.size else 0.0

    @cached_property
    def plateau(self) -> Floats:
        """The value that the loss does not exceed however far down the positive is, (B,); inf where it grows."""
        near, far, top = (self.at(move) for move in (*FAR_DOWN, FARTHEST))
        flat = (np.abs(top - far) <= FLAT) & ~_is_steady(near, far, top, self.rounding)
        return np.where(flat, top, np.inf)

    @cached_property
    def guard(self) -> Floats:
        """The value from which a guard against log 0 may be felt, (B,): -log(p + 1e-10) bends off at 23."""
        bends = (self.slope(FAR_DOWN[1], FARTHEST) < BENDS * self.slope(*FAR_DOWN)) | np.isfinite(self.plateau)
        top = self.at(FARTHEST)
        return np.where(bends & (top > CLIPPED_UP_TO), top - NEAR_PLATEAU, np.inf)

    def tolerance(self, move: float) -> float:
        """The deviation that rounding may make at a move."""
        return allowed(self.rounding, move)

    def rows(self, which: NDArray[np.bool_]) -> Curve:
        """Some of the examples."""
        return replace(
            self, positive=self.positive[which], values=self.values[which], halves=self.halves[which],
            together=self.together[which],
        )  # fmt: skip

    def changed(self, change: Callable[[Floats], Floats]) -> Curve:
        """The curve with all values changed."""
        return replace(
            self, values=change(self.values), halves=change(self.halves), together=change(self.together)
        )  # fmt: skip

    def joined(self, other: Curve) -> Curve:
        """The examples of both."""
        return replace(
            self, positive=np.concatenate([self.positive, other.positive]),
            values=np.concatenate([self.values, other.values]), halves=np.concatenate([self.halves, other.halves]),
            together=np.concatenate([self.together, other.together]),
        )  # fmt: skip

    def is_softmax(
        self, *, guard: Floats | float = np.inf, least: float = 1.0, most: float = np.inf, whole: bool = True
    ) -> bool:
        """Whether each example is log(K + Σ a e^move), with least <= K <= most.

        Values above the `guard` are left out.  If not `whole`, halves and moves together are not compared.
        """
        guard = np.broadcast_to(guard, self.positive.shape)
        return all(self._is_softmax(row, float(guard[row]), least, most, whole) for row in range(self.positive.size))

    def _is_softmax(self, row: int, guard: float, least: float, most: float, whole: bool) -> bool:
        values = self.values[row]
        usable = np.isfinite(values) & (values <= guard) & (self.moves < FARTHEST)
        core = np.flatnonzero(usable & (np.abs(self.moves) <= CORE))
        if core.size < FEWEST_POINTS:
            return False
        low, high = core[[0, -1]]
        # Values far up are compared with K and the sum of weights, which two values of the core determine.
        if not abs(values[high] - values[low]) < MOST_EXPONENT:
            return False
        top, weight, constant, line = self._line(values, low, high)
        apart, off = np.abs(values - line)[usable], np.array([self.tolerance(move) for move in self.moves])[usable]
        if not weight > 0 or np.any(apart > off):
            return False
        # In units of e^ℓ at the high end, K is known to what the values there and at the low end allow.
        unit, known = np.exp(-values[high]), self.tolerance(0.0) * np.maximum(np.exp(-values[high]), top[0])
        if constant < least * unit - known or (np.isfinite(most) and constant > most * unit + known):
            return False
        middle = float(values[self.moves == 0.0][0])
        if not whole or middle > guard:
            return True
        both = float(np.exp(self.halves[row] - middle).sum() - np.exp(values[high] - middle) * constant)
        return bool(
            both > 0
            and abs(np.log(both)) <= 2 * self.tolerance(0.0)
            and abs(self.together[row] - middle) <= self.tolerance(0.0)
        )

    def _line(self, values: Floats, low: int, high: int) -> tuple[Floats, float, float, Floats]:
        """e^ℓ at two moves, in units of that at the higher one, and the log(K + Σ a e^move) through both, (M,)."""
        top = np.exp(values[[low, high]] - values[high])
        grown = np.exp(self.moves[[low, high]])
        weight = (top[1] - top[0]) / (grown[1] - grown[0])
        constant = top[0] - weight * grown[0]
        line = values[high] + np.log(np.maximum(constant + weight * np.exp(self.moves), 1e-300))
        return top, weight, constant, line

    @property
    def misfit(self) -> float:
        """The largest deviation within the core from log(K + Σ a e^move) through its ends; inf if it has none."""
        core = np.flatnonzero(np.abs(self.moves) <= CORE)
        with np.errstate(all="ignore"):
            apart = [np.abs(row - self._line(row, core[0], core[-1])[3])[core] for row in self.values]
        found = float(np.max(apart))
        return found if np.isfinite(found) else np.inf

    def over(self, factor: Floats) -> Curve:
        """The curve divided by a factor for each example, (B,)."""
        return replace(
            self, values=self.values / factor[:, None], halves=self.halves / factor[:, None],
            together=self.together / factor, rounding=self.rounding / float(np.min(np.abs(factor)) or 1.0),
        )  # fmt: skip


def curve_of(question: Question, box: Box) -> Curve | None:
    """The values on a ladder of moves, of examples that have negatives; None if no example has."""
    found: Curve | None = None
    for _ in range(SEEDS):
        curve = _of_seed(question, box, box.new_probe())
        ends = curve.values[:, [0, -1]]
        # Values of which nothing is finite far out are not understood; a positive without negatives says nothing.
        heard = np.isfinite(ends[:, 0]) & ~(np.ptp(np.nan_to_num(curve.values), axis=1) <= curve.tolerance(0.0))
        if heard.any():
            found = curve.rows(heard) if found is None else found.joined(curve.rows(heard))
        if found is not None and set(found.positive.tolist()) == set(question.positives):
            break
    return found


def _of_seed(question: Question, box: Box, seed: int) -> Curve:
    """The curve of one seed.  Sums of weights differ by many orders: each ladder is centred on its own bend."""
    ask = Asked.of(question, box, seed)
    ask = replace(ask, scores=ask.moved(_bend(ask)[:, None]))
    values = np.stack([ask.values(ask.moved(move)) for move in MOVED_BY], axis=1)
    sides = (ask.half, ~ask.half)
    halves = [ask.values(ask.moved(np.where(side, 0.0, SUPPRESSED))) for side in sides]
    together = ask.values(ask.scores + TOGETHER)
    return Curve(ask.positive, np.array(MOVED_BY), values, np.stack(halves, axis=1), together, box.rounding)


def _bend(ask: Asked) -> Floats:
    """The move at which the sum of weights is about 1, (B,): by the line far down, or by the foot of a flat loss."""
    near, far = (ask.values(ask.moved(move)) for move in FAR_DOWN)
    slope = (far - near) / (FAR_DOWN[1] - FAR_DOWN[0])
    with np.errstate(all="ignore"):
        bend = FAR_DOWN[1] - far / slope
        if np.any(np.abs(far - near) <= FLAT):
            none, foot = (np.exp(ask.values(ask.moved(move))) for move in (FAR_UP[0], LADDER[0]))
            steady = _is_steady(near, far, ask.values(ask.moved(FARTHEST)), ask.box.rounding)
            bend = np.where((np.abs(far - near) <= FLAT) & ~steady, LADDER[0] - np.log(foot - none), bend)
    return np.clip(np.nan_to_num(bend, nan=0.0, posinf=0.0, neginf=0.0), -MOST_CENTRE, MOST_CENTRE)


def _is_steady(near: Floats, far: Floats, top: Floats, rounding: float) -> NDArray[np.bool_]:
    """Whether values at the last three moves rise on a line, however slowly: by a small factor, or a large temperature.

    A loss that reaches a plateau does not rise, or more and more slowly.
    """
    rise = top - far
    on_a_line = rise * (FAR_DOWN[1] - FAR_DOWN[0]) >= BENDS * (far - near) * (FARTHEST - FAR_DOWN[1])
    return np.asarray(on_a_line & (rise > allowed(rounding, FARTHEST)))


@dataclass(frozen=True, eq=False)
class Asked:
    """Calls of one seed at other scores: scores (B, L) over the temperature, 0 for the positive; a half of the labels.

    The box divides nothing out yet.
    """

    question: Question
    box: Box
    seed: int
    scores: Floats
    positive: Labels
    half: NDArray[np.bool_]

    @classmethod
    def of(cls, question: Question, box: Box, seed: int) -> Asked:
        scores, positive, generator = box.scores(EXAMPLES, seed)
        scores = scores / box.question.temperature
        scores[np.arange(positive.size), positive] = 0.0
        half = generator.permutation(scores.shape[1]) < (scores.shape[1] + 1) // 2
        return cls(question, box, seed, scores, positive, half)

    @property
    def halvings(self) -> list[NDArray[np.bool_]]:
        """Several halves of the labels: few negatives may lie in one."""
        generator = np.random.default_rng([6, self.seed])
        return [self.half, *(generator.permutation(self.half) for _ in range(HALVES - 1))]

    def moved(self, by: Floats | float) -> Floats:
        """The scores with all negatives moved."""
        found = np.array(self.scores + by)
        rows = np.arange(self.positive.size)
        found[rows, self.positive] = self.scores[rows, self.positive]
        return found

    def values(self, scores: Floats) -> Floats:
        question = self.question
        return self.box.probe(question.temperature * (scores - question.shift), self.positive, self.seed)


def reach_of(asked: Callable[[float], Floats], furthest: float = FARTHEST) -> float | None:
    """The largest move, halved again and again, at which the loss has values; None if it has none near 0."""
    for halvings in range(HALVED):
        move = furthest / 2**halvings
        if np.isfinite(asked(move)).all():
            return float(move)
    return None


def fitted(values: Floats, columns: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Least squares for each example: the coefficients (B, k), and the largest residual (B,)."""
    design = np.stack(columns, axis=1)
    if not np.all(np.isfinite(values)):
        return np.full((len(values), design.shape[1]), np.nan), np.full(len(values), np.inf)
    found = np.linalg.lstsq(design, values.T, rcond=None)[0]
    return np.asarray(found.T), np.asarray(np.abs(values.T - design @ found).max(axis=0))
