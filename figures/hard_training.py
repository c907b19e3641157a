"""Precision and loss while an index grows stale."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below, one_of

CLAIMS: tuple[str, ...] = ("qaraei2023.waterfilling.scores", "qaraei2023.stale.loss", "qaraei2023.unbiased.any-index")
LINES = ("-", "--", ":", "-.", (0, (5, 1)))


def _ends(table: Any) -> Any:
    """Mean precision at 1 over the last quarter of the looks, by mixture and refresh."""
    late = table[table["step"] > 0.75 * table["step"].max()]
    return late.groupby(["mixture", "refresh"], sort=False)["precision_1"].mean()


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    ends = _ends(table)
    refreshes = sorted(table["refresh"].unique())
    said = "; ".join(
        f"{name}: " + " / ".join(f"{100 * ends[name, refresh]:.0f}" for refresh in refreshes)
        for name in table["mixture"].unique()
    )
    return (
        "How training fares as the index of mined negatives grows stale.  "
        "Precision at 1 (above) and the full logistic loss a point (below) of test points through training beside an "
        "index that is refreshed every R steps, with a hundred negatives, mined + uniform; means over "
        f"{table['seed'].nunique()} seeds.  Precision at 1 in per cent over the last quarter of the steps, for R = "
        f"{' / '.join(map(str, refreshes))}: {said}.  Where weights are 1 an old index costs the more the more is "
        "mined; with unbiased weights its age matters for the variance alone."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    ends = _ends(table)
    said = "; ".join(f"{name}, R = {refresh}: {value:.2f}" for (name, refresh), value in ends.items())
    return (
        f"Columns for steps between refreshes; precision at 1 above, loss below, against steps. Late precision: {said}."
    )


def draw(table: Any) -> Figure:
    """A column for each R."""
    refreshes = sorted(table["refresh"].unique())
    figure = Figure(figsize=(2.6 * len(refreshes), 4.6), layout="constrained")
    axes = figure.subplots(2, len(refreshes), sharex=True, sharey="row", squeeze=False)
    names = list(table["mixture"].unique())
    for column, refresh in enumerate(refreshes):
        for i, name in enumerate(names):
            means = one_of(table, refresh=refresh, mixture=name).groupby("step")[["precision_1", "loss"]].mean()
            for ax, of in zip(axes[:, column], ("precision_1", "loss"), strict=True):
                ax.plot(means.index, means[of], color=f"C{i}", ls=LINES[i % len(LINES)], lw=1.3)
        axes[0, column].set_title(f"refreshed every {refresh} steps" if refresh > 1 else "fresh at each step")
        axes[1, column].set(xlabel="steps", yscale="log")
    axes[0, 0].set_ylabel("precision at 1")
    axes[1, 0].set_ylabel("full loss a point")
    handles = [Line2D([], [], color=f"C{i}", ls=LINES[i % len(LINES)], lw=1.3) for i in range(len(names))]
    below(figure, handles, names, 5, title="mined + uniform negatives")
    return figure
