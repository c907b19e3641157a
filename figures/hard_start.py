"""Why an index right from the start throws the model: mined vectors add up."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from figures._marks import below

CLAIMS: tuple[str, ...] = ("qaraei2023.start.norm",)


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    table = table.sort_values("k")
    first, last = table.iloc[0], table.iloc[-1]
    off = float((table["squared"] / table["predicted"] - 1).abs().max())
    return (
        "Mined vectors lean towards the query, so the sum of many is far longer than that of draws.  "
        f"The squared norm of the sum of {int(last['k'] + last['m'])} negatives' random vectors (left; "
        f"{int(first['labels']):,} labels, 64 dimensions), and its share along the query (right), against how many of "
        f"them are mined.  Marks: simulated; lines: predicted (within {off:.1%}).  Draws alone add up to "
        f"{first['squared']:.0f}, mined negatives alone to {last['squared']:.0f}, "
        f"{last['squared'] / first['squared']:.0f} times as much, "
        f"{last['along']:.0%} of it along the query: at the start scores are noise, and mining follows it.  A "
        "few mined negatives change little."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = [f"k = {row.k}: {row.squared:.0f}, {row.along:.0%} along the query" for row in table.itertuples()]
    return f"Two panels against the number of mined negatives: squared norm, share along the query. {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """The norm and the share."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    table = table.sort_values("k")
    left.plot(table["k"], table["predicted"], color="C0", label="predicted")
    left.errorbar(table["k"], table["squared"], yerr=table["squared_error"], color="C1", marker="o", mfc="white", ls="",
                  label="simulated")  # fmt: skip
    left.axhline(table["k"].iloc[0] + table["m"].iloc[0], color="0.5", ls=":", lw=1, label="number of negatives")
    left.set(yscale="log", xlabel="mined negatives k", ylabel="squared norm of the sum")
    right.plot(table["k"], table["predicted_along"], color="C0")
    right.plot(table["k"], table["along"], "o", color="C1", mfc="white")
    right.set(xlabel="mined negatives k", ylabel="share along the query", ylim=(0, 1))
    for ax in (left, right):
        ax.set_xscale("symlog", linthresh=10)
        ax.set_xlim(-2, 1.2 * table["k"].max())
    below(figure, *left.get_legend_handles_labels(), 3)
    return figure
