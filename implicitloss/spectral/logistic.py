"""Logistic regression on two classes: its scores on fresh features, in the limit of many dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import expit

from implicitloss.labels import Floats
from implicitloss.spectral.augment import Augmentation
from implicitloss.spectral.covariances import Covariances
from implicitloss.spectral.fixed_point import fixed_point, inverse_root
from implicitloss.spectral.learners import Logistic
from implicitloss.spectral.mixture import GaussianMixture
from implicitloss.spectral.orthant import sign_error
from implicitloss.spectral.prediction import Prediction, frozen
from implicitloss.spectral.ridge import predict_ridge

__all__ = ["LossMoments", "loss_moments", "predict_logistic"]

SIGNS = np.array([1.0, -1.0])
# Averages over u ~ N(m, q) are trapezoids on ± REACH standard deviations, with twice the nodes until nothing moves.
FEWEST_NODES, MOST_NODES, MOST_WITH_NOISE, REACH = 128, 8192, 512, 9.0
AGREEMENT = 1e-10
ITERATIONS, DAMPING = 200, 0.7
# A path starts where V is at most MODEST, and its points are less accurate.
MODEST, FACTOR, MOST_STEPS = 2.0, 4.0, 24
LOOSE, MOST_ON_PATH, SHORTEST = 1e7, 40, 0.02
SCORES = "the means and variances of the scores"
SMALLEST = 1e-300


@dataclass(frozen=True)
class LossMoments:
    """Averages over u ~ N(m, q) of a class, with z = prox(u), g = -ℓ'(z) and h = ℓ''(z)."""

    mean: float
    square: float
    curvature: float  # h / (1 + V h)
    bare: float  # h


@lru_cache(maxsize=32)
def _normal_nodes(nodes: int) -> tuple[Floats, Floats]:
    x = np.linspace(-REACH, REACH, nodes + 1)
    w = np.exp(-(x**2) / 2)
    w /= w.sum()
    for shared in (x, w):
        shared.setflags(write=False)
    return x, w


