"""Proposition 5: what any sampler costs is its chi-square distance from the best one."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from figures._marks import below, one_of

CLAIMS = ("rawat2021.proposition5.decoupled", "rawat2021.proposition5.softmax", "rawat2021.lemma1.variance")
FAMILIES = {
    "mixture with uniform": ("C0", "o"),
    "earlier scores": ("C1", "s"),
    "noisy scores": ("C2", "^"),
    "rounded scores": ("C3", "D"),
}


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    decoupled = one_of(table, loss="decoupled logistic")
    paid = decoupled[decoupled["chi2"] > 1e-6]
    off = float((paid["variance"] / paid["by_chi2"] - 1).abs().max())
    best = decoupled["variance"].min() / decoupled["variance"].max()
    plain = one_of(table, loss="softmax").dropna(subset=["sampler"]).sort_values("variance")
    softmax = one_of(table, loss="softmax")
    apart = softmax[softmax["chi2"] > 1e-6]
    ratio = apart["variance"] / apart["by_chi2"]
    noisy = one_of(softmax, family="noisy scores", level=1.0)["variance"].iloc[0]
    return (
        "What a sampler costs is how far it is from the best one.  "
        f"Variance of the loss with m = {table['m'].iloc[0]} negatives, importance weights and hits excluded, against "
        "the distance χ²(q*‖q) of the sampler q from the best one, q*.  The line is what Proposition 5 predicts, "
        "((Σϕ)²/m) χ², ϕ what a negative pays (for softmax in units of the squared mean).  Decoupled loss: on the line "
        f"to within {off:.0e}; with q* itself the variance is {best:.0e} of the largest.  Softmax: {ratio.min():.2f} "
        f"to {ratio.max():.2f} of the line.  Of samplers that do not use the scores the best here is "
        f"{plain['sampler'].iloc[0]} ({plain['variance'].iloc[0]:.2g}), the worst {plain['sampler'].iloc[-1]} "
        f"({plain['variance'].iloc[-1]:.2g}); q* computed from scores with noise of standard deviation 1 has "
        f"{noisy:.2g}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for (loss, family), rows in table.dropna(subset=["family"]).groupby(["loss", "family"], sort=False):
        said.append(f"{loss}, {family}: variance {rows['variance'].min():.1g} to {rows['variance'].max():.2g}")
    return (
        "Two panels, decoupled logistic and softmax: variance against chi-square distance on logarithmic axes, points "
        f"along a line of slope one. {'; '.join(said)}."
    )


def draw(table: Any) -> Figure:
    """A panel for each loss."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, loss in zip(axes, ("decoupled logistic", "softmax"), strict=True):
        rows = table[(table["loss"] == loss) & (table["chi2"] > 1e-6)].sort_values("chi2")
        ax.plot(rows["chi2"], rows["by_chi2"], color="0.5", lw=0.8, label="by χ²")
        for family, (color, marker) in FAMILIES.items():
            part = rows[rows["family"] == family]
            ax.plot(part["chi2"], part["variance"], marker, color=color, ls="", ms=4, label=family)
        plain = rows[rows["sampler"].notna()]
        for marker, (_, row) in zip("XP*vh", plain.sort_values("sampler").iterrows(), strict=False):
            ax.plot(row["chi2"], row["variance"], marker, color="black", mfc="white", ms=6, ls="", label=row["sampler"])
        ax.set(title=loss, xscale="log", yscale="log", xlabel="χ²(q*‖q)")
        low = rows["chi2"].min()
        ax.set_xlim(low / 2, rows["chi2"].max() * 2)
    axes[0].set_ylabel("variance of the loss")
    below(figure, *axes[0].get_legend_handles_labels(), 4)
    return figure
