"""Which clusters are kept: as many as one query may have, or as a budget pays for in the mean over queries."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from analysis.inputs.embeddings import Embeddings, fewer
from implicitloss.hard import HardNegatives
from implicitloss.labels import Floats
from implicitloss.problem import Problem
from implicitloss.samplers import Clustered

# What is left of all draws is not known better.
ROUNDING = 1e-12


def best_within(sampler: Clustered, problem: Problem, most: int) -> HardNegatives | None:
    """As many of the best clusters as have at most so many labels; None where not even one has so few."""
    few = min(int(2 * most / sampler.index.sizes.mean()), sampler.index.sizes.size - 1)
    for clusters in range(few, 0, -1):
        hard = HardNegatives(clusters=clusters, of=sampler.index, query=sampler.query, overlap="exclude")
        if hard.labels(problem).size <= most:
            return hard
    return None


def best_above(sampler: Clustered, m: int, above: float) -> HardNegatives | None:
    """The clusters that `Clusters.keep_and_draw` keeps with this threshold; None where it keeps none."""
    index = sampler.index
    labels = index.keep_and_draw(sampler.query, m, index.n_labels, above, sampler.defence, rng=0)[0]
    kept = np.unique(index.cluster[labels[:-m]]).size
    return HardNegatives(clusters=kept, of=index, query=sampler.query, overlap="exclude") if kept else None


def threshold(found: Embeddings, m: int, labels: float) -> float:
    """The `above` with which recent queries keep at most so many labels, in the mean, of the clusters of `fewer`."""
    a_draw, kept = _ladder(found)
    return m * float(a_draw[min(np.searchsorted(kept, labels, side="right"), kept.size - 1)])


@lru_cache(maxsize=1)
def _ladder(found: Embeddings) -> tuple[Floats, Floats]:
    """Shares of a draw, falling, and the mean number of labels that are kept as long as theirs is not below it."""
    index = fewer(found)
    shares, sizes = [], []
    for h in found.recent:
        order = np.argsort(np.log(index.sizes) - index.log_cluster_law(h, 0.0), kind="stable")
        law = np.exp(index.log_cluster_law(h, Clustered(index, h).defence))[order]
        rest = np.maximum(1 - (np.cumsum(law) - law), ROUNDING)
        shares.append(np.minimum.accumulate(law / (index.sizes[order] * rest))[:-1])
        sizes.append(index.sizes[order][:-1])
    falling = np.argsort(-np.concatenate(shares), kind="stable")
    return np.concatenate(shares)[falling], np.cumsum(np.concatenate(sizes)[falling]) / len(found.recent)
