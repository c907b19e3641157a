"""Logit adjustment's synthetic study: balanced error of each loss's best affine rule, and of trained ones."""

from __future__ import annotations

from typing import Any

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below

CLAIMS = ("menon2021.balanced-bayes", "menon2021.consistent", "menon2021.adaptive", "menon2021.equalised")
# In words, colour and marker.
HITS = {"mask": ("hits masked", "C0", "o"), "none": ("all labels", "0.5", "D"), "keep": ("hits kept", "C1", "s")}


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
        "Which losses come near to the least balanced error, where one class is rare.  "
        "Balanced error (the mean of both classes' errors) of affine rules on two Gaussian classes, of which the rare "
        "one has 5 % of the examples; the least possible is "
        f"{table['least'].iloc[0]:.2%} (line).  Crosses: the rule that minimises the expected loss, exactly; dots and "
        f"bars: mean and standard deviation over {int(table['trial'].max()) + 1} trained trials of 10,000 examples.  "
        f"Losses over all labels: {full}.  Losses with four sampled negatives: {drawn}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    best = table[table["trial"] < 0]
    said = [f"{_label(r['name'], r['hits'])}: {r['balanced']:.1%}" for _, r in best.iterrows()]
    return f"A row for each loss: balanced error of its best affine rule and of trained ones. Best: {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """A row for each loss; schemes by sampling with hits masked and kept beside each other."""
    table = table.assign(loss=table["name"].replace({"softmax": "ERM (softmax)"}))
    losses = list(dict.fromkeys(table["loss"]))
    figure = Figure(figsize=(7.2, 1.2 + 0.26 * len(losses)), layout="constrained")
    ax = figure.subplots()
    least = ax.axvline(table["least"].iloc[0], color="0.5", lw=0.8)
    alike: dict[str, Any] = {
        "x": "balanced", "y": "loss", "hue": "hits", "order": losses, "hue_order": list(HITS), "dodge": 0.4,
        "linestyle": "none", "legend": False, "ax": ax,
    }  # fmt: skip
    colors, markers = ([style[i] for style in HITS.values()] for i in (1, 2))
    sns.pointplot(
        table[table["trial"] >= 0], errorbar="sd", palette=colors, markers=markers, markersize=5,
        err_kws={"linewidth": 1.2}, **alike,
    )  # fmt: skip
    best = table[table["trial"] < 0]
    sns.pointplot(
        best, errorbar=None, palette=3 * ["black"], markers=3 * ["x"], markersize=5, markeredgewidth=1.2, **alike
    )
    ax.set(xlabel="balanced error", ylabel="", xlim=(0.05, None), ylim=(len(losses) - 0.5, -0.5))
    ax.tick_params(axis="y", labelsize=8)
    handles = [Line2D([], [], marker=m, color=c, ms=5) for _, c, m in HITS.values()]
    handles += [Line2D([], [], marker="x", color="black", ls="", ms=5), least]
    names = [f"trained, {words}" for words, _, _ in HITS.values()]
    below(figure, handles, [*names, "best affine rule", "least possible, Φ(-√2)"], 3)
    return figure
