"""What noise and dropout in training do to the error of each class: the change predicted from spectra and measured.

Ridge regression on one-hot labels, λ by leave-one-out without the augmentation.  Measured: trained on noisy copies of
each training sample, and on the samples as they are; the errors are those on all other samples.  Predicted: from means,
covariances and counts, the noise as a ridge of its covariance.
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
COPIES, FEW_COPIES = 10, 3


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each set of features; all its splits, since their mean is compared."""
    return [
        {"set": name, "splits": feature_sets.n_splits(name, quick), "copies": FEW_COPIES if quick else COPIES}
        for name in feature_sets.names(quick, data)
    ]


def augmented(X: Floats, kind: str, size: float, rng: np.random.Generator) -> Floats:
    """A noisy copy of samples: `size` is the variance of the noise, or the rate of dropout."""
    if kind == "noise":
        return X + np.sqrt(size) * rng.standard_normal(X.shape)
    return np.where(rng.random(X.shape) < size, 0.0, X / (1 - size))


def _of_a_split(
    part: feature_sets.Split, copies: int, rng: np.random.Generator
) -> dict[tuple[str, float], list[Floats]]:
    """Predicted and measured changes, (K,) each, by augmentation and level."""
    mixture, lam = GaussianMixture.from_features(part.X, part.y), diagnose(part.X, part.y).lam
    learner = Ridge(lam)
    plain, trained = predict(mixture, learner).error, _errors(part, part.X, part.y, lam)
    variance = float(mixture.of_classes.traces.mean()) / part.X.shape[1]
    found = {}
    for kind, levels in LEVELS.items():
        for level in levels:
            size = level * variance if kind == "noise" else level
            told = predict(mixture, learner, Noise(size) if kind == "noise" else Dropout(size)).error
            X = np.concatenate([augmented(part.X, kind, size, rng) for _ in range(copies)])
            # A sum over all copies in place of one over samples.
            measured = _errors(part, X, np.tile(part.y, copies), copies * lam)
            found[kind, level] = [told - plain, measured - trained]
    return found


def _errors(part: feature_sets.Split, X: Floats, y: Floats, lam: float) -> Floats:
    affine = ridge(X, y, lam)
    return part.errors(part.test_X @ affine.w.T + affine.b)


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each augmentation, level and class: means over splits."""
    name, splits = point["set"], point["splits"]
    found = [
        _of_a_split(feature_sets.split(name, seed), point["copies"], np.random.default_rng([17, seed]))
        for seed in range(splits)
    ]
    table = []
    for kind, level in found[0]:
        changes = np.array([one[kind, level] for one in found])
        error = changes[:, 1].std(axis=0, ddof=1) / np.sqrt(splits)
        predicted, measured = changes.mean(axis=0)
        table += [
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
    return table


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
