"""The nearest scheme: which of the named ones, of the usual slips, and of fitted ones has the margins measured?

Nothing is named that is further than a factor of `FITS_WITHIN` from what was measured; slopes are given instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from implicitloss.auditing.candidates import Candidates
from implicitloss.auditing.comparison import Comparison
from implicitloss.auditing.draw_statistics import DrawStatistics
from implicitloss.auditing.fit import Fit
from implicitloss.auditing.fitting import LOG_NEVER, Fitting
from implicitloss.auditing.parts import MOST_ERROR, Parts
from implicitloss.auditing.question import Question
from implicitloss.auditing.slips import OtherNumber, Padded, Slip, Survivors
from implicitloss.draws import DrawsName
from implicitloss.hard import HardNegatives
from implicitloss.labels import Floats
from implicitloss.numerics.bounds import deviation_half_width, deviation_mean
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme
from implicitloss.theory.inclusion import inclusion_probabilities
from implicitloss.weightings import Unit

__all__ = ["nearest", "seen_law"]

# Schemes whose squared misfits differ by less than this are equal: an earlier one is named.  By chance alone the right
# one of two is worse by this much with a probability of about e^{-12}.
EQUAL_MISFIT = 25.0
# A law of draws is wrongly taken for another with this probability.
FALSE_LAW = 1e-9
# Standard errors within which the variance of a number of labels is that of a scheme; up to so many, pairs are summed.
ERRORS_OF_VARIANCE, MOST_PAIRED = 8.0, 1_000


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
    designs = _designs(statistics)
    if statistics is not None and statistics.weights_vary and designs:
        m = statistics.different[1]
    fewest = min(question.problem(y).positives.size for y in question.positives)
    none_drawn = draws_nothing or (
        statistics is not None and statistics.multiplicity == 1 and m == question.prior.n_labels - fewest
    )
    n_different = 0.0 if statistics is None else statistics.mean_different
    n_independent = 0 if statistics is None else statistics.n_independent
    designs = () if none_drawn else designs
    never_twice = statistics is None or statistics.multiplicity in (None, 1)
    fitting = Fitting(question, parts, m, hard, designs, n_different, n_independent, never_twice)
    candidates = Candidates(question, fitting, none_drawn)
    holds = all(c.result(question.tolerance) == "holds" for c in comparisons if c.decisive)
    claimed = candidates.claimed()
    is_of_claim = claimed is not None and claimed.agrees and _off(claimed, question, statistics) == 0.0
    if claimed is not None and is_of_claim and (holds or claimed.misfit <= parts.misfit_by_chance):
        return claimed  # no other fits better, but for chance
    fits = candidates.fits()
    if statistics is not None and not statistics.weights_vary:  # those that are divided by the draws that are left do
        fits = [fit for fit in fits if not isinstance(fit.scheme.weighting, Survivors)]
    if statistics is not None and statistics.draws is None:
        fits = [fit for fit in fits if _brings_as_many(fit, question, statistics)]
    fits = [fit for fit in fits if _spreads_as_seen(fit, question, statistics)]
    if holds:  # what is as claimed is no slip
        fits = [fit for fit in fits if not fit.is_slip]
    # A scheme that draws by another law than was seen is not it.
    agreeing = [fit for fit in fits if fit.agrees and _off(fit, question, statistics) == 0.0]
    if agreeing:
        # Of equal ones the first is taken.
        near = [fit for fit in agreeing if _is_equal(fit, agreeing)]
        best = min(near, key=candidates.is_odd)
        best = _plain(best, fitting) or best
        return replace(best, draws_guessed=candidates.is_guessed(best))
    if holds and claimed is not None and claimed.agrees:
        return claimed
    # A number that was fitted is no name for what it does not fit.
    near = [fit for fit in fits if fit.is_near and not fit.agrees and not isinstance(fit.scheme.weighting, OtherNumber)]
    near = [fit for fit in near if _off(fit, question, statistics) == 0.0]
    return min(near, key=lambda fit: round(fit.distance, 3), default=None)


def _plain(fit: Fit, fitting: Fitting) -> Fit | None:
    """The fit with weights of 1, where those of its slip all are 1, as π/q is within a batch; else None."""
    if not isinstance(fit.scheme.weighting, Slip) or not fit.m_known or fit.scheme.m == 1:  # 1/m is not 1
        return None
    scheme = replace(fit.scheme, weighting=Unit())
    is_equal = np.allclose(fitting.margins(scheme), fitting.margins(fit.scheme), rtol=1e-9, atol=0.0)
    return replace(fit, scheme=scheme) if is_equal else None


def _designs(statistics: DrawStatistics | None) -> tuple[DrawsName, ...]:
    """The designs, beside independent draws, that may have brought the draws: none of them came twice."""
    if statistics is None or statistics.multiplicity not in (None, 1) or statistics.different[1] < 2:
        return ()
    # A hit that is masked makes a label less.
    if statistics.different[1] - statistics.different[0] <= 1:
        return ("distinct",)
    return ("set", "bernoulli") if statistics.multiplicity == 1 else ()


def _is_equal(fit: Fit, fits: Sequence[Fit]) -> bool:
    """Whether a fit is as good as the best, but for chance."""
    return fit.misfit <= min(other.misfit for other in fits) + EQUAL_MISFIT


def _off(fit: Fit, question: Question, statistics: DrawStatistics | None) -> float:
    """The distance of the law of draws from the one that was seen, above that of chance; 0 where none was seen.

    1 for another law than one that is known, of draws that are known to be different.
    """
    if statistics is None or statistics.q is None or not statistics.n_draws:
        return 0.0
    if statistics.law is not None:
        return float(fit.scheme.sampler != statistics.law or fit.scheme.draws == "iid")
    law = seen_law(fit.scheme, question)
    if not law.sum() > 0:
        return 0.0
    law = law / law.sum()
    n = statistics.n_draws
    chance = deviation_mean(n, law) + deviation_half_width(n, FALSE_LAW)
    return round(max(float(np.abs(law - statistics.q).sum()) - chance, 0.0), 1)


def _brings_as_many(fit: Fit, question: Question, statistics: DrawStatistics) -> bool:
    """Whether a scheme of independent draws brings as many different labels, in the mean, as some evaluation did.

    That is all that is known of draws which have no single weight; other schemes may.
    """
    scheme = fit.scheme
    if scheme.draws != "iid" or scheme.hard is not None or not fit.m_known:
        return True
    fewest, most = statistics.different
    for y in question.positives:
        q = np.exp(scheme.sampler.log_law(problem := question.problem(y)))
        if scheme.hits != "keep":
            q[problem.positives] = 0.0
        if fewest <= -np.expm1(scheme.m * np.log1p(-np.minimum(q, 1 - 1e-12))).sum() <= most:
            return True
    return False


def _spreads_as_seen(fit: Fit, question: Question, statistics: DrawStatistics | None) -> bool:
    """Whether the number of labels that a set of draws, or coins, bring varies as was seen.

    And whether as many labels would come in every evaluation.
    """
    scheme = fit.scheme
    if statistics is None or scheme.draws not in ("set", "bernoulli") or scheme.hard is not None or not fit.is_near:
        return True
    n, variances = statistics.n_independent, []
    for y, always in zip(question.positives, statistics.n_always, strict=True):
        problem = question.problem(y)
        come, q = inclusion_probabilities(scheme, problem), np.exp(scheme.sampler.log_law(problem))
        if scheme.hits != "keep":
            come[problem.positives], q[problem.positives] = 0.0, 0.0
        if always and n * math.log(max(np.partition(come, -always)[-always], 1e-300)) < LOG_NEVER:
            return False
        less = _less_by_sets(q, scheme.m) if scheme.draws == "set" else 0.0
        variances.append(float((come * (1 - come)).sum()) - less)
    ratio = max(statistics.variance_different, 1e-300) / max(float(np.mean(variances)), 1e-300)
    return abs(math.log(ratio)) <= ERRORS_OF_VARIANCE * math.sqrt(2 / max(n * len(variances), 1))


def _less_by_sets(q: Floats, m: int) -> float:
    """How much less the number of different labels in a set of m draws varies than that of coins.

    Σ_{i≠j} (1 - q_i)^m (1 - q_j)^m - (1 - q_i - q_j)^m; of many labels to the first order in q_i q_j, m (Σ_j q_j
    (1 - q_j)^{m-1})².
    """
    if q.size > MOST_PAIRED:
        return float(m * np.square((q * (1 - q) ** (m - 1)).sum()))
    out = (1 - q) ** m
    pairs = np.multiply.outer(out, out) - np.maximum(1 - np.add.outer(q, q), 0.0) ** m
    return float(pairs.sum() - np.trace(pairs))


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
