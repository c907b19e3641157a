"""The decoupled form: a logistic loss is a sum over labels, each with a term of its own.

The positive pays log(1 + e^{-g_y}), each negative log(1 + e^{g_j}) times its weight, on the same draws whatever the
scores.  Both terms, and that they add up, are seen by moving the positive and two halves of the negatives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from implicitloss.auditing.box import Box
from implicitloss.auditing.curve import (
    BENDS,
    CLIPPED_UP_TO,
    DEVIATION,
    FAR_DOWN,
    LADDER,
    SUPPRESSED,
    Asked,
    allowed,
    curve_of,
    fitted,
    reach_of,
)  # fmt: skip
from implicitloss.auditing.forms import LOOKS_AT_SCORES, MOST_TEMPERATURES, OTHER_THAN_ONE, Found, number, origin
from implicitloss.auditing.near import best_factor
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats, Labels

__all__ = ["OwnCurve", "Payments", "decoupled", "logistic", "temperature_of_a_sum"]

# So many values enter a comparison, each with its own rounding.
VALUES_COMPARED = 4
# A temperature is seen in the slope far down, or it is fitted: each is tried.  It is fitted until it moves by less.
WAYS_TO_A_TEMPERATURE, SAME_TEMPERATURE = ("slope", "fit"), 1e-6
# The scores of a loss that has none far out are moved by these shares of its reach.
SHARES = np.linspace(-1.0, 1.0, 9)
# Terms below so much of the largest, for each value, are rounding errors, as in `numpy.linalg.lstsq`.
EPS = float(np.finfo(np.float64).eps)
# The slope far down is taken over so many temperatures.
SLOPE_OVER = -SUPPRESSED - FAR_DOWN[0]


@dataclass(frozen=True, eq=False)
class OwnCurve:
    """The values (B, n) where the positive's score is `at` (n,), with its `shift` (B,) in it; its `slope` far down."""

    at: Floats
    shift: Floats
    values: Floats
    slope: float = np.nan

    def off(self, sharper: Floats) -> Floats:
        """The distance of each value from a logistic loss of scores multiplied by each `sharper` (k,), (k, B, n)."""
        shift = self.shift[:, None]
        g = sharper[:, None, None] * (self.at - shift) + shift
        terms = np.stack((np.logaddexp(0, -g), np.logaddexp(0, g), np.ones(g.shape)), axis=-1)
        # What is left beside the terms, by least squares: of those that are nearly one, one counts.
        across, sizes, _ = np.linalg.svd(terms, full_matrices=False)
        across = across * (sizes > EPS * self.at.size * sizes[..., :1])[..., None, :]
        values = self.values[..., None]
        return np.asarray((values - across @ (np.swapaxes(across, -1, -2) @ values))[..., 0])

    def sharper(self, way: str) -> float:
        """The factor of the scores in it, by its slope far down, which is that of a positive that pays 1, or fitted."""
        return self.slope if way == "slope" else best_factor(self.off)


@dataclass(frozen=True, eq=False)
class Payments:
    """What a sum over labels pays, by example (B,): the positive `pays` times log(1 + e^{-g_y}).

    `smoothed` is what the negatives pay besides for being low; `level` is the value that the loss does not exceed,
    however far down the positive is, inf where it grows; `guard` is that of the positive's term, where it bends off far
    down; `off` is the largest distance of a value from such a sum, and `allowed` what rounding explains; `values` are
    all answers; `reach` is the largest move of the positive at which the loss has values, 0 if there is none; `own` is
    the curve of the positive alone.
    """

    positive: Labels
    pays: Floats
    smoothed: Floats
    level: Floats
    guard: Floats
    off: float
    allowed: float
    values: Floats
    reach: float = np.inf
    own: OwnCurve | None = None

    @property
    def is_sum(self) -> bool:
        """Whether the loss is such a sum, within what rounding allows."""
        return self.off <= self.allowed


