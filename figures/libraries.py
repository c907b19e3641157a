"""Who gains by the losses of installed packages, as audited."""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.figure import Figure

CLAIMS: tuple[str, ...] = ()
MARKERS = {"holds": ("o", "C0"), "refuted": ("x", "C3"), "inconclusive": ("o", "none")}


def _shown(table: Any) -> Any:
    return table[table["tilt"].notna() & table["verdict"].isin(MARKERS)]


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    count = table["verdict"].value_counts()
    found = ", ".join(f"{count.get(verdict, 0)} {verdict}" for verdict in MARKERS)
    gain = int((_shown(table).query("verdict == 'holds'")["tilt"] < -0.02).sum())
    return (
        "Losses and samplers of installed packages under audit: tilt of the population optimum (slope of f* on log π, "
        "labels equally likely) of the scheme that has the measured margins.  At 0 neither frequent nor rare labels "
        "gain, below it rare ones do.  Filled: the audited claim holds; crosses: it is refuted; open: inconclusive.  "
        f"Of {int(count.drop('skipped', errors='ignore').sum())} audits: {found}; by {gain} of the losses whose claim "
        "holds rare labels gain.  Losses without a tilt (logistic ones, those that no scheme fits, packages that were "
        "left out) are not shown."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = [
        f"{row.package}, {row.function}, audited for {row.audited}: tilt {row.tilt:.3g}, {row.verdict}"
        for row in _shown(table).itertuples()
    ]
    left_out = sorted(set(table.loc[table["verdict"] == "skipped", "package"]))
    ending = f" Left out: {', '.join(left_out)}." if left_out else ""
    return f"A point for each audit, by tilt. {'; '.join(said) or 'None of the packages is installed'}.{ending}"


def draw(table: Any) -> Figure:
    """A row for each audit."""
    shown = _shown(table).iloc[::-1].reset_index(drop=True)
    figure = Figure(figsize=(7.2, max(1.5, 0.24 * len(shown) + 0.8)), layout="constrained")
    ax = figure.subplots()
    ax.axvline(0, color="0.6", lw=0.8)
    for i, row in shown.iterrows():
        marker, face = MARKERS[row["verdict"]]
        ax.plot(float(row["tilt"]), i, marker, color="C3" if marker == "x" else "C0", mfc=face, ms=5)
    names = [textwrap.fill(f"{row.package}: {row.function}", 70) for row in shown.itertuples()]
    ax.set_yticks(range(len(shown)), names, fontsize=5)
    ax.set_xlabel("← rare    tilt of f*    frequent →")
    ax.set_ylim(-0.7, max(len(shown), 1) - 0.3)
    return figure
