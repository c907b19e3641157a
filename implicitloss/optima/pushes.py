"""How often a label counts as a negative: by draws, and as one of the hard negatives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_vector
from implicitloss.labels import Floats, LabelPrior, Labels, checked_prior
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme, only_iid
from implicitloss.theory.implicit import log_expected_weights

__all__ = ["EQUAL", "Pushes", "checked_marginals", "pushes"]

# The margins of all pairs are computed.
MOST_LABELS = 5_000
# Margins that differ by less are equal.
EQUAL = 1e-10


@dataclass(frozen=True, eq=False)
class Pushes:
    """How often a label counts as a negative beside other positives: `outside` T, and `inside`, (L,) each.

    `own` (L,) is how often it counts beside itself, as a kept hit; `alike` whether it counts alike beside all others.
    """

    outside: Floats
    inside: Floats
    own: Floats
    alike: bool


def checked_marginals(scheme: Scheme, eta: ArrayLike, prior: LabelPrior) -> Floats:
    """η as a vector with 0 < η < 1; *raises* ValueError, also for a scheme whose hard negatives it does not suit."""
    hard = only_iid(scheme, "an optimum beside hard negatives").hard
    if hard is None:
        raise ValueError("waterfilling is of a scheme with hard negatives, got a scheme without: pass hard=")
    if hard.of is not None:
        raise ValueError(
            "the optimum beside hard negatives is that of the k best labels by the scores that it has, got clusters, "
            "which are those of a query"
        )
    hard.check(checked_prior(prior).n_labels)
    if prior.n_labels > MOST_LABELS:
        raise ValueError(f"an optimum is looked for among at most {MOST_LABELS:,} labels, got {prior.n_labels:,}")
    found = checked_vector(eta, "eta", prior.n_labels)
    if not (found.min() > 0 and found.max() < 1):
        bad = int(np.argmax((found <= 0) | (found >= 1)))
        raise ValueError(f"eta must lie between 0 and 1, but label {bad} has {found[bad]:g}")
    if scheme.sampler.needs_scores:
        raise ValueError(
            f"the law of {scheme.sampler!s:.60} moves with the scores, so there is no fixed loss to minimise; "
            "use a sampler that does not look at scores"
        )
    return found


def pushes(scheme: Scheme, eta: Floats, prior: LabelPrior) -> Pushes:
    """How often each label counts beside other positives, (L,): the mean over positives by η.

    *Raises* ValueError where that depends on which other labels are in T, or where T pushes less than draws.
    """
    hard = scheme.hard
    assert hard is not None
    if hard.overlap == "exclude":
        drawn = _off_hard(scheme, eta, prior)
    else:
        drawn = _margins(replace(scheme, hard=None), prior, None)
    own = np.array(np.diag(drawn))
    np.fill_diagonal(drawn, np.nan)
    alike = bool(np.allclose(np.nanmin(drawn, axis=0), np.nanmax(drawn, axis=0), EQUAL, 0.0))
    np.fill_diagonal(drawn, 0.0)
    outside = eta @ drawn / (eta.sum() - eta)
    inside = hard.weight + (outside if hard.overlap == "keep" else np.zeros(eta.size))
    less = np.flatnonzero(inside < outside * (1 - EQUAL))
    if less.size:
        raise ValueError(
            f"hard negatives must push at least as hard as draws, but label {less[0]} counts {outside[less[0]]:.6g} "
            f"times by draws and {inside[less[0]]:.6g} times in T: it would stay in T, and T would depend on the start"
        )
    more = inside - outside
    if hard.positives == "replace" and (np.ptp(more) > EQUAL * inside.max() or not (alike or hard.overlap == "keep")):
        raise ValueError(
            "where positives are replaced, hard negatives must push all labels alike, as with overlap='keep' or beside "
            f"uniform draws or importance weights, got {scheme.sampler!s:.40} with {scheme.weighting!s:.40} and "
            f"overlap={hard.overlap!r}"
        )
    return Pushes(outside, np.maximum(inside, outside), own, alike)


def _margins(scheme: Scheme, prior: LabelPrior, hard: Labels | None) -> Floats:
    """p_yy' of all pairs, (L, L), T the labels `hard`; the diagonal is of hits."""
    f = np.zeros(prior.n_labels)
    rows = [log_expected_weights(scheme, Problem(f, prior, y, labels=hard)) for y in range(prior.n_labels)]
    with np.errstate(over="ignore"):
        return np.exp(np.array(rows))


def _off_hard(scheme: Scheme, eta: Floats, prior: LabelPrior) -> Floats:
    """The margins of all pairs by draws outside T, which must be the same whatever else is in T."""
    assert scheme.hard is not None
    # An index is asked for one label more where positives are replaced.
    k = min(scheme.hard.k + (scheme.hard.positives == "replace"), eta.size - 1)
    order = np.argsort(-eta, kind="stable")
    found = np.full((eta.size, eta.size), np.nan)
    for labels in [np.roll(order, shift)[:k] for shift in (0, -1, -k, *range(-2, -eta.size, -1))]:
        drawn = _margins(scheme, prior, labels)
        drawn[:, labels] = np.nan
        if not np.allclose(
            drawn, np.where(np.isnan(found) | np.isnan(drawn), drawn, found), EQUAL, 0.0, equal_nan=True
        ):
            raise ValueError(
                "with overlap='exclude' the weights of draws must divide by their law, as importance weights do, for "
                f"else they count by what else is in T; got {scheme.weighting!s:.60}: take it with overlap='mask'"
            )
        found = np.where(np.isnan(found), drawn, found)
        if not np.isnan(found).any():
            break
    return found
