"""Weights that teach log η - log δ at every number of negatives."""

from __future__ import annotations

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import EXHAUST
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.scheme import Hits
from implicitloss.witness.exhaust import exhaust
from paper_checks.design.listing import (
    LISTED,
    N_LABELS,
    SEEN,
    SOURCE,
    OfSlots,
    Slots,
    by_library,
    centred,
    every,
    of,
    prior,
)

BALANCE = "balance of what pushes each score up and down"


def _every(setting: Setting) -> list[Slots]:
    return every()


def _few(setting: Setting) -> list[Slots]:
    return every(("balanced softmax", "offsets"))


def _target(slots: Slots) -> Estimate:
    """log η - log δ."""
    return centred(slots.target_scores)


def _inverted(slots: Slots) -> Estimate:
    return centred(np.log(slots.eta) + np.log(slots.delta))


def _without_sampler(slots: Slots) -> Estimate:
    """log η - log δ - log q, as weights of 1 have it where δ = 1."""
    return centred(np.log(slots.eta) - np.log(slots.delta) - np.log(slots.q))


def _with_hits(hits: Hits) -> OfSlots:
    return lambda slots: centred(of(slots, hits=hits).optimum)


MISSES: dict[str, OfSlots] = {
    "hits may be masked": _with_hits("mask"),
    "hits may be excluded": _with_hits("exclude"),
    "f* = log η + log δ": _inverted,
    "f* = log η - log δ - log q": _without_sampler,
}


# --- the gradient at f* -----------------------------------------------------------------------------------------------


def _gradient(slots: Slots) -> Estimate:
    """Σ η_y E[gradient], (L,), at f* by the library's enumeration."""
    f, scheme = slots.target_scores, slots.scheme()
    parts = [exhaust(scheme, SoftmaxCrossEntropy(), Problem(f, prior(), y), "gradient") for y in range(N_LABELS)]
    value, error = (slots.eta @ np.array([getattr(part, name) for part in parts]) for name in ("value", "error"))
    return Estimate(value, error, "gradient", "exhaust")


def _nothing(slots: Slots) -> Floats:
    return np.zeros(N_LABELS)


def _gradient_at(scores: OfSlots, hits: Hits = "keep") -> OfSlots:
    def gradient(slots: Slots) -> Estimate:
        found = of(slots, hits=hits)
        value = found.chances @ found.gradients(np.asarray(scores(slots).value))
        return Estimate(value, np.full(N_LABELS, 1e-14), "gradient", "listing")

    return gradient


CLAIMS = (
    Claim(
        "design.weights.consistent",
        "With w_yy' = δ_y' q_y/(δ_y q_y') and hits kept the sampled softmax loss is least at f* = log η - log δ, for "
        "every number of negatives m, every law q and every δ.",
        SOURCE,
        (
            Exact(
                LISTED,
                _every,
                lambda slots: centred(of(slots).optimum),
                _target,
                MISSES,
                resolution=SEEN,
                floor=SEEN,
                uses_prior=False,
            ),
            Exact(
                BALANCE,
                _every,
                lambda slots: by_library(slots.scheme(), slots.eta),
                _target,
                MISSES,
                resolution=SEEN,
                floor=SEEN,
                uses_prior=False,
            ),
            Exact(
                f"gradient at f* by {EXHAUST}",
                _few,
                _gradient,
                _nothing,
                {
                    "hits may be masked": _gradient_at(_target, "mask"),
                    "hits may be excluded": _gradient_at(_target, "exclude"),
                    "f* = log η + log δ": _gradient_at(_inverted),
                },
                floor=1e-9,
                uses_prior=False,
            ),
        ),
        ("draws are i.i.d. given x, and independent of the positive",),
    ),
)
