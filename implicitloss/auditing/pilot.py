"""The pilot of the gradient route: a few evaluations kept whole, from which the rest is planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from implicitloss.auditing.cells import in_reach
from implicitloss.labels import Floats, Labels

# What an evaluation may add to a cell, over the most that it did in the pilot.
SPARE = 3.0
# A weight this small beside the label's largest is a leak of a mask, or rounding, and no draw.
LEAK = 1e-3
# A ratio of weights this near to a whole number is one: by itself, and in proportion (losses in single precision).
NEARLY, ROUNDED = 1e-2, 1e-5
# Where more of the weights than this are no multiples of one draw's, a draw's weight is not one number.
BROKEN = 0.01
CERTAIN = 1e-9


@dataclass(frozen=True, eq=False)
class Pilot:
    """Weights (rows, n, L) and hits (rows, n) of `n` evaluations of each positive, so many of them a call; and the
    labels from frequent to rare."""

    weights: Floats
    hits: Floats
    a_call: int
    by_frequency: Labels

    @property
    def n(self) -> int:
        """Evaluations of each positive."""
        return int(self.weights.shape[1])

    @cached_property
    def most(self) -> Floats:
        """The most that one evaluation gave each label, (rows, L)."""
        return np.asarray(self.weights.max(axis=1))

    @cached_property
    def drawn(self) -> NDArray[np.bool_]:
        """Which labels were drawn, (rows, n, L)."""
        return np.asarray(self.weights > LEAK * self.most[:, None])

    @cached_property
    def seen(self) -> Floats:
        """How many evaluations drew each label, (rows, L)."""
        return np.asarray(self.drawn.sum(axis=1), dtype=np.float64)

    @cached_property
    def one_draw(self) -> Floats:
        """The weight of one draw, (rows, L): the least, or the least step, for a frequent label never comes alone; inf
        for labels never drawn."""
        weights = np.where(self.drawn, self.weights, 0.0)
        steps = np.abs(np.diff(weights, axis=1))
        least = np.full(self.most.shape, np.inf)
        for found in (weights, np.where(steps > LEAK * self.most[:, None], steps, 0.0)):
            if found.shape[1]:
                np.minimum(least, np.where(found > 0, found, np.inf).min(axis=1), out=least)
        return least

    @cached_property
    def draws(self) -> Floats:
        """How often each label was drawn, (rows, n, L), where one draw's weight is one number."""
        return np.asarray(np.where(self.drawn, self.weights, 0.0) / self.one_draw[:, None])

    @cached_property
    def floor(self) -> Floats:
        """The heaviest single draw among labels at least as frequent, (rows, L): what a draw of a label may weigh if
        the pilot saw only leaks of it, for rarer labels weigh as much or more."""
        one = np.where(np.isfinite(self.one_draw), self.one_draw, 0.0)[:, self.by_frequency]
        found = np.empty_like(one)
        found[:, self.by_frequency] = np.maximum.accumulate(one, axis=1)
        return found

    @cached_property
    def weights_vary(self) -> bool:
        """Whether a draw's weight is not one number."""
        rows, _, labels = np.nonzero(self.drawn)
        ratio = self.weights[self.drawn] / self.one_draw[rows, labels]
        if not ratio.size:
            return False
        return bool(np.mean(np.abs(ratio - np.round(ratio)) > NEARLY + ROUNDED * ratio) > BROKEN)

    def counts(self, slices: Floats) -> Floats:
        """Draws of each slice (L, S), (rows, n, S); of labels, where one draw's weight is not known."""
        return np.asarray((self.drawn if self.weights_vary else self.draws) @ slices)

    def dispersion(self, slices: Floats) -> Floats:
        """Variance of a slice's count over that of as many independent draws, (rows, S): less than 1 for draws without
        replacement, more for draws that come together; 1 where there is nothing to compare."""
        counts = self.counts(slices)
        mean = counts.mean(axis=1)
        # Of the most draws of an evaluation: masked hits are draws that are not seen.
        share = np.minimum(mean / np.maximum(counts.sum(axis=2).max(axis=1), 1e-300)[:, None], 1.0)
        expected = mean * (1 - share)
        return np.where(expected * self.n > 10, counts.var(axis=1, ddof=1) / np.maximum(expected, 1e-300), 1.0)

    def examples_depend(self, slices: Floats) -> bool:
        """Whether examples of one call depend on each other: means of calls vary more than they would by chance."""
        calls = self.n // self.a_call
        if self.a_call == 1 or calls < 8:
            return False
        # How many labels, and how much they weigh; of weights the ranks, whose tails are short.
        weights = np.concatenate([self.weights @ slices, self.weights.sum(axis=2, keepdims=True)], axis=2)
        drawn = np.concatenate([self.drawn @ slices, stats.rankdata(weights, axis=1)], axis=2)
        drawn = drawn[:, : calls * self.a_call]
        means = drawn.reshape(drawn.shape[0], calls, self.a_call, -1).mean(axis=2)
        variance = drawn.var(axis=1, ddof=1)
        ratio = means.var(axis=1, ddof=1) * self.a_call / np.maximum(variance, 1e-300)
        limit = float(stats.chi2.isf(CERTAIN, calls - 1)) / (calls - 1)
        return bool(np.any((ratio > limit) & (variance > 0)))

    def partition(
        self, row: int, order: Labels, runs: int, resolution: float, delta: float, finest: int
    ) -> list[Labels]:
        """Neighbours in `order` put together until each part can be known to within `resolution` by `runs` evaluations,
        and no more parts than `finest`."""
        weights = self.weights[row]
        one = np.where(np.isfinite(self.one_draw[row]), self.one_draw[row], 0.0)
        share = np.divide(weights.mean(axis=0), one, out=np.zeros_like(one), where=one > 0)
        enough = float(share[order].sum()) / finest
        parts: list[list[int]] = []
        part: list[int] = []
        together, draws = np.zeros(self.n), 0.0
        for label in order.tolist():
            part.append(label)
            together = together + weights[:, label]
            draws += share[label]
            if draws < enough or not together.any():
                continue
            spare = SPARE * max(float(together.max()), float(self.floor[row, label]))
            if in_reach(float(together.mean()), float(together.var(ddof=1)), spare, runs, resolution, delta):
                parts.append(part)
                part, together, draws = [], np.zeros(self.n), 0.0
        if part and parts:
            parts[-1] += part
        elif part:
            parts.append(part)
        return [np.array(part) for part in parts]


@dataclass(frozen=True, eq=False)
class Pushes:
    """The expected gradient on each slice of negatives over that of softmax over all labels, (rows, S); its error."""

    ratio: Floats
    error: Floats

    @classmethod
    def of(cls, scores: Floats, positive: Labels, slopes: Floats, slices: Floats, rows: int) -> Pushes:
        """From scores over the temperature and gradients in them, (B, L), positives in blocks."""
        at = np.arange(len(scores))
        full, given = special.softmax(scores, axis=1), slopes.copy()
        full[at, positive] = given[at, positive] = 0.0
        g, f = ((x @ slices).reshape(rows, -1, slices.shape[1]) for x in (given, full))
        ratio = g.mean(axis=1) / np.maximum(f.mean(axis=1), 1e-300)
        residual = (g - ratio[:, None] * f).std(axis=1, ddof=1) / np.maximum(f.mean(axis=1), 1e-300)
        return cls(ratio, residual / np.sqrt(g.shape[1]))


def in_blocks(calls: Sequence[Floats], rows: int) -> Floats:
    """Answers of several calls, each (rows * b, ...), as (rows, n, ...)."""
    return np.concatenate([call.reshape(rows, -1, *call.shape[1:]) for call in calls], axis=1)
