"""The form of a loss, found by probes: on the same draws, how does the value change with the scores?

A softmax loss is ℓ = log(1 + h + Σ a_j e^{f_j - f_y}): e^ℓ is a straight line in e^t if t is added to all negatives, and
the sums of two halves of the negatives add up.  Other losses have other curves, and each has a way to be undone: a
factor is divided out, a smoothed loss straightened, a focal one solved for its cross-entropy.  A form is named only if
what is left after that is a softmax loss on the same draws.  A logistic loss is a sum over labels: each half of the
negatives pays its own part, and the positive pays log(1 + e^{-f_y}).

Probes have the seed of one call, and so the same draws: no chance is involved, and a softmax loss passes whatever its
draws are.  What may differ is rounding, which is measured and allowed for.  They take no part in the error of an audit.
Draws or weights that depend on the scores bend the curve too; `Found.is_certain` is False where that cannot be told from
another form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from scipy import special

from implicitloss.auditing.box import Box
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats, Labels

Kind = Literal[
    "scaled", "class-weighted", "temperature", "label-smoothed", "focal", "clipped", "pairs", "positive missing",
    "decoupled", "softmax", "gBCE", "another form",
]  # fmt: skip

# All negatives are moved by these many temperatures, the positive stays: far up, around the bend, far down.
FAR_UP, LADDER, FAR_DOWN, FARTHEST = (-24.0, -16.0), (-8.0, -4.0, -2.0, 0.0, 2.0, 4.0, 8.0), (16.0, 40.0), 60.0
MOVED_BY = (*FAR_UP, *LADDER, *FAR_DOWN, FARTHEST)
CORE = 8.0
SUPPRESSED = -40.0
# Ladders are centred within this distance.
MOST_CENTRE = 12.0
# All scores are moved by this to see whether the loss moves.
TOGETHER = 3.0
# A deviation of a value from its form that counts, beside this many rounding errors.
DEVIATION, DEVIATION_IN_ROUNDINGS = 1e-3, 16.0
# Parameters of a form agree between examples, and differ from 1, by this much.
SAME, OTHER_THAN_ONE = 2e-3, 1e-3
# Examples of a positive in a probe, and seeds until each positive has had a negative.
EXAMPLES, SEEDS = 2, 4
# A plateau above this is a guard against log 0, and no clipping: a note is enough.  Near a plateau nothing is compared.
CLIPPED_UP_TO, NEAR_PLATEAU, NEAR_CLIP = 12.0, 7.0, 0.05
# A loss is flat if it rises by less over the last moves, and bends if its slope falls by more than a tenth.
FLAT, BENDS = 0.25, 0.9
FEWEST_POINTS = 4
MOST_TEMPERATURES = 4


@dataclass(frozen=True)
class Found:
    """A form that a loss was found to have, in place of the one that is audited.

    `factors` (L,) scale the loss at each audited positive, and `temperature` divides its scores besides the one given:
    both can be undone, and the audit goes on.  Otherwise its margins mean nothing.
    """

    kind: Kind
    sentence: str
    factors: Floats | None = None
    temperature: float | None = None
    is_certain: bool = True

    @property
    def can_be_undone(self) -> bool:
        """Whether the audit can go on."""
        return self.factors is not None or self.temperature is not None


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

    @cached_property
    def plateau(self) -> Floats:
        """The value that the loss does not exceed however far down the positive is, (B,); inf where it grows."""
        top = self.at(FARTHEST)
        return np.where(np.abs(top - self.at(FAR_DOWN[1])) <= FLAT, top, np.inf)

    @cached_property
    def guard(self) -> Floats:
        """The value from which a guard against log 0 may be felt, (B,): -log(p + 1e-10) bends off at 23."""
        bends = self.slope(FAR_DOWN[1], FARTHEST) < BENDS * self.slope(*FAR_DOWN)
        top = self.at(FARTHEST)
        return np.where(bends & (top > CLIPPED_UP_TO), top - NEAR_PLATEAU, np.inf)

    def tolerance(self, move: float) -> float:
        """The deviation that rounding may make at a move."""
        return DEVIATION + DEVIATION_IN_ROUNDINGS * self.rounding * (1 + max(abs(move), CORE))

    def rows(self, which: Floats) -> Curve:
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
        pairs = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in
                 ("positive", "values", "halves", "together")}  # fmt: skip
        return replace(self, **pairs)

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
        low, high = core[0], core[-1]
        # Values far up are compared with K and the sum of weights, which two values of the core determine.
        top = np.exp(values[[low, high]] - values[high])
        grown = np.exp(self.moves[[low, high]])
        weight = (top[1] - top[0]) / (grown[1] - grown[0])
        constant = top[0] - weight * grown[0]
        allowed = np.array([self.tolerance(move) for move in self.moves])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            line = values[high] + np.log(np.maximum(constant + weight * np.exp(self.moves), 1e-300))
            k = float(np.exp(values[high]) * constant)
        if not weight > 0 or np.any(np.abs(values - line)[usable] > allowed[usable]):
            return False
        # Far below 1, K is not known but for what the values allow.
        off = self.tolerance(0.0) * max(1.0, float(np.exp(values[low])))
        if not least - off <= k <= most + off:
            return False
        middle = float(values[self.moves == 0.0][0])
        if not whole or middle > guard:
            return True
        both = float(np.exp(self.halves[row]).sum()) - k
        return bool(
            both > 0
            and abs(np.log(both) - middle) <= 2 * self.tolerance(0.0)
            and abs(self.together[row] - middle) <= self.tolerance(0.0)
        )


def probed(question: Question, box: Box) -> tuple[Found | None, str | None]:
    """The form of the loss, None if it is the one that is audited or nothing was seen of it; and a remark, if any."""
    if question.form == "logistic":
        return _logistic(question, box), None
    curve = _curve(question, box)
    if curve is None:
        return None, None
    if curve.is_softmax(guard=curve.guard):
        level = float(curve.plateau.min())
        cut = f"the loss does not rise above {level:.3g}: probabilities below {np.exp(-level):.1g} are cut off"
        return None, cut if np.isfinite(level) else None
    for form in FORMS:
        found = form(question, box, curve)
        if found is not None:
            return found, None
    return _another(curve, _is_decoupled(question, box)), None


# --- what the loss answers ----------------------------------------------------------------------------------------


def _curve(question: Question, box: Box) -> Curve | None:
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
    ask = _Asked.of(question, box, seed)
    ask = replace(ask, scores=ask.moved(_bend(ask)[:, None]))
    values = np.stack([ask.values(ask.moved(move)) for move in MOVED_BY], axis=1)
    sides = (ask.half, ~ask.half)
    halves = [ask.values(ask.moved(np.where(side, 0.0, SUPPRESSED))) for side in sides]
    together = ask.values(ask.scores + TOGETHER)
    return Curve(ask.positive, np.array(MOVED_BY), values, np.stack(halves, axis=1), together, box.rounding)


def _bend(ask: _Asked) -> Floats:
    """The move at which the sum of weights is about 1, (B,): by the line far down, or by the foot of a loss that is flat."""
    near, far = (ask.values(ask.moved(move)) for move in FAR_DOWN)
    slope = (far - near) / (FAR_DOWN[1] - FAR_DOWN[0])
    with np.errstate(all="ignore"):
        bend = FAR_DOWN[1] - far / slope
        if np.any(np.abs(far - near) <= FLAT):
            none, foot = (np.exp(ask.values(ask.moved(move))) for move in (FAR_UP[0], LADDER[0]))
            bend = np.where(np.abs(far - near) <= FLAT, LADDER[0] - np.log(foot - none), bend)
    return np.clip(np.nan_to_num(bend, nan=0.0, posinf=0.0, neginf=0.0), -MOST_CENTRE, MOST_CENTRE)


@dataclass(frozen=True, eq=False)
class _Asked:
    """Calls of one seed at other scores: scores (B, L) over the temperature, 0 for the positive; a half of the labels.

    The box divides nothing out yet.
    """

    question: Question
    box: Box
    seed: int
    scores: Floats
    positive: Labels
    half: Floats

    @classmethod
    def of(cls, question: Question, box: Box, seed: int) -> _Asked:
        scores, positive, generator = box.scores(EXAMPLES, seed)
        scores = scores / box.question.temperature
        scores[np.arange(positive.size), positive] = 0.0
        half = generator.permutation(scores.shape[1]) < (scores.shape[1] + 1) // 2
        return cls(question, box, seed, scores, positive, half)

    def moved(self, by: Floats | float) -> Floats:
        """The scores with all negatives moved."""
        found = np.array(self.scores + by)
        rows = np.arange(self.positive.size)
        found[rows, self.positive] = self.scores[rows, self.positive]
        return found

    def values(self, scores: Floats) -> Floats:
        question = self.question
        return self.box.probe(question.temperature * (scores - question.shift), self.positive, self.seed)


# --- the forms ----------------------------------------------------------------------------------------------------


def _scaled(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = c log(1 + h + S): far down its slope is c; undone by a division."""
    factor = curve.far_slope
    by_positive = _by_positive(curve, factor)
    if by_positive is None or not _over(curve, factor).is_softmax():
        return None
    factors = np.ones(question.prior.n_labels)
    for y, c in by_positive.items():
        factors[y] = c
    values = list(by_positive.values())
    if np.ptp(values) <= SAME * max(values):
        return Found("scaled", f"the loss is scaled by {_number(values[0])}{_origin(question, values[0])}", factors)
    each = ", ".join(f"{_number(c)} at the positive {question.prior.name(y)}" for y, c in by_positive.items())
    return Found("class-weighted", f"the loss is weighted by the class of the positive: scaled by {each}", factors)


