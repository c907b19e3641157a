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
by concavity at most e^{-40}/log 2 = 7e-18 of the value, and at t = 50, at most 1e-20 of it.  What remains is rounding
and, for many labels, the interpolation of `implicitloss.measure`; that is what `error` bounds:

- a relative error ε of 1 - φ at every t makes at most ε of the mean, as 1 - φ^m grows by at most 1 % where 1 - φ does;
- an error δ of φ e^{t x̄} - 1 makes m δ E e^{-t(R-1)}/(φ e^{t x̄}) e^{-t} of D, and so the same integral over it.
"""

from __future__ import annotations

import numpy as np

from implicitloss import measure
from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.kernels.transform import (
    log_transform,
    log_transform_about,
    log_transform_about_mean,
    tilted_integrals,
)
from implicitloss.labels import Floats
from implicitloss.losses import Loss, checked_loss
from implicitloss.measure import EPS, TINY, Measure
from implicitloss.problem import Problem, checked_problem
from implicitloss.scheme import Plan, Scheme, checked_scheme

STEP = 3 / 16  # a binary fraction: the nodes k h are exact
LEFT = 40.0
RIGHT = np.log(50.0)
# Up to this v = log t, D_c is e^{-t} expm1(.), without cancellation or overflow; beyond, e^{-t} < 1e-303 is nothing.
NEAR = np.log(700.0)
# Interpolation may make this much of a value, and of 1e-14 of the (squared) mean for what is told to 1e-8 of that.
FINE, COARSE, LEAST = 2e-13, 1e-9, 1e-23
# A draw may be worth e^FAR times the positive; the nodes reach as far down in log t.
FAR = 1e5


def _check_underflow(plan: Plan, log_payment: Floats, power: int) -> None:
    """*Raises* ValueError where a label that is drawn with a q too small for floats makes a difference to E x^power."""
    with np.errstate(invalid="ignore"):
        share = plan.log_q + power * (plan.log_w + log_payment)
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
    """The exact `quantity` of the sampled loss ℓ(N) under `scheme`, with a bound on its error.

    "mean" E ℓ; "variance" V ℓ; "mse" E (ℓ - b)² about the implicit loss b; "gap" b - E ℓ >= 0; "gradient" E ∂ℓ/∂f,
    (L,), with q and w held fixed.  Relative accuracy 1e-12 for means and gradients, 1e-8 for the others down to 1e-14
    of the (squared) mean, as far as the rounding of log x lets one know them; scores up to 1e4 apart, m up to 1e6.
    Time O(L) for any m: from 5,000 labels on by the few thousand numbers that `implicitloss.measure` makes of them.

    *Source:* derived; decoupled losses by Rawat et al. 2021, Lemma 1, from the moments of one draw.
    """
    checked_quantity(quantity)
    checked_loss(loss)
    checked_scheme(scheme)
    checked_problem(problem)
    if not loss.has_log:
        with np.errstate(over="ignore", invalid="ignore"):
            value, error = _decoupled(scheme, loss, problem, quantity)
    elif quantity == "gradient":
        value, error = _gradient(scheme, loss, problem)
    else:
        for draw in measure.measures(*_drawn(scheme, loss, problem)):
            value, rounding, interpolation = _softmax(draw, scheme.m, quantity)
            if interpolation <= _allowed(draw, scheme.m, quantity, value):
                break
        error = rounding + interpolation
    return Estimate(value, error, quantity, "integrate")


def _drawn(scheme: Scheme, loss: Loss, problem: Problem, power: int = 1) -> tuple[Plan, Floats]:
    """log q and log w of each label, and the log of what it pays."""
    plan, payment = scheme.plan(problem, loss=loss), loss.log_payment(problem.scores, problem.positive)
    if bool(((plan.log_q <= TINY) & (plan.log_q > -np.inf)).any()):
        _check_underflow(plan, payment, power)
    log_x = np.where(plan.log_q > TINY, plan.log_w, -np.inf) + payment
    if loss.has_log and log_x.max() > FAR:
        label = int(np.argmax(log_x))
        raise ValueError(
            f"an integral needs draws worth at most e^{FAR:.0e} times the positive, but label {label} with its weight "
            f"is worth e^{log_x[label]:.3g}; bring the scores nearer together"
        )
    return plan, payment


def _softmax(draw: Measure, m: int, quantity: Quantity) -> tuple[float, float, float]:
    """Value, rounding error and interpolation error."""
    if draw.high == -np.inf:
        return 0.0, 0.0, 0.0
    if quantity == "mean":
        value, interpolation = _mean(draw, m)
        return value, value * draw.rounding, interpolation
    if quantity == "variance":
        return _variance(draw, m)
    return _about_implicit(draw, m)[quantity]


def _allowed(draw: Measure, m: int, quantity: Quantity, value: float) -> float:
    """How much interpolation may make of a value."""
    if draw.bins is None:
        return np.inf
    if quantity == "mean":
        return FINE * value
    scale = float(np.logaddexp(0.0, np.log(m) + draw.log_mean))
    return max(COARSE * value, LEAST * (scale if quantity == "gap" else scale**2))


def _nodes(low: float, high: float) -> Floats:
    return STEP * np.arange(np.floor(low / STEP), np.ceil(high / STEP) + 1)


def _power(exponent: int, log_phi: Floats) -> Floats:
    """log φ^exponent; φ^0 is 1 also where φ underflows to 0."""
    return exponent * log_phi if exponent else np.zeros_like(log_phi)


def _mean(draw: Measure, m: int) -> tuple[float, float]:
    """The mean, and what interpolation makes of it."""
    v = _nodes(-max(0.0, np.log(m) + draw.high) - LEFT, RIGHT)
    log_m = m * log_transform(v, draw.q, draw.log_x)
    value = float(STEP * np.sum(np.exp(-np.exp(v)) * -np.expm1(log_m)))
    return value, 0.0 if draw.bins is None else 1.01 * draw.bins.relative_error * value


def _centred(draw: Measure, m: int, centre: float, log_mgf: Floats, lost: Floats, v: Floats) -> tuple[Floats, Floats]:
    """D_c at the nodes, and what interpolation makes of it.

    `log_mgf` is log E e^{-t(R - 1)} up to NEAR, and `lost` the interpolation's error of φ e^{t x̄} there.
    """
    d, interpolation = np.empty(v.size), np.zeros(v.size)
    near = np.zeros(v.size, dtype=bool)
    # The centred form is there for what is small; where E e^{-tR} is well above e^{-t} the plain one keeps more digits.
    near[: log_mgf.size] = log_mgf <= 1
    log_mgf, lost = log_mgf[near[: log_mgf.size]], lost[near[: log_mgf.size]]
    decay = np.exp(-np.exp(v[near]))
    d[near] = decay * np.expm1(log_mgf)
    interpolation[near] = decay * np.exp(log_mgf) * m * lost * np.exp(-log_mgf / m)
    far = v[~near]
    log_phi = log_transform(far - centre, draw.q, draw.log_x)
    expected = np.exp(m * log_phi - np.exp(far - centre))
    d[~near] = expected - np.exp(-np.exp(np.minimum(far, NEAR)))
    missed = draw.total_error(far - centre, log_phi)
    at_most = _power(m - 1, np.log(np.exp(log_phi) + missed + 1e-300))
    interpolation[~near] = m * missed * np.exp(at_most - np.exp(far - centre))
    return d, interpolation


def _centred_nodes(draw: Measure, m: int, centre: float) -> tuple[Floats, Floats]:
    """The nodes for D_c, and those of them up to NEAR."""
    low = -max(0.0, np.log(m) + draw.high - centre) - LEFT
    high = RIGHT + max(0.0, centre - float(np.logaddexp(0.0, np.log(m) + draw.low)))
    v = _nodes(low, high)
    return v, v[v <= NEAR]


def _about_implicit(draw: Measure, m: int) -> dict[str, tuple[float, float, float]]:
    """Gap and mean squared error about c = log(1 + ES)."""
    log_mean = draw.log_mean
    centre = float(np.logaddexp(0.0, np.log(m) + log_mean))
    v, near = _centred_nodes(draw, m, centre)
    excess = np.expm1(draw.log_x - log_mean)
    ratio = float(np.exp(log_mean - centre))
    log_mgf = m * log_transform_about_mean(near, draw.q, excess, ratio)
    lost = draw.centred_error(np.exp(near) * ratio, log_mean, 2)
    d, interpolation = _centred(draw, m, centre, log_mgf, lost, v)
    found = {}
    for quantity, kernel in (("gap", np.ones(v.size)), ("mse", 2 * (np.euler_gamma + v))):
        value = max(float(STEP * np.sum(kernel * d)), 0.0)
        size = STEP * np.abs(kernel)
        spread = float(np.sqrt(2 * value if quantity == "gap" else value))
        rounding = float(np.sum(size * np.abs(d))) * draw.rounding + _own(draw, spread, centre)
        found[quantity] = value, rounding, float(np.sum(size * interpolation))
    return found


def _own(draw: Measure, spread: float, centre: float) -> float:
    """What the rounding δ of each log x does to a second moment: 2 δ √moment + δ².

    dℓ/dlog x is at most S/(1+S) <= ℓ, so a small loss moves less.
    """
    moved = min(1.0, 2 * centre) * draw.log_rounding
    return 2 * moved * (spread + moved)


def _variance(draw: Measure, m: int) -> tuple[float, float, float]:
    """V ℓ = mse - gap² where that does not cancel; else E (ℓ - c)² with c the computed mean."""
    about = _about_implicit(draw, m)
    mse, mse_error, mse_lost = about["mse"]
    gap, gap_error, gap_lost = about["gap"]
    if gap**2 <= mse / 2:
        return mse - gap**2, mse_error + 2 * gap * gap_error + gap_error**2, mse_lost + 2 * gap * gap_lost
    # Rare large draws: b lies far above the typical loss, and so does everything that is centred there.
    centre, _ = _mean(draw, m)
    log_x0 = float(np.log(np.expm1(centre)) if centre < 700 else centre) - np.log(m)
    v, near = _centred_nodes(draw, m, centre)
    log_mgf = m * log_transform_about(near, draw.q, draw.log_x - log_x0, log_x0 - centre)
    lost = draw.centred_error(np.exp(near + log_x0 - centre), log_x0, 1)
    d, interpolation = _centred(draw, m, centre, log_mgf, lost, v)
    kernel = 2 * (np.euler_gamma + v)
    # The last term is (E ℓ - c)², the square of a rounding error.
    value = max(float(STEP * np.sum(kernel * d)) - float(STEP * np.sum(d)) ** 2, 0.0)
    own = _own(draw, float(np.sqrt(value)), centre)
    size = STEP * np.abs(kernel)
    return value, float(np.sum(size * np.abs(d))) * draw.rounding + own, float(np.sum(size * interpolation))


def _gradient(scheme: Scheme, loss: Loss, problem: Problem) -> tuple[Floats, Floats]:
    """m q_k J(log x_k), J(u) = e^u ∫ e^{-t(1+e^u)} φ^{m-1} dt = E e^u/(1+e^u+S'), and minus their sum for the positive.

    An error δ of φ makes at most (m-1) δ (φ+δ)^{m-2} of φ^{m-1}, and so the same integral over that of J.
    """
    plan, payment = _drawn(scheme, loss, problem)
    m = scheme.m
    for draw in measure.measures(plan, payment):
        if draw.high == -np.inf:
            return np.zeros(problem.scores.size), np.zeros(problem.scores.size)
        v = _nodes(-max(0.0, np.log(m) + draw.high) - LEFT, RIGHT)
        log_phi = log_transform(v, draw.q, draw.log_x)
        log_weights = v - np.exp(v) + _power(m - 1, log_phi) + np.log(STEP)
        lost = 0.0
        if draw.bins is None:
            break
        at = draw.bins.points.ravel()
        values = tilted_integrals(v, log_weights, at, at)
        if m > 1:
            missed = draw.total_error(v, log_phi) + 1e-300
            log_missed = np.log(m - 1) + np.log(missed) + _power(m - 2, np.log(np.exp(log_phi) + missed))
            off = tilted_integrals(v, v - np.exp(v) + log_missed + np.log(STEP), at, at)
            lost = float(np.max(off / np.maximum(values, 1e-300)))
        lost += draw.bins.relative_error
        if lost <= 2 * FINE:
            break
    if draw.bins is None:
        support = np.flatnonzero(plan.log_q > TINY)
        log_scale = np.log(m) + plan.log_q[support] + draw.log_x
        gradient = np.zeros(problem.scores.size)
        gradient[support] = tilted_integrals(v, log_weights, draw.log_x, log_scale)
        # An entry rounds as its own logarithms do, also where it is next to nothing of the whole.
        slip = 2 * EPS * plan.magnitudes(payment)
    else:
        gradient = measure.spread_over_labels(draw.bins, values.reshape(draw.bins.points.shape), plan, payment, m)
        slip = np.zeros(1)
    del plan, payment  # vectors of L, like those to come
    # A kept hit adds w_yy e^0, whatever the scores.
    gradient[problem.positive] = 0.0
    error = np.abs(gradient)
    error *= slip + draw.rounding + lost
    gradient[problem.positive], error[problem.positive] = -gradient.sum(), error.sum()
    return gradient, error


def _decoupled(
    scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity
) -> tuple[float, float] | tuple[Floats, Floats]:
    y, m = problem.positive, scheme.m
    if quantity == "gradient":
        # Every label by itself, and so in logarithms as far as they go.
        plan = scheme.plan(problem, loss=loss)
        gradient = m * np.exp(plan.log_q + plan.log_w) * loss.payment_slope(problem.scores, y)
        rounding = EPS * (64 + 2 * plan.magnitudes(np.zeros(1)))
        own = loss.positive_slope(float(problem.scores[y]))
        error = np.abs(gradient) * rounding
        # Kept hits and the positive's own slope have opposite signs.
        error[y] += abs(own) * 64 * EPS
        gradient[y] += own
        return gradient, error
    plan, payment = _drawn(scheme, loss, problem, 2 if quantity in ("variance", "mse") else 1)
    draw = measure.whole(plan, payment)
    if quantity == "gap":
        return 0.0, 0.0
    x = np.exp(draw.log_x)
    mean = np.sum(draw.q * x)
    if quantity == "mean":
        value = float(loss.positive_pays(float(problem.scores[y])) + m * mean)
        return value, value * draw.rounding
    variance = m * np.sum(draw.q * (x - mean) ** 2)
    own = 2 * m * np.sqrt(variance / m) * mean * draw.rounding
    return float(variance), float(variance * draw.rounding + own + m * (mean * draw.rounding) ** 2)


def gradient_and_hessian(scheme: Scheme, loss: Loss, problem: Problem) -> tuple[Floats, Floats]:
    """E ∂ℓ/∂f (L,) and E ∂²ℓ/∂f∂f' (L, L) of the sampled softmax, q and w held fixed; for scores within ±300.

    With s_k = n_k x_k/(1+S), n_k the times k was drawn, the Hessian is diag(E s) - E s sᵀ, and for k != l
    E s_k s_l = m(m-1) q_k q_l x_k x_l ∫ t e^{-t(1+x_k+x_l)} φ^{m-2} dt; on the diagonal the same with l = k plus
    m q_k x_k² ∫ t e^{-t(1+x_k)} φ^{m-1} dt.  Row and column y follow, as only score differences matter.
    *Raises* ValueError for a loss without a log.  *Source:* derived.
    """
    if not loss.has_log:
        raise ValueError(f"the Hessian is for softmax cross-entropy; {loss.name} is a sum of one-label terms")
    plan, y, m = scheme.plan(problem), problem.positive, scheme.m
    draw = measure.whole(plan, loss.log_payment(problem.scores, y))
    n_labels = problem.scores.size
    support = np.flatnonzero(plan.log_q > TINY)
    others = support != y
    labels, q, x = support[others], draw.q[others], np.exp(draw.log_x[others])
    v = _nodes(-max(0.0, np.log(m) + draw.high) - LEFT, RIGHT)
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
