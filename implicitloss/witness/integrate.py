"""Exact expectations of sampled losses by one-dimensional integrals; no sampling, no bound.

A draw adds x_j = w_yy' e^{f_y' - f_y} with probability q_j; S is the sum of m draws; φ(t) = Σ_j q_j e^{-t x_j}, so
M(t) = E e^{-tS} = φ(t)^m.  With R = (1 + S) e^{-c} for any centre c, and D_c(t) = E e^{-tR} - e^{-t}:

    E log(1+S)      =    ∫ e^{-t} (1 - M(t)) dt/t
    c - E log(1+S)  =    ∫ D_c(t) dt/t               (the Jensen gap, when c = log(1 + ES))
    E (log(1+S)-c)² = 2 ∫ (γ + log t) D_c(t) dt/t    (γ Euler's constant)
    E ∂ℓ/∂f_k       = m q_k x_k ∫ e^{-t(1+x_k)} φ(t)^{m-1} dt

They follow from Γ(s)^{-1} ∫ t^{s-1} e^{-tR} dt = R^{-s} at s → 0.  Nothing is got by subtracting large numbers: D is
computed as e^{-t} expm1(m log(φ e^{t x̄})), where φ e^{t x̄} - 1 is a sum of positive terms.

Numerics: t = e^v and the trapezoid rule with step h = 3/16.  M is analytic and at most 1 in Re t > 0, the strip
|Im v| < π/2, so the error of the rule is C e^{-2πa/h} for every a < π/2 (Trefethen and Weideman 2014, theorem 5.1).
For the mean, |1 - M(te^{ia})| <= E min(2, tS) <= 3.2 (1 - M(t)) gives C <= 6.4/cos a relative to the value, and for the
gradient C = 2/cos a, both below 1e-19 at a = π/2 - 0.04.  Truncation: e^v is cut 40 units below -log max(1, m max x),
by concavity at most e^{-40}/log 2 = 7e-18 of the value, and at t = 50, at most 1e-20 of it.  What remains is rounding,
and that is what `error` bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.kernels.transform import (
    log_transform,
    log_transform_about,
    log_transform_about_mean,
    tilted_integrals,
)
from implicitloss.labels import Floats, Labels
from implicitloss.logsum import logsumexp
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.scheme import Plan, Scheme

STEP = 3 / 16  # a binary fraction: the nodes k h are exact
LEFT = 40.0
RIGHT = np.log(50.0)
# Up to this v = log t, D_c is e^{-t} expm1(.), without cancellation or overflow; beyond, e^{-t} < 1e-303 is nothing.
NEAR = np.log(700.0)
EPS = float(np.finfo(np.float64).eps)
# log of the least q that is handled: above the subnormal numbers.
TINY = -700.0


@dataclass(frozen=True)
class _Draw:
    """One draw at a problem: what it adds to S, log x_j (J,), with probability q_j (J,), on its support."""

    q: Floats
    log_x: Floats
    labels: Labels
    m: int

    @property
    def log_largest(self) -> float:
        """log of the largest possible S."""
        return float(np.log(self.m) + self.log_x.max())

    @property
    def log_smallest(self) -> float:
        """log of the smallest possible S."""
        return float(np.log(self.m) + self.log_x.min())

    @property
    def log_mean(self) -> float:
        """log of the mean of one draw, log x̄."""
        return float(logsumexp(self.log_x, b=self.q))

    @property
    def rounding(self) -> float:
        """Relative rounding error of a sum over labels, of the logs x it is made of, and of a sum over nodes."""
        size = np.abs(self.log_x[np.isfinite(self.log_x)])
        logs = min(float(size.max()), 1e4) if size.size else 0.0
        return EPS * (256 + self.q.size / 128 + 3 * logs)


def _draw(scheme: Scheme, loss: Loss, problem: Problem) -> _Draw:
    plan = scheme.plan(problem)
    log_payment = loss.log_payment(problem.scores, problem.positive)
    _check_underflow(plan, log_payment)
    q = np.exp(plan.log_q)
    support = np.flatnonzero(plan.log_q > TINY)
    # A masked hit and a label that pays nothing both add 0.
    log_x = plan.log_w[support] + log_payment[support]
    return _Draw(q[support], log_x, support, scheme.m)


def _check_underflow(plan: Plan, log_payment: Floats) -> None:
    """*Raises* ValueError where a label that is drawn with a q too small for floats makes a difference to the mean."""
    with np.errstate(invalid="ignore"):
        share = plan.log_q + plan.log_w + log_payment
    lost = (plan.log_q <= TINY) & (plan.log_q > -np.inf) & (share > share.max() + np.log(EPS))
    # Draws that are all worth the same (model-based negatives, importance weights) miss nothing in the rest.
    x = (plan.log_w + log_payment)[plan.log_q > TINY]
    if lost.any() and not np.all((plan.log_w + log_payment)[lost] <= x.max() + 1e-6):
        label = int(np.argmax(lost))
        raise ValueError(
            f"label {label} is drawn with q = e^{plan.log_q[label]:.0f}, too small for floating point, and weighed so "
            "heavily that it counts; use a sampler with q >= 1e-300"
        )


def integrate(scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity = "mean") -> Estimate:
    """The exact `quantity` of the sampled loss ℓ(N) under `scheme`, with a bound on its rounding error.

    "mean" E ℓ; "variance" V ℓ; "mse" E (ℓ - b)² about the implicit loss b; "gap" b - E ℓ >= 0; "gradient"
    E ∂ℓ/∂f, (L,), with q and w held fixed.  Relative accuracy 1e-12 for means and gradients, 1e-8 for the others
    down to 1e-14 of the (squared) mean; scores up to 1e4 apart, m up to 1e6.

    *Source:* derived; decoupled losses by Rawat et al. 2021, Lemma 1, from the moments of one draw.
    """
    checked_quantity(quantity)
    draw = _draw(scheme, loss, problem)
    if not loss.has_log:
        value, error = _decoupled(scheme, loss, problem, draw, quantity)
    elif quantity == "gradient":
        value, error = _gradient(draw, problem)
    elif draw.log_largest == -np.inf:
        value, error = 0.0, 0.0
    elif quantity == "mean":
        value = _mean(draw)
        error = value * draw.rounding
    elif quantity == "variance":
        value, error = _variance(draw)
    else:
        value, error = _about_implicit(draw, quantity)
    return Estimate(value, error, quantity, "integrate")


def _nodes(low: float, high: float) -> Floats:
    return STEP * np.arange(np.floor(low / STEP), np.ceil(high / STEP) + 1)


def _power(exponent: int, log_phi: Floats) -> Floats:
    """log φ^exponent; φ^0 is 1 also where φ underflows to 0."""
    return exponent * log_phi if exponent else np.zeros_like(log_phi)


def _mean(draw: _Draw) -> float:
    v = _nodes(-max(0.0, draw.log_largest) - LEFT, RIGHT)
    log_m = draw.m * log_transform(v, draw.q, draw.log_x)
    return float(STEP * np.sum(np.exp(-np.exp(v)) * -np.expm1(log_m)))


def _centred(draw: _Draw, centre: float, log_mgf: Floats, v: Floats) -> tuple[Floats, Floats]:
    """D_c at the nodes, and its absolute rounding error; `log_mgf` is log E e^{-t(R - 1)} up to NEAR."""
    d = np.empty(v.size)
    near = np.zeros(v.size, dtype=bool)
    # The centred form is there for what is small; where E e^{-tR} is well above e^{-t} the plain one keeps more digits.
    near[: log_mgf.size] = log_mgf <= 1
    d[near] = np.exp(-np.exp(v[near])) * np.expm1(log_mgf[near[: log_mgf.size]])
    far = v[~near]
    log_far = draw.m * log_transform(far - centre, draw.q, draw.log_x) - np.exp(far - centre)
    d[~near] = np.exp(log_far) - np.exp(-np.exp(np.minimum(far, NEAR)))
    return d, np.abs(d) * draw.rounding


def _centred_nodes(draw: _Draw, centre: float) -> tuple[Floats, Floats]:
    """The nodes for D_c, and those of them up to NEAR."""
    low = -max(0.0, draw.log_largest - centre) - LEFT
    high = RIGHT + max(0.0, centre - float(np.logaddexp(0.0, draw.log_smallest)))
    v = _nodes(low, high)
    return v, v[v <= NEAR]


def _about_implicit(draw: _Draw, quantity: Quantity) -> tuple[float, float]:
    """Gap and mean squared error about c = log(1 + ES)."""
    log_mean = draw.log_mean
    centre = float(np.logaddexp(0.0, np.log(draw.m) + log_mean))
    v, near = _centred_nodes(draw, centre)
    excess = np.expm1(draw.log_x - log_mean)
    ratio = float(np.exp(log_mean - centre))
    log_mgf = draw.m * log_transform_about_mean(near, draw.q, excess, ratio)
    d, rounding = _centred(draw, centre, log_mgf, v)
    kernel = np.ones(v.size) if quantity == "gap" else 2 * (np.euler_gamma + v)
    value = float(STEP * np.sum(kernel * d))
    value = max(value, 0.0)
    spread = np.sqrt(2 * value if quantity == "gap" else value)
    return value, float(STEP * np.sum(np.abs(kernel) * rounding)) + _own(draw, float(spread))


def _own(draw: _Draw, spread: float) -> float:
    """What the rounding δ of each log x does to a second moment: 2 δ √moment + δ², and twice that for safety."""
    return 4 * draw.rounding * (spread + draw.rounding)


def _variance(draw: _Draw) -> tuple[float, float]:
    """V ℓ = mse - gap² where that does not cancel; else E (ℓ - c)² with c the computed mean."""
    mse, mse_error = _about_implicit(draw, "mse")
    gap, gap_error = _about_implicit(draw, "gap")
    if gap**2 <= mse / 2:
        return mse - gap**2, mse_error + 2 * gap * gap_error + gap_error**2
    # Rare large draws: b lies far above the typical loss, and so does everything that is centred there.
    centre = _mean(draw)
    log_x0 = float(np.log(np.expm1(centre)) if centre < 700 else centre) - np.log(draw.m)
    v, near = _centred_nodes(draw, centre)
    log_mgf = draw.m * log_transform_about(near, draw.q, draw.log_x - log_x0, log_x0 - centre)
    d, rounding = _centred(draw, centre, log_mgf, v)
    kernel = 2 * (np.euler_gamma + v)
    # The last term is (E ℓ - c)², the square of a rounding error.
    value = max(float(STEP * np.sum(kernel * d)) - float(STEP * np.sum(d)) ** 2, 0.0)
    # dℓ/dlog x is at most S/(1+S) <= ℓ, so a small loss moves less.
    own = min(1.0, centre) * _own(draw, float(np.sqrt(value)))
    return value, float(STEP * np.sum(np.abs(kernel) * rounding)) + own


def _gradient(draw: _Draw, problem: Problem) -> tuple[Floats, Floats]:
    gradient = np.zeros(problem.scores.size)
    if draw.log_largest > -np.inf:
        v = _nodes(-max(0.0, draw.log_largest) - LEFT, RIGHT)
        log_phi = log_transform(v, draw.q, draw.log_x)
        log_weights = v - np.exp(v) + _power(draw.m - 1, log_phi) + np.log(STEP)
        log_scale = np.log(draw.m) + np.log(draw.q) + draw.log_x
        gradient[draw.labels] = tilted_integrals(v, log_weights, draw.log_x, log_scale)
        # A kept hit adds w_yy e^0, whatever the scores.
        gradient[problem.positive] = 0.0
    gradient[problem.positive] = -gradient.sum()
    return gradient, np.abs(gradient) * draw.rounding


def _decoupled(
    scheme: Scheme, loss: Loss, problem: Problem, draw: _Draw, quantity: Quantity
) -> tuple[float, float] | tuple[Floats, Floats]:
    y = problem.positive
    if quantity == "gradient":
        gradient = np.zeros(problem.scores.size)
        weight = np.exp(scheme.plan(problem).log_w[draw.labels])
        gradient[draw.labels] = draw.m * draw.q * weight * loss.payment_slope(problem.scores, y)[draw.labels]
        slope = loss.positive_slope(float(problem.scores[y]))
        error = np.abs(gradient) * draw.rounding
        # Kept hits and the positive's own slope have opposite signs.
        error[y] += abs(slope) * draw.rounding
        gradient[y] += slope
        return gradient, error
    if quantity == "gap":
        return 0.0, 0.0
    x = np.exp(draw.log_x)
    mean = float(np.sum(draw.q * x))
    if quantity == "mean":
        value = loss.positive_pays(float(problem.scores[y])) + draw.m * mean
        return value, value * draw.rounding
    variance = float(draw.m * np.sum(draw.q * (x - mean) ** 2))
    own = 2 * draw.m * np.sqrt(variance / draw.m) * mean * draw.rounding
    return variance, variance * draw.rounding + float(own) + draw.m * (mean * draw.rounding) ** 2


def gradient_and_hessian(scheme: Scheme, loss: Loss, problem: Problem) -> tuple[Floats, Floats]:
    """E ∂ℓ/∂f (L,) and E ∂²ℓ/∂f∂f' (L, L) of the sampled softmax, q and w held fixed; for scores within ±300.

    With s_k = n_k x_k/(1+S), n_k the times k was drawn, the Hessian is diag(E s) - E s sᵀ, and for k != l
    E s_k s_l = m(m-1) q_k q_l x_k x_l ∫ t e^{-t(1+x_k+x_l)} φ^{m-2} dt; on the diagonal the same with l = k plus
    m q_k x_k² ∫ t e^{-t(1+x_k)} φ^{m-1} dt.  Row and column y follow, as only score differences matter.
    *Raises* ValueError for a loss without a log.  *Source:* derived.
    """
    if not loss.has_log:
        raise ValueError(f"the Hessian is for softmax cross-entropy; {loss.name} is a sum of one-label terms")
    draw, y, m = _draw(scheme, loss, problem), problem.positive, scheme.m
    n_labels = problem.scores.size
    others = draw.labels != y
    labels, q, x = draw.labels[others], draw.q[others], np.exp(draw.log_x[others])
    v = _nodes(-max(0.0, draw.log_largest) - LEFT, RIGHT)
    t, log_phi = np.exp(v), log_transform(v, draw.q, draw.log_x)
    decay = np.exp(-np.multiply.outer(t, x))
    once = STEP * np.exp(v - t + _power(m - 1, log_phi))
    share = m * q * x
    s = share * (once @ decay)
    outer = np.diag(share * x * ((once * t) @ decay))
    if m > 1:
        twice = STEP * np.exp(2 * v - t + _power(m - 2, log_phi))
        outer += (1 - 1 / m) * np.multiply.outer(share, share) * (decay.T @ (twice[:, None] * decay))
    gradient, hessian = np.zeros(n_labels), np.zeros((n_labels, n_labels))
    gradient[labels] = s
    hessian[np.ix_(labels, labels)] = np.diag(s) - outer
    gradient[y] = -gradient.sum()
    hessian[y] = -hessian.sum(axis=0)
    hessian[:, y] = -hessian.sum(axis=1)
    return gradient, hessian
