"""Schemes side by side: margins by slice, tilt, and the loss at given scores, one row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.designing.named import named
from implicitloss.labels import Floats, LabelPrior, Labels, checked_prior, checked_vector
from implicitloss.losses import Loss, SoftmaxCrossEntropy, checked_loss
from implicitloss.numerics.logsum import logsumexp
from implicitloss.optima.tilt import tilt
from implicitloss.problem import Problem
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.theory.implicit import implicit_loss, log_effective_margins
from implicitloss.weightings import Importance
from implicitloss.witness.integrate.sweep import sweep

__all__ = ["compare"]

# Losses are averaged over so many positives at most.
MOST_POSITIVES = 1_000


def compare(
    schemes: Sequence[Scheme] | Mapping[str, Scheme],
    prior: LabelPrior,
    *,
    scores: ArrayLike | None = None,
    loss: Loss | None = None,
) -> Any:
    """Set schemes side by side: their margins by slice, which labels gain, and how far their loss is from the full one.

    Parameters
    ----------
    schemes : sequence of Scheme, or dict of str to Scheme
        The schemes; the keys of a dict are their names.
    prior : LabelPrior
        The label prior.
    scores : array_like, (L,), optional
        The scores f at which losses are compared; by default all labels are scored alike.
    loss : Loss, optional
        By default `losses.SoftmaxCrossEntropy()`.

    Returns
    -------
    pandas.DataFrame
        A row for each scheme, with its name as the index, and the columns

        - `p_head_tail`, ...: how often a tail label counts beside the middle label of the head, in the mean over the
          slice, the margin of `il.implicit_margins`; likewise for each pair of slices, the positive's first;
        - `tilt`: the slope of the best scores on log π where all labels are equally likely, as `il.tilt` has it for the
          true sampled softmax loss; NaN where that refuses (a label that never occurs, a law that looks at scores);
        - `mean`, `full`: the expected loss E ℓ(N), and that over all labels;
        - `bias`, `gap`, `variance`: the expected loss less that over all labels, the bound less the expected loss, and
          Var ℓ(N).

        Losses are means over positives, weighted by π: over all labels or, if there are more than 1,000, over those at
        1,000 equal steps of the cumulative sum of π.

    Raises
    ------
    ValueError
        If no schemes are given, if one of them is no Scheme, and as `sweep` does.

    References
    ----------
    Derived here; the bound is Lemma 2 of Rawat et al. 2021.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.exp(100, largest=500, ratio=100)
    >>> schemes = {w: il.Scheme("within-batch", w, m=64, hits="mask") for w in ("importance", "constant", "relative")}
    >>> il.compare(schemes, prior)[["p_head_head", "p_head_tail", "p_tail_head", "tilt", "bias"]].round(2)
                p_head_head  p_head_tail  p_tail_head  tilt  bias
    importance         1.00         1.00         1.00 -0.07 -0.03
    constant           0.02         0.00         0.02 -0.61 -3.92
    relative           1.33         1.33         0.05  0.00  0.13
    """
    by_name = named(schemes)
    checked_prior(prior)
    loss = SoftmaxCrossEntropy() if loss is None else checked_loss(loss)
    f = np.zeros(prior.n_labels) if scores is None else checked_vector(scores, "scores", prior.n_labels)
    positives, shares = _positives(prior)
    swept = sweep(list(by_name.values()), loss, f, prior, positives.tolist(), ("mean", "gap", "variance"))
    full = float(shares @ _over_all(loss, f, prior, positives))
    rows = {}
    for i, (name, scheme) in enumerate(by_name.items()):
        mean, gap, variance = (float(shares @ np.asarray(swept[of].value)[i]) for of in ("mean", "gap", "variance"))
        rows[name] = {
            **_margins(scheme, f, prior, loss),
            "tilt": _tilt(scheme, prior),
            "mean": mean, "full": full, "bias": mean - full, "gap": gap, "variance": variance,
        }  # fmt: skip
    import pandas as pd

    return pd.DataFrame.from_dict(rows, orient="index")


def _over_all(loss: Loss, f: Floats, prior: LabelPrior, positives: Labels) -> Floats:
    """The loss over all labels of each positive."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return np.asarray(logsumexp(f) - f[positives])
    every = Scheme(Uniform(), Importance(), m=1, hits="mask")  # its margins are 1
    return np.array([float(implicit_loss(every, loss, Problem(f, prior, int(y)))) for y in positives])


def _positives(prior: LabelPrior) -> tuple[Labels, Floats]:
    """Positives and their shares, which sum to 1: π, or how many of the equal steps of its sum fall on each."""
    if prior.n_labels <= MOST_POSITIVES:
        there = np.flatnonzero(prior.probabilities > 0)
        return there, prior.probabilities[there] / prior.probabilities[there].sum()
    order = prior.by_frequency
    steps = (np.arange(MOST_POSITIVES) + 0.5) / MOST_POSITIVES
    at = order[np.searchsorted(np.cumsum(prior.probabilities[order]), steps).clip(max=prior.n_occurring - 1)]
    labels, times = np.unique(at, return_counts=True)
    return labels, times / MOST_POSITIVES


def _margins(scheme: Scheme, f: Floats, prior: LabelPrior, loss: Loss) -> dict[str, float]:
    """The mean margin of each slice beside the middle label of each slice."""
    found = {}
    slices = prior.slices()
    for of_positive, labels in slices.items():
        y = prior.middle(labels)
        if y is None:
            continue
        p = np.exp(log_effective_margins(scheme, Problem(f, prior, y), loss))
        for of_negative, negatives in slices.items():
            others = negatives[negatives != y]
            found[f"p_{of_positive}_{of_negative}"] = float(p[others].mean()) if others.size else np.nan
    return found


def _tilt(scheme: Scheme, prior: LabelPrior) -> float:
    try:
        return tilt(scheme, prior, of="sampled")
    except ValueError:  # no optimum, labels of equal frequency, a sampler that looks at scores, ...
        return float("nan")
