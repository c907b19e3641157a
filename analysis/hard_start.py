"""Too many hard negatives at the start: the norm of the sum of a thousand negatives' vectors, k of them mined.

Label vectors are w_j ~ N(0, I/d) and scores near 0, so that each negative pushes alike: the step of the query is along
Σ_N w.  Mined vectors all lean to the query: the squared norm of their sum grows with k², that of draws with m.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from analysis.study import Point, Row
from implicitloss.labels import LabelPrior

OWN_LABELS = True
NEGATIVES, DIMENSIONS = 1000, 64


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """k mined negatives of a thousand."""
    ladder = [0, 100, 1000] if quick else [0, 10, 20, 50, 85, 100, 200, 500, 1000]
    n_labels, trials = (5_000, 10) if quick else (20_000, 60)
    return [{"k": k, "labels": n_labels, "trials": trials} for k in ladder]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row: squared norms of a few matrices of vectors, and the prediction."""
    k, n_labels, d = point["k"], point["labels"], DIMENSIONS
    squared, along = [], []
    for trial in range(point["trials"]):
        rng = np.random.default_rng([16, trial])
        vectors = rng.standard_normal((n_labels, d)) / np.sqrt(d)
        # By symmetry the query is the first axis.
        best = np.argpartition(-vectors[:, 0], max(k - 1, 0))[:k]
        total = vectors[best].sum(axis=0) + vectors[rng.integers(n_labels, size=NEGATIVES - k)].sum(axis=0)
        squared.append(float(total @ total))
        along.append(float(total[0] ** 2))
    m = NEGATIVES - k
    mu = n_labels * np.exp(-(ndtri(k / n_labels) ** 2) / 2) / (k * np.sqrt(2 * np.pi)) if k else 0.0
    mined, drawn = (k * mu) ** 2 / d, m * (m - 1) / n_labels
    return [
        {
            "labels": n_labels,
            "k": k,
            "m": m,
            "squared": float(np.mean(squared)),
            "squared_error": float(np.std(squared, ddof=1) / np.sqrt(len(squared))),
            "along": float(np.mean(along) / np.mean(squared)),
            "predicted": NEGATIVES * (d - 1) / d + m / d + drawn + mined,
            "predicted_along": (mined + m / d + drawn / d) / (NEGATIVES * (d - 1) / d + m / d + drawn + mined),
            "few": float(np.sqrt(NEGATIVES * d) / mu) if k else np.nan,
        }
    ]
