"""What samplers near the model's own law give for what they cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures._marks import below, one_of
from implicitloss.plot import frontier

CLAIMS: tuple[str, ...] = (
    "clusters.law", "clusters.variance", "clusters.whole", "clusters.kept", "rawat2021.proposition5.softmax",
)  # fmt: skip
COSTS = {"multiply-adds": "multiply-adds", "seconds": "seconds, one thread"}
STYLE = {
    "uniform": ("0.25", "o"), "prior": ("C1", "s"), "half uniform": ("C2", "^"), "quadratic kernel": ("0.6", "v"),
    "two codebooks": ("C4", "P"), "whole clusters": ("C5", "X"), "two-level": ("C0", "D"),
    "two-level, fewer clusters": ("#8c510a", "<"),
    "kept + two-level": ("C3", "*"), "mined + two-level": ("C6", "p"),
}  # fmt: skip
# The budgets of a caption, and the sampler that others are measured by.
CENT, PLAIN = 0.01, "uniform"
NORMAL_95 = 1.96


def _means(table: Any) -> Any:
    """Means over blocks of x, with the standard error of the squares; of what the budget pays for in all blocks."""
    priced = table[table["of"] != "information"]
    blocks = priced.groupby(["sampler", "of", "budget"])["block"].transform("nunique")
    groups = priced[blocks == table["block"].nunique()].groupby(["sampler", "of", "budget"], sort=False)
    found = groups[["m", "share", "seconds", "bias", "square", "of_z"]].mean().reset_index()
    found["error"] = (groups["square"].std(ddof=1) / np.sqrt(groups["square"].count())).to_numpy()
    return found.fillna({"error": 0.0})


def _rmse(rows: Any, sampler: str) -> float:
    return float(np.sqrt(one_of(rows, sampler=sampler)["square"].iloc[0]))


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    means = _means(table)
    cent = means[(means["of"] == "multiply-adds") & (means["budget"] == CENT)]
    said = ", ".join(f"{name} {_rmse(cent, name):.2g}" for name in STYLE if name in set(cent["sampler"]))
    seconds = means[means["of"] == "seconds"]
    in_time = ""
    for budget in sorted(seconds[seconds["sampler"] == PLAIN]["budget"])[:2]:
        there = seconds[seconds["budget"] == budget]
        errors = ", ".join(f"{name} {_rmse(there, name):.2g}" for name in STYLE if name in set(there["sampler"]))
        in_time += f"  At {budget:.0%} of the seconds: {errors}."
    n, x = int(table["labels"].iloc[0]), int(table.groupby("block")["x"].first().sum())
    return (
        "How far the sampled loss is off, against what its draws cost.  "
        f"Root of the mean squared error (top) and bias (bottom) of the sampled loss about the full one, {n:,} labels, "
        f"mean over {x} x with 95 % intervals, importance weights.  At 1 % of the multiply-adds of all scores: {said}."
        f"{in_time}"
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for (of, sampler), rows in _means(table[table["of"].isin(COSTS)]).groupby(["of", "sampler"], sort=False):
        ends = rows.sort_values("budget").iloc[[0, -1]]
        said.append(
            f"{sampler}, rmse {' to '.join(f'{value**0.5:.2g}' for value in ends['square'])} from "
            f"{' to '.join(f'{budget:.1%}' for budget in ends['budget'])} of the {of}"
        )
    return f"Four panels, error and bias against two costs, a line for each sampler: {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """Costs across; the error above and the bias below."""
    means = _means(table)
    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col", sharey="row")
    for column, (of, name) in enumerate(COSTS.items()):
        for sampler, (color, marker) in STYLE.items():
            rows = means[(means["of"] == of) & (means["sampler"] == sampler)].sort_values("budget")
            if rows.empty:
                continue
            low, high = (np.sqrt(np.maximum(rows["square"] + z * rows["error"], 0)) for z in (-NORMAL_95, NORMAL_95))
            middle = np.sqrt(rows["square"])
            errors = rows.assign(share=100 * rows["budget"], rmse=middle, low=low, high=high).drop(columns="m")
            frontier(errors, ax=axes[0, column], label=sampler, color=color, marker=marker, ms=4, lw=1.2)
            axes[1, column].plot(100 * rows["budget"], -rows["bias"], color=color, marker=marker, ms=4, lw=1.2)
        axes[1, column].set_xlabel(f"cost, % of all scores: {name}")
        ticks = sorted(100 * means[means["of"] == of]["budget"].unique())
        for ax in axes[:, column]:
            ax.set(xscale="log", yscale="log")
            ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            ax.minorticks_off()
    for ax, name in zip(axes[0], ("root mean squared error", ""), strict=True):
        ax.set(xlabel="", ylabel=name)
        if ax.get_legend() is not None:  # a quick run's product takes less than any query
            ax.get_legend().remove()
    axes[1, 0].set_ylabel("full loss less sampled loss")
    labelled = [dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True)) for ax in axes[0]]
    both = labelled[1] | labelled[0]
    below(figure, [both[name] for name in STYLE if name in both], [name for name in STYLE if name in both], 4)
    return figure
