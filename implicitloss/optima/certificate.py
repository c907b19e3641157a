"""How near scores are to the minimiser of a convex expected loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.labels import LabelPrior, checked_vector
from implicitloss.losses import Loss, checked_loss
from implicitloss.optima.objective import WIDEST_SPREAD, implicit_objective, sampled_objective
from implicitloss.optima.population import Of, checked_eta
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme
from implicitloss.theory.implicit import log_expected_weights

__all__ = ["Certificate", "certify_optimum"]


@dataclass(frozen=True)
class Certificate:
    """How near scores f are to the minimiser f* of a convex expected loss.

    `gradient` is the largest |∂/∂f_j| / η_j; `curvature` the least eigenvalue μ of the Hessian on score differences;
    `distance` bounds max (f - f*) - min (f - f*), which is inf if f is too far for the bound to say anything.
    """

    gradient: float
    curvature: float
    distance: float


def certify_optimum(
    scheme: Scheme, loss: Loss, eta: ArrayLike, prior: LabelPrior, f: ArrayLike, of: Of = "sampled"
) -> Certificate:
    """What is known of the distance of `f` (L,) from the softmax optimum that `population_optimum` looks for.

    That is the optimum of the true sampled loss, or of its bound (`of="implicit"`).

    With λ² = gᵀ H⁻¹ g, Newton's decrement, and τ = λ √(2/μ) < 1 the distance is at most -log(1 - τ).  For a mixture of
    log-sum-exps the third derivative along d is at most osc(d) = max d - min d times the second, so dᵀH(f + sd)d >=
    e^{-s osc(d)} dᵀH(f)d; at d = f* - f the gradient vanishes, hence ‖d‖_H (1 - e^{-o})/o <= λ, o = osc(d) <=
    √2 ‖d‖ <= √(2/μ) ‖d‖_H.  Up to the rounding of g and H.  *Raises* ValueError for decoupled losses.
    *Source:* derived, after Bach 2010 (self-concordance of the logistic loss).
    """
    if not checked_loss(loss).has_log:
        raise ValueError(
            f"a decoupled optimum is a root in one number for each label; {loss.name} needs no certificate"
        )
    eta, scores = checked_eta(scheme, loss, eta, prior, of), checked_vector(f, "scores")
    if scores.size != eta.size:
        raise ValueError(f"scores must cover the prior's {eta.size} labels, got {scores.size}")
    # Weights that are undefined for some positive are named here, whichever loss is meant.
    log_p = np.array([log_expected_weights(scheme, Problem(scores, prior, y)) for y in range(prior.n_labels)])
    objective = sampled_objective(scheme, loss, eta, prior) if of == "sampled" else implicit_objective(eta, log_p)
    with np.errstate(over="ignore", invalid="ignore"):
        scores = scores - scores.min()
        if scores.max() <= WIDEST_SPREAD:
            _, gradient, hessian = objective(scores - scores.mean())
    if not (scores.max() <= WIDEST_SPREAD and np.all(np.isfinite(hessian))):
        raise ValueError(
            f"scores must lie nearer to each other for a certificate with these weights: they span {scores.max():.4g}, "
            "and the Hessian overflows"
        )
    # The direction that changes nothing is given an eigenvalue above all others.
    pinned = hessian + 2 * np.max(np.diag(hessian)) / scores.size
    curvature = float(np.linalg.eigvalsh(pinned)[0])
    steepest = float(np.max(np.abs(gradient) / eta))
    if not curvature > 0:
        return Certificate(steepest, curvature, np.inf)
    decrement = float(gradient @ np.linalg.solve(pinned, gradient))
    tau = math.sqrt(2 * decrement / curvature) if decrement >= 0 else math.inf
    return Certificate(steepest, curvature, -math.log1p(-tau) if tau < 1 else math.inf)
