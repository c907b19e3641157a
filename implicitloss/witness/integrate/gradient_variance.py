"""The variance of the gradient: the trace of its covariance, E ‖g - E g‖² = E ‖g‖² - ‖E g‖², g = ∂ℓ/∂f.

A draw adds x_j = w_yy' e^{f_y' - f_y} with probability q_j, S is the sum of m draws.  The entries of a sampled softmax
are s_k = n_k x_k/(1 + S), n_k the times that k was drawn, k != y, and -Σ_{k≠y} s_k at the positive.  As
∫ t e^{-t(1+S)} dt = (1 + S)^{-2}, with sums over labels other than y,

    φ(t) = Σ_j q_j e^{-t x_j} (y's own hits included), φ₁ = Σ q x e^{-tx}, φ₂ = Σ q x² e^{-tx}, ψ = Σ (q x e^{-tx})²
    E Σ s_k²    = m ∫ t e^{-t} φ₂ φ^{m-1} dt + m(m-1) ∫ t e^{-t} ψ φ^{m-2} dt        (one draw twice, or two of a label)
    E (Σ s_k)²  = m ∫ t e^{-t} φ₂ φ^{m-1} dt + m(m-1) ∫ t e^{-t} φ₁² φ^{m-2} dt      (one draw twice, or any two)

and E ‖g‖² is their sum.  Hard negatives have joined the positive: each adds α_j/(1 + S) at j, α_j = a_j/(1 + A), and

    2 m ∫ t e^{-t} Σ_k (α + α_k) q_k x_k e^{-t x_k} φ^{m-1} dt + (α² + Σ α_j²) ∫ t e^{-t} φ^m dt,  α = Σ α_j = A/(1+A)

comes on top.  All terms are positive: E ‖g‖² keeps its digits.  The difference loses as many as it is smaller than
E ‖g‖², about log₁₀ m of them where few labels are drawn many times each; the stated error is of E ‖g‖², and so covers
that.

A decoupled loss has the entries n_k w_yk ϕ'_k and a constant: Σ_k m q_k (1 - q_k) (w_yk ϕ'_k)², in closed form.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.transform import log_transform, tilted_moments
from implicitloss.labels import Floats, Labels
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.scheme import Plan, Scheme
from implicitloss.witness.integrate.draw import Measure, whole
from implicitloss.witness.integrate.gradient import expected_gradient
from implicitloss.witness.integrate.quadrature import EPS, LEAST_LOG_Q, LEFT, RIGHT, STEP, nodes, power
from implicitloss.witness.integrate.reach import plan_and_payment

__all__ = ["gradient_variance", "less_squared_mean", "of_entries"]

# Squares below this are lost to underflow, or have lost digits.
LEAST = 1e-300


def gradient_variance(scheme: Scheme, loss: Loss, problem: Problem) -> tuple[float, float]:
    """E ‖∂ℓ/∂f - E ∂ℓ/∂f‖² of i.i.d. draws, and a bound on its error."""
    if not loss.has_log:
        return of_entries(scheme, loss, problem)
    reach = plan_and_payment(scheme, loss, problem)
    plan = reach.plan
    draw = whole(plan, reach.payment)
    if draw.high == -np.inf:
        return 0.0, 0.0
    shares = np.zeros(problem.scores.size)
    shares[plan.hard] = np.exp(plan.log_hard_terms(reach.payment))
    support = np.flatnonzero(plan.log_q > LEAST_LOG_Q)
    second = _second_moment(draw, scheme.m, support != problem.positive, shares, support)
    slip = draw.rounding + 2 * EPS * _size(plan, reach.payment) + reach.error
    # Labels with a smaller q have at most this chance to come, and then at most this norm.
    lost = 0.0 if reach.span is None else 2 * scheme.m * reach.span.n_lost * float(np.exp(LEAST_LOG_Q))
    return less_squared_mean(second, 4 * slip * second + lost, *expected_gradient(scheme, loss, problem))


def less_squared_mean(second: float, error: float, mean: Floats, mean_error: Floats) -> tuple[float, float]:
    """E ‖g‖² - ‖E g‖², and its error."""
    squared = float(mean @ mean)
    error += float(2 * np.abs(mean) @ mean_error + mean_error @ mean_error)
    return max(second - squared, 0.0), float(error + EPS * (4 + mean.size / 128) * squared + LEAST)


def _second_moment(draw: Measure, m: int, others: NDArray[np.bool_], shares: Floats, support: Labels) -> float:
    """E ‖∂ℓ/∂f‖²; `shares` (L,) are the α_j of hard negatives."""
    v = nodes(-max(0.0, np.log(m) + draw.high) - LEFT, RIGHT)
    t, log_phi = np.exp(v), log_transform(v, draw.q, draw.log_x)
    total = float(shares.sum())
    first, second, squares, weighted = tilted_moments(
        v, draw.q[others], draw.log_x[others], total + shares[support[others]]
    )
    # In v = log t each x has the factor t that makes it z.
    once = np.exp(power(m - 1, log_phi))
    terms = 2 * m * (second + t * weighted) * once + (total**2 + float(shares @ shares)) * t**2 * np.exp(m * log_phi)
    if m > 1:
        terms += m * (m - 1.0) * (first**2 + squares) * np.exp(power(m - 2, log_phi))
    return float(STEP * np.sum(np.exp(-t) * terms))


def _size(plan: Plan, payment: Floats) -> float:
    """The largest |log q| + |log w| + |log payment| of labels that count in E s², which is at most q min(1, x)²."""
    with np.errstate(invalid="ignore"):
        share = plan.log_q + 2 * np.minimum(plan.log_w + payment, 0.0)
    return float(np.max(plan.magnitudes(payment), where=share > np.nanmax(share) - 40, initial=0.0))


def of_entries(scheme: Scheme, loss: Loss, problem: Problem) -> tuple[float, float]:
    """Σ_k V[n_k] (w_yk ϕ'_k)² of a decoupled loss: n_k has variance m q (1 - q), or Q (1 - Q) where it is 0 or 1."""
    reach = plan_and_payment(scheme, loss, problem, 2)
    plan = reach.plan
    # n_k counts draws; of a design that takes no label twice it is an event, of chance Q_k.
    is_count = scheme.draws == "iid"
    log_chance = plan.log_q if is_count else plan.log_counts(scheme.m)
    times = scheme.m if is_count else 1
    with np.errstate(divide="ignore", over="ignore"):
        log_slope = np.log(np.abs(loss.payment_slope(problem.scores, problem.positive)))
        squares = times * np.exp(log_chance + 2 * (plan.log_w + log_slope))
    chance = np.exp(log_chance)
    rest = 1 - chance
    if is_count and chance.max() > 0.5:
        # 1 - q of the one label that is most of the law cancels; what the others have does not.
        at = int(np.argmax(chance))
        rest[at] = np.delete(chance, at).sum()
    error = squares * (EPS * (64 + squares.size / 128 + 4 * plan.magnitudes(np.zeros(1))) + 2 * plan.in_error)
    value = float(np.sum(squares * rest, where=rest > 0))
    return value, float(error.sum()) + LEAST
