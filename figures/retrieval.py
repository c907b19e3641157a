"""The paper's Figure 2: recall at k by slice of labels."""

from __future__ import annotations

from typing import Any

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below, one_of

CLAIMS = ("rawat2021.section4.constant", "rawat2021.section4.relative", "rawat2021.section4.uniform")
SLICES = ("head", "torso", "tail", "full")
ALL = "all labels"
# By k.
COLORS, MARKERS = ["C0", "C1", "C2"], ["o", "s", "^"]


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
        "How often frequent, middle and rare labels are found among the best k.  "
        "Recall@k, the share of test examples whose label is among the k of highest score, for frequent (head), middle "
        "(torso) and rare (tail) labels; softmax cross-entropy above and the cosine contrastive loss below, m = 64 "
        f"negatives; {_seeds(table)}.  Softmax, recall@10 of the tail: {said('tail')}; of the "
        f"head: {said('head')}.  Precision@1 on points with all their labels: {plain}; propensity-scored: "
        f"{scored}.  All "
        "precisions are in the table."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    recall = one_of(table, loss="softmax", metric="recall", k=10)
    said = []
    for name in dict.fromkeys(recall["name"]):
        values = ", ".join(f"{part} {_mean(recall, name=name, slice=part):.3f}" for part in SLICES)
        said.append(f"{name}: {values}")
    return f"Recall at 1, 10 and 50, a panel for each slice, a row for each scheme. At 10: {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """A column for each slice; softmax above, contrastive below; a row for each scheme."""
    recall = one_of(table, metric="recall")
    losses, names, ks = (list(dict.fromkeys(recall[of])) for of in ("loss", "name", "k"))
    figure = Figure(figsize=(7.2, 1.1 + 0.21 * len(names) * len(losses)), layout="constrained")
    axes = figure.subplots(len(losses), len(SLICES), sharex=True, sharey=True, squeeze=False)
    for line_of_axes, loss in zip(axes, losses, strict=True):
        for ax, part in zip(line_of_axes, SLICES, strict=True):
            sns.pointplot(
                one_of(recall, loss=loss, slice=part), x="value", y="name", hue="k", order=names, hue_order=ks,
                palette=COLORS[: len(ks)], markers=MARKERS[: len(ks)], errorbar=("pi", 100), linestyle="none",
                markersize=4.5, err_kws={"linewidth": 1}, legend=False, ax=ax,
            )  # fmt: skip
            for i, name in enumerate(names):
                if name == ALL:
                    ax.axhspan(i - 0.5, i + 0.5, color="0.92", zorder=0)
            ax.set(xlabel="recall@k" if loss == losses[-1] else "", ylabel="", ylim=(len(names) - 0.5, -0.5))
            ax.grid(axis="y", visible=False)
            ax.tick_params(axis="y", labelsize=7)
            if loss == losses[0]:
                ax.set_title(part)
        line_of_axes[0].set_ylabel(loss)
    handles = [Line2D([], [], marker=m, color=c, ls="", ms=4.5) for c, m in zip(COLORS, MARKERS, strict=True)]
    below(figure, handles[: len(ks)], [f"k = {k}" for k in ks], len(ks))
    return figure
