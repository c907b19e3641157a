"""The margins of a scheme as a heat map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from implicitloss.arguments import shown
from implicitloss.designing.named import named
from implicitloss.labels import LabelPrior, checked_prior
from implicitloss.plot.canvas import axes_of, checked_frame, is_frame
from implicitloss.plot.place import effective
from implicitloss.scheme import Scheme, checked_scheme

__all__ = ["margins"]

# So many labels are shown, evenly from the most frequent to the rarest.
SHOWN = 25


def margins(
    data: Scheme | Any,
    prior: LabelPrior | None = None,
    *,
    ax: Any = None,
    label: str | None = None,
    latex: bool = False,
    norm: Any = None,
    colorbar: bool = True,
) -> Any:
    """Plot the margins p_yy' of a scheme: how often the negative y' (column) counts beside the positive y (row).

    Parameters
    ----------
    data : Scheme, or pandas.DataFrame
        The scheme; or a frame with the columns `rank`, `other_rank` and `p`.
    prior : LabelPrior
        The label prior, for a scheme; of more than 25 labels so many are shown, from frequent to rare.
    ax : matplotlib.axes.Axes, optional
        Where to plot; by default in a new figure.
    label : str, optional
        The title.
    latex : bool
        Write symbols as mathematics, as in a paper.
    norm : matplotlib.colors.Normalize, optional
        The scale of colours, by default a logarithmic one; give several plots the same one.
    colorbar : bool
        Whether to draw it.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        For a scheme without a prior, and where no margin is positive.

    References
    ----------
    Rawat et al. 2021, Lemmas 1 and 2, Table 2.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme("within-batch", "relative", m=64, hits="mask")
    >>> ax = il.plot.margins(scheme, il.LabelPrior.zipf(100, 1.0))
    >>> ax.get_ylabel()
    'positive y, rare to frequent'
    """
    import seaborn as sns
    from matplotlib.colors import LogNorm

    frame = checked_frame(data if is_frame(data) else _frame(data, prior), ("rank", "other_rank", "p"))
    there = frame["p"][frame["p"] > 0]
    if there.empty:
        raise ValueError(f"a map of margins needs some that are positive, got none of {shown(data)}")
    if label is not None and not isinstance(label, str):
        raise ValueError(f"label must be a text, the title, got {shown(label)}")
    ax = axes_of(ax)
    grid = frame.pivot(index="rank", columns="other_rank", values="p")
    low, high = float(there.min()), float(there.max())
    if low >= high * (1 - 1e-9):  # one colour
        low, high = low / 2, high * 2
    sns.heatmap(
        grid.where(grid > 0), norm=LogNorm(low, high) if norm is None else norm, cmap="viridis", cbar=colorbar,
        cbar_kws={"label": "$p_{yy'}$" if latex else "p_yy'"} if colorbar else None, xticklabels=False,
        yticklabels=False, rasterized=True, ax=ax,
    )  # fmt: skip
    positive, negative = ("$y$", "$y'$") if latex else ("y", "y'")
    ax.set(xlabel=f"negative {negative}, frequent to rare", ylabel=f"positive {positive}, rare to frequent")
    if label is not None:
        ax.set_title(label)
    return ax


def _frame(data: Any, prior: Any) -> Any:
    import pandas as pd

    if isinstance(data, (Mapping, list, tuple)) and len(data) != 1:
        raise ValueError(f"a picture of margins is one of one scheme, got {len(data)}: plot each, with ax= of its own")
    scheme = checked_scheme(next(iter(named(data).values())) if isinstance(data, (Mapping, list, tuple)) else data)
    checked_prior(prior)
    order = prior.by_frequency[prior.probabilities[prior.by_frequency] > 0]
    at = np.unique(np.linspace(0, order.size - 1, min(SHOWN, order.size)).round().astype(int))
    rows = []
    for i in at:
        p = np.exp(effective(scheme, prior, int(order[i])))
        rows += [{"rank": i + 1, "other_rank": j + 1, "p": float(p[order[j]])} for j in at if j != i]
    return pd.DataFrame(rows)
