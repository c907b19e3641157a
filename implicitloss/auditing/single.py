"""Single labels by values: each is raised far above all others until it is drawn once; one that never is, is refuted.

Parts are known to within the resolution, and a part in which one label of many is never drawn is still right.
"""

from __future__ import annotations

import math

import numpy as np

from implicitloss.auditing.box import Box
from implicitloss.auditing.comparison import Comparison
from implicitloss.auditing.finding import Note, Observed
from implicitloss.auditing.plan import MOST_UNSEEN_DRAWS
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats, Labels

__all__ = ["single_labels"]

# At most so many calls, with so many scores in all, and in one call.
CALLS, SCORES, SCORES_A_CALL = 8_192, 1 << 25, 1 << 20
# Labels that are not looked at are scored this far below the positive; a draw of the one that is has this signal, and a
# signal of this share of it is no hit, and no rounding.
SUPPRESSED, RAISED, SEEN = 80.0, math.exp(20.0), 1e-3


def single_labels(question: Question, box: Box) -> Observed:
    """The labels that were never drawn beside the first positive, and are claimed to count more than that allows.

    In each call every label that was not seen yet has a row of its own.  A label that contributes at most w to a call,
    and has a margin above w log(L/δ)/n, is not seen in n calls with probability at most δ/L.  The first positive itself
    is looked for beside the second one.
    """
    claim = question.claim
    if question.form != "softmax" or question.scores is not None or claim.margins is None or box.is_coarse:
        return Observed()
    occurs = question.prior.probabilities > 0
    most, left, n = _looked_for(question, box, 0, np.flatnonzero(occurs))
    found = _missing(question, 0, left, n, most)
    first = np.array(question.positives[:1], dtype=np.intp)
    if len(question.positives) > 1 and occurs[first[0]]:
        _, left, n = _looked_for(question, box, 1, first)
        found += _missing(question, 1, left, n, most)
    rest = int(np.count_nonzero((claim.margins[0] > 0) & occurs) - np.count_nonzero(most))
    rest -= sum(c.positive == question.positives[0] for c in found)
    said = (
        f"of {rest:,} label{'' if rest == 1 else 's'}, drawn seldom or never, only the groups are known: not seen alone"
    )
    return Observed(tuple(found), notes=(Note("single labels", said),) if rest else ())


def _looked_for(question: Question, box: Box, row: int, labels: Labels) -> tuple[Floats, Labels, int]:
    """The largest weight seen of each label (L,), those of `labels` that were not seen, and the number of calls."""
    y, claim, n_labels = question.positives[row], question.claim, question.prior.n_labels
    assert claim.margins is not None
    p, most_calls = claim.margins[row], min(CALLS, question.runs)
    may_be_decided, scale = p > 0, np.maximum(p, 1e-300)
    if claim.weights is not None:
        limit = MOST_UNSEEN_DRAWS * claim.weights[row] * _log_odds(question)
        may_be_decided, scale = limit < p * most_calls, np.maximum(claim.weights[row], 1e-300)
    left, n, asked, most = labels[may_be_decided[labels] & (labels != y)], 0, 0, np.zeros(n_labels)
    while left.size and n < most_calls and asked + left.size * n_labels <= SCORES:
        chunks = np.array_split(left, math.ceil(left.size * n_labels / SCORES_A_CALL))
        weights = np.concatenate([_weights(question, box, y, chunk, scale[chunk]) for chunk in chunks])
        asked += left.size * n_labels
        n += 1
        most[left] = weights
        left = left[weights == 0]
    return most, left, n


def _missing(question: Question, row: int, left: Labels, n: int, most: Floats) -> list[Comparison]:
    """The labels not seen in `n` calls whose margins are claimed to be larger than that allows."""
    claim, y = question.claim, question.positives[row]
    assert claim.margins is not None
    p = claim.margins[row]
    largest = _by_seen(question, most) if claim.weights is None else MOST_UNSEEN_DRAWS * claim.weights[row]
    limits = largest * _log_odds(question) / max(n, 1)
    return [
        Comparison(
            y, f"label {question.prior.name(label)}", np.array([label]), "value", float(largest[label]),
            float(p[label]), measured=0.0, low=0.0, high=float(limits[label]),
        )
        for label in left.tolist()
        if limits[label] < p[label]
    ]  # fmt: skip


def _log_odds(question: Question) -> float:
    return math.log((question.prior.n_labels + 1) / question.error_of_a_probe)


def _weights(question: Question, box: Box, y: int, raised: Labels, scale: Floats) -> Floats:
    """The weight that each raised label has in one evaluation, 0 if it was not drawn; `scale` is that of a draw."""
    f = np.full((max(raised.size, 2), question.prior.n_labels), -SUPPRESSED)
    rows = np.arange(raised.size)
    f[rows, raised] = np.log(RAISED / scale)
    f[:, y] = 0.0
    positive = np.full(len(f), y, dtype=np.intp)
    answer = box.ask(question.temperature * (f - question.shift), positive, box.new_probe())
    signal = np.expm1(answer.values[rows])
    return np.where(signal > SEEN * RAISED, signal / RAISED * scale, 0.0)


def _by_seen(question: Question, most: Floats) -> Floats:
    """The assumed largest weight of each label, where no weight is claimed, by the labels that were seen."""
    prior, seen = question.prior.probabilities, most > 0
    if not seen.any():
        return np.full(prior.size, math.inf)
    rarer = np.maximum(1.0, prior[seen].min() / np.maximum(prior, 1e-300))
    return np.asarray(question.largest_contribution * most.max() * rarer)
