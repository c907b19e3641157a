"""The tilt against the number of negatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from implicitloss.labels import LabelPrior, checked_prior
from implicitloss.optima import tilt as tilts
from implicitloss.optima.newton import NoOptimum
from implicitloss.plot.canvas import LADDER, Schemes, along, axes_of, called, checked_frame, is_frame, legend, lines

__all__ = ["tilt"]


def tilt(
    data: Schemes | Any,
    prior: LabelPrior | None = None,
    *,
    m: Sequence[int] = LADDER,
    ax: Any = None,
    label: str | Sequence[str] | None = None,
    latex: bool = False,
    **look: Any,
) -> Any:
    """Plot which labels a scheme favours against the number of negatives m: the slope of its best scores on log π.

    A solid line is the tilt of the true sampled loss, which training follows, a dashed one that of its bound.  Below 0
    rare labels gain, above 0 frequent ones.

    Parameters
    ----------
    data : Scheme, sequence or dict of Scheme, or pandas.DataFrame
        The schemes, whose own m does not matter; or a frame with the columns `m` and `sampled`, and `scheme` and
        `implicit` if it has them.
    prior : LabelPrior
        The label prior, for schemes; every label must occur.
    m : sequence of int
        The numbers of negatives.
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
        The axes.

    Raises
    ------
    ValueError
        As `il.tilt` does; where there is no optimum the line is broken.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme("within-batch", "importance", m=1, hits="mask")
    >>> ax = il.plot.tilt(scheme, il.LabelPrior.zipf(100, 1.0), m=[4, 16, 64])
    >>> solid = ax.lines[-1].get_ydata()
    >>> [round(float(tilt), 2) for tilt in solid]
    [-1.44, -0.12, -0.02]
    """
    frame = checked_frame(data if is_frame(data) else _frame(data, prior, m), ("m", "sampled"))
    ax = axes_of(ax)
    ax.axhline(0, color="0.6", lw=0.8)
    for rows, own in lines(frame, label, look):
        if "implicit" in rows.columns:
            ax.plot(
                rows["m"], rows["implicit"], **{**own, "linestyle": "--", "marker": "", "linewidth": 1, "label": None}
            )
        ax.plot(rows["m"], rows["sampled"], **own)
    best = "$f^*$" if latex else "f*"
    dashed = "\ndashed: by the bound" if "implicit" in frame.columns else ""
    ax.set(
        xscale="log", xlabel=r"negatives $m$" if latex else "negatives m",
        ylabel=f"← rare gain    tilt of {best}    frequent gain →{dashed}",
    )  # fmt: skip
    legend(ax)
    return ax


def _frame(data: Any, prior: Any, m: Sequence[int]) -> Any:
    import pandas as pd

    checked_prior(prior)
    rows = []
    for name, ladder in along(called(data, None), m).items():
        for scheme in ladder:
            row: dict[str, Any] = {"scheme": name, "m": scheme.m}
            for of in ("sampled", "implicit"):
                try:
                    row[of] = tilts.tilt(scheme, prior, of=of)
                except NoOptimum:
                    row[of] = float("nan")
            rows.append(row)
    return pd.DataFrame(rows)
