"""The gap between two classes as a sum of its parts: counts and sampling, overfitting, margins, spectra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from implicitloss.arguments import checked_list, shown
from implicitloss.formats import plain
from implicitloss.plot.canvas import axes_of, checked_frame, is_frame, legend
from implicitloss.spectral.class_gap import ClassGap
from implicitloss.spectral.offsets import Gap

__all__ = ["PARTS", "axes_of_bias"]

# The parts of a gap in their order, and what the legend calls them.
PARTS = {"train": "boundary in training", "overfit": "overfitting", "label": "margins", "scale": "scale of scores"}
COLORS = {"train": "C0", "overfit": "C5", "label": "C2", "scale": "C1"}
HATCHES = {"train": "", "overfit": "....", "label": "xxxx", "scale": "////"}
# Bars of one gap stand so far apart.
STEP = 0.17


def axes_of_bias(data: Any, *, ax: Any = None, label: Any = None, latex: bool = False, **look: Any) -> Any:
    """Plot gaps z_1 - z_2 between two classes as waterfalls: one bar for each part, and their sum.

    Above 0 the first class is better off.  Counts and sampling move the boundary in training, margins are the offset
    δ of a loss, and spectra are behind overfitting and the scale of the scores: three axes of bias, added up.

    Parameters
    ----------
    data : Gap, sequence or dict of Gap, or pandas.DataFrame
        What `il.spectral.gap` or the `gap` of a diagnosis returns; the keys of a dict are names.  Or a frame with the
        columns `train`, `overfit`, `label` and `scale`, and `name` if it has it.
    ax : matplotlib.axes.Axes, optional
        Where to plot; by default in a new figure.
    label : str or sequence of str, optional
        What is written below the waterfalls, one for each.
    latex : bool
        Write symbols as mathematics, as in a paper.
    **look
        `color`, `hatch`, `edgecolor`, `linewidth`, `alpha`, of the bars of parts.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        For what is no gap, a frame without these columns, and labels that are not one for each.

    References
    ----------
    Derived here, after Loureiro et al. (2021).

    Examples
    --------
    >>> import implicitloss as il
    >>> found = il.spectral.gap(mean=[0.6, -0.9], variance=[0.6, 0.2], training_mean=[0.8, -0.9])
    >>> ax = il.plot.axes_of_bias({"wide against narrow": found})
    >>> [round(float(bar.get_height()), 3) for bar in ax.patches]
    [-0.176, -0.353, 0.0, -0.709, -1.238]
    """
    if unknown := set(look) - {"color", "hatch", "edgecolor", "linewidth", "alpha"}:
        raise ValueError(f"the look of bars is color, hatch, edgecolor, linewidth, alpha, got {shown(min(unknown))}")
    frame = checked_frame(data if is_frame(data) else _frame(data), tuple(PARTS))
    names = frame["name"].tolist() if "name" in frame.columns else [str(k + 1) for k in range(len(frame))]
    if label is not None:
        names = [label] if isinstance(label, str) else checked_list(label, "label")
        if len(names) != len(frame) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"label must have a text for each of {len(frame)} gaps, got {shown(label)}")
    ax = axes_of(ax)
    below = []
    for i, (name, row) in enumerate(zip(names, frame.to_dict("records"), strict=True)):
        at = 0.0
        for j, (part, word) in enumerate(PARTS.items()):
            x = i + STEP * (j - 2)
            bar = {"color": COLORS[part], "hatch": HATCHES[part], "edgecolor": "white", "linewidth": 0, **look}
            ax.bar(x, row[part], STEP * 0.92, at, label=word if i == 0 else None, **bar)
            at += row[part]
            ax.plot([x - STEP / 2, x + 1.5 * STEP], [at, at], color="0.5", lw=0.6)
        ax.bar(i + 2 * STEP, at, STEP * 0.92, color="0.35", label="sum" if i == 0 else None)
        below.append(f"{name}\n{at:+.2f}")
    ax.axhline(0, color="0.2", lw=0.8)
    ax.grid(axis="x", visible=False)
    ax.set_xticks(range(len(below)), below)
    ax.margins(y=0.08)
    ax.set(ylabel=f"{'$z_1 - z_2$' if latex else 'z_1 - z_2'}   above 0 class 1 is better off")
    legend(ax)
    return ax


def _frame(data: Any) -> Any:
    import pandas as pd

    if isinstance(data, Gap):
        gaps = {_name(data, 0): data}
    elif isinstance(data, Mapping):
        gaps = {str(name): one for name, one in data.items()}
    else:
        gaps = {}
        for i, one in enumerate(checked_list(data, "gaps")):
            name = _name(one, i)
            gaps[name if name not in gaps else f"{name} ({i + 1})"] = one
    for one in gaps.values():
        if not isinstance(one, Gap):
            raise ValueError(f"a gap must be what il.spectral.gap returns, got {shown(one)}")
    if not gaps:
        raise ValueError("gaps must be at least one, got none")
    return pd.DataFrame([{"name": name} | {part: getattr(one, part) for part in PARTS} for name, one in gaps.items()])


def _name(one: Any, i: int) -> str:
    return "\nagainst ".join(map(plain, one.names)) if isinstance(one, ClassGap) else str(i + 1)
