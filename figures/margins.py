"""Table 2 in pictures: the margins of every scheme, and the implicit-loss map."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from figures._marks import COLOR, MARKER, WEIGHTINGS, below, face, one_of
from implicitloss import plot

CLAIMS = (
    *(f"rawat2021.table2.{q}-{w}" for q in ("uniform", "within-batch") for w in WEIGHTINGS),
    "rawat2021.table2.hits-excluded",
    "rawat2021.table2.hits-kept",
    "rawat2021.section2.eq6",
)


def _places(table: Any) -> Any:
    return table[table["kind"].isin(["scheme", "full loss"])]


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    masked = _places(table)[_places(table)["hits"] == "mask"]
    where = "; ".join(f"{name} ({b:+.2f}, {c:+.2f})" for name, b, c in masked[["name", "b", "c"]].values)
    where = where.replace("+0.00", "0").replace("-0.00", "0")
    relative = masked.set_index("name").loc["within-batch, relative"]
    bent = _places(table)[_places(table)["hits"].isin(["exclude", "keep"])]
    worst = bent.loc[bent["misfit"].astype(float).idxmax()]
    return (
        "The margins of each scheme, and where they put it on the map of implicit losses.  "
        "Left: the margins p_yy' of Table 2, that is how often the negative y' (column) counts beside the positive y "
        "(row), frequent labels first, with draws of the positive itself (hits) masked.  Right: the map of implicit "
        "losses.  Each scheme lies at the (b, c) of log p = const + b log π_y + c log π_y', π the label frequencies.  "
        "Contours: the tilt of the scores that minimise the implicit loss, for const = 0 and labels that are equally "
        "likely; below 0 rare labels gain, and -1 is the balanced rule.  Another const has another tilt: within-batch "
        f"relative weights have e^const = m and a tilt of {relative['tilt']:+.2f}.  With hits masked, (b, c) is: "
        f"{where}.  Markers of one place stand side by side; adaptive margins are fitted.  With hits excluded or kept, "
        f"margins lie only near the map, at most {np.expm1(worst['misfit']):.0%} off ({worst['name']}, hits "
        f"{worst['hits']})."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    cells = table[(table["kind"] == "scheme margin") & (table["hits"] == "mask")]
    said = [
        f"{n}: from {rows['p'].min():.2g} to {rows['p'].max():.2g}" for n, rows in cells.groupby("name", sort=False)
    ]
    masked = _places(table)[_places(table)["hits"].isin(["mask", "none"])]
    places = ", ".join(f"{n} ({b:.2f}, {c:.2f})" for n, b, c in masked[["name", "b", "c"]].values).replace(
        "-0.00", "0.00"
    )
    return (
        f"Eight heat maps of margins, one for each scheme: {'; '.join(said)}. Beside them a map with b across and "
        f"c up, on which lie {places}."
    )


def draw(table: Any) -> Figure:
    """A grid of heat maps, and the map."""
    figure = Figure(figsize=(7.2, 4.1), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.15, 1])
    cells = table[(table["kind"] == "scheme margin") & (table["hits"] == "mask")]
    axes = left.subplots(4, 2, sharex=True, sharey=True)
    norm = LogNorm(cells["p"].min(), cells["p"].max())
    for row, weighting in enumerate(WEIGHTINGS):
        for column, sampler in enumerate(("uniform", "within-batch")):
            rows = one_of(cells, sampler=sampler, weighting=weighting)
            ax = axes[row, column]
            plot.margins(rows, ax=ax, norm=norm, colorbar=False)
            ax.set(xlabel="", ylabel="")
            if row == 0:
                ax.set_title(sampler, fontsize=8)
            if column == 0:
                ax.set_ylabel(weighting, fontsize=8)
    left.supxlabel("negative y', frequent to rare", fontsize=8)
    left.supylabel("positive y, rare to frequent", fontsize=8)
    left.colorbar(axes[0, 0].collections[0], ax=axes, label="p_yy'", shrink=0.9, pad=0.02)
    _map(right.subplots(), table)
    return figure


def _map(ax: Any, table: Any) -> None:
    ground = table[table["kind"] == "ground"]
    places = _places(table)
    shown = places[(places["hits"] == "mask") | (places["name"] == "adaptive")]
    colors = [COLOR.get(weighting, COLOR["adaptive"]) for weighting in shown["weighting"]]
    frame = shown.assign(
        name=shown["name"].replace("adaptive", "adaptive (fitted)"),
        color=colors,
        marker=[MARKER.get(weighting, MARKER["adaptive"]) for weighting in shown["weighting"]],
        face=[
            face(sampler, color) if isinstance(sampler, str) else color
            for sampler, color in zip(shown["sampler"], colors, strict=True)
        ],
    )
    frame = frame.drop(columns="tilt")  # that of relative weights is in the caption
    plot.map(frame, contours=ground, ax=ax)
    ax.get_legend().remove()
    below(ax.get_figure(), *ax.get_legend_handles_labels(), 2, handletextpad=0.1, labelspacing=0.3)
