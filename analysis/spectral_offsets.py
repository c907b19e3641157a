"""What an offset δ of the margins does to the errors of classes: where they are equal, and where their mean is least.

Two Gaussian classes in logistic regression with margins p_12 = e^δ and p_21 = e^-δ: the predicted errors along δ, and
those of training at some δ.  And features: ridge regression on them, offsets of all classes found by cross-validation
on the training samples, few or half of all, errors measured on all other samples without and with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analysis.inputs import feature_sets
from analysis.inputs.markdown import table
from analysis.study import Point, Row
from analysis.training.linear import drawn, ridge, trained
from implicitloss.labels import Floats, LabelPrior
from implicitloss.spectral import GaussianMixture, Logistic, equal_error_offset, gap, least_error_offset, predict
from implicitloss.spectral.diagnose import diagnose

DATA = feature_sets.DATA
OWN_LABELS = True
SIZE, DIMENSION, DISTANCE, EXPONENTS, LAM = 400, 200, 3.0, (0.1, 0.9), 2.0
# n_1 : n_2 of the Gaussian classes.
RATIOS = {"equal counts": 1.0, "counts 1 : 3": 1 / 3, "counts 3 : 1": 3.0}
REACH, STEPS, QUICK_STEPS, TRAINED, QUICK_TRAINED = 3.0, 49, 13, 7, 3
TRIALS, FEW_TRIALS = 100, 4
# Draws of the errors of classes that are missed equally often, from which their gap by chance is known.
DRAWS = 1000
COLUMNS = ("delta", "error_1", "error_2", "trained_1", "trained_2", "trained_error_1", "trained_error_2")
MARKED = ("equal", "least", "adjusted")
MEASURED = (
    "n",
    "mean",
    "gap",
    "mean_equal",
    "gap_equal",
    "mean_least",
    "gap_least",
    "gap_error",
    "gap_equal_error",
    "gap_chance",
)


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each pair of Gaussian classes, and each set of features."""
    d, size = (DIMENSION // 4, SIZE // 4) if quick else (DIMENSION, SIZE)
    steps, at, trials = (QUICK_STEPS, QUICK_TRAINED, FEW_TRIALS) if quick else (STEPS, TRAINED, TRIALS)
    pairs = [
        {"kind": "pair", "name": name, "ratio": ratio, "d": d, "size": size, "steps": steps, "trained": at,
         "trials": trials}
        for name, ratio in RATIOS.items()
    ]  # fmt: skip
    sets = [
        {"kind": "features", "name": name, "splits": feature_sets.n_splits(name, quick), "n": n}
        for name in feature_sets.names(quick, data)
        for n in dict.fromkeys((feature_sets.load(name)[2], feature_sets.half(name)))
    ]
    return pairs + sets


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each δ of a pair; one for a set of features."""
    nothing: Row = {"kind": point["kind"], "name": point["name"]} | dict.fromkeys(
        (*COLUMNS, *MARKED, *MEASURED), math.nan
    )
    if point["kind"] == "pair":
        return [nothing | row for row in _pair(point)]
    title = f"{feature_sets.title(point['name'])}, {point['n']} a class"
    return [nothing | {"name": title, "n": point["n"]} | _features(point)]


def _pair(point: Point) -> list[Row]:
    ratio = point["ratio"]
    first = round(point["size"] * ratio / (1 + ratio))
    counts = np.array([first, point["size"] - first])
    mixture = GaussianMixture.power_law(EXPONENTS, d=point["d"], distance=DISTANCE, counts=counts)
    told = predict(mixture, Logistic(LAM))
    marks = {
        "equal": equal_error_offset(told.mean, told.variance),
        "least": least_error_offset(told.mean, told.variance),
        "adjusted": math.log(counts[1] / counts[0]),
    }
    along = np.linspace(-REACH, REACH, point["steps"])
    found = []
    for delta in along:
        error = gap(told.mean, told.variance, told.training_mean, float(delta)).error
        found.append({"delta": float(delta), "error_1": float(error[0]), "error_2": float(error[1]), **marks})
    for i in np.linspace(0, along.size - 1, point["trained"]).round().astype(int):
        errors = []
        for trial in range(point["trials"]):
            X, y = drawn(mixture, np.random.default_rng([17, trial]))
            delta = float(along[i])
            errors.append(predict(mixture, trained(X, y, Logistic(LAM), (delta, -delta))).error)
        mean, error = np.mean(errors, axis=0), np.std(errors, axis=0, ddof=1) / np.sqrt(len(errors))
        for k in (0, 1):
            found[i] |= {f"trained_{k + 1}": float(mean[k]), f"trained_error_{k + 1}": float(error[k])}
    return found


def _features(point: Point) -> dict[str, float]:
    """Mean error and gap, the largest error of a class less the least, means over splits; and the gap by chance."""
    found: dict[str, list[Floats]] = {"": [], "_equal": [], "_least": []}
    for seed in range(point["splits"]):
        part = feature_sets.split(point["name"], seed, point["n"])
        report = diagnose(part.X, part.y)
        affine = ridge(part.X, part.y, report.lam)
        scores = part.test_X @ affine.w.T + affine.b
        found[""].append(part.errors(scores))
        found["_equal"].append(part.errors(scores + report.score_offsets()))
        found["_least"].append(part.errors(scores + report.score_offsets(equalise=False)))
    measured: dict[str, float] = {}
    for end, errors in found.items():
        gaps = np.ptp(errors, axis=1)
        measured[f"mean{end}"], measured[f"gap{end}"] = float(np.mean(errors)), float(gaps.mean())
        measured[f"gap{end}_error"] = float(gaps.std(ddof=1) / np.sqrt(gaps.size))
    counts = np.bincount(part.test_y)
    by_chance = np.random.default_rng(17).binomial(counts, measured["mean_equal"], (DRAWS, counts.size)) / counts
    measured["gap_chance"] = float(np.ptp(by_chance, axis=1).mean())
    return {name: value for name, value in measured.items() if name in MEASURED}


def summary(rows: Sequence[Row]) -> str:
    """Offsets of the pairs; mean error and gap in per cent of each set of features."""
    pairs = {row["name"]: row for row in rows if row["kind"] == "pair"}
    lines = [[name, *(f"{row[of]:+.2f}" for of in MARKED)] for name, row in pairs.items()]
    columns = [f"{of}{end}" for end in ("", "_equal", "_least") for of in ("mean", "gap")] + ["gap_chance"]
    sets = [[row["name"], *(f"{100 * row[of]:.1f}" for of in columns)] for row in rows if row["kind"] == "features"]
    head = ["error, %", "mean", "gap", "mean, equal", "gap, equal", "mean, least", "gap, least", "by chance"]
    return table(["δ", "equal errors", "least error", "logit adjustment"], lines) + "\n\n" + table(head, sets)
