"""Test vectors: what the library makes of a random grid of settings, for the page's formulas to be held against."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.margins import LogitAdjusted
from implicitloss.optima.population import population_optimum
from implicitloss.problem import Problem
from implicitloss.samplers import Mixture, ModelBased, Power, Sampler, Uniform, WithinBatch
from implicitloss.scheme import HITS, Scheme
from implicitloss.teaching.choices import OFFERED, weightings_with
from implicitloss.theory.implicit import implicit_loss, implicit_margins
from implicitloss.witness.integrate import integrate

__all__ = ["scheme", "vectors"]

VECTORS = 24


def scheme(settings: dict[str, Any]) -> Scheme:
    """The library's scheme for the page's settings."""
    share = settings["share"]
    mixed: Sampler = Mixture(share) if 0 < share < 1 else WithinBatch() if share else Uniform()
    sampler = {"mixture": mixed, "power": Power(settings["alpha"]), "model": ModelBased()}[settings["sampler"]]
    weighting = weightings_with(LogitAdjusted(settings["tau"]))[settings["weighting"]]
    return Scheme(sampler, weighting, m=settings["m"], hits=settings["hits"])


@cache
def vectors(n: int = VECTORS, seed: int = 0) -> list[dict[str, Any]]:
    """Settings, prior, scores, positive and η, with margins, bound, exact loss, gradient and optima."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        settings: dict[str, Any] = {
            "sampler": ("mixture", "mixture", "power", "model")[i % 4],
            "share": (0.0, 1.0, 0.5)[i % 3],
            "alpha": round(float(rng.uniform(0.25, 1.5)), 3),
            "weighting": OFFERED[i % len(OFFERED)],
            "tau": round(float(rng.uniform(0.3, 1.5)), 3),
            "m": int(rng.choice([1, 2, 8, 50, 500])),
            "hits": HITS[int(rng.integers(3))],
        }
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
