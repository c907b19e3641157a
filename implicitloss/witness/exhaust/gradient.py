"""The gradient on every draw: its mean, and the trace of its covariance."""

from __future__ import annotations

import math

import numpy as np

from implicitloss.labels import Floats
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.witness.exhaust.draws import EPS, Listed

__all__ = ["expected_gradient", "gradient_variance"]


# Squares below this are lost to underflow, or have lost digits.
LEAST = 1e-300


def expected_gradient(loss: Loss, problem: Problem, draws: Listed, values: Floats) -> tuple[Floats, Floats]:
    """E ∂ℓ/∂f, (L,), and a bound on its rounding, (L,)."""
    y = problem.positive
    gradient, error = np.zeros(problem.scores.size), np.zeros(problem.scores.size)
    terms, slips = _terms(loss, problem, draws, values)
    np.add.at(gradient, draws.labels, [math.fsum(draws.chances * column) for column in terms.T])
    np.add.at(error, draws.labels, draws.chances @ ((draws.chance_slip[:, None] + slips) * np.abs(terms)))
    if loss.has_log:
        gradient[y], error[y] = -gradient.sum(), error.sum() + EPS * gradient.sum()
        return gradient, error
    error += draws.missed * np.abs(loss.payment_slope(problem.scores, y))
    own = loss.positive_slope(float(problem.scores[y]))
    gradient[y] += own
    error[y] += 16 * EPS * abs(own)
    return gradient, error


def gradient_variance(loss: Loss, problem: Problem, draws: Listed, values: Floats) -> tuple[float, float]:
    """E ‖∂ℓ/∂f - E ∂ℓ/∂f‖² about the mean itself, and a bound on its rounding."""
    terms, slips = _terms(loss, problem, draws, values)
    moved = slips * np.abs(terms)
    # A label that is hard and drawn too has two columns.
    labels, column = np.unique(draws.labels, return_inverse=True)
    gradients, errors = (np.zeros((draws.chances.size, labels.size)) for _ in range(2))
    for j, at in enumerate(column):
        gradients[:, at] += terms[:, j]
        errors[:, at] += moved[:, j]
    if loss.has_log:
        gradients = np.append(gradients, -gradients.sum(axis=1, keepdims=True), axis=1)
        errors = np.append(errors, errors.sum(axis=1, keepdims=True), axis=1)
    # What the positive of a decoupled loss pays is the same in every run.
    off = gradients - draws.chances @ gradients
    squares = np.sum(off**2, axis=1)
    value = math.fsum(draws.chances * squares)
    # The mean is rounded too, by as much as its terms are.
    errors = errors + draws.chances @ (errors + draws.chance_slip[:, None] * np.abs(gradients))
    errors += EPS * (4 + draws.chances.size / 64) * (draws.chances @ np.abs(gradients))
    slip = 2 * np.sum(np.abs(off) * errors, axis=1) + np.sum(errors**2, axis=1)
    rounding = (draws.chance_slip + EPS * (4 + labels.size)) * squares
    # Labels whose q is too small were seen not to count: together at most this share.
    rounding += EPS * np.count_nonzero(draws.missed) * squares
    return value, float(draws.chances @ (rounding + slip)) + LEAST


def _terms(loss: Loss, problem: Problem, draws: Listed, values: Floats) -> tuple[Floats, Floats]:
    """What each label's draws add to ∂ℓ/∂f at it, (n, J), and a bound on the relative rounding of that, (n, J).

    The positive of a softmax is not among them: its entry is minus the sum of the others.
    """
    slips = np.broadcast_to(draws.slip + 16 * EPS, draws.counts.shape)
    if not loss.has_log:
        slopes = loss.payment_slope(problem.scores, problem.positive)[draws.labels]
        return draws.counts * np.exp(draws.log_w) * slopes, slips
    with np.errstate(divide="ignore"):
        terms = np.exp(np.log(draws.counts) + draws.log_w + draws.log_payment - values[:, None])
    # A kept hit adds w_yy e^0, whatever the scores.
    terms[:, draws.labels == problem.positive] = 0.0
    return terms, slips + (draws.sum_slips + 4 * EPS * values)[:, None]
