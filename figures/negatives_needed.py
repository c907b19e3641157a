"""How many negatives bring the optimum near to softmax's."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below, one_of, prior_named

CLAIMS: tuple[str, ...] = ("design.weights.consistent", "rawat2021.section4.small-m-importance")
SAMPLERS = {"within-batch": "C0", "half uniform": "C2", "uniform": "C1"}
LINES = {("importance", "mask"): ("-", "importance weights, hits masked"),
         ("consistent", "mask"): ("--", "consistent weights, hits masked")}  # fmt: skip
NEAR = 0.01
FLOOR = 1e-5


def _first(rows: Any) -> str:
    """The first m of the table from which on the tilt stays within `NEAR`."""
    near = (rows["tilt"].abs() <= NEAR).to_numpy()
    stays = np.flatnonzero(np.logical_and.accumulate(near[::-1])[::-1])
    return f"m = {rows['m'].iloc[stays[0]]:,}" if stays.size else f"more than {rows['m'].iloc[-1]:,}"


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    exact = one_of(table, weights="consistent", hits="keep")["tilt"].abs().max()
    said = []
    for prior, rows in table.groupby("prior", sort=False):
        found = [
            f"{sampler} {_first(one_of(rows, sampler=sampler, weights='importance', hits='mask'))}"
            for sampler in SAMPLERS
        ]
        said.append(f"{prior_named(prior, rows)}: {', '.join(found)}")
    return (
        "How many draws it takes until sampling favours neither frequent nor rare labels.  "
        "The tilt, what the optimum adds to that of softmax over all labels times log π, where a few labels are likely "
        "at x, over these, against the number of draws m; below 0 rare labels gain.  Consistent weights with hits kept "
        f"add {'nothing' if exact < 1e-12 else f'{exact:.1g}'} at every m, and are not drawn.  Importance weights come "
        f"to within {NEAR:g}, of the m that were tried, at: {'; '.join(said)}.  The tilt is not all: masked hits move "
        "optima in ways that it does not see."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for (prior, sampler), rows in table.groupby(["prior", "sampler"], sort=False):
        ends = one_of(rows, weights="importance", hits="mask")["tilt"].iloc[[0, -1]]
        said.append(f"{prior_named(prior, rows)}, {sampler}: {ends.iloc[0]:+.2g} to {ends.iloc[1]:+.2g}")
    return (
        f"A panel for each prior: size of the tilt against m from {table['m'].min():,} to {table['m'].max():,}, both "
        f"logarithmic. Importance weights, hits masked: {'; '.join(said)}."
    )


def draw(table: Any) -> Figure:
    """A panel for each prior."""
    priors = list(table["prior"].unique())
    figure = Figure(figsize=(max(3.4 * len(priors), 4.4), 3.6), layout="constrained")
    axes = figure.subplots(1, len(priors), sharey=True, squeeze=False)[0]
    for ax, prior in zip(axes, priors, strict=True):
        rows = one_of(table, prior=prior)
        ax.axhline(NEAR, color="0.6", lw=0.8)
        for sampler, color in SAMPLERS.items():
            for (weights, hits), (line, _) in LINES.items():
                found = one_of(rows, sampler=sampler, weights=weights, hits=hits)
                ax.plot(found["m"], np.maximum(found["tilt"].abs(), FLOOR), color=color, ls=line, lw=1.2)
        ax.set(xscale="log", yscale="log", xlabel="draws m", ylim=(FLOOR, 6))
        ax.set_title(prior_named(prior, rows), fontsize=8, loc="left")
    axes[0].set_ylabel("size of the tilt off softmax")
    handles = [Line2D([], [], color=color) for color in SAMPLERS.values()]
    handles += [Line2D([], [], color="0.3", ls=line, lw=1.2) for line, _ in LINES.values()]
    below(figure, handles, [*SAMPLERS, *(name for _, name in LINES.values())], 3 if len(priors) > 1 else 2)
    return figure
