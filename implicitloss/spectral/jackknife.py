"""The standard error of a class's effective rank, by leaving out a group of its samples at a time."""

from __future__ import annotations

import numpy as np

from implicitloss.labels import Floats, Labels
from implicitloss.spectral.shrinkage import SampleMoments, effective_rank

__all__ = ["LEAST", "effective_rank_error", "moments_without"]

# Groups; and the samples that an effective rank needs.
GROUPS, LEAST = 10, 4


def effective_rank_error(X: Floats, rng: np.random.Generator) -> float | None:
    """One standard error of the effective rank r of samples (n, d), or None for too few of them.

    r² √((G - 1)/G Σ_g (v_g - v̄)²), the jackknife of G = 10 random groups, v_g = 1/r without group g.  The smaller Gram
    matrix of all samples serves every group.
    """
    n = len(X)
    groups = min(GROUPS, n)
    group = rng.permutation(n) % groups
    if n - np.bincount(group).max() < LEAST:
        return None
    centred = X - X.mean(axis=0)
    moments = (each.unbiased for each in moments_without(centred, group, groups))
    inverse = np.array([second / first for first, second in moments])
    spread = float(np.sqrt((groups - 1) / groups * np.sum((inverse - inverse.mean()) ** 2)))
    return effective_rank(SampleMoments.from_centred(centred)) ** 2 * spread


def moments_without(centred: Floats, group: Labels, groups: int) -> list[SampleMoments]:
    """The moments of samples (n, d), whose mean is 0, without each group of them in turn."""
    n, d = centred.shape
    return (_from_products if n <= d else _from_covariance)(centred, group, groups)


def _from_products(centred: Floats, group: Labels, groups: int) -> list[SampleMoments]:
    """From the inner products of samples, (n, n), centred again without the group."""
    products = centred @ centred.T
    found = []
    for g in range(groups):
        kept = group != g
        part = products[np.ix_(kept, kept)]
        mean = part.mean(axis=0)
        part = part - mean - mean[:, None] + mean.mean()
        found.append(_moments(part, np.diag(part), centred.shape[1]))
    return found


def _from_covariance(centred: Floats, group: Labels, groups: int) -> list[SampleMoments]:
    """From the products of features, (d, d), less those of the group and of the mean without it."""
    products = centred.T @ centred
    found = []
    for g in range(groups):
        kept = centred[group != g]
        left, mean = centred[group == g], kept.mean(axis=0)
        part = products - left.T @ left - len(kept) * np.outer(mean, mean)
        found.append(_moments(part, np.sum((kept - mean) ** 2, axis=1), centred.shape[1]))
    return found


def _moments(products: Floats, squares: Floats, d: int) -> SampleMoments:
    degrees = squares.size - 1
    return SampleMoments(
        squares.size,
        d,
        float(squares.sum()) / degrees,
        float(np.sum(products**2)) / degrees**2,
        float(squares @ squares) / degrees,
    )
