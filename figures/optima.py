"""Sampling bias against labeling bias: how far from the full loss, how far from the balanced one."""

from __future__ import annotations

from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from figures._marks import COLOR, MARKER, WEIGHTINGS, below, face, one_of
from implicitloss import plot

CLAIMS = (
    "menon2021.consistent",
    "rawat2021.section4.in-batch-unit",
    "rawat2021.section4.in-batch-relative",
    "rawat2021.section4.small-m-importance",
    "rawat2021.section4.small-m-tail",
)
# The losses with all labels, and where their names go, in points.
FULL = {"softmax": (-4, -26), "equalised": (-56, 8), "adaptive": (-14, 34), "logit-adjusted": (10, -3)}

# Schemes whose paths are long have m beside their points, so far apart in the picture's units.
LONG, APART = ("importance", "tail"), 0.7


def _ends(table: Any, **where: str) -> tuple[Any, Any]:
    """The rows of the smallest and of the largest m."""
    rows = one_of(table, of="sampled", **where).sort_values("m")
    return rows.iloc[0], rows.iloc[-1]


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    said = []
    for weighting in WEIGHTINGS:
        few, many = _ends(table, sampler="within-batch", weighting=weighting, hits="mask")
        said.append(
            f"{weighting} ({few['from_softmax']:.2f}, {few['from_balanced']:.2f}) at m = {few['m']} to "
            f"({many['from_softmax']:.2f}, {many['from_balanced']:.2f}) at m = {many['m']}"
        )
    worst = one_of(table, name="within-batch, relative", hits="keep", of="sampled")["from_softmax"].max()
    bound = one_of(table, name="within-batch, relative", hits="keep", of="implicit")["from_softmax"].max()
    return (
        "How far each scheme is from softmax, and how far from the balanced rule.  "
        "How far the best scores of each scheme are from those of softmax over all labels (across: sampling bias) and "
        "from the balanced rule log η - log π (up: labeling bias that is left), as root mean square distances; "
        f"{table['labels'].iloc[0]} labels with known class probabilities η and frequencies π, {table['n_x'].min()} "
        "x.  Lines: by the true sampled loss as the number of negatives m grows (small to large markers; m beside long "
        "paths); crosses: by its bound; plus signs: the losses named.  Within-batch negatives, draws of the positive "
        "(hits) masked, as "
        f"(across, up): {'; '.join(said)}.  With hits kept, relative weights are at most {worst:.1g} from softmax, "
        f"where the bound says up to {bound:.2f}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    last = table[(table["of"] == "sampled") & (table["m"] == table["m"].max())]
    columns = last[["name", "hits", "from_softmax", "from_balanced"]]
    said = [f"{name}, hits {hits}: ({x:.2f}, {y:.2f})" for name, hits, x, y in columns.values]
    return (
        "Two panels, hits masked and kept: distance from softmax across, distance from the balanced rule up; softmax "
        f"at the left end, logit adjustment at the bottom. True sampled losses at the largest m: {'; '.join(said)}. "
        f"{_bars(table)}"
    )


def _bars(table: Any) -> str:
    rows = table[(table["of"] == "sampled") & (table["hits"] == "mask") & (table["m"] == table["m"].max())]
    return "Third panel, error of the rule argmax f*: " + "; ".join(
        f"{r['name']} head {r['head']:.0%}, tail {r['tail']:.0%}" for _, r in rows.iterrows()
    )


def _numbered(ax: Any, path: Any, color: str) -> None:
    """Write m beside the points of a path, where the last one written is far enough."""
    last = (np.inf, np.inf)
    for _, row in path.iterrows():
        here = (row["from_softmax"], row["from_balanced"])
        if np.hypot(here[0] - last[0], here[1] - last[1]) > APART:
            ax.annotate(
                f"{int(row['m'])}", here, (5, 0), textcoords="offset points", fontsize=6, color=color, va="center"
            )
            last = here


def draw(table: Any) -> Figure:
    """The map with hits masked, with hits kept; and errors of head and tail."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=[1, 1, 0.6])
    for ax, hits in zip(axes, ("mask", "keep"), strict=False):
        for sampler in ("uniform", "within-batch"):
            for weighting in WEIGHTINGS:
                color, of_scheme = COLOR[weighting], one_of(table, sampler=sampler, weighting=weighting, hits=hits)
                plot.optima(
                    one_of(of_scheme, of="sampled"), ax=ax, label=f"{sampler}, {weighting}", color=color,
                    marker=MARKER[weighting], mfc=face(sampler, color), ends=False,
                )  # fmt: skip
                bound = one_of(of_scheme, of="implicit")
                ax.plot(bound["from_softmax"], bound["from_balanced"], "x", color=color, ms=3, mew=0.7)
        for weighting in LONG:
            path = one_of(table, sampler="within-batch", weighting=weighting, hits=hits, of="sampled")
            _numbered(ax, path.sort_values("m"), COLOR[weighting])
        for name, (dx, dy) in FULL.items():
            row = one_of(table, name=name, hits="none").iloc[0]
            ax.annotate(
                name, (row["from_softmax"], row["from_balanced"]), (dx, dy), textcoords="offset points", fontsize=7,
                color="0.2", va="center", zorder=4, arrowprops={"arrowstyle": "-", "color": "0.5", "lw": 0.5},
            )  # fmt: skip
            ax.plot(row["from_softmax"], row["from_balanced"], "+", color="0.2", ms=7, zorder=4)
        ax.get_legend().remove()
        ax.set(title=f"hits {'masked' if hits == 'mask' else 'kept'}", xlabel="distance from softmax", ylabel="")
    axes[0].set_ylabel("distance from the balanced rule")
    axes[1].sharey(axes[0])
    rows = table[(table["of"] == "sampled") & (table["hits"] == "mask") & (table["m"] == table["m"].max())]
    names = list(rows["name"])
    axes[2].hlines(names, rows["head"], rows["tail"], color="0.6", lw=1, zorder=1)
    sns.pointplot(
        rows.melt("name", ["head", "tail"], "slice", "error"), x="error", y="name", hue="slice", order=names,
        palette=["C0", "C1"], markers=["o", "D"], linestyle="none", errorbar=None, markersize=4.5, ax=axes[2],
    )  # fmt: skip
    axes[2].set(title=f"hits masked, m = {rows['m'].iloc[0]}", xlabel="error of argmax f*", ylabel="")
    axes[2].tick_params(axis="y", labelsize=7)
    axes[2].legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)
    axes[2].grid(axis="y", visible=False)
    axes[2].set_ylim(len(names) - 0.5, -0.5)
    axes[2].yaxis.tick_right()
    below(figure, *axes[0].get_legend_handles_labels(), 4)
    return figure
