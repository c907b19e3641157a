"""Theorem 3 at work: squared error and bias about the implicit loss against m: exact, one term, two terms, simulated.

Weights that are not η/m with η free of m are outside the theorem; for them the terms are those that it would give for
the η of m = 1.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from analysis.inputs.schemes import SAMPLERS, WEIGHTINGS, scheme
from analysis.study import Point, Row
from implicitloss.estimate import Quantity
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.scorers import Aligned, Gaussian, HeavyTailed, Scorer
from implicitloss.theory.expansion import relative_moments
from implicitloss.theory.implicit import implicit_loss
from implicitloss.witness.integrate import integrate
from implicitloss.witness.simulate import simulate

RUNS, FEW_RUNS = 10_000, 500
LADDER = tuple(2**k for k in range(13))
QUANTITIES: tuple[Quantity, ...] = ("mean", "mse")
# The order is fitted where m is so many times v, and the second term at most this share of the first: what the third
# makes of a slope is then little beside its standard error.  Outside the theorem it is fitted over the last rungs.
FAR, SECOND, LAST, FEWEST = 100, 0.03, 6, 3
SCORERS: dict[str, Scorer] = {
    "untrained": Gaussian(),
    "knows the prior": Aligned(),
    "heavy-tailed": HeavyTailed(scale=0.7),
}


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Every scheme of Table 2, on the given prior and on Zipf's, for three scorers; all m of the ladder together."""
    priors = ("given",) if quick else ("given", "zipf")
    scorers = list(SCORERS)[:1] if quick else list(SCORERS)
    return [
        {"prior": name, "scorer": scorer, "sampler": q, "weighting": w, "runs": FEW_RUNS if quick else RUNS}
        for name in priors
        for scorer in scorers
        for w in WEIGHTINGS
        for q in SAMPLERS
    ]


def order(m: Sequence[float], squared: Sequence[float], error: Sequence[float]) -> tuple[float, float]:
    """The slope of log `squared` on log m, weighted by the relative errors, and its standard error."""
    x, weight = np.log(m), (np.asarray(squared) / np.asarray(error)) ** 2
    x = x - np.average(x, weights=weight)
    spread = float(np.sum(weight * x**2))
    return float(np.sum(weight * x * np.log(squared)) / spread), spread**-0.5


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each m."""
    loss = SoftmaxCrossEntropy()
    prior = prior if point["prior"] == "given" else LabelPrior.zipf(1000, 1.0)
    scores = SCORERS[point["scorer"]].scores(prior, 0)
    problem = Problem(scores, prior, int(prior.by_frequency[prior.n_labels // 2]))
    schemes = [scheme(point["sampler"], point["weighting"], m) for m in LADDER]
    bounds = [float(implicit_loss(s, loss, problem)) for s in schemes]
    inside = schemes[0].weighting.is_eta_over_m
    terms = [relative_moments(s if inside else schemes[0], loss, problem) for s in schemes]
    # Each m and each point has draws of its own, so that errors are those of independent numbers.
    own = zlib.crc32(repr(sorted(point.items())).encode())
    mean, mse = (
        [
            simulate(s, loss, problem, of, runs=point["runs"], rng=[s.m, own], reference=b, threads=1)
            for s, b in zip(schemes, bounds, strict=True)
        ]
        for of in QUANTITIES
    )
    # What the second term makes of it is taken off, for it would look like another order.
    second = [1 + terms[i].mse.second / terms[i].mse.first if inside else 1.0 for i in range(len(LADDER))]
    # Runs that all drew the same have no standard error, and say nothing.
    at = [
        i
        for i, m in enumerate(LADDER)
        if float(mse[i].error) > 0
        and (m >= FAR * terms[i].v and abs(second[i] - 1) <= SECOND if inside else i >= len(LADDER) - LAST)
    ]
    slope = slope_error = float("nan")
    if len(at) >= FEWEST:
        fitted = ((LADDER[i], float(mse[i]) / second[i], float(mse[i].error) / second[i]) for i in at)
        slope, slope_error = order(*zip(*fitted, strict=True))
    found = []
    for i, m in enumerate(LADDER):
        # The terms of m = 1 for another m: first/m, second/m².
        scale = (1, 1) if inside else (1 / m, 1 / m**2)
        bias, squared = terms[i].bias, terms[i].mse
        found.append(
            {
                **{name: value for name, value in point.items() if name != "runs"},
                "inside": inside,
                "m": m,
                "v": terms[i].v,
                "mse": float(integrate(schemes[i], loss, problem, "mse")),
                "mse_first": squared.first * scale[0],
                "mse_two": squared.first * scale[0] + squared.second * scale[1],
                "mse_simulated": float(mse[i]),
                "mse_standard_error": float(mse[i].error),
                "bias": -float(integrate(schemes[i], loss, problem, "gap")),
                "bias_first": bias.first * scale[0],
                "bias_two": bias.first * scale[0] + bias.second * scale[1],
                "bias_simulated": float(mean[i]) - bounds[i],
                "bias_standard_error": float(mean[i].error),
                "order": slope,
                "order_error": slope_error,
            }
        )
    return found
