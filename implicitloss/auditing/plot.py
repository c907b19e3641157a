"""The plot of a finding."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

from implicitloss.auditing.comparison import HITS
from implicitloss.auditing.finding import Finding
from implicitloss.formats import figure

__all__ = ["plotted"]

MARKERS = "osD^v<>P"
# Characters of a title in a line.
TITLE_WIDTH = 60


def plotted(finding: Finding, ax: Any = None) -> Any:
    """Plot measured over claimed margins of decisive parts by label rank, or measured ones where nothing is claimed."""
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    rank = np.empty(finding.prior.n_labels)
    rank[finding.prior.by_frequency] = np.arange(1, finding.prior.n_labels + 1)
    colors = plt.get_cmap("viridis")(np.linspace(0.1, 0.85, len(finding.positives)))
    for i, y in enumerate(finding.positives):
        parts = [c for c in finding.comparisons if c.positive == y and c.decisive and c.measured > 0 and c.part != HITS]
        if not parts:
            continue
        base = np.array([c.claimed or c.labels.size for c in parts])
        value, low, high = (np.array([getattr(c, name) for c in parts]) / base for name in ("measured", "low", "high"))
        at = np.array([np.exp(np.log(rank[c.labels]).mean()) for c in parts])
        ax.errorbar(
            at, value, yerr=[value - low, high - value], fmt=MARKERS[i % len(MARKERS)], color=colors[i], capsize=2,
            label=figure(f"positive {finding.prior.name(y)}"),
        )  # fmt: skip
    claimed = finding.verdict != "measured"
    if claimed:
        ax.axhline(1.0, color="0.3", linewidth=1)
    ax.set(
        xscale="log", yscale="log", xlabel="rank of the negatives, from frequent to rare",
        ylabel="margin, measured / claimed" if claimed else "margin p, mean of a part",
        title=textwrap.fill(figure(f"{finding.verdict}: {finding.claim}"), TITLE_WIDTH),
    )  # fmt: skip
    if claimed:
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, 0.5), max(high, 2.0))
    if ax.get_legend_handles_labels()[0]:
        ax.legend()
    return ax
