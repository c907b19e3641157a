"""The map of implicit losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from implicitloss.arguments import shown
from implicitloss.labels import Floats, LabelPrior, checked_prior
from implicitloss.optima.tilt import tilt
from implicitloss.plot.canvas import MARKERS, Schemes, axes_of, called, checked_frame, is_frame
from implicitloss.plot.place import ground, place
from implicitloss.scheme import Scheme

__all__ = ["map"]

# Losses that have names, and their places (b, c).
NAMED = {"softmax": (0.0, 0.0), "equalised": (0.0, 1.0), "relative": (1.0, 0.0), "logit-adjusted": (-1.0, 1.0)}
LIMITS = (-1.5, 1.5), (-0.5, 1.5)
LEVELS = np.arange(-2, 2.01, 0.25)
# Points of the ground in each direction; of more labels than this the ground is that of so many, evenly by rank.
STEPS, GROUND_LABELS = 17, 1_000
# Points of the finer grid that contours follow.
FINER = 121
# Schemes at one place stand side by side, so far apart.
APART = 0.11


def map(
    data: Schemes | Any,
    prior: LabelPrior | None = None,
    *,
    contours: Any = True,
    ax: Any = None,
    label: str | Sequence[str] | None = None,
    latex: bool = False,
) -> Any:
    """Plot where schemes lie among implicit losses: at the (b, c) of log p_yy' = const + b log π_y + c log π_y'.

    Softmax is at (0, 0), the equalised loss at (0, 1), logit adjustment at (-1, 1).  The ground is the tilt of the best
    scores of the bound for const = 0: below 0 rare labels gain, and -1 is the balanced rule.  A scheme with another
    const (relative weights have log m) has another tilt; the legend has each scheme's own, by its bound, in brackets.
    Schemes at one place stand side by side.

    Parameters
    ----------
    data : Scheme, sequence or dict of Scheme, or pandas.DataFrame
        The schemes; or a frame with the columns `name`, `b` and `c`, and `tilt`, `color`, `marker` and `face` if it has
        them.
    prior : LabelPrior
        The label prior, for schemes; the places are fitted to the margins of up to 100 labels.
    contours : bool or pandas.DataFrame
        Whether to draw the tilt below; a frame with the columns `b`, `c` and `tilt` is drawn as it is.
    ax : matplotlib.axes.Axes, optional
        Where to plot; by default in a new figure.
    label : str or sequence of str, optional
        What the legend calls the schemes.
    latex : bool
        Write symbols as mathematics, as in a paper.

    Returns
    -------
    matplotlib.axes.Axes
        The axes; `il.plot.place` gives the numbers.

    Raises
    ------
    ValueError
        For schemes without a prior, and for a prior of fewer than three labels or of equal frequencies.

    References
    ----------
    Rawat et al. 2021, Table 2 and Eq. 6, as a plane; the tilt is derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.exp(100, largest=500, ratio=100)
    >>> scheme = il.Scheme("within-batch", "tail", m=64, hits="mask")
    >>> ax = il.plot.map(scheme, prior, label="tail weights")
    >>> found = il.plot.place(scheme, prior)
    >>> round(found.b, 6), round(found.c, 6)
    (-1.0, 1.0)
    """
    if is_frame(data) and label is not None:
        raise ValueError(f"label is for schemes, and a frame has its names, got {shown(label)}")
    frame = checked_frame(data if is_frame(data) else _frame(data, prior, label), ("name", "b", "c"))
    is_alone, ax = ax is None, axes_of(ax)
    _draw_contours(ax, contours, prior)
    _draw_places(ax, frame)
    for name, (b, c) in NAMED.items():
        ax.annotate(
            name, (b, c), (0, 8), textcoords="offset points", ha="center", fontsize="x-small", zorder=4,
            bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.6},
        )  # fmt: skip
    ax.grid(visible=False)
    power = "{}: power of $\\pi${}" if latex else "{}: power of π{}"
    ax.set(
        xlabel=power.format("$b$" if latex else "b", " of the positive"),
        ylabel=power.format("$c$" if latex else "c", " of the negative"),
        xlim=_wide_enough(LIMITS[0], frame["b"]), ylim=_wide_enough(LIMITS[1], frame["c"]),
    )  # fmt: skip
    if is_alone:
        ax.get_figure().legend(fontsize="small", loc="outside lower center", ncols=1 + (len(frame) > 3))
    else:
        ax.legend(fontsize="small")
    return ax


def _wide_enough(limits: tuple[float, float], values: Any) -> tuple[float, float]:
    return min(limits[0], float(values.min()) - 0.2), max(limits[1], float(values.max()) + 0.2)


def _frame(data: Any, prior: Any, label: Any) -> Any:
    import pandas as pd

    checked_prior(prior)
    rows = []
    for name, scheme in called(data, label).items():
        at = place(scheme, prior)
        rows.append({"name": name, "b": at.b, "c": at.c, "tilt": _tilt(scheme, prior)})
    return pd.DataFrame(rows)


def _tilt(scheme: Scheme, prior: LabelPrior) -> float:
    """The tilt of the scheme's own bound, nan where it has none."""
    try:
        return tilt(scheme, prior, of="implicit")
    except ValueError:
        return float("nan")


