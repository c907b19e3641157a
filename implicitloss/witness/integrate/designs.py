"""Quantities of losses whose draws are not independent: the same integrals over t, with the design's own E e^{-tS}.

With M(t) = E e^{-tS}, R = (1 + S) e^{-c} for any centre c, and D_c(t) = E e^{-tR} - e^{-t}:

    E log(1+S)      =    ∫ e^{-t} (1 - M(t)) dt/t
    c - E log(1+S)  =    ∫ D_c(t) dt/t
    E (log(1+S)-c)² = 2 ∫ (γ + log t) D_c(t) dt/t
    E ∂ℓ/∂f_k       = x_k ∫ e^{-t} E 1[k ∈ N] e^{-tS} dt

The rule in v = log t is that of `quadrature`.  (1 - M(t))/t and E 1[k ∈ N] e^{-tS} are entire functions of t, and up to
t = 1/max S all nodes are had from N Chebyshev points there: most nodes lie below it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from implicitloss.draws import Law, design, law_of
from implicitloss.estimate import Quantity, Value
from implicitloss.labels import Floats, Labels
from implicitloss.losses import Loss
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem
from implicitloss.scheme import Plan, Scheme
from implicitloss.witness.integrate.quadrature import EPS, LEAST_LOG_Q, LEFT, RIGHT, STEP, nodes
from implicitloss.witness.integrate.reach import plan_and_payment

__all__ = ["Drawn", "Few", "of_design"]

# Points on [0, 1/max S]: the interpolant of e^{-tS} there is off by (1/4)^N/N! < 1e-16 relative to 1.
N = 11
# Labels times nodes in one table, 800 MB of numbers.
MOST_CELLS = 100_000_000
# Labels whose log x are in one block of this width are integrated together; e^{-e^GONE} is 0.
BLOCK, GONE = 300.0, 7.0


@dataclass(frozen=True, eq=False)
class Few:
    """Nodes v = log t as few: N Chebyshev points of t for those `near` 0, t max S < 1, and the others themselves.

    `matrix` (near nodes, N) interpolates from the points' values.
    """

    v: Floats
    near: NDArray[np.bool_]
    points: Floats
    matrix: Floats
    log_most: float

    @classmethod
    def of(cls, v: Floats, log_most: float) -> Few:
        near = v < -log_most
        angles = np.pi * (np.arange(N) + 0.5) / N
        points = (1 + np.cos(angles)) / 2
        # Barycentric, on [0, 1] in units of 1/max S.  At a point itself it is that point's value.
        apart = np.exp(v[near] + log_most)[:, None] - points
        apart[apart == 0] = 1e-300
        matrix = (-1.0) ** np.arange(N) * np.sin(angles) / apart
        return cls(v, near, np.log(points) - log_most, matrix / matrix.sum(axis=1, keepdims=True), log_most)

    @property
    def nodes(self) -> Floats:
        """The points and the other nodes, as logarithms."""
        return np.append(self.points, self.v[~self.near])

    def spread(self, found: Floats, order: int) -> Floats:
        """Values at `nodes`, (..., n), of a function that vanishes like t^order, at all of v."""
        out = np.empty((*found.shape[:-1], self.v.size))
        out[..., ~self.near] = found[..., N:]
        # In units of 1/max S, whose logarithm may be far from 0.
        plain = found[..., :N] * np.exp(-order * (self.points + self.log_most))
        out[..., self.near] = np.exp(order * (self.v[self.near] + self.log_most)) * (plain @ self.matrix.T)
        return out


@dataclass(frozen=True, eq=False)
class Drawn:
    """S = Σ x_j over j ∈ N under a design: its `law` over the J labels `support`, log x, its rounding, log max S."""

    law: Law
    support: Labels
    log_x: Floats
    slip: float
    log_most: float

    @classmethod
    def of(cls, scheme: Scheme, plan: Plan, payment: Floats) -> Drawn:
        """The sum at a plan and its payments, (L,)."""
        support = np.flatnonzero(plan.log_q > LEAST_LOG_Q)
        law = law_of(scheme.draws, plan.log_q[support], scheme.m)
        log_x = (plan.log_w + payment)[support]
        counts = plan.log_counts(scheme.m)[support] + log_x
        size = float(np.max(plan.magnitudes(payment)[support], where=counts > counts.max() - 40, initial=0.0))
        most = design(scheme.draws).sizes(support.size, scheme.m)[1]
        log_most = min(float(log_x.max()) + float(np.log(most)), float(logsumexp(log_x)))
        return cls(law, support, log_x, EPS * (4 + 2 * size) + plan.in_error, log_most)

    @property
    def error(self) -> float:
        """The relative error of 1 - M."""
        return self.law.error + self.slip + 256 * EPS

    def misses(self, v: Floats) -> Floats:
        """1 - e^{-tx} at each log t = v, (J, n)."""
        if v.size * self.log_x.size > MOST_CELLS:
            raise ValueError(
                f"an integral over draws that are not independent takes at most {MOST_CELLS // v.size:,} labels here, "
                f"got {self.log_x.size:,}; use simulate"
            )
        with np.errstate(over="ignore"):
            return -np.expm1(-np.exp(self.log_x[:, None] + v))

    def missing(self, v: Floats) -> Floats:
        """1 - M(t) at each log t = v, (n,)."""
        few = Few.of(v, self.log_most)
        return few.spread(self.law.missing(self.misses(few.nodes)), 1)

    def shares(self, v: Floats, weights: Floats) -> Floats:
        """Σ_v weights_v E 1[j ∈ N] e^{-tS}, (J,)."""
        few = Few.of(v, self.log_most)
        reduced = np.append(few.matrix.T @ weights[few.near], weights[~few.near])
        return self.law.shares(self.misses(few.nodes), reduced)

    def counting(self, v: Floats) -> Floats:
        """The nodes at which a gradient's integrand is not 0: t near 1, or t x near 1 for some label."""
        at = np.sort(self.log_x[self.log_x > -np.inf])
        some = np.searchsorted(at, -LEFT - 5 - v) < np.searchsorted(at, GONE - v, side="right")
        return v[some | (v > -LEFT - 5)]

    def expected_shares(self, v: Floats) -> Floats:
        """x_j ∫ e^{-t} E 1[j ∈ N] e^{-tS} dt, (J,), the nodes log t = v; by blocks of log x, as x may overflow."""
        found = np.zeros(self.log_x.size)
        blocks = np.maximum(np.floor(np.maximum(self.log_x, 0.0) / BLOCK), 0.0) * BLOCK
        for start in np.unique(blocks):
            # Where t x > e^GONE, e^{-tx} is 0.
            weights = STEP * np.exp(np.where(v + start <= GONE, v + start - np.exp(v), -np.inf))
            at = blocks == start
            found[at] = np.exp(self.log_x[at] - start) * self.shares(v, weights)[at]
        return found


