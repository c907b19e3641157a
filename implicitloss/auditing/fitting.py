"""How a scheme is fitted to the measured parts of an audit: its m, a parameter of its sampler, and what agrees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from implicitloss.auditing.comparison import Comparison
from implicitloss.auditing.fit import M_OF_ALL_LABELS, Fit, Fitted
from implicitloss.auditing.parts import Parts, error_of_hits
from implicitloss.auditing.question import Question
from implicitloss.auditing.slips import Added, KeptDuplicates, Survivors
from implicitloss.draws import DrawsName
from implicitloss.hard import HardNegatives
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.numerics.bounds import log_one_repeat
from implicitloss.problem import Problem
from implicitloss.samplers import Mixture, Power, Sampler
from implicitloss.scheme import MOST_NEGATIVES, Scheme
from implicitloss.weightings import Constant, Draws, Relative, Unit

__all__ = ["LOG_NEVER", "Fitting"]

# A fitted number is looked for to within this, and then by one step of Gauss and Newton.
CLOSE = 1e-3
# A refuted claim may have named too small a weight of a draw, and its limits may then be too narrow.
LIMIT_FACTOR = 1.05
# A scheme does not agree if its margins are further than this many standard errors from those measured, in the mean
# over parts: after few evaluations limits are wide.
MOST_ERRORS = 8.0
# The misfit of weights with a fitted number is that of chance, or they are others: by chance it has the mean `terms`.
BEYOND_CHANCE = 16.0
# A scheme whose hits would not have been seen with a probability below e^-20 does not agree.
LOG_NEVER = -20.0
# The largest m that is looked for where margins are no power of m.
MOST_FREE_M = 10_000
# Below so many draws the best number is looked for among its neighbours too, so many steps away.
STEPS_MATTER_BELOW, STEPS_OF_M = 64, 6


@dataclass(frozen=True, eq=False)
class Fitting:
    """How well schemes fit what was measured: `parts`, and the number `m` of draws, None where it was not seen.

    Where `hard` negatives were seen, schemes have them.  `designs` are those, beside independent draws, that may have
    brought the `n_different` labels of a run, of which none came twice in `n_independent` runs if `never_twice`.
    """

    question: Question
    parts: Parts
    m: int | None
    hard: HardNegatives | None = None
    designs: tuple[DrawsName, ...] = ()
    n_different: float = 0.0
    n_independent: int = 0
    never_twice: bool = True
    # The draws of the last laws, a positive each: many schemes in turn draw from one law.
    _draws: dict[tuple[Any, ...], list[Draws]] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        """The number of draws that was seen, or else claimed."""
        scheme, hard = self.question.scheme, 0 if self.hard is None else self.hard.most
        return max(min((self.m or hard) - hard, MOST_NEGATIVES // 2) or (scheme.m if scheme is not None else 1), 1)

    @property
    def hits(self) -> tuple[Any, ...]:
        """The modes that the measured hits leave."""
        return ("keep",) if any(c.measured > 0 for c in self.parts.hits) else ("mask", "exclude")

    def fit(self, scheme: Scheme, fitted: Fitted | None = None) -> Fit | None:
        """How well a scheme fits; with the best m, if m is not known.

        None for a scheme that is undefined here, and for one that would have brought labels twice.
        """
        parts, sums = self.parts, self.parts.sums
        claimed = self.question.scheme and replace(self.question.scheme, hits=scheme.hits)  # m is as claimed
        free = self.m is None and scheme != claimed and scheme.m != M_OF_ALL_LABELS
        free &= not isinstance(scheme.weighting, Survivors)  # m hardly matters
        try:
            scheme, p, known = self._with_margins(scheme, free)
        except ValueError:  # a label that cannot be drawn, or a positive of prior 0
            return None
        expected = sums.expected(p)
        if not np.all(expected > 0):
            return None
        logs, used = sums.log_measured - np.log(expected), sums.is_used
        apart = sums.is_apart if parts.apart else used
        inside = (sums.low <= expected * LIMIT_FACTOR) & (expected <= sums.high * LIMIT_FACTOR)
        agrees = bool(np.all(inside | sums.is_by_score))
        misfit, terms = float(np.sum((logs / sums.error)[apart] ** 2)), int(np.sum(apart))
        # The distance from the nearer limit, or from so many errors where limits are wide.
        low, high = np.log(np.maximum(sums.low, 1e-300)), np.log(sums.high)
        off = np.maximum(low - np.log(expected), np.log(expected) - high)
        off = np.maximum(off, np.abs(logs) - MOST_ERRORS * sums.error)
        worst = max(1.0, float(np.exp(np.max(off[~sums.is_by_score]))))
        rows = dict(zip(parts.positives, p, strict=True))
        for c in parts.empty:
            of_part = float(rows[c.positive][c.labels].sum())
            agrees &= of_part <= c.high
            worst = max(worst, of_part / max(c.high, 1e-300))
        for c in parts.hits:
            of_hits = float(rows[c.positive][c.positive])
            agrees &= (c.low <= of_hits <= c.high) if of_hits > 0 else not c.measured > 0
            agrees &= c.measured > 0 or not of_hits > 0 or self._log_no_hit(scheme, c) > LOG_NEVER
            if of_hits > 0 and c in parts.known_hits:
                errors = abs(float(np.log(c.measured / of_hits))) / error_of_hits(c)
                agrees &= errors <= MOST_ERRORS
                misfit += errors**2
                terms += 1
        agrees &= misfit <= (terms + BEYOND_CHANCE if isinstance(scheme.weighting, Added) else MOST_ERRORS**2 * terms)
        agrees &= scheme.draws == "iid" or self.never_twice
        fit = Fit(scheme, math.sqrt(np.mean(logs[used] ** 2)), agrees, known, fitted, float(misfit), worst)
        return None if fit.is_near and self.designs and self._log_no_repeat(scheme) <= LOG_NEVER else fit

    def _log_no_repeat(self, scheme: Scheme) -> float:
        """The logarithm of the probability that in all runs at most one draw is a repeat (taken for a hit), at most."""
        if scheme.draws != "iid":
            return 0.0
        logs = []
        for problem, draws in zip(self._problems, self._draws[_law_of(scheme)], strict=True):
            plan = scheme.plan(problem, draws)
            q = np.where(np.isneginf(plan.log_w), 0.0, np.exp(plan.log_q))  # what counts nothing is not seen
            q[problem.positive] = 0.0  # a repeat of a hit is a larger hit
            logs.append(log_one_repeat(q, scheme.m))
        return self.n_independent * min(logs)

    def _log_no_hit(self, scheme: Scheme, hits: Comparison) -> float:
        """The logarithm of the probability that a scheme draws no hit in as many calls, at most."""
        row = self.parts.positives.index(hits.positive)
        at = int(np.flatnonzero(self._labels == hits.positive)[0])
        draws, m = self._draws[_law_of(scheme)][row], scheme.m
        if scheme.draws != "iid":
            return hits.calls * math.log1p(
                -min(float(np.exp(scheme.plan(self._problems[row], draws).log_counts(m)[at])), 1 - 1e-9)
            )
        q = float(np.exp(draws.log_q_unconditional[at]))
        # The first draw of the positive counts, or the second one.
        none = m * math.log1p(-min(q, 1 - 1e-9))
        none += math.log1p(m * q / (1 - q)) if isinstance(scheme.weighting, KeptDuplicates) and q < 1 else 0.0
        return hits.calls * none

    def fitted(self) -> Iterator[Fit]:
        """Powers of the prior, and mixtures of within-batch and uniform draws, with the exponent or share that fits."""
        families: tuple[tuple[str, Callable[[float], Sampler], float, float], ...] = (
            ("α", Power, 0.0, 4.0),
            ("λ", Mixture, 1e-3, 1 - 1e-3),
        )
        if len(self.parts.apart) < 3 or self.hard is not None:
            return
        for parameter, sampler, low, high in families:
            for weighting in (Unit(), Constant(), Relative()):
                for mode in self.hits:
                    scheme = Scheme(sampler(low), weighting, m=self.draws, hits=mode)
                    found = self.best(lambda value: replace(scheme, sampler=sampler(value)), low, high)  # noqa: B023
                    fit = found and self.fit(found[0], Fitted(parameter, *found[1:]))
                    if fit is not None:
                        yield fit

    def best(self, member: Callable[[float], Scheme], low: float, high: float) -> tuple[Scheme, float, float] | None:
        """The member of a family that fits best, by least squares on the logarithms of the measured parts.

        With the number that it is a member by, between `low` and `high`, and its standard error.  None at either end.
        """
        sums = self.parts.sums
        apart, errors, measured = sums.is_apart, sums.error[sums.is_apart], sums.log_measured[sums.is_apart]

        def logs(value: float) -> Floats:
            p = self.margins(member(value))
            return np.log(np.maximum(sums.expected(p)[apart], 1e-300))

        # m is a factor of the margins of most weights, and is not known by values.
        scale = self.m is None and self._power_of_m(member(low), self.margins(member(low))[0]) != 0

        def residual(value: float) -> Floats:
            off = (measured - logs(value)) / errors
            if scale:
                off = off - (np.sum(off / errors) / np.sum(errors**-2)) / errors
            return off

        def squares(value: float) -> float:
            return float(np.sum(residual(value) ** 2))

        # The least square is close, and a step by Gauss and Newton goes there.
        value = float(minimize_scalar(squares, bounds=(low, high), method="bounded", options={"xatol": CLOSE}).x)
        if not low + 1e-4 < value < high - 1e-4:
            return None
        step = 1e-4 * min(1.0, value - low, high - value)
        slope = (residual(value + step) - residual(value - step)) / (2 * step)
        information = float(np.sum(slope**2))
        if not information > 0:
            return None
        value -= float(np.clip(np.sum(slope * residual(value)) / information, -CLOSE, CLOSE))
        if not low + 1e-4 < value < high - 1e-4:
            return None
        # Errors that were seen too small show in the residuals.
        spare = max(errors.size - 1 - scale, 1)
        error = float(np.sqrt(max(1.0, squares(value) / spare) / information))
        return member(value), value, error

    def _with_margins(self, scheme: Scheme, free: bool) -> tuple[Scheme, Floats, bool]:
        """The scheme, its margins m w q (rows, L), and whether m is known; a `free` m is set to the best."""
        p, sums = self.margins(scheme), self.parts.sums
        if not free:
            return scheme, p, True
        power = self._power_of_m(scheme, p[0])
        if power is not None:
            if power == 0:
                return scheme, p, False
            ratios = sums.log_measured - np.log(np.maximum(sums.expected(p), 1e-300))
            ratio = float(np.median(ratios[sums.is_used]))
            m = float(np.exp(min(np.log(scheme.m) + ratio / power, np.log(M_OF_ALL_LABELS / 2))))
            again = replace(scheme, m=max(1, round(m)))
            return again, p * (again.m / scheme.m) ** power, True
        again = replace(scheme, m=max(1, round(self._best_m(scheme))))
        return again, self.margins(again), True

    def _power_of_m(self, scheme: Scheme, p: Floats) -> int | None:
        """The power of m that the margins (L,) of the first positive are: 1 where a factor was lost, 2 where it was
        applied twice, 0 where it does not matter; None where they are none.
        """
        drawn = p > 0
        steps = np.log2(self.margins(replace(scheme, m=2 * scheme.m), rows=1)[0, drawn] / p[drawn])
        power = round(float(np.median(steps)))
        return power if np.all(np.abs(steps - power) < 1e-6) else None

    def _best_m(self, scheme: Scheme) -> int:
        """The number of draws at the least distance, where margins are no power of m."""

        def distance(m: float) -> float:
            return self._distance(replace(scheme, m=max(1, round(m))))

        found = minimize_scalar(
            lambda log_m: distance(np.exp(log_m)), bounds=(0.0, np.log(MOST_FREE_M)), method="bounded"
        )
        best = max(1, round(np.exp(found.x)))
        # Few draws make steps, on which the search may have stopped; of many, one more hardly matters.
        for _ in range(STEPS_OF_M if best < STEPS_MATTER_BELOW else 0):
            nearer = min((best, best - 1, best + 1), key=distance)
            if nearer == best:
                break
            best = nearer
        return best

    def _distance(self, scheme: Scheme) -> float:
        """Σ (log ratio)² of a scheme over the squared errors, of the parts, and of the hits that are known."""
        sums, p = self.parts.sums, self.margins(scheme)
        off = (sums.log_measured - np.log(np.maximum(sums.expected(p), 1e-300))) / sums.error
        rows = dict(zip(self.parts.positives, p, strict=True))
        hits = [
            np.log(c.measured / max(float(rows[c.positive][c.positive]), 1e-300)) / error_of_hits(c)
            for c in self.parts.known_hits
        ]
        return float(np.sum(off[sums.is_used] ** 2) + np.sum(np.square(hits)))

    def margins(self, scheme: Scheme, rows: int | None = None) -> Floats:
        """The margins m w q of each positive, or of the first `rows`, (rows, L)."""
        law = _law_of(scheme)
        if law not in self._draws:
            if len(self._draws) > 1:
                self._draws.clear()
            self._draws[law] = [scheme.laws(problem) for problem in self._problems]
        at = list(zip(self._problems, self._draws[law], strict=True))[:rows]
        plans = [scheme.plan(problem, draws) for problem, draws in at]
        found, inner = np.zeros((len(plans), self.question.prior.n_labels)), np.empty((len(plans), self._labels.size))
        for row, plan in enumerate(plans):
            inner[row] = np.exp(plan.log_counts(scheme.m) + plan.log_w)
            inner[row, plan.hard] += np.exp(plan.log_w_hard)
        found[:, self._labels] = inner
        return found

    @cached_property
    def _labels(self) -> Labels:
        """The labels that may be drawn: those of count 0 may where one of them counted, or is a positive."""
        occurs = self.question.prior.probabilities > 0
        counted = np.concatenate([*(c.labels for c in self.parts.seen), np.array(self.parts.positives)])
        return np.flatnonzero(occurs | (not np.all(occurs[counted])))

    @cached_property
    def _problems(self) -> list[Problem]:
        """Each positive: no scheme that may be named looks at the scores, but one with hard negatives."""
        prior, labels = self.question.prior, self._labels
        problems = [self.question.problem(y) for y in self.parts.positives]
        if labels.size == prior.n_labels:
            return problems
        few = LabelPrior.from_probabilities(prior.probabilities[labels])
        return [problem.among(np.isin(np.arange(prior.n_labels), labels), few) for problem in problems]


def _law_of(scheme: Scheme) -> tuple[Any, ...]:
    """What the law of all draws depends on: m matters where draws are not independent."""
    law = scheme.sampler, scheme.hits, scheme.hard
    return law if scheme.draws == "iid" else (*law, scheme.draws, scheme.m)
