"""How fast the two engines are, against peers and against random numbers alone."""

from __future__ import annotations

from typing import Any

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

CLAIMS: tuple[str, ...] = ()
MARKERS = "os^DvpX*"


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    rows = table[table["kind"] == "monte carlo"]
    times = (rows["measured"] * rows["scale"]).groupby([rows["labels"], rows["who"]]).median().unstack()
    last = times.loc[times.index.max()]
    beside = ", ".join(
        f"{last[who] / last['implicitloss']:.2g} for {who}" for who in last.dropna().index if who != "implicitloss"
    )
    return (
        "How fast the engines are, beside what one would use instead.  "
        "Left: nanoseconds for one drawn label by this package's simulation and by what one would use instead, against "
        "the number of labels; the dashed line is the time of the random numbers alone.  Middle: seconds for exact "
        "quantities, with labels compressed (solid) and one by one (dashed).  Right: seconds for the exact mean "
        "against the number of negatives.  Medians of repeats; bars from least to most.  Times relative to the "
        f"simulation's at L = {times.index.max():,} labels: {beside}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for (kind, who), rows in table[table["kind"].isin(["monte carlo", "exact"])].groupby(["kind", "who"], sort=False):
        times = (rows["measured"] * rows["scale"]).groupby(rows["labels"]).median()
        unit, factor = ("ns a draw", 1e9) if kind == "monte carlo" else ("s", 1.0)
        said.append(f"{who}: from {times.iloc[0] * factor:.2g} to {times.iloc[-1] * factor:.2g} {unit}")
    labels = table["labels"]
    in_m = table[table["kind"] == "exact, any m"].groupby("who", sort=False)["measured"].median()
    first, last = (f"{in_m.iloc[end]:.2g} s at {in_m.index[end]}" for end in (0, -1))
    return (
        f"Three panels. Time against labels from {labels.min():,} to {labels.max():,}: {'; '.join(said)}. Time of an "
        f"exact mean against m: from {first} to {last}."
    )


def draw(table: Any) -> Figure:
    """Three panels: Monte Carlo against labels, exact against labels, exact against negatives."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[3, 3, 2])
    spread: dict[str, Any] = {
        "estimator": "median", "errorbar": ("pi", 100), "err_style": "bars", "err_kws": {"capsize": 2},
        "markeredgecolor": "none", "markersize": 5,
    }  # fmt: skip
    for ax, kind, factor in ((left, "monte carlo", 1e9), (middle, "exact", 1.0)):
        rows = table[table["kind"] == kind]
        names = list(dict.fromkeys(rows["who"]))
        apart = dict.fromkeys(["random doubles", "NumPy's exp of all scores"], "0.4")  # limits, no engines
        sns.lineplot(
            rows.assign(time=rows["measured"] * rows["scale"] * factor), x="labels", y="time", hue="who", style="who",
            hue_order=names, style_order=names, markers=dict(zip(names, MARKERS, strict=False)), dashes={
                name: (4, 2) if name in apart or "label by label" in name else "" for name in names
            }, palette={name: apart.get(name, f"C{i % 7}") for i, name in enumerate(names)}, ax=ax, **spread,
        )  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel="labels L")
        ax.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=1)
    left.set(ylabel="nanoseconds a draw", title="Monte Carlo")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter("")
    middle.set(ylabel="seconds", title="exact")
    rows = table[table["kind"] == "exact, any m"]
    rows = rows.assign(m=rows["who"].str.removeprefix("m = ").astype(int), time=1e3 * rows["measured"])
    sns.lineplot(rows, x="m", y="time", color="C0", marker="o", ax=right, **spread)
    title = f"exact, L = {rows['labels'].iloc[0]:,}"
    right.set(xscale="log", xlabel="negatives m", ylabel="milliseconds", title=title, ylim=(0, None))
    return figure
