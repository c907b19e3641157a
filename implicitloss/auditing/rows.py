"""A few calls of many rows: is a row of a later chunk, or the last one, treated as the first ones are?

Every row has one of a few contents: a positive, scored far above all other labels or far below them.  The contents are
put into the rows at random, and so the losses of one content are exchangeable over rows, whatever the loss draws and
however its examples depend on each other, if it treats all rows alike.  That is all the chance there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from implicitloss.auditing.blackbox import AsksEachAlone
from implicitloss.auditing.box import Box
from implicitloss.auditing.comparison import HITS, LEAST_HITS, Comparison
from implicitloss.auditing.exact import MOVED, error_of
from implicitloss.auditing.finding import Flaw, Note, Observed
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats, Labels

__all__ = ["SUPPRESSED", "hits_between_rows", "rows_alike", "rows_of_others"]

# Rows of a call, if it has no more scores than this; fewer say nothing that other calls do not.
MOST_ROWS, SCORES_A_CALL, LEAST_ROWS = 4_097, 1 << 22, 128
# So many calls look first, with this error; only what they suspect is judged, by further calls, with the full error.
# A flaw of every call the first see more surely, by 3.8 standard errors of two calls, not 6.7 of four; one of few calls
# they see less often.
FIRST_CALLS, SUSPECTED, CALLS = 2, 0.05, 4
# Losses of calls of so few rows are compared with those of many, and are others from this factor on.
FEW_ROWS, BY_NUMBER = 64, 1.1
# The positive is scored so far above all others, or below.
FAR = 8.0
# Calls of so many rows, some of them lowered, by which losses change that are these rows' own.
MIXED_PROBES, MIXED_ROWS, MIXED_DEVIATION = 2, 16, 1e-3
# Calls, and examples of each label in them, that look for hits between rows; a hit is far above rounding.
MIXED_CALLS, MIXED_EXAMPLES, ERRORS_OF_HITS = 16, 16, 64.0
# Labels that are to add nothing are scored this far below; e^80 is still a number in single precision.
SUPPRESSED = 80.0
# Standardised losses count at most so much, and only if they vary by more than so many rounding errors.
MOST, ROUNDINGS = 4.0, 16.0


def rows_alike(question: Question, box: Box) -> Observed:
    """The flaw of a loss that treats later rows of a long call otherwise, and a note if calls could not be as long."""
    n_labels = question.prior.n_labels
    n = min(MOST_ROWS, SCORES_A_CALL // n_labels)
    if isinstance(box.loss_fn, AsksEachAlone) or n < LEAST_ROWS:
        return Observed()
    notes: tuple[Note, ...] = (
        () if n == MOST_ROWS else (Note("rows tried", f"calls of more than {n:,} rows were not tried"),)
    )
    calls = [_Rows.of(question, box, n) for _ in range(FIRST_CALLS)]
    notes += _by_number(calls, [_Rows.of(question, box, FEW_ROWS) for _ in range(CALLS)])
    where = _other_rows(calls, SUSPECTED)
    if where is not None:
        where = _other_rows([_Rows.of(question, box, n) for _ in range(CALLS)], question.error_of_a_probe)
    if where is None:
        return Observed(notes=notes)
    said = (
        f"in a call of {n:,} rows, the losses of {where} are others than those of the rest, whichever examples stand "
        "there: is an offset forgotten in later chunks, or the last chunk treated otherwise?"
    )
    return Observed(flaws=(Flaw("depends on the row", said),), notes=notes)


def rows_of_others(question: Question, box: Box) -> tuple[Flaw, ...]:
    """The flaw of losses that are those of other rows: they change where other rows' scores do, as many as these.

    The audit's own examples stand in blocks, which a sort may leave as they are.  The same call is made twice, with
    some positives scored lower: no chance is involved.
    """
    if isinstance(box.loss_fn, AsksEachAlone):
        return ()
    for _ in range(MIXED_PROBES):
        seed = box.new_probe()
        generator = np.random.default_rng([6, seed])
        positive = generator.permutation(np.resize(_mixed_labels(question), MIXED_ROWS))
        scores = question.temperature * box.spread * generator.standard_normal((MIXED_ROWS, question.prior.n_labels))
        lower = generator.random(MIXED_ROWS) < 0.5
        lowered = scores.copy()
        lowered[lower, positive[lower]] -= question.temperature * box.spread
        asked = [[box.probe(f, positive, seed) for f in (scores, lowered)] for _ in range(2)]
        rise = asked[0][1] - asked[0][0]
        moved = np.abs(rise) > MIXED_DEVIATION
        is_of_others = 0 < moved.sum() <= lower.sum() and bool(np.any(moved & ~lower)) and bool(np.all(rise[moved] > 0))
        # What draws anew in a repeated call moves by that.
        if not is_of_others or not np.array_equal(asked[0], asked[1], equal_nan=True):
            return ()
    said = "losses are those of other rows: are rows put in another order, and not back again?"
    return (Flaw("depends on the row", said),)


def hits_between_rows(question: Question, box: Box, found: Sequence[Comparison]) -> tuple[Flaw, ...]:
    """The flaw of hits that are claimed to be removed, and count where examples of other labels stand beside.

    Examples of one positive stand together else, and a mask of another row is then the right one.
    """
    of_hits = [c for c in found if c.part == HITS]
    if question.scores is not None or any(c.claimed != 0.0 or c.measured > 0 for c in of_hits) or not of_hits:
        return ()
    if isinstance(box.loss_fn, AsksEachAlone) or box.is_coarse or box.is_bounded:
        return ()
    audited = np.isin(labels := _mixed_labels(question), question.positives)
    for _ in range(MIXED_CALLS):
        seed = box.new_probe()
        generator = np.random.default_rng([3, seed])
        at = generator.permutation(np.repeat(np.arange(labels.size), MIXED_EXAMPLES))
        scores = np.full((at.size, question.prior.n_labels), -SUPPRESSED)
        scores[np.arange(at.size), labels[at]] = 0.0
        answer = box.ask(question.temperature * (scores - question.shift), labels[at], seed)
        signal = np.expm1(answer.values) if question.form == "softmax" else answer.values - np.log(2.0)
        if np.any(signal[audited[at]] > max(ERRORS_OF_HITS * error_of(answer).max(), LEAST_HITS)):
            said = "accidental hits count where rows of other labels stand beside: is their mask that of another row?"
            return (Flaw("depends on the row", said),)
    return ()


def _mixed_labels(question: Question) -> Labels:
    """The audited positives, and where there is one alone, the label of about its frequency, too."""
    labels = np.array(question.positives, dtype=np.intp)
    return labels if labels.size > 1 else np.append(labels, question.neighbours(int(labels[0]))[:1])


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a call: their losses over the spread of those with the same content, and in which rows that is low.

    `last` are the shares, of the rows with the content of the last one, with at most its loss, and with at least that;
    `level` is their median loss.
    """

    losses: Floats
    is_low: NDArray[np.bool_]
    last: tuple[float, float]
    level: float

    @classmethod
    def of(cls, question: Question, box: Box, n: int) -> _Rows:
        """Ask once."""
        seed = box.new_probe()
        generator = np.random.default_rng([5, seed])
        labels = _mixed_labels(question)  # a positive of another row has to be another one
        content = generator.permutation(np.arange(n) % (2 * labels.size))
        # A low positive in the last row, another in the first.
        content[[0, -1]] = 2, 0
        values, rounding = _losses(question, box, labels[content // 2], np.where(content % 2, FAR, -FAR), seed)
        found = np.zeros(n)
        for kind in range(2 * labels.size):
            own = values[content == kind]
            spread = float(own.std())
            if spread > ROUNDINGS * rounding:  # rows may be rounded otherwise in another place
                found[content == kind] = np.clip((own - own.mean()) / spread, -MOST, MOST)
        own = values[content == 0]
        shares = float(np.mean(own <= own[-1] + rounding)), float(np.mean(own >= own[-1] - rounding))
        return cls(found, content % 2 == 0, shares, float(np.median(own)))


def _losses(question: Question, box: Box, positive: Labels, own: Floats, seed: int) -> tuple[Floats, float]:
    """The losses at given scores, or equal ones, with the positive's moved by `own`, and their rounding error.

    Losses that are no numbers are 0.
    """
    scores = np.zeros((positive.size, question.prior.n_labels))
    if question.scores is not None:
        scores += question.scores
    else:
        scores -= question.temperature * np.asarray(question.shift)
    scores[np.arange(positive.size), positive] += question.temperature * own
    try:
        with np.errstate(all="ignore"):
            answer = box.called(scores, positive, seed, finite=False)
    except Exception as error:
        error.add_note(f"(raised in a call of {positive.size:,} examples)")
        raise
    values = np.where(np.isfinite(answer.values), answer.values, 0.0)
    return values, max(float(error_of(replace(answer, values=values)).max()), MOVED * box.rounding)


def _by_number(many: list[_Rows], few: list[_Rows]) -> tuple[Note, ...]:
    """A note where losses of calls of many rows are others than those of few, far beyond what calls differ by."""
    levels = [np.array([call.level for call in calls]) for calls in (many, few)]
    if min(level.min() for level in levels) <= 0:
        return ()
    spread = max(float(level.max() / level.min()) for level in levels)
    ratio = float(np.median(levels[0]) / np.median(levels[1]))
    if max(ratio, 1 / ratio) < BY_NUMBER * spread**2:
        return ()
    said = (
        f"in calls of {many[0].losses.size:,} rows, losses are about {ratio:.3g} times as large as in calls of "
        f"{few[0].losses.size}: what is said holds for calls as small as those of the audit"
    )
    return (Note("number of rows", said),)


def _other_rows(calls: list[_Rows], error: float) -> str | None:
    """Which rows of the calls have other losses than the rest, in words; None if none have.

    Sums over rows that are as many as a power of 2, the first or the last ones, of the losses of low positives, of
    others, and of all squares, exceed Bernstein's bound with a probability of at most `error`; it holds for draws
    without replacement, too (Hoeffding 1963, theorem 4).  So does the last row: its loss is the least of its content,
    or the largest, in each call.  The first row and the last have no random content.
    """
    n = calls[0].losses.size
    sizes = [1 << k for k in range(6, n.bit_length() - 1)]
    rows = {f"the last {n - size:,} rows": np.arange(n) < size for size in sizes}
    rows |= {f"the last {size:,} rows": np.arange(n) >= n - size for size in sizes}
    log = math.log(2 * (3 * len(rows) + 1) / error)
    losses, is_low = np.array([call.losses for call in calls]), np.array([call.is_low for call in calls])
    for each in (losses * is_low, losses * ~is_low, np.square(losses)):
        terms = each[:, 1:-1] - each[:, 1:-1].mean(axis=1, keepdims=True)
        variance, largest = float(np.square(terms).mean(axis=1).max()), float(np.abs(terms).max())
        for name, chosen in rows.items():
            found = terms[:, chosen[1:-1]]
            total = abs(float(found.sum()))
            if total > 0 and total**2 >= (2 * found.size * variance + 2 / 3 * largest * total) * log:
                return name
    return "the last row" if min(np.sum(np.log([call.last for call in calls]), axis=0)) <= -log else None
