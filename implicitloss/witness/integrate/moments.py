"""Exact expectations of sampled losses by one-dimensional integrals; no sampling, no bound.

A draw adds x_j = w_yy' e^{f_y' - f_y} with probability q_j; S is the sum of m draws; φ(t) = Σ_j q_j e^{-t x_j}, so
M(t) = E e^{-tS} = φ(t)^m.  With R = (1 + S) e^{-c} for any centre c, and D_c(t) = E e^{-tR} - e^{-t}:

    E log(1+S)      =    ∫ e^{-t} (1 - M(t)) dt/t
    c - E log(1+S)  =    ∫ D_c(t) dt/t               (the Jensen gap, when c = log(1 + ES))
    E (log(1+S)-c)² = 2 ∫ (γ + log t) D_c(t) dt/t    (γ Euler's constant)
    E ∂ℓ/∂f_k       = m q_k x_k ∫ e^{-t(1+x_k)} φ(t)^{m-1} dt

They follow from Γ(s)^{-1} ∫ t^{s-1} e^{-tR} dt = R^{-s} at s → 0.  Nothing is got by subtracting large numbers: D is
computed as e^{-t} expm1(m log(φ e^{t x̄})), where φ e^{t x̄} - 1 is a sum of positive terms.
"""

from __future__ import annotations

import numpy as np

from implicitloss.estimate import Quantity
from implicitloss.kernels.transform import (
    log_transform,
    log_transform_about,
    log_transform_about_mean,
)
from implicitloss.labels import Floats
from implicitloss.witness.integrate.draw import Measure
from implicitloss.witness.integrate.quadrature import LEFT, RIGHT, STABLE_TO_LOG_T, STEP, nodes, power

__all__ = ["COARSE", "FINE", "MEAN_SHARE", "about_softmax", "allowed_interpolation"]

# The largest interpolation errors: of a mean, relative to it (FINE); of another quantity, relative to it (COARSE) or to
# log(1 + ES) or its square (MEAN_SHARE), whichever allows more.
FINE, COARSE, MEAN_SHARE = 2e-13, 1e-9, 1e-23


def about_softmax(draw: Measure, m: int, quantity: Quantity) -> tuple[float, float, float]:
    """Value, rounding error and interpolation error."""
    if draw.high == -np.inf:
        return 0.0, 0.0, 0.0
    if quantity == "mean":
        value, interpolation = _mean(draw, m)
        return value, value * draw.rounding, interpolation
    if quantity == "variance":
        return _variance(draw, m)
    return _about_implicit(draw, m)[quantity]


def allowed_interpolation(draw: Measure, m: int, quantity: Quantity, value: float) -> float:
    """The largest interpolation error that is accepted for a value."""
    if draw.bins is None:
        return np.inf
    if quantity == "mean":
        return FINE * value
    scale = float(np.logaddexp(0.0, np.log(m) + draw.log_mean))
    return max(COARSE * value, MEAN_SHARE * (scale if quantity == "gap" else scale**2))


def _mean(draw: Measure, m: int) -> tuple[float, float]:
    """The mean, and its interpolation error."""
    v = nodes(-max(0.0, np.log(m) + draw.high) - LEFT, RIGHT)
    log_m = m * log_transform(v, draw.q, draw.log_x)
    value = float(STEP * np.sum(np.exp(-np.exp(v)) * -np.expm1(log_m)))
    return value, 0.0 if draw.bins is None else 1.01 * draw.bins.relative_error * value


def _centred(draw: Measure, m: int, centre: float, log_mgf: Floats, lost: Floats, v: Floats) -> tuple[Floats, Floats]:
    """D_c at the nodes, and its interpolation error.

    `log_mgf` is log E e^{-t(R - 1)} up to STABLE_TO_LOG_T, and `lost` the interpolation's error of φ e^{t x̄} there.
    """
    d, interpolation = np.empty(v.size), np.zeros(v.size)
    near = np.zeros(v.size, dtype=bool)
    # The centred form keeps the digits of small differences; where E e^{-tR} is well above e^{-t}, the plain form does.
    near[: log_mgf.size] = log_mgf <= 1
    log_mgf, lost = log_mgf[near[: log_mgf.size]], lost[near[: log_mgf.size]]
    decay = np.exp(-np.exp(v[near]))
    d[near] = decay * np.expm1(log_mgf)
    interpolation[near] = decay * np.exp(log_mgf) * m * lost * np.exp(-log_mgf / m)
    far = v[~near]
    log_phi = log_transform(far - centre, draw.q, draw.log_x)
    expected = np.exp(m * log_phi - np.exp(far - centre))
    d[~near] = expected - np.exp(-np.exp(np.minimum(far, STABLE_TO_LOG_T)))
    missed = draw.total_error(far - centre, log_phi)
    at_most = power(m - 1, np.log(np.exp(log_phi) + missed + 1e-300))
    interpolation[~near] = m * missed * np.exp(at_most - np.exp(far - centre))
    return d, interpolation


def _centred_nodes(draw: Measure, m: int, centre: float) -> tuple[Floats, Floats]:
    """The nodes for D_c, and those of them up to STABLE_TO_LOG_T."""
    low = -max(0.0, np.log(m) + draw.high - centre) - LEFT
    high = RIGHT + max(0.0, centre - float(np.logaddexp(0.0, np.log(m) + draw.low)))
    v = nodes(low, high)
    return v, v[v <= STABLE_TO_LOG_T]


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
    """The error of a second moment from the rounding δ of each log x: 2 δ √moment + δ².

    The rounding moves ℓ by δ dℓ/dlog x, and dℓ/dlog x is at most S/(1+S) <= ℓ: a small loss moves less.
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
    # With rare large draws b lies far above the typical loss, and moments about b cancel.  Take them about the mean.
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