def _draw_contours(ax: Any, contours: Any, prior: LabelPrior | None) -> None:
    if is_frame(contours):
        grid = checked_frame(contours, ("b", "c", "tilt")).pivot(index="c", columns="b", values="tilt")
        across, up, tilts = grid.columns.to_numpy(), grid.index.to_numpy(), grid.to_numpy()
    elif contours and prior is not None:
        few = prior.few(min(GROUND_LABELS, prior.n_occurring))
        across, up = np.linspace(*LIMITS[0], STEPS), np.linspace(*LIMITS[1], STEPS)
        tilts = np.array([[ground(few, b, c) for b in across.tolist()] for c in up.tolist()])
    else:
        return
    across, up, tilts = _finer(np.asarray(across), np.asarray(up), np.asarray(tilts))
    shown = ax.contourf(across, up, tilts, LEVELS, cmap="PuOr_r", alpha=0.55, extend="both")
    lines = ax.contour(across, up, tilts, [-1, -0.5, 0, 0.5], colors="0.3", linewidths=0.6)
    ax.clabel(lines, fontsize="x-small", fmt="%g")
    ax.get_figure().colorbar(
        shown, ax=ax, location="top", label="← rare    tilt, const = 0    frequent →",
        ticks=[-2, -1, 0, 1, 2], aspect=40,
    )  # fmt: skip


def _finer(across: Floats, up: Floats, tilts: Floats) -> tuple[Floats, Floats, Floats]:
    """Refine the ground by splines through its points, so that contours have no corners."""
    from scipy.interpolate import RectBivariateSpline

    degree = min(3, across.size - 1, up.size - 1)
    if degree < 1 or not np.isfinite(tilts).all():
        return across, up, tilts
    finer = [np.linspace(axis[0], axis[-1], FINER) for axis in (across, up)]
    return finer[0], finer[1], RectBivariateSpline(up, across, tilts, kx=degree, ky=degree)(finer[1], finer[0])


def _draw_places(ax: Any, frame: Any) -> None:
    alike = frame.groupby([frame["b"].round(2) + 0.0, frame["c"].round(2) + 0.0])["name"]
    shifts = APART * (alike.cumcount() - (alike.transform("size") - 1) / 2)
    for i, (shift, (_, row)) in enumerate(zip(shifts, frame.iterrows(), strict=True)):
        color = row.get("color", f"C{i}")
        own = row.get("tilt", np.nan)
        text = f"{row['name']} ({round(own, 2) + 0.0:+.2f})" if np.isfinite(own) else row["name"]
        ax.plot(
            row["b"] + shift, row["c"], row.get("marker", MARKERS[i % len(MARKERS)]), color=color,
            mfc=row.get("face", color), ms=6, label=text, zorder=5,
        )  # fmt: skip
