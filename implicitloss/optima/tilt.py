"""The tilt: what the softmax optimum of a scheme adds to log η, as a slope on log π."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_choice
from implicitloss.labels import Floats, LabelPrior, Labels, checked_prior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.optima.population import Of, checked, optimum_from
from implicitloss.optima.without_repetition import SOUGHT
from implicitloss.scheme import Scheme

__all__ = ["TILT_EQUAL", "At", "Gains", "eta_at", "gains_of", "near_tilt", "slope", "tilt"]

At = Literal["uniform", "prior", "peaked"]
Gains = Literal["neither", "frequent", "rare"]
# Tilts within this distance count as equal.
TILT_EQUAL = 0.02
# Below this, Σ (log π - mean)² is rounding.
FLAT = 1e-12
# Tilts that are printed with three digits need no more.
NEAR = 1e-5
# What one x in which few labels are likely looks like: so many labels share this much of η, evenly.
LIKELY_LABELS, LIKELY = 20, 0.9


def tilt(scheme: Scheme, prior: LabelPrior, of: Of = "sampled", eta: ArrayLike | At = "uniform") -> float:
    """Compute the slope of what the softmax optimum adds to log η on log π, at one x.

    tilt = Σ (log π - mean) (f* - log η) / Σ (log π - mean)², f* the scores that minimise the expected loss.  0: the
    scores are log η, as full softmax has them.  -1: log η - log π, the balanced rule.  Below 0 rare labels gain.

    Parameters
    ----------
    scheme : Scheme
        A scheme whose sampler does not look at scores.
    prior : LabelPrior
        The label prior; every label must occur.
    of : {"sampled", "implicit"}
        The loss that f* minimises: the true expected sampled loss, or its bound, the implicit loss.
    eta : {"uniform", "prior", "peaked"} or array_like, (L,)
        P(y given x) at the x.

        - "uniform": all labels are equally likely; the slope is over all labels, as it is for "prior".
        - "prior": labels are as likely as they are frequent.
        - "peaked": up to 20 labels, evenly spaced in log rank, of different counts, share 0.9; the rest is π.
          The slope is over the likely labels alone.
        - an array: the slope is over all labels.

    Returns
    -------
    float
        The least-squares slope, labels of equal weight.

    Raises
    ------
    ValueError
        For a prior without frequent and rare labels, another word for η, and as `population_optimum` does.

    References
    ----------
    Derived here.

    Examples
    --------
    Relative weights by one in-batch negative, hits masked: the bound leans to frequent labels, the loss does not.

    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Relative(), m=1, hits="mask")
    >>> abs(round(il.tilt(scheme, prior), 6)), round(il.tilt(scheme, prior, of="implicit"), 2)
    (0.0, 0.42)

    Importance weights lean further where few labels are likely: a thousand labels, 64 draws.

    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=64, hits="mask")
    >>> [round(il.tilt(scheme, il.LabelPrior.zipf(1000, 1.0), eta=eta), 2) for eta in ("prior", "uniform", "peaked")]
    [-0.0, -0.03, -0.72]
    """
    return near_tilt(scheme, prior, of, eta, sought=SOUGHT)


def near_tilt(
    scheme: Scheme, prior: LabelPrior, of: Of, eta: ArrayLike | At = "uniform", sought: float = NEAR
) -> float:
    """The `tilt`; where no label comes twice, of an optimum whose two sides agree to `sought` of η only."""
    checked_prior(prior)
    _check_occurring(prior)
    at, labels = eta_at(eta, prior)
    at, factors = checked(scheme, SoftmaxCrossEntropy(), at, prior, of)
    _centred(prior, labels)
    f = optimum_from(scheme, SoftmaxCrossEntropy(), at, prior, of, sought, factors) - np.log(at)
    return slope(f, prior, labels)


def slope(added: Floats, prior: LabelPrior, labels: Labels) -> float:
    """The least-squares slope on log π of what is `added` to log η, (L,), over these labels, of equal weight.

    *Raises* ValueError unless all labels occur, and these are not equally frequent.
    """
    _check_occurring(prior)
    x = _centred(prior, labels)
    return float(x @ added[labels] / (x @ x))


def gains_of(tilt: float) -> Gains:
    """Which labels gain at this tilt."""
    if abs(tilt) < TILT_EQUAL:
        return "neither"
    return "frequent" if tilt > 0 else "rare"


def _check_occurring(prior: LabelPrior) -> None:
    if not prior.probabilities.min() > 0:
        raise ValueError(
            f"a tilt needs labels that occur, but label {prior.name(int(prior.by_frequency[-1]))} has prior 0; "
            f"prior.few({prior.n_occurring}) is of those that do"
        )


def _centred(prior: LabelPrior, labels: Labels) -> Floats:
    """log π less its mean, over these labels."""
    x = np.asarray(prior.log[labels] - prior.log[labels].mean())
    if not x @ x > FLAT:
        raise ValueError("a tilt needs frequent and rare labels, but all labels are equally frequent")
    return x


def eta_at(eta: ArrayLike | str, prior: LabelPrior) -> tuple[Any, Labels]:
    """P(y given x) in numbers, and the labels that a tilt there is over."""
    everywhere = np.arange(prior.n_labels)
    if not isinstance(eta, str):
        return eta, everywhere
    if checked_choice(eta, "eta in words", get_args(At)) != "peaked":
        return (np.full(prior.n_labels, 1 / prior.n_labels) if eta == "uniform" else prior.probabilities), everywhere
    ranks = np.unique(np.round(np.geomspace(1, prior.n_labels, LIKELY_LABELS)).astype(int)) - 1
    labels = prior.by_frequency[ranks]
    labels = labels[np.sort(np.unique(prior.probabilities[labels], return_index=True)[1])]
    found = (1 - LIKELY) * prior.probabilities
    found[labels] += LIKELY / labels.size
    return found, labels
