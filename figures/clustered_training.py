"""What training over many labels reaches with draws from clusters, at a small part of the cost of full softmax."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

CLAIMS: tuple[str, ...] = ("clusters.law", "clusters.kept")
PANELS = {"excess": "loss above the best model's", "precision": "precision at 1"}


def _means(table: Any) -> Any:
    """Mean and standard error over seeds of each way, in the order of the table."""
    groups = table.groupby("way", sort=False)
    found = groups[[*PANELS, "best", "share"]].mean()
    return found.join(groups[[*PANELS]].sem().fillna(0.0).add_suffix("_error"))


def _in_words(way: str) -> str:
    """A way with its two numbers of steps as words, on a second line."""
    name, _, steps = way.partition(", ")
    if not steps:
        return name
    made, refreshed = steps.split(" | ")
    return f"{name}\nnew clusters: {made}, refreshed: {refreshed}"


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    means = _means(table)
    said = "; ".join(
        f"{way}: {row['excess']:.2f} ± {row['excess_error']:.2f} and {row['precision']:.1%}"
        for way, row in means.iterrows()
    )
    seeds, first = table["seed"].nunique(), table.iloc[0]
    return (
        "What training reaches by how negatives are drawn, and how old clusters are allowed to become.  "
        "Loss above that of the model that labels are drawn from, and precision at 1, after "
        f"{first['steps']:,} steps over {first['labels']:,} labels, mean and standard error of {seeds} "
        f"seed{'s' if seeds > 1 else ''}.  Numbers: steps between new clusters (never: none after the first refresh) | "
        f"steps between refreshes of their vectors.  {said}.  The best model has a precision of "
        f"{means['best'].iloc[0]:.1%}; sampling takes {means['share'].iloc[-1]:.2%} of all scores."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = (f"{way}, {row['excess']:.2f} and {row['precision']:.1%}" for way, row in _means(table).iterrows())
    return f"Two panels of points, excess loss and precision at 1, a row for each way to train: {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """A row for each way; excess loss to the left, precision to the right."""
    means = _means(table)
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    rows = range(len(means))
    for ax, (key, name) in zip(axes, PANELS.items(), strict=True):
        for row, (value, error) in enumerate(zip(means[key], means[f"{key}_error"], strict=True)):
            ax.errorbar(value, row, xerr=error, fmt="o", ms=5, color="0.25" if row == 0 else f"C{row - 1}")
        ax.set_xlabel(name)
        ax.grid(axis="x", lw=0.4)
    axes[0].set_yticks(rows, [_in_words(way) for way in means.index], fontsize=8)
    axes[0].set_ylim(len(means) - 0.5, -0.5)
    return figure