def loss_moments(
    mean: float, variance: float, influence: float, sign: float, log_margin: float, noise: float, nodes: int
) -> LossMoments:
    """The averages for ℓ(z) = E log(1 + p e^{-s (z + √noise ε)}), s = ±1, ε ~ N(0, 1).

    prox(u) = argmin_z ℓ(z) + (z - u)²/(2V).  With v = s z - log p it is v = a + V σ̄(-v), a = s u - log p, which lies
    between a and a + V: Newton's method within these brackets.
    """
    x, w = _normal_nodes(nodes)
    a = sign * (mean + np.sqrt(variance) * x) - log_margin
    shift, share = _normal_nodes(nodes // 4)
    shift = np.sqrt(max(noise, 0.0)) * shift

    def at(v: Floats) -> tuple[Floats, Floats]:
        if not noise > 0:
            p = expit(-v)
            return p, p * (1 - p)
        p = expit(-(v[:, None] + shift))
        return p @ share, (p * (1 - p)) @ share

    low, high = a, a + influence
    v = np.clip(np.where(a > 0, a, np.log1p(influence)), low, high)
    last = 2 * (high - low)
    for _ in range(ITERATIONS):
        p, h = at(v)
        excess = v - a - influence * p
        low, high = np.where(excess < 0, v, low), np.where(excess < 0, high, v)
        move = -excess / (1 + influence * h)
        open_ = np.abs(move) > 1e-14 * (1 + np.abs(v) + np.abs(a))
        if not open_.any():
            break
        # A step that is not half the one before, or leaves the bracket, is replaced by bisection.
        new = v + move
        bisect = open_ & ((new <= low) | (new >= high) | (np.abs(move) > last / 2))
        new = np.where(bisect, (low + high) / 2, new)
        last, v = np.abs(new - v), new
    else:
        raise ValueError(
            f"the proximal points must converge, but still move by {np.abs(move).max():.3g}: take a larger lam"
        )
    p, h = at(v)
    return LossMoments(sign * float(w @ p), float(w @ p**2), float(w @ (h / (1 + influence * h))), float(w @ h))


@dataclass(frozen=True)
class _Equations:
    """The equations of the fixed point; its numbers are log V, w·μ, log q and, with noise, log wᵀ C w, two each."""

    mixture: GaussianMixture
    lam: float
    log_margins: tuple[float, float]
    noise: Covariances | None
    nodes: int

    def intercept(self, x: Floats) -> tuple[float, list[LossMoments]]:
        """The b with Σ_k n_k E g_k = 0, which falls in b: Newton's method within brackets."""
        influence, level, variance = np.exp(x[:2]), x[2:4], np.exp(x[4:6])
        noise = np.exp(x[6:8]) if self.noise is not None else np.zeros(2)
        counts, low, high, b = self.mixture.counts, -np.inf, np.inf, -float(np.mean(level))
        for _ in range(ITERATIONS):
            of_each = zip(level + b, variance, influence, SIGNS, self.log_margins, noise, strict=True)
            found = [loss_moments(m, q, v, s, p, t, self.nodes) for m, q, v, s, p, t in of_each]
            excess = float(counts @ [part.mean for part in found])
            slope = float(counts @ [part.curvature for part in found])
            low, high = (b, high) if excess > 0 else (low, b)
            move = excess / max(slope, SMALLEST)
            if abs(move) <= 1e-13 * (1 + abs(b) + float(np.sqrt(variance).max())):
                return b, found
            new = b + move
            if not low < new < high:
                new = (low + high) / 2 if np.isfinite(low + high) else b + np.sign(excess) * (1.0 + abs(b))
            b = new
        raise ValueError(f"the intercept must converge, but still moves by {abs(move):.3g}: take a larger lam")

    def __call__(self, x: Floats) -> Floats:
        mixture, counts = self.mixture, self.mixture.counts
        _, found = self.intercept(x)
        dual, square, curvature, bare = (
            counts * [getattr(part, name) for part in found] for name in ("mean", "square", "curvature", "bare")
        )
        covariances, means = mixture.of_classes, mixture.means - mixture.means.mean(axis=0)
        matrix = self.lam * np.eye(means.shape[1]) + covariances.sum(curvature)
        if self.noise is not None:
            matrix += self.noise.sum(bare)
        root = inverse_root(matrix)
        influence, products = covariances.influences(root), covariances.products(root)
        weights = root.T @ (root @ (means.T @ dual))
        level, fresh = means @ weights, square
        if mixture.mean_counts is not None:
            # The noise of estimated means in products of a mean with itself.
            level = level - influence * dual / mixture.mean_counts
            fresh = square - dual**2 / mixture.mean_counts
        variance = covariances.forms(weights[:, None])[:, 0, 0] + products @ fresh
        parts = [np.log(influence), level, np.log(np.maximum(variance, SMALLEST))]
        if self.noise is not None:
            inverse = root.T @ root
            spread = np.outer(weights, weights) + inverse @ covariances.sum(np.maximum(fresh, 0.0)) @ inverse
            parts.append(np.log(np.maximum(self.noise.inner(spread), SMALLEST)))
        return np.concatenate(parts)


def _near(
    mixture: GaussianMixture,
    lam: float,
    log_margins: tuple[float, float],
    noise: Covariances | None,
    augment: Augmentation | None,
) -> Floats:
    """A point near the fixed point: followed from a λ so large that the loss is nearly square, by steps of a factor."""
    ratio = float(mixture.of_classes.traces.max()) / (MODEST * lam)
    steps = math.ceil(math.log(max(ratio, 1.0), FACTOR))
    if steps > MOST_STEPS:
        least = float(mixture.of_classes.traces.max()) / (MODEST * FACTOR**MOST_STEPS)
        raise ValueError(f"lam must be at least {least:.3g} for logistic regression on these covariances, got {lam:g}")
    near = predict_ridge(mixture, 4 * lam * FACTOR**steps, augment)
    # Logistic loss is near the square loss of curvature 1/4 and targets ±2.
    start = [np.log(4 * near.influence), 2 * near.mean - near.mean.sum(), np.log(4 * near.variance)]
    x = np.concatenate(start if noise is None else [*start, np.zeros(2)])
    end, stride, rate = math.log(lam), math.log(FACTOR), np.zeros_like(x)
    # The first point has the λ of the square loss, the last one that of the learner.
    level = new_level = end + steps * stride
    while True:
        equations = _Equations(mixture, math.exp(new_level), log_margins, noise, FEWEST_NODES)
        try:
            new = fixed_point(equations, x + rate * (level - new_level), SCORES, DAMPING, LOOSE, MOST_ON_PATH)
        except ValueError:
            stride /= 2
            if new_level == level or stride < SHORTEST:
                raise
        else:
            if new_level < level:
                rate, stride = (new - x) / (level - new_level), min(1.5 * stride, math.log(FACTOR))
            x, level = new, new_level
            if level <= end:
                return x
        new_level = max(level - stride, end)


def predict_logistic(mixture: GaussianMixture, learner: Logistic, augment: Augmentation | None) -> Prediction:
    """The prediction for a convex loss ℓ_k by class.

    prox_k(u) = argmin_z ℓ_k(z) + (z - u)²/(2 V_k), u ~ N(m_k, q_k), g_k = -ℓ_k'(prox_k(u)); m̂_k = n_k E g_k,
    q̂_k = n_k E g_k², V̂_k = n_k E[ℓ_k''/(1 + V_k ℓ_k'')]; A = λI + Σ_k V̂_k Σ_k, V_k = tr(Σ_k A⁻¹);
    w = A⁻¹ Σ_k m̂_k μ_k, m_k = w·μ_k + b, q_k = wᵀ Σ_k w + Σ_j q̂_j tr(Σ_k A⁻¹ Σ_j A⁻¹), b from Σ_k m̂_k = 0.

    With noise of covariance C_k on the features, ℓ_k is averaged over N(0, wᵀ C_k w), and A gains
    Σ_k n_k E[ℓ_k''] C_k.
    """
    if mixture.n_classes != 2:
        raise ValueError(f"Logistic must have two classes, got {mixture.n_classes}: take Ridge, or a pair of classes")
    noise = None if augment is None else augment.covariances(mixture)
    if noise is not None and not noise.traces.any():
        noise = None
    log_margins = learner.log_margins(mixture)
    x = _near(mixture, learner.lam, log_margins, noise, augment)
    nodes, most = FEWEST_NODES, MOST_NODES if noise is None else MOST_WITH_NOISE
    before = None
    while True:
        equations = _Equations(mixture, learner.lam, log_margins, noise, nodes)
        x = fixed_point(equations, x, SCORES, DAMPING)
        if before is not None and np.max(np.abs(x - before) / (1 + np.abs(x))) <= AGREEMENT:
            break
        if 2 * nodes > most:
            raise ValueError(f"averages over scores must agree to {AGREEMENT:g} at {nodes} nodes: take a larger lam")
        before, nodes = x, 2 * nodes
    b, found = equations.intercept(x)
    influence, mean, variance = np.exp(x[:2]), x[2:4] + b, np.exp(x[4:6])
    training_mean = mean + influence * [part.mean for part in found]
    return frozen(mixture, sign_error(SIGNS * mean, variance), np.zeros(2), mean, training_mean, influence, variance)
