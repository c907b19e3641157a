"""How much claimed draws are likely to add to one call: a pilot need not have seen so much."""

from __future__ import annotations

import numpy as np

from implicitloss.auditing.question import Question
from implicitloss.labels import Floats
from implicitloss.numerics.bounds import likely_sum

__all__ = ["likely_most"]

# What a call of claimed draws exceeds, in all calls, with at most this probability.
EXCEEDED = 1e-3
# Draws that came less often than this share of what is claimed are not those of the claim.
LEAST_SHARE = 1 / 5


def likely_most(question: Question, p: Floats, w: Floats, mean: float, together: int, runs: int) -> float:
    """What independent draws of the claimed weights add, over `together` examples, in the call that has most of `runs`.

    Margins are `p` (n,), weights of a draw `w` (n,), and `mean` is what the pilot had of their sum.  It is 0 where no
    draws are claimed, or hard negatives beside them, and where the pilot had less than a fifth of what is claimed: the
    claim is wrong there, and its limit would be too wide, or draws come so seldom that a call hardly has several.
    Draws of different labels vary less than independent ones.
    """
    scheme = question.scheme
    if scheme is None or scheme.hard is not None or not mean > LEAST_SHARE * p.sum():
        return 0.0
    w = np.where(p > 0, w, 0.0)
    return likely_sum(together * float(p.sum()), together * float(p @ w), float(w.max()), EXCEEDED * together / runs)
