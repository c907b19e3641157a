"""The rounding error of a loss, measured: what its values do that no smooth function of the scores can."""

from __future__ import annotations

import numpy as np

from implicitloss.auditing.blackbox import Answer
from implicitloss.auditing.box import Box
from implicitloss.auditing.finding import Note
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats, Labels

# All scores are moved together by multiples of this many temperatures.
STEP = 0.0213
# Fourth differences of a smooth loss are of the order of STEP⁴; those of independent errors of size 1 have this size.
WEIGHTS = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
OF_ERRORS = float(np.sqrt(np.sum(WEIGHTS**2)))
MOVES = 8
# The median of |x| over the standard deviation, for normal x.
MEDIAN_OF_NORMAL = 0.6745


def rounding(question: Question, box: Box, scores: Floats, positive: Labels) -> float:
    """The size of the rounding error of the values at these scores (B, L), at least 1e-17.

    The scores are moved together by small constants.  A softmax loss does not move, a logistic one smoothly: what is
    left of fourth differences is rounding.  The median over examples is not affected by draws that jump.
    """
    seed = box.new_probe()
    steps = STEP * question.temperature * np.arange(MOVES)
    values = np.array([box.probe(scores + step, positive, seed) for step in steps])
    apart = np.abs(np.lib.stride_tricks.sliding_window_view(values, WEIGHTS.size, axis=0) @ WEIGHTS) / OF_ERRORS
    moving = apart[np.isfinite(apart) & (apart > 0)]
    if moving.size < apart.size / 4:  # most answers did not move at all
        return 1e-17
    return max(float(np.median(moving)) / MEDIAN_OF_NORMAL, 1e-17)


def of_type(answer: Answer) -> float:
    """The rounding error of numbers of the answer's type, whose last digit is as likely to be one as another."""
    return float(np.median(np.abs(answer.values))) * answer.eps / (2 * np.sqrt(3.0))


def coarse(box: Box) -> list[Note]:
    """A note where the rounding is that of half precision."""
    if not box.is_coarse:
        return []
    type_ = "bfloat16" if box.rounding > 5e-4 else "float16"
    digits = max(1, round(-np.log10(box.rounding)))
    said = (
        f"the loss is computed to about {digits} digits ({type_}?): a weight is known to {box.relative_rounding:.1%} at "
        "best, and limits are so much wider"
    )
    return [Note("coarse", said)]
