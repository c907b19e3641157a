"""Certificates: how near scores are to the minimiser of a convex expected loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.labels import LabelPrior, checked_vector
from implicitloss.losses import Loss, checked_loss
from implicitloss.optima.objective import WIDEST_SPREAD, implicit_objective, sampled_objective
from implicitloss.optima.population import MOST_OPTIMISED_LABELS, Of, checked
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme
from implicitloss.theory.implicit import log_expected_weights

__all__ = ["Certificate", "certify_optimum"]


@dataclass(frozen=True)
class Certificate:
    """How near scores f are to the minimiser f* of a convex expected loss, as `certify_optimum` returns it.

    Parameters
    ----------
    gradient : float
        max_j |∂/∂f_j| / η_j.
    curvature : float
        μ, the least eigenvalue of the Hessian on score differences.
    distance : float
        An upper bound on max_j (f - f*)_j - min_j (f - f*)_j; inf if f is too far away for a bound.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> prior, eta = il.LabelPrior.from_counts([8, 4, 3, 1]), np.array([0.4, 0.3, 0.2, 0.1])
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=2, hits="keep")
    >>> f = np.log(eta) - prior.log + [0.01, 0.0, 0.0, 0.0]  # 0.01 off the optimum
    >>> certificate = il.certify_optimum(scheme, il.losses.SoftmaxCrossEntropy(), eta, prior, f)
    >>> round(certificate.distance, 4)
    0.0222
    """

    gradient: float
    curvature: float
    distance: float


def certify_optimum(
    scheme: Scheme, loss: Loss, eta: ArrayLike, prior: LabelPrior, f: ArrayLike, of: Of = "sampled"
) -> Certificate:
    """Bound the distance of scores f from the softmax optimum f* that `population_optimum` looks for.

    Let g be the gradient at f, H the Hessian, μ its least eigenvalue on score differences, λ = (gᵀH⁻¹g)^{1/2} Newton's
    decrement, and τ = λ √(2/μ).  If τ < 1, max_j (f - f*)_j - min_j (f - f*)_j <= -log(1 - τ), up to the rounding of g
    and H.

    Parameters
    ----------
    scheme : Scheme
        A scheme whose sampler does not look at scores.
    loss : SoftmaxCrossEntropy
        The loss.
    eta : array_like, (L,)
        η = P(y given x) > 0, summing to 1.
    prior : LabelPrior
        The label prior, of at most 5,000 labels.
    f : array_like, (L,)
        The scores.
    of : {"sampled", "implicit"}
        Whether f* minimises the true expected sampled loss or the implicit loss.

    Returns
    -------
    Certificate
        The bound, with g and μ.

    Raises
    ------
    ValueError
        For decoupled losses, whose optima are roots in one number each; for scores so far apart that H overflows; and
        as `population_optimum` does.

    Notes
    -----
    For a mixture of log-sum-exps the third derivative along d is at most osc(d) = max d - min d times the second.  So
    dᵀH(f + sd)d >= e^{-s osc(d)} dᵀH(f)d.  At d = f* - f the gradient vanishes, hence ‖d‖_H (1 - e^{-o})/o <= λ with
    o = osc(d) <= √2 ‖d‖ <= √(2/μ) ‖d‖_H.

    References
    ----------
    Derived here, after Bach 2010 (self-concordance of the logistic loss).

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> prior, eta = il.LabelPrior.from_counts([8, 4, 3, 1]), np.array([0.4, 0.3, 0.2, 0.1])
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Relative(), m=2, hits="mask")
    >>> loss = il.losses.SoftmaxCrossEntropy()
    >>> f = il.population_optimum(scheme, loss, eta, prior)
    >>> il.certify_optimum(scheme, loss, eta, prior, f).distance < 1e-9
    True
    """
    if not checked_loss(loss).has_log:
        raise ValueError(
            f"a decoupled optimum is a root in one number for each label; {loss.name} needs no certificate"
        )
    eta, scores = checked(scheme, loss, eta, prior, of)[0], checked_vector(f, "scores")
    if scores.size != eta.size:
        raise ValueError(f"scores must cover the prior's {eta.size} labels, got {scores.size}")
    if eta.size > MOST_OPTIMISED_LABELS:
        raise ValueError(f"a certificate is made for at most {MOST_OPTIMISED_LABELS:,} labels, got {eta.size:,}")
    # Raises where the weights of some positive are undefined, whichever loss is meant.
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
    # Adding a constant to all scores changes nothing: give that direction an eigenvalue above all others.
    pinned = hessian + 2 * np.max(np.diag(hessian)) / scores.size
    curvature = float(np.linalg.eigvalsh(pinned)[0])
    steepest = float(np.max(np.abs(gradient) / eta))
    if not curvature > 0:
        return Certificate(steepest, curvature, np.inf)
    decrement = float(gradient @ np.linalg.solve(pinned, gradient))
    tau = math.sqrt(2 * decrement / curvature) if decrement >= 0 else math.inf
    return Certificate(steepest, curvature, -math.log1p(-tau) if tau < 1 else math.inf)
