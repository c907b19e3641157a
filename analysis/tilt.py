"""Which labels a scheme helps: the tilt of its population optimum against m, by the implicit and by the true loss.

The tilt is the slope of f* on log π where all labels are equally likely at x: nothing but the scheme can tilt.
"""

from __future__ import annotations

import numpy as np

from analysis.runner import Point, Row
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.population import Of, population_optimum
from implicitloss.samplers import WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.weightings import Constant, Importance, Relative, Tail, Weighting

LABELS = 20
WEIGHTINGS: dict[str, Weighting] = {
    "constant": Constant(),
    "importance": Importance(),
    "relative": Relative(),
    "tail": Tail(),
}


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each weighting, mode for hits and m = 1, 2, ..., 256."""
    powers = range(0, 9, 4) if quick else range(9)
    return [
        {"weighting": name, "hits": hits, "m": 2**k} for name in WEIGHTINGS for hits in ("mask", "keep") for k in powers
    ]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row; twenty labels from frequent to rare."""
    at = np.linspace(0, prior.n_labels - 1, min(LABELS, prior.n_labels)).round().astype(int)
    picked = prior.probabilities[prior.by_frequency[at]]
    few = LabelPrior.from_probabilities(picked / picked.sum())
    eta = np.full(few.n_labels, 1 / few.n_labels)
    x = few.log - few.log.mean()
    scheme = Scheme(WithinBatch(), WEIGHTINGS[point["weighting"]], m=point["m"], hits=point["hits"])
    kinds: tuple[Of, ...] = ("implicit", "sampled")
    optima = {of: population_optimum(scheme, SoftmaxCrossEntropy(), eta, few, of) for of in kinds}
    return [{**point, "labels": few.n_labels, **{of: float(x @ optimum / (x @ x)) for of, optimum in optima.items()}}]
