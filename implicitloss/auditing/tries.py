"""Weights that change with the number of tries: those of labels that are drawn until m are different, as counted.

After T tries a label is expected 1 - (1 - q)^T times among different ones, and TensorFlow's samplers divide by that at
the T of each call.  In one evaluation, T is then the only unknown of all weights

    a_j = 1/Q_j(T)  or, with the count taken off both sides,  a_j = Q_y(T)/Q_j(T),  Q_j(T) = 1 - (1 - q_j)^T,

and so three labels are evidence: T is solved for by bisection, and has to fit them all.

*Source:* derived; the count is that of `compute_sampled_logits` with unique draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implicitloss.auditing.finding import Note
from implicitloss.auditing.pilot import Pilot
from implicitloss.auditing.question import Question
from implicitloss.auditing.slips import OF_TRIES
from implicitloss.labels import Floats
from implicitloss.samplers import LogUniform, Power, Sampler, Uniform, WithinBatch
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.weightings import Importance

__all__ = ["of_tries"]

# So many evaluations of each positive are looked at; one with fewer labels says nothing.
EVALUATIONS, FEWEST_LABELS = 32, 3
# Weights fit within this, beside their rounding; they are told from weights in proportion to 1/q from so many times it.
FITS, APART = 1e-4, 10.0
MOST_LOG_TRIES, BISECTIONS = 40.0, 60


@dataclass(frozen=True, eq=False)
class _Evaluations:
    """Some evaluations of a positive: log a and log(1 - q) of the labels that were drawn, (E, k), NaN beyond those."""

    log_a: Floats
    log_miss: Floats
    own: float

    @property
    def first(self) -> _Evaluations:
        """The first of them."""
        return _Evaluations(self.log_a[:1], self.log_miss[:1], self.own)

    def log_count(self, tries: Floats, log_miss: Floats | float) -> Floats:
        """log Q(T), at T (E,)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(-np.expm1(tries[:, None] * log_miss)))

    def off(self, tries: Floats, both_sides: bool) -> Floats:
        """The log of each weight over that at T, (E, k)."""
        own = self.log_count(tries, self.own) if both_sides else 0.0
        return self.log_a + self.log_count(tries, self.log_miss) - own

    def tries(self, both_sides: bool) -> Floats:
        """The T of each evaluation, at which its weights are off by 0 in the mean, (E,)."""
        # Every term rises with T, but those of labels that are more frequent than the positive if that is divided by.
        sign = np.sign(self.log_miss - self.own) if both_sides else np.ones_like(self.log_miss)
        low, high = np.zeros(len(self.log_a)), np.full(len(self.log_a), MOST_LOG_TRIES)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            above = np.nansum(sign * self.off(np.exp(middle), both_sides), axis=1) > 0
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return np.asarray(np.exp((low + high) / 2))

    def fitted(self, both_sides: bool, within: float) -> Floats | None:
        """The T of each evaluation that shows it, if all weights are those of so many tries; None if one is not."""
        tries = self.tries(both_sides)
        if not np.nanmax(np.abs(self.off(tries, both_sides))) <= within:
            return None
        # Weights of rare labels are nearly in proportion to 1/q, whatever they are divided by, and show no T.
        in_proportion = self.log_a + np.log(-self.log_miss)
        shows = np.nanmax(in_proportion, axis=1) - np.nanmin(in_proportion, axis=1) > APART * within
        drawn = np.sum(np.isfinite(self.log_a), axis=1)
        return tries[shows] if np.all(np.round(tries[shows]) >= drawn[shows]) else None


def of_tries(question: Question, pilot: Pilot) -> tuple[Sampler | None, list[Note]]:
    """The law and a note where the weights of each evaluation are those of its own number of tries."""
    scheme, labels = question.scheme, pilot.drawn.sum(axis=2)
    # Sets and coins bring more labels or fewer, and may be of any number of draws; a masked hit is one label less.
    if question.form != "softmax" or np.ptp(labels) > 1:
        return None, []
    laws: list[Sampler] = [LogUniform(), WithinBatch(), Power(0.75), Uniform()]
    if scheme is not None and not scheme.sampler.needs_scores:
        laws = [scheme.sampler, *(law for law in laws if law != scheme.sampler)]
    for law in laws:
        for both_sides in (False, True):
            tries = _tries_by(law, question, pilot, both_sides)
            if tries is not None:
                is_claimed = scheme is not None and scheme.weighting == Importance(count="tf")
                page = None if is_claimed else OF_TRIES
                return law, [Note("observed tries", _said(tries, law, both_sides), page)]
    return None, []


def _tries_by(law: Sampler, question: Question, pilot: Pilot, both_sides: bool) -> Floats | None:
    """The T of evaluations beside all positives, if labels are drawn by a law; None if they are not."""
    found, within, rarest = [], FITS + pilot.rounding, -np.inf
    for row, y in enumerate(question.positives):
        try:
            log_q = law.log_law(question.problem(y))
        except ValueError:
            return None
        evaluations = _evaluations(pilot, row, np.log1p(-np.minimum(np.exp(log_q), 1 - 1e-15)), y)
        # Nearly all laws are out after one evaluation.
        if evaluations is None or evaluations.first.fitted(both_sides, within) is None:
            return None
        tries = evaluations.fitted(both_sides, within)
        if tries is None:
            return None
        found.append(tries)
        rarest = max(rarest, float(np.nanmax(evaluations.log_miss)))
    tries = np.concatenate(found)
    if not tries.size:
        return None
    # The rarest label weighs another thing in another call: weights of 1 are those of any T that is large enough.
    counts = np.log(-np.expm1(np.array([tries.min(), tries.max()]) * rarest))
    return tries if np.ptp(counts) > APART * within else None


def _evaluations(pilot: Pilot, row: int, log_miss: Floats, positive: int) -> _Evaluations | None:
    """The evaluations of a positive that drew enough labels; None where none did, or one that the law never draws."""
    drawn = pilot.drawn[row]
    at = np.flatnonzero(drawn.sum(axis=1) >= FEWEST_LABELS)[:EVALUATIONS]
    if not at.size:
        return None
    drawn = drawn[at]
    labels = np.argsort(~drawn, axis=1, kind="stable")[:, : int(drawn.sum(axis=1).max())]
    is_drawn = np.take_along_axis(drawn, labels, axis=1)
    log_a = np.log(np.where(is_drawn, np.take_along_axis(pilot.weights[row][at], labels, axis=1), np.nan))
    miss = np.where(is_drawn, log_miss[labels], np.nan)
    return None if np.any(miss == 0) else _Evaluations(log_a, miss, float(log_miss[positive]))


def _said(tries: Floats, law: Sampler, both_sides: bool) -> str:
    """What was seen, for a note."""
    sides = " on both sides" if both_sides else ""
    return (
        f"log(1 - (1 - q)^T), q of {complete_sampler(law).name}, is taken off{sides} at the number of tries T of each "
        f"call, {tries.min():.0f} to {tries.max():.0f} here; T depends on which labels come, and how likely a label is "
        "drawn is another number"
    )
