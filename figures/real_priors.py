"""The tilt of every scheme on real label counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import COLOR, MARKER, WEIGHTINGS, below, one_of

CLAIMS = (
    "rawat2021.section4.constant",
    "rawat2021.section4.relative",
    "rawat2021.section4.uniform",
    "rawat2021.section4.small-m-tail",
)


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    masked = one_of(table, hits="mask", sampler="within-batch")
    said = []
    for weighting in WEIGHTINGS:
        rows = one_of(masked, weighting=weighting)
        said.append(f"{weighting} {rows['tilt_sampled'].min():+.2f} to {rows['tilt_sampled'].max():+.2f}")
    off = (table["tilt_sampled"] - table["tilt_implicit"]).abs()
    worst = table.loc[off.idxmax()]
    return (
        "Which labels each scheme favours, on real label counts.  "
        "The tilt of each scheme on real label counts: the slope of its best scores on log label frequency over all "
        f"labels that occur, where they are equally likely, for m = {table['m'].iloc[0]} negatives.  0 is softmax over "
        "all labels, below 0 rare labels gain, -1 is the balanced rule.  Markers: the true sampled loss; crosses: its "
        "bound.  Within-batch negatives, hits masked, "
        f"over all counts: {'; '.join(said)}.  The bound is furthest off for {worst['sampler']} {worst['weighting']} "
        f"on {worst['prior']}, hits {worst['hits']}: {worst['tilt_implicit']:+.2f} where the loss has "
        f"{worst['tilt_sampled']:+.2f}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for prior, rows in one_of(table, hits="mask", sampler="within-batch").groupby("prior", sort=False):
        values = ", ".join(f"{r['weighting']} {r['tilt_sampled']:+.2f}" for _, r in rows.iterrows())
        said.append(f"{prior} ({rows['labels'].iloc[0]:,} labels, imbalance {rows['imbalance'].iloc[0]:.3g}): {values}")
    return (
        "Four panels, samplers across and hits masked above kept, a row for each prior, tilt across. Within-batch, "
        f"masked: {'; '.join(said)}."
    )


def draw(table: Any) -> Figure:
    """Samplers across, hits down; a row for each prior."""
    first = table.drop_duplicates("prior")
    names = [f"{r['prior']}\n{r['labels']:,} labels, {r['imbalance']:,.0f} : 1" for _, r in first.iterrows()]
    table = table.assign(row=table["prior"].map(dict(zip(first["prior"], names, strict=True))))
    figure = Figure(figsize=(7.2, 1.4 + 0.9 * len(names)), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    for (down, across), ax in np.ndenumerate(axes):
        hits, sampler = ("mask", "keep")[down], ("uniform", "within-batch")[across]
        rows = one_of(table, sampler=sampler, hits=hits)
        for at in (-1, 0):
            ax.axvline(at, color="0.6", lw=0.8)
        for of, markers, options in (
            ("tilt_sampled", [MARKER[w] for w in WEIGHTINGS], {}),
            ("tilt_implicit", 4 * ["x"], {"markeredgewidth": 0.9}),
        ):
            sns.pointplot(
                rows, x=of, y="row", hue="weighting", order=names, hue_order=list(WEIGHTINGS), markers=markers,
                palette=[COLOR[w] for w in WEIGHTINGS], dodge=0.55, linestyle="none", errorbar=None, markersize=4.5,
                legend=False, ax=ax, **options,
            )  # fmt: skip
        ax.set(title=f"{sampler}, hits {'masked' if hits == 'mask' else 'kept'}", ylabel="", xlabel="")
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.tick_params(axis="y", labelsize=7)
        ax.grid(axis="y", visible=False)
        for i in range(1, len(names)):
            ax.axhline(i - 0.5, color="0.85", lw=0.6)
        if down == 1:
            ax.set_xlabel("← rare gain    tilt of f*    frequent gain →")
    handles = [Line2D([], [], marker=MARKER[w], color=COLOR[w], ls="", ms=4.5) for w in WEIGHTINGS]
    handles.append(Line2D([], [], marker="x", color="0.4", ls="", ms=4.5, mew=0.9))
    below(figure, handles, [*WEIGHTINGS, "by the bound"], 5)
    return figure
