"""Sampled softmax over labels none of which comes twice: those of a set of draws, or those that coins choose."""

from __future__ import annotations

from typing import Any

import numpy as np

from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme
from implicitloss.theory.inclusion import inclusion_probabilities

__all__ = ["DrawnOnce"]


class DrawnOnce:
    """The losses of a batch and their gradient, as `il.Minibatch` has them for independent draws.

    Weights are 1/P(y' ∈ N), hits are masked, and each example has draws of its own.
    """

    def __init__(self, scheme: Scheme, prior: LabelPrior) -> None:
        problem = Problem(np.zeros(prior.n_labels), prior, 0)
        self.scheme, self.q = scheme, np.exp(scheme.sampler.log_law(problem))
        self.inside = inclusion_probabilities(scheme, problem)

    def __call__(self, scores: Any, y: Labels, rng: np.random.Generator, at: Labels) -> tuple[Floats, Floats]:
        """The losses (n,) of labels y (n,) at rows `at` (n,) of scores (B, L), and ∂(Σ ℓ)/∂ scores, (B, L)."""
        rows, f = np.arange(y.size), np.asarray(scores, dtype=np.float64)
        drawn = np.zeros((y.size, self.q.size), dtype=bool)
        if self.scheme.draws == "set":
            drawn[rows[:, None], rng.choice(self.q.size, size=(y.size, self.scheme.m), p=self.q)] = True
        else:
            drawn = rng.random(drawn.shape) < self.inside
        drawn[rows, y] = False
        example, label = np.nonzero(drawn)
        each = np.exp(f[at[example], label] - f[at, y][example]) / self.inside[label]
        total = np.bincount(example, each, minlength=y.size)
        slopes = np.zeros(f.shape)
        np.add.at(slopes, (at[example], label), each / (1 + total)[example])
        np.subtract.at(slopes, (at, y), total / (1 + total))
        return np.log1p(total), slopes
