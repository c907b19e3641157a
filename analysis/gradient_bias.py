"""How far the expected gradient of each scheme is from that of full softmax, label by label, exactly.

What a label is pushed by is averaged over positives, Σ_y π_y E ∂ℓ_y(N)/∂f_k, and over the scores of some x.
"""

from __future__ import annotations

import numpy as np

from analysis.inputs.schemes import scheme, table2
from analysis.study import Point, Row
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.numerics.logsum import logsumexp
from implicitloss.scorers import Gaussian
from implicitloss.witness.integrate.sweep import sweep

LADDER, SHORT = (1, 8, 64, 512), (1, 64)
MANY, FEW = 16, 1  # x
MOST = 100  # labels; of more, a hundred from the most frequent to the rarest


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each scheme of Table 2 at each m."""
    ladder, draws = (SHORT, FEW) if quick else (LADDER, MANY)
    return [{"sampler": q, "weighting": w, "m": m, "scores": draws} for q, w in table2() for m in ladder]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each of at most a hundred labels by frequency."""
    prior = prior.few(MOST)
    positives, share = prior.by_frequency, prior.probabilities[prior.by_frequency]
    chosen = scheme(point["sampler"], point["weighting"], point["m"])
    expected, full = np.zeros(prior.n_labels), np.zeros(prior.n_labels)
    for seed in range(point["scores"]):
        scores = Gaussian().scores(prior, seed)
        swept = sweep([chosen], SoftmaxCrossEntropy(), scores, prior, positives.tolist(), ("gradient",))["gradient"]
        expected += share @ swept.value[0] / point["scores"]
        full += np.exp(scores - logsumexp(scores)) / point["scores"]
    full[positives] -= share
    return [
        {
            **point,
            "rank": rank + 1,
            "prior": float(prior.probabilities[k]),
            "expected": float(expected[k]),
            "full": float(full[k]),
            "error": float(expected[k] - full[k]),
        }
        for rank, k in enumerate(positives)
    ]
