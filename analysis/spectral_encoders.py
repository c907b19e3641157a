"""Which classes an encoder serves badly: the error of each class predicted from means, covariances and counts.

Ridge regression on one-hot labels, as many training samples of each class, λ by leave-one-out; errors are measured on
all other samples.  Beside the prediction stand stratified cross-validation on the training samples, and the prediction
with one covariance for all classes, which leaves the means as the only difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.inputs import efficientnet, feature_sets
from analysis.inputs.markdown import table
from analysis.study import Point, Row
from analysis.training.linear import ridge
from implicitloss.cli.progress import say
from implicitloss.labels import Floats, LabelPrior
from implicitloss.spectral import GaussianMixture, Ridge
from implicitloss.spectral.diagnose import diagnose
from implicitloss.spectral.pooled import predict_pooled

DATA = feature_sets.DATA
OWN_LABELS = True
PREDICTORS = ("predicted", "left_out", "pooled")


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each set of features; all its splits, since their mean is compared."""
    names = feature_sets.names(quick, data)
    if not quick and not data:
        left_out = efficientnet.missing()
        if left_out is None:
            names += feature_sets.PRETRAINED
        else:
            say(left_out)
    return [{"set": name, "splits": feature_sets.n_splits(name, quick)} for name in names]


def _of_a_split(part: feature_sets.Split) -> dict[str, Floats]:
    """Numbers of each class, (K,) each."""
    report = diagnose(part.X, part.y)
    if report.prediction is None:
        raise ValueError(f"classes must have predictions to compare: {report.notes[0]}")
    mixture = GaussianMixture.from_features(part.X, part.y)
    affine = ridge(part.X, part.y, report.lam)
    return {
        "measured": part.errors(part.test_X @ affine.w.T + affine.b),
        "predicted": report.prediction.error,
        "left_out": report.left_out.errors,
        "pooled": predict_pooled(mixture, Ridge(report.lam)).error,
        "rank": mixture.effective_rank,
        "influence": report.left_out.by_class(report.left_out.influence),
        "trace": mixture.of_classes.traces,
    }


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each class: means over splits."""
    name = point["set"]
    splits = [feature_sets.split(name, seed) for seed in range(point["splits"])]
    found = [_of_a_split(part) for part in splits]
    mean = {of: np.mean([one[of] for one in found], axis=0) for of in found[0]}
    error = np.std([one["measured"] for one in found], axis=0, ddof=1) / np.sqrt(len(found))
    counts = np.bincount(splits[0].y)
    return [
        {
            "set": feature_sets.title(name),
            "features": splits[0].X.shape[1],
            "class": k,
            "n": int(counts[k]),
            "splits": len(splits),
            **{of: float(values[k]) for of, values in mean.items()},
            "measured_error": float(error[k]),
        }
        for k in range(counts.size)
    ]


def summary(rows: Sequence[Row]) -> str:
    """Mean errors, ranks of classes by their error, and Pearson's r over all classes of all sets."""
    from scipy.stats import spearmanr  # which takes half a second

    def values(of: str, name: str | None = None) -> Floats:
        return np.array([row[of] for row in rows if name in (None, row["set"])])

    names = ("measured", *PREDICTORS)
    lines = []
    for name in dict.fromkeys(row["set"] for row in rows):
        rho = [spearmanr(values(of, name), values("measured", name)).statistic for of in PREDICTORS]
        levels = [f"{100 * values(of, name).mean():.1f}" for of in names]
        lines.append([name, f"{values('rank', name).min():.0f}", *levels, *(f"{r:.2f}" for r in rho)])
    r = [np.corrcoef(values(of), values("measured"))[0, 1] for of in PREDICTORS]
    lines.append([f"r over {len(rows)} classes", "", "", *(f"{one:.3f}" for one in r), "", "", ""])
    head = ["mean error, %", "least rank", *names, *(f"ρ {of}" for of in PREDICTORS)]
    return table([word.replace("_", " ") for word in head], lines)
