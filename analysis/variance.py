"""Proposition 5: the exact variance of every sampler, priced by its chi-square distance from q*.

Target p = 1, weights 1/(m q).  Decoupled: Var = ((Σ ϕ)²/m) χ²(q*‖q) exactly.  Softmax: the same of v = σ²/μ².
In between stand mixtures with q*, and q* of other scores than those in use: of an earlier model, with noise, rounded.
"""

from __future__ import annotations

import numpy as np

from analysis.study import Point, Row
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, logistic
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit, LogUniform, MinimumVariance, Mixture, Power, Sampler, Uniform, WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.scorers import Aligned
from implicitloss.weightings import Importance
from implicitloss.witness.integrate import integrate

M = 32
LOSSES: dict[str, Loss] = {"softmax": SoftmaxCrossEntropy(), "decoupled logistic": Decoupled(logistic)}
PLAIN: dict[str, Sampler] = {
    "uniform": Uniform(),
    "within-batch": WithinBatch(),
    "power 3/4": Power(0.75),
    "log-uniform": LogUniform(),
    "mixed": Mixture(0.5),
}
# Families between q* and nothing, by a level from 0 (q* itself) on.
LEVELS = {
    "mixture with uniform": (0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0),  # share of the uniform law
    "earlier scores": (0.0, 0.1, 0.3, 0.6, 1.0),  # 1 - correlation
    "noisy scores": (0.0, 0.1, 0.3, 1.0, 2.0),  # standard deviation of the noise
    "rounded scores": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),  # width of the steps
}


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Both losses, each plain sampler and each level of each family."""
    plain = [(name, "", 0.0) for name in PLAIN]
    between = [("", family, level) for family, levels in LEVELS.items() for level in levels]
    return [{"loss": loss, "sampler": n, "family": f, "level": x} for loss in LOSSES for n, f, x in plain + between]


def _stale(scores: Floats, family: str, level: float) -> Floats:
    """The scores that q* is computed from."""
    fresh = np.random.default_rng(1).standard_normal(scores.size)
    if family == "earlier scores":
        # As spread out as the scores in use, and correlated with them by 1 - level.
        mean, spread = scores.mean(), scores.std()
        rho = 1 - level
        return mean + rho * (scores - mean) + np.sqrt(1 - rho**2) * spread * fresh
    if family == "noisy scores":
        return scores + level * fresh
    if family == "rounded scores" and level:
        return level * np.round(scores / level)
    return scores


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row: the distance, and the variance by it and exactly."""
    loss, scores = LOSSES[point["loss"]], Aligned(0.5).scores(prior, 0)
    problem = Problem(scores, prior, int(prior.by_frequency[prior.n_labels // 2]))
    best = np.exp(MinimumVariance(loss=loss).log_law(problem))
    if point["family"]:
        guess = Problem(_stale(scores, point["family"], point["level"]), prior, problem.positive)
        q = np.exp(MinimumVariance(loss=loss).log_law(guess))
        if point["family"] == "mixture with uniform":
            q = (1 - point["level"]) * q + point["level"] / prior.n_labels
        sampler: Sampler = Explicit(q / q.sum())
    else:
        sampler = PLAIN[point["sampler"]]
    scheme = Scheme(sampler, Importance(), m=M, hits="exclude")
    plan = scheme.plan(problem)
    q = np.exp(plan.log_q)
    there = best > 0
    chi2 = float(np.sum((best[there] - q[there]) ** 2 / q[there]))
    total = float(np.sum(np.exp(loss.log_payment(scores, problem.positive))[there]))
    # In units of μ² for softmax, whose leading variance it is.
    size = total / (1 + total) if loss.has_log else total
    return [
        {
            **point,
            "m": M,
            "chi2": chi2,
            "by_chi2": size**2 * chi2 / M,
            "variance": float(integrate(scheme, loss, problem, "variance")),
            "gap": float(integrate(scheme, loss, problem, "gap")),
        }
    ]
