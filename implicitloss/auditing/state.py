"""What a loss remembers: the same call with the same seed has another answer.  Does it draw anew, or keep state?

Two experiments tell these apart.  First, calls A and B alternate in runs.  A loss that keeps a queue answers the first A
after a run of B in one way, and the last ones in another, each time alike; one that draws anew has no reason to.
Second, A is asked many times.  Running estimates and counts drift: neighbours in time are closer to each other than
draws would be (von Neumann's ratio, 2 for independent answers).  Draws anew pass for state with probability below 1e-6.
"""

from __future__ import annotations

import numpy as np

from implicitloss.auditing.box import Box, Call
from implicitloss.labels import Floats

# Runs of A and of B, and how often they alternate.
RUN_OF_A, RUN_OF_B, CYCLES = 6, 4, 6
# Calls of A in a row, and the ratio below which they drift.
IN_A_ROW, DRIFT_BELOW = 40, 0.3


def keeps_state(box: Box, first: Call, other: Call) -> bool:
    """Whether answers to the `first` call depend on what was asked before."""
    return _forgets_within_a_run(box, first, other) or _drifts(box, first)


def _answer(box: Box, call: Call) -> Floats:
    return box.called(call.scores, call.positive, call.seed).values


def _forgets_within_a_run(box: Box, first: Call, other: Call) -> bool:
    """Whether each run of the first call begins with another answer than the one that it ends with."""
    last: Floats | None = None
    for _ in range(CYCLES):
        run = [_answer(box, first) for _ in range(RUN_OF_A)]
        settled = np.array_equal(run[-1], run[-2]) and (last is None or np.array_equal(run[-1], last))
        if not settled or np.array_equal(run[0], run[-1]):
            return False
        last = run[-1]
        for _ in range(RUN_OF_B):
            _answer(box, other)
    return True


def _drifts(box: Box, first: Call) -> bool:
    """Whether neighbours in a row of answers are closer than independent ones."""
    answers = np.array([_answer(box, first) for _ in range(IN_A_ROW)])
    spread = answers.var(axis=0)
    moving = spread > 0
    if not moving.any():
        return True  # the first answers differed, and these do not
    steps = np.square(np.diff(answers[:, moving], axis=0)).mean(axis=0)
    return bool(np.median(steps / spread[moving]) < DRIFT_BELOW)
