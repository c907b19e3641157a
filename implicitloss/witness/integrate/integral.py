"""Exact expectations of sampled losses by one-dimensional integrals; no sampling, no bound."""

from __future__ import annotations

import numpy as np

from implicitloss.clusterwise import by_cluster
from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.losses import Loss, checked_loss
from implicitloss.problem import Problem, checked_problem
from implicitloss.samplers.whole import Whole
from implicitloss.scheme import Scheme, checked_scheme
from implicitloss.witness.integrate.decoupled import decoupled_moments
from implicitloss.witness.integrate.design_variance import gradient_variance_of_design
from implicitloss.witness.integrate.designs import of_design
from implicitloss.witness.integrate.draw import measures
from implicitloss.witness.integrate.gradient import expected_gradient
from implicitloss.witness.integrate.gradient_variance import gradient_variance
from implicitloss.witness.integrate.moments import about_softmax, allowed_interpolation
from implicitloss.witness.integrate.reach import plan_and_payment

__all__ = ["integrate"]


def integrate(scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity = "mean") -> Estimate:
    """Compute the exact `quantity` of the sampled loss ℓ(N) by one-dimensional integrals, with a bound on its error.

    With x = w_yy' e^{f_y' - f_y} for a draw y' ~ q and φ(t) = E e^{-tx}, the mean is E ℓ = ∫ e^{-t} (1 - φ(t)^m) dt/t
    over t > 0; the other quantities are integrals of the same kind.  Hard negatives T join the positive: with
    A = Σ_T w_T e^{f_j - f_y}, every x is divided by 1 + A, and log(1 + A) is added to the mean.  The time is O(L) for
    any m; from 5,000 labels on the labels are first compressed to a few thousand points.

    Parameters
    ----------
    scheme : Scheme
        The sampler q, the weights w, the number of negatives m and what a hit on the positive does.
    loss : Loss
        `losses.SoftmaxCrossEntropy()` or `losses.Decoupled(...)`.
    problem : Problem
        Scores, label prior and positive label of one example.
    quantity : {"mean", "variance", "mse", "gap", "gradient", "gradient_variance"}
        E ℓ; V ℓ; E (ℓ - b)² about the implicit loss b; b - E ℓ >= 0; E g, (L,), g = ∂ℓ/∂f with q and w held fixed; or
        E ‖g - E g‖² = Σ_k V g_k, the trace of the covariance of g.

    Returns
    -------
    Estimate
        A number, for a gradient an array (L,), and a bound on its error: relative 1e-12 for means and gradients, 1e-8
        for the others down to 1e-14 of the (squared) mean, as far as log x is exact; for a gradient's variance about
        1e-12 of the second moment E ‖g‖².

    Raises
    ------
    ValueError
        For scores more than 1e5 apart (weights included), a label with q below e^-700 that counts, and a quantity that
        is too large for floating point.

    References
    ----------
    Derived here; decoupled losses by Rawat et al. 2021, Lemma 1 (Eqs. 9 and 10), from the moments of one draw.  The
    variance of the gradient is what their Remark 3 leaves open.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], prior, positive=1)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    >>> loss = il.losses.SoftmaxCrossEntropy()
    >>> round(float(il.integrate(scheme, loss, problem)), 10)
    1.0246580858

    The gradient varies with the draws, as the loss does:

    >>> round(float(il.integrate(scheme, loss, problem, "gradient_variance")), 10)
    0.1444040309
    """
    checked_quantity(quantity)
    checked_loss(loss)
    checked_scheme(scheme)
    checked_problem(problem)
    if isinstance(scheme.sampler, Whole):
        few = by_cluster(scheme, loss, problem, quantity)
        return few.to_labels(integrate(few.scheme, loss, few.problem, quantity))
    if quantity == "gradient_variance":
        of = gradient_variance if scheme.draws == "iid" else gradient_variance_of_design
        with np.errstate(over="ignore", invalid="ignore"):
            return Estimate(*of(scheme, loss, problem), quantity, "integrate")
    if scheme.draws != "iid":
        with np.errstate(over="ignore", invalid="ignore"):
            return Estimate(*of_design(scheme, loss, problem, quantity), quantity, "integrate")
    if not loss.has_log:
        with np.errstate(over="ignore", invalid="ignore"):
            value, error = decoupled_moments(scheme, loss, problem, quantity)
    elif quantity == "gradient":
        value, error = expected_gradient(scheme, loss, problem)
    else:
        reach = plan_and_payment(scheme, loss, problem)
        for draw in measures(reach.plan, reach.payment, reach.span, quantity == "mean"):
            value, rounding, interpolation = about_softmax(draw, scheme.m, quantity)
            if interpolation <= allowed_interpolation(draw, scheme.m, quantity, value):
                break
        error = rounding + interpolation
        if quantity == "mean":
            value, error = value + reach.log_positive, error + reach.error
    return Estimate(value, error, quantity, "integrate")
