"""What hard negatives teach under a fresh index: scores against the logit of η, by theory and by gradient descent.

Labels near rank k are tied: mined negatives hold them at one score, and the ranking among them is lost.
"""

from __future__ import annotations

import numpy as np

from analysis.inputs.mined import LABELS, Mixture
from analysis.study import Point, Row
from implicitloss.labels import LabelPrior

OWN_LABELS = True
MIXTURES = (Mixture(0, 100), Mixture(5, 95), Mixture(20, 80), Mixture(50, 50), Mixture(100, 0))
# Long steps bring rare labels to rest, and move the mean of a tied score by a few hundredths; short ones follow.
STEP, SHORT, STEPS, FEW_STEPS, RANKS = 0.3, 0.03, 60_000, 5_000, 40
# A score has come to rest if half of the long steps and all of them agree within this.
SETTLED = 0.01


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each mixture of k mined and m uniform negatives."""
    return [{"k": x.k, "m": x.m, "steps": FEW_STEPS if quick else STEPS} for x in MIXTURES]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each of forty ranks."""
    mixture, steps = Mixture(point["k"], point["m"]), point["steps"]
    best = mixture.optimum()
    half, whole = (mixture.descended(np.zeros(LABELS), 1, STEP, n) for n in (steps // 2, steps))
    last = mixture.descended(whole.mean, 1, SHORT, steps)
    tied = best.tied + 1 if best.tied.size else np.array([np.nan])
    ranks = np.unique(np.round(np.geomspace(1, LABELS, RANKS)).astype(int))
    return [
        {
            "mixture": mixture.name,
            "rank": int(rank),
            "logit": float(np.log(mixture.eta[rank - 1] / (1 - mixture.eta[rank - 1]))),
            "f": float(best.scores[rank - 1]),
            "inclusion": float(best.inclusion[rank - 1]),
            "tied": bool(0 < best.inclusion[rank - 1] < 1),
            "tied_from": float(tied[0]),
            "tied_to": float(tied[-1]),
            "descended": float(last.mean[rank - 1]),
            "visited": float(last.inclusion[rank - 1]),
            "settled": bool(abs(half.mean[rank - 1] - whole.mean[rank - 1]) < SETTLED),
        }
        for rank in ranks
    ]