def decoupled(question: Question, box: Box) -> Payments:
    """Probe the terms of the positive and of the negatives, and whether they add up."""
    ask = Asked.of(question, box, box.new_probe())
    rows, ladder = np.arange(ask.positive.size), np.array(LADDER)

    def own(move: float, scores: Floats) -> Floats:
        scores = scores.copy()
        scores[rows, ask.positive] = move
        return ask.values(scores)

    curve = np.stack([own(move, ask.scores) for move in LADDER], axis=1)
    up, down = np.logaddexp(0, ladder), np.logaddexp(0, -ladder)
    paid, off = fitted(curve, (down, up, np.ones(ladder.size)))
    equal = replace(ask, scores=np.zeros(ask.scores.shape))
    same = np.stack([equal.values(equal.moved(move)) for move in LADDER], axis=1)
    weights, off_same = fitted(same, (up, down, np.ones(ladder.size)))
    none = ask.values(ask.moved(SUPPRESSED))
    one, other = (ask.values(ask.moved(np.where(side, 0.0, SUPPRESSED))) for side in (ask.half, ~ask.half))
    both = ask.values(ask.scores) - none
    halves = one + other - 2 * none - both
    crossed = own(2.0, ask.scores) - own(2.0, ask.moved(SUPPRESSED)) - both
    far, near = (own(move, ask.scores) for move in (SUPPRESSED, -FAR_DOWN[0]))
    level = np.where(np.abs(far - near) <= DEVIATION, far, np.inf)
    bends = far - near < BENDS * paid[:, 0] * SLOPE_OVER
    guard = np.where(bends, far - paid[:, 2], np.inf)
    values = np.concatenate([curve, same, np.stack([none, one, other, far, near], axis=1)], axis=1)
    if not np.isfinite(values).all():
        return _near(question, box)
    # A line is no sum: its curves cancel.
    least = np.minimum(paid[:, 1], weights[:, 1])
    apart = np.abs(np.concatenate([off, off_same, halves, crossed, np.minimum(least, 0.0)]))
    largest = float(np.max(np.nan_to_num(apart, nan=np.inf)))
    # A guard is felt in each term before it bends off.
    terms = 1.0 + np.abs(np.nan_to_num(weights[:, 1]))
    felt = float(np.max(np.where(guard > CLIPPED_UP_TO, terms * np.exp(np.minimum(LADDER[-1] - guard, 0.0)), 0.0)))
    return Payments(
        ask.positive,
        paid[:, 0],
        weights[:, 1],
        level,
        guard,
        largest,
        VALUES_COMPARED * (allowed(box.rounding) + felt),
        values,
        own=OwnCurve(ladder, _shift_of(question, ask), curve, float(np.median(far - near)) / SLOPE_OVER),
    )


def _shift_of(question: Question, ask: Asked) -> Floats:
    """The shift of each positive, (B,)."""
    return np.broadcast_to(question.shift, question.prior.n_labels)[ask.positive]


def _near(question: Question, box: Box) -> Payments:
    """What a loss of cosines pays, which has no values at large scores: its form is probed as far as it has values.

    The scores that are moved are 0, and with a vector of shifts those that it makes 0.
    """
    ask = Asked.of(question, box, box.new_probe())
    base = 0.0 if np.ndim(question.shift) else float(question.shift)
    ask = replace(ask, scores=np.full(ask.scores.shape, base))
    rows = np.arange(ask.positive.size)

    def own(move: float, scores: Floats) -> Floats:
        scores = scores.copy()
        scores[rows, ask.positive] += move
        return ask.values(scores)

    top = reach_of(lambda move: np.stack([own(-move, ask.scores), own(move, ask.scores)]))
    each = None if top is None else reach_of(lambda move: ask.values(ask.scores + move), top)
    none = np.full(rows.size, np.inf)
    if top is None or each is None:
        return Payments(ask.positive, none, none, none, none, np.inf, 0.0, none[:, None], reach=0.0)
    curve = np.stack([own(move, ask.scores) for move in top * SHARES], axis=1)
    up, down, one = np.logaddexp(0, base + top * SHARES), np.logaddexp(0, -base - top * SHARES), np.ones(SHARES.size)
    pays, off = np.ones(rows.size), fitted(curve - down, (up, one))[1]
    if np.any(off > VALUES_COMPARED * allowed(box.rounding)):
        paid, off = fitted(curve, (down, up, one))
        pays, off = paid[:, 0], np.maximum(off, -paid[:, 1])  # a line is no sum: its curves cancel
    same = np.stack([ask.values(ask.moved(move)) for move in each * SHARES], axis=1)
    off_same = fitted(same, (np.logaddexp(0, base + each * SHARES), one))[1]
    high, low = ask.moved(each), ask.moved(-each)
    both = ask.values(high) - ask.values(low)
    halves = [
        sum(ask.values(ask.moved(np.where(side, each, -each))) - ask.values(low) for side in (half, ~half)) - both
        for half in ask.halvings
    ]
    crossed = own(each, high) - own(each, low)
    apart = np.abs(np.concatenate([off, off_same, *halves, crossed - both]))
    return Payments(
        ask.positive, pays, np.zeros(rows.size), none, none, float(np.max(np.nan_to_num(apart, nan=np.inf))),
        VALUES_COMPARED * allowed(box.rounding), np.concatenate([curve, same], axis=1),
        reach=top, own=OwnCurve(base + top * SHARES, np.full(rows.size, base), curve),
    )  # fmt: skip


