"""Exact expectations of many schemes and positives over one prior and one vector of scores, from one grid.

Where weights are w_yy' = a_y b_y' a draw adds x = e^{κ + u}, u = log b_y' + f_y' of the label alone and κ = log a_y -
f_y of the positive alone.  So φ_y(t) = Σ q e^{-t e^{κ+u}} is one function Φ of log t + κ for every positive, every m
and every weighting with the same b; what differs is y's own atom p = q_y at u_y, which is taken out (hits excluded),
moved to x = 0 (masked) or left (kept).  With ū = log Σ q e^u, σ = t e^{κ+ū}, ζ = e^{u_y - ū} - 1 and k(z) = e^{-z} - 1
+ z:

    A(σ) = 1 - Φ,   K(σ) = Σ q k(σ (e^{u-ū} - 1))            tabulated once, at log σ = 3/16 times whole numbers
    excluded  A_y = (A - p(1-g))/(1-p), a = pσζ/(1-p), G = (K - p k(σζ))/(1-p)
    masked    A_y = A - p(1-g),         a = pσ(1+ζ),   G = K + p(k(-σ) - k(σζ)),        g = e^{-σ(1+ζ)}
    φ_y e^{t x̄_y} - 1 = e^{-a} (G - k(-a)),   x̄_y the mean of x without, or with the masked, hits

The integrals are those of `implicitloss.witness.integrate`, whose nodes may start anywhere.  What the removal of a
heavy atom cancels is counted in the error, and an entry that is not exact enough is integrated by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implicitloss import measure
from implicitloss.arguments import checked_list
from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.kernels.transform import log_transform, log_transform_about_mean
from implicitloss.labels import Floats, LabelPrior, checked_prior
from implicitloss.logsum import logsumexp
from implicitloss.losses import Loss, checked_loss
from implicitloss.measure import EPS, Measure
from implicitloss.problem import Problem
from implicitloss.scheme import Plan, Scheme, checked_scheme
from implicitloss.witness.integrate import COARSE, LEAST, LEFT, NEAR, RIGHT, STEP, integrate

SWEPT: tuple[Quantity, ...] = ("mean", "gap", "mse", "variance")
# A mean may be off by this share of itself before its entry is integrated alone.
PRECISE = 1e-12
# A positive with more of q, or of Σ q x, than this is integrated alone, unless hits are kept.
HEAVY = 0.1


def sweep(
    schemes: Sequence[Scheme],
    loss: Loss,
    scores: ArrayLike,
    prior: LabelPrior,
    positives: Sequence[int] | None = None,
    quantities: Sequence[Quantity] = ("mean",),
) -> dict[Quantity, Estimate]:
    """E ℓ, gap, squared error, variance and gradient of every scheme for every positive, with errors.

    Values are (schemes, positives), gradients (schemes, positives, L), which is much for all positives.

    The same numbers as `integrate`, at little more than the cost of one: schemes that share sampler and hits, with
    weights that are a factor for the positive times one for the negative (all built-in ones), share one pass over the
    labels.  Other schemes, samplers that look at the positive, decoupled losses, and gradients, each of them as
    long as the labels, are integrated one by one.  `positives` are labels (default all).  *Raises* ValueError as
    `integrate` does.  *Source:* derived.
    """
    checked_loss(loss)
    schemes, quantities = checked_list(schemes, "schemes"), checked_list(quantities, "quantities")
    for scheme in schemes:
        checked_scheme(scheme, "each of the schemes")
    for quantity in quantities:
        checked_quantity(quantity)
    swept = [quantity for quantity in quantities if quantity in SWEPT]
    n_labels = checked_prior(prior).n_labels
    given = range(n_labels) if positives is None else checked_list(positives, "positives")
    problems = [Problem(scores, prior, y) for y in given]  # type: ignore[arg-type]
    if not problems or not schemes:
        raise ValueError(f"a sweep needs schemes and positives, got {len(schemes)} and {len(problems)}")
    tails = {quantity: (prior.n_labels,) if quantity == "gradient" else () for quantity in quantities}
    values = {quantity: np.full((len(schemes), len(problems), *tail), np.nan) for quantity, tail in tails.items()}
    errors = {quantity: np.full_like(value, np.inf) for quantity, value in values.items()}
    grids: dict[Any, _Grid] = {}
    for i, scheme in enumerate(schemes):
        factors = _factors(scheme, loss, problems)
        if factors is not None and swept:
            log_q, log_a, log_b = factors
            # Weightings with the same b share a grid.
            known = (grid for grid in grids.values() if grid.serves(scheme, log_b))
            grid = next(known, None) or _Grid.of(scheme, log_q, log_b, problems)
            grids[id(grid)] = grid
            for quantity, (value, error) in grid.integrals(scheme.m, log_a, swept).items():
                values[quantity][i], errors[quantity][i] = value, error
        for j, problem in enumerate(problems):
            for quantity in quantities:
                if quantity == "gradient" or not errors[quantity][i, j] <= _allowed(quantity, values, i, j):
                    alone = integrate(scheme, loss, problem, quantity)
                    values[quantity][i, j], errors[quantity][i, j] = alone.value, alone.error
    return {quantity: Estimate(values[quantity], errors[quantity], quantity, "sweep") for quantity in quantities}


def _allowed(quantity: Quantity, values: dict[Quantity, Floats], i: int, j: int) -> float:
    value = float(values[quantity][i, j])
    return PRECISE * value if quantity == "mean" else max(10 * COARSE * value, LEAST)


def _factors(scheme: Scheme, loss: Loss, problems: Sequence[Problem]) -> tuple[Floats, Floats, Floats] | None:
    """Unconditional log q (L,), log a of each problem's positive, log b (L,); None where there are no such factors."""
    factors = getattr(scheme.weighting, "log_factors", None)
    if factors is None or not loss.has_log or getattr(scheme.sampler, "needs_positive", False):
        return None
    first, last = problems[0], problems[-1]
    scheme.plan(first)
    log_q = scheme.sampler.log_law(first)
    if not np.array_equal(log_q, scheme.sampler.log_law(last)):
        return None
    found = factors(log_q, first.prior, scheme.m, scheme.hits == "exclude")
    if found is None:
        return None
    log_a, log_b = found
    at = [problem.positive for problem in problems]
    return log_q, np.broadcast_to(log_a, log_q.shape)[at], np.where(np.isneginf(log_q), -np.inf, log_b)


