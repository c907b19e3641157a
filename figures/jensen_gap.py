"""Lemma 2's bound against the exact expected loss, and where the bound misleads."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import WEIGHTINGS, below, one_of
from implicitloss import plot

CLAIMS = (
    "rawat2021.lemma2.bound",
    "rawat2021.lemma2.gap",
    "rawat2021.lemma2.kept-hits",
    "rawat2021.section4.relative-one-draw",
)


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    share = table["gap"] / table["bound"]
    worst = table.loc[share.idxmax()]
    many = table[table["m"] == table["m"].max()]
    end = (many["gap"] / many["bound"]).max()
    growing = one_of(table, weighting="relative", sampler="within-batch", hits="mask", positive="most frequent")
    return (
        "With few negatives the bound lies above the loss; with many they agree.  Above: the bound of Lemma 2 (the "
        "implicit loss, dashed) and the exact expected loss (line) against the number of negatives m, hits masked, for "
        "within-batch negatives and the most frequent label as positive; the table has all samplers and positives.  "
        "Below: their difference, the gap; "
        f"with hits excluded or kept it is at most {_other_modes(table):.0%} off that.  The bound is furthest off for "
        f"{worst['sampler']} {worst['weighting']} weights at m = {worst['m']}, hits {worst['hits']}, positive "
        f"{worst['positive']}: {worst['bound']:.3g} where the loss is {worst['exact']:.3g}.  With relative weights the "
        "margins m π_y grow with m, and for the most frequent label (hits masked) the gap is "
        f"{growing['gap'].iloc[0]:.3g} at m = {growing['m'].iloc[0]} and {growing['gap'].iloc[-1]:.3g} at m = "
        f"{growing['m'].iloc[-1]}.  At m = {table['m'].max()} no gap exceeds {end:.2%} of its bound.  Even so the "
        "scores that minimise a bound can be others than those that minimise the loss: see the figure `optima`."
    )


def _other_modes(table: Any) -> float:
    """The largest relative difference of the gap where hits are not masked, of what is shown."""
    shown = one_of(table, sampler="within-batch", positive="most frequent")
    gaps = shown.pivot_table(index=["weighting", "m"], columns="hits", values="gap")
    return float(gaps[["exclude", "keep"]].div(gaps["mask"], axis=0).sub(1).abs().max(axis=None))


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for (weighting, hits), rows in one_of(table, sampler="within-batch", positive="most frequent").groupby(
        ["weighting", "hits"], sort=False
    ):
        said.append(f"{weighting}, hits {hits}: gap {rows['gap'].iloc[0]:.2g} to {rows['gap'].iloc[-1]:.2g}")
    return (
        "Above, bound and exact expected loss against m for hits masked, a panel for each weighting; below, the gap "
        f"between them on logarithmic axes. Table: {'; '.join(said)}."
    )


def draw(table: Any) -> Figure:
    """Four columns: loss and bound above, the gap below, hits masked."""
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots(2, len(WEIGHTINGS), sharex=True, sharey="row")
    shown = one_of(table, sampler="within-batch", positive="most frequent")
    for (above, under), weighting in zip(axes.T, WEIGHTINGS, strict=True):
        rows = one_of(shown, weighting=weighting)
        plot.losses(one_of(rows, hits="mask"), ax=above, label="expected loss", color="C1", marker="s")
        plot.gap(one_of(rows, hits="mask"), ax=under, label="bound - expected loss", color="C0")
        for ax in (above, under):
            ax.get_legend().remove()
            ax.set(xlabel="", ylabel="")
        above.set(title=weighting)
        under.set(xlabel="negatives m")
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("bound - expected loss")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    gaps = axes[1, 0].get_legend_handles_labels()
    bound = Line2D([], [], color="C1", ls="--")
    below(figure, [*handles, bound, *gaps[0]], [*labels, "its bound", *gaps[1]], 5)
    return figure
