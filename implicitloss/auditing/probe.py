"""The probe of a loss's form, before any margin is named: is it the one that is audited, and if not, which?

Draws or weights that depend on the scores bend the curve too; `Found.is_certain` is False where that cannot be told
from another form.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from implicitloss.auditing.blackbox import SINGLE
from implicitloss.auditing.box import EPS_OF_ROUNDING, Box
from implicitloss.auditing.curve import Curve, curve_of
from implicitloss.auditing.decoupled import decoupled, logistic, temperature_of_a_sum
from implicitloss.auditing.forms import FORMS, Found, another, number
from implicitloss.auditing.near import NearCurve, near_curve, near_form
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats

__all__ = ["NotRepeatedError", "probed"]

NOT_PROBED = "the form of the loss was not probed: no negatives were seen, or it has no values where scores are equal"
# A temperature or a factor that was fitted is known to single precision: the loss counts as rounded so much.
ROUNDING_OF_FIT = SINGLE / EPS_OF_ROUNDING
# Probes that show another form are repeated so often.
REPEATS = 3


# Scores that are too large by a share change a loss at scores of a few units by so many times that share.
ROUNDINGS_OF_SLOPE = 4.0


class NotRepeatedError(Exception):
    """Repeated probes have other answers: the loss draws anew, and repeated its first answer by chance."""


def probed(question: Question, box: Box) -> tuple[Found | None, str | None]:
    """The form of the loss, None if it is the one that is audited or nothing was seen of it; and a remark, if any.

    *Raises* NotRepeatedError if probes that show another form have other answers when they are repeated.
    """
    before = box.probes
    if question.form == "logistic":
        return _probed_logistic(question, box)
    curve = curve_of(question, box)
    if curve is None:
        return _probed_near(question, box)
    if curve.is_softmax(guard=curve.guard):
        # A temperature that is rounded itself makes errors that cancel where all scores are moved together.
        box.rounding = max(box.rounding, ROUNDINGS_OF_SLOPE * curve.off_slope)
        return None, _cut_off(box, float(curve.plateau.min()), "the loss")
    if not np.isfinite(curve.far_slope).all():
        return _probed_near(question, box)
    _check_repeats(box, before, curve.values, lambda: _values(curve_of(question, box)))
    for form in FORMS:
        found = form(question, box, curve)
        if found is not None:
            return found, None
    return another(question, curve, temperature_of_a_sum(question, box)), None


def _probed_logistic(question: Question, box: Box) -> tuple[Found | None, str | None]:
    """The form of a loss that is audited as a logistic one."""
    before = box.probes
    seen = decoupled(question, box)
    if not seen.reach:
        return None, NOT_PROBED
    box.is_bounded = np.isfinite(seen.reach)
    found = logistic(question, box, seen)
    if found is not None:
        _check_repeats(box, before, seen.values, lambda: decoupled(question, box).values)
        if found.temperature is not None:
            box.rounding = max(box.rounding, ROUNDING_OF_FIT)
        return found, None
    if box.is_bounded:
        return None, _as_far(question, seen.reach)
    return None, _cut_off(box, float(np.nanmin(seen.guard)), "the positive's term")


def _probed_near(question: Question, box: Box) -> tuple[Found | None, str | None]:
    """The form of a loss that has no values far out, or whose negatives were not seen; and how far it was seen."""
    before = box.probes
    curve = near_curve(question, box)
    if curve is None:
        return None, NOT_PROBED
    box.is_bounded = True
    found = near_form(question, curve)
    if found is not None:
        _check_repeats(box, before, curve.values, lambda: _values(near_curve(question, box)))
        if found.can_be_undone:
            box.rounding = max(box.rounding, ROUNDING_OF_FIT)
        return found, None
    return None, _as_far(question, curve.reach)


def _as_far(question: Question, reach: float) -> str:
    """What is said of a loss whose form was probed as far as it has values."""
    score = "" if question.temperature == 1.0 else f" temperatures, a score of {number(reach * question.temperature)}"
    return f"the loss has no values at larger scores (cosines?): its form was probed up to {number(reach)}{score}"


def _cut_off(box: Box, level: float, what: str) -> str | None:
    """What is said of a guard against log 0, if there is one; the box knows it then."""
    if not np.isfinite(level):
        return None
    box.cut_off = float(np.exp(-level))
    return f"{what} does not rise above {level:.3g}: probabilities below {box.cut_off:.1g} are cut off"


def _check_repeats(box: Box, before: int, first: Floats, asked: Callable[[], Floats]) -> None:
    """*Raises* NotRepeatedError unless probes with the seeds from `before` on have the `first` answers again."""
    for _ in range(REPEATS):
        box.probes = before
        if not np.array_equal(asked(), first, equal_nan=True):
            raise NotRepeatedError


def _values(curve: Curve | NearCurve | None) -> Floats:
    return np.zeros(0) if curve is None else curve.values
