"""Losses whose answer is the same whatever the rng: they draw nothing, or draw the same labels in every call.

The margins of a loss that draws nothing are measured without chance, each part by one evaluation, and rounding is the
only error.  A loss may compute in single precision whatever the type of its answer, so the limits leave room for that.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from implicitloss.auditing.blackbox import COARSEST, SINGLE, Answer
from implicitloss.auditing.box import Box, Call
from implicitloss.auditing.decode import ROUNDINGS
from implicitloss.auditing.question import SCORES_BY_DEFAULT, Question
from implicitloss.labels import Floats, Labels

__all__ = ["MOVED", "error_of", "use_of_rng"]

# The answer must be the same for so many other seeds, and for other seeds at this many sets of random scores.
SEEDS_TRIED, REPEATED_AT = 16, 3
# An example that changes its place has another loss if that moves by more than this many rounding errors.
MOVED = 64.0
# Scores in one call that looks at labels one by one.
SCORES_A_CALL = 1 << 20
# A label is looked at by itself at this score, all others at minus this: beside a positive at 0 it fills the loss.
RAISED = 20.0


Use = Literal["draws", "none", "same draws", "some labels", "unknown"]


def use_of_rng(question: Question, box: Box, call: Call) -> Use:
    """How a loss uses its rng.

    "draws": the answer differs from one seed to another.  Else it is the same for many, and the loss has "none" to draw
    if every label has a part in its answer.  "same draws": examples that change places have other losses, always the
    same ones, so that each row has draws of its own.  "some labels": rows are alike, and some labels have no part,
    because they were not drawn, or are no candidates.  "unknown" where rounding, or the number of labels, hides that.

    A loss that draws anew is taken for one of the "same draws" with probability at most `Question.error_of_a_probe`:
    one order of the rows has the same answer each time, and the other another, which has a probability of at most 1/4.
    """
    for _ in range(SEEDS_TRIED):
        if not _is_same(call.answer, box.called(call.scores, call.positive, box.new_probe())):
            return "draws"
    for _ in range(REPEATED_AT):
        scores, positive, _ = box.scores(2, box.new_probe())
        first, other = (box.called(scores, positive, box.new_probe()) for _ in range(2))
        turned = box.called(scores[::-1], positive[::-1], box.new_probe())
        if not _is_same(first, other):
            return "draws"
        apart = np.abs(turned.values[::-1] - first.values)
        if np.any(apart > np.maximum(error_of(first), MOVED * box.rounding)):
            for _ in range(math.ceil(math.log(1 / question.error_of_a_probe, 4))):
                again = box.called(scores, positive, box.new_probe())
                turned_again = box.called(scores[::-1], positive[::-1], box.new_probe())
                if not (_is_same(first, again) and _is_same(turned, turned_again)):
                    return "draws"
            return "same draws"
        if first.gradients is not None and not np.all(_beside(question, first.gradients) != 0):
            return "some labels"
    if first.gradients is not None:
        return "none"
    if call.answer.eps > COARSEST or box.is_coarse:
        return "unknown"  # rounding is no small error
    counted = positive[first.values != 0]
    if not counted.size or question.prior.n_labels**2 > SCORES_BY_DEFAULT:
        return "unknown"  # there are too many labels to look at each
    return "none" if _every_label_counts(question, box, int(counted[0])) else "some labels"


def _beside(question: Question, gradients: Floats) -> Floats:
    """The gradients without those of other positives, which need not count."""
    return np.delete(gradients, question.other_positives, axis=1)


def _is_same(one: Answer, other: Answer) -> bool:
    return bool(np.array_equal(one.values, other.values))


def error_of(answer: Answer) -> Floats:
    """The error that single precision, or the precision of the answer, may bring to each loss, (B,)."""
    return ROUNDINGS * max(answer.eps, SINGLE) * (1.0 + np.abs(answer.values))


def _every_label_counts(question: Question, box: Box, y: int) -> bool:
    """Whether the loss of a positive grows with each other label's score, or with each that is claimed to count."""
    n_labels = question.prior.n_labels
    p = question.claim.margins
    counts = np.ones(n_labels, dtype=bool) if p is None else p[question.positives.index(y)] > 0
    counts[y] = False
    others: Labels = np.flatnonzero(counts)
    a_call = max(1, SCORES_A_CALL // n_labels)
    for first in range(0, others.size, a_call):
        raised = others[first : first + a_call]
        # In the last row none is raised.
        f = np.full((raised.size + 1, n_labels), -RAISED)
        f[np.arange(raised.size), raised] = RAISED
        f[:, y] = 0.0
        positive = np.full(raised.size + 1, y, dtype=np.intp)
        answer = box.called(question.temperature * (f - question.shift), positive, box.new_probe())
        if not np.all(answer.values[:-1] > answer.values[-1] + error_of(answer)[:-1]):
            return False
    return True
