"""Which labels a scheme helps: the tilt of its population optimum against m, by the implicit and by the true loss.

The tilt is the slope of f* on log π where all labels are equally likely at x: nothing but the scheme can tilt.
"""

from __future__ import annotations

from analysis.inputs.schemes import WEIGHTINGS, scheme
from analysis.study import Point, Row
from implicitloss.labels import LabelPrior
from implicitloss.optima.population import Of
from implicitloss.optima.tilt import tilt

KINDS: tuple[Of, ...] = ("implicit", "sampled")


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each weighting, mode for hits and m = 1, 2, ..., 256."""
    powers = range(0, 9, 4) if quick else range(9)
    return [
        {"weighting": name, "hits": hits, "m": 2**k} for name in WEIGHTINGS for hits in ("mask", "keep") for k in powers
    ]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row, of all labels."""
    chosen = scheme("within-batch", point["weighting"], point["m"], point["hits"])
    return [{**point, "labels": prior.n_labels, **{of: tilt(chosen, prior, of) for of in KINDS}}]
