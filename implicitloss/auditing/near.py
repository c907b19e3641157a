"""The form of a loss that has no values far out, as losses of cosines: its curve as far as it goes.

All negatives are scored 0, and the positive alone is moved, because one score can be moved furthest: a query of length
1 scores one item by up to 1, and 64 items together by 1/8 each.  The slope far down is out of reach, and so the one
parameter of a form is fitted: e^ℓ is a straight line in e^{-t/T} for the right one alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from implicitloss.auditing.box import Box
from implicitloss.auditing.curve import SEEDS, Asked, allowed, reach_of
from implicitloss.auditing.forms import LOOKS_AT_SCORES, OTHER_THAN_ONE, Found, number
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats, Labels

__all__ = ["NearCurve", "best_factor", "near_curve", "near_form"]

# The positive is moved by these shares of the reach.
SHARES = np.array([-1.0, -0.75, -0.5, -0.25, -0.125, 0.0, 0.125, 0.25, 0.5, 0.75, 1.0])
# Parameters are looked for from 1/1,000 to 1,000.
LOGARITHMS = np.linspace(-np.log(1e3), np.log(1e3), 81)


@dataclass(frozen=True, eq=False)
class NearCurve:
    """The values (B, n) of examples with these positives, whose own score was moved by `moves` (n,) temperatures.

    `sides` (B, k, 4) are those where both halves of the negatives were moved up, one of them, the other, and both down,
    of k ways to halve them; `together` (B,) those with all scores moved.
    """

    positive: Labels
    moves: Floats
    values: Floats
    sides: Floats
    together: Floats
    rounding: float

    @property
    def reach(self) -> float:
        """The furthest move, in temperatures."""
        return float(self.moves[-1])

    @property
    def tolerance(self) -> float:
        """The deviation that rounding may make."""
        return allowed(self.rounding, self.reach)

    @property
    def middle(self) -> Floats:
        """The values where all scores are equal, (B,)."""
        return self.values[:, self.moves.size // 2]

    def over(self, factor: float) -> NearCurve:
        """The curve divided by a factor."""
        return replace(self, values=self.values / factor, sides=self.sides / factor, together=self.together / factor)

    def off_line(self, sharper: Floats | float = 1.0, factor: Floats | float = 1.0) -> Floats:
        """The distance of each value over `factor` from log(K + S e^{-t `sharper`}), K >= 1: the ends decide K and S.

        (B, n), or (k, B, n) at k numbers.
        """
        values = self.values / np.asarray(factor)[..., None, None]
        moves, low, high = -np.asarray(sharper)[..., None, None] * self.moves, values[..., [-1]], values[..., [0]]
        with np.errstate(all="ignore"):
            first, ends = np.exp(low - high), np.exp(moves[..., [-1]] - moves[..., [0]])
            slope = (1 - first) / (1 - ends)
            constant = np.maximum(first - slope * ends, np.exp(-high))
            return np.asarray(values - high - np.log(constant + slope * np.exp(moves - moves[..., [0]])))

    def off(self, sharper: float = 1.0) -> float:
        """The largest distance from the softmax form: of a value from its line, and of the halves from their sum."""
        both, one, other, none = np.moveaxis(self.sides, 2, 0)
        halves = (np.logaddexp(both, none) - np.logaddexp(one, other)) / 2
        apart = np.concatenate([self.off_line(sharper).ravel(), halves.ravel(), self.together - self.middle])
        return float(np.max(np.abs(np.nan_to_num(apart, nan=np.inf))))


def near_curve(question: Question, box: Box) -> NearCurve | None:
    """The curve as far as the loss has values; None if it has none at unequal scores."""
    found: NearCurve | None = None
    for _ in range(SEEDS):
        curve = _of_seed(question, box, box.new_probe())
        if curve is None:
            return None
        heard = np.ptp(curve.values, axis=1) > curve.tolerance
        if not heard.any():
            continue
        curve = replace(
            curve, positive=curve.positive[heard], values=curve.values[heard], sides=curve.sides[heard],
            together=curve.together[heard],
        )  # fmt: skip
        found = curve if found is None or curve.positive.size > found.positive.size else found
        if set(curve.positive.tolist()) == set(question.positives):
            break
    return found


def _of_seed(question: Question, box: Box, seed: int) -> NearCurve | None:
    """The curve of one seed."""
    ask = Asked.of(question, box, seed)
    ask = replace(ask, scores=np.zeros(ask.scores.shape))
    rows = np.arange(ask.positive.size)

    def own(move: float) -> Floats:
        scores = ask.scores.copy()
        scores[rows, ask.positive] = move
        return ask.values(scores)

    def sides(move: float) -> Floats:
        signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
        found = [[ask.values(ask.moved(move * np.where(half, *sign))) for sign in signs] for half in ask.halvings]
        return np.moveaxis(np.array(found), 2, 0)

    reach = reach_of(lambda move: np.stack([own(-move), own(move)]))
    if reach is None:
        return None
    each = reach_of(lambda move: ask.values(ask.moved(move)), reach)
    every = reach_of(lambda move: ask.values(ask.scores + move), reach)
    if each is None or every is None:
        return None
    moves = reach * SHARES
    values = np.stack([own(move) for move in moves], axis=1)
    return NearCurve(ask.positive, moves, values, sides(each), ask.values(ask.scores + every), box.rounding)


def near_form(question: Question, curve: NearCurve) -> Found | None:
    """The form of a near curve that is not the softmax form; None if it is."""
    if curve.off() <= curve.tolerance:
        return None
    sharper = best_factor(curve.off_line)
    factor = best_factor(lambda by: by[:, None, None] * curve.off_line(factor=by))
    off, off_scaled = curve.off(sharper), factor * curve.over(factor).off()
    if min(off, off_scaled) > curve.tolerance:
        return Found(
            "another form",
            "on the same draws, the loss is not of the softmax form log(1 + h + Σ w e^(f_j - f_y)), nor is it one with "
            f"another temperature or a factor, as far as it has values, up to {number(curve.reach)} temperatures "
            f"{LOOKS_AT_SCORES}",
            is_certain=False,
        )  # fmt: skip
    if off <= off_scaled:
        if abs(sharper - 1) <= OTHER_THAN_ONE:
            return None
        temperature = question.temperature / sharper
        by = f"scores are multiplied by {number(1 / temperature)}, and not by {number(1 / question.temperature)}"
        said = f"{by}: a temperature of {number(temperature)} divides them, and not {number(question.temperature)}"
        return Found("temperature", said, temperature=1 / sharper)
    return Found("scaled", f"the loss is scaled by {number(factor)}", factors=np.full(question.prior.n_labels, factor))


def best_factor(off: Callable[[Floats], Floats]) -> float:
    """The parameter, from 1/1,000 to 1,000, where squares of what is `off`, (k, ...) at k of them, add up to least."""

    def squares(logs: Floats) -> Floats:
        found = np.square(off(np.exp(logs)))
        return np.nan_to_num(found.sum(axis=tuple(range(1, found.ndim))), nan=np.inf)

    at = int(np.argmin(squares(LOGARITHMS)))
    low, high = LOGARITHMS[max(at - 1, 0)], LOGARITHMS[min(at + 1, LOGARITHMS.size - 1)]
    best = minimize_scalar(
        lambda log: float(squares(np.array([log]))[0]), bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    )
    return float(np.exp(best.x))
