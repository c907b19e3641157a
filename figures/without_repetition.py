"""Draws without repetition: what the usual correction does to each label, and what right weights cost."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from figures._marks import below, one_of

CLAIMS = ("draws.inclusion", "draws.margins.unbiased", "draws.spread.variance", "draws.spread.less")
COLOR = {"iid": "0.7", "distinct": "C0", "set": "C1", "bernoulli": "C2"}
NAMES = {
    "iid": "m independent draws",
    "distinct": "until m are different",
    "set": "m draws as a set",
    "bernoulli": "a coin for each label",
}
# Independent draws lie below sets, which hardly differ from them.
WIDTH = {"iid": 3.0}
LINES = {"right": "-", "usual": "--"}


def _by_rank(rows: Any) -> Any:
    """The labels by rank, under distinct draws."""
    return rows[rows["rank"].notna()].sort_values("rank")


def _last(rows: Any, draws: str, weights: str) -> Any:
    """The row of the most draws."""
    return one_of(rows, draws=draws, weights=weights).sort_values("m").iloc[-1]


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    said = []
    for labels, rows in table.groupby("labels", sort=False):
        ranks = _by_rank(rows)
        ends = 1 / ranks["usual"].iloc[[0, -1]]
        off = float((ranks["tf"] - 1).abs().max())
        last = _last(rows, "distinct", "usual")
        ratio = _last(rows, "distinct", "right")["sd"] / _last(rows, "iid", "right")["sd"]
        said.append(
            f"Of {labels:,} labels at m = {int(ranks['m'].iloc[0]):,} the most frequent counts {ends.iloc[0]:.2g} "
            f"times, the rarest {ends.iloc[1]:.2g} times, and TensorFlow's count at the expected number of tries is "
            f"off by at most {100 * off:.1g} %; at m = {int(last['m']):,} the loss is {last['bias']:+.2g} off "
            f"softmax's, and with right weights its standard deviation is {ratio:.2f} of that of independent draws."
        )
        if last["tilt"] == last["tilt"]:  # it is not computed for the many labels
            right = _last(rows, "distinct", "right")["tilt"]
            said[-1] += (
                f"  What is learned has a tilt of {last['tilt']:+.2g} on log frequency, and of {right:+.2g} with right "
                "weights."
            )
    return (
        "Without repetition, the usual log(m q) correction counts frequent labels too seldom as negatives.  With many "
        "draws these gain.  Negatives are drawn until m are different, log-uniform by rank, hits masked.  "
        f"{'  '.join(said)}  Top: how often a label counts, p = P(y' ∈ N)/(m q).  Middle: the distance of the mean "
        "loss from that of softmax over all labels, weights 1/P(y' ∈ N) (solid) and 1/(m q) (dashed).  Bottom: its "
        "standard deviation, with right weights."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for labels, rows in table.groupby("labels", sort=False):
        for draws, name in NAMES.items():
            right, usual = (_last(rows, draws, weights) for weights in LINES)
            said.append(
                f"{labels:,} labels, {name}, m = {int(right['m']):,}: bias {right['bias']:+.2g} with right weights, "
                f"{usual['bias']:+.2g} with the usual ones, standard deviation {right['sd']:.2g}"
            )
    return (
        "Three rows of panels, a column for each number of labels: how often labels count by rank, size of the bias "
        f"against m, standard deviation against m, all logarithmic. {'; '.join(said)}."
    )


def draw(table: Any) -> Figure:
    """A column for each number of labels: counts by rank, bias along m, standard deviation along m."""
    sizes = list(table["labels"].unique())
    figure = Figure(figsize=(max(3.4 * len(sizes), 4.4), 7.6), layout="constrained")
    axes = figure.subplots(3, len(sizes), sharey="row", squeeze=False)
    for column, labels in zip(axes.T, sizes, strict=True):
        rows = one_of(table, labels=labels)
        ranks = _by_rank(rows)
        top, middle, bottom = column
        top.axhline(1.0, color="0.7", lw=0.8)
        top.plot(ranks["rank"], 1 / ranks["usual"], color=COLOR["distinct"], ls="--", lw=1.4)
        top.plot(ranks["rank"], 1 / ranks["tf"], color="C3", ls=":", lw=1.4)
        top.set(xscale="log", yscale="log", xlabel="rank of the label")
        top.set_title(f"{labels:,} labels; on top m = {int(ranks['m'].iloc[0]):,}", fontsize=8, loc="left")
        for draws, color in COLOR.items():
            for weights, line in LINES.items():
                found = one_of(rows, draws=draws, weights=weights).sort_values("m")
                if draws != "iid" or weights == "right":  # of independent draws the usual weights are right
                    middle.plot(found["m"], found["bias"].abs(), color=color, ls=line, lw=WIDTH.get(draws, 1.2))
                if weights == "right":
                    bottom.plot(found["m"], found["sd"], color=color, lw=WIDTH.get(draws, 1.2))
        middle.set(xscale="log", yscale="log", xlabel="negatives m")
        bottom.set(xscale="log", yscale="log", xlabel="negatives m")
        for axis in (top.yaxis, middle.xaxis, bottom.xaxis):
            axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            axis.set_minor_formatter(NullFormatter())
    axes[0, 0].set_ylabel("how often it counts, p")
    axes[1, 0].set_ylabel("size of the bias")
    axes[2, 0].set_ylabel("standard deviation")
    handles = [Line2D([], [], color=color, lw=WIDTH.get(draws, 1.2)) for draws, color in COLOR.items()]
    handles += [Line2D([], [], color="0.3", ls=line) for line in LINES.values()]
    handles.append(Line2D([], [], color="C3", ls=":"))
    names = [*NAMES.values(), "right weights, 1/P(y' ∈ N)", "usual weights, 1/(m q)", "TensorFlow's count (top)"]
    below(figure, handles, names, 2 if len(sizes) == 1 else 3)
    return figure