def of_design(scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity) -> tuple[Value, Value]:
    """Value and error of a quantity of a scheme whose draws are not independent."""
    reach = plan_and_payment(scheme, loss, problem, 2 if quantity in ("variance", "mse") else 1)
    plan, y = reach.plan, problem.positive
    if quantity == "gradient" and not loss.has_log:
        return _decoupled_gradient(scheme, loss, problem)
    drawn = Drawn.of(scheme, reach.plan, reach.payment)
    if not loss.has_log:
        return _decoupled(scheme, loss, problem, quantity, drawn)
    if drawn.log_most == -np.inf:  # nothing that is drawn pays: the loss is that of the hard negatives
        if quantity != "gradient":
            return (reach.log_positive, reach.error) if quantity == "mean" else (0.0, 0.0)
        found, error = np.zeros((2, problem.scores.size))
        found[plan.hard] = np.exp(plan.log_hard_terms(reach.payment))
        error[plan.hard] = found[plan.hard] * (reach.error + 64 * EPS)
        found[y], error[y] = -found.sum(), error.sum()
        return found, error
    low = -max(0.0, drawn.log_most) - LEFT
    if quantity == "gradient":
        v = nodes(low, RIGHT)
        found = np.zeros(problem.scores.size)
        found[drawn.support] = drawn.expected_shares(drawn.counting(v))
        # Where scores lie far apart, shares far below the largest are lost in its rounding.
        lost = 16 * EPS * float(found.max()) if drawn.log_most > BLOCK else 0.0
        error = drawn.error * np.abs(found) + np.where(found != 0, lost + 1e-320, 0.0)
        # A kept hit pays 1 whatever the scores are; y pays what the others do, and hard negatives by their share of A.
        found[y], error[y] = 0.0, 0.0
        if plan.hard.size:
            found, error = _with_hard(drawn, plan.hard, plan.log_hard_terms(reach.payment), found, error, low)
        found[y], error[y] = -found.sum(), error.sum()
        return found, error
    if quantity == "mean":
        v = nodes(low, RIGHT)
        mean = float(STEP * np.sum(np.exp(-np.exp(v)) * drawn.missing(v)))
        return mean + reach.log_positive, drawn.error * mean + reach.error
    log_mean = float(logsumexp(plan.log_counts(scheme.m)[drawn.support] + drawn.log_x))
    centre = float(np.logaddexp(0.0, log_mean))
    value, off = _about(drawn, centre, low, quantity)
    if quantity != "variance":
        return value, off
    gap, gap_error = _about(drawn, centre, low, "gap")
    return max(value - gap**2, 0.0), off + 2 * abs(gap) * gap_error + gap_error**2


