"""The check of a weighting: its numbers, its symbols and what it says of itself."""

from __future__ import annotations

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.arguments import checked_flag, defines, shown
from implicitloss.claims.case import Case
from implicitloss.claims.statements.conventions import number
from implicitloss.labels import Floats
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit
from implicitloss.scheme import HITS, Scheme
from implicitloss.testing.contract import (
    AGREE,
    MOST_SYMBOLIC_LABELS,
    as_assertion,
    check_equal,
    check_value,
    must,
    problems,
)
from implicitloss.weightings import Weighting, checked_weighting, complete_weighting

__all__ = ["check_weighting"]


def check_weighting(weighting: Weighting, problem: Problem | None = None) -> None:
    """Check that the weights in symbols are those in numbers, and what a weighting says of itself.

    For each mode of hits, several m and several positives, labels drawn with q ∝ 1, 2, ..., L: `weight` in symbols is
    `log_weight` in numbers; `log_factors` add up to it; `is_eta_over_m` and `m_power` are how it goes with m; equal
    weightings are equal and hash alike.

    Parameters
    ----------
    weighting
        An instance, of the library or of a class of one's own.  Without `weight` no symbols are compared.
    problem
        Where the weighting is tried, with its own positive and each of the first and the last label.  Default: four
        labels.  Symbols are compared for at most 64 labels.

    Raises
    ------
    AssertionError
        With one sentence.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.testing.check_weighting(il.weightings.ForMargin(il.margins.LogitAdjusted(0.5)))
    """
    with as_assertion():
        checked_weighting(weighting)
        check_value(weighting, "weighting")
        for at in problems(problem):
            ramp = np.arange(1.0, at.prior.n_labels + 1)
            sampler = Explicit(ramp / ramp.sum())
            for hits in HITS:
                if hits == "exclude" and at.prior.n_labels == 1:
                    continue
                schemes = [Scheme(sampler, weighting, m=m, hits=hits) for m in (1, 3, 8)]
                for scheme in schemes:
                    log_w = scheme.plan(at).log_w
                    _check_factors(scheme, at, log_w)
                    if defines(weighting, "weight", Weighting):
                        _check_weight_in_symbols(scheme, at, log_w)
                _check_powers(schemes, at)


def _drawn(log_w: Floats) -> list[int]:
    return np.flatnonzero(log_w > -np.inf).tolist()


def _check_factors(scheme: Scheme, at: Problem, log_w: Floats) -> None:
    weighting, y = scheme.weighting, at.positive
    log_q = scheme.log_law(at)
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = complete_weighting(weighting).log_factors(log_q, at.prior, scheme.m, scheme.hits == "exclude")
        if factors is None:
            return
        log_a, log_b = (np.broadcast_to(factor, log_w.shape) for factor in factors)
        log_ab = log_a[y] + log_b
    check_equal(
        log_ab,
        log_w,
        AGREE * (1 + np.abs(log_a[y]) + np.abs(log_b)),
        lambda j: f"log_factors of {shown(weighting)} must add up to log_weight: label {j} at positive {y}, {scheme}",
        _drawn(log_w),
    )


def _check_weight_in_symbols(scheme: Scheme, at: Problem, log_w: Floats) -> None:
    scheme.check_symbols()
    if at.prior.n_labels > MOST_SYMBOLIC_LABELS:
        return
    law, y = scheme.sampler.law, at.positive
    rest = 1 - law(s.y) if scheme.hits == "exclude" else sp.Integer(1)
    case, w = Case(scheme, SoftmaxCrossEntropy(), at), np.zeros(log_w.size)
    for j in _drawn(log_w):
        w[j] = number(
            scheme.weighting.weight(lambda yp: law(yp) / rest, law, s.y if j == y else s.yp),
            case,
            j,
        )
    check_equal(
        np.exp(log_w),
        w,
        AGREE * w,
        lambda j: (
            f"log_weight and weight of {shown(scheme.weighting)} must give label {j} the same weight at positive {y}, "
            f"m = {scheme.m}, hits={scheme.hits!r}"
        ),
        _drawn(log_w),
    )


def _check_powers(schemes: list[Scheme], at: Problem) -> None:
    """How log w goes with log m, against what the weighting says of it."""
    weighting, m = schemes[0].weighting, np.log([scheme.m for scheme in schemes])
    log_w = np.array([scheme.plan(at).log_w for scheme in schemes])
    log_w = log_w[:, np.isfinite(log_w).all(axis=0)]

    def goes_with(power: int) -> bool:
        free = log_w - power * m[:, None]
        return bool(np.all(np.abs(free - free[0]) <= AGREE * (1 + np.abs(log_w))))

    says = checked_flag(weighting.is_eta_over_m, f"is_eta_over_m of {shown(weighting)}")
    must(
        goes_with(-1) == says or not log_w.size,
        f"is_eta_over_m of {shown(weighting)} must be {not says}: m w {'moves' if says else 'does not move'} with m",
    )
    power = complete_weighting(weighting).m_power
    must(
        power is None or goes_with(power),
        f"m_power of {shown(weighting)} must be the k of w = η m^k with η free of m, or None, got {power}",
    )
