"""Large scores: up to which size of scores does a loss have the values of its form?

Exponentials overflow in half precision from 11 on, and in single precision from 88 on, where the largest score is not
taken off first; other losses clip their scores.  The audit's own scores are a few temperatures, and do not show it.
"""

from __future__ import annotations

import numpy as np

from implicitloss.auditing.box import Box
from implicitloss.auditing.curve import Asked, allowed
from implicitloss.auditing.forms import number
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats

__all__ = ["LARGEST", "constant_logit", "large_scores"]

# Scores are moved by so many temperatures; by less, where the loss has other values there.
LARGEST, SMALLER = 100.0, (5.0, 10.0, 20.0, 50.0)
# A loss rises as much as the scores fall, within this share of a fall.  A logit that stays below this is next to
# nothing beside scores of a few units, as is a number that keeps a sum above 0.
RISES_WITHIN, LEAST_CONSTANT = 0.05, -15.0


def large_scores(question: Question, box: Box) -> str | None:
    """What is said of a loss that has other values at large scores; None if it has those of its form."""
    ask = Asked.of(question, box, box.new_probe())
    here = ask.values(ask.scores)
    if _wrong(ask, here, LARGEST) is None:
        return None
    seen = 0.0
    for size in (*SMALLER, LARGEST):
        wrong = _wrong(ask, here, size)
        if wrong is not None:
            break
        seen = size
    unit = "" if question.temperature == 1.0 else " temperatures"
    return (
        f"the loss was seen to have its form where scores are moved by up to {number(seen)}{unit}; {wrong} "
        f"{number(size)}{unit}: do exponentials overflow (float16?), or are scores clipped? Take the largest score off "
        "first"
    )


def constant_logit(question: Question, box: Box) -> str | None:
    """What is said of a softmax loss one logit of which stays where it is when all scores move; None if none is seen.

    Where all scores are far down the loss of such a row is that logit, less the positive's: it rises as these fall.
    """
    if question.form != "softmax":
        return None
    ask = Asked.of(question, box, box.new_probe())
    here, far, further = (ask.values(ask.scores - by) for by in (0.0, LARGEST / 2, LARGEST))
    with np.errstate(invalid="ignore"):
        stays = further - LARGEST
        rises = np.abs(further - far - LARGEST / 2) <= RISES_WITHIN * LARGEST
        seen = np.isfinite(further) & rises & (far > here + LARGEST / 4) & (stays >= LEAST_CONSTANT)
    if not seen.any():
        return None
    return (
        "the loss depends on where the scores are, and not on their differences alone: it is "
        f"{_said(further[seen], here[seen])} where all are smaller by {number(LARGEST)}. A logit near "
        f"{number(float(np.round(np.median(stays[seen]), 1)))} stays where it is: are hits, or padding, filled with a "
        "number in place of -inf?"
    )


def _wrong(ask: Asked, here: Floats, size: float) -> str | None:
    """Where the loss has another value than its form has, after scores were moved; `here` are the values before."""
    for by, how in ((size, "larger"), (-size, "smaller")):
        found = ask.values(ask.scores + by)
        off = np.abs(found - here) > allowed(ask.box.rounding, size)
        if not np.isfinite(found).all() or (ask.question.form == "softmax" and off.any()):
            return f"it is {_said(found, here)} where all are {how} by"
    found = ask.values(ask.moved(size))
    return None if np.isfinite(found).all() else "it is no number where the positive's is smaller by"


def _said(found: Floats, expected: Floats) -> str:
    if not np.isfinite(found).all():
        return "no number"
    worst = int(np.argmax(np.abs(found - expected)))
    return f"{number(float(found[worst]))} in place of {number(float(expected[worst]))}"
