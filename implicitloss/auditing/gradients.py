"""The gradient route: one evaluation gives the weight of every label; a pilot, a plan, then looks at the sums."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from implicitloss.auditing.box import Box, Call
from implicitloss.auditing.comparison import BY_SCORE, SPARE, Comparison
from implicitloss.auditing.decode import FLAW_FROM_ROUNDINGS, decode
from implicitloss.auditing.draw_statistics import DrawStatistics
from implicitloss.auditing.examples import dependence
from implicitloss.auditing.finding import Flaw, Note, Observed
from implicitloss.auditing.hard import notes_on_hard, seen_hard, wrong_weight
from implicitloss.auditing.nearest import seen_law
from implicitloss.auditing.other_positives import counted_positives
from implicitloss.auditing.pilot import Pilot
from implicitloss.auditing.plan import of_hits, planned
from implicitloss.auditing.precision import coarse
from implicitloss.auditing.question import Question
from implicitloss.auditing.rows import hits_between_rows
from implicitloss.auditing.tally import Sums, Tally
from implicitloss.auditing.tries import of_tries
from implicitloss.draws import design

__all__ = ["by_gradients"]

# Single labels are compared if the pilot drew them in this many evaluations; the worst few are reported.
SINGLE_FROM_SEEN, SINGLE_REPORTED = 8, 3
# The number of scores that are decoded together.
SCORES_DECODED = 1 << 15
# A total variation between the laws of draws is noted from this much above that of chance.
NOTED_VARIATION = 0.05


def by_gradients(question: Question, box: Box) -> Observed:
    """Evaluate until the question is decided, a flaw is seen, or the evaluations are used up."""
    pilot = Pilot.of(question, box)
    notes = dependence(pilot.shares_negatives, pilot.examples_depend)
    notes += coarse(box)
    plan = planned(question, pilot)
    rows, n_labels = len(question.positives), question.prior.n_labels
    parts = [[c.labels for c in plan if c.positive == y] for y in question.positives]
    tally = Tally(question, parts, (pilot.seen > 0).astype(np.float64), pilot.examples.together)
    looks = max(1, math.ceil(math.log2(question.runs / pilot.n)))
    # The error is shared by all looks, and in each by the plan, the labels, the two sides by score and the hits.
    delta = question.error_of_limits / (looks * (len(plan) + rows * (n_labels + 3)))
    look = _Look(question, pilot, plan, tally, delta, box.relative_rounding)
    flaws: tuple[Flaw, ...] = ()
    for k in range(looks):
        n = max(pilot.n, math.ceil(question.runs / 2 ** (looks - 1 - k)))
        _fill(tally, n, pilot.examples.a_call, box)
        box.say_progress(n)
        found = look.comparisons()
        if tally.below > FLAW_FROM_ROUNDINGS:
            flaws = (
                Flaw(
                    "another form",
                    f"the answers are not of the {question.form} form with their own gradient (a weight comes out "
                    "negative, or the gradient does not sum to 0): is there a temperature, a scaled gradient, or "
                    "another form?",
                ),
            )
        if flaws or question.is_decided(found):
            break
    if flaws:  # without the form, margins mean nothing
        return Observed(flaws=flaws, notes=tuple(notes))
    law, tries = of_tries(question, pilot)
    statistics = DrawStatistics.of(question, pilot, law)
    notes += _other_law(question, pilot, statistics)
    notes += tries
    margins = tally.margins(pilot.mean, look.delta)
    hard = seen_hard(question, pilot)
    notes += notes_on_hard(question, pilot, margins.value, hard)
    flaws, further = counted_positives(question, pilot)
    flaws += hits_between_rows(question, box, found)
    notes += further
    flaws += wrong_weight(question, pilot, box.relative_rounding)
    return Observed(tuple(found), flaws, tuple(notes), margins, statistics, hard=hard)


def _fill(tally: Tally, n: int, a_call: int, box: Box) -> None:
    """Evaluate until the tally has `n` evaluations of each positive."""
    rows, n_labels = tally.counted.shape
    while tally.n < n:
        # Calls of equal size are decoded together.
        fit = max(1, min((n - tally.n) // a_call, SCORES_DECODED // (rows * a_call * n_labels)))
        calls = [box.next_call(min(a_call, n - tally.n)) for _ in range(fit)]
        call = Call.of(calls, rows)
        own = call.scores[np.arange(call.positive.size), call.positive]
        tally.add(decode(tally.question, call, box.cut_off), (call.scores > own[:, None]).astype(np.float64))
        box.say_progress(tally.n, look=False)


@dataclass(frozen=True, eq=False)
class _Look:
    """All comparisons as the sums stand, each with limits that are wrong with probability at most `delta`."""

    question: Question
    pilot: Pilot
    plan: list[Comparison]
    tally: Tally
    delta: float
    rounding: float

    def comparisons(self) -> list[Comparison]:
        """The planned comparisons, then single labels, sides by score and hits, positive by positive."""
        found = []
        tally = self.tally
        for row, y in enumerate(self.question.positives):
            for k, part in enumerate([c for c in self.plan if c.positive == y]):
                expected = float(self.pilot.mean[row, part.labels].sum())
                found.append(self.measured(part, tally.of_parts, (row, k), expected))
            found += self.single_labels(row)
            if self.question.scores is None and self.question.claim.margins is not None:
                found += self.by_score(row)
            hits = of_hits(self.question, self.pilot, row)
            expected, unseen = float(self.pilot.hits[row].mean()), float(tally.unseen[row]) / tally.n
            found.append(self.measured(hits, tally.of_hits, (row, 0), expected, unseen))
        return found

    def measured(
        self, plan: Comparison, sums: Sums, at: tuple[int, int], expected: float, unseen: float = 0.0
    ) -> Comparison:
        """A planned comparison with the sums at an index, of terms that the pilot expects to be `expected`."""
        own = sums.at(at)
        found = float(own.total), float(own.squares_about(expected)), float(own.most)
        of_call = self.tally.together * expected
        plan = replace(plan, rounding=self.rounding + self.tally.bias, calls=self.tally.n / self.tally.together)
        return plan.with_sums(*found, self.tally.n, self.delta, unseen, of_call)

    def by_score(self, row: int) -> list[Comparison]:
        """Compare the labels scored above the positive, and those below it: a margin does not depend on scores."""
        p, tally = self.question.claim.margins, self.tally
        assert p is not None
        y, at = self.question.positives[row], np.flatnonzero(self.pilot.seen[row] > 0)
        if not at.size:
            return []
        # In one call, measured less claimed lies between minus the whole claim and the largest contribution.
        largest = SPARE * float(self.pilot.of_calls(self.pilot.weights[row].sum(axis=1)).max())
        largest += tally.together * float(p[row, at].sum())
        found = []
        for side, name in enumerate(BY_SCORE):
            claimed = float(tally.above[row, side]) / tally.n
            plan = Comparison(y, name, at, "gradient", largest, claimed)
            apart = self.measured(plan, tally.of_sides, (row, side), 0.0)
            mean = claimed + apart.measured
            width = apart.high - apart.measured + (self.rounding + tally.bias) * abs(mean)
            found.append(replace(apart, measured=mean, low=max(mean - width, 0.0), high=mean + width))
        return found

    def single_labels(self, row: int) -> list[Comparison]:
        """Compare single labels that the pilot drew often, and keep the few whose limits exclude the claim by most."""
        p, pilot, tally = self.question.claim.margins, self.pilot, self.tally
        at = np.flatnonzero(pilot.seen[row] >= SINGLE_FROM_SEEN)
        if p is None or not at.size:
            return []
        largest = SPARE * np.maximum(pilot.of_calls(pilot.weights[row]).max(axis=0), pilot.floor[row])
        mean, width = tally.of_labels.at(row).limits(pilot.mean[row], tally.together, largest, self.delta)
        off = np.abs(mean - p[row])[at] / np.maximum(width[at], 1e-300)
        found = []
        for i in np.argsort(-off)[:SINGLE_REPORTED]:
            if off[i] > 1:
                label = int(at[i])
                single = Comparison(
                    self.question.positives[row], f"label {self.question.prior.name(label)}", np.array([label]),
                    "gradient", float(largest[label]), float(p[row, label]),
                )  # fmt: skip
                found.append(self.measured(single, tally.of_labels, (row, label), float(pilot.mean[row, label])))
        return found


def _other_law(question: Question, pilot: Pilot, statistics: DrawStatistics) -> list[Note]:
    """A note where draws do not follow the law of the claimed sampler: two laws can have the same margins."""
    scheme, q = question.scheme, statistics.q
    if scheme is None or q is None or statistics.draws is None:
        return []
    if scheme.draws != "iid" and (statistics.multiplicity or 1) > 1:
        said = f"a label is drawn up to {statistics.multiplicity} times in an evaluation, and once at most as claimed"
        return [Note("drawn twice", said)]
    hard = max((labels.size for labels in question.claim.hard), default=0)
    _, most_claimed = design(scheme.draws).sizes(question.prior.n_labels, scheme.m)
    if statistics.draws[1] > most_claimed + hard:
        beside = f" and {hard} hard negatives" if hard else ""
        most = statistics.draws[1]
        said = f"an evaluation draws up to {most} labels, more than the {scheme.m}{beside} that are claimed"
        return [Note("another number of draws", said)]
    law = seen_law(scheme, question)
    if not law.sum() > 0:
        return []  # every draw is a masked hit
    apart = float(np.abs(q - law / law.sum()).sum()) / 2
    if apart <= NOTED_VARIATION + math.sqrt(q.size / max(pilot.n * statistics.draws[1], 1)):
        return []
    said = f"labels are drawn by another law than that of {scheme.sampler}: total variation {apart:.2g}"
    return [Note("another law", said)]
