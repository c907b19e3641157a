"""Lemma 2: the bound for sampled softmax, its gap, when it is an equality, and what kept hits do to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss import weightings
from implicitloss.claims.case import Case
from implicitloss.claims.checks import Exact, Identity, Simulated
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import (
    EXHAUST,
    INTEGRATE,
    CaseList,
    exhausted,
    implicit,
    integrated,
    lost_m,
    margins_of,
    replace_hits,
    without_hard_negatives,
)
from implicitloss.estimate import Estimate
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.numerics.logsum import logsumexp
from implicitloss.samplers import MinimumVariance, ModelBased, Sampler, Uniform
from implicitloss.scheme import Hits
from implicitloss.theory.implicit import implicit_loss, log_expected_weights
from implicitloss.witness.integrate import integrate

__all__ = ["hits", "lemma2_bound", "lemma2_equality", "lemma2_gap", "no_gap"]


def lemma2_bound(id: str, tiny: CaseList, cases: CaseList, hard: bool = False, wide: bool = True) -> Claim:
    """E ℓ(N) <= log(1 + Σ p e^{f_y' - f_y}).  A gap that is not `wide` is lost in the rounding of its two sides."""
    total = sp.Symbol("S", nonnegative=True)
    curvature = sp.diff(sp.log(1 + total), total, 2)

    def concave(sign: int) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
        return lambda: [("d²/dS² log(1 + S)", curvature, sign / (1 + total) ** 2)]

    lost = "the bound holds with p = w q, without the factor m"
    equal = "the bound is always an equality"
    tight = "the expected loss always exceeds the bound"
    misses = {lost: ("<=", lost_m), **({equal: ("=", implicit), tight: (">", implicit)} if wide else {})}
    if hard:
        misses["the bound holds without hard negatives"] = ("<=", without_hard_negatives)
    margins = margins_of(hard) if hard else "p = m w q"
    return Claim(
        id,
        f"The expected sampled softmax cross-entropy is at most log(1 + Σ_{{y'≠y}} p_yy' e^{{f_y' - f_y}}), {margins}.",
        f"Rawat et al. 2021, Lemma 2, Eq. (11){'; hard negatives: derived' if hard else ''}",
        (
            Identity(concave(-1), {"log(1 + S) is convex": concave(1)}, detail="log(1 + S) is concave", whole=False),
            Exact(EXHAUST, tiny, exhausted, implicit, misses, relation="<="),  # type: ignore[arg-type]
            Exact(INTEGRATE, cases, integrated, implicit, misses, relation="<="),  # type: ignore[arg-type]
        ),
        ("m draws, i.i.d. from q; kept hits add c_y = m w_yy q_y inside the log (derived)",),
    )


def lemma2_gap(id: str, tiny: CaseList, cases: CaseList, sampled: CaseList, hard: bool = False) -> Claim:
    """The gap is positive and equals its integral."""

    def gap(case: Case) -> Estimate:
        return integrated(case, "gap")

    def zero(case: Case) -> float:
        return 0.0

    def half_mse(case: Case) -> Estimate:
        return replace(integrated(case, "mse"), value=float(integrated(case, "mse")) / 2)

    second = "the gap is half the squared error, as its leading term is"
    return Claim(
        id,
        "The Jensen gap of Lemma 2 is positive unless all draws are worth the same, and is "
        "∫ e^{-t}(M(t) - e^{-tES}) dt/t.",
        "derived: log(1+x) = ∫ e^{-t}(1 - e^{-tx}) dt/t (Frullani), M(t) = E e^{-tS} = "
        f"{'e^{-tA} φ(t)^m, A = Σ_T w_T e^{f_j - f_y}' if hard else 'φ(t)^m'}; "
        "Rawat et al. 2021 call a closed form elusive",
        (
            Exact(
                f"{INTEGRATE} against {EXHAUST}",
                tiny,
                lambda case: exhausted(case, "gap"),
                gap,
                {second: half_mse},
                floor=1e-11,
            ),
            Exact(INTEGRATE, cases, gap, zero, {"the gap is zero": ("=", zero), second: ("=", half_mse)}, relation=">"),
            Simulated(
                sampled,
                integrated,
                lambda case: float(gap(case)),
                {"the expected loss is the bound": implicit},
            ),
        ),
        ("the cases are not degenerate: w_yy' e^{f_y'} differs between labels that are drawn",),
    )


def lemma2_equality(id: str, cases: CaseList) -> Claim:
    """q ∝ e^f on the negatives with importance weights: equality."""
    star, importance = MinimumVariance(), weightings.Importance()

    def worth(sampler: Sampler, weighting: weightings.Weighting) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
        loss = SoftmaxCrossEntropy()
        one = weighting.weight(sampler.law, sampler.law, s.yp) * loss.payment(s.yp)
        same = s.over_negatives(loss.payment(s.k), s.k) / s.m
        return lambda: [("w_yy' e^{f_y' - f_y}, what one draw adds", one, same)]

    def gap_under(sampler: Sampler, weighting: weightings.Weighting, hits: Hits) -> Callable[[Case], Estimate]:
        def gap(case: Case) -> Estimate:
            scheme = replace(case.scheme, sampler=sampler, weighting=weighting, hits=hits)
            return integrate(scheme, case.loss, case.problem, "gap")

        return gap

    masked = "equality with q ∝ e^f over all labels, hits masked"
    constant = "equality with q ∝ e^f on the negatives and constant weights"
    uniform = "equality with importance weights and uniform negatives"
    return Claim(
        id,
        "With q ∝ e^f on the negatives and importance weights the bound is an equality: every draw adds the same.",
        "Rawat et al. 2021, after Lemma 2",
        (
            Identity(
                worth(star, importance),
                {
                    masked: worth(ModelBased(), importance),
                    constant: worth(star, weightings.Constant()),
                    uniform: worth(Uniform(), importance),
                },
            ),
            Exact(
                "the gap",
                cases,
                lambda case: 0.0,
                gap_under(ModelBased(), importance, "exclude"),
                {
                    masked: gap_under(ModelBased(), importance, "mask"),
                    constant: gap_under(ModelBased(), weightings.Constant(), "exclude"),
                    uniform: gap_under(Uniform(), importance, "exclude"),
                },
                floor=1e-18,
                detail="by integrals",
            ),
        ),
        ("the positive is never drawn",),
    )


def no_gap(id: str, cases: CaseList) -> Claim:
    """Where every draw is worth the same there is no gap and no variance, for these cases."""

    def half(case: Case) -> Estimate:
        """What halving the weights of every other label would make of the gap."""
        halves = np.where(np.arange(case.problem.scores.size) % 2 == 0, np.log(0.5), 0.0)
        scores = case.problem.scores + halves - halves[case.problem.positive]
        plan = case.scheme.plan(case.problem)
        payment = case.loss.log_payment(scores, case.problem.positive)
        log_x = plan.log_w + payment + np.log(case.scheme.m)
        log_mean = logsumexp(plan.log_q + log_x)
        if log_mean == -np.inf:  # no draw pays anything, and half of nothing is nothing
            return Estimate(0.0, 0.0, "spread", "claimed")
        relative = np.exp(plan.log_q) @ np.expm1(log_x - log_mean) ** 2
        # Hard negatives join the positive: 1 + A for 1.
        known = 1 + np.exp(plan.log_hard_terms(payment)).sum() if plan.hard.size else 1
        return Estimate(float(relative / (1 + known * np.exp(-log_mean)) ** 2), 0.0, "spread", "claimed")

    return Claim(
        id,
        "Every draw is worth the same here: the bound is an equality, without variance.",
        "Rawat et al. 2021, after Lemma 2",
        (
            Exact(
                "the gap",
                cases,
                lambda case: 0.0,
                lambda case: integrated(case, "gap"),
                {"the gap is what weights halved on every other label make it": half},
                floor=1e-18,
                detail="by integrals",
            ),
            Exact(
                "the variance",
                cases,
                lambda case: 0.0,
                lambda case: integrated(case, "variance"),
                {"the variance is what weights halved on every other label make it": half},
                floor=1e-18,
                detail="by integrals",
            ),
        ),
    )


def hits(id: str, tiny: CaseList, cases: CaseList) -> Claim:
    """Kept hits divide the softmax margins by 1 + c_y."""

    def enumerated(case: Case) -> Estimate:
        """log(1 + E S), every draw listed: the mean and its gap."""
        mean, gap = exhausted(case), exhausted(case, "gap")
        return Estimate(float(mean) + float(gap), float(mean.error) + float(gap.error), "implicit loss", "exhaust")

    def effective(case: Case) -> Estimate:
        """log(1 + c) + log(1 + Σ p/(1+c) e^{f_y' - f_y})."""
        y = case.problem.positive
        p = log_expected_weights(case.scheme, case.problem)
        kept = float(np.logaddexp(0.0, p[y]))
        terms = p - kept + case.loss.log_payment(case.problem.scores, y)
        terms[y] = -np.inf
        value = kept + float(np.logaddexp(0.0, logsumexp(terms)))
        return Estimate(value, 1e-13 * value, "implicit loss", "closed form")

    def undivided(case: Case) -> float:
        y = case.problem.positive
        p = log_expected_weights(case.scheme, case.problem)
        terms = p + case.loss.log_payment(case.problem.scores, y)
        terms[y] = -np.inf
        return float(np.logaddexp(0.0, p[y]) + np.logaddexp(0.0, logsumexp(terms)))

    def masked(case: Case) -> float:
        return float(implicit_loss(replace_hits(case.scheme, "mask"), case.loss, case.problem))

    misses = {"the margins are not divided by 1 + c_y": undivided, "hits do not count": masked}
    return Claim(
        id,
        "Where hits are kept the bound is log(1 + c_y) + log(1 + Σ p_yy'/(1 + c_y) e^{f_y' - f_y}), c_y = m w_yy q_y.",
        "derived: 1 + c + Σ p e^{f'-f} = (1 + c)(1 + Σ p/(1+c) e^{f'-f}); "
        "Rawat et al. 2021, Remark 1, leave hits to their appendix",
        (
            Exact(EXHAUST, tiny, enumerated, effective, misses),
            Exact("closed forms", cases, implicit, effective, misses, resolution=1e-9),
        ),
        ("hits are kept",),
    )
