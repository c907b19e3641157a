"""Which labels within-batch negatives help, by the implicit and by the true sampled loss."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

CAPTION = (
    "Tilt of the population optimum (slope of f* on log π, labels equally likely): below 0 a scheme favours rare "
    "labels, above 0 frequent ones. The implicit loss (dashed) gets the sign right where hits are masked, but "
    "relative weights tilt far less than it says, and importance and tail weights lean to rare labels at few "
    "negatives. Where hits are kept, relative weights do not tilt at all."
)
ALT = (
    "Two panels, hits masked and hits kept: tilt against the number of negatives m from 1 to 256 for constant, "
    "importance, relative and tail weights; dashed lines for the implicit loss, solid lines with markers for the "
    "true sampled loss. Every solid line starts below its dashed one at small m and meets it at large m; that of "
    "relative weights stays at 0."
)
MARKERS = {"constant": "o", "importance": "s", "relative": "^", "tail": "D"}


def draw(table: Any) -> Figure:
    """Two panels: hits masked, hits kept."""
    figure = Figure(figsize=(7.2, 3.2))
    axes = figure.subplots(1, 2, sharey=True)
    for ax, (hits, title) in zip(axes, {"mask": "hits masked", "keep": "hits kept"}.items(), strict=True):
        ax.axhline(0, color="0.6", lw=0.8)
        for i, (weighting, marker) in enumerate(MARKERS.items()):
            rows = table[(table["hits"] == hits) & (table["weighting"] == weighting)]
            ax.plot(rows["m"], rows["implicit"], color=f"C{i}", ls="--", lw=1)
            ax.plot(rows["m"], rows["sampled"], color=f"C{i}", marker=marker, label=weighting)
        ax.set(title=title, xlabel="negatives m", xscale="log")
    axes[0].set_ylabel("← rare    tilt of f*    frequent →")
    axes[1].legend(fontsize=7, title="weights; dashed: implicit loss", title_fontsize=7, loc="lower right")
    return figure
