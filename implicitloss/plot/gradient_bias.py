"""The bias of the expected gradient, label by label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.labels import LabelPrior, checked_prior, checked_vector
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.numerics.logsum import logsumexp
from implicitloss.plot.canvas import Schemes, axes_of, called, checked_frame, is_frame, legend, lines
from implicitloss.witness.integrate.sweep import sweep

__all__ = ["gradient_bias"]

# Gradients of more labels than this take pairs of labels that no table should have.
MOST_LABELS = 2_000
# A line is the running mean over so many labels.
WINDOW, FEWEST = 15, 4
SMOOTHED_FROM = 100


def gradient_bias(
    data: Schemes | Any,
    prior: LabelPrior | None = None,
    *,
    scores: ArrayLike | None = None,
    ax: Any = None,
    label: str | Sequence[str] | None = None,
    latex: bool = False,
    **look: Any,
) -> Any:
    """Plot the expected gradient of each label's score less that of softmax over all labels, against its frequency.

    Gradients are means over positives as frequent as in training, Σ_y π_y E ∂ℓ_y(N)/∂f_k, exact.  Below 0 training
    raises the label's score more than softmax over all labels does, above 0 less.

    Parameters
    ----------
    data : Scheme, sequence or dict of Scheme, or pandas.DataFrame
        The schemes; or a frame with the columns `prior` and `error`, and `scheme` if it has it.
    prior : LabelPrior
        The label prior, for schemes, of at most 2,000 labels.
    scores : array_like, (L,), optional
        The scores f; by default all labels are scored alike.
    ax : matplotlib.axes.Axes, optional
        Where to plot; by default in a new figure.
    label : str or sequence of str, optional
        What the legend calls the schemes.
    latex : bool
        Write symbols as mathematics, as in a paper.
    **look
        What `Axes.plot` takes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes: a line, and from 100 labels on a point for each label, and a line for their running mean over 15.

    Raises
    ------
    ValueError
        For more labels, and as `sweep` does.

    References
    ----------
    Rawat et al. 2021, section 4; Lemma 2 of its appendix for the gradient of the bound.

    Examples
    --------
    >>> import implicitloss as il
    >>> schemes = {w: il.Scheme("uniform", w, m=8, hits="mask") for w in ("importance", "tail")}
    >>> ax = il.plot.gradient_bias(schemes, il.LabelPrior.zipf(50, 1.0))
    >>> ax.get_xscale()
    'log'
    """
    frame = checked_frame(data if is_frame(data) else _frame(data, prior, scores), ("prior", "error"))
    ax = axes_of(ax)
    ax.axhline(0, color="0.5", lw=0.8)
    for rows, own in lines(frame, label, look, marked=False):
        shown = rows.sort_values("prior")
        line = shown["error"]
        if len(shown) >= SMOOTHED_FROM:
            ax.plot(shown["prior"], line, ".", color=own["color"], ms=1, alpha=0.35)
            line = line.rolling(WINDOW, center=True, min_periods=FEWEST).mean()
        ax.plot(shown["prior"], line, **own)
    ax.set(
        xscale="log", xlabel=r"$\pi$ of the label" if latex else "π of the label",
        ylabel="gradient less that of softmax over all labels",
    )  # fmt: skip
    legend(ax)
    return ax


def _frame(data: Any, prior: Any, scores: Any) -> Any:
    import pandas as pd

    n = checked_prior(prior).n_labels
    if n > MOST_LABELS:
        raise ValueError(f"gradients of all labels need at most {MOST_LABELS:,} labels, got {n:,}: give prior.few(200)")
    f = np.zeros(n) if scores is None else checked_vector(scores, "scores", n)
    schemes = called(data, None)
    there = np.flatnonzero(prior.probabilities > 0)
    share = prior.probabilities[there]
    swept = sweep(list(schemes.values()), SoftmaxCrossEntropy(), f, prior, there.tolist(), ("gradient",))["gradient"]
    full = np.exp(f - logsumexp(f)) - prior.probabilities
    return pd.concat(
        [
            pd.DataFrame({
                "scheme": name, "label": np.arange(n), "prior": prior.probabilities,
                "error": share @ np.asarray(swept.value)[i] - full,
            })
            for i, name in enumerate(schemes)
        ],
        ignore_index=True,
    )  # fmt: skip
