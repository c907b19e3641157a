"""The forms that a loss may have in place of the softmax form: how each is seen in its curve, and how it is undone.

A factor is divided out, a smoothed loss straightened, a focal one solved for its cross-entropy.  A form is named only
if what is left after that is a softmax loss on the same draws.  To add a form, add a function to `FORMS`.

One file: a form is told from its sisters, which are tried in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from implicitloss.auditing.box import Box
from implicitloss.auditing.curve import (
    CLIPPED_UP_TO,
    CORE,
    DEVIATION,
    EXAMPLES,
    FAR_DOWN,
    FAR_UP,
    FLAT,
    LADDER,
    SEEDS,
    TOGETHER,
    Asked,
    Curve,
    curve_of,
    fitted,
)
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats

__all__ = [
    "FORMS",
    "LOOKS_AT_SCORES",
    "MOST_TEMPERATURES",
    "OTHER_THAN_ONE",
    "Found",
    "Kind",
    "another",
    "number",
    "origin",
]

Kind = Literal[
    "scaled", "class-weighted", "temperature", "label-smoothed", "focal", "clipped", "pairs", "positive missing",
    "decoupled", "softmax", "gBCE", "several positives", "another form",
]  # fmt: skip

# Parameters of a form agree between examples, and differ from 1, by this much.
SAME, OTHER_THAN_ONE = 2e-3, 1e-3
# A factor this near to 1 is also looked for in the temperature, which may be rounded; by less it is none.
NEAR_ONE, LEAST_OFF = 1e-2, 1e-6
# This near to where a loss is clipped, nothing is compared.
NEAR_CLIP = 0.05
# A temperature is found again in the units of the last, at most so often.
MOST_TEMPERATURES = 4
# A smoothed loss is probed with so many more seeds: hits may be smoothed otherwise, and none may have been drawn.
SEEDS_OF_HITS = 16
# Labels are looked at by themselves if there are no more; other positives are less than one in so many of them, and the
# same for so many seeds.
MOST_LABELS_APART, FEW_OF, SEEDS_OF_POSITIVES = 1024, 4, 16
# Where draws or weights may be to blame.
LOOKS_AT_SCORES = "(if draws or weights depend on the scores: il.audit(..., scores=), and a loss with gradients)"


@dataclass(frozen=True)
class Found:
    """A form that a loss was found to have, in place of the one that is audited.

    `factors` (L,) scale the loss at each audited positive, `temperature` divides its scores besides the one given, and
    `pays` (L,) is what the positive of a logistic loss pays, times log(1 + e^{-g_y}): each can be undone, and the audit
    goes on.  Otherwise its margins mean nothing.
    """

    kind: Kind
    sentence: str
    factors: Floats | None = None
    temperature: float | None = None
    pays: Floats | None = None
    is_certain: bool = True

    @property
    def can_be_undone(self) -> bool:
        """Whether the audit can go on."""
        return self.factors is not None or self.temperature is not None or self.pays is not None


def _scaled(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = c log(1 + h + S): far down its slope is c; undone by a division."""
    factor = curve.far_slope
    by_positive = _by_positive(curve, factor)
    if by_positive is None or not curve.over(factor).is_softmax():
        return None
    factors = np.ones(question.prior.n_labels)
    for y, c in by_positive.items():
        factors[y] = c
    values = list(by_positive.values())
    few, many = _slopes_by_rows(question, box)
    if few > 0 and many > 0 and abs(many / few - 1) > SAME:
        rows = EXAMPLES * len(question.positives)
        return Found(
            "another form",
            f"the loss is scaled by the number of examples in a call: by {number(few)} in one of {rows}, and by "
            f"{number(many)} in one of {2 * rows}. Is it divided by the size of the batch? Return losses as they are",
        )
    if np.ptp(values) <= SAME * max(values):
        if abs(values[0] - 1) <= NEAR_ONE or box.is_coarse:
            found = _with_temperature(question, box, curve)
            if found is not None and found.temperature is not None:
                rounded = curve_of(replace(question, temperature=question.temperature * found.temperature), box)
                if rounded is not None and rounded.misfit < curve.over(factor).misfit * values[0]:
                    return found
        return Found("scaled", f"the loss is scaled by {number(values[0])}{origin(question, values[0])}", factors)
    each = ", ".join(f"{number(c)} at the positive {question.prior.name(y)}" for y, c in by_positive.items())
    return Found("class-weighted", f"the loss is weighted by the class of the positive: scaled by {each}", factors)


