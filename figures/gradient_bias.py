"""The bias of the expected gradient, label by label."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from figures._marks import WEIGHTINGS, below, one_of
from implicitloss import plot

CLAIMS = ("rawat2021.lemma2.gradient", "rawat2021.section4.constant", "rawat2021.section4.relative")


def _ends(rows: Any) -> tuple[float, float]:
    """The error of the fifth of labels that are most frequent, and of the rarest, in sum."""
    fifth = max(len(rows) // 5, 1)
    by_rank = rows.sort_values("rank")
    return float(by_rank["error"].head(fifth).sum()), float(by_rank["error"].tail(fifth).sum())


def _sums(table: Any, m: int) -> str:
    """Sums of absolute errors at the largest m over those at the smallest."""
    size = table.assign(error=table["error"].abs()).groupby(["sampler", "weighting", "m"])["error"].sum()
    least = table["m"].min()
    said = [
        f"{w} {size['within-batch', w, m]:.3f} (from {size['within-batch', w, least]:.3f} at m = {least})"
        for w in WEIGHTINGS
    ]
    return f"In sum of absolute values, within-batch at m = {m}: {', '.join(said)}."


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    m = table["m"].max()
    said = []
    for sampler in ("uniform", "within-batch"):
        for weighting in WEIGHTINGS:
            head, tail = _ends(one_of(table, sampler=sampler, weighting=weighting, m=m))
            said.append(f"{sampler} {weighting} {head:+.3f} and {tail:+.3f}")
    return (
        "Sampled gradients push some labels harder, and others less, than softmax over all labels does.  "
        "The expected gradient of each label's score minus that of softmax over all labels (full softmax), averaged "
        "over positives and over scores of an untrained model; exact, with draws of the positive given weight 0.  "
        "Lines: running means over 15 labels.  Below 0 training raises a label's score more than full softmax does, "
        "above 0 less.  Sums over the most frequent and the rarest fifth of the labels, at "
        f"m = {m}: {'; '.join(said)}.  {_sums(table, m)}"
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for (sampler, weighting), rows in table.groupby(["sampler", "weighting"], sort=False):
        last = rows[rows["m"] == rows["m"].max()]
        said.append(f"{sampler} {weighting}: {last['error'].min():+.3f} to {last['error'].max():+.3f}")
    return (
        "Eight panels, samplers in rows and weightings in columns: gradient error against the label's frequency, a "
        f"line for each m. At the largest m the errors are, {'; '.join(said)}."
    )


def draw(table: Any) -> Figure:
    """Samplers in rows, weightings in columns."""
    figure = Figure(figsize=(7.2, 3.9), layout="constrained")
    axes = figure.subplots(2, len(WEIGHTINGS), sharex=True, sharey=True)
    for row, sampler in enumerate(("uniform", "within-batch")):
        for column, weighting in enumerate(WEIGHTINGS):
            ax = axes[row, column]
            rows = one_of(table, sampler=sampler, weighting=weighting)
            plot.gradient_bias(rows.assign(scheme="m = " + rows["m"].astype(str)).sort_values("m"), ax=ax)
            ax.get_legend().remove()
            ax.set(xlabel="", ylabel="")
            if row == 0:
                ax.set_title(weighting)
        axes[row, 0].set_ylabel(f"{sampler}\ngradient error")
    for ax in axes[1]:
        ax.set_xlabel("π of the label")
    below(figure, *axes[0, 0].get_legend_handles_labels(), 4)
    return figure
