"""The variance of the gradient where draws are not independent: E ‖g‖² - ‖E g‖², g = ∂ℓ/∂f of sampled softmax.

With S = Σ_{j∈N} x_j, the entries s_k = 1[k ∈ N] x_k/(1 + S), k != y, minus their sum at y, and α_j/(1 + S) more where
hard negatives have joined the positive (`gradient_variance`), α = Σ α_j:

    E Σ s_k² + E (Σ s_k)²    = ∫ t e^{-t} E [Σ_{k∈N} x_k² + (Σ_{k∈N} x_k)²] e^{-tS} dt    (k != y)
    what hard negatives add  = 2 ∫ t e^{-t} E Σ_{k∈N} (α + α_k) x_k e^{-tS} dt + (α² + Σ α_j²) E (1 + S)^{-2}

A decoupled loss needs P(j ∈ N) only, as each of its entries is that of one label.
"""

from __future__ import annotations

import numpy as np

from implicitloss.labels import Floats
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme
from implicitloss.witness.integrate.designs import Drawn, Few, of_design
from implicitloss.witness.integrate.gradient_variance import less_squared_mean, of_entries
from implicitloss.witness.integrate.quadrature import LEFT, RIGHT, STEP, nodes
from implicitloss.witness.integrate.reach import plan_and_payment

__all__ = ["gradient_variance_of_design"]

# Where e^{-z} is 0, so is z² e^{-z}.
LARGEST = 750.0


def gradient_variance_of_design(scheme: Scheme, loss: Loss, problem: Problem) -> tuple[float, float]:
    """E ‖∂ℓ/∂f - E ∂ℓ/∂f‖² of a scheme whose draws are not independent, and a bound on its error."""
    if not loss.has_log:
        return of_entries(scheme, loss, problem)
    reach = plan_and_payment(scheme, loss, problem)
    drawn = Drawn.of(scheme, reach.plan, reach.payment)
    if drawn.log_most == -np.inf:
        return 0.0, 0.0
    v = drawn.counting(nodes(-max(0.0, drawn.log_most) - LEFT, RIGHT))
    shares = np.zeros(problem.scores.size)
    shares[reach.plan.hard] = np.exp(reach.plan.log_hard_terms(reach.payment))
    total = float(shares.sum())
    squares = _squares(drawn, v, problem.positive, total + shares[drawn.support])
    second = float(STEP * np.sum(np.exp(-np.exp(v)) * squares))
    if total:
        inverse = 1 - float(STEP * np.exp(2 * v - np.exp(v)) @ drawn.missing(v))
        second += (total**2 + float(shares @ shares)) * inverse
    error = 4 * (drawn.error + reach.error) * second
    return less_squared_mean(second, error, *_mean(scheme, loss, problem))


def _squares(drawn: Drawn, v: Floats, positive: int, shares: Floats) -> Floats:
    """E [Σ z_k² + (Σ z_k)² + 2 t Σ (α + α_k) z_k] e^{-tS}, z = t x, at each log t = v, (n,); `shares` are α + α_k."""
    few = Few.of(v, drawn.log_most)
    misses = drawn.misses(few.nodes)
    with np.errstate(over="ignore"):
        adds = np.minimum(np.exp(drawn.log_x[:, None] + few.nodes), LARGEST)
    adds[drawn.support == positive] = 0.0
    found = few.spread(drawn.law.squares(adds, adds**2, misses), 2)
    if shares.any():
        found += 2 * np.exp(v) * few.spread(drawn.law.squares(np.zeros_like(adds), shares[:, None] * adds, misses), 1)
    return found


def _mean(scheme: Scheme, loss: Loss, problem: Problem) -> tuple[Floats, Floats]:
    value, error = of_design(scheme, loss, problem, "gradient")
    return np.asarray(value), np.asarray(error)
