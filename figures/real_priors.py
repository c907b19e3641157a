"""The tilt of every scheme on real label counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures._marks import COLOR, MARKER, WEIGHTINGS, below, face, one_of

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
        f"Tilt of the population optimum (slope of f* on log π, labels equally likely; {table['tilt_labels'].max()} "
        f"labels from the most frequent to the rarest of each prior, m = {table['m'].iloc[0]}): 0 is softmax, -1 the "
        "balanced rule.  Markers: the true sampled loss; crosses: its bound.  Within-batch, hits masked, over these "
        f"priors: {'; '.join(said)}.  The bound is furthest off for {worst['sampler']} {worst['weighting']} on "
        f"{worst['prior']}, hits {worst['hits']}: {worst['tilt_implicit']:+.2f} for {worst['tilt_sampled']:+.2f}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for prior, rows in one_of(table, hits="mask", sampler="within-batch").groupby("prior", sort=False):
        values = ", ".join(f"{r['weighting']} {r['tilt_sampled']:+.2f}" for _, r in rows.iterrows())
        said.append(f"{prior} ({rows['labels'].iloc[0]:,} labels, imbalance {rows['imbalance'].iloc[0]:.3g}): {values}")
    return (
        f"Two panels, hits masked and kept, a row for each prior, tilt across. Within-batch, masked: {'; '.join(said)}."
    )


def draw(table: Any) -> Figure:
    """Hits masked, hits kept; a row for each prior."""
    priors = list(dict.fromkeys(table["prior"]))[::-1]
    figure = Figure(figsize=(7.2, 1.4 + 0.5 * len(priors)), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, hits in zip(axes, ("mask", "keep"), strict=True):
        for at in (-1, 0):
            ax.axvline(at, color="0.6", lw=0.8)
        for sampler, shift in (("uniform", 0.14), ("within-batch", -0.14)):
            for weighting in WEIGHTINGS:
                rows = one_of(table, sampler=sampler, weighting=weighting, hits=hits).set_index("prior").loc[priors]
                color, y = COLOR[weighting], np.arange(len(priors)) + shift
                ax.plot(
                    rows["tilt_sampled"], y, MARKER[weighting], color=color, mfc=face(sampler, color), ms=5, ls="",
                    label=f"{sampler}, {weighting}",
                )  # fmt: skip
                ax.plot(rows["tilt_implicit"], y, "x", color=color, ms=4, mew=0.8)
        ax.set(title=f"hits {'masked' if hits == 'mask' else 'kept'}", xlabel="← rare    tilt of f*    frequent →")
    first = table.drop_duplicates("prior").set_index("prior").loc[priors]
    names = [
        f"{p}\n{n:,} labels, {r:,.0f} : 1" for p, n, r in zip(priors, first["labels"], first["imbalance"], strict=True)
    ]
    axes[0].set_yticks(range(len(priors)), names, fontsize=7)
    below(figure, *axes[0].get_legend_handles_labels(), 4)
    return figure
