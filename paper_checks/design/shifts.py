"""Factors of the weights that shift the optimum by as much, in any scheme: another target, an error of q."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.scheme import HITS, Hits
from implicitloss.weightings import Draws, ForMargin, Relative, Weighting
from paper_checks.design.listing import (
    LISTED,
    N_LABELS,
    SEEN,
    TARGETS,
    Slots,
    by_library,
    centred,
    of,
    ratios,
)
from paper_checks.design.weights import BALANCE

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
        found = {"importance": rest / (m * q) * ones, "unit": ones, "constant": ones / m, "relative": ratios(1 / q)}
        return found[self.name]

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

# --- q that is wrong --------------------------------------------------------------------------------------------------

# log q̂ - log q of each label.
MISTAKE = np.array([0.3, -0.5, 0.1, 0.4])


@dataclass(frozen=True)
class Estimated(Weighting):
    """Weights b_y'/b_y by the logarithms of b."""

    log_b: tuple[float, ...]
    is_eta_over_m = False

    def log_weight(self, draws: Draws) -> Floats:
        return np.array(self.log_b) - self.log_b[draws.positive]

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> tuple[Floats, Floats]:
        return -np.array(self.log_b), np.array(self.log_b)


def _moved(case: Weighed) -> Estimate:
    """By how much f* moves where q̂ stands for q, (L,)."""
    return centred(case.optimum(lambda delta: ratios(np.exp(-MISTAKE))) - case.optimum(lambda delta: 1.0))


def _moved_in_library(case: Weighed) -> Estimate:
    slots, wrong = case.slots, -np.log(case.slots.q) - MISTAKE
    moved = by_library(slots.scheme(Estimated(tuple(wrong.tolist())), case.hits), slots.eta)
    honest = by_library(slots.scheme(Relative(), case.hits), slots.eta)
    return centred(np.subtract(moved.value, honest.value), 2 * float(np.max(honest.error)))


_relative = _weighed(("relative",))


def _by(factor: float) -> Callable[[Weighed], Estimate]:
    return lambda case: centred(factor * MISTAKE)


def _importance_moved(case: Weighed) -> Estimate:
    """By how much the optimum of weights 1/(m q̂) is off that of 1/(m q)."""
    case = replace(case, name="importance")
    return centred(case.optimum(lambda delta: np.exp(-MISTAKE)) - case.optimum(lambda delta: 1.0))


MISTAKES: dict[str, Callable[[Weighed], Estimate]] = {
    "f* moves by log q - log q̂": _by(-1),
    "f* does not move": _by(0),
    "for importance weights 1/(m q̂) it is the same": _importance_moved,
}

CLAIMS = (
    Claim(
        "design.shifts.wrong-law",
        "Weights q̂_y/q̂_y' by an estimate q̂ of the law, in place of q_y/q_y', move the optimum by log q̂ - log q, one to "
        "one, at every m and in every mode for hits.",
        "derived: δ = q/q̂ makes one of the other",
        (
            Exact(LISTED, _relative, _moved, _by(1), MISTAKES, resolution=SEEN, floor=SEEN, uses_prior=False),
            Exact(
                BALANCE,
                _relative,
                _moved_in_library,
                _by(1),
                MISTAKES,
                resolution=SEEN,
                floor=SEEN,
                uses_prior=False,
            ),
        ),
        ("q and q̂ are positive",),
    ),
    Claim(
        "design.shifts.target",
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
