"""Moments of decoupled losses, from the moments of one draw."""

from __future__ import annotations

import numpy as np

from implicitloss.estimate import Quantity
from implicitloss.labels import Floats
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme
from implicitloss.witness.integrate.draw import whole
from implicitloss.witness.integrate.quadrature import EPS
from implicitloss.witness.integrate.reach import plan_and_payment

__all__ = ["decoupled_moments"]


def decoupled_moments(
    scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity
) -> tuple[float, float] | tuple[Floats, Floats]:
    """Value and error of a quantity of a decoupled loss, from the moments of one draw (Lemma 1)."""
    y, m = problem.positive, scheme.m
    if quantity == "gradient":
        # Every entry is one label's, and so is computed in logarithms.
        plan = scheme.plan(problem, loss=loss)
        gradient = m * np.exp(plan.log_q + plan.log_w) * loss.payment_slope(problem.scores, y)
        rounding = EPS * (64 + 2 * plan.magnitudes(np.zeros(1)))
        gradient[plan.hard] += np.exp(plan.log_w_hard) * loss.payment_slope(problem.scores, y)[plan.hard]
        rounding[plan.hard] += 2 * EPS * abs(plan.log_w_hard)
        own = loss.positive_slope(float(problem.scores[y]))
        error = np.abs(gradient) * rounding
        # Kept hits and the positive's own slope have opposite signs.
        error[y] += abs(own) * 64 * EPS
        gradient[y] += own
        return gradient, error
    reach = plan_and_payment(scheme, loss, problem, 2 if quantity in ("variance", "mse") else 1)
    draw = whole(reach.plan, reach.payment)
    if quantity == "gap":
        return 0.0, 0.0
    x = np.exp(draw.log_x)
    mean = np.sum(draw.q * x)
    if quantity == "mean":
        value = float(loss.positive_pays(float(problem.scores[y])) + m * mean)
        if not reach.plan.hard.size:
            return value, value * draw.rounding
        terms = reach.plan.log_hard_terms(reach.payment)
        hard, sizes = np.exp(terms), abs(reach.plan.log_w_hard) + np.abs(reach.payment[reach.plan.hard])
        sizes = np.where(hard > 0, sizes, 0.0)
        slip = EPS * float(np.sum(hard * (16 + terms.size / 128 + 2 * sizes)))
        return value + float(hard.sum()), value * draw.rounding + slip
    variance = m * np.sum(draw.q * (x - mean) ** 2)
    own = 2 * m * np.sqrt(variance / m) * mean * draw.rounding
    return float(variance), float(variance * draw.rounding + own + m * (mean * draw.rounding) ** 2)