def _slopes_by_rows(question: Question, box: Box) -> tuple[float, float]:
    """The median slope far down, in a call of some examples, and in one that has each of them twice."""
    ask = Asked.of(question, box, box.new_probe())
    twice = replace(ask, scores=np.tile(ask.scores, (2, 1)), positive=np.tile(ask.positive, 2))

    def slope(of: Asked) -> float:
        near, far = (of.values(of.moved(move)) for move in FAR_DOWN)
        return float(np.median(far - near)) / (FAR_DOWN[1] - FAR_DOWN[0])

    return slope(ask), slope(twice)


def _with_temperature(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = log(1 + h + Σ a e^{(f_j - f_y)/T}): far down its slope is 1/T; undone by asking at T times the scores."""
    again, temperature = curve, 1.0
    for _ in range(MOST_TEMPERATURES):
        slope = float(np.median(again.far_slope))
        if not 1e-4 < slope < 1e4:
            return None
        temperature /= slope
        asked = curve_of(replace(question, temperature=question.temperature * temperature), box)
        if asked is None:
            return None
        again = asked
        if again.is_softmax():
            temperature /= float(np.median(again.far_slope))
            if abs(temperature - 1) <= LEAST_OFF:
                return None  # it is of this form for one seed, and for another it was not
            digits = 4 if abs(temperature - 1) > OTHER_THAN_ONE else 7
            said = f"a temperature of {question.temperature * temperature:.{digits}g} divides the scores"
            given = "" if question.temperature == 1.0 else f", and not {number(question.temperature)}"
            return Found("temperature", said + given, temperature=temperature)
    return None


def _smoothed(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = c (log(1 + S) + κ (f_y - mean f_j)): the loss of a sure positive grows by cκ; undone by adding κ t.

    With a share ε spread over n logits, the positive's among them, κ = ε (n - 1)/n.  More seeds are asked: hits whose
    logits are replaced by a number are of no such form.
    """
    found = _smoothed_curve(question, curve)
    for _ in range(0 if found is None else SEEDS_OF_HITS):
        again = curve_of(question, box)
        if again is not None and _smoothed_curve(question, again) is None:
            return another(question, again, None)
    return None if found is None else _of_positives(question, box, curve) or found


def _of_positives(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = Σ c_k log(1 + S e^{-f_k}) over several positives k: it grows as another positive alone is moved down.

    These are the same few labels whatever is drawn; a smoothed loss grows with each logit that it has.
    """
    n_labels = question.prior.n_labels
    if n_labels > MOST_LABELS_APART:
        return None
    grow, pushed = [], np.zeros(n_labels, dtype=bool)
    for _ in range(SEEDS_OF_POSITIVES):
        ask = Asked.of(question, box, box.new_probe())
        of = np.full(n_labels, ask.positive[0])
        alone = (question.temperature * (move * np.eye(n_labels) - question.shift) for move in (*FAR_UP, -FAR_UP[0]))
        furthest, far, up = (box.probe(scores, of, ask.seed) for scores in alone)
        grow.append(furthest - far > DEVIATION * (FAR_UP[1] - FAR_UP[0]))
        pushed |= up > far + 1.0
    found = np.flatnonzero(grow[0] & (np.arange(n_labels) != of[0]))
    is_same = all(np.array_equal(row, grow[0]) for row in grow)
    # Beside them are other negatives, which are drawn.
    are_all = not np.any(pushed & ~grow[0])
    if not found.size or found.size * FEW_OF >= n_labels or not is_same or are_all:
        return None
    named = ", ".join(map(question.prior.name, found.tolist()))
    return Found(
        "several positives",
        f"the loss pulls up other labels too, whatever is drawn: {named}. Is it a mean over the positives of an "
        "example? To audit it, give each example one positive, and padding in place of the others",
    )


def _smoothed_curve(question: Question, curve: Curve) -> Found | None:
    """The smoothed form of one curve."""
    grows, factor = -curve.slope(*FAR_UP), curve.far_slope - curve.slope(*FAR_UP)
    if not (np.all(factor > 0) and np.all(np.abs(grows) > DEVIATION * factor)):
        return None
    share = grows / factor  # it differs between examples whose logits have the positive's several times
    if not np.all(np.abs(curve.together - curve.at(0.0)) <= curve.tolerance(0.0)):
        return None
    straight = curve.over(factor)
    straight = replace(straight, values=straight.values + share[:, None] * straight.moves)
    if not straight.is_softmax(least=0.0, whole=False):
        return None
    kappa = float(share[np.argmax(np.abs(share))])
    n = question.prior.n_labels if question.scheme is None else question.scheme.m + 1
    scaled = "" if np.all(np.abs(factor - 1) <= OTHER_THAN_ONE) else f", and scaled by {number(float(factor[0]))}"
    return Found(
        "label-smoothed",
        f"the loss is label-smoothed{scaled}: it does not fall to 0 for a sure positive, but grows by "
        f"{_at_most(share, kappa)} times the distance of the scores (ε = {number(kappa * n / (n - 1))} if it is spread "
        f"over {n} logits)",
    )


def _focal(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = α (1 - e^{-x})^γ x of the cross-entropy x: far up it falls as e^{(1+γ) t}; undone by solving for x."""
    clear = curve.at(-24.0) <= curve.tolerance(0.0)  # hits would add to x
    if set(curve.positive[clear].tolist()) != set(curve.positive.tolist()):
        return None
    curve = curve.rows(clear)
    factor = curve.far_slope
    if not np.all(factor > DEVIATION):
        return None
    scaled = curve.over(factor)
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
    alpha = "" if np.all(np.abs(factor - 1) <= OTHER_THAN_ONE) else f", scaled by {number(float(factor[0]))}"
    return Found(
        "focal",
        f"the loss is a focal loss with γ = {number(gamma)}{alpha}: (1 - p)^γ times the cross-entropy -log p",
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
    if not (alone.any() and np.all(factor > DEVIATION)) or not curve.over(factor).is_softmax(least=0.0):
        return None
    scaled = "" if np.all(np.abs(factor - 1) <= OTHER_THAN_ONE) else f" (and scaled by {number(float(factor[0]))})"
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
    c = number(float(np.median(level)))
    if np.ptp(level) <= curve.tolerance(0.0) and curve.is_softmax(guard=level - NEAR_CLIP):
        return Found("clipped", f"the loss is clipped at {c}: examples beyond teach nothing")
    if np.nanmax(curve.values) > np.max(level) + FLAT:
        return Found("another form", f"the loss rises and falls again, to {c}, as the positive is scored further down")
    return Found("another form", f"the loss does not rise above {c}, however far down the positive is")


def _of_pairs(question: Question, box: Box, curve: Curve) -> Found | None:
    """ℓ = Σ a_j log(1 + e^{f_j - f_y}): the halves add up; at equal scores of the negatives one term is left."""
    both = False
    for _ in range(SEEDS):  # until both halves have draws of one example
        none = curve.at(FAR_UP[0])
        # The logarithm of a sum, of the same slope and size, would miss by as much: too little shows nothing.
        with np.errstate(all="ignore"):
            total = np.expm1((curve.at(0.0) - none) / curve.far_slope)
            misses = curve.far_slope * (2 * np.log1p(total / 2) - np.log1p(total))
        if not np.any(misses > 8 * curve.tolerance(CORE)):
            return None
        adds = curve.halves.sum(axis=1) - none - curve.at(0.0)
        moves = np.abs(curve.together - curve.at(0.0))
        if not (np.all(np.abs(adds) <= 4 * curve.tolerance(CORE)) and np.all(moves <= curve.tolerance(0.0))):
            return None
        both = bool(np.any(np.abs(curve.halves - none[:, None]).min(axis=1) > 4 * curve.tolerance(CORE)))
        again = None if both else curve_of(question, box)
        if again is None:
            break
        curve = again
    if not both:
        return None
    weight = curve.far_slope
    ask = Asked.of(question, box, box.new_probe())
    ask = replace(ask, scores=np.zeros(ask.scores.shape))
    equal = np.stack([ask.values(ask.moved(move)) for move in LADDER], axis=1)
    found, off = fitted(equal, (np.logaddexp(0.0, np.array(LADDER)), np.ones(len(LADDER))))
    if np.any(off > curve.tolerance(0.0)):
        return Found("another form", "the loss is a sum over negatives, each by itself, and not the logarithm of a sum")
    low, high = float(min(weight.min(), found[:, 0].min())), float(max(weight.max(), found[:, 0].max()))
    how = "a mean" if high <= 1 + SAME else "a sum"
    counts = number(high) if high - low <= SAME else f"{number(low)} to {number(high)}"
    return Found(
        "pairs",
        f"the loss is {how} of pairs, Σ log(1 + e^(f_j - f_y)) with weights that sum to {counts}, and not the "
        "logarithm of a sum over the negatives",
    )


FORMS: tuple[Callable[[Question, Box, Curve], Found | None], ...] = (
    _clipped, _scaled, _positive_missing, _with_temperature, _smoothed, _focal, _of_pairs,
    _of_positives,
)  # fmt: skip


def another(question: Question, curve: Curve, decoupled_at: float | None) -> Found:
    """No form that is known: what was seen; and one of a sum over labels, with its temperature."""
    if decoupled_at is not None:
        too = "" if decoupled_at == question.temperature else f" and temperature={number(decoupled_at)}"
        return Found(
            "decoupled",
            f'the loss is a sum of a term for each label (decoupled): pass form="logistic"{too} to audit it',
        )
    moved = float(np.max(np.abs(curve.together - curve.at(0.0))))
    seen = f"its slope is {number(float(np.median(curve.far_slope)))} far down, and "
    seen += f"{number(float(np.median(curve.slope(*FAR_UP))))} for a sure positive"
    if moved > curve.tolerance(0.0):
        seen += f"; it moves by {number(moved)} when {TOGETHER:g} is added to all scores"
    if np.any(curve.slope(*FAR_UP) < -DEVIATION):
        seen += "; is it label-smoothed, and are the logits of hits replaced by a number?"
    return Found(
        "another form",
        "on the same draws, the loss is not of the softmax form log(1 + h + Σ w e^(f_j - f_y)), nor was it seen to be "
        f"scaled, smoothed, focal (which hits hide) or clipped as a whole: {seen} {LOOKS_AT_SCORES}",
        is_certain=False,
    )


def _by_positive(curve: Curve, parameter: Floats) -> dict[int, float] | None:
    """The parameter of each positive; None if it is not positive, or differs between examples of one."""
    found = {}
    for y in dict.fromkeys(curve.positive.tolist()):
        values = parameter[curve.positive == y]
        if not (np.all(values > DEVIATION / 10) and np.ptp(values) <= SAME * values.max()):
            return None
        found[y] = float(np.median(values))
    return found


def _at_most(values: Floats, largest: float) -> str:
    return f"{'up to ' if np.ptp(values) > SAME else ''}{number(largest)}"


def number(value: float) -> str:
    """A parameter as one reads it."""
    return f"{value + 0.0:.4g}"


def origin(question: Question, factor: float) -> str:
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
