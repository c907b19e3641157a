"""What noise and dropout do to the error of each class."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below, one_of

CLAIMS: tuple[str, ...] = ("spectral.noise",)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def _fits(table: Any) -> dict[str, tuple[float, float, int]]:
    """Pearson's r, the slope of measured on predicted changes, and how many there are, by augmentation."""
    found = {}
    for kind, rows in table.groupby("augmentation", sort=False):
        predicted, measured = rows["predicted"], rows["measured"]
        slope = float(predicted.cov(measured) / predicted.var())
        found[str(kind)] = float(predicted.corr(measured)), slope, len(rows)
    return found


def _weakest(table: Any) -> dict[str, float]:
    """Pearson's r at the lowest level of each augmentation."""
    return {
        kind: _fits(rows[rows["level"] == rows["level"].min()])[kind][0]
        for kind, rows in table.groupby("augmentation", sort=False)
    }


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    said = "; ".join(
        f"{kind}: r = {r:.3f}, slope {slope:.2f} ({n} changes)" for kind, (r, slope, n) in _fits(table).items()
    )
    levels = {kind: ", ".join(f"{x:g}" for x in rows["level"].unique()) for kind, rows in table.groupby("augmentation")}
    weak = "At the weakest level " + ", ".join(f"{kind} has r = {r:.2f}" for kind, r in _weakest(table).items()) + ".  "
    worse = float((table["measured"] > 0).mean())
    return (
        "Whether noise and dropout change the errors of classes as is predicted.  "
        "The change of the error of each class by noise (left) or dropout (right) on the training samples, predicted "
        "from means, covariances and counts, against that of training with noise that is drawn anew each time; errors "
        "are those on samples that were not trained on, ridge regression, λ the best one without noise.  Variances of "
        f"the noise over that of the features: {levels['noise']}; rates of dropout: {levels['dropout']}.  {said}; the "
        f"slope is that of measured on predicted changes.  {weak}{worse:.0%} of the errors grow.  Bars: one standard "
        "error over splits."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for (kind, name), rows in table.groupby(["augmentation", "set"], sort=False):
        ranges = (
            f"{of} {100 * rows[of].min():+.1f} to {100 * rows[of].max():+.1f}" for of in ("predicted", "measured")
        )
        said.append(f"{kind}, {name}: {', '.join(ranges)} points")
    return f"Two panels of measured against predicted changes with their diagonals. {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """A panel for each augmentation, a marker for each set of features, larger with the level."""
    names = list(table["set"].unique())
    figure = Figure(figsize=(7.6, 4.3), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, (kind, (r, slope, _)) in zip(axes, _fits(table).items(), strict=True):
        rows = one_of(table, augmentation=kind)
        ends = 100 * np.array(
            [rows[["predicted", "measured"]].to_numpy().min(), rows[["predicted", "measured"]].to_numpy().max()]
        )
        ax.axhline(0, color="0.75", lw=0.8)
        ax.axvline(0, color="0.75", lw=0.8)
        ax.plot(ends, ends, color="0.4", lw=0.8)
        levels = sorted(rows["level"].unique())
        for i, name in enumerate(names):
            for j, level in enumerate(levels):
                part = one_of(rows, set=name, level=level)
                ax.errorbar(
                    100 * part["predicted"], 100 * part["measured"], yerr=100 * part["measured_error"], lw=0.6,
                    color=f"C{i % 7}", fmt=MARKERS[i % len(MARKERS)], ms=3 + 1.5 * j, mec="white", mew=0.5, alpha=0.85,
                )  # fmt: skip
        ax.set(title=f"{kind}: r = {r:.3f}, slope {slope:.2f}", xlabel="predicted change, points")
    axes[0].set_ylabel("measured change of the error of a class, points")
    handles = [
        Line2D([], [], color=f"C{i % 7}", marker=MARKERS[i % len(MARKERS)], ls="", ms=5, label=name)
        for i, name in enumerate(names)
    ]
    below(figure, handles, [handle.get_label() for handle in handles], 3, title="larger marks: more noise")
    return figure
