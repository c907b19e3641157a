"""How far predictions from spectra are off, by effective rank and dimension."""

from __future__ import annotations

from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below, one_of

CLAIMS: tuple[str, ...] = ("spectral.ridge", "spectral.logistic")
MARKERS = {"ridge": "o", "logistic": "s"}
# Where few are mistaken a small difference is a large share.
LEAST = 0.02


def _counted(table: Any) -> Any:
    return table[table["measured"] > LEAST]


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    rows = _counted(table)
    target = rows[rows["in_target"]]
    furthest = rows.groupby("d")["off"].apply(lambda off: off.abs().max())
    there = (
        f"With an effective rank of 90 or more in 200 dimensions or more they are off by "
        f"{target['off'].abs().max():.1%} at most ({len(target)} class errors, of which training itself is known to "
        f"{target['off_error'].max():.1%}).  "
        if len(target)
        else ""
    )
    said = ", ".join(f"{off:.1%} with d = {d}" for d, off in furthest.items())
    return (
        "How far predictions from spectra are off, by effective rank and dimension.  "
        "Errors of two Gaussian classes that a linear learner makes on fresh x, predicted from means, covariances and "
        "counts alone, against those of training, averaged over training sets.  Left: by how much the prediction is "
        f"off, against the smaller effective rank of the two classes, (tr Σ)²/tr Σ².  {there}At any effective rank "
        f"they are off by at most {said}.  Right: predicted against measured; with one covariance for both classes "
        f"(crosses) predictions are off by up to {rows['off_pooled'].abs().max():.0%}.  Class errors above "
        f"{LEAST:.0%}; bars: one standard error."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = [
        f"{learner}, d = {d}: up to {group['off'].abs().max():.1%} off"
        for (learner, d), group in _counted(table).groupby(["learner", "d"], sort=False)
    ]
    return f"Left: deviations against effective rank. {'; '.join(said)}. Right: points on the diagonal, crosses off it."


def draw(table: Any) -> Figure:
    """Deviations, and predicted against measured."""
    rows = _counted(table)
    figure = Figure(figsize=(7.6, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    dimensions = sorted(rows["d"].unique())
    shades = matplotlib.colormaps["viridis_r"]
    colors = {d: shades(0.12 + 0.88 * i / max(1, len(dimensions) - 1)) for i, d in enumerate(dimensions)}
    left.axhspan(-5, 5, color="0.9", zorder=0)
    left.axhline(0, color="0.4", lw=0.8)
    left.axvline(20, color="0.4", lw=0.8, ls=":")
    for (learner, d), group in rows.groupby(["learner", "d"], sort=False):
        left.errorbar(
            group["least_rank"], 100 * group["off"], yerr=100 * group["off_error"], fmt=MARKERS[learner], ms=4.5,
            lw=0.8, color=colors[d], mfc=colors[d] if learner == "ridge" else "white",
        )  # fmt: skip
    left.set(xlabel="effective rank, the smaller of the two", ylabel="prediction off by, %", xscale="log")
    _ticks(left.xaxis, (1, 3, 10, 30, 100, 300), rows["least_rank"])
    left.annotate("±5 %", (1, 5), (-3, 2), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=7.5,
                  ha="right", color="0.35")  # fmt: skip
    ends = [0.9 * rows["measured"].min(), 1.1 * rows["measured"].max()]
    right.plot(ends, ends, color="0.4", lw=0.8)
    right.plot(rows["measured"], rows["pooled"], "x", color="C1", ms=4.5, mew=1)
    for learner, marker in MARKERS.items():
        group = one_of(rows, learner=learner)
        right.plot(
            group["measured"], group["predicted"], marker, color="C0", ms=4, mfc="C0" if learner == "ridge" else "white"
        )
    right.set(xlabel="error of a class, trained", ylabel="error of a class, predicted", xscale="log", yscale="log")
    for axis in (right.xaxis, right.yaxis):
        _ticks(axis, (0.02, 0.05, 0.1, 0.2), rows["measured"])
    handles = [
        *(Line2D([], [], color="0.3", marker=m, ls="", ms=4.5, mfc="0.3" if name == "ridge" else "white", label=name)
          for name, m in MARKERS.items()),
        *(Line2D([], [], color=color, lw=5, label=f"d = {d}") for d, color in colors.items()),
        Line2D([], [], color="C1", marker="x", ls="", ms=4.5, label="one covariance for both"),
    ]  # fmt: skip
    below(figure, handles, [handle.get_label() for handle in handles], 8, columnspacing=1.2, handlelength=1.2)
    return figure


def _ticks(axis: Any, ticks: tuple[float, ...], values: Any) -> None:
    """Plain numbers on a logarithmic axis, where the values are."""
    shown = [tick for tick in ticks if 0.8 * values.min() < tick < 1.25 * values.max()]
    axis.set_ticks(shown, [f"{tick:g}" for tick in shown])
    axis.set_ticks([], minor=True)
