"""The expected gradient of sampled softmax, and its Hessian."""

from __future__ import annotations

import numpy as np

from implicitloss.kernels.transform import (
    log_transform,
    tilted_integrals,
)
from implicitloss.labels import Floats
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme, only_iid, without_hard
from implicitloss.witness.integrate.compression import spread_over_labels
from implicitloss.witness.integrate.draw import Measure, measures, whole
from implicitloss.witness.integrate.moments import FINE
from implicitloss.witness.integrate.quadrature import EPS, LEAST_LOG_Q, LEFT, RIGHT, STEP, nodes, power
from implicitloss.witness.integrate.reach import plan_and_payment

__all__ = ["expected_gradient", "gradient_and_hessian"]


def expected_gradient(scheme: Scheme, loss: Loss, problem: Problem) -> tuple[Floats, Floats]:
    """m q_k J(log x_k), J(u) = e^u ∫ e^{-t(1+e^u)} φ^{m-1} dt = E e^u/(1+e^u+S'), and minus their sum for the positive.

    A hard negative j adds a_j/(1+A) E 1/(1+S) = a_j/(1+A) ∫ e^{-t} φ^m dt, a_j = w_T e^{f_j - f_y}, with S the sum in
    which hard negatives have joined the positive.

    An error δ of φ changes φ^{m-1} by at most (m-1) δ (φ+δ)^{m-2}; the same integral of this, over J, bounds J's error.
    """
    reach = plan_and_payment(scheme, loss, problem)
    plan, payment = reach.plan, reach.payment
    hard, log_shares = plan.hard, plan.log_hard_terms(payment)
    slip_hard = reach.error + 2 * EPS * (abs(plan.log_w_hard) + np.abs(payment[hard]) + reach.log_positive)
    m, lost = scheme.m, 0.0
    for draw in measures(plan, payment, reach.span, by_fine_bins=True):
        if draw.high == -np.inf:
            break
        v = nodes(-max(0.0, np.log(m) + draw.high) - LEFT, RIGHT)
        log_phi = log_transform(v, draw.q, draw.log_x)
        log_weights = v - np.exp(v) + power(m - 1, log_phi) + np.log(STEP)
        lost = 0.0
        if draw.bins is None:
            break
        at = draw.bins.points.ravel()
        values = tilted_integrals(v, log_weights, at, at)
        if m > 1:
            missed = draw.total_error(v, log_phi) + 1e-300
            log_missed = np.log(m - 1) + np.log(missed) + power(m - 2, np.log(np.exp(log_phi) + missed))
            off = tilted_integrals(v, v - np.exp(v) + log_missed + np.log(STEP), at, at)
            lost = float(np.max(off / np.maximum(values, 1e-300)))
        lost += draw.bins.relative_error
        if hard.size:
            lost = max(lost, _inverse(draw, m, v, log_phi)[1])
        if lost <= 2 * FINE:
            break
    if draw.high == -np.inf:
        gradient, slip = np.zeros(problem.scores.size), np.zeros(1)
    elif draw.bins is None:
        support = np.flatnonzero(plan.log_q > LEAST_LOG_Q)
        log_scale = np.log(m) + plan.log_q[support] + draw.log_x
        gradient = np.zeros(problem.scores.size)
        gradient[support] = tilted_integrals(v, log_weights, draw.log_x, log_scale)
        # Each entry rounds in proportion to its own logarithms, however small its share.
        slip = 2 * EPS * plan.magnitudes(payment)
    else:
        gradient = spread_over_labels(draw.bins, values.reshape(draw.bins.points.shape), plan, payment, m)
        slip = np.zeros(1)
    del plan, payment, reach  # frees two vectors of length L before more are made
    # A kept hit adds w_yy e^0, whatever the scores.
    gradient[problem.positive] = 0.0
    error = np.abs(gradient)
    error *= slip + draw.rounding + lost
    if hard.size:
        added = np.exp(log_shares) * (_inverse(draw, m, v, log_phi)[0] if draw.high > -np.inf else 1.0)
        gradient[hard] += added
        error[hard] += added * (slip_hard + draw.rounding + lost)
    gradient[problem.positive], error[problem.positive] = -gradient.sum(), error.sum()
    return gradient, error


def _inverse(draw: Measure, m: int, v: Floats, log_phi: Floats) -> tuple[float, float]:
    """E 1/(1+S) = ∫ e^{-t} φ^m dt from φ at the nodes, and its relative interpolation error."""
    weights = v - np.exp(v) + np.log(STEP)
    value = float(np.exp(weights + m * log_phi).sum())
    if value == 0:
        return 0.0, 0.0
    missed = draw.total_error(v, log_phi)
    at_most = power(m - 1, np.log(np.exp(log_phi) + missed + 1e-300))
    return value, float(np.sum(m * missed * np.exp(weights + at_most))) / value


def gradient_and_hessian(scheme: Scheme, loss: Loss, problem: Problem) -> tuple[Floats, Floats]:
    """E ∂ℓ/∂f (L,) and E ∂²ℓ/∂f∂f' (L, L) of the sampled softmax, q and w held fixed; for scores within ±300.

    With s_k = n_k x_k/(1+S), n_k the times k was drawn, the Hessian is diag(E s) - E s sᵀ, and for k != l
    E s_k s_l = m(m-1) q_k q_l x_k x_l ∫ t e^{-t(1+x_k+x_l)} φ^{m-2} dt; on the diagonal the same with l = k plus
    m q_k x_k² ∫ t e^{-t(1+x_k)} φ^{m-1} dt.  Row and column y follow, as only score differences matter.
    *Raises* ValueError for a loss without a log.  *Source:* derived.
    """
    only_iid(without_hard(scheme, "a Hessian"), "a Hessian")
    if not loss.has_log:
        raise ValueError(f"the Hessian is for softmax cross-entropy; {loss.name} is a sum of one-label terms")
    plan, y, m = scheme.plan(problem), problem.positive, scheme.m
    draw = whole(plan, loss.log_payment(problem.scores, y))
    n_labels = problem.scores.size
    support = np.flatnonzero(plan.log_q > LEAST_LOG_Q)
    others = support != y
    labels, q, x = support[others], draw.q[others], np.exp(draw.log_x[others])
    v = nodes(-max(0.0, np.log(m) + draw.high) - LEFT, RIGHT)
    t, log_phi = np.exp(v), log_transform(v, draw.q, draw.log_x)
    decay = np.exp(-np.multiply.outer(t, x))
    once = STEP * np.exp(v - t + power(m - 1, log_phi))
    share = m * q * x
    s = share * (once @ decay)
    outer = np.diag(share * x * ((once * t) @ decay))
    if m > 1:
        twice = STEP * np.exp(2 * v - t + power(m - 2, log_phi))
        outer += (1 - 1 / m) * np.multiply.outer(share, share) * (decay.T @ (twice[:, None] * decay))
    gradient, hessian = np.zeros(n_labels), np.zeros((n_labels, n_labels))
    gradient[labels] = s
    hessian[np.ix_(labels, labels)] = np.diag(s) - outer
    gradient[y] = -gradient.sum()
    hessian[y] = -hessian.sum(axis=0)
    hessian[:, y] = -hessian.sum(axis=1)
    return gradient, hessian
