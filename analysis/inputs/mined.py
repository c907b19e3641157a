"""Mined and uniform negatives at one x: the mixtures k + m that the studies of hard negatives share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implicitloss.kernels.descent import descend
from implicitloss.labels import Floats
from implicitloss.losses import Decoupled, logistic
from implicitloss.optima.pushes import Pushes
from implicitloss.optima.waterfilling import Waterfilling, decoupled_scores

LABELS = 1000


@dataclass(frozen=True)
class Mixture:
    """k hard negatives and m uniform draws, weights of 1, each possibly none, at an x with η_j = .6/j."""

    k: int
    m: int

    @property
    def name(self) -> str:
        return f"{self.k} + {self.m}"

    @property
    def eta(self) -> Floats:
        return 0.6 / np.arange(1, LABELS + 1)

    @property
    def pushes(self) -> Pushes:
        p = np.full(LABELS, self.m / LABELS)
        return Pushes(p, 1 + p, np.zeros(LABELS), True)

    def optimum(self) -> Waterfilling:
        """Where scores come to rest under a fresh index."""
        if self.k == 0:
            scores = np.log(self.eta / (1 - self.eta)) - np.log(self.m / LABELS)
            return Waterfilling(scores, np.zeros(LABELS), np.inf)
        return decoupled_scores(Decoupled(logistic), self.eta, self.pushes, float(self.k), np.ones(LABELS))

    def descended(self, start: Floats, refresh: int, step: float, steps: int) -> Descent:
        """Gradient descent from `start`; the first third of the steps is not counted."""
        f, (visits, mean, low, high) = start.copy(), (np.empty(LABELS) for _ in range(4))
        push = self.pushes
        loss = descend(
            f, self.eta, push.outside, push.inside, self.k, refresh, step, steps, steps // 3, visits, mean, low, high
        )  # fmt: skip
        return Descent(float(loss), mean, visits, high - low)


@dataclass(frozen=True, eq=False)
class Descent:
    """Means over time: the full loss, the scores, the share in T; and the swing of each score."""

    loss: float
    mean: Floats
    inclusion: Floats
    swing: Floats
