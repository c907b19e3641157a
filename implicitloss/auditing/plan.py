"""The plan of the gradient route: which labels are compared together, and how much one call may contribute."""

from __future__ import annotations

import numpy as np

from implicitloss.auditing.comparison import (
    HIT_RESOLUTION,
    HITS,
    NEVER,
    NO_COUNT,
    SPARE,
    Comparison,
    in_reach,
    ranks_named,
)
from implicitloss.auditing.likely import likely_most
from implicitloss.auditing.pilot import Pilot
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats, Labels

__all__ = ["MOST_UNSEEN_DRAWS", "of_hits", "planned"]

# The largest number of decisive parts of a positive's labels; more would take more evaluations.
MOST_PARTS = 24
# Assumed upper limit on the draws, in one call, of labels that the pilot never drew.
MOST_UNSEEN_DRAWS = 3.0
# Where many labels were not drawn yet, a call draws about as many of them as is claimed, and so many standard
# deviations more.
DEVIATIONS = 6.0
# Hits that the pilot should have seen this often are decisive, although it saw none.
EXPECTED_HITS = 3.0


def planned(question: Question, pilot: Pilot) -> list[Comparison]:
    """The comparisons of each positive: decisive parts, the slices, and the labels that the pilot never drew."""
    found = []
    prior = question.prior
    rank = np.empty(prior.n_labels, dtype=np.intp)
    rank[prior.by_frequency] = np.arange(prior.n_labels)
    for row, y in enumerate(question.positives):
        order = prior.by_frequency[prior.by_frequency != y]
        for part in _partition(question, pilot, row, order[pilot.seen[row, order] > 0]):
            ranks = int(rank[part].min()) + 1, int(rank[part].max()) + 1
            found.append(_of_part(question, pilot, row, ranks_named(*ranks), part, ranks))
        for name, labels in prior.slices().items():
            part = labels[(pilot.seen[row, labels] > 0) & (labels != y)]
            if part.size:
                found.append(_of_part(question, pilot, row, name, part))
        rare = order[pilot.seen[row, order] == 0]
        occurs = prior.probabilities[rare] > 0
        for name, labels in ((NEVER, rare[occurs]), (NO_COUNT, rare[~occurs])):
            if labels.size:
                found.append(_of_unseen(question, pilot, row, name, labels))
    return found


def of_hits(question: Question, pilot: Pilot, row: int) -> Comparison:
    """Compare accidental hits: where none are claimed, one of them refutes."""
    y, claim = question.positives[row], question.claim
    largest = SPARE * float(pilot.of_calls(pilot.hits[row]).max())
    claimed = None if claim.hits is None else float(claim.hits[row])
    if not largest > 0:
        if claim.hit_weights is not None and claim.hit_weights[row] > 0:
            largest = MOST_UNSEEN_DRAWS * float(claim.hit_weights[row])
        elif claimed == 0.0:
            # A hit would weigh as much as a label that is about as frequent.
            largest = SPARE * float(pilot.of_calls(pilot.weights[row][:, question.neighbours(y)]).max())
        largest = largest or _largest_unseen(question, pilot, row, np.array([y]))
    # The hits of a rare positive come too seldom for a decision.
    one_hit = 0.0 if claim.hit_weights is None else float(claim.hit_weights[row])
    is_expected = one_hit > 0 and pilot.n * (claimed or 0.0) >= EXPECTED_HITS * one_hit
    is_seen = is_expected or bool(pilot.hits[row].any())
    decisive = y == question.most_frequent and claimed is not None and (claimed == 0.0 or is_seen)
    return Comparison(
        y, HITS, np.array([y]), "gradient", largest, claimed, decisive, HIT_RESOLUTION,
        negligible=question.negligible(row), whole=question.whole(row),
    )  # fmt: skip


