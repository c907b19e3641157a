"""Draws without repetition: bias, variance and margins of the four designs, with right weights and with the usual ones.

Negatives are drawn log-uniformly by rank, as TensorFlow does.  The usual weights are 1/(m q), whatever the draws are:
right for independent draws alone.  Right ones are 1/P(y' ∈ N).  TensorFlow corrects by 1 - (1 - q)^T, T the number of
tries that it took; here T is the expected number.
"""

from __future__ import annotations

import numpy as np

from analysis.study import Point, Row
from implicitloss.draws import DRAWS
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.optima.tilt import tilt
from implicitloss.problem import Problem
from implicitloss.samplers import LogUniform
from implicitloss.scheme import Scheme
from implicitloss.scorers import Aligned
from implicitloss.theory.inclusion import inclusion_probabilities
from implicitloss.weightings import Importance
from implicitloss.witness.integrate import integrate

LOSS = SoftmaxCrossEntropy()
COUNTS = {"right": "expected", "usual": "naive"}
# Numbers of labels, each with the draws at which labels are counted by rank.
OWN_LABELS = True
SIZES = {1_000: 100, 100_000: 4_096}
QUICK = {60: 8}
# The tilt of the true loss is computed for so many labels, at the last m.
MOST_TILTED = 1_000
RANKS = 40
# Of a design with its weights, and of a label of some rank.
OF_DESIGN = ("weights", "full", "bias", "sd", "p_head", "p_torso", "p_tail", "tilt")
OF_RANK = ("rank", "inclusion", "usual", "tf")
FIELDS = OF_DESIGN + OF_RANK


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each design with each weight, along m; and the counts by rank."""
    found: list[Point] = []
    for n_labels, m_of_ranks in (QUICK if quick else SIZES).items():
        ladder = np.unique(np.geomspace(4, 5 * m_of_ranks, 4 if quick else 7).round().astype(int)).tolist()
        found += [
            {"labels": n_labels, "draws": draws, "weights": weights, "m": m, "is_last": m == ladder[-1]}
            for draws in DRAWS
            for weights in COUNTS
            for m in ladder
        ]
        found.append({"labels": n_labels, "draws": "", "weights": "", "m": m_of_ranks})
    return found


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One design's numbers; or what is taken for the count of labels of several ranks, over P(y' ∈ N)."""
    n_labels, m = point["labels"], point["m"]
    prior = LabelPrior.zipf(n_labels, 1.0)
    known = {"labels": n_labels, "m": m, "draws": point["draws"], **dict.fromkeys(FIELDS, np.nan)}
    problem = Problem(Aligned(0.5).scores(prior, 0), prior, int(prior.by_frequency[n_labels // 2]))
    if not point["draws"]:
        return [{**known, **row} for row in _by_rank(problem, m)]
    weights = Importance(count=COUNTS[point["weights"]])  # type: ignore[arg-type]
    scheme = Scheme(LogUniform(), weights, m=m, hits="mask", draws=point["draws"])
    row = {**known, "weights": point["weights"]}
    row["full"] = float(np.logaddexp.reduce(problem.scores) - problem.scores[problem.positive])
    row["bias"] = float(integrate(scheme, LOSS, problem).value) - row["full"]
    row["sd"] = float(integrate(scheme, LOSS, problem, "variance").value) ** 0.5
    plan = scheme.plan(problem)
    margins = np.exp(plan.log_counts(m) + plan.log_w)
    for name, labels in prior.slices().items():
        others = labels[labels != problem.positive]
        row[f"p_{name}"] = float(margins[others].mean()) if others.size else np.nan
    if point["is_last"] and n_labels <= MOST_TILTED:
        row["tilt"] = tilt(scheme, prior, of="sampled")
    return [row]


def _by_rank(problem: Problem, m: int) -> list[Row]:
    """m q and TensorFlow's count over the probability of being among m different labels."""
    n_labels = problem.scores.size
    scheme = Scheme(LogUniform(), Importance(), m=m, hits="keep", draws="distinct")
    exact = inclusion_probabilities(scheme, problem)
    usual, tf = (
        1 / np.exp(Scheme(LogUniform(), Importance(count=of), m=m, hits="keep", draws="distinct").plan(problem).log_w)  # type: ignore[arg-type]
        for of in ("naive", "tf")
    )
    ranks = np.unique(np.geomspace(1, n_labels, RANKS).round().astype(int))
    labels = problem.prior.by_frequency[ranks - 1]
    return [
        {
            "rank": int(rank),
            "inclusion": float(exact[y]),
            "usual": float(usual[y] / exact[y]),
            "tf": float(tf[y] / exact[y]),
        }
        for rank, y in zip(ranks, labels, strict=True)
    ]
