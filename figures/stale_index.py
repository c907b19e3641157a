"""What a stale index costs, and how uniform negatives cap it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below

CLAIMS: tuple[str, ...] = ("qaraei2023.stale.loss", "qaraei2023.stale.swing", "qaraei2023.stale.rise")
MARKERS = ("o", "s", "^")


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    off = float((table["excess_descended"] / table["excess"] - 1).abs().max())
    formula = float((table["excess_renewal"] / table["excess"] - 1).abs().max())
    said = []
    for name, rows in table.groupby("mixture", sort=False):
        rows = rows.sort_values("time")
        cap = rows["cap"].iloc[0]
        capped = f", and scores swing by {cap:.2f} at most" if np.isfinite(cap) else ", and nothing caps the swing"
        said.append(f"{name}: from {rows['excess'].iloc[0]:.2f} to {rows['excess'].iloc[-1]:.3g} times{capped}")
    return (
        "A stale index raises the loss; uniform negatives cap how far a score swings.  "
        "Left: the full logistic loss over time, over the least loss, of k mined + m uniform negatives whose index is "
        "refreshed every R steps, against step size times R.  Right: the largest swing of a score between "
        f"refreshes.  Solid: the exact flow between refreshes; marks: gradient descent (the loss within {off:.1%}); "
        f"dashed: the renewal formula (within {formula:.0%}).  {'; '.join(said)}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for name, rows in table.groupby("mixture", sort=False):
        rows = rows.sort_values("time")
        said.append(
            f"{name}: loss ratio {rows['excess'].iloc[0]:.2f} to {rows['excess'].iloc[-1]:.3g}, swing "
            f"{rows['swing'].iloc[0]:.1g} to {rows['swing'].iloc[-1]:.2g}"
        )
    return f"Two panels against step size times steps between refreshes: loss ratio and swing. {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """Loss and swing against the length of a period."""
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    handles = []
    for i, (name, rows) in enumerate(table.groupby("mixture", sort=False)):
        rows, color, marker = rows.sort_values("time"), f"C{i}", MARKERS[i]
        left.plot(rows["time"], rows["excess"], color=color)
        left.plot(rows["time"], rows["excess_renewal"], color=color, ls="--", lw=1)
        left.plot(rows["time"], rows["excess_descended"], marker, color=color, ms=4, mfc="white")
        right.plot(rows["time"], rows["swing"], color=color)
        right.plot(rows["time"], rows["swing_descended"], marker, color=color, ms=4, mfc="white")
        if np.isfinite(rows["cap"].iloc[0]):
            right.axhline(rows["cap"].iloc[0], color=color, ls=":", lw=1)
        handles.append(Line2D([], [], color=color, marker=marker, mfc="white", ms=4, label=str(name)))
    left.set(xlabel="step size × steps between refreshes", xscale="log", yscale="log", ylabel="loss / least loss")
    right.set(
        xlabel="step size × steps between refreshes", xscale="log", yscale="log", ylabel="largest swing of a score"
    )
    for label, line in {"exact flow": "-", "renewal formula": "--", "cap log((1 + p)/p)": ":"}.items():
        handles.append(Line2D([], [], color="0.3", ls=line, lw=1.2, label=label))
    below(figure, handles, [handle.get_label() for handle in handles], 6)
    return figure
