"""The corrected log-Q loss of 2025: another way to write importance weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import sympy as sp

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact, Identity
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import EXHAUST
from implicitloss.estimate import Estimate
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.weightings import Importance
from implicitloss.witness.exhaust import exhaust
from paper_checks.design.listing import N_LABELS, Slots, every, of, prior

Pairs = Callable[[], Iterator[tuple[str, sp.Expr, sp.Expr]]]
# Scores that are no optimum.
SCORES = np.array([0.4, -0.7, 0.9, 0.1])

# --- in symbols -------------------------------------------------------------------------------------------------------

m = sp.Symbol("m", positive=True)
f_y, *F = sp.symbols("f_y f_1:4", real=True)
Q, OTHER = sp.symbols("q_1:4", positive=True), sp.symbols("g_1:4", real=True)


def _gradients(positive_in_sum: bool = False, of_p: sp.Expr = m, other_draws: bool = False) -> Pairs:
    """Both gradients at three draws off y, each of f_y and the scores of the draws.

    A mistake has the `positive_in_sum`, p̂ with weights 1/(of_p q), or p̂ from other draws.
    """

    def pairs() -> Iterator[tuple[str, sp.Expr, sp.Expr]]:
        total = sum(sp.exp(f) / (m * q) for f, q in zip(F, Q, strict=True))
        seen = sum(sp.exp(f) / (of_p * q) for f, q in zip(OTHER if other_draws else F, Q, strict=True))
        weight = seen / (sp.exp(f_y) + seen)  # 1 - p̂, which is not derived
        inside = f_y - sp.log(total + (sp.exp(f_y) if positive_in_sum else 0))
        for f in (f_y, F[0]):
            yield f"∂/∂{f}", sp.diff(sp.log(1 + total / sp.exp(f_y)), f), -weight * sp.diff(inside, f)

    return pairs


# --- in numbers -------------------------------------------------------------------------------------------------------


def _some(setting: Setting) -> list[Slots]:
    return every(("softmax",))


def _importance(slots: Slots) -> Estimate:
    """Σ η_y E[gradient] of importance weights with hits masked, by the library's enumeration."""
    scheme = slots.scheme(Importance(), "mask")
    parts = [exhaust(scheme, SoftmaxCrossEntropy(), Problem(SCORES, prior(), y), "gradient") for y in range(N_LABELS)]
    value, error = (slots.eta @ np.array([getattr(part, name) for part in parts]) for name in ("value", "error"))
    return Estimate(value, error, "gradient", "exhaust")


def _corrected(slots: Slots, positive_in_sum: bool = False, with_m: bool = True, other_draws: bool = False) -> Estimate:
    """Σ η_y E[-(1 - p̂) gradient of f_y - log Σ_{j ∈ N, j ≠ y} e^{f_j}/(m q_j)], every sequence of draws listed."""
    found = of(slots, np.tile(1 / (slots.m * slots.q), (N_LABELS, 1)), "mask")
    terms = (found.totals - found.own) * np.exp(SCORES)
    positive, total = found.own @ np.exp(SCORES), terms.sum(axis=1)
    seen = total if with_m else slots.m * total
    weight = seen / (positive + seen)
    if other_draws:
        # The mean of the same positive's, over draws that know nothing of these.
        same = found.own @ found.own.T
        weight = same @ (found.chances * weight) / (same @ found.chances)
    inside = terms + (found.own * positive[:, None] if positive_in_sum else 0.0)
    # Where all draws are hits, p̂ is 1 and nothing is pushed.
    pushed = inside / np.where(total > 0, inside.sum(axis=1), 1.0)[:, None] - found.own
    value = (found.chances * np.where(total > 0, weight, 0.0)) @ pushed
    return Estimate(value, np.full(N_LABELS, 1e-14), "gradient", "listing")


CLAIMS = (
    Claim(
        "design.corrected-log-q",
        "The corrected log-Q loss, -sg(1 - p̂) [f_y - log Σ_{j ∈ N, j ≠ y} e^{f_j}/(m q_j)] with p̂ = e^{f_y}/(e^{f_y} + "
        "that sum), has the gradient of importance weights with hits masked, on the same draws.",
        "derived; the loss is our reading of Khrylchenko et al. 2025, sg lets no gradient through",
        (
            Identity(
                _gradients(),
                {
                    "the positive is in the sum": _gradients(positive_in_sum=True),
                    "p̂ has weights 1/q, without m": _gradients(of_p=sp.Integer(1)),
                    "p̂ may be of other draws": _gradients(other_draws=True),
                },
                detail="three draws off y",
                whole=False,
            ),
            Exact(
                f"{EXHAUST}, against every sequence of draws listed",
                _some,
                _importance,
                _corrected,
                {
                    "the positive is in the sum": lambda slots: _corrected(slots, positive_in_sum=True),
                    "p̂ has weights 1/q, without m": lambda slots: _corrected(slots, with_m=False),
                    "p̂ may be of other draws": lambda slots: _corrected(slots, other_draws=True),
                },
                floor=1e-9,
                uses_prior=False,
            ),
        ),
        ("N are m i.i.d. draws; where all are hits the gradient is 0",),
    ),
)