def _partition(question: Question, pilot: Pilot, row: int, order: Labels) -> list[Labels]:
    """Join neighbours in `order` until half of the runs determine each part to within the resolution."""
    # The number of comparisons that share the error is known only after planning; 64 stands for the parts.
    delta = question.error / (8 * len(question.positives) * (question.prior.n_labels + 64))
    weights, runs = pilot.weights[row], question.runs // 2
    one = np.where(np.isfinite(pilot.one_draw[row]), pilot.one_draw[row], 0.0)
    share = np.divide(weights.mean(axis=0), one, out=np.zeros_like(one), where=one > 0)
    enough = float(share[order].sum()) / MOST_PARTS
    # Of many rare labels, the few that the pilot drew count less than it saw: their first draws are left out.
    seen = pilot.seen[row]
    again = pilot.mean[row] * np.maximum(seen - 1.0, 0.0) / np.maximum(seen, 1.0)
    parts: list[list[int]] = []
    part: list[int] = []
    together, draws = np.zeros(pilot.n), 0.0
    for label in order.tolist():
        part.append(label)
        together = together + weights[:, label]
        draws += share[label]
        if draws < enough or not together.any():
            continue
        sums = pilot.of_calls(together)
        largest = _largest(question, pilot, row, sums, np.array(part))
        if in_reach(sums, pilot.n, largest, runs, question.resolution, delta, float(again[part].sum())):
            parts.append(part)
            part, together, draws = [], np.zeros(pilot.n), 0.0
    if part and parts:
        parts[-1] += part
    elif part:
        parts.append(part)
    return [np.array(part) for part in parts]


def _largest(question: Question, pilot: Pilot, row: int, sums: Floats, labels: Labels) -> float:
    """The assumed largest contribution of `labels` that the pilot drew, whose `sums` it had in its calls."""
    largest = SPARE * max(float(sums.max()), float(pilot.floor[row, labels].max()))
    p, w = question.claim.margins, question.claim.weights
    if p is None or w is None:
        return largest
    together, mean = pilot.examples.together, float(pilot.mean[row, labels].sum())
    return max(largest, likely_most(question, p[row, labels], w[row, labels], mean, together, question.runs))


def _of_part(
    question: Question, pilot: Pilot, row: int, part: str, labels: Labels, ranks: tuple[int, int] | None = None
) -> Comparison:
    """Compare labels that the pilot drew; a range of ranks is decisive."""
    p = question.claim.margins
    claimed = None if p is None else float(p[row, labels].sum())
    sums = pilot.of_calls(pilot.weights[row][:, labels].sum(axis=1))
    largest = _largest(question, pilot, row, sums, labels)
    y = question.positives[row]
    decisive = ranks is not None
    return Comparison(y, part, labels, "gradient", largest, claimed, decisive, question.resolution, ranks=ranks)


def _of_unseen(question: Question, pilot: Pilot, row: int, name: str, rare: Labels) -> Comparison:
    """Compare the labels that the pilot never drew: decisive if a slice without them is not within the resolution."""
    p, w = question.claim.margins, question.claim.weights
    share = question.resolution / (1 + question.resolution)
    decisive = (
        p is not None
        and name == NEVER
        and any(
            float(p[row, np.intersect1d(rare, part)].sum()) > share * float(p[row, part].sum())
            for part in question.prior.slices().values()
        )
    )
    claimed = None if p is None else float(p[row, rare].sum())
    if w is None:
        largest = _largest_unseen(question, pilot, row, rare)
    else:
        assert claimed is not None
        one, expected = float(w[row, rare].max()), pilot.examples.together * claimed
        largest = max(MOST_UNSEEN_DRAWS * one, expected + DEVIATIONS * float(np.sqrt(one * expected)))
    y = question.positives[row]
    return Comparison(y, name, rare, "gradient", max(largest, 1e-300), claimed, decisive, question.resolution)


def _largest_unseen(question: Question, pilot: Pilot, row: int, labels: Labels) -> float:
    """The assumed largest contribution of `labels` that the pilot never drew, where no weight is claimed."""
    prior, seen = question.prior.probabilities, pilot.seen[row] > 0
    rarest = float(prior[labels].min())
    if not seen.any() or not rarest > 0:
        return np.inf
    # Rarer labels may weigh more, in proportion, as they do with importance weights.
    return question.largest_contribution * float(pilot.most[row].max()) * max(1.0, float(prior[seen].min()) / rarest)
