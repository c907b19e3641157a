"""How many negatives to mine, where weights are unbiased: what the recall of the index decides."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from figures._marks import below, one_of

CLAIMS: tuple[str, ...] = ("qaraei2023.unbiased.any-index", "qaraei2023.shift.variance")
MARKERS = ("o", "s", "^", "D")


def _best(table: Any) -> dict[tuple[str, float], tuple[int, float]]:
    """The k of least deviation, and how many times less it is than without mined negatives."""
    found = {}
    for (scores, recall), rows in table.groupby(["scores", "recall"], sort=False):
        least, none = rows.loc[rows["deviation"].idxmin()], one_of(rows, k=0)["deviation"].iloc[0]
        found[scores, recall] = int(least["k"]), float(none / least["deviation"])
    return found


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    best = _best(table)
    said = {
        scores: ", ".join(
            f"{recall:g}: k = {k} ({times:.1f} times less)"
            for (name, recall), (k, times) in best.items()
            if name == scores
        )
        for scores in dict.fromkeys(name for name, _ in best)
    }
    return (
        "How many of a hundred negatives to mine: where the deviation of the loss is least.  "
        "Standard deviation of the sampled softmax loss with a hundred negatives in all, k of them mined and the rest "
        "uniform draws, all with the unbiased weights of full softmax, against k; by the recall of the index.  "
        f"With 1,000 labels and scores N(0, 2.5²) (right) the best k by recall is {said['trained']}; with N(0, 1) "
        f"(left), {said['flat']}.  A label that the index misses is left to few draws with large weights: with a "
        "poor index only a few mined negatives pay."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for (scores, recall), rows in table.groupby(["scores", "recall"], sort=False):
        said.append(
            f"{scores}, recall {recall:g}: {rows['deviation'].iloc[0]:.2g} without, "
            f"{rows['deviation'].min():.2g} at best, {rows['deviation'].iloc[-1]:.2g} at k = {rows['k'].iloc[-1]}"
        )
    return f"Two panels, flat and trained scores: deviation against the number of mined labels. {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """A panel for each spread of the scores, a line for each recall."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, (scores, title) in zip(
        axes, {"flat": "scores N(0, 1)", "trained": "scores N(0, 2.5²)"}.items(), strict=True
    ):
        for i, (recall, rows) in enumerate(one_of(table, scores=scores).groupby("recall", sort=False)):
            ax.errorbar(
                rows["k"], rows["deviation"], yerr=rows["deviation_error"], color=f"C{i}", marker=MARKERS[i], ms=3.5,
                lw=1.2, label=f"recall {recall:g}",
            )  # fmt: skip
        ax.set(title=title, xlabel="mined negatives k of 100", yscale="log")
    axes[0].set_ylabel("standard deviation of the loss")
    below(figure, *axes[0].get_legend_handles_labels(), 4)
    return figure
