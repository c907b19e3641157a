"""Every possible draw, one by one: the sampled loss itself, its probability, their sum.  For tiny L and m.

Nothing here is clever, which is the point: the m drawn labels are enumerated as multisets, each with its multinomial
probability, or as sets, each with that of its orders, and the loss is evaluated on them as training would.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import logsumexp

from implicitloss.clusterwise import by_cluster
from implicitloss.estimate import Estimate, Quantity, Value, checked_quantity
from implicitloss.losses import Loss, checked_loss
from implicitloss.problem import Problem, checked_problem
from implicitloss.samplers.whole import Whole
from implicitloss.scheme import Scheme, checked_scheme
from implicitloss.witness.exhaust.draws import EPS, Listed, listed
from implicitloss.witness.exhaust.gradient import expected_gradient, gradient_variance

__all__ = ["exhaust"]


def exhaust(scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity = "mean") -> Estimate:
    """Compute the exact `quantity` of the sampled loss by enumerating every possible draw.

    E g(N) = Σ_N P(N) g(N) over all multisets N of m labels, P multinomial; hard negatives join each N.  For tiny L and
    m: C(J + m - 1, m) multisets over the J labels that can be drawn.  Draws that are not independent make sets.

    Parameters
    ----------
    scheme : Scheme
        The sampler q, the weights w, the number of negatives m and what a hit on the positive does.
    loss : Loss
        `losses.SoftmaxCrossEntropy()` or `losses.Decoupled(...)`.
    problem : Problem
        Scores, label prior and positive label of one example.
    quantity : {"mean", "variance", "mse", "gap", "gradient", "gradient_variance"}
        As `integrate` has them.

    Returns
    -------
    Estimate
        The value, for a gradient (L,), and a bound on its rounding, that of every log q and log x included.

    Raises
    ------
    ValueError
        For more than 200,000 multisets, and for a label with q too small for floating point that counts.

    References
    ----------
    The definitions: Rawat et al. 2021, Eqs. 7 and 8; of gradients, their Remark 3.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], prior, positive=1)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    >>> loss = il.losses.SoftmaxCrossEntropy()
    >>> round(float(il.exhaust(scheme, loss, problem)), 10)
    1.0246580858

    E ‖g - E g‖² of g = ∂ℓ/∂f:

    >>> round(float(il.exhaust(scheme, loss, problem, "gradient_variance")), 10)
    0.1444040309
    """
    checked_quantity(quantity)
    checked_loss(loss)
    checked_scheme(scheme)
    checked_problem(problem)
    if isinstance(scheme.sampler, Whole):
        few = by_cluster(scheme, loss, problem, quantity)
        return few.to_labels(exhaust(few.scheme, loss, few.problem, quantity))
    with np.errstate(over="ignore", invalid="ignore"):
        draws = listed(scheme, loss, problem, quantity)
        value, error = _of(quantity, loss, problem, draws)
    return Estimate(value, error, quantity, "exhaust")


def _of(quantity: Quantity, loss: Loss, problem: Problem, draws: Listed) -> tuple[Value, Value]:
    """The quantity, and a bound on its rounding."""
    pays = loss.positive_pays(float(problem.scores[problem.positive]))
    values = (np.logaddexp(0.0, draws.log_sums) if loss.has_log else np.exp(draws.log_sums)) + pays
    if quantity == "gradient":
        return expected_gradient(loss, problem, draws, values)
    if quantity == "gradient_variance":
        return gradient_variance(loss, problem, draws, values)
    # A relative error δ of S changes S by δ S, and log(1 + S) by at most δ S/(1 + S).
    moved = -np.expm1(-values) if loss.has_log else values - pays
    slips = draws.sum_slips * moved + 4 * EPS * np.abs(values)
    mean = math.fsum(draws.chances * values)
    mean_error = float(draws.chances @ (draws.chance_slip * np.abs(values) + slips))
    if quantity == "mean":
        return mean, mean_error
    centre, centre_error = mean, mean_error
    if quantity in ("mse", "gap"):
        centre, centre_error = _implicit(loss, draws, pays)
    if quantity == "gap":
        return centre - mean, centre_error + mean_error
    off, slips = np.abs(values - centre), slips + centre_error
    square = math.fsum(draws.chances * off**2)
    return square, float(draws.chances @ (draws.chance_slip * off**2 + 2 * off * slips + slips**2))


def _implicit(loss: Loss, draws: Listed, pays: float) -> tuple[float, float]:
    """outer(E Σ), the draws averaged inside the outer function, and a bound on its rounding."""
    with np.errstate(divide="ignore"):
        terms = draws.log_sums + np.log(draws.chances)
    log_mean = float(logsumexp(terms))
    if log_mean == -math.inf:
        return pays, 4 * EPS * abs(pays)
    slip = float(np.exp(terms - log_mean) @ (draws.chance_slip + draws.sum_slips)) + EPS * (16 + terms.size)
    value = float(np.logaddexp(0.0, log_mean) if loss.has_log else np.exp(log_mean))
    moved = -math.expm1(-value) if loss.has_log else value
    return value + pays, slip * moved + 4 * EPS * (abs(value) + abs(pays))
