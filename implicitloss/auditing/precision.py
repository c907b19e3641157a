"""The rounding error of a loss, measured: what its values do that no smooth function of the scores can."""

from __future__ import annotations

import numpy as np

from implicitloss.auditing.blackbox import COARSEST, SINGLE, Answer
from implicitloss.auditing.box import Box
from implicitloss.auditing.finding import Note
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats, Labels

__all__ = ["coarse", "of_digits", "rounding"]

# All scores are moved together by multiples of this many temperatures, or the positive's alone by those of the other.
STEP, SMALL_STEP = 0.0213, 0.000213
# A sum of terms at a small temperature moves fast, and that is no rounding: over finer steps its fourth differences are
# at most this part of its largest step, in the median row.  Those of one jump are at least as large as the jump.
FINE_STEP, SMOOTH = STEP / 64, 0.1
# Fourth differences of a smooth loss are of the order of STEP⁴; those of independent errors of size 1 have this size.
WEIGHTS = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
OF_ERRORS = float(np.sqrt(np.sum(WEIGHTS**2)))
MOVES = 8
# Nine in ten normal errors are smaller than this many standard deviations.
SHARE, OF_NORMAL = 0.9, 1.645
# So many values are multiples of a digit by chance with probability below (2 * MOST_OFF)^8 < 1e-7.
FEWEST_VALUES, MOST_OFF = 8, 0.05
LAST_DIGITS = np.sort(np.append(10.0 ** -np.arange(5), 2.0 ** -np.arange(1, 16)))[::-1]


def rounding(question: Question, box: Box, scores: Floats, positive: Labels, lift: Floats | float = 0.0) -> float:
    """The size of the rounding error of the values at these scores (B, L), at least 1e-17.

    The scores are moved together by small constants.  A softmax loss does not move, a logistic one smoothly: what is
    left of fourth differences is rounding.  The largest tenth is left out, which are draws that jump.  Answers that are
    rounded themselves show it only where they move: the positive's own score is moved too, by less, and again where it
    is larger by a `lift` (B,), because a sum that is rounded hardly moves with a small part of it.
    """
    seed, rows = box.new_probe(), positive.size
    step = np.full((3 * rows, scores.shape[1]), STEP)
    step[rows:] = 0.0
    step[np.arange(rows, 3 * rows), np.tile(positive, 2)] = SMALL_STEP
    asked, of = np.tile(scores, (3, 1)), np.tile(positive, 3)
    asked[np.arange(2 * rows, 3 * rows), positive] += lift
    apart = _apart([box.probe(asked + k * question.temperature * step, of, seed) for k in range(MOVES)])
    inside, outside = _size(apart[:, :rows]), max(_size(apart[:, rows : 2 * rows]), _size(apart[:, 2 * rows :]))
    if inside > COARSEST:
        fine = [box.probe(scores + k * question.temperature * FINE_STEP, positive, seed) for k in range(MOVES)]
        with np.errstate(divide="ignore", invalid="ignore"):
            bends = OF_ERRORS * _apart(fine).max(axis=0) / np.abs(np.diff(fine, axis=0)).max(axis=0)
        inside = _size(_apart(fine)) if np.median(bends) <= SMOOTH else inside
    return max(inside, outside) if outside > COARSEST else inside


def _apart(values: list[Floats]) -> Floats:
    """The fourth differences of values, in units of those of independent errors of size 1."""
    found = np.lib.stride_tricks.sliding_window_view(np.array(values), WEIGHTS.size, axis=0) @ WEIGHTS
    return np.asarray(np.abs(found) / OF_ERRORS)


def _size(apart: Floats) -> float:
    """The standard deviation of errors, nine in ten of which are below the largest of these."""
    finite = apart[np.isfinite(apart)]
    return max(float(np.quantile(finite, SHARE)) / OF_NORMAL if finite.size else 0.0, 1e-17)


def of_digits(box: Box, answer: Answer) -> float:
    """The rounding error that the digits of the values show, 0 if they have those of single precision.

    The last digit is as likely to be one as another, be it that of the number's type, or that of a loss that is rounded
    to so many decimals.
    """
    values = answer.values
    while (last := _last_digit(values)) and values.size < FEWEST_VALUES:
        scores, positive, _ = box.scores(2, seed := box.new_probe())
        values = np.append(values, box.ask(scores, positive, seed).values)
    if answer.eps > COARSEST:
        last = max(last, float(np.median(np.abs(answer.values))) * answer.eps)
    return last / (2 * np.sqrt(3.0))


def _last_digit(values: Floats) -> float:
    """The largest power of 1/10 or of 1/2 of which all values are multiples, 0 if there is none that matters."""
    seen = values[np.isfinite(values)]
    eps = SINGLE if np.array_equal(seen, seen.astype(np.float32)) else float(np.finfo(np.float64).eps)
    for digit in LAST_DIGITS:
        multiples = seen / digit
        if np.all(np.abs(multiples - np.round(multiples)) <= np.minimum(4 * eps * np.abs(multiples), MOST_OFF)):
            return float(digit)
    return 0.0


def coarse(box: Box) -> list[Note]:
    """A note where the rounding is that of half precision."""
    if not box.is_coarse:
        return []
    digits = max(1, round(-np.log10(box.rounding)))
    said = (
        f"the loss is computed to about {digits} digit{'s' * (digits > 1)} (bfloat16 or float16?): a weight is "
        f"known to {box.relative_rounding:.1%} at best, and limits are so much wider"
    )
    return [Note("coarse", said)]
