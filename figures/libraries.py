"""Who gains by the losses of installed packages, as audited."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from figures._marks import below

CLAIMS: tuple[str, ...] = ()
# A full run with all packages, for those who lack some; docs/libraries.md shows it.
RECORD = Path(__file__).parent.parent / "docs" / "libraries.csv"
VERDICTS = ("holds", "refuted", "inconclusive")
COLORS = dict(zip(VERDICTS, ("C0", "C1", "0.5"), strict=True))
MARKERS = dict(zip(VERDICTS, ("o", "X", "s"), strict=True))


def _runs(table: Any) -> dict[str, Any]:
    """The audits of this run; and the recorded ones of packages that it left out; by what they are."""
    made, record = table[table["verdict"].isin(VERDICTS)], pd.read_csv(RECORD)
    runs = {"audited": made, "recorded": record[~record["package"].isin(made["package"])]}
    return {f"{how} {_when(rows)}": rows for how, rows in runs.items() if len(rows)}


def _when(rows: Any) -> str:
    """The date or dates, L and m of a run."""
    days = " to ".join(sorted({rows["date"].min(), rows["date"].max()}))
    return f"on {days}, L = {rows['labels'].iloc[0]}, m = {rows['m'].iloc[0]}"


def _tilted(rows: Any) -> Any:
    return rows[rows["tilt"].notna()]


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    said = []
    for when, rows in _runs(table).items():
        count = rows["verdict"].value_counts()
        found = ", ".join(f"{count.get(verdict, 0)} {verdict}" for verdict in VERDICTS)
        gain = int((_tilted(rows).query("verdict == 'holds'")["tilt"] < -0.02).sum())
        n = rows["package"].nunique()
        said.append(
            f"Of {len(rows)} audits of {n} package{'s' if n > 1 else ''}, {when}: {found}; of the losses whose claim "
            f"holds {gain} favour rare labels."
        )
    return (
        "Which labels gain by losses and samplers of well-known packages, as audited.  The tilt is the slope of the "
        "best scores on log label frequency where all labels are equally likely, for the scheme that has the measured "
        "margins.  At 0 neither frequent nor rare labels gain, below it rare ones do; -1 is the balanced rule, fair to "
        "rare labels.  The second line of each row's name is the claim that was "
        f"audited.  {'  '.join(said)}  Losses without a known tilt (logistic ones, and those whose margins no "
        "scheme has) are not shown.  For packages that are not installed here, the audits recorded in "
        "docs/libraries.md are drawn."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for when, rows in _runs(table).items():
        points = [f"{r.package}, {r.function}, as {r.audited}: {r.tilt + 0.0:.3g}, {r.verdict}" for r in _named(rows)]
        said.append(f"{when[0].upper()}{when[1:]}: {'; '.join(points)}.")
    return f"A point for each audit, by tilt. {' '.join(said)}"


def _named(rows: Any) -> Any:
    return _tilted(rows).itertuples()


def draw(table: Any) -> Figure:
    """A panel for this run and one for the record; a row for each audit, a band for each package."""
    runs = {when: rows for when, rows in _runs(table).items() if len(_tilted(rows))}
    sizes = [len(_tilted(rows)) for rows in runs.values()]
    figure = Figure(figsize=(7.2, 1.0 + sum(0.5 + 0.3 * size for size in sizes)), layout="constrained")
    axes = figure.subplots(len(runs), 1, squeeze=False, sharex=True, height_ratios=sizes)[:, 0]
    for ax, (when, rows) in zip(axes, runs.items(), strict=True):
        shown = _tilted(rows).reset_index(drop=True)
        shown["row"] = shown.index
        for at in (-1, 0):
            ax.axvline(at, color="0.6", lw=0.8)
        sns.scatterplot(
            shown, x="tilt", y="row", hue="verdict", style="verdict", hue_order=VERDICTS, style_order=VERDICTS,
            palette=COLORS, markers=MARKERS, s=40, ax=ax, legend=ax is axes[0], zorder=3,
        )  # fmt: skip
        names = [f"{textwrap.fill(r.function, 62)}\n{textwrap.fill(f'as {r.audited}', 62)}" for r in _named(shown)]
        ax.set_yticks(range(len(shown)), names, fontsize=5.5)
        for i, (package, of) in enumerate(shown.groupby("package", sort=False)["row"]):
            if i % 2:
                ax.axhspan(of.min() - 0.5, of.max() + 0.5, color="0.95", zorder=0)
            ax.annotate(
                f"{package}\n{shown['version'][of.min()]}", (1.01, of.mean()), xycoords=("axes fraction", "data"),
                fontsize=6.5, va="center",
            )  # fmt: skip
        ax.set(title=when, ylabel="", ylim=(len(shown) - 0.5, -0.5), xlim=(min(-1.1, shown["tilt"].min() - 0.1), None))
        ax.grid(axis="y", visible=False)
    axes[-1].set_xlabel("← rare gain    tilt of f*    frequent gain →")
    handles, labels = axes[0].get_legend_handles_labels()
    axes[0].get_legend().remove()
    below(figure, handles, labels, len(VERDICTS))
    return figure
