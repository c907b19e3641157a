"""Every possible draw, one by one: the sampled loss itself, its probability, their sum.  For tiny L and m.

Nothing here is clever, which is the point: the m drawn labels are enumerated as multisets, each with its multinomial
probability, and the loss is evaluated on them as training would.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from scipy.special import logsumexp

from implicitloss.arguments import shown
from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.labels import Floats, Labels
from implicitloss.losses import Loss, checked_loss
from implicitloss.problem import Problem, checked_problem
from implicitloss.scheme import Scheme, checked_scheme

# How many multisets are enumerated at most, and how many counts are kept for them.
LIMIT = 200_000
CELLS = 20_000_000
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class _Draws:
    """All multisets of m labels: chances (n,), how often each holds each label, counts (n, J), and what labels add."""

    chances: Floats
    counts: Floats
    labels: Labels
    log_w: Floats
    log_payment: Floats

    @property
    def log_sums(self) -> Floats:
        """log Σ_{y' in N} w_yy' payment(y') of each multiset, (n,)."""
        with np.errstate(divide="ignore"):
            return logsumexp(np.log(self.counts) + self.log_w + self.log_payment, axis=1)


def exhaust(scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity = "mean") -> Estimate:
    """The exact `quantity` of the sampled loss by enumerating all draws; quantities as `integrate` has them.

    The error is the rounding of plain sums: relative to the mean for a gap, to its square for a variance.
    *Raises* ValueError for more than 200,000 multisets, C(J + m - 1, m) of them over the J labels that are drawn.
    """
    checked_quantity(quantity)
    checked_loss(loss)
    checked_scheme(scheme)
    checked_problem(problem)
    draws = _enumerate(scheme, loss, problem)
    f_y = float(problem.scores[problem.positive])
    values = np.logaddexp(0.0, draws.log_sums) if loss.has_log else np.exp(draws.log_sums)
    values = values + loss.positive_pays(f_y)
    # Chances are exps of logarithms that grow with m.
    rounding = EPS * (64 + 8 * scheme.m * (1 + math.log(scheme.m)))
    if quantity == "gradient":
        value, size = _gradient(loss, problem, draws, values)
        return Estimate(value, rounding * size, quantity, "exhaust")
    mean = math.fsum(draws.chances * values)
    scale = float(np.max(np.abs(values)))
    if quantity == "mean":
        return Estimate(mean, rounding * scale, quantity, "exhaust")
    centre = mean if quantity == "variance" else _implicit(loss, f_y, draws)
    if quantity == "gap":
        return Estimate(centre - mean, rounding * scale, quantity, "exhaust")
    square = math.fsum(draws.chances * (values - centre) ** 2)
    error = rounding * (square + scale * math.sqrt(square)) + (rounding * scale) ** 2
    return Estimate(square, error, quantity, "exhaust")


def _enumerate(scheme: Scheme, loss: Loss, problem: Problem) -> _Draws:
    plan = scheme.plan(problem, loss=loss)
    support = np.flatnonzero(np.exp(plan.log_q) > 0)
    # There are more multisets than labels, and each holds m draws.
    few = max(support.size, scheme.m) <= LIMIT
    size = math.comb(support.size + scheme.m - 1, scheme.m) if few else 0
    if not few or size > LIMIT or size * support.size > CELLS:
        raise ValueError(
            f"{support.size} labels and m = {scheme.m} make {shown(size) if few else 'many'} draws to enumerate, "
            f"more than {min(LIMIT, CELLS // support.size)}; use integrate"
        )
    chances, counts = np.zeros(size), np.zeros((size, support.size))
    log_q = plan.log_q[support]
    for row, drawn in enumerate(combinations_with_replacement(range(support.size), scheme.m)):
        log_chance, left = 0.0, scheme.m
        for j, times in Counter(drawn).items():
            counts[row, j] = times
            log_chance += math.log(math.comb(left, times)) + times * log_q[j]
            left -= times
        chances[row] = math.exp(log_chance)
    log_payment = loss.log_payment(problem.scores, problem.positive)
    return _Draws(chances, counts, support, plan.log_w[support], log_payment[support])


def _gradient(loss: Loss, problem: Problem, draws: _Draws, values: Floats) -> tuple[Floats, Floats]:
    """E ∂ℓ/∂f, (L,), and the expected size of the terms that it is a sum of, (L,)."""
    y, at_y = problem.positive, draws.labels == problem.positive
    gradient, size = np.zeros(problem.scores.size), np.zeros(problem.scores.size)
    if loss.has_log:
        with np.errstate(divide="ignore"):
            terms = np.exp(np.log(draws.counts) + draws.log_w + draws.log_payment - values[:, None])
        # A kept hit adds w_yy e^0, whatever the scores.
        terms[:, at_y] = 0.0
    else:
        terms = draws.counts * np.exp(draws.log_w) * loss.payment_slope(problem.scores, y)[draws.labels]
    gradient[draws.labels] = [math.fsum(draws.chances * column) for column in terms.T]
    size[draws.labels] = draws.chances @ np.abs(terms)
    own = -gradient.sum() if loss.has_log else loss.positive_slope(float(problem.scores[y]))
    gradient[y] += own
    size[y] += abs(own)
    return gradient, size


def _implicit(loss: Loss, f_y: float, draws: _Draws) -> float:
    """outer(E Σ): the same draws, averaged inside the outer function."""
    with np.errstate(divide="ignore"):
        log_mean = float(logsumexp(draws.log_sums + np.log(draws.chances)))
    value = float(np.logaddexp(0.0, log_mean)) if loss.has_log else float(np.exp(log_mean))
    return value + loss.positive_pays(f_y)
