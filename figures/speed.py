"""How fast the two engines are, against peers and against random numbers alone."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

CLAIMS: tuple[str, ...] = ()
MARKERS = "os^Dvp"


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    rows = table[table["kind"] == "monte carlo"]
    times = (rows["measured"] * rows["scale"]).groupby([rows["labels"], rows["who"]]).median().unstack()
    last = times.loc[times.index.max()]
    beside = ", ".join(
        f"{last[who] / last['implicitloss']:.2g} for {who}" for who in last.dropna().index if who != "implicitloss"
    )
    return (
        "Left: nanoseconds a draw of the Monte Carlo engine and of what would be used instead, against the number of "
        "labels; the dashed line is what the random doubles alone cost.  Middle: seconds for exact quantities of all "
        "labels, compressed (filled) and label by label (open).  Right: the exact mean against the number of "
        "negatives.  Medians of the repeats of one run; bars from least to most.  Time over that of the engine at "
        f"L = {times.index.max():,}: {beside}."
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
    figure = Figure(figsize=(7.2, 3.9), layout="constrained")
    left, middle_ax, right = figure.subplots(1, 3, width_ratios=[3, 3, 2])
    for ax, kind, factor in ((left, "monte carlo", 1e9), (middle_ax, "exact", 1.0)):
        part = table[table["kind"] == kind]
        for i, who in enumerate(dict.fromkeys(part["who"])):
            rows = part[part["who"] == who]
            times = (rows["measured"] * rows["scale"] * factor).groupby(rows["labels"])
            middle, least, most = times.median(), times.min(), times.max()
            limit, slow = who == "random doubles", "label by label" in who
            ax.errorbar(
                middle.index, middle, [middle - least, most - middle],
                color="0.4" if limit else f"C{i % 7}", ls="--" if limit or slow else "-", lw=1.2,
                marker=None if limit else MARKERS[i % 6], mfc="white" if slow else None, label=who, capsize=2,
            )  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel="labels L")
        ax.legend(fontsize=5.5, loc="upper left")
        low, high = ax.get_ylim()
        ax.set_ylim(low, high * (high / low) ** 0.5)
    left.set(ylabel="nanoseconds a draw", title="Monte Carlo")
    middle_ax.set(ylabel="seconds", title="exact")
    part = table[table["kind"] == "exact, any m"]
    m = part["who"].str.removeprefix("m = ").astype(int)
    times = 1e3 * part["measured"]
    times = times.groupby(m)
    middle, least, most = times.median(), times.min(), times.max()
    right.errorbar(middle.index, middle, [middle - least, most - middle], color="C0", marker="o", capsize=2)
    right.set(xscale="log", xlabel="negatives m", ylabel="milliseconds", title=f"exact, L = {part['labels'].iloc[0]:,}")
    right.set_ylim(0, 2 * most.max())
    return figure
