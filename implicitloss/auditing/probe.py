"""The probe of a loss's form, before any margin is named: is it the one that is audited, and if not, which?

Draws or weights that depend on the scores bend the curve too; `Found.is_certain` is False where that cannot be told
from another form.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from implicitloss.auditing.box import Box
from implicitloss.auditing.curve import Curve, curve_of
from implicitloss.auditing.decoupled import decoupled, is_decoupled, logistic
from implicitloss.auditing.forms import FORMS, Found, another
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats

__all__ = ["NotRepeatedError", "probed"]

# Probes that show another form are repeated so often.
REPEATS = 3


class NotRepeatedError(Exception):
    """Repeated probes have other answers: the loss draws anew, and repeated its first answer by chance."""


def probed(question: Question, box: Box) -> tuple[Found | None, str | None]:
    """The form of the loss, None if it is the one that is audited or nothing was seen of it; and a remark, if any.

    *Raises* NotRepeatedError if probes that show another form have other answers when they are repeated.
    """
    before = box.probes
    if question.form == "logistic":
        seen = decoupled(question, box)
        found = logistic(question, box, seen)
        if found is not None:
            _check_repeats(box, before, seen.values, lambda: decoupled(question, box).values)
        return found, None if found is not None else _cut_off(box, float(np.nanmin(seen.guard)), "the positive's term")
    curve = curve_of(question, box)
    if curve is None:
        return None, None
    if curve.is_softmax(guard=curve.guard):
        return None, _cut_off(box, float(curve.plateau.min()), "the loss")
    _check_repeats(box, before, curve.values, lambda: _values(curve_of(question, box)))
    for form in FORMS:
        found = form(question, box, curve)
        if found is not None:
            return found, None
    return another(curve, is_decoupled(question, box)), None


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


def _values(curve: Curve | None) -> Floats:
    return np.zeros(0) if curve is None else curve.values
