"""Three biases in one sum: what counts, spectra and margins each add to the gap between two classes.

Logistic regression on two Gaussian classes of the same trace.  With m_k and q_k mean and variance of the score on fresh
x of class k, c_k its mean in training, z_1 = m_1/√q_1, z_2 = -m_2/√q_2 and κ = 1/√q_1 + 1/√q_2,

    z_1 - z_2 = κ (c_1 + c_2)/2 + κ (m_1 + m_2 - c_1 - c_2)/2 + κ δ + (m_1 - m_2)/2 (1/√q_1 - 1/√q_2),

the parts of training, overfitting, labels (the offset δ of the margins) and scale.  Errors are Φ(-z_1) and Φ(-z_2).
With features of one's own: the same parts, by cross-validation, of the pairs of classes that are mistaken most often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from analysis.inputs import features
from analysis.inputs.markdown import table
from analysis.study import Point, Row
from analysis.training.linear import drawn, trained
from implicitloss.labels import Floats, LabelPrior
from implicitloss.spectral import GaussianMixture, Logistic, equal_error_offset, gap, predict
from implicitloss.spectral.diagnose import diagnose

DATA = "features X (n, d) with labels y (n,), one .npz file"
OWN_LABELS = True
MOST_PAIRS, MOST_CLASSES = 4, 30
# The exponents of the two classes are EXPONENT minus and plus half of their difference.
SIZE, DIMENSION, DISTANCE, EXPONENT, LAM = 400, 200, 3.0, 0.5, 2.0
RATIOS, QUICK_RATIOS = (1 / 4, 4.0, 13), (1 / 4, 4.0, 3)
DIFFERENCES, QUICK_DIFFERENCES = (0.0, 1.0, 6), (0.0, 1.0, 2)
PARTS = ("train", "overfit", "label", "scale")
SIMULATED = tuple(f"{name}_simulated" for name in ("error_1", "error_2", "gap", *PARTS))
TRIALS, FEW_TRIALS = 300, 6
# n_1/n_2, the difference of exponents, and whether margins adjust logits.
CASES: dict[str, tuple[float, float, bool]] = {
    "counts alone": (5 / 3, 0.0, False),
    "spectra alone": (1.0, 0.8, False),
    "counts and spectra": (5 / 3, 0.8, False),
    "both, logit-adjusted": (5 / 3, 0.8, True),
}


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each case, and the cells of half a map: the other half has the two classes exchanged.  Or a file's pairs."""
    if data:
        if len(data) != 1:
            raise ValueError(f"spectral_axes reads one file, got {len(data)}")
        features.read(data[0])
        return [{"kind": "file", "path": data[0]}]
    d, size = (DIMENSION // 4, SIZE // 4) if quick else (DIMENSION, SIZE)
    cases = [
        {"kind": "case", "name": name, "ratio": ratio, "difference": difference, "adjust": adjust, "d": d, "size": size,
         "trials": FEW_TRIALS if quick else TRIALS}
        for name, (ratio, difference, adjust) in CASES.items()
    ]  # fmt: skip
    ratios, differences = (QUICK_RATIOS, QUICK_DIFFERENCES) if quick else (RATIOS, DIFFERENCES)
    cells = [
        {"kind": "map", "name": "", "ratio": float(ratio), "difference": float(difference), "adjust": False, "d": d,
         "size": size}
        for difference in np.linspace(*differences)
        for ratio in np.geomspace(*ratios)
    ]  # fmt: skip
    return cases + cells


def mixture_of(point: Point) -> GaussianMixture:
    """The two classes of a point."""
    half, ratio = point["difference"] / 2, point["ratio"]
    first = round(point["size"] * ratio / (1 + ratio))
    counts = np.array([first, point["size"] - first])
    exponents = [EXPONENT - half, EXPONENT + half]
    return GaussianMixture.power_law(exponents, d=point["d"], distance=DISTANCE, counts=counts)


def parts_of(m: Floats, q: Floats, c: Floats, delta: float) -> dict[str, float]:
    """z_1 - z_2, its four parts, and the offset at which errors are equal; `m` and `c` are without the offset δ."""
    found = gap(m, q, c, delta)
    parts = {name: getattr(found, name) for name in PARTS}
    return {"gap": found.total, **parts, "equal": equal_error_offset(m, q)}


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row; two for a cell whose mirror image is another one; one for each pair of a file."""
    if point["kind"] == "file":
        return _pairs(point["path"])
    mixture, learner = mixture_of(point), Logistic(LAM)
    adjustment = math.log(mixture.counts[1] / mixture.counts[0])
    delta = adjustment if point["adjust"] else 0.0
    margins = (math.exp(delta), math.exp(-delta))
    told = predict(mixture, Logistic(LAM, margins))
    found = {
        **{name: point[name] for name in ("kind", "name", "ratio", "difference")},
        "delta": delta,
        "adjustment": adjustment,
        "error_1": float(told.error[0]),
        "error_2": float(told.error[1]),
        **parts_of(told.mean - delta, told.variance, told.training_mean - delta, delta),
    }
    nothing = dict.fromkeys(SIMULATED, math.nan)
    if point["kind"] == "case":
        return [found | nothing | _simulated(mixture, learner, delta, point["trials"])]
    if point["difference"] == 0:
        return [found | nothing]
    mirrored = found | {"ratio": 1 / point["ratio"], "difference": -point["difference"]}
    mirrored |= {"error_1": found["error_2"], "error_2": found["error_1"]}
    mirrored |= {name: -found[name] for name in ("delta", "adjustment", "gap", *PARTS, "equal")}
    return [found | nothing, mirrored | nothing]


def _pairs(path: str) -> list[Row]:
    """The pairs of the worst classes of which one is most often mistaken for the other, by cross-validation."""
    report = diagnose(*features.read(path))
    worst = [row.name for row in report.rows[:MOST_CLASSES]]
    pairs = sorted(
        (report.gap(first, second) for first, second in combinations(worst, 2)),
        key=lambda found: -max(found.mistaken),
    )
    counts = dict(zip(report.names, report.left_out.counts, strict=True))
    return [
        {
            "kind": "case",
            "name": f"{found.names[0]} against {found.names[1]}",
            "ratio": float(counts[found.names[0]] / counts[found.names[1]]),
            "difference": math.nan,
            "delta": 0.0,
            "adjustment": math.nan,
            "error_1": found.mistaken[0],
            "error_2": found.mistaken[1],
            "gap": found.total,
            **{name: getattr(found, name) for name in PARTS},
            "equal": math.nan,
            **dict.fromkeys(SIMULATED, math.nan),
        }
        for found in pairs[:MOST_PAIRS]
    ]


def _simulated(mixture: GaussianMixture, learner: Logistic, delta: float, trials: int) -> dict[str, Any]:
    """The same by training with margins e^δ and e^-δ on many training sets."""
    errors, moments = [], []
    for trial in range(trials):
        X, y = drawn(mixture, np.random.default_rng([17, trial]))
        affine = trained(X, y, learner, (delta, -delta))
        fresh, scores = predict(mixture, affine), X @ affine.w + affine.b
        errors.append(fresh.error)
        moments.append([fresh.mean, fresh.variance, [scores[y == k].mean() for k in (0, 1)]])
    m, q, c = np.mean(moments, axis=0)
    error, parts = np.mean(errors, axis=0), parts_of(m - delta, q, c - delta, delta)
    found = {"error_1": float(error[0]), "error_2": float(error[1]), **{name: parts[name] for name in ("gap", *PARTS)}}
    return {f"{name}_simulated": value for name, value in found.items()}


def summary(rows: Sequence[Row]) -> str:
    """The parts of each case; in brackets those of training."""
    names = (*PARTS, "gap")

    def shown(row: Row, name: str, scale: float, form: str) -> str:
        trained = row[f"{name}_simulated"]
        return f"{scale * row[name]:{form}}" + ("" if math.isnan(trained) else f" ({scale * trained:{form}})")

    lines = [
        [row["name"], *(shown(row, name, 1, "+.2f") for name in names)]
        + [shown(row, name, 100, ".1f") for name in ("error_1", "error_2")]
        for row in rows
        if row["kind"] == "case"
    ]
    return table(["", *PARTS, "z_1 - z_2", "error 1, %", "error 2, %"], lines)
