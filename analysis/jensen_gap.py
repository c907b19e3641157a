"""Lemma 2's bound against the exact expected loss: how large the gap is, and where the bound misleads."""

from __future__ import annotations

from analysis.inputs.schemes import scheme, table2
from analysis.study import Point, Row
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.scheme import HITS
from implicitloss.scorers import Gaussian
from implicitloss.theory.implicit import implicit_loss
from implicitloss.witness.integrate.sweep import sweep

POSITIVES = ("most frequent", "median", "rarest")


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each scheme of Table 2 and mode for hits, all m together."""
    powers = list(range(0, 13, 4 if quick else 1))
    return [{"sampler": q, "weighting": w, "hits": h, "powers": powers} for q, w in table2() for h in HITS]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each m and positive; the scores are those of an untrained model."""
    scores, loss = Gaussian().scores(prior, 0), SoftmaxCrossEntropy()
    positives = [int(prior.by_frequency[i]) for i in (0, prior.n_labels // 2, prior.n_labels - 1)]
    ladder = [2**k for k in point["powers"]]
    schemes = [scheme(point["sampler"], point["weighting"], m, point["hits"]) for m in ladder]
    swept = sweep(schemes, loss, scores, prior, positives, ("mean", "gap", "variance"))
    return [
        {
            **{name: point[name] for name in ("sampler", "weighting", "hits")},
            "m": m,
            "positive": which,
            "bound": float(implicit_loss(schemes[i], loss, Problem(scores, prior, y))),
            "exact": float(swept["mean"].value[i, j]),
            "gap": float(swept["gap"].value[i, j]),
            "gap_error": float(swept["gap"].error[i, j]),
            "variance": float(swept["variance"].value[i, j]),
        }
        for i, m in enumerate(ladder)
        for j, (which, y) in enumerate(zip(POSITIVES, positives, strict=True))
    ]
