"""Lemma 2's bound against the exact expected loss, and where the bound misleads."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from figures._marks import WEIGHTINGS, below, one_of

CLAIMS = (
    "rawat2021.lemma2.bound",
    "rawat2021.lemma2.gap",
    "rawat2021.lemma2.kept-hits",
    "rawat2021.section4.relative-one-draw",
)
HITS = {"exclude": ("C0", "o", 7), "mask": ("C1", "s", 4), "keep": ("C2", "^", 2.5)}  # colour, marker, its size
SAID = {"exclude": "excluded", "mask": "masked", "keep": "kept"}


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    share = table["gap"] / table["bound"]
    worst = table.loc[share.idxmax()]
    many = table[table["m"] == table["m"].max()]
    end = (many["gap"] / many["bound"]).max()
    growing = one_of(table, weighting="relative", sampler="within-batch", hits="mask", positive="most frequent")
    return (
        "The bound of Lemma 2 (the implicit loss, dashed) and the exact expected loss (line) against the number of "
        "negatives m, for within-batch negatives and the most frequent label as positive; the table has all samplers "
        "and positives.  The difference is the gap.  The bound is furthest off for "
        f"{worst['sampler']} {worst['weighting']} weights at m = {worst['m']}, hits {worst['hits']}, positive "
        f"{worst['positive']}: {worst['bound']:.3g} where the loss is {worst['exact']:.3g}.  With relative weights the "
        "margins m π_y grow with m, and for the most frequent label (hits masked) the gap is "
        f"{growing['gap'].iloc[0]:.3g} at m = {growing['m'].iloc[0]} and {growing['gap'].iloc[-1]:.3g} at m = "
        f"{growing['m'].iloc[-1]}.  At m = {table['m'].max()} no gap exceeds {end:.2%} of its bound.  Even so the "
        "scores that minimise a bound can be others than those that minimise the loss: see the figure `optima`."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for (weighting, hits), rows in one_of(table, sampler="within-batch", positive="most frequent").groupby(
        ["weighting", "hits"], sort=False
    ):
        said.append(f"{weighting}, hits {hits}: gap {rows['gap'].iloc[0]:.2g} to {rows['gap'].iloc[-1]:.2g}")
    return (
        "Above, bound and exact expected loss against m, a panel for each weighting and a colour for each mode of "
        f"hits; below, the gap between them on logarithmic axes. {'; '.join(said)}."
    )


def draw(table: Any) -> Figure:
    """Four columns, loss above and gap below."""
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots(2, len(WEIGHTINGS), sharex=True, sharey="row")
    shown = one_of(table, sampler="within-batch", positive="most frequent")
    for column, weighting in enumerate(WEIGHTINGS):
        above, under = axes[:, column]
        for hits, (color, marker, size) in HITS.items():
            rows = one_of(shown, weighting=weighting, hits=hits)
            style = {
                "color": color, "marker": marker, "ms": size, "mfc": "none" if size > 4 else color, "lw": 1,
                "markevery": max(len(rows) // 4, 1),
            }  # fmt: skip
            above.plot(rows["m"], rows["bound"], color=color, ls="--", lw=1, label=f"bound, hits {SAID[hits]}")
            above.plot(rows["m"], rows["exact"], **style, label=f"exact, hits {SAID[hits]}")
            under.plot(rows["m"], rows["gap"], **style)
        above.set(title=weighting, xscale="log")
        under.set(xlabel="negatives m", yscale="log")
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("bound - exact")
    below(figure, *axes[0, 0].get_legend_handles_labels(), 3)
    return figure