def _k(z: Floats) -> Floats:
    """e^{-z} - 1 + z, without cancellation."""
    series = np.ones_like(z)
    for n in range(18, 2, -1):
        series = 1.0 - z / n * series
    with np.errstate(over="ignore"):
        return np.where(np.abs(z) > 0.5, np.expm1(-z) + z, 0.5 * z * z * series)


@dataclass(eq=False)
class _Grid:
    """A and K of one law of draws on u, at log σ = STEP k for k from `first` on, with errors; and each own atom."""

    scheme: Scheme
    log_b: Floats
    draw: Measure
    log_mean: float
    scores: Floats
    p: Floats
    worth: Floats  # e^{u_y - ū} = 1 + ζ, which cannot be had from ζ where it is small
    zeta: Floats
    first: int = 0
    a: Floats = None  # type: ignore[assignment]
    phi: Floats = None  # type: ignore[assignment]
    k: Floats = None  # type: ignore[assignment]
    a_error: Floats = None  # type: ignore[assignment]
    phi_error: Floats = None  # type: ignore[assignment]
    k_error: Floats = None  # type: ignore[assignment]

    @classmethod
    def of(cls, scheme: Scheme, log_q: Floats, log_b: Floats, problems: Sequence[Problem]) -> _Grid:
        scores, at = problems[0].scores, [problem.positive for problem in problems]
        draw = next(measure.measures(Plan(log_q, log_b), scores))
        log_mean = float(logsumexp(draw.log_x, b=draw.q))
        own = np.minimum((log_b + scores)[at] - log_mean, 700.0)
        return cls(scheme, log_b, draw, log_mean, scores[at], np.exp(log_q[at]), np.exp(own), np.expm1(own))

    def serves(self, scheme: Scheme, log_b: Floats) -> bool:
        """Whether a scheme's draws lie on this grid."""
        same = (scheme.sampler, scheme.hits) == (self.scheme.sampler, self.scheme.hits)
        return same and np.array_equal(log_b, self.log_b)

    def _cover(self, first: int, last: int) -> None:
        """Tabulate from `first` to `last`, if that is not done."""
        if self.a is not None and self.first <= first and last < self.first + self.a.size:
            return
        if self.a is not None:
            first, last = min(first, self.first), max(last, self.first + self.a.size - 1)
        nodes: Floats = STEP * np.arange(first, last + 1, dtype=np.float64)
        draw, v = self.draw, nodes - self.log_mean
        log_phi = log_transform(v, draw.q, draw.log_x)
        self.first, self.a, self.phi = first, -np.expm1(log_phi), np.exp(log_phi)
        missed = draw.total_error(v, log_phi)
        self.a_error = draw.rounding * self.a + missed
        self.phi_error = draw.rounding * self.phi + missed
        with np.errstate(over="ignore"):
            near = nodes <= NEAR + 1
            self.k = np.full(nodes.size, np.inf)
            excess = np.expm1(draw.log_x - self.log_mean)
            self.k[near] = np.expm1(log_transform_about_mean(nodes[near], draw.q, excess, 1.0))
            self.k_error = np.full(nodes.size, np.inf)
            scale = np.exp(nodes[near])
            self.k_error[near] = draw.rounding * self.k[near] + draw.centred_error(scale, self.log_mean, 2)

    def _rows(self, low: Floats, high: Floats, shift: Floats) -> tuple[Any, Floats, Floats]:
        """Indices (Y, n) of the nodes from v = `low` to `high`, v = log σ - shift, and σ there."""
        first = np.floor((low + shift) / STEP).astype(int)
        n = int(np.max(np.ceil((high + shift) / STEP) - first)) + 1
        self._cover(int(first.min()), int(first.max()) + n)
        k = first[:, None] + np.arange(n)
        nodes = STEP * k
        return k - self.first, nodes - shift[:, None], np.exp(np.minimum(nodes, 690.0))

    def _without_own(self, at: Any, sigma: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """A_y and φ_y at the nodes, (Y, n), and their errors."""
        a, phi, a_error, phi_error = self.a[at], self.phi[at], self.a_error[at], self.phi_error[at]
        if self.scheme.hits == "keep":
            return a, phi, a_error, phi_error
        p, worth = self.p[:, None], self.worth[:, None]
        gone, left = p * -np.expm1(-sigma * worth), p * np.exp(-sigma * worth)
        slip = 8 * EPS * (1 + np.minimum(sigma * worth, 700.0))
        if self.scheme.hits == "mask":
            return a - gone, phi - left + p, a_error + slip * gone, phi_error + slip * left + EPS * p
        rest = 1 - p
        return (a - gone) / rest, (phi - left) / rest, (a_error + slip * gone) / rest, (phi_error + slip * left) / rest

    def integrals(self, m: int, log_a: Floats, quantities: Sequence[Quantity]) -> dict[Quantity, tuple[Floats, Floats]]:
        """(values, errors) of each quantity for each positive, (Y,)."""
        kappa = log_a - self.scores + self.log_mean
        high = np.log(m) + kappa + (self.draw.high - self.log_mean)
        found: dict[Quantity, tuple[Floats, Floats]] = {}
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if "mean" in quantities:
                found["mean"] = self._mean(m, kappa, high)
            if set(quantities) - {"mean"}:
                found |= self._second_order(m, kappa, high)
        # Where the positive is much of the law, or of its mean, what is left without it has lost digits.
        heavy = ((self.p > HEAVY) | (self.p * self.worth > HEAVY)) & (self.scheme.hits != "keep")
        return {name: (found[name][0], np.where(heavy, np.inf, found[name][1])) for name in quantities}

    def _mean(self, m: int, kappa: Floats, high: Floats) -> tuple[Floats, Floats]:
        at, v, sigma = self._rows(-np.maximum(0.0, high) - LEFT, np.full(kappa.size, RIGHT), kappa)
        a, _, a_error, _ = self._without_own(at, sigma)
        decay = np.exp(-np.exp(v))
        log_phi = np.log1p(-np.clip(a, 0.0, 1.0))
        value = STEP * np.sum(decay * -np.expm1(m * log_phi), axis=1)
        slope = np.exp((m - 1) * log_phi) if m > 1 else np.ones_like(a)
        error = STEP * np.sum(decay * m * slope * a_error, axis=1)
        return value, error + self.draw.rounding * value

    def _second_order(self, m: int, kappa: Floats, high: Floats) -> dict[Quantity, tuple[Floats, Floats]]:
        p, zeta = self.p, self.zeta
        lost = {"keep": 0 * p, "mask": p * self.worth, "exclude": p * zeta / (1 - p)}[self.scheme.hits]
        log_s = np.log(m) + kappa + np.log1p(-lost)
        c = np.logaddexp(0.0, log_s)
        least = np.full(kappa.size, self.draw.low if self.scheme.hits != "mask" else -np.inf)
        low_s = np.log(m) + kappa + least - self.log_mean
        top = RIGHT + np.maximum(0.0, c - np.logaddexp(0.0, low_s))
        at, v, sigma = self._rows(-np.maximum(0.0, high - c) - LEFT, top, kappa - c)
        a, phi, a_error, phi_error = self._without_own(at, sigma)
        p, zeta, worth = p[:, None], zeta[:, None], self.worth[:, None]
        gone, shift, rest = np.zeros_like(sigma), np.zeros_like(sigma), np.ones_like(p)
        if self.scheme.hits == "exclude":
            gone, shift, rest = -p * _k(sigma * zeta), p * sigma * zeta / (1 - p), 1 - p
        elif self.scheme.hits == "mask":
            gone, shift = p * (_k(-sigma) - _k(sigma * zeta)), p * sigma * worth
        back = _k(-shift)
        excess = np.exp(-shift) * ((self.k[at] + gone) / rest - back)
        slip = 16 * EPS * (np.abs(gone) / rest + back)
        if self.scheme.hits == "mask":
            slip = slip + 16 * EPS * p * (_k(-sigma) + _k(sigma * zeta))
        excess_error = np.exp(-shift) * (self.k_error[at] / rest + slip)
        t = np.exp(v)
        log_mgf = m * np.log1p(np.maximum(excess, -0.999))
        near = (log_mgf <= 1) & (v <= NEAR)
        d_near = np.exp(-t) * np.expm1(log_mgf)
        e_near = np.exp(-t) * np.exp(log_mgf) * m * excess_error / np.maximum(1 + excess, 1e-3)
        log_phi = np.where(a < 0.5, np.log1p(-np.minimum(a, 0.9)), np.log(np.maximum(phi, 1e-300)))
        phi_off = np.where(a < 0.5, a_error, phi_error)
        weight = np.exp(-np.exp(v - c[:, None]))
        d_far = np.exp(m * log_phi) * weight - np.exp(-t)
        slope = np.exp((m - 1) * np.log(np.exp(log_phi) + phi_off)) if m > 1 else np.ones_like(a)
        e_far = m * phi_off * slope * weight
        d, off = np.where(near, d_near, d_far), np.where(near, e_near, e_far)
        kernel = 2 * (np.euler_gamma + v)
        gap, gap_error = STEP * np.sum(d, axis=1), STEP * np.sum(off + self.draw.rounding * np.abs(d), axis=1)
        mse = STEP * np.sum(kernel * d, axis=1)
        mse_error = STEP * np.sum(np.abs(kernel) * (off + self.draw.rounding * np.abs(d)), axis=1)
        own = self.draw.log_rounding
        gap_error += 4 * own * (np.sqrt(np.abs(2 * gap)) + own)
        mse_error += 4 * own * (np.sqrt(np.abs(mse)) + own)
        variance_error = mse_error + 2 * np.abs(gap) * gap_error + gap_error**2
        # Where this cancels the entry is integrated alone.
        cancels = gap**2 > mse / 2
        return {
            "gap": (np.maximum(gap, 0.0), gap_error),
            "mse": (np.maximum(mse, 0.0), mse_error),
            "variance": (np.maximum(mse - gap**2, 0.0), np.where(cancels, np.inf, variance_error)),
        }
