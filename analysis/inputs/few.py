"""A few labels of a prior, and which way an optimum leans on them."""

from __future__ import annotations

import numpy as np

from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.population import Of, population_optimum
from implicitloss.scheme import Scheme


def few_labels(prior: LabelPrior, size: int) -> LabelPrior:
    """`size` labels from the most frequent to the rarest, evenly by rank."""
    at = np.linspace(0, prior.n_labels - 1, min(size, prior.n_labels)).round().astype(int)
    picked = prior.probabilities[prior.by_frequency[at]]
    return LabelPrior.from_probabilities(picked / picked.sum())


def tilt(scheme: Scheme, prior: LabelPrior, of: Of = "implicit") -> float:
    """The slope of the population optimum on log π where all labels are equally likely: 0 log η, -1 the balanced rule.

    Negative: rare labels gain.
    """
    x = prior.log - prior.log.mean()
    eta = np.full(prior.n_labels, 1 / prior.n_labels)
    optimum = population_optimum(scheme, SoftmaxCrossEntropy(), eta, prior, of)
    return float(x @ optimum / (x @ x))
