"""The three axes in one picture: counts, spectra and margins."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below, one_of
from implicitloss.plot import axes_of_bias
from implicitloss.plot.axes_of_bias import PARTS

CLAIMS: tuple[str, ...] = ("spectral.four-parts", "spectral.margins.ratio")
LETTERS = "ABCD"
LEVELS = (-1.5, -1.0, -0.5, 0.5, 1.0, 1.5)


def _errors(row: Any, end: str = "") -> str:
    return f"{100 * row[f'error_1{end}']:.1f} and {100 * row[f'error_2{end}']:.1f} %"


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    cases = one_of(table, kind="case")
    said = "; ".join(f"{row['name']} {_errors(row)}" for _, row in cases.iterrows())
    parts = (
        "the gap z_1 - z_2 between two classes, in standard deviations of their scores, as a sum of four parts: where "
        "the boundary lies in training, what overfitting adds on new x, the offset δ of the margins, and the scale of "
        "the scores.  Above 0 class 1 is better off"
    )
    if not _has_map(table):
        return (
            "The gap between two classes, as a sum of its parts.  "
            f"By cross-validation on features, {parts}.  Pairs of classes that are mistaken most often, with the "
            f"errors of the first and the second: {said}."
        )
    off = max(float((cases[f"error_{k}"] / cases[f"error_{k}_simulated"] - 1).abs().max()) for k in (1, 2))
    return (
        "Counts, margins and spectra add up to the gap between two classes.  "
        f"Two Gaussian classes of the same trace, in logistic regression.  Left: {parts}.  Dots: the gap of "
        f"classifiers that were trained.  Errors of class 1 and 2: {said} (predicted, within {off:.0%} of training).  "
        "Right: the error of class 1 less that of class 2 by the ratio of counts and the difference of the exponents "
        "of the spectra.  Thick: where it is 0; counts and spectra cancel along this line.  Margins p_12 = e^δ, "
        "p_21 = e^-δ move it, to the dashed lines; logit adjustment, whose δ follows the counts alone, turns it to "
        "the dotted one.  At equal counts no scheme of Table 2 has a δ, and the gap of the spectra is left as it is.  "
        "A to D: the cases on the left."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for _, row in one_of(table, kind="case").iterrows():
        parts = ", ".join(f"{word} {row[name]:+.2f}" for name, word in PARTS.items())
        said.append(f"{row['name']}: {parts}, in all {row['gap']:+.2f}")
    falls = f"Waterfalls of the gap between two classes. {'; '.join(said)}."
    if not _has_map(table):
        return falls
    cells = one_of(table, kind="map")
    gap = cells["error_1"] - cells["error_2"]
    return (
        f"{falls} Beside them a map of the gap of errors, from {gap.min():+.2f} to {gap.max():+.2f}, and a line of "
        "equal errors that rises to the right."
    )


def _has_map(table: Any) -> bool:
    """Whether the table is that of Gaussian classes; features have no map."""
    return bool((table["kind"] == "map").any())


def draw(table: Any) -> Figure:
    """Waterfalls, and the map."""
    handles: list[Any] = []
    if _has_map(table):
        figure = Figure(figsize=(8.4, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
        _map(right, table)
        handles = [
            Line2D([], [], color="0", lw=2.2, label="equal errors"),
            Line2D([], [], color="0", lw=0.9, ls="--", label="equal errors with δ"),
            Line2D([], [], color="0", lw=1.4, ls=":", label="equal errors, logit-adjusted"),
            Line2D([], [], color="0", marker="o", mfc="white", ls="", ms=4.5, label="gap after training"),
        ]
    else:
        figure = Figure(figsize=(5.0, 4.2), layout="constrained")
        left = figure.subplots()
    _waterfalls(left, one_of(table, kind="case"))
    parts, words = left.get_legend_handles_labels()
    left.get_legend().remove()
    below(figure, [*parts, *handles], [*words, *(handle.get_label() for handle in handles)], 4)
    return figure


def _waterfalls(ax: Any, cases: Any) -> None:
    names = [f"{letter}  {name}" for letter, name in zip(LETTERS, cases["name"], strict=False)]
    axes_of_bias(cases, ax=ax, label=[name.replace(" ", "\n") for name in names])
    # The last of a waterfall's bars is the sum.
    sums = list(ax.patches)[len(PARTS) :: len(PARTS) + 1]
    for bar, simulated in zip(sums, cases["gap_simulated"], strict=True):
        ax.plot(bar.get_x() + bar.get_width() / 2, simulated, "o", color="white", mec="0", ms=4.5, zorder=3)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_title("the gap is a sum of four parts")


def _map(ax: Any, table: Any) -> None:
    cells = one_of(table, kind="map")
    cells = cells.assign(
        x=np.log2(cells["ratio"]).round(6),
        error=100 * (cells["error_1"] - cells["error_2"]),
        adjusted=cells["equal"] - cells["adjustment"],
    )
    error, equal, adjusted = (
        cells.pivot(index="difference", columns="x", values=of) for of in ("error", "equal", "adjusted")
    )
    x, y = error.columns.to_numpy(), error.index.to_numpy()
    end = 5 * np.ceil(np.abs(error.to_numpy()).max() / 5)
    shown = ax.contourf(x, y, error, np.linspace(-end, end, 25), cmap="PuOr", alpha=0.75)
    bar = ax.get_figure().colorbar(shown, ax=ax, ticks=np.linspace(-end, end, 5))
    bar.set_label("error of class 1 less that of class 2, points")
    lines = ax.contour(x, y, equal, LEVELS, colors="0", linewidths=0.9, linestyles="--")
    # Labels and arrows stand at two heights; δ falls along them.
    low, high = (np.array([np.interp(share * y[0], y, equal[column]) for column in equal]) for share in (0.85, 0.55))
    found = {level: float(np.interp(-level, -high, x)) for level in LEVELS}
    inside = [level for level, at in found.items() if x[0] + 0.1 < at < x[-1] - 0.1]
    places = [(found[level], 0.55 * y[0]) for level in inside]
    ax.clabel(lines, inside, fontsize=7, fmt=lambda value: f"δ = {value:+g}", manual=places)
    ax.contour(x, y, adjusted, [0], colors="0", linewidths=1.4, linestyles=":")
    ax.contour(x, y, equal, [0], colors="0", linewidths=2.2)
    ax.axvline(0, color="0.3", lw=0.8)
    at, middle = 0.85 * y[0], float(np.interp(0, -low, x))
    for level, word in ((1, "δ > 0"), (-1, "δ < 0")):
        tip = float(np.interp(-level, -low, x))
        ax.annotate("", (tip, at), (middle, at), arrowprops={"arrowstyle": "-|>", "color": "0", "lw": 1.4})
        ax.annotate(
            word, ((middle + tip) / 2, at), (0, 3), textcoords="offset points", ha="center", fontsize=8,
            bbox={"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.7},
        )  # fmt: skip
    places = one_of(table, kind="case").groupby(["ratio", "difference"], sort=False)["name"].apply(list)
    names = one_of(table, kind="case")["name"].to_list()
    for (ratio, difference), here in places.items():
        ax.annotate(
            ", ".join(LETTERS[names.index(name)] for name in here), (np.log2(ratio), difference), (0, 0),
            textcoords="offset points", ha="center", va="center", fontsize=8, zorder=6, annotation_clip=False,
            bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": "0", "lw": 0.8},
        )  # fmt: skip
    ticks = np.arange(np.ceil(x.min()), np.floor(x.max()) + 1)
    ax.set_xticks(ticks, [f"{2**t:g} : 1" if t >= 0 else f"1 : {2**-t:g}" for t in ticks])
    ax.set(
        xlabel="counts, n$_1$ : n$_2$", ylabel="exponents of the spectra, α$_2$ - α$_1$",
        title="counts and spectra can cancel; margins move the line",
    )  # fmt: skip
    ax.grid(visible=False)
