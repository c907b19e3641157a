"""Sampling bias against labeling bias: how far each scheme's optimum is from the full loss's and from the balanced one.

At x with known η the scores that minimise the expected loss are f*; softmax over all labels has log η, the balanced
rule log η - log π.  Distances are root mean squares over labels of differences of centred scores, averaged over x.
"""

from __future__ import annotations

import numpy as np

from analysis.inputs.mixture import GaussianMixture
from analysis.inputs.schemes import COLUMNS, FULL, full_losses, sampled_losses, scheme
from analysis.study import Point, Row
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.optima.newton import NoOptimum
from implicitloss.optima.population import Of, population_optimum
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.weightings import ForMargin

LABELS, DIMENSIONS, SEPARATION = 20, 16, 2.5
LADDER, SHORT = (1, 4, 16, 64, 256), (1, 64)
MANY, FEW = 100, 10  # x, evenly over labels
KINDS: tuple[Of, ...] = ("implicit", "sampled")


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each scheme of Table 2, hits masked and kept, at each m; and the full losses."""
    ladder, n = (SHORT, FEW) if quick else (LADDER, MANY)
    drawn = [
        {**loss, "hits": hits, "m": m, "x": n} for loss in sampled_losses() for hits in ("mask", "keep") for m in ladder
    ]
    return [*drawn, *({**loss, "hits": "none", "m": 0, "x": n} for loss in full_losses(FULL))]


def _chosen(point: Point) -> Scheme:
    if point["hits"] == "none":
        return Scheme(Uniform(), ForMargin(FULL[point["name"]]), m=1, hits="mask")
    return scheme(point["sampler"], point["weighting"], point["m"], point["hits"])


def _distance(f: Floats, to: Floats) -> float:
    apart = f - to - (f - to).mean()
    return float(np.sqrt(np.mean(apart**2)))


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """Optima of the implicit and of the true sampled loss: distances, and error by slice of the rule argmax f*.

    Errors are of x from all labels alike; that x has label y is counted with its probability.
    """
    few = prior.few(LABELS)
    rng = np.random.default_rng(0)
    mixture = GaussianMixture.random(few, DIMENSIONS, SEPARATION, rng)
    x = mixture.draw(np.linspace(0, few.n_labels - 1, point["x"]).round().astype(np.intp), rng)
    eta, balanced = mixture.eta(x), mixture.log_likelihood(x)
    posterior = np.exp(balanced - balanced.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    third = np.array_split(np.arange(few.n_labels), 3)
    found = []
    for of in KINDS if point["hits"] != "none" else KINDS[:1]:
        optima = []
        for one in eta:
            try:
                optima.append(population_optimum(_chosen(point), SoftmaxCrossEntropy(), one, few, of))
            except NoOptimum:
                optima.append(np.full(few.n_labels, np.nan))
        at = [i for i, f in enumerate(optima) if np.isfinite(f).all()]
        if not at:
            continue
        chosen = np.array([optima[i].argmax() for i in at])
        right = np.zeros_like(posterior[at])
        right[np.arange(len(at)), chosen] = posterior[at, chosen]
        by_label = 1 - right.sum(axis=0) / posterior[at].sum(axis=0)
        row = {name: point[name] for name in (*COLUMNS, "hits", "m")}
        row |= {"of": of, "labels": few.n_labels, "n_x": len(at)}
        row["from_softmax"] = float(np.mean([_distance(optima[i], np.log(eta[i])) for i in at]))
        row["from_balanced"] = float(np.mean([_distance(optima[i], balanced[i]) for i in at]))
        for name, part in zip(("head", "torso", "tail"), third, strict=True):
            row[name] = float(by_label[part].mean())
        found.append(row | {"balanced": float(by_label.mean())})
    return found
