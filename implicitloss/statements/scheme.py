"""Everything the theory says about one scheme at one problem: what `implicitloss verify` settles."""

from __future__ import annotations

import numpy as np

from implicitloss import margins, weightings
from implicitloss.check import Case, Setting
from implicitloss.claim import Claim
from implicitloss.labels import LabelPrior
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, logistic
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit, MinimumVariance, Sampler
from implicitloss.scheme import Scheme
from implicitloss.statements import conventions, gradient, lemma1, lemma2, proposition4, proposition5, theorem3
from implicitloss.statements.numbers import CaseList, replace_hits, reweighted
from implicitloss.witness.integrate import integrate

SOFTMAX = SoftmaxCrossEntropy()
LOGISTIC = Decoupled(logistic)


def about_scheme(scheme: Scheme, problem: Problem, target: margins.Margin | None = None) -> list[Claim]:
    """The scheme's own parts, the lemmas, Theorem 3 and the propositions as they stand for `scheme` at `problem`.

    First of all, that the sampler draws by its stated law and that symbols and numbers mean the same; with a
    `target`, that the scheme optimises the loss with these margins.  Lemma 1 and Proposition 5 are tried with the
    logistic loss, the others with softmax.  What does not apply is left out: equality in place of a positive gap where
    every draw is worth the same, the statement on what lies outside Theorem 3 for relative and unit weights, the
    gradient's constant for importance weights without hits only, Proposition 4 for targets that q cannot reach.
    *Raises* ValueError for a scheme that is undefined at the problem.
    """
    scheme.check_symbols()
    scheme.plan(problem)  # what is wrong with the scheme is said before any work
    softmax, decoupled = _fixed(scheme, SOFTMAX, problem), _fixed(_for_loss(scheme, LOGISTIC), LOGISTIC, problem)
    tiny_softmax, tiny_decoupled = (
        _tiny(scheme, SOFTMAX, problem),
        _tiny(_for_loss(scheme, LOGISTIC), LOGISTIC, problem),
    )
    claims = [
        conventions.drawn("sampler", scheme.sampler, problem),
        conventions.conventions(
            "symbols",
            "The scheme means the same in symbols and in numbers.",
            "derived: what the derivation takes for granted",
            _few(tiny_softmax, softmax),
        ),
    ]
    if target is not None:
        claims.append(proposition4.optimises("target", scheme, target, softmax))
    claims += [
        lemma1.derived("derivation", lambda: [(scheme, SOFTMAX), (_for_loss(scheme, LOGISTIC), LOGISTIC)]),
        lemma1.lemma1_mean("lemma1.mean", tiny_decoupled, decoupled),
        lemma1.lemma1_variance_claim("lemma1.variance", tiny_decoupled, decoupled),
    ]
    gap = integrate(scheme, SOFTMAX, problem, "gap")
    if float(gap) > 100 * float(gap.error):
        claims.append(lemma2.lemma2_bound("lemma2.bound", tiny_softmax, softmax))
        claims.append(lemma2.lemma2_gap("lemma2.gap", tiny_softmax, softmax, softmax))
        if scheme.weighting.is_eta_over_m:
            claims.append(theorem3.theorem3_leading("theorem3.leading", softmax, softmax))
            claims.append(theorem3.theorem3_remainder("theorem3.remainder", softmax))
        else:
            claims.append(theorem3.theorem3_outside("theorem3.outside", softmax))
        if isinstance(scheme.weighting, weightings.Importance) and scheme.hits == "exclude":
            claims.append(gradient.gradient_rate("gradient", tiny_softmax, softmax, softmax))
    else:
        claims.append(lemma2.no_gap("lemma2.no-gap", softmax))
    if scheme.hits == "keep" and not isinstance(scheme.sampler, MinimumVariance):
        claims.append(lemma2.hits("lemma2.kept-hits", tiny_softmax, softmax))
    if scheme.hits != "keep":
        claims += _propositions(scheme, problem)
    return claims


def _propositions(scheme: Scheme, problem: Problem) -> list[Claim]:
    """Propositions 4 and 5 for this sampler: any target, and what it costs against the best sampler."""
    every = (margins.Softmax(), margins.LogitAdjusted(), margins.Adaptive(0.25))
    targets = [target for target in every if _reaches(scheme, target, problem)]
    if not targets:
        return []

    def with_target(loss: Loss, target: margins.Margin, hits: str = scheme.hits) -> Case:
        sampler = _for_loss(scheme, loss).sampler
        weighting = weightings.ForMargin(target)
        return Case(Scheme(sampler, weighting, m=scheme.m, hits=hits), loss, problem)  # type: ignore[arg-type]

    def exact(setting: Setting) -> list[Case]:
        return [with_target(loss, target) for loss in (SOFTMAX, LOGISTIC) for target in targets]

    def sampled(setting: Setting) -> list[Case]:
        return [with_target(LOGISTIC, target) for target in targets]

    def competitors(setting: Setting) -> list[Case]:
        return [with_target(LOGISTIC, target, "exclude") for target in reached]

    claims = [proposition4.proposition4("proposition4", [scheme.sampler], targets, exact, sampled)]
    # With one negative there is nothing to choose.
    reached = [target for target in targets[:2] if _reaches(replace_hits(scheme, "exclude"), target, problem)]
    if reached and not isinstance(scheme.sampler, MinimumVariance) and problem.prior.n_labels > 2:
        claims.append(proposition5.proposition5("proposition5", competitors))
    return claims


def _reaches(scheme: Scheme, target: margins.Margin, problem: Problem) -> bool:
    """Whether q > 0 where p > 0."""
    try:
        reweighted(scheme, weightings.ForMargin(target)).plan(problem)
    except ValueError:
        return False
    return True


def _for_loss(scheme: Scheme, loss: Loss) -> Scheme:
    """The scheme itself; a minimum-variance sampler is made for the loss."""
    sampler: Sampler = scheme.sampler
    if isinstance(sampler, MinimumVariance):
        sampler = MinimumVariance(sampler.margin, loss)
    return Scheme(sampler, scheme.weighting, m=scheme.m, hits=scheme.hits)


def _fixed(scheme: Scheme, loss: Loss, problem: Problem) -> CaseList:
    case = Case(scheme, loss, problem)
    return lambda setting: [case]


def _tiny(scheme: Scheme, loss: Loss, problem: Problem) -> CaseList:
    """The scheme with at most three draws on the positive and three more labels, so that every draw can be listed.

    Labels stay sorted by frequency.  No case where the scheme is undefined on a part of the labels.
    """
    prior = problem.prior
    order = prior.by_frequency
    others = order[(order != problem.positive) & (prior.probabilities[order] > 0)]
    picked = others[np.linspace(0, others.size - 1, min(3, others.size)).round().astype(int)]
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
    small = Problem(problem.scores[picked], few, int(np.flatnonzero(picked == problem.positive)[0]))
    tiny = Scheme(sampler, scheme.weighting, m=min(scheme.m, 3), hits=scheme.hits)
    try:
        tiny.plan(small)
    except ValueError:
        return lambda setting: []
    return _fixed(tiny, loss, small)


def _few(tiny: CaseList, whole: CaseList) -> CaseList:
    """The tiny case; the whole problem, if it is small, where a sampler is made for these labels only."""
    return lambda setting: tiny(setting) or [case for case in whole(setting) if case.problem.prior.n_labels <= 100]
