"""How often a label is among the negatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from implicitloss.labels import LabelPrior, checked_prior
from implicitloss.plot.canvas import Schemes, axes_of, called, checked_frame, is_frame, legend, lines
from implicitloss.problem import Problem
from implicitloss.theory.inclusion import inclusion_probabilities

__all__ = ["inclusion"]


def inclusion(
    data: Schemes | Any,
    prior: LabelPrior | None = None,
    *,
    ax: Any = None,
    label: str | Sequence[str] | None = None,
    latex: bool = False,
    **look: Any,
) -> Any:
    """Plot how often each label is in N in the mean against m q_y', how often by independent draws.

    Where no label comes twice this is P(y' ∈ N), at most 1; independent draws lie on the diagonal.  Weights of the
    log(m q) correction divide by m q_y', and are off where the line leaves it.

    Parameters
    ----------
    data : Scheme, sequence or dict of Scheme, or pandas.DataFrame
        The schemes; or a frame with the columns `expected` and `p`, and `scheme` if it has it.
    prior : LabelPrior
        The label prior, for schemes.
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
        The axes, both logarithmic.

    Raises
    ------
    ValueError
        For schemes without a prior, and as `il.inclusion_probabilities` does.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> schemes = {d: il.Scheme("log-uniform", "importance", m=20, hits="keep", draws=d) for d in ("distinct", "set")}
    >>> ax = il.plot.inclusion(schemes, il.LabelPrior.zipf(100, 1.0))
    >>> bool(ax.lines[1].get_ydata().max() < 1)
    True
    """
    frame = checked_frame(data if is_frame(data) else _frame(data, prior), ("expected", "p"))
    ax = axes_of(ax)
    low, high = float(frame["expected"].min()), float(frame["expected"].max())
    ax.plot([low, high], [low, high], color="0.6", lw=0.8, label="$m q$" if latex else "m q")
    for rows, own in lines(frame, label, look, marked=False):
        shown = rows.sort_values("expected")
        ax.plot(shown["expected"], shown["p"], **own)
    chance, expected = (r"mean count in $N$", r"$m\,q_{y'}$") if latex else ("mean count in N", "m q_y'")
    ax.set(xscale="log", yscale="log", xlabel=expected, ylabel=chance)
    legend(ax)
    return ax


def _frame(data: Any, prior: Any) -> Any:
    import pandas as pd

    checked_prior(prior)
    problem = Problem(np.zeros(prior.n_labels), prior, int(prior.by_frequency[0]))
    found = []
    for name, scheme in called(data, None).items():
        expected = scheme.m * np.exp(scheme.log_law(problem))
        p = inclusion_probabilities(scheme, problem)
        there = (expected > 0) & (p > 0)
        found.append(pd.DataFrame({"scheme": name, "expected": expected[there], "p": p[there]}))
    return pd.concat(found, ignore_index=True)
