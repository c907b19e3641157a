"""The nearest scheme: which of the named ones, of the usual slips, and of fitted ones has the margins measured?

Nothing is named that is further than a factor of `FITS_WITHIN` from what was measured; slopes are given instead.

One file: which schemes are tried, how each is fitted, and which fit is named, in the order in which it happens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from implicitloss import samplers, weightings
from implicitloss.auditing.comparison import Comparison
from implicitloss.auditing.parts import LEAST_RELATIVE_ERROR, MOST_ERROR, Parts
from implicitloss.auditing.pilot import DrawStatistics
from implicitloss.auditing.question import Question
from implicitloss.auditing.slips import (
    SLIPS,
    Corrected,
    CountedAsIndependent,
    KeptDuplicates,
    OtherNumber,
    Padded,
    Page,
    Slip,
    Survivors,
    corrections,
    wrong_laws,
)
from implicitloss.draws import DrawsName, design
from implicitloss.hard import HardNegatives
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.margins import Equalised, LogitAdjusted, Margin, Softmax, complete_margin
from implicitloss.numerics.bounds import deviation_half_width, deviation_mean
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit, LogUniform, Mixture, Power, Sampler, Uniform, WithinBatch
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.scheme import MOST_NEGATIVES, Scheme
from implicitloss.theory.inclusion import inclusion_probabilities
from implicitloss.weightings import (
    Constant,
    Draws,
    ForMargin,
    Importance,
    Relative,
    Unit,
    Weighting,
    complete_weighting,
)

__all__ = ["NEAR_M", "Fit", "Fitted", "name_of", "nearest", "rounded", "seen_law"]

# A fitted number is looked for to within this, and then by one step of Gauss and Newton.
CLOSE = 1e-3
# A refuted claim may have named too small a weight of a draw, and its limits may then be too narrow.
LIMIT_FACTOR = 1.05
# The m of a loss that draws nothing: with this many draws the sampled loss equals its bound.
M_OF_ALL_LABELS = 10**9
# A scheme is named if its margins lie within this factor of those measured, in the mean and within the limits of each
# part.
FITS_WITHIN = 1.3
# Schemes whose squared misfits differ by less than this are equal: an earlier one is named.  By chance alone the right
# one of two is worse by this much with a probability of about e^{-12}.
EQUAL_MISFIT = 25.0
# A scheme does not agree if its margins are further than this many standard errors from those measured, in the mean
# over parts: after few evaluations limits are wide.
MOST_ERRORS = 8.0
# A law of draws is wrongly taken for another with this probability.
FALSE_LAW = 1e-9
MODES = {"keep": "kept", "mask": "masked", "exclude": "excluded"}
# How many are drawn, under each design.
NUMBERS = {
    "iid": "m = {}", "distinct": "m = {} different labels", "set": "m = {} draws as a set",
    "bernoulli": "a coin for each label, m = {}",
}  # fmt: skip
# A scheme whose hits would not have been seen with a probability below e^-20 does not agree.
LOG_NEVER = -20.0
# The largest m that is looked for where margins are no power of m.
MOST_FREE_M = 10_000
# Below so many draws the best number is looked for among its neighbours too, so many steps away.
STEPS_MATTER_BELOW, STEPS_OF_M = 64, 6
# The sampler of which a parameter was fitted.
OF_FITTED = {"α": "sampling by π^α", "λ": "λ within-batch sampling + (1 - λ) uniform sampling"}
# Another number than m is taken off if their logarithms differ by this.
NOT_THE_NUMBER = 0.05
# An m that was fitted is that of the claim within this factor.
NEAR_M = 1.25


@dataclass(frozen=True)
class Fitted:
    """A parameter of a sampler that was fitted to the measured margins: its name, value and standard error."""

    parameter: str
    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.parameter} = {rounded(self.value, self.error)} ± {self.error:.1g}"


@dataclass(frozen=True)
class Fit:
    """How well a scheme fits the measured margins.

    `distance` is √mean (log ratio)² over the parts, and the scheme `agrees` if its margins lie within all limits.
    `m_known` is False where the number of draws was not seen and the margins do not depend on it.  `misfit` is the sum
    of squared differences over their errors, and `worst` the largest factor between margins and the limits of a part.
    Where `draws_guessed`, other draws with other weights are as likely: the margins say nothing of them.
    """

    scheme: Scheme
    distance: float
    agrees: bool
    m_known: bool = True
    fitted: Fitted | None = None
    misfit: float = 0.0
    worst: float = 1.0
    draws_guessed: bool = False

    @property
    def name(self) -> str:
        """The name of the scheme, with what was fitted."""
        return name_of(self.scheme, self.m_known, self.fitted)

    @property
    def slip(self) -> Page | None:
        """The common slip that the scheme is, if its margins agree, and its draws are no guess."""
        if not self.agrees or self.draws_guessed:
            return None
        for part in (self.scheme.weighting, self.scheme.sampler):
            page = getattr(part, "page", None)
            if isinstance(page, Page):
                return page
        return None

    @property
    def is_near(self) -> bool:
        """Whether the margins lie within a factor of `FITS_WITHIN` of those measured."""
        return self.agrees or (self.distance <= np.log(FITS_WITHIN) and self.worst <= FITS_WITHIN)

    def __str__(self) -> str:
        return self.name if self.agrees else f"{self.name} (off by a factor of {np.exp(self.distance):.3g} in the mean)"


def rounded(value: float, error: float) -> str:
    """A number to as many digits as its error lets it have, and one more."""
    digits = 3 if not error > 0 else int(np.clip(1 - np.floor(np.log10(error)), 0, 6))
    return f"{value:.{digits}f}"


def name_of(scheme: Scheme, m_known: bool = True, fitted: Fitted | None = None) -> str:
    """The name of a scheme, for example "relative weights, within-batch sampling, m = 15, hits kept"."""
    weighting = scheme.weighting
    if scheme.m == M_OF_ALL_LABELS:
        target = weighting.target if isinstance(weighting, ForMargin) else None
        name = complete_weighting(weighting).name if target is None else complete_margin(target).name
        return f"{name} over all labels, none drawn"
    words = complete_weighting(weighting).name
    if scheme.draws != "iid" and getattr(weighting, "reads_inclusion", False):
        words = words.replace("1/(m q)", "1/P(drawn)")
    sampler = complete_sampler(scheme.sampler).name
    if fitted is not None:
        sampler = f"{OF_FITTED[fitted.parameter]}, fitted {fitted}"
    number = f"{NUMBERS[scheme.draws].format(scheme.m)}, " if m_known else ""
    said = f"{words}, {sampler}, {number}hits {MODES[scheme.hits]}"
    if scheme.hard is None:
        return said
    hard = scheme.hard
    return f"{said}, {hard.k} hard negatives of weight {hard.weight:g}, overlap {MODES[hard.overlap]}"


def nearest(
    question: Question, comparisons: Sequence[Comparison], statistics: DrawStatistics | None, draws_nothing: bool,
    hard: HardNegatives | None = None,
) -> Fit | None:  # fmt: skip
    """The candidate that fits the decisive parts best, the claimed one first among equals.

    None if nothing is known to within `MOST_ERROR`, and if none fits within a factor of `FITS_WITHIN`.  `statistics`
    give m; candidates with equal margins are told apart by the law of their draws.  Where `hard` negatives were seen,
    all candidates have them.
    """
    parts = Parts.of(comparisons)
    if not any(c.spread <= MOST_ERROR * c.measured for c in parts.used):
        return None
    m = None if statistics is None or statistics.draws is None else statistics.draws[1]
    designs = _designs(question, statistics)
    if statistics is not None and statistics.weights_vary and designs:
        m = statistics.different[1]
    fewest = min(question.problem(y).positives.size for y in question.positives)
    none_drawn = draws_nothing or (
        statistics is not None and statistics.multiplicity == 1 and m == question.prior.n_labels - fewest
    )
    n_independent = 0 if statistics is None else statistics.n_independent
    designs = () if none_drawn else designs
    never_twice = statistics is None or statistics.multiplicity in (None, 1)
    candidates = _Candidates(question, parts, m, none_drawn, hard, designs, n_independent, never_twice)
    holds = all(c.result(question.tolerance) == "holds" for c in comparisons if c.decisive)
    claimed = candidates.claimed()
    is_of_claim = claimed is not None and claimed.agrees and _off(claimed, question, statistics) == 0.0
    if claimed is not None and is_of_claim and (holds or claimed.misfit <= parts.misfit_by_chance):
        return claimed  # no other fits better, but for chance
    fits = [fit for scheme in candidates.named() if (fit := candidates.fit(scheme)) is not None]
    fits += list(candidates.fitted())
    if statistics is not None and not statistics.weights_vary:  # those that are divided by the draws that are left do
        fits = [fit for fit in fits if not isinstance(fit.scheme.weighting, Survivors)]
    # How often a hit has a duplicate is known where the draws are.
    agreeing = [
        fit
        for fit in fits
        if fit.agrees and not (isinstance(fit.scheme.weighting, KeptDuplicates) and _off(fit, question, statistics) > 0)
    ]
    if agreeing:
        # What holds is no slip, if it can be none.
        agreeing = [fit for fit in agreeing if not (holds and fit.slip)] or agreeing
        # If samplers have equal margins, the law that was seen decides, then the order.
        near = [fit for fit in agreeing if _is_equal(fit, agreeing)]
        best = min(near, key=lambda fit: (candidates.is_odd(fit), _off(fit, question, statistics)))
        is_other_law = _off(best, question, statistics) > 0
        return replace(best, draws_guessed=candidates.is_guessed(best) or is_other_law)
    # A number that was fitted is no name for what it does not fit.
    near = [fit for fit in fits if fit.is_near and not isinstance(fit.scheme.weighting, OtherNumber)]
    return min(near, key=lambda fit: round(fit.distance, 3), default=None)


def _designs(question: Question, statistics: DrawStatistics | None) -> tuple[DrawsName, ...]:
    """The designs, beside independent draws, that may have brought the draws: none of them came twice."""
    if statistics is None or statistics.multiplicity not in (None, 1) or statistics.different[1] < 2:
        return ()
    # A hit that is masked makes a label less.
    if statistics.different[1] - statistics.different[0] <= 1:
        return ("distinct",)
    is_of_claim = question.scheme is not None and statistics.multiplicity == 1
    return ("set", "bernoulli") if is_of_claim else ()


def _is_equal(fit: Fit, fits: Sequence[Fit]) -> bool:
    """Whether a fit is as good as the best, but for chance."""
    return fit.misfit <= min(other.misfit for other in fits) + EQUAL_MISFIT


def _off(fit: Fit, question: Question, statistics: DrawStatistics | None) -> float:
    """The distance of the law of draws from the one that was seen, above that of chance; 0 where none was seen."""
    if statistics is None or statistics.q is None or not statistics.n_draws:
        return 0.0
    law = seen_law(fit.scheme, question)
    if not law.sum() > 0:
        return 0.0
    law = law / law.sum()
    n = statistics.n_draws
    chance = deviation_mean(n, law) + deviation_half_width(n, FALSE_LAW)
    return round(max(float(np.abs(law - statistics.q).sum()) - chance, 0.0), 1)


def seen_law(scheme: Scheme, question: Question) -> Floats:
    """The law of the draws that are seen beside all positives, (L,), not normalised: masked hits are not seen."""
    law = np.zeros(question.prior.n_labels)
    for y in question.positives:
        problem = question.problem(y)
        if scheme.hard is not None:
            law += _with_hard(scheme, problem)
            continue
        if scheme.draws == "iid":
            row = np.exp(scheme.sampler.log_law(problem))
        else:
            row = inclusion_probabilities(scheme, problem) / scheme.m
        if scheme.hits != "keep":
            row[problem.positives] = 0.0
        if isinstance(scheme.weighting, Padded):
            row[0] = 0.0
        # Weights that are divided by the draws that are left are counted as if as many were left in each evaluation.
        as_many = scheme.hits == "exclude" or isinstance(scheme.weighting, Survivors)
        law += row / row.sum() if as_many else row
    return law


def _with_hard(scheme: Scheme, problem: Problem) -> Floats:
    """The law of the draws that are seen, and of hard negatives, each of which is seen once beside m draws, (L,)."""
    plan = scheme.plan(problem)
    row = scheme.m * np.where(np.isneginf(plan.log_w), 0.0, np.exp(plan.log_q))
    row[plan.hard] += 1.0
    return np.asarray(row / (scheme.m + plan.hard.size))


@dataclass(frozen=True, eq=False)
class _Candidates:
    """The schemes that may be named, in the order in which equals are named, and how well each fits."""

    question: Question
    parts: Parts
    m: int | None
    none_drawn: bool
    hard: HardNegatives | None = None
    designs: tuple[DrawsName, ...] = ()
    n_independent: int = 0
    never_twice: bool = True
    # The draws of the last laws, a positive each: many schemes in turn draw from one law.
    _draws: dict[tuple[Any, ...], list[Draws]] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        """The number of draws that was seen, or else claimed."""
        scheme, hard = self.question.scheme, 0 if self.hard is None else self.hard.k
        return max(min((self.m or hard) - hard, MOST_NEGATIVES // 2) or (scheme.m if scheme is not None else 1), 1)

    @property
    def hits(self) -> tuple[Any, ...]:
        """The modes that the measured hits leave."""
        return ("keep",) if any(c.measured > 0 for c in self.parts.hits) else ("mask", "exclude")

    def claimed(self) -> Fit | None:
        """How well the claimed scheme fits; None where more was drawn than is claimed."""
        scheme = self._claimed_scheme
        return None if scheme is None else self.fit(scheme)

    @property
    def _claimed_scheme(self) -> Scheme | None:
        scheme = self.question.scheme
        if scheme is None or scheme.sampler.needs_scores:
            return None
        hard = max((labels.size for labels in self.question.claim.hard), default=0)
        _, most = design(scheme.draws).sizes(self.question.prior.n_labels, scheme.m)
        return None if self.m is not None and self.m > most + hard else scheme

    def named(self) -> Iterator[Scheme]:
        """The claimed scheme, losses over all labels, named schemes, then slips."""
        claimed, prior = self.question.scheme, self.question.prior
        if self._claimed_scheme is not None:
            yield self._claimed_scheme
        if self.none_drawn:
            over_all: list[Any] = [ForMargin(margin) for margin in (Softmax(), LogitAdjusted(), Equalised())]
            for weighting in (*over_all, *(slip for slip in SLIPS if isinstance(slip.target, LogitAdjusted))):
                yield Scheme(Uniform(), weighting, m=M_OF_ALL_LABELS, hits="mask")
            return  # what draws nothing has no sampler
        # Among equals the first is named: these first, then all others that do not look at the scores.
        laws: list[Any] = [WithinBatch(), Uniform(), Power(0.75), LogUniform()]
        if claimed is not None and claimed.sampler not in laws and not claimed.sampler.needs_scores:
            laws.insert(0, claimed.sampler)
        others = [sampler for sampler in samplers.examples() if not isinstance(sampler, Explicit)]
        laws += [sampler for sampler in others if not sampler.needs_scores and sampler not in laws]
        # Importance weights first among equals.
        named = sorted(weightings.examples(), key=lambda weighting: not isinstance(weighting, Importance))
        named = [weighting for weighting in named if type(weighting) is not ForMargin]
        if self.hard is not None:
            # Most are drawn uniformly beside hard negatives: the first of those with equal margins.
            yield from self._each(sorted(laws, key=lambda law: not isinstance(law, Uniform)), named)
            return
        slips = [replace(slip, temperature=self.question.temperature) for slip in SLIPS if self._may_be(slip)]
        first = [slip for slip in slips if slip.needs_target or self._is_claimed(slip.target)]
        rest = [slip for slip in slips if slip not in first]
        numbers: list[Any] = [Survivors(Constant()), Survivors(Importance())] if "mask" in self.hits else []
        own: list[Any] = [] if claimed is None or claimed.sampler.needs_scores else [claimed.sampler]
        yield from self._each(laws, first)
        if claimed is not None and claimed.hits == "mask":
            yield from self._each(own, numbers)
        if claimed is not None and isinstance(claimed.weighting, Importance):
            yield from self._of_other_number([law for law in own if not isinstance(law, Uniform)])
        yield from self._each(laws, named)
        yield from self._each(laws, rest)
        yield from self._each(laws, [Padded(weighting) for weighting in named])
        if self.m is not None:
            yield from self._of_other_number(laws)
        yield from self._each(laws, list(corrections(prior, [law for law in laws if not isinstance(law, Uniform)])))
        # A law has one slip only if it is drawn from and not corrected by itself.
        drawn: list[Any] = [Unit(), Constant()]
        drawn += [Corrected(law, f"log(m q) taken off with the q of {law}") for law in laws[:1]]
        yield from self._each(wrong_laws(prior), drawn)
        yield from self._of_designs(laws, named)
        if self.hits == ("keep",):
            yield from self._each(laws, [KeptDuplicates(weighting) for weighting in named])

    def _of_designs(self, laws: Sequence[Any], named: Sequence[Any]) -> Iterator[Scheme]:
        """The weights under designs that bring no label twice; how many draws made a set is known from the claim."""
        claimed = self.question.scheme
        naive: Any = CountedAsIndependent()
        designs = sorted(self.designs, key=lambda name: claimed is None or name != claimed.draws)
        for scheme in self._each(laws, [*named, naive]) if designs else ():
            for drawn in designs:
                m = self.draws if drawn == "distinct" or claimed is None else claimed.m
                _, most = design(drawn).sizes(self.question.prior.n_labels, m)
                if self.m is None or self.m <= most:
                    yield replace(scheme, m=m, draws=drawn)

    def _of_other_number(self, laws: Sequence[Any]) -> Iterator[Scheme]:
        """Importance weights with a number in place of m that is fitted, where it is another."""
        sums = self.parts.sums
        for scheme in self._each(laws, [Importance()]):
            try:
                ratios = np.exp(sums.log_measured) / np.maximum(sums.expected(self._margins(scheme)), 1e-300)
            except ValueError:  # a label that cannot be drawn
                continue
            k = scheme.m / float(np.median(ratios[sums.is_used]))
            # Without any number it is a slip of another name.
            if abs(np.log(k)) > NOT_THE_NUMBER and abs(np.log(k / scheme.m)) > NOT_THE_NUMBER:
                weighting: Any = OtherNumber(k)
                yield replace(scheme, weighting=weighting)

    def is_odd(self, fit: Fit) -> bool:
        """Whether the m that was fitted is unlikely: more draws than labels, or a slip with one draw, which is none."""
        if self.m is not None or fit.scheme is self.question.scheme or not fit.m_known:
            return False
        m = fit.scheme.m
        return self.question.prior.n_labels < m < M_OF_ALL_LABELS or (fit.slip is not None and m == 1)

    def is_guessed(self, fit: Fit) -> bool:
        """Whether draws that were not seen are others than those that are claimed, or unlikely ones."""
        claimed = self.question.scheme
        is_all = fit.scheme.m == M_OF_ALL_LABELS
        other = claimed is not None and not is_all and not 1 / NEAR_M <= fit.scheme.m / claimed.m <= NEAR_M
        return self.is_odd(fit) or (self.m is None and other)

    def _is_claimed(self, target: Margin) -> bool:
        """Whether these margins are claimed, and are others than those of softmax."""
        return not isinstance(target, Softmax) and self._has_margins(target)

    def _may_be(self, slip: Slip) -> bool:
        """Whether a slip can be one here."""
        return not slip.needs_target or self._has_margins(slip.target)

    def _has_margins(self, target: Margin) -> bool:
        p, prior = self.question.claim.margins, self.question.prior
        if p is None:
            return False
        with np.errstate(all="ignore"):
            return all(
                np.allclose(np.delete(p[row], own), np.delete(np.exp(target.log_margin(prior, y)), own))
                for row, y in enumerate(self.question.positives)
                for own in [self.question.problem(y).positives]
            )

    def _each(self, laws: Sequence[Any], weights: Sequence[Any]) -> Iterator[Scheme]:
        for sampler in laws:
            for weighting in weights:
                if isinstance(weighting, Slip) and self._says_nothing_of_slips(sampler):
                    continue
                for mode in self.hits:
                    if mode in (weighting.hits if isinstance(weighting, (Slip, Survivors)) else self.hits):
                        for hard in self._overlaps:
                            yield Scheme(sampler, weighting, m=self.draws, hits=mode, hard=hard)

    @property
    def _overlaps(self) -> tuple[HardNegatives | None, ...]:
        """The hard negatives, in the modes that may be: where draws of them were not seen to count, none was told."""
        hard = self.hard
        if hard is None or hard.overlap == "keep":
            return (hard,)
        return replace(hard, overlap="exclude"), replace(hard, overlap="mask")

    def _says_nothing_of_slips(self, sampler: Sampler) -> bool:
        """Whether any slip would fit: with uniform draws its margins are all equal, and m, if not known, is fitted."""
        claimed = self.question.scheme
        is_claimed = claimed is not None and claimed.sampler == sampler
        return self.m is None and isinstance(sampler, Uniform) and not is_claimed

    def fit(self, scheme: Scheme, fitted: Fitted | None = None) -> Fit | None:
        """How well a scheme fits; with the best m, if m is not known.  None for a scheme that is undefined here."""
        parts, sums = self.parts, self.parts.sums
        free = self.m is None and scheme is not self.question.scheme and scheme.m != M_OF_ALL_LABELS
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
            agrees &= of_part <= c.high * LIMIT_FACTOR
            worst = max(worst, of_part / max(c.high, 1e-300))
        for c in parts.hits:
            of_hits = float(rows[c.positive][c.positive])
            agrees &= (c.low <= of_hits <= c.high) if of_hits > 0 else not c.measured > 0
            agrees &= c.measured > 0 or not of_hits > 0 or self._log_no_hit(scheme, c) > LOG_NEVER
            if of_hits > 0 and c in parts.known_hits:
                errors = abs(float(np.log(c.measured / of_hits))) / _error_of_hits(c)
                agrees &= errors <= MOST_ERRORS
                misfit += errors**2
                terms += 1
        agrees &= misfit <= MOST_ERRORS**2 * terms
        agrees &= not self.designs or self._log_no_repeat(scheme) > LOG_NEVER
        agrees &= scheme.draws == "iid" or self.never_twice
        distance = float(np.sqrt(np.mean(np.square(logs[used]))))
        return Fit(scheme, distance, agrees, known, fitted, float(misfit), worst)

    def _log_no_repeat(self, scheme: Scheme) -> float:
        """The logarithm of the probability that at most one draw of a run is a repeat, at most: of pairs one is equal.

        One may have been taken for a hit.
        """
        if scheme.draws != "iid":
            return 0.0
        none = []
        for problem, draws in zip(self._problems, self._draws[_law_of(scheme)], strict=True):
            plan = scheme.plan(problem, draws)
            q = np.where(np.isneginf(plan.log_w), 0.0, np.exp(plan.log_q))  # what counts nothing is not seen
            q[problem.positives] = 0.0
            pairs, equal = scheme.m // 2, min(float(q @ q), 1 - 1e-9)
            none.append((pairs - 1) * math.log1p(-equal) + math.log1p((pairs - 1) * equal) if pairs else 0.0)
        return self.n_independent * min(none)

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
        if len(self.parts.apart) < 3 or self.none_drawn or self.hard is not None:
            return
        for parameter, sampler, low, high in families:
            for weighting in (Unit(), Constant(), Relative()):
                for mode in self.hits:
                    found = self._fitted(parameter, sampler, low, high, weighting, mode)
                    if found is not None:
                        yield found

    def _fitted(
        self, parameter: str, sampler: Callable[[float], Sampler], low: float, high: float, weighting: Weighting,
        mode: Any,
    ) -> Fit | None:  # fmt: skip
        """The member of a family that fits best, by least squares on the logarithms of the measured parts."""
        sums = self.parts.sums
        apart, errors, measured = sums.is_apart, sums.error[sums.is_apart], sums.log_measured[sums.is_apart]

        def logs(value: float) -> Floats:
            p = self._margins(Scheme(sampler(value), weighting, m=self.draws, hits=mode))
            return np.log(np.maximum(sums.expected(p)[apart], 1e-300))

        # m is a factor of the margins of all but constant weights, and is not known by values.
        scale = self.m is None and not isinstance(weighting, Constant)

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
        scheme = Scheme(sampler(value), weighting, m=self.draws, hits=mode)
        return self.fit(scheme, Fitted(parameter, value, error))

    def _with_margins(self, scheme: Scheme, free: bool) -> tuple[Scheme, Floats, bool]:
        """The scheme, its margins m w q (rows, L), and whether m is known; a `free` m is set to the best."""
        p, sums = self._margins(scheme), self.parts.sums
        if not free:
            return scheme, p, True
        power = self._power_of_m(scheme, p[0])
        if power is not None:
            if power == 0:
                return scheme, p, False
            ratios = np.exp(sums.log_measured) / np.maximum(sums.expected(p), 1e-300)
            ratio = float(np.median(ratios[sums.is_used]))
            m = float(np.exp(min(np.log(scheme.m) + np.log(ratio) / power, np.log(M_OF_ALL_LABELS / 2))))
            again = replace(scheme, m=max(1, round(m)))
            return again, p * (again.m / scheme.m) ** power, True
        again = replace(scheme, m=max(1, round(self._best_m(scheme))))
        return again, self._margins(again), True

    def _power_of_m(self, scheme: Scheme, p: Floats) -> int | None:
        """The power of m that the margins (L,) of the first positive are: 1 where a factor was lost, 2 where it was
        applied twice, 0 where it does not matter; None where they are none.
        """
        drawn = p > 0
        steps = np.log2(self._margins(replace(scheme, m=2 * scheme.m), rows=1)[0, drawn] / p[drawn])
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
        sums, p = self.parts.sums, self._margins(scheme)
        off = (sums.log_measured - np.log(np.maximum(sums.expected(p), 1e-300))) / sums.error
        rows = dict(zip(self.parts.positives, p, strict=True))
        hits = [
            np.log(c.measured / max(float(rows[c.positive][c.positive]), 1e-300)) / _error_of_hits(c)
            for c in self.parts.known_hits
        ]
        return float(np.sum(off[sums.is_used] ** 2) + np.sum(np.square(hits)))

    def _margins(self, scheme: Scheme, rows: int | None = None) -> Floats:
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


def _error_of_hits(hits: Comparison) -> float:
    """The relative error of a measured weight of hits."""
    return max(hits.spread / hits.measured, hits.rounding, LEAST_RELATIVE_ERROR)
