"""What mined negatives teach: a plateau of tied labels."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below
from implicitloss.plot import plateau

CLAIMS: tuple[str, ...] = (
    "qaraei2023.waterfilling.scores",
    "qaraei2023.waterfilling.plateau",
    "qaraei2023.waterfilling.inclusion",
)
MARKERS = ("o", "s", "^", "D", "v")


def _tied(table: Any) -> dict[str, tuple[int, int]]:
    """The first and last tied rank of each mixture that ties any."""
    tied = table.dropna(subset=["tied_from"]).groupby("mixture", sort=False)[["tied_from", "tied_to"]].first()
    return {str(name): (int(row["tied_from"]), int(row["tied_to"])) for name, row in tied.iterrows()}


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    settled = table[table["settled"]]
    off = float((settled["descended"] - settled["f"]).abs().max())
    said = ", ".join(f"{name}: ranks {first} to {last}" for name, (first, last) in _tied(table).items())
    return (
        "Mined negatives tie labels around rank k at one score, and their ranking is lost.  "
        "Scores that k mined and m uniform negatives (k + m = 100, weights of 1, logistic loss, a fresh index) teach "
        "at one x with η_j = .6/j, against the logit of η_j.  Lines: theory; marks: gradient descent, where it came to "
        f"rest (within {off:.2g} of the lines).  Without mined negatives scores are the logit, moved.  Mined ones push "
        f"down what is ranked high, and tie labels around rank k at one score ({said}): there the ranking is lost.  "
        "The more mined negatives, the wider the plateau."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for name, rows in table.groupby("mixture", sort=False):
        flat = _tied(table).get(str(name))
        part = f", flat from rank {flat[0]} to {flat[1]}" if flat else ", a straight line"
        said.append(f"{name}: {rows['f'].iloc[0]:.2g} at rank 1{part}, {rows['f'].iloc[-1]:.2g} at the last rank")
    return f"Scores against the logit of η, a line for each mixture of mined and uniform negatives. {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """A line and marks for each mixture."""
    figure = Figure(figsize=(5.6, 4.4), layout="constrained")
    ax = figure.subplots()
    handles = []
    for i, (name, rows) in enumerate(table.groupby("mixture", sort=False)):
        color, marker = f"C{i}", MARKERS[i % len(MARKERS)]
        plateau(rows, ax=ax, color=color, lw=1.2, linestyle="-")
        marked = rows[rows["settled"]]
        ax.plot(marked["logit"], marked["descended"], marker, color=color, ms=3.5, mfc="white")
        handles.append(Line2D([], [], color=color, marker=marker, mfc="white", ms=4, label=name))
    ax.set_xlabel("logit η   (rank 1000 → rank 1)")
    below(figure, handles, [f"{handle.get_label()}" for handle in handles], 5, title="mined + uniform negatives")
    return figure
