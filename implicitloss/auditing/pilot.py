"""The pilot of the gradient route: a few evaluations that are kept whole; the rest is planned from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from implicitloss.auditing.box import Box, in_blocks
from implicitloss.auditing.calls import Examples, means_vary, ranks, sums_of_calls
from implicitloss.auditing.decode import decode
from implicitloss.auditing.question import FEWEST_PILOT_RUNS, PILOT_SHARE, Question
from implicitloss.labels import Floats, LabelPrior, Labels

__all__ = ["LEAK_SHARE", "PILOT_EXAMPLES_A_CALL", "Pilot"]

# The pilot makes this many evaluations in a call, and keeps this many numbers.
PILOT_EXAMPLES_A_CALL, KEPT_NUMBERS = 8, 1 << 26
# A weight below this share of the label's largest is a leak of a mask, or rounding, and not a draw.
LEAK_SHARE = 1e-3
# A ratio of weights is a whole number within this error; the relative part is for losses in single precision.
RATIO_ERROR, RATIO_RELATIVE_ERROR = 1e-2, 1e-5
# If more than this share of the weights are not multiples of one draw's weight, draws have no single weight.
BROKEN_SHARE = 0.01
# Draws bring at least this share of the labels that as many independent ones do.
FEWER_LABELS = 0.75
# Both weights of a ratio are rounded.  In half precision, the least weight of a label is that of at most so many draws.
ROUNDINGS_A_RATIO, MOST_DRAWS_AT_LEAST = 3.0, 8


@dataclass(frozen=True, eq=False)
class Pilot:
    """The weights (rows, n, L) and hits (rows, n) of `n` evaluations of each positive, `a_call` of them in a call.

    `ratio` is the expected gradient on each slice of the negatives over that of softmax over all labels, (rows, S), and
    `ratio_error` its standard error.  `rounding` is the relative error that rounding may make in a weight.
    """

    prior: LabelPrior
    weights: Floats
    hits: Floats
    a_call: int
    ratio: Floats
    ratio_error: Floats
    box: Box
    rounding: float = 0.0

    @classmethod
    def of(cls, question: Question, box: Box) -> Pilot:
        """Ask for the evaluations of a pilot, and decode them."""
        rows, n_labels = len(question.positives), question.prior.n_labels
        n = max(FEWEST_PILOT_RUNS, min(question.runs // PILOT_SHARE, KEPT_NUMBERS // (rows * n_labels)))
        a_call = min(PILOT_EXAMPLES_A_CALL, n)
        answers, scores, slopes = [], [], []
        for _ in range(math.ceil(n / a_call)):
            call = box.next_call(a_call)
            assert call.answer.gradients is not None
            answers.append(decode(question, call, box.cut_off))
            scores.append(call.scores / question.temperature)
            slopes.append(question.temperature * call.answer.gradients)
            box.say_progress(len(answers) * a_call, look=False)
        ratio = _gradient_ratio(question, in_blocks(scores, rows), in_blocks(slopes, rows))
        weights = in_blocks([answer.weights for answer in answers], rows)
        hits = in_blocks([answer.hits for answer in answers], rows)
        # A guard against log 0 moves weights; below a leak that is not seen.
        bias = max(answer.bias for answer in answers)
        moved = box.relative_rounding + (bias if bias > LEAK_SHARE / 2 else 0.0)
        return cls(question.prior, weights, hits, a_call, *ratio, box, moved)

    @property
    def n(self) -> int:
        """Evaluations of each positive."""
        return int(self.weights.shape[1])

    @cached_property
    def most(self) -> Floats:
        """The largest contribution of one evaluation to each label, (rows, L)."""
        return np.asarray(self.weights.max(axis=1))

    @cached_property
    def examples(self) -> Examples:
        """How many examples of each positive the calls after the pilot have, and how they count."""
        depend = self.shares_negatives or self.examples_depend
        return Examples.of(self.box, depend, self.a_call, len(self.weights), self.box.question.runs)

    def of_calls(self, terms: Floats) -> Floats:
        """The sums of terms (n, ...), one an evaluation, over as many as count together later on."""
        return sums_of_calls(terms, self.examples.together)

    @cached_property
    def mean(self) -> Floats:
        """The mean contribution of each label, (rows, L)."""
        return np.asarray(self.weights.mean(axis=1))

    @cached_property
    def drawn(self) -> NDArray[np.bool_]:
        """Which labels were drawn, (rows, n, L)."""
        return np.asarray(self.weights > LEAK_SHARE * self.most[:, None])

    @cached_property
    def seen(self) -> Floats:
        """The number of evaluations that drew each label, (rows, L)."""
        return np.asarray(self.drawn.sum(axis=1), dtype=np.float64)

    @cached_property
    def fixed(self) -> tuple[Labels, ...]:
        """The labels that had the same weight in all evaluations, by row; none where no other was drawn."""
        low, high = self.weights.min(axis=1), self.most
        return self._beside_draws((low > 0) & (high - low <= (RATIO_RELATIVE_ERROR + self.rounding) * high))

    @cached_property
    def always(self) -> tuple[Labels, ...]:
        """The labels that counted in all evaluations, by row, and in half of them with their least weight.

        Those of `fixed` are among them.  The others are drawn now and then too.
        """
        low = self.weights.min(axis=1)
        least = self.weights <= (1 + RATIO_RELATIVE_ERROR + self.rounding) * low[:, None]
        return self._beside_draws((low > 0) & (least.mean(axis=1) >= 0.5))

    def _beside_draws(self, known: NDArray[np.bool_]) -> tuple[Labels, ...]:
        """The labels of each row that are `known` before the draws; none where no other was drawn."""
        drawn = np.any((self.most > 0) & ~known, axis=1)
        return tuple(np.flatnonzero(row & moves) for row, moves in zip(known, drawn, strict=True))

    @cached_property
    def one_draw(self) -> Floats:
        """The weight of one draw, (rows, L); inf for labels that were never drawn.

        It is the smallest weight, or the smallest step between weights: a frequent label is hardly ever drawn once.
        """
        weights = np.where(self.drawn, self.weights, 0.0)
        steps = np.abs(np.diff(weights, axis=1))
        least = np.where(weights > 0, weights, np.inf).min(axis=1)
        if self.rounding:
            return self._rounded_draw(least)
        steps = np.where(steps > LEAK_SHARE * self.most[:, None], steps, np.inf)
        return np.asarray(np.minimum(least, steps.min(axis=1, initial=np.inf)))

    def _rounded_draw(self, least: Floats) -> Floats:
        """The weight of one draw where rounding hides steps: the least weight is that of as few draws as fit.

        They fit if all weights are multiples of one draw's, but for rounding.
        """
        found = least.copy()
        for draws in range(MOST_DRAWS_AT_LEAST, 0, -1):
            ratio = np.where(self.drawn, self.weights, 0.0) * (draws / least)[:, None]
            fits = (self._broken(ratio) & self.drawn).sum(axis=1) <= BROKEN_SHARE * self.seen
            found = np.where(fits, least / draws, found)
        return found

    def _broken(self, ratio: Floats) -> NDArray[np.bool_]:
        """Which ratios of a weight to that of one draw are no whole numbers, beyond the rounding of both."""
        return np.asarray(
            np.abs(ratio - np.round(ratio))
            > RATIO_ERROR + (RATIO_RELATIVE_ERROR + ROUNDINGS_A_RATIO * self.rounding) * ratio
        )

    @cached_property
    def draws(self) -> Floats:
        """The number of draws of each label, (rows, n, L), where draws have a single weight."""
        found = np.asarray(np.where(self.drawn, self.weights, 0.0) / self.one_draw[:, None])
        for row, labels in enumerate(self.always):  # once, and what is drawn beside that
            beside = self.weights[row][:, labels] - self.weights[row][:, labels].min(axis=0)
            beside[beside <= LEAK_SHARE * self.most[row, labels]] = 0.0
            found[row][:, labels] = 1.0 + beside / np.where(beside > 0, beside, np.inf).min(axis=0, initial=np.inf)
        return found

    @cached_property
    def floor(self) -> Floats:
        """The largest weight of one draw among labels at least as frequent, (rows, L).

        A draw of a label may weigh this much even if the pilot saw only leaks of it: rarer labels weigh no less.
        """
        order = self.prior.by_frequency
        one = np.where(np.isfinite(self.one_draw), self.one_draw, 0.0)[:, order]
        found = np.empty_like(one)
        found[:, order] = np.maximum.accumulate(one, axis=1)
        return found

    @cached_property
    def weights_vary(self) -> bool:
        """Whether draws of a label have no single weight."""
        ratio = self.draws[self.drawn]
        return bool(ratio.size and np.mean(self._broken(ratio)) > BROKEN_SHARE) or self._has_few_labels

    @property
    def _has_few_labels(self) -> bool:
        """Whether so many draws would bring more labels than came: weights that vary look like many draws of few."""
        draws = np.where(np.isfinite(self.draws), self.draws, 0.0)
        expected = -np.expm1(-draws.mean(axis=1)).sum(axis=1)  # of Poisson counts
        return bool(np.any(self.drawn.sum(axis=2).mean(axis=1) < FEWER_LABELS * expected))

    @cached_property
    def shares_negatives(self) -> bool:
        """Whether the examples of a call have the same negatives."""
        rows, n, n_labels = self.weights.shape
        pairs = self.weights[:, : n // 2 * 2].reshape(rows, -1, 2, n_labels) > 0
        return self.a_call > 1 and bool(np.array_equal(pairs[:, :, 0], pairs[:, :, 1]))

    @cached_property
    def dispersion(self) -> Floats:
        """The variance of a slice's count over that of as many independent draws, (rows, S).

        It is below 1 for draws without replacement, above 1 for draws that come together, and 1 where there is nothing
        to compare.  Where draws have no single weight, labels are counted instead of draws.
        """
        counts = (self.drawn if self.weights_vary else self.draws) @ _membership(self.prior)
        mean = counts.mean(axis=1)
        # The largest number of draws stands for all of them, because masked hits are draws that are not seen.
        share = np.minimum(mean / np.maximum(counts.sum(axis=2).max(axis=1), 1e-300)[:, None], 1.0)
        expected = mean * (1 - share)
        return np.where(expected * self.n > 10, counts.var(axis=1, ddof=1) / np.maximum(expected, 1e-300), 1.0)

    @cached_property
    def examples_depend(self) -> bool:
        """Whether the means of calls vary more than those of independent examples would by chance."""
        slices = _membership(self.prior)
        # The number of labels drawn, and their weight as ranks, whose tails are short.
        weights = np.concatenate([self.weights @ slices, self.weights.sum(axis=2, keepdims=True)], axis=2)
        return means_vary(np.concatenate([self.drawn @ slices, ranks(weights)], axis=2), self.a_call)


def _membership(prior: LabelPrior) -> Floats:
    """1 where a label belongs to the head, the torso or the tail, (L, S)."""
    parts = prior.slices().values()
    member = np.zeros((prior.n_labels, len(parts)))
    for i, part in enumerate(parts):
        member[part, i] = 1.0
    return member


def _gradient_ratio(question: Question, scores: Floats, slopes: Floats) -> tuple[Floats, Floats]:
    """The expected gradient on each slice of negatives over that of softmax, (rows, S), and its standard error.

    `scores` are over the temperature, and `slopes` are gradients in them, (rows, n, L).  Other positives are left out.
    """
    slices, rows = _membership(question.prior), np.arange(len(scores))
    if question.other_positives.size:
        scores = np.array(scores)
        for row, y in enumerate(question.positives):
            scores[row, :, question.others_of(y)] = -np.inf
    full = special.softmax(scores, axis=2)
    full[rows, :, question.positives] = slopes[rows, :, question.positives] = 0.0
    g, f = slopes @ slices, full @ slices
    ratio = g.mean(axis=1) / np.maximum(f.mean(axis=1), 1e-300)
    residual = (g - ratio[:, None] * f).std(axis=1, ddof=1) / np.maximum(f.mean(axis=1), 1e-300)
    return ratio, residual / np.sqrt(g.shape[1])
