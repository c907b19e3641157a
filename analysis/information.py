"""What an example still says about frequent and rare labels when labels are sampled, against the number of draws.

The x is that of `il.tilt(eta="peaked")`: a few labels share most of P(y given x).  Priors: the given one, Zipf's law of
100,000 labels, and files of counts (`--data`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from analysis.inputs.priors import named, names_of
from analysis.study import Point, Row
from implicitloss.designing.place import log_law
from implicitloss.designing.prices import Prices
from implicitloss.labels import LabelPrior
from implicitloss.margins import Softmax
from implicitloss.samplers import Mixture, Sampler, Uniform, WithinBatch

DATA = "label counts, a prior each"
SAMPLERS: dict[str, Sampler] = {"within-batch": WithinBatch(), "half uniform": Mixture(0.5), "uniform": Uniform()}
LADDER, SHORT = [4**k for k in range(1, 10)], [16, 256, 4096]
# The rule of thumb: m q_k = 10 η_k keeps nine tenths about label k.
RULE = 10.0


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each prior, sampler and number of draws."""
    return [
        {"prior": name, "is_file": is_file, "sampler": sampler, "m": m}
        for name, is_file in names_of(prior, quick, data)
        for sampler in SAMPLERS
        for m in (SHORT if quick else LADDER)
    ]


@lru_cache(maxsize=8)
def _prices(prior: LabelPrior, sampler: str) -> Prices:
    return Prices(prior, Softmax(), SAMPLERS[sampler], 255, None)


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each slice of labels: the share that is kept, and the m of the rule there."""
    here = named(point["prior"], point["is_file"], prior)
    prices = _prices(here, point["sampler"])
    place = prices.places["peaked", prices.sampler]
    needed = RULE * place.eta * np.exp(-log_law(prices.sampler, here))
    return [
        {
            **point, "labels": here.n_labels, "slice": part, "kept": kept,
            "rule": float(np.mean(needed[np.intersect1d(here.slices()[part], place.labels)])),
        }
        for part, kept in prices.kept(prices.sampler, point["m"]).items()
    ]  # fmt: skip