def _about(drawn: Drawn, centre: float, low: float, quantity: Quantity) -> tuple[float, float]:
    """c - E log(1 + S), or E (log(1 + S) - c)², and its error."""
    # In log t of R = (1 + S) e^{-c}, which is at least e^{-c}.
    v = nodes(low, RIGHT + centre)
    missing = drawn.missing(v - centre)
    # E e^{-tR} - e^{-t} = e^{-te^{-c}} - e^{-t} - e^{-te^{-c}} (1 - M); the first difference without cancellation.
    t = np.exp(v)
    decay = np.exp(-np.exp(v - centre))
    d = -decay * np.expm1(-t * -np.expm1(-centre)) - decay * missing
    kernel = np.ones(v.size) if quantity == "gap" else 2 * (np.euler_gamma + v)
    value = float(STEP * np.sum(kernel * d))
    size = STEP * np.abs(kernel) * decay * missing
    return max(value, 0.0), float(np.sum(size)) * 2 * drawn.error


def _with_hard(
    drawn: Drawn, hard: Labels, terms: Floats, found: Floats, error: Floats, low: float
) -> tuple[Floats, Floats]:
    """The gradient with hard negatives: their terms over 1 + A are a_j, and E ∂ℓ/∂f_j gains a_j E 1/(1 + S)."""
    v = nodes(low, RIGHT)
    # E 1/(1 + S) = 1 - ∫ e^{-t} (1 - M(t)) dt
    rest = 1 - float(STEP * np.sum(np.exp(v - np.exp(v)) * drawn.missing(v)))
    shares = np.exp(terms)
    found[hard] += shares * rest
    error[hard] += shares * (drawn.error + 64 * EPS)
    return found, error


def _decoupled(scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity, drawn: Drawn) -> tuple[float, float]:
    """Mean and variance of a decoupled loss, from those of the sum; its mean is the implicit loss."""
    if quantity == "gap":
        return 0.0, 0.0
    mean, variance = drawn.law.moments(np.exp(drawn.log_x))
    if quantity == "mean":
        plan = scheme.plan(problem, loss=loss)
        hard = float(np.exp(plan.log_hard_terms(loss.log_payment(problem.scores, problem.positive))).sum())
        value = float(loss.positive_pays(float(problem.scores[problem.positive]))) + hard + mean
        return value, drawn.error * value
    # The sums have terms as large as the mean's square.
    return max(variance, 0.0), drawn.error * (abs(variance) + mean**2)


def _decoupled_gradient(scheme: Scheme, loss: Loss, problem: Problem) -> tuple[Floats, Floats]:
    plan, y = scheme.plan(problem, loss=loss), problem.positive
    slope = loss.payment_slope(problem.scores, y)
    found = np.exp(plan.log_counts(scheme.m) + plan.log_w) * slope
    rounding = EPS * (64 + 2 * plan.magnitudes(np.zeros(1))) + plan.in_error
    found[plan.hard] += np.exp(plan.log_w_hard) * slope[plan.hard]
    error = np.abs(found) * rounding
    own = loss.positive_slope(float(problem.scores[y]))
    error[y] += abs(own) * 64 * EPS
    found[y] += own
    return found, error
