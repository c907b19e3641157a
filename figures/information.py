"""The information that sampling leaves about frequent and rare labels."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below, one_of, prior_named

CLAIMS: tuple[str, ...] = ("design.information.integral", "design.cost.same-law", "design.cost.many-draws")
SAMPLERS = {"within-batch": ("C0", "o"), "half uniform": ("C2", "s"), "uniform": ("C1", "^")}
SLICES = ("head", "torso", "tail")
ENOUGH = 0.9


def _at(table: Any, prior: str, sampler: str, part: str, m: int) -> float:
    return float(one_of(table, prior=prior, sampler=sampler, slice=part, m=m)["kept"].iloc[0])


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    m = int(min(table["m"].unique(), key=lambda m: abs(m - 256)))
    said = []
    for prior, rows in table.groupby("prior", sort=False):
        parts = [part for part in ("head", "tail") if part in set(rows["slice"])]
        values = "; ".join(
            f"{sampler} {', '.join(f'{_at(table, prior, sampler, part, m):.2f} ({part})' for part in parts)}"
            for sampler in SAMPLERS
        )
        said.append(f"{prior_named(prior, rows)}: {values}")
    return (
        "How much of full softmax's information about frequent and rare labels is left after sampling.  "
        "The share of what an example says about a label in full that is left when labels are sampled and weights are "
        "consistent, for labels that are likely at x, against the number of draws m.  Dotted: the rule m q_k = 10 η_k, "
        "which keeps nine tenths where q_k and η_k are small, and somewhat less of frequent labels.  At "
        f"m = {m:,}: {'.  '.join(said)}."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    ends = int(table["m"].min()), int(table["m"].max())
    said = []
    for (prior, part), rows in table.groupby(["prior", "slice"], sort=False):
        values = ", ".join(
            f"{sampler} {' to '.join(f'{_at(table, prior, sampler, part, m):.2f}' for m in ends)}"
            for sampler in SAMPLERS
        )
        said.append(f"{prior_named(prior, rows)}, {part}: {values}")
    return (
        f"A row of panels for each prior, head, torso and tail across: share kept against m from {ends[0]:,} to "
        f"{ends[1]:,}, a line for each sampler. {'; '.join(said)}."
    )


def draw(table: Any) -> Figure:
    """Priors down, slices across."""
    priors = list(table["prior"].unique())
    figure = Figure(figsize=(7.2, 0.9 + 2.0 * len(priors)), layout="constrained")
    axes = figure.subplots(len(priors), 3, sharex=True, sharey=True, squeeze=False)
    for line, prior in zip(axes, priors, strict=True):
        rows = one_of(table, prior=prior)
        for ax, part in zip(line, SLICES, strict=True):
            ax.axhline(ENOUGH, color="0.6", lw=0.8)
            ax.set(xscale="log", ylim=(0, 1.03))
            ax.set_title(part if ax is not line[0] else f"{prior_named(prior, rows)}: {part}", fontsize=8, loc="left")
            for sampler, (color, marker) in SAMPLERS.items():
                found = rows[(rows["slice"] == part) & (rows["sampler"] == sampler)]
                if found.empty:
                    continue
                ax.plot(found["m"], found["kept"], color=color, marker=marker, ms=4)
                ax.axvline(found["rule"].iloc[0], color=color, ls=":", lw=1)
        line[0].set_ylabel("information kept")
    for ax in axes[-1]:
        ax.set_xlabel("draws m")
    low, high = table["m"].min(), table["m"].max()
    axes[0, 0].set_xlim(low / 1.5, high * 1.5)
    handles = [Line2D([], [], color=color, marker=marker, ms=4) for color, marker in SAMPLERS.values()]
    handles.append(Line2D([], [], color="0.4", ls=":", lw=1))
    below(figure, handles, [*SAMPLERS, "m q_k = 10 η_k"], 4)
    return figure
