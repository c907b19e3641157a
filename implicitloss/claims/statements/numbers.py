"""Numbers that claims ask of a case, and how far off counts as wrong."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar, cast

import numpy as np

from implicitloss import margins, weightings
from implicitloss.claims.case import Case, Setting
from implicitloss.estimate import Estimate, Quantity
from implicitloss.losses import Loss
from implicitloss.numerics.logsum import logsumexp
from implicitloss.scheme import Hits, Scheme
from implicitloss.theory.implicit import implicit_loss, lemma1_variance
from implicitloss.witness.derive import Derivation, derive
from implicitloss.witness.exhaust import exhaust
from implicitloss.witness.integrate import integrate

__all__ = [
    "EXHAUST",
    "INTEGRATE",
    "MOMENT_ERROR",
    "ONE_DRAW",
    "WEIGHT_ERROR",
    "CaseList",
    "at_m",
    "derivation",
    "exhausted",
    "forget",
    "hard_negatives_twice",
    "hits_kept",
    "implicit",
    "integrated",
    "kept_per_case",
    "log_parts",
    "lost_m",
    "margins_of",
    "on_positive",
    "replace_hits",
    "reweighted",
    "scaled",
    "spread",
    "sum_resolution",
    "target",
    "total",
    "weights_off",
    "without_hard_negatives",
]

CaseList = Callable[[Setting], Sequence[Case]]

EXHAUST = "enumeration of every draw"
INTEGRATE = "one-dimensional integrals"
ONE_DRAW = "moments of one draw"

# A simulation must be able to see weights that are off by this much.
WEIGHT_ERROR = 0.05
# ... and second moments that are off by this much.
MOMENT_ERROR = 0.2


# --- numbers that several claims ask of a case --------------------------------------------------------------------


T = TypeVar("T")
_KEPT: list[Any] = []


def kept_per_case(of_case: Callable[..., T]) -> Callable[..., T]:
    """Compute what is asked of a case once, until `forget`."""
    kept = lru_cache(maxsize=4096)(of_case)
    _KEPT.append(kept)
    return kept


def forget() -> None:
    """Forget what is known of cases: parts of a scheme of one's own may have changed since it was computed."""
    for kept in _KEPT:
        kept.cache_clear()


@kept_per_case
def _integrated(case: Case, quantity: Quantity) -> Estimate:
    return integrate(case.scheme, case.loss, case.problem, quantity)


def integrated(case: Case, quantity: Quantity = "mean") -> Estimate:
    """The exact `quantity` of a case; computed once."""
    return _integrated(case, quantity)


@kept_per_case
def _implicit(case: Case) -> Estimate:
    return implicit_loss(case.scheme, case.loss, case.problem)


@kept_per_case
def _spread(case: Case) -> Estimate:
    return lemma1_variance(case.scheme, case.loss, case.problem)


def spread(case: Case) -> Estimate:
    """Lemma 1's variance; computed once."""
    return _spread(case)


def exhausted(case: Case, quantity: Quantity = "mean") -> Estimate:
    """The enumerated quantity."""
    return exhaust(case.scheme, case.loss, case.problem, quantity)


@kept_per_case
def _derived(scheme: Scheme, loss: Hashable) -> Derivation:
    return derive(scheme, cast(Loss, loss))


def derivation(scheme: Scheme, loss: Loss) -> Derivation:
    """The derivation of a scheme under a loss; made once."""
    return _derived(scheme, cast(Hashable, loss))


def implicit(case: Case) -> Estimate:
    """The implicit loss of a case; computed once."""
    return _implicit(case)


def on_positive(case: Case) -> float:
    """φ(f_y)."""
    return case.loss.positive_pays(float(case.problem.scores[case.problem.positive]))


def margins_of(hard: bool) -> str:
    """The margins of schemes without and with hard negatives, as a statement has them."""
    return "p_yy' = w_T 1_T(y') + m w_yy' q_y'" if hard else "p_yy' = m w_yy' q_y'"


def log_parts(case: Case) -> tuple[float, float]:
    """The logarithms of Σ_T w_T payment, which is known, and of Σ m w_yy' q_y' payment, which is drawn."""
    plan = case.scheme.plan(case.problem, loss=case.loss)
    payment = case.loss.log_payment(case.problem.scores, case.problem.positive)
    known = float(logsumexp(plan.log_hard_terms(payment))) if plan.hard.size else -np.inf
    return known, float(np.log(case.scheme.m) + logsumexp(plan.log_q + plan.log_w + payment))


def scaled(case: Case, factor: float, of_hard: float = 1.0) -> Estimate:
    """The implicit loss with the weights of draws `factor` times as large, and those of hard negatives `of_hard` times.

    A lost m, weights a little off, hard negatives that count twice.
    """
    exact = implicit(case)
    inner = float(exact) - on_positive(case)
    if case.scheme.hard is not None:
        known, drawn = log_parts(case)
        with np.errstate(divide="ignore"):
            log_total = np.logaddexp(np.log(of_hard) + known, np.log(factor) + drawn)
        inner = float(np.logaddexp(0.0, log_total) if case.loss.has_log else np.exp(log_total))
    elif case.loss.has_log:
        # log(1 + factor (e^b - 1)), also where e^b overflows
        log_total = np.log(np.expm1(inner)) if inner < 700 else inner
        inner = float(np.logaddexp(0.0, np.log(factor) + log_total))
    else:
        inner *= factor
    return Estimate(on_positive(case) + inner, exact.error, "implicit loss", "closed form")


def total(case: Case) -> float:
    """Σ m w_yy' q_y' payment: what the draws add to the sum in the implicit loss."""
    if case.scheme.hard is not None:
        return float(np.exp(log_parts(case)[1]))
    inner = float(implicit(case)) - on_positive(case)
    return float(np.expm1(inner)) if case.loss.has_log else inner


def without_hard_negatives(case: Case) -> Estimate:
    """p = m w q, without w_T 1_T."""
    return scaled(case, 1.0, of_hard=0.0)


def hard_negatives_twice(case: Case) -> Estimate:
    """p = 2 w_T 1_T + m w q."""
    return scaled(case, 1.0, of_hard=2.0)


def lost_m(case: Case) -> Estimate:
    """w q in place of m w q."""
    return scaled(case, 1 / case.scheme.m)


def weights_off(case: Case) -> Estimate:
    """All weights of draws `WEIGHT_ERROR` too large."""
    return scaled(case, 1 + WEIGHT_ERROR)


def sum_resolution(case: Case) -> float:
    """What weights that are off by `WEIGHT_ERROR` do to a decoupled loss."""
    return float(abs(float(weights_off(case)) - float(implicit(case))))


def hits_kept(case: Case) -> Estimate:
    """The implicit loss as if hits counted: the sum without its y' != y."""
    return implicit_loss(replace_hits(case.scheme, "keep"), case.loss, case.problem)


def replace_hits(scheme: Scheme, hits: Hits) -> Scheme:
    """This scheme with another mode for hits."""
    return replace(scheme, hits=hits)


def reweighted(scheme: Scheme, weighting: weightings.Weighting) -> Scheme:
    """This scheme with other weights on the same draws."""
    return replace(scheme, weighting=weighting)


def at_m(case: Case, m: int) -> Case:
    """This case with another number of negatives."""
    return replace(case, scheme=replace(case.scheme, m=m))


def target(case: Case) -> margins.Margin:
    """The target margin of a case whose weights are made for one."""
    weighting = case.scheme.weighting
    assert isinstance(weighting, weightings.ForMargin)
    return weighting.target
