"""Offsets of the margins: equal errors, least error, and logit adjustment."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below, one_of

CLAIMS: tuple[str, ...] = ("spectral.offsets",)
# Name in the table: word, line.
MARKS = {
    "equal": ("equal errors, δ$_E$", "-", "C2"),
    "least": ("least mean error, δ$_B$", "--", "C3"),
    "adjusted": ("logit adjustment", ":", "0"),
}
COLORS = ("C0", "C1")


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    pairs = []
    for name, rows in one_of(table, kind="pair").groupby("name", sort=False):
        first = rows.iloc[0]
        pairs.append(f"{name}: {first['equal']:+.2f}, {first['least']:+.2f} and {first['adjusted']:+.2f}")
    sets = one_of(table, kind="features")
    halved = int((sets["gap_equal"] <= sets["gap"] / 2).sum())
    cost = 100 * (sets["mean_equal"] - sets["mean"])
    return (
        "Which offset makes errors equal, and which makes their mean least.  "
        "Above: the errors of two Gaussian classes of which class 1 has the flatter spectrum, in logistic regression "
        "with margins p_12 = e^δ and p_21 = e^-δ, against δ.  Lines: predicted; marks: trained with these margins.  "
        "Vertical lines are where errors are equal, where their mean is least, and logit adjustment, at δ = "
        f"{'; '.join(pairs)}: it sees counts alone.  Below: the gap between the largest and the smallest error of a "
        "class on samples that were not trained on, without offsets, and with offsets of all classes that were found "
        "by cross-validation on the training samples; bars: the gap that classes of equal errors show by chance, for "
        f"there are so many samples and no more.  Offsets for equal errors halve the gap in {halved} of {len(sets)} "
        f"cases, and change the mean error by {cost.min():+.1f} to {cost.max():+.1f} points."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for name, rows in one_of(table, kind="pair").groupby("name", sort=False):
        at = rows.loc[rows["delta"].abs().idxmin()]
        said.append(f"{name}: {at['error_1']:.3f} and {at['error_2']:.3f} at δ = 0, crossing at {at['equal']:+.2f}")
    sets = []
    for _, row in one_of(table, kind="features").iterrows():
        both = (f"{of} {row[of]:.3f} to {row[f'{of}_equal']:.3f}" for of in ("gap", "mean"))
        sets.append(f"{row['name']}: {', '.join(both)}")
    return (
        f"Panels of two errors against the offset, one falling and one rising. {'; '.join(said)}. Below, gaps of sets "
        f"of features without and with offsets. {'; '.join(sets)}."
    )


def draw(table: Any) -> Figure:
    """A panel for each pair of classes above; gaps of sets of features below."""
    names = list(one_of(table, kind="pair")["name"].unique())
    sets = one_of(table, kind="features")
    figure = Figure(figsize=(7.6, 4.4 + 0.24 * len(sets)), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[2.7, 0.9 + 0.24 * len(sets)])
    axes = top.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for ax, name in zip(axes, names, strict=True):
        _errors(ax, one_of(table, kind="pair", name=name))
        ax.set(title=name, xlabel="offset δ")
    axes[0].set_ylabel("error of a class")
    handles = [
        Line2D([], [], color=color, marker="os"[k], mfc="white", ms=4, label=f"class {k + 1}")
        for k, color in enumerate(COLORS)
    ] + [Line2D([], [], color=color, ls=line, lw=1.3, label=word) for word, line, color in MARKS.values()]
    below(top, handles, [handle.get_label() for handle in handles], 5)
    _gaps(*bottom.subplots(1, 2, sharey=True), sets)
    handles = [
        Line2D([], [], color="0.3", marker="o", mfc="white", ls="", ms=5, label="without offsets"),
        Line2D([], [], color="C2", marker="o", ls="", ms=5, label="offsets for equal errors"),
        Line2D([], [], color="C3", marker="D", ls="", ms=4, label="offsets for the least mean error"),
        Line2D([], [], color="0", marker="|", ls="", ms=9, mew=1.3, label="by chance, if errors were equal"),
    ]
    below(bottom, handles, [handle.get_label() for handle in handles], 4)
    return figure


def _errors(ax: Any, rows: Any) -> None:
    for word, (_, line, color) in MARKS.items():
        ax.axvline(rows[word].iloc[0], color=color, ls=line, lw=1.3)
    trained = rows.dropna(subset=["trained_1"])
    for k, color in enumerate(COLORS, 1):
        ax.plot(rows["delta"], rows[f"error_{k}"], color=color)
        ax.errorbar(
            trained["delta"], trained[f"trained_{k}"], yerr=trained[f"trained_error_{k}"], fmt="os"[k - 1], color=color,
            ms=4, mfc="white", lw=0.8,
        )  # fmt: skip
    ax.set_ylim(0, None)


def _gaps(left: Any, right: Any, sets: Any) -> None:
    at = np.arange(len(sets))
    for ax, of, word in ((left, "gap", "largest less smallest error, %"), (right, "mean", "mean error, %")):
        ax.hlines(at, 100 * sets[of], 100 * sets[f"{of}_equal"], color="0.7", lw=1.5, zorder=1)
        ax.plot(100 * sets[f"{of}_least"], at, "D", color="C3", ms=4)
        ax.plot(100 * sets[of], at, "o", color="0.3", mfc="white", ms=5)
        ax.plot(100 * sets[f"{of}_equal"], at, "o", color="C2", ms=5)
        if of == "gap":
            ax.plot(100 * sets["gap_chance"], at, "|", color="0", ms=11, mew=1.3)
        ax.set_xlim(0, None)
        ax.set(xlabel=word)
        ax.grid(axis="y", visible=False)
    left.set_yticks(at, sets["name"], fontsize=8)
    left.set_ylim(len(sets) - 0.4, -0.6)
