"""What an index costs that is refreshed now and then: the loss over time, and the swing of scores between refreshes.

By the exact flow between refreshes (the period map), by a formula (renewal), and by gradient descent.  The full
logistic loss is averaged over whole periods, over the least that any scores reach.
"""

from __future__ import annotations

import numpy as np

from analysis.inputs.mined import Mixture
from analysis.study import Point, Row
from implicitloss.labels import LabelPrior
from implicitloss.optima.stale_index import period_map, renewal

OWN_LABELS = True
MIXTURES = (Mixture(50, 0), Mixture(50, 50), Mixture(5, 95))
STEP, REFRESHES = 0.1, 300
# Units of time at least; and a quick run's, with its refreshes, and the longest period of its gradient descent.
TIME, QUICK_TIME, QUICK_REFRESHES, QUICK_LONGEST = 2_000, 20, 30, 100


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each mixture, and 1 to 10,000 steps between refreshes."""
    ladder = [1, 100, 10_000] if quick else sorted({round(10 ** (i / 2)) for i in range(9)})
    return [{"k": x.k, "m": x.m, "refresh": n, "quick": quick} for x in MIXTURES for n in ladder]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row; nan where gradient descent would take too long."""
    mixture, refresh = Mixture(point["k"], point["m"]), point["refresh"]
    eta, push, time = mixture.eta, mixture.pushes, refresh * STEP
    best = mixture.optimum()
    least, fewest = (QUICK_TIME, QUICK_REFRESHES) if point["quick"] else (TIME, REFRESHES)
    refreshes = max(fewest, round(least / time))
    exact, formula = period_map(eta, push, mixture.k, time, refreshes), renewal(eta, push, mixture.k, time)
    loss, swing = np.nan, np.nan
    if not (point["quick"] and refresh > QUICK_LONGEST):
        found = mixture.descended(best.scores, refresh, STEP, refreshes * refresh)
        loss, swing = found.loss, float(found.swing.max())
    return [
        {
            "mixture": mixture.name,
            "refresh": refresh,
            "time": time,
            "excess": exact.excess,
            "excess_renewal": formula.excess,
            "excess_descended": loss / exact.least_loss,
            "excess_fresh": float(np.sum(np.logaddexp(0, best.scores) - eta * best.scores)) / exact.least_loss,
            "swing": float(exact.swing.max()),
            "swing_descended": swing,
            "cap": float(exact.cap[0]),
        }
    ]