def _with_temperature(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = log(1 + h + Σ a e^{(f_j - f_y)/T}): far down its slope is 1/T; undone by asking at T times the scores."""
    again, temperature = curve, 1.0
    for _ in range(MOST_TEMPERATURES):
        slope = float(np.median(again.far_slope))
        if not 1e-4 < slope < 1e4:
            return None
        temperature /= slope
        asked = _curve(replace(question, temperature=question.temperature * temperature), box)
        if asked is None:
            return None
        again = asked
        if again.is_softmax():
            temperature /= float(np.median(again.far_slope))
            said = f"a temperature of {_number(question.temperature * temperature)} divides the scores"
            given = "" if question.temperature == 1.0 else f", and not {_number(question.temperature)}"
            return Found("temperature", said + given, temperature=temperature)
    return None


def _smoothed(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = c (log(1 + S) + κ (f_y - mean f_j)): the loss of a sure positive grows by cκ; undone by adding κ times the move.

    With a share ε spread over n logits, the positive's among them, κ = ε (n - 1)/n.
    """
    grows, factor = -curve.slope(*FAR_UP), curve.far_slope - curve.slope(*FAR_UP)
    if not (np.all(factor > 0) and np.all(np.abs(grows) > DEVIATION * factor)):
        return None
    share = grows / factor
    if np.ptp(share) > SAME or not np.all(np.abs(curve.together - curve.at(0.0)) <= curve.tolerance(0.0)):
        return None
    straight = _over(curve, factor)
    straight = replace(straight, values=straight.values + share[:, None] * straight.moves)
    if not straight.is_softmax(least=0.0, whole=False):
        return None
    kappa = float(np.median(share))
    n = question.prior.n_labels if question.scheme is None else question.scheme.m + 1
    scaled = "" if np.all(np.abs(factor - 1) <= OTHER_THAN_ONE) else f", and scaled by {_number(float(factor[0]))}"
    return Found(
        "label-smoothed",
        f"the loss is label-smoothed{scaled}: it does not fall to 0 for a sure positive, but grows by {_number(kappa)} "
        f"times the distance of the scores (ε = {_number(kappa * n / (n - 1))} if it is spread over {n} logits)",
    )


def _focal(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = α (1 - e^{-x})^γ x of the cross-entropy x: far up it falls as e^{(1+γ) t}; undone by solving for x."""
    clear = curve.at(-24.0) <= curve.tolerance(0.0)  # hits would add to x
    if not set(curve.positive[clear].tolist()) == set(curve.positive.tolist()):
        return None
    curve = curve.rows(clear)
    factor = curve.far_slope
    if not np.all(factor > DEVIATION):
        return None
    scaled = _over(curve, factor)
    cross = np.logaddexp(0.0, scaled.moves + (scaled.at(FAR_DOWN[1]) - FAR_DOWN[1])[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.log(scaled.values / cross) / np.log(-np.expm1(-cross))
    each = np.where((cross > 0.05) & (cross < 3.0), each, np.nan)
    if not np.all(np.isfinite(each).any(axis=1)):
        return None
    gamma = float(np.nanmedian(each))
    if not (gamma > OTHER_THAN_ONE and gamma < 20):
        return None
    if not scaled.changed(lambda values: _cross_entropy(values, gamma)).is_softmax(most=1.0):
        return None
    alpha = "" if np.all(np.abs(factor - 1) <= OTHER_THAN_ONE) else f", scaled by {_number(float(factor[0]))}"
    return Found(
        "focal",
        f"the loss is a focal loss with γ = {_number(gamma)}{alpha}: (1 - p)^γ times the cross-entropy -log p",
    )


def _cross_entropy(focal: Floats, gamma: float) -> Floats:
    """The x with (1 - e^{-x})^γ x = focal, by bisection in log x."""
    low, high = np.full(focal.shape, -60.0), np.full(focal.shape, 60.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        target = np.log(np.maximum(focal, 0.0))
        for _ in range(60):
            log_x = (low + high) / 2
            too_low = gamma * np.log(-np.expm1(-np.exp(np.minimum(log_x, 5.0)))) + log_x < target
            low, high = np.where(too_low, log_x, low), np.where(too_low, high, log_x)
    return np.exp(high)


def _positive_missing(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = log(h + S), without the 1: a sure positive's loss falls for ever."""
    falling = curve.slope(*FAR_UP)
    factor = curve.far_slope
    alone = np.abs(falling - factor) <= SAME * np.abs(factor)
    if not (alone.any() and np.all(factor > DEVIATION)) or not _over(curve, factor).is_softmax(least=0.0):
        return None
    scaled = "" if np.all(np.abs(factor - 1) <= OTHER_THAN_ONE) else f" (and scaled by {_number(float(factor[0]))})"
    return Found(
        "positive missing",
        f"the positive is missing from the denominator{scaled}: the loss of a sure positive does not fall to 0, but "
        "without end",
    )


def _clipped(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = min(log(1 + h + S), c): a plateau, below which the form holds."""
    level = curve.plateau
    if not np.all(level <= CLIPPED_UP_TO):
        return None
    c = _number(float(np.median(level)))
    if np.ptp(level) <= curve.tolerance(0.0) and curve.is_softmax(guard=level - NEAR_CLIP):
        return Found("clipped", f"the loss is clipped at {c}: examples beyond teach nothing")
    return Found("another form", f"the loss does not rise above {c}, however far down the positive is")


def _of_pairs(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = Σ a_j log(1 + e^{f_j - f_y}): the halves add up; at equal scores of the negatives one term is left."""
    both = False
    for _ in range(SEEDS):  # until both halves have draws of one example
        none = curve.at(FAR_UP[0])
        adds = curve.halves.sum(axis=1) - none - curve.at(0.0)
        moves = np.abs(curve.together - curve.at(0.0))
        if not (np.all(np.abs(adds) <= 4 * curve.tolerance(CORE)) and np.all(moves <= curve.tolerance(0.0))):
            return None
        both = bool(np.any(np.abs(curve.halves - none[:, None]).min(axis=1) > 4 * curve.tolerance(CORE)))
        again = None if both else _curve(question, box)
        if again is None:
            break
        curve = again
    if not both:
        return None
    weight = curve.far_slope
    ask = _Asked.of(question, box, box.new_probe())
    ask = replace(ask, scores=np.zeros(ask.scores.shape))
    equal = np.stack([ask.values(ask.moved(move)) for move in LADDER], axis=1)
    found, off = _fitted(np.array(LADDER), equal, (special.log1p(np.exp(np.array(LADDER))), np.ones(len(LADDER))))
    if np.any(off > curve.tolerance(0.0)):
        return Found(
            "another form", "the loss is a sum over negatives, each by itself, and not the logarithm of a sum"
        )
    low, high = float(min(weight.min(), found[:, 0].min())), float(max(weight.max(), found[:, 0].max()))
    how = "a mean" if high <= 1 + SAME else "a sum"
    counts = _number(high) if high - low <= SAME else f"{_number(low)} to {_number(high)}"
    return Found(
        "pairs",
        f"the loss is {how} of pairs, Σ log(1 + e^(f_j - f_y)) with weights that sum to {counts}, and not the logarithm "
        "of a sum over the negatives",
    )


FORMS: tuple[Callable[[Question, Box, Curve], Found | None], ...] = (
    _clipped, _scaled, _positive_missing, _with_temperature, _smoothed, _focal, _of_pairs,
)  # fmt: skip


def _another(curve: Curve, decoupled: bool) -> Found:
    """No form that is known: what was seen."""
    if decoupled:
        return Found(
            "decoupled", "the loss is a sum of a term for each label (decoupled): pass form=\"logistic\" to audit it"
        )
    moved = float(np.max(np.abs(curve.together - curve.at(0.0))))
    seen = f"its slope is {_number(float(np.median(curve.far_slope)))} far down, and "
    seen += f"{_number(float(np.median(curve.slope(*FAR_UP))))} for a sure positive"
    if moved > curve.tolerance(0.0):
        seen += f"; it moves by {_number(moved)} when {TOGETHER:g} is added to all scores"
    return Found(
        "another form",
        "on the same draws, the loss is not of the softmax form log(1 + h + Σ w e^(f_j - f_y)), nor a scaled, smoothed, "
        f"focal or clipped one: {seen} (if draws or weights depend on the scores, give the scores to audit at: scores=)",
        is_certain=False,
    )


# --- the logistic form --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Decoupled:
    """What a sum over labels pays: the positive `pays` times log(1 + e^{-g_y}); and how far it is from such a sum.

    `falls` is what the negatives pay besides for being low, as under label smoothing.
    """

    pays: Floats
    falls: Floats
    off: float
    off_negatives: float
    floor: Floats


def _decoupled(question: Question, box: Box) -> _Decoupled:
    ask = _Asked.of(question, box, box.new_probe())
    rows, ladder = np.arange(ask.positive.size), np.array(LADDER)

    def own(move: float, scores: Floats) -> Floats:
        scores = scores.copy()
        scores[rows, ask.positive] = move
        return ask.values(scores)

    curve = np.stack([own(move, ask.scores) for move in LADDER], axis=1)
    up, down = np.logaddexp(0, ladder), np.logaddexp(0, -ladder)
    paid, off = _fitted(ladder, curve, (down, up, np.ones(ladder.size)))
    equal = replace(ask, scores=np.zeros(ask.scores.shape))
    same = np.stack([equal.values(equal.moved(move)) for move in LADDER], axis=1)
    weights, off_same = _fitted(ladder, same, (up, down, np.ones(ladder.size)))
    none = ask.values(ask.moved(SUPPRESSED))
    halves = sum(ask.values(ask.moved(np.where(side, 0.0, SUPPRESSED))) - none for side in (ask.half, ~ask.half))
    apart = np.abs(halves - (ask.values(ask.scores) - none))
    crossed = np.abs((own(2.0, ask.scores) - own(2.0, ask.moved(SUPPRESSED))) - (ask.values(ask.scores) - none))
    far = np.stack([own(move, ask.scores) for move in (SUPPRESSED, -16.0)])
    floor = np.where(np.abs(far[0] - far[1]) <= DEVIATION, far[0], np.inf)
    off_sum = float(np.max(np.nan_to_num(np.concatenate([off, apart, crossed]), nan=np.inf)))
    return _Decoupled(paid[:, 0], weights[:, 1], off_sum, float(np.max(np.nan_to_num(off_same, nan=np.inf))), floor)


def _logistic(question: Question, box: Box) -> Found | None:
    """The form of a loss that is audited as a logistic one."""
    seen = _decoupled(question, box)
    allowed = 4 * (DEVIATION + DEVIATION_IN_ROUNDINGS * box.rounding * (1 + CORE))
    if np.all(seen.floor <= CLIPPED_UP_TO):
        return Found("clipped", f"the loss does not rise above {_number(float(np.median(seen.floor)))}: it is clipped")
    if seen.off > allowed:
        softmax = _curve(replace(question, form="softmax"), box)
        if softmax is not None and softmax.is_softmax():
            return Found("softmax", "the loss is of the softmax form: pass form=\"softmax\" to audit it")
        return Found(
            "another form",
            "on the same draws, the loss is not of the logistic form, log(1 + e^-f_y) and a term log(1 + e^f_j) for each "
            "negative (is there a shift=? if draws or weights depend on the scores, give the scores to audit at: scores=)",
            is_certain=False,
        )
    beta = float(np.median(seen.pays))
    if np.any(seen.falls > allowed):
        return Found(
            "label-smoothed",
            f"the loss is label-smoothed: negatives pay {_number(float(np.median(seen.falls)))} in all for low scores",
        )
    if np.all(np.abs(seen.pays - 1) <= allowed):
        return None
    return Found(
        "gBCE",
        f"the positive pays β = {_number(beta)} times log(1 + e^-f_y): a gBCE, or a loss that is scaled"
        f"{_origin(question, beta)}",
    )


def _is_decoupled(question: Question, box: Box) -> bool:
    """Whether a loss that is no softmax is a sum of logistic terms."""
    seen = _decoupled(question, box)
    allowed = 4 * (DEVIATION + DEVIATION_IN_ROUNDINGS * box.rounding * (1 + CORE))
    return bool(seen.off <= allowed and np.all(seen.pays > DEVIATION))


# --- numbers ------------------------------------------------------------------------------------------------------


def _over(curve: Curve, factor: Floats) -> Curve:
    """The curve divided by a factor for each example, (B,)."""
    return replace(
        curve, values=curve.values / factor[:, None], halves=curve.halves / factor[:, None],
        together=curve.together / factor, rounding=curve.rounding / float(np.min(np.abs(factor)) or 1.0),
    )  # fmt: skip


def _by_positive(curve: Curve, parameter: Floats) -> dict[int, float] | None:
    """The parameter of each positive; None if it is not positive, or differs between examples of one."""
    found = {}
    for y in dict.fromkeys(curve.positive.tolist()):
        values = parameter[curve.positive == y]
        if not (np.all(values > DEVIATION / 10) and np.ptp(values) <= SAME * values.max()):
            return None
        found[y] = float(np.median(values))
    return found


def _fitted(at: Floats, values: Floats, columns: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Least squares for each example: the coefficients (B, k), and the largest residual (B,)."""
    design = np.stack(columns, axis=1)
    if not np.all(np.isfinite(values)):
        return np.full((len(values), design.shape[1]), np.nan), np.full(len(values), np.inf)
    found = np.linalg.lstsq(design, values.T, rcond=None)[0]
    return found.T, np.abs(values.T - design @ found).max(axis=0)


def _number(value: float) -> str:
    """A parameter as one reads it."""
    return f"{value + 0.0:.4g}"


def _origin(question: Question, factor: float) -> str:
    """Where a factor may come from."""
    if question.scheme is None:
        return ""
    m = question.scheme.m
    for value, said in (
        (1 / (1 + m), f"1/(1 + m): a mean over the positive and its {m} negatives?"),
        (1 / m, f"1/m: a mean over {m} negatives?"),
    ):
        if abs(factor - value) <= SAME * value:
            return f" ({said})"
    return ""
