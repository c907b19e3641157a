"""Exact expectations of sampled losses by one-dimensional integrals; no sampling, no bound."""

from __future__ import annotations

import numpy as np

from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.losses import Loss, checked_loss
from implicitloss.problem import Problem, checked_problem
from implicitloss.scheme import Scheme, checked_scheme
from implicitloss.witness.integrate.decoupled import decoupled_moments
from implicitloss.witness.integrate.draw import measures
from implicitloss.witness.integrate.gradient import expected_gradient
from implicitloss.witness.integrate.moments import about_softmax, allowed_interpolation
from implicitloss.witness.integrate.reach import plan_and_payment


def integrate(scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity = "mean") -> Estimate:
    """The exact `quantity` of the sampled loss ℓ(N) under `scheme`, with a bound on its error.

    "mean" E ℓ; "variance" V ℓ; "mse" E (ℓ - b)² about the implicit loss b; "gap" b - E ℓ >= 0; "gradient" E ∂ℓ/∂f,
    (L,), with q and w held fixed.  Relative accuracy 1e-12 for means and gradients, 1e-8 for the others down to 1e-14
    of the (squared) mean, limited by the rounding of log x; scores up to 1e4 apart, m up to 1e6.
    Time O(L) for any m: from 5,000 labels on by a few thousand numbers (`compression`).

    *Source:* derived; decoupled losses by Rawat et al. 2021, Lemma 1, from the moments of one draw.
    """
    checked_quantity(quantity)
    checked_loss(loss)
    checked_scheme(scheme)
    checked_problem(problem)
    if not loss.has_log:
        with np.errstate(over="ignore", invalid="ignore"):
            value, error = decoupled_moments(scheme, loss, problem, quantity)
    elif quantity == "gradient":
        value, error = expected_gradient(scheme, loss, problem)
    else:
        for draw in measures(*plan_and_payment(scheme, loss, problem)):
            value, rounding, interpolation = about_softmax(draw, scheme.m, quantity)
            if interpolation <= allowed_interpolation(draw, scheme.m, quantity, value):
                break
        error = rounding + interpolation
    return Estimate(value, error, quantity, "integrate")
