"""How much of full softmax's information is left when labels are sampled: the Hessian at the optimum."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import INTEGRATE
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.optima.information import information
from implicitloss.optima.objective import sampled_objective
from implicitloss.scheme import Hits
from paper_checks.design.listing import N_LABELS, PI, SOURCE, Listing, Slots, every, of, prior

HESSIAN = "the Hessian of every sequence of draws listed"
LIBRARY = "information by one integral"
# Each label, the tilt, and two others.
CONTRASTS = np.vstack([np.eye(N_LABELS), np.log(PI), [1.0, -2.0, 0.5, 3.0], [0.0, 1.0, 1.0, 0.0]])


def _every(setting: Setting) -> list[Slots]:
    return every(("softmax", "offsets"), (1, 2, 3))


def share(along: Floats, eta: Floats) -> Floats:
    """dᵀHd over Σ d² η - (Σ d η)² of each contrast."""
    return np.asarray(along / (CONTRASTS**2 @ eta - (CONTRASTS @ eta) ** 2))


def along(matrix: Floats) -> Floats:
    """dᵀ(matrix)d of each contrast."""
    return np.einsum("ij,jk,ik->i", CONTRASTS, matrix, CONTRASTS)


def of_listing(found: Listing, eta: Floats, f: Floats) -> Estimate:
    """The share of each contrast at the optimum f, by the Hessian of a listing."""
    value = share(along(found.hessian(f)), eta)
    return Estimate(value, np.full(value.size, 1e-12), "information", "listing")


def _of_hessian(slots: Slots) -> Estimate:
    return of_listing(of(slots), slots.eta, slots.target_scores)


def _of_library(slots: Slots) -> Estimate:
    return information(slots.scheme(), slots.eta, prior(), CONTRASTS)


def by_integral(eta: Floats, q: Floats, m: int, off: tuple[int, int] = (0, 0), second: bool = True) -> Estimate:
    """1 - ∫ [φ^{n-1} Σ d² η r e^{-tr} + (n-1) φ^{n-2} (Σ d η e^{-tr})²] dt over the same, n = m + 1, by the trapezoid.

    A mistake has powers that are `off`, or no `second` term.
    """
    r, n, step = eta / q, m + 1, 1 / 16
    t = np.exp(np.arange(-45.0, 8.0, step))
    decay = np.exp(-t[:, None] * r)
    phi = decay @ q
    first = phi ** (n - 1 + off[0]) * (CONTRASTS**2 @ (eta * r * decay).T)
    inner = (n - 1) * phi ** (n - 2 + off[1]) * (CONTRASTS @ (eta * decay).T) ** 2 if second else 0.0
    found = share(CONTRASTS**2 @ eta - step * np.sum(t * (first + inner), axis=1), eta)
    return Estimate(found, np.full(found.size, 1e-11), "information", "trapezoid rule")


def _integral(slots: Slots, off: tuple[int, int] = (0, 0), second: bool = True) -> Estimate:
    return by_integral(slots.eta, slots.q, slots.m, off, second)


POWERS: dict[str, Callable[[Slots], Estimate]] = {
    "the powers are n and n - 1": partial(_integral, off=(1, 1)),
    "the first power is n": partial(_integral, off=(1, 0)),
    "the second power is n - 1": partial(_integral, off=(0, 1)),
    "the second term is not there": partial(_integral, second=False),
}

# --- the information identity -----------------------------------------------------------------------------------------


def _of_objective(slots: Slots) -> Estimate:
    """The library's Hessian of the expected loss at f*, (L, L)."""
    objective = sampled_objective(slots.scheme(), SoftmaxCrossEntropy(), slots.eta, prior())
    return _as_matrix(objective(slots.target_scores)[2])


def _as_matrix(values: Floats) -> Estimate:
    return Estimate(values, np.full(values.shape, 1e-10), "matrix", "listing")


def _outer(slots: Slots) -> Estimate:
    return _as_matrix(of(slots).outer(slots.target_scores))


def _outer_without_own(slots: Slots) -> Estimate:
    """E[shares sharesᵀ], as if the positive's score had no -1."""
    found = of(slots)
    p = found.shares(slots.target_scores)
    return _as_matrix(p.T @ (found.chances[:, None] * p))


def _defect(slots: Slots, weights: Callable[[Slots], Floats] | None = None, hits: Hits = "keep") -> Estimate:
    """Hessian less E[gradient gradientᵀ] at the optimum of such weights and hits."""
    found = of(slots, None if weights is None else weights(slots), hits)
    return _as_matrix(found.hessian(found.optimum) - found.outer(found.optimum))


def _importance(slots: Slots) -> Floats:
    return np.tile(slots.delta / (slots.m * slots.q), (N_LABELS, 1)) / slots.delta[:, None]


def _no_defect(slots: Slots) -> Floats:
    return np.zeros((N_LABELS, N_LABELS))


CLAIMS = (
    Claim(
        "design.information.integral",
        "With consistent weights, hits kept, n = m + 1, r = η/q and φ(t) = Σ q e^{-tr}, the Hessian H at the optimum "
        "has dᵀHd = Σ d² η - ∫ [φ^{n-1} Σ d² η r e^{-tr} + (n-1) φ^{n-2} (Σ d η e^{-tr})²] dt, whatever δ.",
        SOURCE,
        (
            Exact(HESSIAN, _every, _of_hessian, _integral, POWERS, floor=1e-8, uses_prior=False),
            Exact(LIBRARY, _every, _of_library, _of_hessian, POWERS, floor=1e-8, uses_prior=False),
        ),
        ("seen as the share dᵀHd/(Σ d² η - (Σ d η)²)",),
    ),
    Claim(
        "design.information.identity",
        "At the optimum of consistent weights with hits kept E[gradient gradientᵀ] is the Hessian.",
        f"{SOURCE}; the expected loss is the log-likelihood of that slot",
        (
            Exact(
                f"the Hessian by {INTEGRATE} against gradients listed",
                _every,
                _of_objective,
                _outer,
                {"the positive's own -1 is left out": _outer_without_own},
                floor=1e-8,
                uses_prior=False,
            ),
            Exact(
                f"{HESSIAN}, less E[gradient gradientᵀ]",
                _every,
                _defect,
                _no_defect,
                {
                    "hits may be masked": partial(_defect, hits="mask"),
                    "hits may be excluded": partial(_defect, hits="exclude"),
                    "importance weights, hits masked, have it": partial(_defect, weights=_importance, hits="mask"),
                },
                floor=1e-8,
                uses_prior=False,
            ),
        ),
        ("a score for each label, a constant left free",),
    ),
)
