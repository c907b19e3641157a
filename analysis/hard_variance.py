"""How many of a hundred negatives to mine: the variance of unbiased weights against k, by the recall of the index.

Weights are importance weights off the labels that were returned, so that every k and recall has the full softmax as its
implicit loss; what they differ in is variance.  A label that the index misses is left to the draws.
"""

from __future__ import annotations

import numpy as np

from analysis.study import Point, Row
from implicitloss.hard import HardNegatives
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.weightings import Importance
from implicitloss.witness.integrate import integrate

OWN_LABELS = True
LABELS, BUDGET = 1000, 100
# Standard deviations of normal scores: as untrained, and with a few labels far above the others.
SPREADS = {"flat": 1.0, "trained": 2.5}
RECALLS = (1.0, 0.9, 0.7, 0.5)


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each spread of scores, recall and number of mined negatives; a few x each."""
    ladder = [1, 10, 50, 90] if quick else [1, 2, 5, 10, 20, 35, 50, 65, 80, 90, 95, 98]
    return [
        {"scores": name, "recall": recall, "k": k, "trials": 4 if quick else 40}
        for name in SPREADS
        for recall in RECALLS
        for k in [0, *ladder]
    ]


def returned(best: Labels, recall: float, k: int, rng: np.random.Generator) -> Labels:
    """k labels of an index that misses each label with probability 1 - recall, and returns the next best instead."""
    return best[rng.random(best.size) < recall][:k]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row: the mean standard deviation of the loss over a few x."""
    k, found = point["k"], []
    flat = LabelPrior.zipf(LABELS, 0.0)
    for trial in range(point["trials"]):
        rng = np.random.default_rng([16, trial])
        scores: Floats = SPREADS[point["scores"]] * rng.standard_normal(LABELS)
        y = int(np.argmax(scores + rng.gumbel(size=LABELS)))
        if k:
            hard = HardNegatives(k, overlap="exclude")
            best = np.argsort(-scores, kind="stable")
            problem = Problem(scores, flat, y, labels=returned(best, point["recall"], k, rng))
        else:
            hard, problem = None, Problem(scores, flat, y)
        scheme = Scheme(Uniform(), Importance(), m=BUDGET - k, hits="exclude", hard=hard)
        found.append(float(integrate(scheme, SoftmaxCrossEntropy(), problem, "variance")))
    deviations = np.sqrt(found)
    return [
        {
            **{name: point[name] for name in ("scores", "recall", "k")},
            "m": BUDGET - k,
            "deviation": float(deviations.mean()),
            "deviation_error": float(deviations.std() / np.sqrt(len(found))),
        }
    ]
