"""Errors of classes, predicted from the spectra of their features."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below

CLAIMS: tuple[str, ...] = ("spectral.ridge", "spectral.leave-one-out")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
WORDS = {"predicted": "means, covariances, counts", "left_out": "cross-validation", "pooled": "one covariance for all"}
FACES = {"predicted": "C0", "left_out": "white", "pooled": "C1"}
SHAPES = {"predicted": "o", "left_out": "D", "pooled": "x"}


def _r(table: Any, of: str) -> float:
    return float(table[of].corr(table["measured"]))


def _rho(table: Any, of: str) -> dict[str, float]:
    return {
        str(name): float(rows[of].rank().corr(rows["measured"].rank()))
        for name, rows in table.groupby("set", sort=False)
    }


def _levels(table: Any, of: str) -> Any:
    """Mean predicted over mean measured error of each set."""
    mean = table.groupby("set", sort=False)[[of, "measured"]].mean()
    return mean[of] / mean["measured"] - 1


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    r = {of: _r(table, of) for of in WORDS}
    rho = {of: _rho(table, of) for of in WORDS}
    better = [rho["predicted"][name] - rho["pooled"][name] for name in rho["pooled"]]
    level, left_out = _levels(table, "predicted"), _levels(table, "left_out")
    return (
        "Errors of classes, as predicted from spectra and as measured.  "
        "Left: the error of each class of each set of features, predicted from the means, covariances and counts of "
        "the training samples alone, against that on samples that were not trained on (ridge regression, equal "
        f"counts).  Over {len(table)} classes r = {r['predicted']:.3f}; by cross-validation {r['left_out']:.3f}; with "
        f"one covariance for all classes {r['pooled']:.3f}.  Predictions are {level.min():+.0%} to {level.max():+.0%} "
        f"off in the mean of a set, for features are not Gaussian and their effective ranks are as low as "
        f"{table['rank'].min():.0f}; cross-validation is {left_out.min():+.0%} to {left_out.max():+.0%} off.  Right: "
        "how well the classes of each set are ranked, by Spearman's ρ; covariances of their own improve on one for all "
        f"by {min(better):+.2f} to {max(better):+.2f}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    rho = {of: _rho(table, of) for of in WORDS}
    said = [
        f"{name}: errors {rows['measured'].min():.3f} to {rows['measured'].max():.3f}, "
        + ", ".join(f"{word} ρ {rho[of][str(name)]:.2f}" for of, word in WORDS.items())
        for name, rows in table.groupby("set", sort=False)
    ]
    return f"Left: predicted against measured errors, near or below the diagonal. Right: ρ by set. {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """Predicted against measured errors, and ranks."""
    names = list(table["set"].unique())
    figure = Figure(figsize=(7.6, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    top = 105 * table[["measured", "predicted"]].to_numpy().max()
    left.plot([0, top], [0, top], color="0.4", lw=0.8)
    handles = []
    for i, (name, rows) in enumerate(table.groupby("set", sort=False)):
        color, marker = f"C{i % 7}", MARKERS[i % len(MARKERS)]
        left.errorbar(
            100 * rows["measured"], 100 * rows["predicted"], xerr=100 * rows["measured_error"], fmt=marker, color=color,
            ms=5, lw=0.8, mew=0.3, mec="white",
        )  # fmt: skip
        handles.append(Line2D([], [], color=color, marker=marker, ls="", ms=5, label=name))
    left.set(
        xlabel="measured error of a class, %", ylabel="predicted from its spectrum, %", xlim=(0, top), ylim=(0, top)
    )
    at = np.arange(len(names))
    for of in ("pooled", "left_out", "predicted"):
        right.plot(
            [_rho(table, of)[name] for name in names], at, SHAPES[of], color="C1" if of == "pooled" else "C0",
            mfc=FACES[of], ms=6 if of == "pooled" else 5, mew=1.2,
        )  # fmt: skip
    right.set_yticks(at, [name.replace(", ", ",\n") for name in names], fontsize=8)
    right.set_ylim(len(names) - 0.5, -0.5)
    right.set_xlim(min(0, 1.05 * min(_rho(table, "pooled").values())), 1.03)
    right.set_xlabel("ρ of predicted and measured errors")
    right.grid(axis="y", visible=False)
    below(figure, handles, [handle.get_label() for handle in handles], 3)
    marks = [
        Line2D(
            [], [], color="C1" if of == "pooled" else "C0", marker=SHAPES[of], mfc=FACES[of], ls="", ms=5, label=word
        )
        for of, word in WORDS.items()
    ]
    right.legend(handles=marks, fontsize=7, loc="lower left")
    return figure
