"""Every possible draw, one by one: the sampled loss itself, its probability, their sum.  For tiny L and m.

Nothing here is clever, which is the point: the m drawn labels are enumerated as multisets, each with its multinomial
probability, and the loss is evaluated on them as training would.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations_with_replacement

import numpy as np
from scipy.special import logsumexp

from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.labels import Floats
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme

LIMIT = 200_000
EPS = float(np.finfo(np.float64).eps)


def exhaust(scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity = "mean") -> Estimate:
    """The exact `quantity` of the sampled loss by enumerating all draws; quantities as `integrate` has them.

    The error is the rounding of plain sums: relative to the mean for a gap, to its square for a variance.
    *Raises* ValueError for more than 200,000 multisets, C(L + m - 1, m) of them over the L labels drawn.
    """
    checked_quantity(quantity)
    plan = scheme.plan(problem)
    support = np.flatnonzero(np.exp(plan.log_q) > 0)
    size = math.comb(support.size + scheme.m - 1, scheme.m)
    if size > LIMIT:
        raise ValueError(
            f"{support.size} labels and m = {scheme.m} make {size} draws to enumerate, more than {LIMIT}; use integrate"
        )
    chances, counts = [], np.zeros((size, problem.scores.size))
    for row, drawn in enumerate(combinations_with_replacement(support.tolist(), scheme.m)):
        log_chance, left = 0.0, scheme.m
        for label, times in Counter(drawn).items():
            counts[row, label] = times
            log_chance += math.log(math.comb(left, times)) + times * plan.log_q[label]
            left -= times
        chances.append(math.exp(log_chance))
    values, gradients = _losses(loss, problem, plan.log_w, counts, quantity)
    mean = math.fsum(p * value for p, value in zip(chances, values, strict=True))
    scale = float(np.max(np.abs(values), initial=0.0))
    # Chances are exps of logarithms that grow with m.
    rounding = EPS * (64 + 8 * scheme.m * (1 + math.log(scheme.m)))
    if gradients is not None:
        total = np.array([math.fsum(np.multiply(chances, column)) for column in gradients.T])
        return Estimate(total, rounding * (np.array(chances) @ np.abs(gradients)), quantity, "exhaust")
    if quantity == "mean":
        return Estimate(mean, rounding * scale, quantity, "exhaust")
    centre = mean if quantity == "variance" else _implicit(loss, problem, plan.log_w, chances, counts)
    if quantity == "gap":
        return Estimate(centre - mean, rounding * scale, quantity, "exhaust")
    square = math.fsum(p * (value - centre) ** 2 for p, value in zip(chances, values, strict=True))
    error = rounding * (square + scale * math.sqrt(square)) + (rounding * scale) ** 2
    return Estimate(square, error, quantity, "exhaust")


def _log_sums(loss: Loss, problem: Problem, log_w: Floats, counts: Floats) -> Floats:
    """log Σ_{y' in N} w_yy' payment(y') of each draw, (n,)."""
    with np.errstate(divide="ignore"):
        return logsumexp(log_w + loss.log_payment(problem.scores, problem.positive) + np.log(counts), axis=1)


def _losses(
    loss: Loss, problem: Problem, log_w: Floats, counts: Floats, quantity: Quantity
) -> tuple[Floats, Floats | None]:
    y = problem.positive
    f_y = float(problem.scores[y])
    log_sums = _log_sums(loss, problem, log_w, counts)
    values = np.logaddexp(0.0, log_sums) if loss.has_log else np.exp(log_sums)
    values = values + loss.positive_pays(f_y)
    if quantity != "gradient":
        return values, None
    if loss.has_log:
        with np.errstate(divide="ignore"):
            terms = np.log(counts) + log_w + loss.log_payment(problem.scores, y)
        gradients = np.exp(terms - values[:, None])
        gradients[:, y] = 0.0
        gradients[:, y] = -gradients.sum(axis=1)
    else:
        gradients = counts * np.exp(log_w) * loss.payment_slope(problem.scores, y)
        gradients[:, y] += loss.positive_slope(f_y)
    return values, gradients


def _implicit(loss: Loss, problem: Problem, log_w: Floats, chances: list[float], counts: Floats) -> float:
    """outer(E Σ): the same draws, averaged inside the outer function."""
    log_sums = _log_sums(loss, problem, log_w, counts)
    with np.errstate(divide="ignore"):
        log_mean = float(logsumexp(log_sums + np.log(chances)))
    value = float(np.logaddexp(0.0, log_mean)) if loss.has_log else float(np.exp(log_mean))
    return value + loss.positive_pays(float(problem.scores[problem.positive]))
