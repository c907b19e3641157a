"""Test vectors: what the library makes of a random grid of settings, for the page's formulas to be held against."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy.special import ndtr

from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.margins import LogitAdjusted
from implicitloss.optima.population import population_optimum
from implicitloss.problem import Problem
from implicitloss.samplers import LogUniform, Mixture, ModelBased, Power, Sampler, Uniform, WithinBatch
from implicitloss.scheme import HITS, Scheme
from implicitloss.spectral import (
    Affine,
    GaussianMixture,
    Prediction,
    equal_error_offset,
    gap,
    least_error_offset,
    predict,
)
from implicitloss.teaching.choices import OFFERED, weightings_with
from implicitloss.theory.implicit import implicit_loss, implicit_margins
from implicitloss.witness.integrate import integrate

__all__ = ["scheme", "scheme_offset", "spectra", "two_classes", "vectors"]

VECTORS = 25
# The means of the page's two classes are this far apart along the classifier's direction.
APART = 2.0


def scheme(settings: dict[str, Any]) -> Scheme:
    """The library's scheme for the page's settings."""
    share = settings["share"]
    mixed: Sampler = Mixture(share) if 0 < share < 1 else WithinBatch() if share else Uniform()
    samplers = {
        "mixture": mixed,
        "power": Power(settings["alpha"]),
        "log-uniform": LogUniform(),
        "model": ModelBased(),
    }
    sampler = samplers[settings["sampler"]]
    weighting = weightings_with(LogitAdjusted(settings["tau"]))[settings["weighting"]]
    return Scheme(sampler, weighting, m=settings["m"], hits=settings["hits"])


def _settings(i: int, rng: np.random.Generator) -> dict[str, Any]:
    """A scheme as the page writes it: each sampler with each weighting in turn, the rest at random."""
    return {
        "sampler": ("mixture", "mixture", "power", "model", "log-uniform")[(i + i // 5) % 5],
        "share": (0.0, 1.0, 0.5)[i % 3],
        "alpha": round(float(rng.uniform(0.25, 1.5)), 3),
        "weighting": OFFERED[i % len(OFFERED)],
        "tau": round(float(rng.uniform(0.3, 1.5)), 3),
        "m": int(rng.choice([1, 2, 8, 50, 500])),
        "hits": HITS[int(rng.integers(3))],
    }


def two_classes(settings: dict[str, Any]) -> Prediction:
    """What the linear discriminant's score does on the two classes of the page's settings.

    Along the classifier's direction the classes are N(±APART/2, v_k), v_1/v_2 = `spectrum`, v_1 + v_2 = 2.  The ratio
    of their counts is n_1/n_2 = `odds`, and the score is APART x + log(n_1/n_2).
    """
    spectrum, odds = settings["spectrum"], settings["odds"]
    means = np.array([[APART / 2], [-APART / 2]])
    variances = np.array([[2 * spectrum / (1 + spectrum)], [2 / (1 + spectrum)]])
    classes = GaussianMixture(means, variances, np.array([max(odds, 1.0), max(1 / odds, 1.0)]))
    return predict(classes, Affine(np.array([APART]), np.log(odds)))


def scheme_offset(settings: dict[str, Any]) -> float | None:
    """½ log(p_12/p_21) of the margins, at counts of the ratio `odds`; None if these move with the scores."""
    odds = settings["odds"]
    prior = LabelPrior.from_probabilities([odds / (1 + odds), 1 / (1 + odds)])
    found = []
    for scores in ([0.0, 0.0], [1.0, -1.0]):
        p = implicit_margins(scheme(settings), prior, scores=np.array(scores))
        found.append(float(np.log(p[0, 1] / p[1, 0]) / 2))
    return found[0] if abs(found[0] - found[1]) < 1e-9 else None


@cache
def spectra(n: int = VECTORS, seed: int = 1) -> dict[str, Any]:
    """Two `classes`: moments, errors, parts of the gap and offsets; and pairs z, Φ(z) of the `normal` law."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        settings = _settings(i, rng) | {
            "spectrum": float(np.exp(rng.uniform(-np.log(10), np.log(10)))),
            "odds": 1.0 if i % 6 == 0 else float(np.exp(rng.uniform(-np.log(10), np.log(10)))),
            "delta": float(rng.uniform(-3, 3)),
        }
        p = two_classes(settings)
        parts = gap(p.mean, p.variance, p.training_mean, settings["delta"])
        found.append(
            {
                "settings": settings,
                "mean": p.mean.tolist(),
                "variance": p.variance.tolist(),
                "error": parts.error.tolist(),
                "parts": [parts.train, parts.label, parts.scale, parts.total],
                "equal": equal_error_offset(p.mean, p.variance),
                "least": least_error_offset(p.mean, p.variance),
                "scheme": scheme_offset(settings),
            }
        )
    z = np.concatenate([np.linspace(-37, 9, 93), [-1e-9, 1e-9, -8.48, -8.49]])
    return {"classes": found, "normal": np.column_stack([z, ndtr(z)]).tolist()}


@cache
def vectors(n: int = VECTORS, seed: int = 0) -> list[dict[str, Any]]:
    """Settings, prior, scores, positive and η, with margins, bound, exact loss, gradient and optima."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        settings = _settings(i, rng)
        level = np.arange(1, int(rng.integers(3, 9)) + 1) ** -float(rng.uniform(0.2, 1.5))
        prior = LabelPrior.from_probabilities(level / level.sum())
        f, eta = rng.standard_normal(prior.n_labels), rng.dirichlet(np.full(prior.n_labels, 2.0))
        problem = Problem(f, prior, int(rng.integers(prior.n_labels)))
        chosen, loss = scheme(settings), SoftmaxCrossEntropy()
        row = {
            "settings": settings,
            "prior": prior.probabilities.tolist(),
            "f": f.tolist(),
            "y": problem.positive,
            "eta": eta.tolist(),
            "margins": implicit_margins(chosen, prior, scores=f).ravel().tolist(),
            "bound": float(implicit_loss(chosen, loss, problem)),
            "mean": float(integrate(chosen, loss, problem)),
            "gradient": np.asarray(integrate(chosen, loss, problem, "gradient").value).tolist(),
        }
        if not chosen.sampler.needs_scores:
            row["implicit"] = population_optimum(chosen, loss, eta, prior, "implicit").tolist()
            row["sampled"] = population_optimum(chosen, loss, eta, prior, "sampled").tolist()
        found.append(row)
    return found
