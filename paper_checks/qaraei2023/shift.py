"""Hard negatives join the positive, and the variance of a sum of one-label losses does not know them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from implicitloss.claims.case import Case, Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements import hard
from implicitloss.claims.statements.lemma1 import variance_with_hard
from implicitloss.claims.statements.numbers import ONE_DRAW, integrated
from implicitloss.estimate import Estimate
from implicitloss.hard import OVERLAPS, HardNegatives
from implicitloss.samplers import WithinBatch
from implicitloss.scheme import HITS, Scheme
from implicitloss.theory.implicit import lemma1_variance
from implicitloss.weightings import Importance, Unit
from paper_checks import cases
from paper_checks.qaraei2023 import listing


def _softmax(setting: Setting) -> list[Case]:
    return listing.every_mode(cases.SOFTMAX, weightings=(Unit(), Importance()))


def _logistic(setting: Setting) -> list[Case]:
    return listing.every_mode(listing.LOGISTIC)


def _tiny(setting: Setting) -> list[Case]:
    return listing.every_mode(cases.SOFTMAX, weightings=(Importance(),))


def _on_prior(setting: Setting) -> list[Case]:
    """Each mode for overlap and for hits on the labels of the run, an eighth of them in T; weights of 1."""
    at, k = cases.problem(setting.prior, "aligned"), max(1, setting.prior.n_labels // 8)
    return [
        Case(Scheme(WithinBatch(), Unit(), m=16, hits=hits, hard=HardNegatives(k, 0.5, overlap)), cases.SOFTMAX, at)
        for overlap in OVERLAPS
        for hits in HITS
    ]


def _shift() -> Claim:
    shared = hard.shift("qaraei2023.shift.numbers", _tiny, _on_prior)
    by_listing = Exact(
        "every sequence of draws listed against one-dimensional integrals",
        hard.measurands(_softmax),
        lambda given: listing.number(given.case, given.quantity),
        lambda given: integrated(given.case, given.quantity),
        hard.MISSES,
        resolution=1e-6,
        floor=hard.least,
        uses_prior=False,
    )
    return replace(shared, checks=(*shared.checks, by_listing))


def _formula(case: Case) -> Estimate:
    return lemma1_variance(case.scheme, case.loss, case.problem)


def _of_mode(overlap: str) -> Callable[[Case], Estimate]:
    """The variance with another mode for overlap."""

    def variance(case: Case) -> Estimate:
        assert case.scheme.hard is not None
        other = replace(case.scheme, hard=replace(case.scheme.hard, overlap=overlap))  # type: ignore[arg-type]
        return lemma1_variance(other, case.loss, case.problem)

    return variance


def _heavier(case: Case, factor: float = 1000.0) -> Estimate:
    """The variance by integrals of the case with T's weight 1000 times as large."""
    mode = case.scheme.hard
    assert mode is not None
    return integrated(
        replace(case, scheme=replace(case.scheme, hard=replace(mode, weight=factor * mode.weight))), "variance"
    )


VARIANCE_MISSES: dict[str, Callable[[Case], Estimate]] = {
    "hard negatives add Σ_T w_T² ϕ²": variance_with_hard,
    "draws of hard negatives add nothing in any mode": _of_mode("mask"),
    "draws of hard negatives add to it in every mode": _of_mode("keep"),
}

CLAIMS = (
    _shift(),
    Claim(
        "qaraei2023.shift.variance",
        "The variance of a sampled decoupled loss has no term of T, whatever T weighs: it is Σ w_yy' p_yy' ϕ² - "
        "(1/m) (Σ p_yy' ϕ)² with p_yy' = m w_yy' q_y'.",
        "derived: T is known, and a number that is known has no variance; the rest is Rawat et al. 2021, Eq. (10)",
        (
            Exact(
                "every sequence of draws listed",
                _logistic,
                lambda case: listing.number(case, "variance"),
                _formula,
                VARIANCE_MISSES,
                uses_prior=False,
            ),
            Exact(
                f"{ONE_DRAW}, T with a weight 1000 times as large",
                _logistic,
                _heavier,
                _formula,
                VARIANCE_MISSES,
                uses_prior=False,
            ),
        ),
        ("given T; draws that count as their modes for hits and overlap say",),
    ),
)
