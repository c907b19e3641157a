"""The paper's Figure 2: recall at k by slice of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures._marks import COLOR, LINE, MARKER, below, face, one_of

CLAIMS = ("rawat2021.section4.constant", "rawat2021.section4.relative", "rawat2021.section4.uniform")
SLICES = ("head", "torso", "tail", "full")
ALL = "all labels"


def _mean(table: Any, **where: Any) -> float:
    return float(one_of(table, **where)["value"].mean())


def _seeds(table: Any) -> str:
    n = table["seed"].nunique()
    return f"mean over {n} seeds, bars from least to most" if n > 1 else "one seed"


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    recall = one_of(table, loss="softmax", metric="recall", k=10)

    def said(part: str) -> str:
        names = (ALL, "within-batch, constant", "within-batch, relative", "uniform, constant", "uniform, relative")
        return ", ".join(f"{name} {_mean(recall, name=name, slice=part):.3f}" for name in names)

    multilabel = one_of(table, loss="softmax", k=1)
    plain, scored = (
        ", ".join(
            f"{name} {_mean(one_of(multilabel, metric=metric), name=name):.3f}"
            for name in (ALL, "within-batch, constant")
        )
        for metric in ("precision", "propensity-scored precision")
    )
    return (
        "Recall@k of the multiclass test examples by slice of labels, softmax cross-entropy above and the cosine "
        f"contrastive loss below, m = 64; {_seeds(table)}.  Softmax, recall@10 of the tail: {said('tail')}; of the "
        f"head: {said('head')}.  On the multilabel points, precision@1: {plain}; propensity-scored: {scored}.  All "
        "precisions are in the table."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    recall = one_of(table, loss="softmax", metric="recall", k=10)
    said = []
    for name in dict.fromkeys(recall["name"]):
        values = ", ".join(f"{part} {_mean(recall, name=name, slice=part):.3f}" for part in SLICES)
        said.append(f"{name}: {values}")
    return f"Recall at 1, 10 and 50, a panel for each slice, a line for each scheme. At 10: {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """A column for each slice; softmax above, contrastive below."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    losses = list(dict.fromkeys(table["loss"]))
    axes = np.atleast_2d(figure.subplots(len(losses), len(SLICES), sharex=True, sharey="row"))
    for line_of_axes, loss in zip(axes, losses, strict=True):
        rows = one_of(table, loss=loss, metric="recall")
        for ax, part in zip(line_of_axes, SLICES, strict=True):
            for name in dict.fromkeys(rows["name"]):
                values = one_of(rows, name=name, slice=part).groupby("k")["value"]
                middle, least, most = values.mean(), values.min(), values.max()
                style: dict[str, Any] = {"color": "0.25", "marker": "*", "ls": ":", "ms": 6}
                if name != ALL:
                    sampler, weighting = name.split(", ")
                    color = COLOR[weighting]
                    style = {
                        "color": color,
                        "marker": MARKER[weighting],
                        "mfc": face(sampler, color),
                        "ls": LINE[sampler],
                    }
                ax.errorbar(
                    middle.index, middle, [middle - least, most - middle], lw=1, **{"ms": 4} | style, label=name,
                    elinewidth=0.8,
                )  # fmt: skip
            ax.set(xscale="log", xticks=[1, 10, 50], xticklabels=["1", "10", "50"])
            ax.minorticks_off()
            if loss == losses[0]:
                ax.set_title(part)
        line_of_axes[0].set_ylabel(f"{loss}\nrecall@k")
    for ax in axes[-1]:
        ax.set_xlabel("k")
    below(figure, *axes[0, 0].get_legend_handles_labels(), 5)
    return figure
