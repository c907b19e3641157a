"""What a loss remembers: the same call with the same seed has another answer.  Does it draw anew, or keep state?

The call is repeated many times.  If answers settle, other calls are made, and the first is repeated again: a loss that
keeps a queue leaves its answer and comes back to it, and one that draws anew has no reason to.  If answers do not
settle, running estimates and counts drift: neighbours in time are closer to each other than fresh draws would be
(von Neumann's ratio, 2 for independent answers).  Draws anew pass for state with probability below 1e-6: for those
that differ with probability p, Σ_k C(k - 1, 4) (1 - p)^{12 (k + 1)} p⁵ over k = 5, ..., 8 returns is at most 1.1e-7.
"""

from __future__ import annotations

import numpy as np

from implicitloss.auditing.box import Box, Call
from implicitloss.labels import Floats

__all__ = ["keeps_state"]

# Calls in a row; the last of them that have to agree for a loss that has settled, to within a share of their spread.
IN_A_ROW, SETTLED, AGREE = 40, 12, 1e-3
# Calls in between, how often the loss has to leave its answer, and of how many times: other calls may draw the same.
IN_BETWEEN, LEAVES, RETURNS = 8, 5, 8
# The ratio below which answers drift.
DRIFT_BELOW = 0.3


def keeps_state(box: Box, first: Call, other: Call) -> bool:
    """Whether answers to the `first` call depend on what was asked before."""
    answers = _answers(box, first)
    within = AGREE * np.maximum(np.ptp(answers, axis=0), np.abs(answers[-1] - first.answer.values))
    return _comes_back(box, first, other, answers[-1], within) if _has_settled(answers, within) else _drifts(answers)


def _answers(box: Box, call: Call) -> Floats:
    """The answers to a call that is made many times in a row, (IN_A_ROW, B)."""
    return np.array([box.called(call.scores, call.positive, call.seed).values for _ in range(IN_A_ROW)])


def _has_settled(answers: Floats, within: Floats) -> bool:
    return bool(np.all(np.abs(answers[-SETTLED:] - answers[-1]) <= within))


def _comes_back(box: Box, first: Call, other: Call, settled: Floats, within: Floats) -> bool:
    """Whether other calls move the answer, and the first one repeated brings it back, each time."""
    left = 0
    for _ in range(RETURNS):
        for _ in range(IN_BETWEEN):
            box.called(other.scores, other.positive, box.new_probe())
        again = _answers(box, first)
        if not (np.all(np.abs(again[-1] - settled) <= within) and _has_settled(again, within)):
            return False
        left += bool(np.any(np.abs(again[0] - settled) > within))
        if left == LEAVES:
            return True
    return False


def _drifts(answers: Floats) -> bool:
    """Whether neighbours in a row of answers are closer than independent ones."""
    moving = answers[:, np.ptp(answers, axis=0) > 0]
    steps = np.square(np.diff(moving, axis=0)).mean(axis=0)
    return bool(np.median(steps / moving.var(axis=0)) < DRIFT_BELOW)
