"""The law of two-level draws, and what their variance is."""

from __future__ import annotations

from functools import cache

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact, Frequencies
from implicitloss.claims.claim import Claim
from implicitloss.designing.price import price
from implicitloss.estimate import Estimate
from implicitloss.index.clusters import Clusters
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.samplers import Clustered, Sampler, Whole
from implicitloss.scheme import Scheme
from implicitloss.weightings import Importance

L, DIMENSION, DEFENCE = 60, 5, 0.2
PRIOR = LabelPrior.zipf(L, 1.0)


@cache
def indexes() -> tuple[Clusters, Clusters]:
    """Labels with tickets in 7 clusters; and the same assignment after the vectors have moved."""
    rng = np.random.default_rng(20260)
    w, queries = rng.normal(size=(L, DIMENSION)), rng.normal(size=(50, DIMENSION))
    index = Clusters.fit(w, rng.normal(size=L), queries, k=7, rng=0)
    return index, index.refresh(w + rng.normal(size=w.shape))


def cases(setting: Setting) -> list[tuple[Clustered, Problem]]:
    """A query each, and the scores that it gives."""
    rng = np.random.default_rng([setting.seed, 20])
    found = []
    for i, index in enumerate(indexes()):
        h = rng.normal(size=DIMENSION)
        found.append((Clustered(index, h, DEFENCE), Problem(index.vectors @ h + index.biases, PRIOR, 10 + i)))
    return found


def _drawn(setting: Setting) -> list[tuple[Sampler, Problem]]:
    return list(cases(setting))


def _stated(sampler: Sampler, problem: Problem) -> Floats:
    return np.exp(sampler.log_law(problem))


def _parts(sampler: Sampler) -> tuple[Clusters, Floats, Floats]:
    """The index, Q_c, and g_j/B_c."""
    assert isinstance(sampler, Clustered)
    index = sampler.index
    return index, np.exp(index.log_cluster_law(sampler.query, DEFENCE)), np.exp(index.log_inside)


def _without_tickets(sampler: Sampler, problem: Problem) -> Floats:
    index, _, inside = _parts(sampler)
    assert isinstance(sampler, Clustered)
    shares = np.exp(index.log_cluster_law(sampler.query, 0.0) - index.log_tickets)
    law = (1 - DEFENCE) * shares / shares.sum() + DEFENCE / shares.size
    return np.asarray(law[index.cluster] * inside)


def _uniform_inside(sampler: Sampler, problem: Problem) -> Floats:
    index, law, _ = _parts(sampler)
    return np.asarray((law / index.sizes)[index.cluster])


def _without_defence(sampler: Sampler, problem: Problem) -> Floats:
    index, _, inside = _parts(sampler)
    assert isinstance(sampler, Clustered)
    return np.asarray(np.exp(index.log_cluster_law(sampler.query, 0.0))[index.cluster] * inside)


# --- variance -------------------------------------------------------------------------------------------------------


def _of_a_draw(case: tuple[Clustered, Problem]) -> Estimate:
    scheme = Scheme(case[0], Importance(), m=1, hits="exclude")
    found = price(scheme, SoftmaxCrossEntropy(), case[1]).chi2
    return Estimate(found, 1e-11 * (1 + found), "relative variance", "price")


def _chi_square(case: tuple[Clustered, Problem], *, swapped: bool = False) -> float:
    """Σ a²/b - 1 of a = q* and b = q over the labels other than y, or of these `swapped`."""
    sampler, problem = case
    others = np.arange(L) != problem.positive
    q, full = np.exp(sampler.log_law(problem))[others], np.exp(problem.scores)[others]
    q, full = q / q.sum(), full / full.sum()
    a, b = (q, full) if swapped else (full, q)
    return float(np.sum(a**2 / b) - 1)


# --- whole clusters -------------------------------------------------------------------------------------------------


def _compared(setting: Setting) -> list[tuple[Clustered, Problem]]:
    """Those of before, and labels of one vector, whose tickets are all that scores depend on."""
    index = Clusters.fit(np.ones((L, 2)), np.random.default_rng(setting.seed).normal(size=L), k=1)
    split = Clusters(index.vectors, index.biases, index.metric, np.arange(L) % 5)
    return [*cases(setting), (Clustered(split, [0.5, 1.0], DEFENCE), Problem(index.biases, PRIOR, 3))]


def _less_of_clusters(case: tuple[Clustered, Problem]) -> Estimate:
    """The relative variance of a draw of a label less that of a draw of a cluster."""
    sampler, problem = case
    whole = Whole(sampler.index, sampler.query, sampler.defence)
    label, cluster = (
        price(Scheme(one, Importance(), m=2, hits="mask"), SoftmaxCrossEntropy(), problem).chi2
        for one in (sampler, whole)
    )
    return Estimate(label - cluster, 1e-11 * (1 + label), "relative variance", "price")


def _inside(case: tuple[Clustered, Problem], *, by_model: bool = False) -> float:
    """Σ_c Q*_c²/Q_c χ²(q*(·|c)‖g/B_c), or with Q*_c `by_model` in place of Q*_c²/Q_c."""
    index, law, inside = _parts(case[0])
    full = np.exp(case[1].scores) * (np.arange(L) != case[1].positive)
    of_cluster = np.bincount(index.cluster, full / full.sum())
    within = full / full.sum() / of_cluster[index.cluster]
    apart = np.bincount(index.cluster, within**2 / inside) - 1
    return float((of_cluster if by_model else of_cluster**2 / law) @ apart)


CLAIMS = (
    Claim(
        "clusters.law",
        "A draw of a cluster by Q_c, and of a label in it by its tickets g_j of B_c, has the law q_j = Q_c g_j/B_c, "
        "also where vectors have moved since the clusters were made.",
        "derived",
        (
            Frequencies(
                _drawn,
                _stated,
                {
                    "clusters are drawn by softmax of their centres, without B_c": _without_tickets,
                    "labels are drawn uniformly inside": _uniform_inside,
                    "no draws go by tickets alone": _without_defence,
                },
                uses_prior=False,
            ),
        ),
        ("60 labels in 7 clusters, a share of 1/5 by tickets alone",),
    ),
    Claim(
        "clusters.variance",
        "The relative variance of the sampled Σ e^{f_j} by one draw with importance weights is χ²(q*‖q), q* the "
        "model's probabilities.",
        "derived",
        (
            Exact(
                "moments of a draw's term",
                cases,
                _of_a_draw,
                _chi_square,
                {"it is χ²(q‖q*)": lambda case: _chi_square(case, swapped=True)},
                uses_prior=False,
            ),
        ),
        ("hits excluded: both laws are of the labels other than y",),
    ),
    Claim(
        "clusters.whole",
        "A draw of a whole cluster varies less than one of a label by the same index: χ²(q*‖q) of labels is that of "
        "clusters and Σ_c Q*_c²/Q_c χ²(q*(·|c)‖g/B_c) more, which is 0 only where tickets are in proportion to e^f in "
        "each cluster.",
        "derived",
        (
            Exact(
                "moments of both draws",
                _compared,
                _less_of_clusters,
                _inside,
                {
                    "clusters count by Q*_c, as entropies do": lambda case: _inside(case, by_model=True),
                    "both vary alike": lambda case: 0.0,
                },
                floor=1e-10,
                uses_prior=False,
            ),
        ),
        ("importance weights, hits masked",),
    ),
)
