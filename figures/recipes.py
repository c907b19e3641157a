"""What training with sampled losses reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.recipes import MADE_UP
from figures._marks import below

CLAIMS: tuple[str, ...] = ("design.weights.consistent", "design.shifts.target", "rawat2021.section4.small-m-importance")
PANELS = {"tilt": "tilt on log π", "excess_nll": "excess log loss", "balanced_accuracy": "balanced accuracy"}
COLORS = ("C0", "C1")


def _means(table: Any) -> tuple[Any, Any]:
    """Means over seeds, and their standard errors."""
    numbers = ["predicted", "measured", "accuracy", *PANELS]
    grouped = table.groupby(["name", "m"], sort=False)[numbers]
    return grouped.mean(), grouped.std(ddof=1) / np.sqrt(grouped.count())


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    mean, _ = _means(table)
    draws = sorted(set(table["m"]) - {0})
    said = []
    for name in dict.fromkeys(table["name"]):
        own = mean.loc[[(name, m) for m in (draws if (name, draws[0]) in mean.index else [0])]]
        tilts = " and ".join(f"{tilt:+.2f}" for tilt in own["tilt"])
        losses = " and ".join(f"{loss:.3f}" for loss in own["excess_nll"])
        said.append(f"{name}: tilt {tilts}, excess log loss {losses}")
    source = str(table["source"].iloc[0])
    where = (
        "Training a linear scorer on three hundred Gaussian classes with Zipf's frequencies.  Tilt: the slope of the "
        "scores less log η on log π; crosses are those of the optimum, which a linear scorer can have where weights "
        "are consistent, and not elsewhere.  Excess log loss: of softmax of the scores (balanced ones with log π added "
        "back) over that of η.  Balanced accuracy: of the largest score, log π taken off.  "
        if source == MADE_UP
        else f"Training a scorer with one hidden layer on the points of {source}.  Tilt: the slope of the scores less "
        "log η on log π, with η by a model trained with full softmax; crosses are those of the optimum.  Excess log "
        "loss: of softmax of the scores (balanced ones with log π added back) over that of a point's own labels, "
        "equally likely.  Balanced accuracy: how often a label is among as many best ones as its point has labels, "
        "log π taken off, in the mean over labels.  "
    )
    return (
        f"{where}Means over {table['seed'].nunique()} seeds at m = {' and '.join(map(str, draws))}.  {'; '.join(said)}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    mean, _ = _means(table)
    said = [
        f"{name}{f', m = {m}' if m else ''}: tilt {row['tilt']:+.2f}, excess {row['excess_nll']:.2f}, balanced "
        f"{row['balanced_accuracy']:.1%}"
        for (name, m), row in mean.iterrows()
    ]
    return f"Three panels, a row for each loss: tilt, excess log loss, balanced accuracy. {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """A row for each loss, a panel for each measure."""
    mean, error = _means(table)
    names, draws = list(dict.fromkeys(table["name"])), sorted(set(table["m"]) - {0})
    figure = Figure(figsize=(7.2, 1.1 + 0.32 * len(names)), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for ax, (of, title) in zip(axes, PANELS.items(), strict=True):
        for (name, m), row in mean.iterrows():
            at = names.index(name) + (0.0 if not m or len(draws) < 2 else 0.16 * (1 if m == draws[-1] else -1))
            color = "0.25" if not m else COLORS[draws.index(m) % len(COLORS)]
            spread = error.loc[(name, m), of]
            ax.errorbar(row[of], at, xerr=0 if np.isnan(spread) else spread, color=color, marker="o", ms=4, lw=1)
            if of == "tilt":
                ax.plot(row["predicted"], at, color="black", marker="x", ms=5, mew=1.1)
        ax.set(title=title)
        ax.set_ylim(len(names) - 0.5, -0.5)
    axes[0].axvline(0, color="0.6", lw=0.8)
    axes[0].axvline(-1, color="0.6", lw=0.8)
    axes[0].set_yticks(range(len(names)), names, fontsize=8)
    handles = [Line2D([], [], color=COLORS[i % len(COLORS)], marker="o", ms=4) for i in range(len(draws))]
    handles += [Line2D([], [], color="0.25", marker="o", ms=4), Line2D([], [], color="black", marker="x", ls="", ms=5)]
    below(figure, handles, [*(f"m = {m}" for m in draws), "all labels", "optimum"], 4)
    return figure
