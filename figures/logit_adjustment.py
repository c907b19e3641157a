"""Logit adjustment's synthetic study: balanced error of each loss's best affine rule, and of trained ones."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from figures._marks import COLOR

CLAIMS = ("menon2021.balanced-bayes", "menon2021.consistent", "menon2021.adaptive", "menon2021.equalised")


def _label(name: str, hits: str) -> str:
    shown = "ERM (softmax)" if name == "softmax" else name
    return shown if hits == "none" else f"{shown}, hits {'masked' if hits == 'mask' else 'kept'}"


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    best = table[table["trial"] < 0].set_index(["name", "hits"])["balanced"]
    trials = table[table["trial"] >= 0].groupby(["name", "hits"], sort=False)["balanced"]
    mean, spread = trials.mean(), trials.std(ddof=1)

    def said(name: str, hits: str = "none") -> str:
        at = (name, hits)
        return f"{_label(name, hits)} {best[at]:.2%} ({mean[at]:.2%} ± {spread[at]:.2%})"

    full = ", ".join(said(name) for name in ("softmax", "adaptive", "equalised", "logit-adjusted"))
    drawn = ", ".join(
        said(f"within-batch, {w}", hits)
        for w, hits in (("constant", "mask"), ("constant", "keep"), ("relative", "mask"), ("tail", "mask"))
    )
    return (
        "Balanced error of affine rules on two Gaussians, P(+1) = 5 %; the least possible is "
        f"{table['least'].iloc[0]:.2%} (line).  Crosses: the minimiser of the true expected loss, exactly; dots and "
        f"bars: mean and standard deviation over {int(table['trial'].max()) + 1} trained trials of 10,000 examples.  "
        f"All labels: {full}.  Four draws: {drawn}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    best = table[table["trial"] < 0]
    said = [f"{_label(r['name'], r['hits'])}: {r['balanced']:.1%}" for _, r in best.iterrows()]
    return f"A row for each loss: balanced error of its best affine rule and of trained ones. Best: {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """A row for each loss."""
    best = table[table["trial"] < 0].iloc[::-1]
    trials = table[table["trial"] >= 0].groupby(["name", "hits"])["balanced"]
    mean, spread = trials.mean(), trials.std(ddof=1)
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.axvline(table["least"].iloc[0], color="0.5", lw=0.8, label="least possible, Φ(-√2)")
    for i, (_, row) in enumerate(best.iterrows()):
        color, at = COLOR[row["name"].split(", ")[-1]], (row["name"], row["hits"])
        ax.errorbar(
            mean[at], i, xerr=spread[at], color=color, fmt="o", ms=4, lw=1,
            mfc="white" if row["hits"] == "keep" else color,
            label="trained" if i == 0 else None,
        )  # fmt: skip
        ax.plot(row["balanced"], i, "x", color="black", ms=5, label="best affine rule" if i == 0 else None)
    ax.set_yticks(range(len(best)), [_label(r["name"], r["hits"]) for _, r in best.iterrows()], fontsize=7)
    ax.set(xlabel="balanced error", xlim=(0.05, None))
    ax.legend(fontsize=7, loc=(0.4, 0.45))
    return figure
