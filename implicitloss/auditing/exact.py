"""Losses that draw nothing: their margins are measured without chance, each part by one evaluation.

Rounding is the only error.  A loss may compute in single precision whatever the type of its answer, so the limits leave
room for that.
"""

from __future__ import annotations

import numpy as np

from implicitloss.auditing.blackbox import COARSEST, SINGLE, Answer
from implicitloss.auditing.box import Box, Call
from implicitloss.auditing.decode import ROUNDINGS
from implicitloss.auditing.question import SCORES_BY_DEFAULT, Question
from implicitloss.labels import Floats, Labels

__all__ = ["draws_nothing", "error_of"]

# The answer must be the same for other seeds at this many sets of random scores.
REPEATED_AT = 3
# Scores in one call that looks at labels one by one.
SCORES_A_CALL = 1 << 20
# A label is looked at by itself at this score, all others at minus this: beside a positive at 0 it fills the loss.
RAISED = 20.0


def draws_nothing(question: Question, box: Box, call: Call) -> bool:
    """Whether the answer is the same for every seed and in every row, and every label has a part in it.

    A loss that sets its own seed gives the same answer too, but in other rows it draws other labels, and it draws only
    some of them.
    """
    if call.answer.eps > COARSEST or box.is_coarse:
        return False  # rounding is no small error
    for _ in range(REPEATED_AT):
        scores, positive, _ = box.scores(2, box.new_probe())
        first, other = (box.called(scores, positive, box.new_probe()) for _ in range(2))
        turned = box.called(scores[::-1], positive[::-1], box.new_probe())
        apart = np.abs(turned.values[::-1] - first.values)
        if not np.array_equal(other.values, first.values) or np.any(apart > error_of(first)):
            return False
        if first.gradients is not None and not np.all(first.gradients != 0):
            return False
    if first.gradients is not None:
        return True
    counted = positive[first.values != 0]
    return bool(counted.size) and _every_label_counts(question, box, int(counted[0]))


def error_of(answer: Answer) -> Floats:
    """The error that single precision, or the precision of the answer, may bring to each loss, (B,)."""
    return ROUNDINGS * max(answer.eps, SINGLE) * (1.0 + np.abs(answer.values))


def _every_label_counts(question: Question, box: Box, y: int) -> bool:
    """Whether the loss of a positive grows with each other label's score; False where there are too many labels."""
    n_labels = question.prior.n_labels
    if n_labels * n_labels > SCORES_BY_DEFAULT:
        return False
    others: Labels = np.delete(np.arange(n_labels), y)
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
