"""Weights that teach log η - log δ at every number of negatives, and what an error of q or another target does."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import EXHAUST
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.scheme import HITS, Hits
from implicitloss.weightings import Draws, ForMargin, Weighting
from implicitloss.witness.exhaust import exhaust
from paper_checks.design.listing import (
    LISTED,
    N_LABELS,
    SEEN,
    SOURCE,
    TARGETS,
    OfSlots,
    Slots,
    by_library,
    centred,
    every,
    of,
    prior,
    ratios,
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


# --- q that is wrong --------------------------------------------------------------------------------------------------

# log q̂ - log q of each label.
MISTAKE = np.array([0.3, -0.5, 0.1, 0.4])


@dataclass(frozen=True)
class Estimated(Weighting):
    """Consistent weights by an estimate q̂ = e^{log_b} of the law, less log δ."""

    log_b: tuple[float, ...]
    is_eta_over_m = False

    def log_weight(self, draws: Draws) -> Floats:
        return np.array(self.log_b) - self.log_b[draws.positive]

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> tuple[Floats, Floats]:
        return -np.array(self.log_b), np.array(self.log_b)


def _log_b(slots: Slots) -> Floats:
    return np.asarray(np.log(slots.delta) - np.log(slots.q) - MISTAKE)


def _moved(slots: Slots) -> Estimate:
    """By how much f* moves where q̂ stands for q."""
    return centred(of(slots, ratios(np.exp(_log_b(slots)))).optimum - of(slots).optimum)


def _moved_in_library(slots: Slots) -> Estimate:
    wrong = slots.scheme(Estimated(tuple(_log_b(slots).tolist())))
    found = by_library(wrong, slots.eta), by_library(slots.scheme(), slots.eta)
    return centred(np.subtract(*(np.asarray(each.value) for each in found)), 2 * float(np.max(found[0].error)))


def _by(factor: float) -> OfSlots:
    return lambda slots: centred(factor * MISTAKE)


def _importance_moved(slots: Slots) -> Estimate:
    """By how much the optimum of weights 1/(m q̂), hits masked, is off that of 1/(m q)."""
    right = np.tile(1 / (slots.m * slots.q), (N_LABELS, 1))
    return centred(of(slots, right * np.exp(-MISTAKE), "mask").optimum - of(slots, right, "mask").optimum)


MISTAKES: dict[str, OfSlots] = {
    "f* moves by log q - log q̂": _by(-1),
    "f* does not move": _by(0),
    "for importance weights 1/(m q̂) it is the same": _importance_moved,
}


# --- other targets ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weighed:
    """Weights w_yy', of any kind, with a mode for hits."""

    slots: Slots
    name: str
    hits: Hits

    def __str__(self) -> str:
        return f"{self.name} weights, hits={self.hits}, {self.slots}"

    @property
    def weights(self) -> Floats:
        """w_yy' before δ, (L, L)."""
        q, m = self.slots.q, self.slots.m
        rest = (1 - q)[:, None] if self.hits == "exclude" else 1.0
        ones = np.ones((N_LABELS, N_LABELS))
        return {"importance": rest / (m * q) * ones, "unit": ones, "constant": ones / m}[self.name]

    def optimum(self, factor: Callable[[Floats], Floats | float]) -> Floats:
        """f* of the weights times a factor that δ makes, (L,)."""
        return of(self.slots, self.weights * factor(self.slots.delta), self.hits).optimum


def _weighed(names: tuple[str, ...]) -> Callable[[Setting], list[Weighed]]:
    def found(setting: Setting) -> list[Weighed]:
        laws, targets = ("in batch", "a quarter in batch"), ("balanced softmax", "offsets")
        slots = [Slots(*parts, m, m // 2) for parts in itertools.product(laws, targets) for m in (1, 3)]
        return [Weighed(at, name, hits) for at in slots for name in names for hits in HITS]

    return found


def _with_target(case: Weighed, factor: Callable[[Floats], Floats | float] = ratios) -> Estimate:
    """f* + log δ, f* the optimum of weights w δ_y'/δ_y."""
    return centred(case.optimum(factor) + np.log(case.slots.delta))


def _tail_in_library(case: Weighed) -> Estimate:
    scheme = case.slots.scheme(ForMargin(TARGETS[case.slots.target][0]), case.hits)
    found = by_library(scheme, case.slots.eta)
    return centred(np.asarray(found.value) + np.log(case.slots.delta), float(np.max(found.error)))


def _without_target(case: Weighed) -> Estimate:
    return centred(case.optimum(lambda delta: 1.0))


OTHER_TARGETS: dict[str, Callable[[Weighed], Estimate]] = {
    "weights w δ_y' do it": partial(_with_target, factor=lambda delta: delta),
    "weights w δ_y/δ_y' do it": partial(_with_target, factor=lambda delta: ratios(1 / delta)),
    "neither deviates": lambda case: centred(np.log(case.slots.eta)),
}

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
    Claim(
        "design.weights.wrong-law",
        "Consistent weights by an estimate q̂ of the law move the optimum by log q̂ - log q, one to one, at every m.",
        SOURCE,
        (
            Exact(LISTED, _few, _moved, _by(1), MISTAKES, resolution=SEEN, floor=SEEN, uses_prior=False),
            Exact(BALANCE, _few, _moved_in_library, _by(1), MISTAKES, resolution=SEEN, floor=SEEN, uses_prior=False),
        ),
        ("hits kept",),
    ),
    Claim(
        "design.weights.target",
        "The optimum with weights w_yy' δ_y'/δ_y is that with w_yy', less log δ, whatever w, m and the mode for hits: "
        "tail weights miss log η - log π by as much as importance weights miss log η.",
        "derived: f - log δ in place of f",
        (
            Exact(
                LISTED,
                _weighed(("importance", "unit", "constant")),
                _with_target,
                _without_target,
                OTHER_TARGETS,
                resolution=SEEN,
                floor=SEEN,
                uses_prior=False,
            ),
            Exact(
                f"{BALANCE}, weights p/(m q)",
                _weighed(("importance",)),
                _tail_in_library,
                _without_target,
                OTHER_TARGETS,
                resolution=SEEN,
                floor=SEEN,
                uses_prior=False,
            ),
        ),
        ("δ_y' > 0 is free of x",),
    ),
)
