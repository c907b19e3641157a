"""Theorem 3: the squared error and the bias of the sampled loss, against the theorem's terms."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from figures._marks import COLOR, LINE, WEIGHTINGS, below

CLAIMS = ("rawat2021.theorem3.leading", "rawat2021.theorem3.remainder", "rawat2021.theorem3.outside")


def _orders(table: Any, weighting: str) -> tuple[float, float, float]:
    """The mean of the fitted orders, its standard error, and the largest deviation of one from -1 in its own."""
    each = table[table["weighting"] == weighting].drop_duplicates(["prior", "scorer", "sampler"]).dropna()
    weight = each["order_error"] ** -2
    mean = float((each["order"] * weight).sum() / weight.sum())
    return mean, float(weight.sum() ** -0.5), float(((each["order"] + 1) / each["order_error"]).abs().max())


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    inside, outside = table[table["inside"]], table[~table["inside"]]
    far = inside[inside["m"] >= 100 * inside["v"]]
    ratio, two = far["mse"] / far["mse_first"], far["mse"] / far["mse_two"]
    ends = outside[outside["m"] == outside["m"].max()]
    left = ends["mse"] / ends["mse_first"]
    orders = ", ".join(
        "{} {:.3f} ± {:.3f} (the worst of its series is {:.1f} standard errors off)".format(w, *_orders(table, w))
        for w in WEIGHTINGS
        if table.loc[table["weighting"] == w, "inside"].all()
    )
    return (
        "Where Theorem 3 holds, errors fall as it says once m is well above v.  "
        "By Theorem 3 the sampled softmax loss differs from its implicit loss by v/m in the mean square and by -v/(2m) "
        "in the mean, for many negatives m; v is the variance of one negative's term in units of its squared mean.  "
        "Shown are the squared error (above) and the mean difference, the bias (below), divided by these terms, "
        f"against m/v.  Where m is at least 100 v, the exact squared error is {ratio.min():.3f} to "
        f"{ratio.max():.3f} times the theorem's term, and {two.min():.4f} to {two.max():.4f} times the sum of two "
        "terms of the expansion in 1/m.  Relative weights are outside the theorem, which needs weights η/m with η free "
        f"of m: with the v of m = 1 their squared error ends at {left.min():.2g} to {left.max():.2g} times v/m.  The "
        "exponent of m in the simulated squared error, fitted over all priors, scorers and samplers after the second "
        f"term is allowed for (Theorem 3: -1): {orders}.  Lines: exact, one for each prior, scorer and sampler; "
        "dotted: two terms; dots with bars: simulated, with two standard errors, for one prior and scorer, where these "
        "are below 30 % of the term.  Panels inside the theorem are cut at 0.3 and 1.6."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for weighting in WEIGHTINGS:
        rows = table[table["weighting"] == weighting]
        ratio = rows["mse"] / rows["mse_first"]
        first, last = (ratio[rows["m"] == m] for m in (rows["m"].min(), rows["m"].max()))
        said.append(
            f"{weighting} weights: from {first.min():.2g}-{first.max():.2g} at m = {rows['m'].min()} to "
            f"{last.min():.3g}-{last.max():.3g} at m = {rows['m'].max()}"
        )
    return (
        "Four columns, one for each weighting; above, exact squared error over leading term, below that of "
        f"the bias, each against m over v, a line for each prior, scorer and sampler. Squared error: {'; '.join(said)}."
    )


def draw(table: Any) -> Figure:
    """Two rows of four panels."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots(2, len(WEIGHTINGS), sharex=True)
    for column, weighting in enumerate(WEIGHTINGS):
        rows = table[table["weighting"] == weighting]
        for ax, of in zip(axes[:, column], ("mse", "bias"), strict=True):
            ax.axhline(1, color="0.5", lw=0.8, label="leading term")
            for keys, line in rows.groupby(["sampler", "prior", "scorer"], sort=False):
                first, x, color = line[f"{of}_first"], line["m"] / line["v"], COLOR[weighting]
                ax.plot(x, line[of] / first, color=color, ls=LINE[keys[0]], lw=0.9, label=f"exact, {keys[0]}")
                ax.plot(x, line[f"{of}_two"] / first, color="0.4", ls=":", lw=0.8, label="two terms")
                if keys[1:] == (rows["prior"].iloc[0], rows["scorer"].iloc[0]):
                    shown = line[2 * line[f"{of}_standard_error"] < 0.3 * first.abs()]
                    of_first = first.loc[shown.index]
                    ax.errorbar(
                        (line["m"] / line["v"]).loc[shown.index],
                        shown[f"{of}_simulated"] / of_first,
                        2 * shown[f"{of}_standard_error"] / of_first.abs(),
                        color="0.15", fmt="o", ms=2.5, lw=0.8, label="simulated",
                        mfc="white" if keys[0] == "uniform" else "0.15",
                    )  # fmt: skip
            ax.set(xscale="log")
            if rows["inside"].all():
                ax.set_ylim(0.3, 1.6)
            else:
                ax.set_yscale("log")
        axes[0, column].set_title(weighting)
        axes[1, column].set_xlabel("m / v")
    axes[0, 0].set_ylabel("squared error / (v/m)")
    axes[1, 0].set_ylabel("bias / (-v/2m)")
    found = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))
    below(figure, list(found.values()), list(found), 5)
    return figure
