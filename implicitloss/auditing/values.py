"""The value route: at scores that suppress all labels outside a part, the loss shows the weight of that part.

At f_j = f_y + c in a part and f_j = f_y - 80 elsewhere, expm1(ℓ) = h + e^c Σ_{j in part} a_j: its mean is the weight of
hits plus e^c times the part's margins.  c is set so that these are about 4, or more where hits are claimed, which are
to be a small share of it.  A logistic loss is linear in its negatives: ℓ - log(1 + e^{-g_y}) = Σ a_j log(1 + e^{g_j})
+ h log(1 + e^{g_y}).  The left sides are called signals.

The hits are measured by themselves, where all negatives are suppressed, and taken off the other signals: a claim on
negatives is judged by what negatives contribute, whatever the hits beside them are.

One file: the parts, their pilot and the looks at them share how a signal is made of a part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from implicitloss.auditing.blackbox import Answer
from implicitloss.auditing.box import Box
from implicitloss.auditing.calls import FEWEST_CALLS, Examples, means_vary, ranks, sums_of_calls
from implicitloss.auditing.comparison import (
    HIT_RESOLUTION,
    HITS,
    NO_COUNT,
    SLICES,
    SPARE,
    Comparison,
    in_reach,
    ranks_named,
)
from implicitloss.auditing.curve import SEEDS, Asked, allowed
from implicitloss.auditing.decode import ROUNDINGS
from implicitloss.auditing.exact import error_of
from implicitloss.auditing.examples import dependence
from implicitloss.auditing.finding import Note, Observed
from implicitloss.auditing.likely import likely_most
from implicitloss.auditing.pilot import LEAK_SHARE, PILOT_EXAMPLES_A_CALL
from implicitloss.auditing.plan import MOST_UNSEEN_DRAWS
from implicitloss.auditing.precision import coarse, rounding
from implicitloss.auditing.question import FEWEST_PILOT_RUNS, PILOT_SHARE, Question
from implicitloss.auditing.rows import SUPPRESSED, hits_between_rows
from implicitloss.auditing.single import single_labels
from implicitloss.auditing.tally import Sums
from implicitloss.labels import Floats, Labels

__all__ = ["by_values", "exactly"]

HALF = "half of the labels, at random"
# A pilot in which this many draws of a label were expected has had one, almost surely.
EXPECTED_DRAWS = 8.0
# The largest number of calls whose answers are added up together.
CALLS_ADDED = 16
# A part was surely drawn beside hits if the mean of its signals is above that of hits by this many standard errors.
DRAWN_ERRORS = 5.0
# The size of a claimed signal; of it, claimed hits are at most this share, and one hit is at most this share of the
# largest draw of a part.
SIGNAL, HITS_SHARE, ONE_HIT_SHARE, NOT_ONE = 4.0, 0.02, 0.25, 1.1
# Terms of a logistic loss are surely right up to the first, and reach twice as far if no more than this share is lost.
FIRST_REACH, UNREACHED = 8.0, 0.01


def by_values(question: Question, box: Box) -> Observed:
    """Measure each part of each positive's labels until the question is decided, or the evaluations are used up."""
    parts = _Parts.of(question)
    if question.form == "logistic":
        parts = replace(parts, reach=_reach(parts, box))
    if box.is_coarse:
        box.rounding = max(box.rounding, rounding(question, box, *parts.asked))
    first = max(FEWEST_PILOT_RUNS, question.runs // PILOT_SHARE)
    # A power of 2, as `Examples` has it.
    a_call = 1 << max(1, min(PILOT_EXAMPLES_A_CALL, first // FEWEST_CALLS)).bit_length() - 1
    everything = np.arange(len(parts.parts))
    calls = [_signals(parts, box, everything, a_call) for _ in range(math.ceil(first / a_call))]
    pilot = _Pilot(parts, np.concatenate(calls, axis=1).T, a_call, box)
    notes = dependence(pilot.shares_negatives, pilot.examples_depend) + coarse(box)
    if not pilot.signals.any():
        asks = "does the loss depend on scores other than the positive's?"
        notes.append(Note("no negatives", f"no negative contributed in {first} evaluations: {asks}"))
    found = _looks(question, box, pilot)
    observed = Observed(tuple(found), flaws=hits_between_rows(question, box, found), notes=tuple(notes))
    results = [c.result(question.tolerance) for c in found]
    holds = all(result == "holds" for c, result in zip(found, results, strict=True) if c.decisive)
    # A label that is never drawn keeps its group open for ever, where no weight is claimed.
    is_without_end = "refuted" not in results and any(c.decisive and math.isinf(c.high) for c in found)
    return observed + single_labels(question, box) if not observed.flaws and (holds or is_without_end) else observed


def exactly(question: Question, box: Box) -> Observed:
    """Measure each part once, for a loss that draws nothing: rounding is the only error."""
    parts = _Parts.of(question)
    answer = box.ask(*parts.asked, box.new_seed())
    signals, errors = _decoded(question, answer), error_of(answer)
    if question.form == "softmax":
        errors = errors * (1.0 + signals)  # the loss is exponentiated

    def alone(i: int, unit: float) -> Comparison:
        signal, error = float(signals[i]), float(errors[i])
        low, high = max(signal - error, 0.0) / unit, (signal + error) / unit
        planned = _planned(parts, i, decisive=True, largest=high)
        # What rounding may hide is no hit.
        measured = 0.0 if planned.claimed == 0.0 and low == 0.0 else signal / unit
        return replace(planned, measured=measured, low=low, high=high, spread=error / unit)

    found = []
    for i, part in enumerate(parts.parts):
        unit, hits = parts.unit(i), parts.hits_of[part.row]
        found.append(alone(i, unit) if part.is_hits else alone(i, unit).without(alone(hits, unit), known=False))
    box.say_progress(question.runs)
    said = "the loss draws nothing: each group was measured once, and rounding is the only error"
    return Observed(tuple(found), notes=(Note("draws nothing", said),), draws_nothing=True)


@dataclass(frozen=True)
class _Part:
    """Labels that are measured together, of the positive in a row; the empty part has the accidental hits alone."""

    row: int
    name: str
    labels: Labels
    ranks: tuple[int, int] | None = None

    @property
    def is_hits(self) -> bool:
        return self.labels.size == 0


@dataclass(frozen=True, eq=False)
class _Parts:
    """The parts of all positives, what is claimed of each, and the scores that single each out.

    Terms of a logistic loss are measured up to their `reach`: beyond, a guard against log 0 cuts them off.
    """

    question: Question
    parts: tuple[_Part, ...]
    reach: float = math.inf

    @classmethod
    def of(cls, question: Question) -> _Parts:
        """Doubling parts from frequent to rare, the slices, half of the labels at random, and the hits."""
        found: list[_Part] = []
        prior = question.prior
        ranked, never = prior.by_frequency, np.flatnonzero(prior.probabilities == 0)
        generator = question.generator(1)
        for row, y in enumerate(question.positives):
            order = ranked[(ranked != y) & (prior.probabilities[ranked] > 0)]
            found += _doubling(row, order)
            slices = [_Part(row, name, np.setdiff1d(labels, [y, *never])) for name, labels in prior.slices().items()]
            found += [part for part in (*slices, _Part(row, NO_COUNT, never[never != y])) if part.labels.size]
            half = generator.permutation(order)[: max(order.size // 2, 1)]
            found += [_Part(row, HALF, np.sort(half)), _Part(row, HITS, order[:0])]
        return cls(question, tuple(found))

    @cached_property
    def margins(self) -> Floats:
        """The claimed margins of each part, nan where nothing is claimed."""
        p = self.question.claim.margins
        return np.array([math.nan if p is None else float(p[part.row, part.labels].sum()) for part in self.parts])

    def unit(self, i: int) -> float:
        """What a weight of 1 adds to the signal of a part; the empty part has the hits alone."""
        return self.hit_gain if self.parts[i].is_hits else float(self.gain[i])

    @property
    def hit_gain(self) -> float:
        """The factor of the weight of hits in a signal, at f_y = 0."""
        return 1.0 if self.question.form == "softmax" else float(np.log(2.0))

    @cached_property
    def hits_of(self) -> list[int]:
        """The index of the part that has the hits alone, by row."""
        return [i for i, part in enumerate(self.parts) if part.is_hits]

    @cached_property
    def hits(self) -> Floats:
        """The contribution of the claimed hits to the signal of each part."""
        hits = self.question.claim.hits
        rows = [part.row for part in self.parts]
        return np.zeros(len(self.parts)) if hits is None else self.hit_gain * hits[rows]

    @cached_property
    def gain(self) -> Floats:
        """The factor of each part's weight in its signal."""
        gain = np.minimum(self.wanted, self.reach)
        # A score equal to the positive's could be taken for a hit.
        return np.where(gain == 1.0, NOT_ONE, gain)

    @cached_property
    def wanted(self) -> Floats:
        """The factors that make hits a small share of a signal."""
        claim = self.question.claim
        if claim.margins is None:
            return np.array([1.0 / max(part.labels.size, 1) for part in self.parts])
        # Hits vary, and a heavy one would hide a part.
        gain = np.array([
            max(SIGNAL, hits / HITS_SHARE) / (m or 1.0) for m, hits in zip(self.margins, self.hits, strict=True)
        ])  # fmt: skip
        if claim.weights is not None and claim.hit_weights is not None:
            for i, part in enumerate(self.parts):
                largest = float(claim.weights[part.row, part.labels].max(initial=0.0))
                one = self.hit_gain * float(claim.hit_weights[part.row])
                gain[i] = max(gain[i], one / ONE_HIT_SHARE / largest if largest > 0 else 0.0)
        return gain

    @cached_property
    def asked(self) -> tuple[Floats, Labels]:
        """The scores that single each part out, (parts, L), and the positives."""
        question = self.question
        f = np.full((len(self.parts), question.prior.n_labels), -SUPPRESSED)
        positive = np.array([question.positives[part.row] for part in self.parts], dtype=np.intp)
        for i, part in enumerate(self.parts):
            gain = self.gain[i]
            f[i, part.labels] = np.log(gain) if question.form == "softmax" else _softplus_is(gain)
        f[np.arange(positive.size), positive] = 0.0
        return question.temperature * (f - question.shift), positive


@dataclass(frozen=True, eq=False)
class _Pilot:
    """The signals of the first evaluations, (n, parts), `a_call` of them in a call."""

    parts: _Parts
    signals: Floats
    a_call: int
    box: Box

    @cached_property
    def shares_negatives(self) -> bool:
        """Whether the examples of a call have the same negatives."""
        calls = self.signals.reshape(-1, self.a_call, len(self.parts.parts))
        return self.a_call > 1 and bool(np.all(calls == calls[:, :1]))

    @cached_property
    def examples_depend(self) -> bool:
        """Whether the means of calls vary more than those of independent examples would by chance."""
        return means_vary(ranks(self.signals[None]), self.a_call)

    @cached_property
    def examples(self) -> Examples:
        """How many examples of each part the calls after the pilot have, and how they count."""
        depend = self.shares_negatives or self.examples_depend
        return Examples.of(self.box, depend, self.a_call, len(self.parts.parts), self.parts.question.most_runs)

    @cached_property
    def sums(self) -> Floats:
        """The sums of signals over as many evaluations as count together later on, (n/together, parts)."""
        return sums_of_calls(self.signals, self.examples.together)

    @cached_property
    def mean(self) -> Floats:
        """The mean signal of each part."""
        return np.asarray(self.signals.mean(axis=0))

    @cached_property
    def variance(self) -> Floats:
        """The variance of the signal of each part."""
        return np.asarray(self.signals.var(axis=0, ddof=1))

    @cached_property
    def largest_contribution(self) -> Floats:
        """The assumed largest contribution of one call to the signals of each part."""
        parts, most = self.parts, self.sums.max(axis=0)
        largest = SPARE * most
        unseen = _by_claim(parts.question) if parts.question.claim.weights is not None else self._by_draws()
        for i, part in enumerate(parts.parts):
            own = parts.gain[i] * unseen[part.row, part.labels].max(initial=0.0)
            if parts.hits[i] > 0 or (part.is_hits and not most[i] > 0):
                own += parts.hit_gain * unseen[part.row, parts.question.positives[part.row]]
            largest[i] = max(largest[i], own, self._likely(i)) or math.inf
        return np.asarray(largest)

    def _likely(self, i: int) -> float:
        """What claimed draws are likely to add to a part in one call; 0 where none are claimed."""
        parts, question, claim = self.parts, self.parts.question, self.parts.question.claim
        row, labels = parts.parts[i].row, parts.parts[i].labels
        if claim.margins is None or claim.weights is None or claim.hits is None or claim.hit_weights is None:
            return 0.0
        p = np.append(parts.gain[i] * claim.margins[row, labels], parts.hit_gain * claim.hits[row])
        w = np.append(parts.gain[i] * claim.weights[row, labels], parts.hit_gain * claim.hit_weights[row])
        return likely_most(question, p, w, float(self.mean[i]), self.examples.together, question.most_runs)

    def _drawn(self, i: int, hits: int) -> tuple[bool, float]:
        """Whether labels of a part were surely drawn, and in which share of the evaluations at least.

        A signal may be of hits alone: a draw shows above all hits, and draws show in the mean.
        """
        signal, of_hits = self.signals[:, i], float(self.signals[:, hits].max())
        share = float(np.mean(signal > max(LEAK_SHARE * float(signal.max()), SPARE * of_hits)))
        if not of_hits > 0:
            return share > 0, share
        error = math.sqrt(float(self.variance[i] + self.variance[hits]) / len(signal))
        return share > 0 or float(self.mean[i] - self.mean[hits]) > DRAWN_ERRORS * error, share

    def _by_draws(self) -> Floats:
        """The assumed largest weight of each label that the pilot may have missed, (rows, L), else 0.

        It is that of a draw of labels as frequent, or else of more frequent ones, in proportion to how much rarer the
        label is; inf where no draw was seen.
        """
        question, prior = self.parts.question, self.parts.question.prior.probabilities
        found = np.zeros((len(question.positives), prior.size))
        for row, y in enumerate(question.positives):
            at = [i for i, part in enumerate(self.parts.parts) if part.row == row]
            of_hits = self.parts.hits_of[row]
            may_be_hit = bool(self.signals[:, of_hits].any() or self.parts.hits[of_hits] > 0)
            drawn: list[tuple[float, float]] = []
            for i in at[: at.index(of_hits)]:
                part, signal = self.parts.parts[i], self.signals[:, i]
                if part.ranks is None:
                    continue
                top = float(signal.max())
                is_drawn, share = self._drawn(i, of_hits)
                if is_drawn:
                    # The smallest signal is one draw.  It may be a hit: then the largest is taken, of all parts so far.
                    one = top if may_be_hit else float(signal[signal > LEAK_SHARE * top].min())
                    one /= float(self.parts.gain[i])
                    drawn = [*(drawn if may_be_hit else []), (one, float(prior[part.labels].max()))]
                draws = -math.log1p(-min(share, 1 - 0.5 / len(signal))) * len(signal)
                in_part = prior[part.labels]
                law = np.minimum(in_part / max(float(in_part.sum()), 1e-300), 1.0 / part.labels.size)
                missed = part.labels[draws * law < EXPECTED_DRAWS]
                found[row, missed] = question.largest_contribution * _weight_of_rarer(drawn, prior[missed])
            found[row, y] = question.largest_contribution * float(_weight_of_rarer(drawn, prior[[y]])[0])
        return found


def _weight_of_rarer(drawn: Sequence[tuple[float, float]], prior: Floats) -> Floats:
    """The weight of a draw of labels of these frequencies, by the weights and frequencies of those that were drawn.

    It grows in proportion to how much rarer a label is.  Nothing is known of labels that never occur, or of any if none
    was drawn.
    """
    found = np.full(prior.size, 0.0 if drawn else math.inf)
    found[prior <= 0] = math.inf
    for draw, level in drawn:
        found = np.maximum(found, draw * np.maximum(1.0, level / np.maximum(prior, 1e-300)))
    return found


def _by_claim(question: Question) -> Floats:
    """The assumed largest weight of each label by the claimed weight of a draw, (rows, L)."""
    weights, hit_weights = question.claim.weights, question.claim.hit_weights
    assert weights is not None
    assert hit_weights is not None
    found = MOST_UNSEEN_DRAWS * weights
    for row, y in enumerate(question.positives):
        # Where no hits are claimed, a hit would weigh as much as a label about as frequent.
        hit = float(hit_weights[row]) or float(weights[row, question.neighbours(y)].max())
        found[row, y] = MOST_UNSEEN_DRAWS * hit
    return np.asarray(found)


def _signals(parts: _Parts, box: Box, left: Labels, replicas: int) -> Floats:
    """h + gain Σ_part a, (parts left, replicas), of one call; a logistic loss has h log 2 in place of h."""
    scores, positive = parts.asked
    # At least two examples are asked together: some losses drop the axis of a single one.
    at = np.resize(np.repeat(left, replicas), max(left.size * replicas, 2))
    signals = _decoded(parts.question, box.ask(scores[at], positive[at], box.new_seed()))
    return signals[: left.size * replicas].reshape(left.size, replicas)


def _decoded(question: Question, answer: Answer) -> Floats:
    """The signals of an answer; what rounding may hide is 0."""
    signal = np.expm1(answer.values) if question.form == "softmax" else answer.values - np.log(2.0)
    return np.where(signal > ROUNDINGS * answer.eps, signal, 0.0)


def _looks(question: Question, box: Box, pilot: _Pilot) -> list[Comparison]:
    """All comparisons at the look that decides, or at the last.

    A part that holds is not asked again, except where nothing is claimed: there a single draw refutes, at any time.
    """
    n_parts, first = len(pilot.parts.parts), len(pilot.signals)
    looks = max(1, math.ceil(math.log2(max(question.most_runs / first, 2))))
    delta = question.error_of_limits / (looks * n_parts)
    a_call, together = pilot.examples.a_call, pilot.examples.together
    left, n = np.arange(n_parts), 0
    moments = Sums.zeros(n_parts)
    found: dict[int, Comparison] = {}
    for look in range(looks):
        until = max(first, math.ceil(question.most_runs / 2 ** (looks - 1 - look)))
        while n < until:
            # Calls of equal size are added up together.
            fit = max(1, min((until - n) // a_call, CALLS_ADDED))
            signals = np.hstack([_signals(pilot.parts, box, left, min(a_call, until - n)) for _ in range(fit)])
            moments.add(signals, together)
            n += signals.shape[1]
            box.say_progress(n, look=False)
        box.say_progress(n)
        squares = moments.squares_about(pilot.mean[left])
        sums = {i: (moments.total[k], squares[k], moments.most[k]) for k, i in enumerate(left.tolist())}
        found |= {i: _comparison(pilot, i, sums, n, delta, box.relative_rounding) for i in left.tolist()}
        if question.is_decided(list(found.values())):
            break
        on = {i for i in left.tolist() if not found[i].claimed or found[i].is_open(question.tolerance)}
        # Whatever is asked of a positive, its hits are taken off.
        on |= {pilot.parts.hits_of[pilot.parts.parts[i].row] for i in on}
        still = np.isin(left, list(on))
        left, moments = left[still], moments.at(np.flatnonzero(still))
    return list(found.values())


def _comparison(
    pilot: _Pilot, i: int, sums: Mapping[int, tuple[float, float, float]], n: int, delta: float, rounding: float
) -> Comparison:
    """A part less the hits, from the total, the squares and the maximum of the sums of calls of the parts asked."""
    parts, question = pilot.parts, pilot.parts.question
    part, unit, hits = parts.parts[i], parts.unit(i), parts.hits_of[parts.parts[i].row]

    def alone(k: int, decisive: bool, largest: float) -> Comparison:
        total, squares, most = map(float, sums[k])
        planned = _planned(parts, k, decisive=decisive, largest=largest / unit)
        planned = replace(planned, rounding=rounding, calls=n / pilot.examples.together)
        expected = pilot.examples.together * float(pilot.mean[k]) / unit
        return planned.with_sums(total / unit, squares / unit**2, most / unit, n, delta, expected=expected)

    largest = float(pilot.largest_contribution[i])
    if part.is_hits:
        return alone(i, False, largest)
    # Other parts than slices and halves are decisive only if the pilot says that they can be decided.
    apart, n_pilot = pilot.sums[:, i] - pilot.sums[:, hits], len(pilot.signals)
    can = bool(apart.sum() > 0) and in_reach(apart, n_pilot, largest, question.runs // 2, question.resolution, delta)
    whole = alone(i, can or part.name in (*SLICES, HALF), largest)
    # A hit contributes to the signal of the part too, and so no more than the largest contribution there.
    of_hits = alone(hits, False, min(largest, float(pilot.largest_contribution[hits])))
    return whole.without(of_hits, known=not (parts.hits[i] > 0 or of_hits.measured > 0))


def _planned(parts: _Parts, i: int, decisive: bool, largest: float = 0.0) -> Comparison:
    """A part with its claim, Σ_part p; of the empty part p_yy.

    Of the hits only those of the most frequent positive are decisive.
    """
    question, part = parts.question, parts.parts[i]
    y, p, hits = question.positives[part.row], question.claim.margins, question.claim.hits
    claimed = None if p is None or hits is None else float(hits[part.row] if part.is_hits else parts.margins[i])
    if part.is_hits:
        decisive = y == question.most_frequent and claimed is not None
    return Comparison(
        y, part.name, np.array([y]) if part.is_hits else part.labels, "value", largest, claimed, decisive,
        HIT_RESOLUTION if part.is_hits else question.resolution, negligible=question.negligible(part.row),
        ranks=part.ranks, whole=question.whole(part.row) if part.is_hits or claimed == 0.0 else 0.0,
    )  # fmt: skip


def _reach(parts: _Parts, box: Box) -> float:
    """The largest of the wanted factors, doubling, that a term of a logistic loss still reaches.

    On the same draws, the loss is linear in what its negatives pay; -log(1 - σ(g) + ε) does not rise above -log ε.
    """
    most, reach = float(parts.wanted.max()), FIRST_REACH
    for _ in range(SEEDS):
        ask = Asked.of(parts.question, box, box.new_probe())
        ask = replace(ask, scores=np.zeros(ask.scores.shape))
        first, second = (ask.values(ask.moved(_softplus_is(paid))) for paid in (reach / 2, reach))
        slope = (second - first) / (reach / 2)
        if np.any(slope > 0):
            break
    else:
        return math.inf  # no draw was seen
    while reach < most:
        off = ask.values(ask.moved(_softplus_is(2 * reach))) - second - slope * reach
        if not np.all(np.abs(off) <= allowed(box.rounding, reach) + UNREACHED * slope * reach):
            return reach
        second, reach = second + slope * reach, 2 * reach
    return math.inf


def _softplus_is(value: float) -> float:
    """g with log(1 + e^g) = value."""
    return float(value + np.log(-np.expm1(-value)))


def _doubling(row: int, order: Labels) -> list[_Part]:
    """The labels from frequent to rare in parts of 1, 1, 2, 4, 8, ..."""
    parts, first, size = [], 0, 1
    while first < order.size:
        last = min(first + size, order.size)
        if order.size - last < size // 2:
            last = order.size
        ends = first + 1, last
        parts.append(_Part(row, f"{ranks_named(*ends)} of the others", order[first:last], ends))
        size = max(size, last)
        first = last
    return parts
