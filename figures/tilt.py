"""Which labels within-batch negatives help, by the implicit and by the true sampled loss."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import WEIGHTINGS, below, one_of
from implicitloss import plot

CLAIMS: tuple[str, ...] = (
    "rawat2021.section4.constant",
    "rawat2021.section4.relative",
    "rawat2021.section4.relative-one-draw",
    "rawat2021.section4.in-batch-relative",
    "rawat2021.section4.small-m-importance",
)


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    masked = table[table["hits"] == "mask"]
    relative, few = masked[masked["weighting"] == "relative"], masked["m"] == masked["m"].min()
    small = masked[few & (masked["weighting"] == "importance")].iloc[0]
    constant = masked[masked["weighting"] == "constant"]["sampled"]
    return (
        "Which labels within-batch negatives favour, as the number of negatives grows.  "
        "Tilt of schemes with within-batch negatives: the slope of the best scores on log label frequency, for "
        f"all {table['labels'].iloc[0]} labels, equally likely.  Below 0 rare labels gain, above 0 frequent "
        "ones.  Dashed: by the bound (implicit loss); solid: by the true sampled loss, which training follows.  With "
        "draws of the positive (hits) masked, the bound "
        f"gives relative weights up to {relative['implicit'].max():+.2f}, the true loss "
        f"{relative['sampled'].max():+.3f} at most; importance weights at m = {small['m']} have "
        f"{small['sampled']:+.2f} where the bound has {small['implicit']:+.2f}; constant weights lie between "
        f"{constant.min():+.2f} and {constant.max():+.2f}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for (hits, weighting), rows in table.groupby(["hits", "weighting"], sort=False):
        implicit, sampled = ([rows[of].iloc[end] for end in (0, -1)] for of in ("implicit", "sampled"))
        said.append(
            f"{weighting} weights, hits {hits}: implicit {implicit[0]:.2g} to {implicit[1]:.2g}, "
            f"sampled {sampled[0]:.2g} to {sampled[1]:.2g}"
        )
    return (
        "Two panels, hits masked and hits kept: tilt against the number of negatives m from "
        f"{table['m'].min()} to {table['m'].max()}. {'; '.join(said)}."
    )


def _in_order(weightings: Any) -> Any:
    return weightings.map(WEIGHTINGS.index)


def draw(table: Any) -> Figure:
    """Two panels: hits masked, hits kept."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, (hits, title) in zip(axes, {"mask": "hits masked", "keep": "hits kept"}.items(), strict=True):
        rows = one_of(table, hits=hits)
        by_weighting = rows.assign(scheme=rows["weighting"]).sort_values("weighting", key=_in_order, kind="stable")
        plot.tilt(by_weighting, ax=ax)
        ax.get_legend().remove()
        ax.set(title=title)
    axes[1].set_ylabel("")
    handles, labels = axes[1].get_legend_handles_labels()
    lines = {"the true sampled loss": "-", "its bound, the implicit loss": "--"}
    handles += [Line2D([], [], color="0.3", ls=line, lw=1.2) for line in lines.values()]
    below(figure, handles, [*labels, *lines], 3)
    return figure
