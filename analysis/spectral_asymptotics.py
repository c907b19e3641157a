"""How good a prediction of spectra is: class errors predicted against those of training, by effective rank and d.

Each mixture has classes of equal counts and equal traces whose eigenvalues fall as powers, at a distance at which ridge
regression is predicted to mistake one in ten.  Learners are trained on many training sets; the error of what each has
learned is exact.  Beside it stands what one covariance for all classes, the mean of theirs, predicts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq

from analysis.inputs.markdown import table
from analysis.study import Point, Row
from analysis.training.linear import drawn, trained
from implicitloss.labels import Floats, LabelPrior
from implicitloss.spectral import GaussianMixture, Logistic, Ridge, predict
from implicitloss.spectral.pooled import with_pooled_covariance

OWN_LABELS = True
# Exponents of the classes' eigenvalues.
SPECTRA = ((0.0, 0.0), (0.0, 0.5), (0.25, 0.75), (0.0, 1.0), (0.5, 1.0), (0.5, 1.5), (1.0, 2.0))
DIMENSIONS, QUICK_DIMENSIONS = (25, 50, 100, 200, 400), (20, 60)
LEARNERS = {"ridge": Ridge, "logistic": Logistic}
# λ over d: the traces are d, and each class has d samples.
RIDGE = {"ridge": 0.1, "logistic": 0.01}
# Training sets times dimensions: errors scatter less in more dimensions.
TRIALS, FEW_TRIALS, MEAN_ERROR = 80_000, 480, 0.1
# Where predictions are held to 5 %: class errors above 2 %, an effective rank of 90, 200 dimensions.
LEAST_ERROR, LEAST_RANK, LEAST_DIMENSION = 0.02, 90.0, 200


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each dimension, pair of spectra and learner."""
    return [
        {"d": d, "exponents": list(spectra), "learner": name, "trials": (FEW_TRIALS if quick else TRIALS) // d}
        for d in (QUICK_DIMENSIONS if quick else DIMENSIONS)
        for spectra in (SPECTRA[1:4:2] if quick else SPECTRA)
        for name in LEARNERS
    ]


def mixture_at(exponents: Sequence[float], d: int) -> GaussianMixture:
    """The mixture whose mean error by ridge regression is predicted to be one in ten."""

    def at(distance: float) -> GaussianMixture:
        return GaussianMixture.power_law(exponents, d=d, distance=distance, counts=d)

    learner = Ridge(RIDGE["ridge"] * d)
    distance = brentq(lambda x: predict(at(x), learner).error.mean() - MEAN_ERROR, 0.01, 30.0, xtol=1e-3)
    return at(float(distance))


def simulated(mixture: GaussianMixture, learner: Ridge | Logistic, trials: int) -> tuple[Floats, Floats]:
    """Mean and standard error, (K,) each, of the errors of what is trained on many training sets."""
    found = []
    for trial in range(trials):
        X, y = drawn(mixture, np.random.default_rng([17, trial]))
        found.append(predict(mixture, trained(X, y, learner)).error)
    return np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(trials)


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each class."""
    d, name = point["d"], point["learner"]
    mixture, learner = mixture_at(point["exponents"], d), LEARNERS[name](RIDGE[name] * d)
    told, alike = predict(mixture, learner), predict(with_pooled_covariance(mixture), learner)
    measured, error = simulated(mixture, learner, point["trials"])
    large = d >= LEAST_DIMENSION and told.effective_rank.min() >= LEAST_RANK
    return [
        {
            "d": d,
            "learner": name,
            "exponents": " and ".join(f"{exponent:g}" for exponent in point["exponents"]),
            "class": k + 1,
            "rank": float(told.effective_rank[k]),
            "least_rank": float(told.effective_rank.min()),
            "predicted": float(told.error[k]),
            "pooled": float(alike.error[k]),
            "measured": float(measured[k]),
            "measured_error": float(error[k]),
            "off": float(told.error[k] / measured[k] - 1),
            "off_error": float(told.error[k] / measured[k] ** 2 * error[k]),
            "off_pooled": float(alike.error[k] / measured[k] - 1),
            "in_target": bool(large and measured[k] > LEAST_ERROR),
        }
        for k in range(mixture.n_classes)
    ]


def summary(rows: Sequence[Row]) -> str:
    """The largest deviation in per cent, of class errors above 2 %, by d and least effective rank."""
    bands = {"rank < 20": (0.0, 20.0), "20 to 90": (20.0, 90.0), ">= 90": (90.0, np.inf)}
    lines = []
    for learner, d in dict.fromkeys((row["learner"], row["d"]) for row in rows):
        line = [f"{learner}, d = {d}"]
        for low, high in bands.values():
            off = [
                abs(row["off"])
                for row in rows
                if (row["learner"], row["d"]) == (learner, d)
                and low <= row["least_rank"] < high
                and row["measured"] > LEAST_ERROR
            ]
            line.append(f"{100 * max(off):.1f}" if off else "")
        lines.append(line)
    return table(["largest deviation, %", *bands], lines)
