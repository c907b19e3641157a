"""Everything the theory says about one scheme at one problem: what `implicitloss verify` settles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sympy as sp

from implicitloss import margins, weightings
from implicitloss import symbols as s
from implicitloss.arguments import shown
from implicitloss.claims.case import Case, Setting
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements import (
    conventions,
    gradient,
    hard,
    lemma1,
    lemma2,
    proposition4,
    proposition5,
    theorem3,
)
from implicitloss.claims.statements.limits import ladder
from implicitloss.claims.statements.numbers import CaseList, implicit, replace_hits, reweighted
from implicitloss.hard import HardNegatives
from implicitloss.labels import NO_LABELS, LabelPrior, Labels
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, logistic
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit, MinimumVariance, Sampler
from implicitloss.samplers.sampler import checked_draws
from implicitloss.scheme import MOST_NEGATIVES, Hits, Scheme
from implicitloss.theory.expansion import relative_moments
from implicitloss.witness.integrate import integrate

__all__ = ["about_scheme"]

SOFTMAX = SoftmaxCrossEntropy()
LOGISTIC = Decoupled(logistic)
# e^{2 f} of it is still a float.
LARGEST_LOG_MARGIN = 300.0
# σ²/μ² below this is lost in the rounding of its limits.
LEAST_SPREAD = 1e-10
# Labels that a sum is written out for.
MOST_SUMMED = 200


def about_scheme(scheme: Scheme, problem: Problem, target: margins.Margin | None = None) -> list[Claim]:
    """The scheme's own parts, the lemmas, Theorem 3 and the propositions as they stand for `scheme` at `problem`.

    The first claims are that the sampler draws by its stated law, and that symbols and numbers agree.  With a `target`
    there is one that the scheme optimises the loss with these margins.  Lemma 1 and Proposition 5 are tried with the
    logistic loss, the others with softmax.  With hard negatives there is one more, that they join the positive.

    Claims that do not apply are left out or replaced.  If every draw adds the same amount, the gap is claimed to be 0
    and not positive.  Relative and unit weights lie outside Theorem 3, and have a claim that says so.  The gradient's
    constant is claimed for importance weights without hits only.  Proposition 4 is left out for targets that q cannot
    reach, or that hard negatives miss.
    *Raises* ValueError for a scheme that is undefined at the problem.
    """
    # What is wrong with the scheme is said before any work.
    if not isinstance(scheme, Scheme) or not isinstance(problem, Problem):
        raise ValueError(f"verify needs a Scheme and a Problem, got {shown(scheme)} and {shown(problem)}")
    if target is not None:
        margins.checked_margin(target)
        target.log_margin(problem.prior, problem.positive)
        target.margin(s.yp)
    scheme.check_symbols()
    scheme.plan(problem)
    _check_flag(scheme)
    checked_draws(scheme.sampler, problem)(np.random.default_rng(0), 1000)
    softmax, decoupled = _fixed(scheme, SOFTMAX, problem), _fixed(_for_loss(scheme, LOGISTIC), LOGISTIC, problem)
    tiny_softmax, tiny_decoupled = (
        _tiny(scheme, SOFTMAX, problem),
        _tiny(_for_loss(scheme, LOGISTIC), LOGISTIC, problem),
    )
    has_hard = scheme.hard is not None
    claims = [
        conventions.drawn("sampler", scheme.sampler, problem),
        conventions.conventions(
            "symbols",
            "The scheme means the same in symbols and in numbers.",
            "derived: what the derivation takes for granted",
            lambda setting: [*tiny_softmax(setting), *_in_symbols(softmax(setting)[0])],
            has_hard,
        ),
    ]
    if target is not None:
        claims.append(proposition4.optimises("target", scheme, target, _positives(scheme, problem)))
    claims += [
        lemma1.derived("derivation", lambda: [(scheme, SOFTMAX), (_for_loss(scheme, LOGISTIC), LOGISTIC)], has_hard),
        lemma1.lemma1_mean("lemma1.mean", tiny_decoupled, decoupled, has_hard),
        lemma1.lemma1_variance_claim("lemma1.variance", tiny_decoupled, decoupled, has_hard),
    ]
    if has_hard:
        claims.append(hard.shift("hard.shift", tiny_softmax, softmax))
    gap = integrate(scheme, SOFTMAX, problem, "gap")
    case = Case(scheme, SOFTMAX, problem)
    if float(gap) > 100 * float(gap.error):
        wide = float(gap) > 10 * (float(integrate(scheme, SOFTMAX, problem).error) + float(implicit(case).error))
        claims.append(lemma2.lemma2_bound("lemma2.bound", tiny_softmax, softmax, has_hard, wide))
        claims.append(lemma2.lemma2_gap("lemma2.gap", tiny_softmax, softmax, softmax, has_hard))
        reach = _ladder_is_in_reach(case)
        if reach and scheme.weighting.is_eta_over_m:
            claims.append(theorem3.theorem3_leading("theorem3.leading", softmax, softmax, has_hard))
            claims.append(theorem3.theorem3_remainder("theorem3.remainder", softmax))
        elif reach and not _weight(scheme).has(s.m):
            claims.append(theorem3.theorem3_outside("theorem3.outside", softmax))
        if reach and isinstance(scheme.weighting, weightings.Importance) and scheme.hits == "exclude":
            claims.append(gradient.gradient_rate("gradient", tiny_softmax, softmax, softmax, has_hard))
    else:
        claims.append(lemma2.no_gap("lemma2.no-gap", softmax))
    if scheme.hits == "keep" and not isinstance(scheme.sampler, MinimumVariance):
        claims.append(lemma2.hits("lemma2.kept-hits", tiny_softmax, softmax))
    if scheme.hits != "keep":
        claims += _propositions(scheme, problem)
    return claims


def _propositions(scheme: Scheme, problem: Problem) -> list[Claim]:
    """Propositions 4 and 5 for this sampler: any target, and what it costs against the best sampler.

    Hard negatives leave the target p = 1 only, if they weigh 1 and draws of them do not count again.
    """
    every = (margins.Softmax(), margins.LogitAdjusted(), margins.Adaptive(0.25))
    targets = [target for target in every if _reaches(scheme, target, problem)]
    if not targets:
        return []

    def with_target(loss: Loss, target: margins.Margin, hits: Hits = scheme.hits) -> Case:
        sampler = _for_loss(scheme, loss).sampler
        other = replace_hits(reweighted(scheme, weightings.ForMargin(target)), hits)
        return Case(replace(other, sampler=sampler), loss, problem)

    def exact(setting: Setting) -> list[Case]:
        return [with_target(loss, target) for loss in (SOFTMAX, LOGISTIC) for target in targets]

    def sampled(setting: Setting) -> list[Case]:
        return [with_target(LOGISTIC, target) for target in targets]

    def competitors(setting: Setting) -> list[Case]:
        return [_excluded(with_target(LOGISTIC, target)) for target in reached]

    claims = [proposition4.proposition4("proposition4", [scheme.sampler], targets, exact, sampled)]
    # With one negative there is nothing to choose.
    competing = _excluded(Case(scheme, SOFTMAX, problem)).scheme
    reached = [target for target in targets[:2] if _reaches(competing, target, problem)]
    free = problem.prior.n_labels - 1 - _hard_of(scheme, problem).size
    if reached and not isinstance(scheme.sampler, MinimumVariance) and free > 1:
        claims.append(proposition5.proposition5("proposition5", competitors))
    return claims


def _excluded(case: Case) -> Case:
    """The case with hits, and draws of hard negatives, drawn again: as Proposition 5 has it."""
    scheme = replace_hits(case.scheme, "exclude")
    if scheme.hard is not None:
        scheme = replace(scheme, hard=replace(scheme.hard, overlap="exclude"))
    return replace(case, scheme=scheme)


def _hard_of(scheme: Scheme, problem: Problem) -> Labels:
    return NO_LABELS if scheme.hard is None else scheme.hard.labels(problem)


def _reaches(scheme: Scheme, target: margins.Margin, problem: Problem) -> bool:
    """Whether q > 0 where p > 0, p is not beyond floats, and hard negatives have their p."""
    mode = scheme.hard
    if mode is not None and (target != margins.Softmax() or mode.weight != 1 or mode.overlap == "keep"):
        return False
    try:
        reweighted(scheme, weightings.ForMargin(target)).plan(problem)
    except ValueError:
        return False
    return float(target.log_margin(problem.prior, problem.positive).max()) < LARGEST_LOG_MARGIN


def _weight(scheme: Scheme) -> sp.Expr:
    law = scheme.sampler.law
    return scheme.weighting.weight(law, law, s.yp)


def _check_flag(scheme: Scheme) -> None:
    """*Raises* ValueError where `is_eta_over_m` is not what the weights in symbols are."""
    free = not s.tidy(s.m * _weight(scheme)).has(s.m)
    if free != scheme.weighting.is_eta_over_m:
        does = "does not depend" if free else "depends"
        raise ValueError(
            f"{scheme.weighting} says is_eta_over_m = {scheme.weighting.is_eta_over_m}, but m w = "
            f"{s.text(s.tidy(s.m * _weight(scheme)))} {does} on m; set it to {free}"
        )


def _ladder_is_in_reach(case: Case) -> bool:
    """Whether the expansion in 1/m sets in before m is beyond what a scheme can have, and has digits to show."""
    spread = relative_moments(case.scheme, case.loss, case.problem).v
    return ladder(case)[-1] <= MOST_NEGATIVES and spread > LEAST_SPREAD


def _positives(scheme: Scheme, problem: Problem) -> CaseList:
    """The problem, and the same with its most and its least frequent label for the positive where it is defined."""
    seen = [int(y) for y in problem.prior.by_frequency if problem.prior.probabilities[y] > 0]
    cases = []
    for y in dict.fromkeys((problem.positive, seen[0], seen[-1])):
        other = replace(problem, positive=y)
        try:
            scheme.plan(other)
        except ValueError:
            continue
        cases.append(Case(scheme, SOFTMAX, other))
    return lambda setting: cases


def _for_loss(scheme: Scheme, loss: Loss) -> Scheme:
    """The scheme itself; a minimum-variance sampler is made for the loss."""
    sampler: Sampler = scheme.sampler
    if isinstance(sampler, MinimumVariance):
        sampler = MinimumVariance(sampler.margin, loss)
    return replace(scheme, sampler=sampler)


def _fixed(scheme: Scheme, loss: Loss, problem: Problem) -> CaseList:
    case = Case(scheme, loss, problem)
    return lambda setting: [case]


def _tiny(scheme: Scheme, loss: Loss, problem: Problem) -> CaseList:
    """The scheme with at most three draws on the positive and three more labels, so that every draw can be listed.

    Labels stay sorted by frequency.  With hard negatives it is two of them, and two more labels.  No case where the
    scheme is undefined on a part of the labels.
    """
    prior = problem.prior
    order = prior.by_frequency
    others = order[(order != problem.positive) & (prior.probabilities[order] > 0)]
    picked = others[np.linspace(0, others.size - 1, min(3, others.size)).round().astype(int)]
    known = _hard_of(scheme, problem)
    if known.size:
        known, free = others[np.isin(others, known)], others[~np.isin(others, known)]
        picked = np.concatenate([part[[0, -1]] for part in (known, free) if part.size])
    picked = order[np.isin(order, np.append(picked, problem.positive))]
    weight = prior.probabilities if prior.counts is None else prior.counts
    sampler = scheme.sampler
    if isinstance(sampler, Explicit):
        q = sampler.q[picked]
        if q.sum() == 0:
            return lambda setting: []
        sampler = Explicit(q / q.sum())
    few = (
        LabelPrior.from_probabilities(weight[picked] / weight[picked].sum())
        if prior.counts is None
        else LabelPrior.from_counts(weight[picked])
    )
    at = {int(label): i for i, label in enumerate(picked)}
    tiny = replace(scheme, sampler=sampler, m=min(scheme.m, 3))
    small = Problem(problem.scores[picked], few, at[problem.positive])
    try:
        if scheme.hard is not None:
            tiny, small = _tiny_hard(tiny, scheme.hard, problem, small, at)
        tiny.plan(small)
        sampler.procedure(small)
    except (ValueError, IndexError):  # made for these labels only
        return lambda setting: []
    return _fixed(tiny, loss, small)


def _tiny_hard(
    tiny: Scheme, mode: HardNegatives, problem: Problem, small: Problem, at: dict[int, int]
) -> tuple[Scheme, Problem]:
    """The scheme and the problem of a few labels, with those that the index returned among them, y too."""
    k = min(mode.k, len(at) - 1)
    returned = [at[j] for j in mode.returned(problem).tolist() if j in at][: k + (mode.positives == "replace")]
    return replace(tiny, hard=replace(mode, k=k)), replace(small, labels=np.array(returned, dtype=np.intp))


def _in_symbols(case: Case) -> list[Case]:
    """The case, unless its symbols mean other labels (ranks) or are sums too long to write out."""
    law, order = case.scheme.sampler.law(s.yp), case.problem.prior.by_frequency
    other_labels = s.ranks(law) and not np.array_equal(order, np.arange(order.size))
    mode = case.scheme.hard
    too_long = (law.has(sp.Sum) or (mode is not None and mode.overlap == "exclude")) and order.size > MOST_SUMMED
    return [] if other_labels or too_long else [case]
