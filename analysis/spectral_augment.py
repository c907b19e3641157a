"""What noise and dropout in training do to the error of each class: the change predicted from spectra and measured.

Ridge regression on one-hot labels, λ by leave-one-out without the augmentation.  Measured: trained with noise that is
drawn anew each time, which in the mean adds Σ_i wᵀ C(x_i) w / 2 to the square loss, C(x) the covariance of the noise on
x; errors are those on all other samples.  Predicted: from means, covariances and counts of the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.inputs import feature_sets
from analysis.inputs.markdown import table
from analysis.study import Point, Row
from analysis.training.linear import ridge
from implicitloss.labels import Floats, LabelPrior
from implicitloss.spectral import Dropout, GaussianMixture, Noise, Ridge, predict
from implicitloss.spectral.diagnose import diagnose

DATA = feature_sets.DATA
OWN_LABELS = True
# The variance of the noise over the mean variance of a feature within classes; the rate of dropout.
LEVELS = {"noise": (0.1, 1.0, 10.0), "dropout": (0.1, 0.5, 0.9)}


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each set of features; all its splits, since their mean is compared."""
    return [{"set": name, "splits": feature_sets.n_splits(name, quick)} for name in feature_sets.names(quick, data)]


def penalty(X: Floats, kind: str, size: float) -> Floats:
    """The diagonal of Σ_i C(x_i), (d,): `size` is the variance of the noise, or the rate of dropout."""
    if kind == "noise":
        return np.full(X.shape[1], len(X) * size)
    return size / (1 - size) * np.sum(X**2, axis=0)


def _of_a_split(part: feature_sets.Split) -> dict[tuple[str, float], list[Floats]]:
    """Predicted and measured changes, (K,) each, by augmentation and level."""
    mixture, learner = GaussianMixture.from_features(part.X, part.y), Ridge(diagnose(part.X, part.y).lam)
    variance = float(mixture.of_classes.traces.mean()) / part.X.shape[1]

    def errors(own: Floats | float) -> Floats:
        affine = ridge(part.X, part.y, learner.lam, own)
        return part.errors(part.test_X @ affine.w.T + affine.b)

    plain, trained = predict(mixture, learner).error, errors(0.0)
    found = {}
    for kind, levels in LEVELS.items():
        for level in levels:
            size = level * variance if kind == "noise" else level
            told = predict(mixture, learner, Noise(size) if kind == "noise" else Dropout(size)).error
            found[kind, level] = [told - plain, errors(penalty(part.X, kind, size)) - trained]
    return found


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each augmentation, level and class: means over splits."""
    name, splits = point["set"], point["splits"]
    found = [_of_a_split(feature_sets.split(name, seed)) for seed in range(splits)]
    changed = []
    for kind, level in found[0]:
        changes = np.array([one[kind, level] for one in found])
        error = changes[:, 1].std(axis=0, ddof=1) / np.sqrt(splits)
        predicted, measured = changes.mean(axis=0)
        changed += [
            {
                "set": feature_sets.title(name),
                "augmentation": kind,
                "level": level,
                "class": k,
                "predicted": float(predicted[k]),
                "measured": float(measured[k]),
                "measured_error": float(error[k]),
            }
            for k in range(predicted.size)
        ]
    return changed


def summary(rows: Sequence[Row]) -> str:
    """Pearson's r, and the slope of measured on predicted changes, by set, by level and in all."""
    lines = []
    for kind, levels in LEVELS.items():
        names = dict.fromkeys(row["set"] for row in rows)
        parts: dict[str, dict[str, Any]] = {f"{kind}: {name}": {"set": name} for name in names}
        parts |= {f"{kind}: all at {level:g}": {"level": level} for level in levels} | {f"{kind}: all": {}}
        for title, where in parts.items():
            chosen = [row for row in rows if row.items() >= {"augmentation": kind, **where}.items()]
            predicted, measured = (np.array([row[of] for row in chosen]) for of in ("predicted", "measured"))
            r, slope = np.corrcoef(predicted, measured)[0, 1], np.polyfit(predicted, measured, 1)[0]
            ends = f"{100 * measured.min():+.1f} to {100 * measured.max():+.1f}"
            lines.append([title, str(len(chosen)), f"{r:.3f}", f"{slope:.2f}", ends])
    return table(["", "changes", "r", "slope", "measured, points"], lines)