def logistic(question: Question, box: Box, seen: Payments) -> Found | None:
    """The form of a loss that is audited as a logistic one; None if it is one."""
    if np.all(seen.level <= CLIPPED_UP_TO):
        return Found("clipped", f"the loss does not rise above {number(float(np.median(seen.level)))}: it is clipped")
    if not seen.is_sum:
        softmax = curve_of(replace(question, form="softmax"), box)
        if softmax is not None and softmax.is_softmax():
            return Found("softmax", 'the loss is of the softmax form: pass form="softmax" to audit it')
        hint = "is its shift another than shift=?" if np.any(question.shift) else "is there a shift=?"
        return _with_temperature(question, box, seen) or Found(
            "another form",
            "on the same draws, the loss is not of the logistic form, log(1 + e^-f_y) and a term log(1 + e^f_j) for "
            f"each negative: {hint} {LOOKS_AT_SCORES}",
            is_certain=False,
        )
    return _of_a_sum(question, seen)


def _with_temperature(question: Question, box: Box, seen: Payments) -> Found | None:
    """The scores are divided by a temperature: undone by asking at so many times the scores."""
    for way in WAYS_TO_A_TEMPERATURE:
        found = _sum_with_temperature(question, box, seen, way)
        if found is None:
            continue
        again, temperature = found
        said = f"a temperature of {number(temperature)} divides the scores"
        said += "" if question.temperature == 1.0 else f", and not {number(question.temperature)}"
        rest = _of_a_sum(question, again)
        by = temperature / question.temperature
        if rest is None:
            return Found("temperature", said, temperature=by)
        return replace(rest, sentence=f"{said}; {rest.sentence}", temperature=by if rest.can_be_undone else None)
    return None


def _sum_with_temperature(question: Question, box: Box, seen: Payments, way: str) -> tuple[Payments, float] | None:
    """What a loss pays that is a sum of logistic terms at another temperature, and that temperature."""
    temperature = question.temperature
    # A sum is allowed some deviation, and so the fit goes on until it is found.
    for _ in range(MOST_TEMPERATURES):
        sharper = np.nan if seen.own is None else seen.own.sharper(way)
        if not 1e-4 < sharper < 1e4:
            return None
        temperature, way = temperature / sharper, "fit"
        seen = decoupled(replace(question, temperature=temperature), box)
        if seen.is_sum and abs(sharper - 1) <= SAME_TEMPERATURE:
            break
    is_other = abs(temperature / question.temperature - 1) > OTHER_THAN_ONE
    return (seen, temperature) if seen.is_sum and is_other else None


def _of_a_sum(question: Question, seen: Payments) -> Found | None:
    """The form of a sum of logistic terms: what its positive and its negatives pay; None if they pay as they should."""
    beta = float(np.median(seen.pays))
    if np.any(seen.smoothed > seen.allowed):
        return Found(
            "label-smoothed",
            f"the loss is label-smoothed: negatives pay {number(float(np.median(seen.smoothed)))} for low scores",
        )
    if np.all(np.abs(seen.pays - 1) <= seen.allowed):
        return None
    pays = np.ones(question.prior.n_labels)
    pays[seen.positive] = seen.pays
    return Found(
        "gBCE",
        f"the positive pays β = {number(beta)} times log(1 + e^-f_y): a gBCE, or a loss that is scaled"
        f"{origin(question, beta)}, negatives and all",
        pays=pays if np.all(seen.pays > 0) else None,
    )


def temperature_of_a_sum(question: Question, box: Box) -> float | None:
    """The temperature at which a loss that is no softmax is a sum of logistic terms, each with a weight of its own.

    None if it is no such sum.
    """
    seen = decoupled(question, box)
    if seen.is_sum:
        return question.temperature if np.all(seen.pays > DEVIATION) else None
    for way in WAYS_TO_A_TEMPERATURE:
        found = _sum_with_temperature(question, box, seen, way)
        if found is not None and np.all(found[0].pays > DEVIATION):
            return found[1]
    return None
