"""Sampled softmax as its definition has it: every sequence of draws is listed, on four labels.

Which draws stay, what they weigh and where the expected loss is least is written out here, and not asked of the
library.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.margins import BalancedSoftmax, LogitAdjusted, Margin, Offsets, Softmax
from implicitloss.optima.population import population_optimum
from implicitloss.samplers import Explicit, Mixture, Power, Sampler, Uniform, WithinBatch
from implicitloss.scheme import Hits, Scheme
from implicitloss.weightings import Consistent, Weighting

SOURCE = "derived: given m + 1 slots, slot i holds the positive with a probability in proportion to η/q of its label"
LISTED = "every sequence of draws listed, Newton's method"
COUNTS = (110.0, 50.0, 30.0, 10.0)
PI = np.array(COUNTS) / sum(COUNTS)
# The third is π.
ETAS = ((0.4, 0.1, 0.3, 0.2), (0.1, 0.2, 0.3, 0.4), tuple(PI.tolist()))
N_LABELS = len(COUNTS)
OFFSETS = (0.7, -0.4, 0.0, 1.1)
OWN = (0.1, 0.2, 0.3, 0.4)
# A listed optimum has a gradient below 1e-14 and curvatures above 1e-3; the library's is the root of a balance.
ROUNDING, OPTIMUM = 1e-10, 1e-7
# Differences that a check of optima must see.
SEEN = 1e-6

# Each sampler with its law, and each target with its δ.
LAWS: dict[str, tuple[Sampler, Floats]] = {
    "in batch": (WithinBatch(), PI),
    "uniform": (Uniform(), np.full(N_LABELS, 1 / N_LABELS)),
    "π^0.75": (Power(), PI**0.75 / np.sum(PI**0.75)),
    "a quarter in batch": (Mixture(0.25), 0.25 * PI + 0.75 / N_LABELS),
    "own": (Explicit(np.array(OWN)), np.array(OWN)),
}
TARGETS: dict[str, tuple[Margin, Floats]] = {
    "softmax": (Softmax(), np.ones(N_LABELS)),
    "balanced softmax": (BalancedSoftmax(), np.array(COUNTS)),
    "logit-adjusted, τ = 1/2": (LogitAdjusted(0.5), np.sqrt(PI)),
    "offsets": (Offsets(np.array(OFFSETS)), np.exp(-np.array(OFFSETS))),
}


@dataclass(frozen=True)
class Slots:
    """A positive from η and m draws from a law, by which a target is taught."""

    law: str
    target: str
    m: int
    at: int = 0

    def __str__(self) -> str:
        return f"{self.law}, {self.target}, m={self.m}, η = {ETAS[self.at]}"

    @property
    def eta(self) -> Floats:
        return np.array(ETAS[self.at])

    @property
    def q(self) -> Floats:
        return LAWS[self.law][1]

    @property
    def delta(self) -> Floats:
        return TARGETS[self.target][1]

    @property
    def target_scores(self) -> Floats:
        """log η - log δ."""
        return np.asarray(np.log(self.eta) - np.log(self.delta))

    @property
    def weights(self) -> Floats:
        """w_yy' = δ_y' q_y/(δ_y q_y'), (L, L)."""
        return ratios(self.delta / self.q)

    def scheme(self, weighting: Weighting | None = None, hits: Hits = "keep") -> Scheme:
        """The library's scheme, with consistent weights if no others are given."""
        return Scheme(LAWS[self.law][0], weighting or Consistent(TARGETS[self.target][0]), m=self.m, hits=hits)


def ratios(b: Floats) -> Floats:
    """w_yy' = b_y'/b_y, (L, L)."""
    return np.asarray(b / b[:, None])


@dataclass(frozen=True, eq=False)
class Listing:
    """Each sequence of draws beside each positive.

    `chances` (R,) are those of positive and draws together, `totals` (R, L) the weights by which e^{f_k} enters the
    denominator, the positive's 1 among them, `own` (R, L) is 1 at the positive.
    """

    chances: Floats
    totals: Floats
    own: Floats

    def shares(self, f: Floats) -> Floats:
        """What each label has of the denominator, (R, L)."""
        terms = self.totals * np.exp(f - f.max())
        return np.asarray(terms / terms.sum(axis=1, keepdims=True))

    def loss(self, f: Floats) -> float:
        """The expected loss, Σ chance log Σ_k total_k e^{f_k - f_y}."""
        return float(self.chances @ (np.log(self.totals @ np.exp(f)) - self.own @ f))

    def gradients(self, f: Floats) -> Floats:
        """The gradient of each, (R, L)."""
        return self.shares(f) - self.own

    def outer(self, f: Floats) -> Floats:
        """E[gradient gradientᵀ], (L, L)."""
        g = self.gradients(f)
        return np.asarray(g.T @ (self.chances[:, None] * g))

    def hessian(self, f: Floats) -> Floats:
        """The Hessian of the expected loss, (L, L)."""
        p = self.shares(f)
        return np.diag(self.chances @ p) - p.T @ (self.chances[:, None] * p)

    @cached_property
    def optimum(self) -> Floats:
        """The centred scores at which the expected loss is least, by Newton's method with halved steps, (L,)."""
        f = np.zeros(self.own.shape[1])
        for _ in range(100):
            gradient = self.chances @ self.gradients(f)
            if np.abs(gradient).max() < 1e-14:
                break
            # A constant is free: the matrix of ones takes it out.
            step = -np.linalg.solve(self.hessian(f) + 1.0, gradient)
            step *= min(1.0, 2.0 / np.abs(step).max())
            while self.loss(f + step) > self.loss(f) + 1e-15:
                step /= 2
            f = f + step
        assert np.abs(self.chances @ self.gradients(f)).max() < 1e-14
        return f - f.mean()


Repeats = Literal["keep", "drop", "once"]


def listed(eta: Floats, laws: Floats, weights: Floats, hits: Hits = "keep", repeats: Repeats = "keep") -> Listing:
    """The sequences of draws, the i-th from laws[i], (m, L).

    The weights are w_yy', (L, L), or those of each draw, (m, L, L).  A label that is drawn twice or more counts each
    time, never ("drop"), or once.
    """
    m, n = laws.shape
    drawn = np.array(list(itertools.product(range(n), repeat=m)))
    every, rows = np.broadcast_to(weights, (m, n, n)), np.arange(len(drawn))
    chances, totals, own = [], [], []
    for y in range(n):
        law = laws * (np.arange(n) != y) if hits == "exclude" else laws
        law = law / law.sum(axis=1, keepdims=True)
        chance, total, times = np.full(len(drawn), eta[y]), np.zeros((len(drawn), n)), np.zeros((len(drawn), n))
        for i, labels in enumerate(drawn.T):
            chance = chance * law[i, labels]
            total[rows, labels] += every[i, y, labels]
            times[rows, labels] += 1
        if repeats != "keep":
            total = np.where(times > 1, total / np.maximum(times, 1) if repeats == "once" else 0.0, total)
        if hits == "mask":
            total[:, y] = 0.0
        total[:, y] += 1
        chances.append(chance)
        totals.append(total)
        own.append(np.tile(np.arange(n) == y, (len(drawn), 1)))
    return Listing(np.concatenate(chances), np.concatenate(totals), np.concatenate(own).astype(np.float64))


def of(slots: Slots, weights: Floats | None = None, hits: Hits = "keep") -> Listing:
    """The i.i.d. draws, with consistent weights if no others are given."""
    return listed(slots.eta, np.tile(slots.q, (slots.m, 1)), slots.weights if weights is None else weights, hits)


def centred(f: Floats, error: float = ROUNDING) -> Estimate:
    """Scores up to a constant."""
    return Estimate(f - f.mean(), np.full(f.size, error), "optimum", "listing")


def prior() -> LabelPrior:
    """The four labels."""
    return LabelPrior.from_counts(COUNTS)


def by_library(scheme: Scheme, eta: Floats) -> Estimate:
    """The library's optimum of the sampled loss."""
    return centred(population_optimum(scheme, SoftmaxCrossEntropy(), eta, prior(), of="sampled"), OPTIMUM)


def every(targets: tuple[str, ...] = tuple(TARGETS), draws: tuple[int, ...] = (1, 3)) -> list[Slots]:
    """Each law, target and m; the two η in turn."""
    combinations = itertools.product(LAWS, targets, draws)
    return [Slots(law, target, m, i % 2) for i, (law, target, m) in enumerate(combinations)]


OfSlots = Callable[[Slots], Estimate]
