"""How many negatives bring the optimum near to its target, by weights and sampler, where a few labels are likely at x.

The tilt, the slope on log π that the optimum adds to that of softmax over all labels, is 0 where the target is reached.
It is over the labels that are likely.  Priors: the given one, Zipf's law of 100,000 labels, and files of counts
(`--data`).
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.information import DATA as DATA
from analysis.information import LADDER, SAMPLERS, SHORT
from analysis.inputs.priors import named, names_of
from analysis.study import Point, Row
from implicitloss.designing.place import Place
from implicitloss.labels import LabelPrior
from implicitloss.margins import Softmax


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each prior, sampler and number of draws."""
    return [
        {"prior": name, "is_file": is_file, "sampler": sampler, "m": m}
        for name, is_file in names_of(prior, quick, data)
        for sampler in SAMPLERS
        for m in (SHORT if quick else [1, *LADDER])
    ]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each kind of weights: importance weights and consistent ones, by what happens to hits."""
    here = named(point["prior"], point["is_file"], prior)
    place = Place("peaked", here, SAMPLERS[point["sampler"]], Softmax())
    found = {hits: place.off(point["m"], hits) for hits in ("mask", "keep")}
    kinds = (("importance", "mask"), ("consistent", "mask"), ("consistent", "keep"))
    return [
        {**point, "labels": here.n_labels, "weights": weights, "hits": hits, "tilt": found[hits][weights]}
        for weights, hits in kinds
    ]
