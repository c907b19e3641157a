"""The squared error of the sampled loss about its implicit loss, against Theorem 3."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

CAPTION = (
    "Squared error of sampled softmax about its implicit loss, as a multiple of Theorem 3's leading term σ²/(m "
    "μ²). The exact value (line) reaches the theorem (1) once m is well above v = σ²/μ²; the second term (dotted) "
    "says when. Dots: simulation, two standard errors."
)


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    said = []
    for scheme, rows in table.groupby("scheme", sort=False):
        ratio = rows["exact"] / rows["leading"]
        said.append(f"{scheme}: from {ratio.iloc[0]:.2g} to {ratio.iloc[-1]:.3g}")
    return (
        "One panel a scheme: the ratio of the exact squared error to the leading term against the number of "
        f"negatives m from {table['m'].min()} to {table['m'].max()}. {'; '.join(said)}."
    )


def draw(table: Any) -> Figure:
    """Three panels, one a scheme."""
    schemes = list(dict.fromkeys(table["scheme"]))
    figure = Figure(figsize=(7.2, 3.1), layout="constrained")
    axes = figure.subplots(1, len(schemes), sharey=True, sharex=True)
    for ax, scheme in zip(axes, schemes, strict=True):
        rows = table[table["scheme"] == scheme]
        m, leading = rows["m"], rows["leading"]
        ax.axhline(1, color="C1", ls="--", label="σ²/(m μ²)")
        ax.plot(m, rows["two_terms"] / leading, color="C2", ls=":", label="two terms")
        ax.plot(m, rows["exact"] / leading, color="C0", label="exact")
        ax.errorbar(
            m,
            rows["simulated"] / leading,
            2 * rows["standard_error"] / leading,
            color="C6",
            fmt="o",
            ms=3,
            lw=0.8,
            label="simulated",
        )
        ax.set(title=f"{scheme}, v = {float(rows['v'].iloc[0]):.2g}", xlabel="negatives m", xscale="log")
    axes[0].set_ylabel("squared error / leading term")
    ratio = table["exact"] / table["leading"]
    axes[0].set_ylim(min(ratio.min(), 1) - 0.15, ratio.max() + 0.25)
    handles, labels = axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=7, loc="outside lower center", ncols=4)
    return figure
