"""The paper's Figure 1 on a problem with known η: errors of head, torso and tail by scheme."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures._marks import below

CLAIMS = ("menon2021.profiles", "rawat2021.section4.constant", "rawat2021.section4.relative")
SLICES = {"head": ("C0", "o"), "torso": ("C4", "s"), "tail": ("C1", "D"), "balanced": ("0.2", "*")}


def _summary(table: Any) -> Any:
    """Mean and standard error over seeds of the trained ones."""
    trained = table[table["kind"] == "trained"]
    grouped = trained.groupby(["profile", "name"], sort=False)[list(SLICES)]
    return grouped.mean(), grouped.std(ddof=1) / np.sqrt(grouped.count())


def caption(table: Any) -> str:
    """The finding, with the table's numbers."""
    mean, error = _summary(table)
    profile = mean.index.get_level_values("profile")[0]

    def said(name: str, of: str) -> str:
        spread = error.loc[(profile, name), of]
        return f"{mean.loc[(profile, name), of]:.0%}" + ("" if np.isnan(spread) else f" ± {spread:.1%}")

    seeds = table[table["kind"] == "trained"]["seed"].nunique()
    return (
        f"Test error by slice of labels, mean over {seeds} "
        f"seed{'s and its standard error (bars)' if seeds > 1 else ''}; open markers: what the population optimum of "
        f"the true sampled loss gives at the same kind of x.  {profile}, tail error: cross-entropy "
        f"{said('cross-entropy', 'tail')}, logit adjustment {said('logit-adjusted', 'tail')}; within-batch constant "
        f"{said('within-batch, constant', 'tail')}, relative {said('within-batch, relative', 'tail')}, tail weights "
        f"{said('within-batch, tail', 'tail')}; uniform constant {said('uniform, constant', 'tail')}, tail weights "
        f"{said('uniform, tail', 'tail')}.  Balanced error: cross-entropy {said('cross-entropy', 'balanced')}, "
        f"within-batch constant {said('within-batch, constant', 'balanced')}, logit adjustment "
        f"{said('logit-adjusted', 'balanced')}.  The rest of the way from the open markers is what training on few "
        "examples makes."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    mean, _ = _summary(table)
    said = [
        f"{profile}, {name}: head {row['head']:.0%}, tail {row['tail']:.0%}, balanced {row['balanced']:.0%}"
        for (profile, name), row in mean.iterrows()
    ]
    return f"A row for each loss, its errors by slice as markers from 0 to 100 per cent. {'; '.join(said)}."


def draw(table: Any) -> Figure:
    """A panel for each profile."""
    profiles = list(dict.fromkeys(table["profile"]))
    names = list(dict.fromkeys(table["name"]))[::-1]
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(profiles), sharey=True))
    mean, error = _summary(table)
    predicted = table[table["kind"] == "predicted"].set_index(["profile", "name"])
    for ax, profile in zip(axes, profiles, strict=True):
        for i, name in enumerate(names):
            if "," not in name:  # all labels are used, as the paper shades them
                ax.axhspan(i - 0.5, i + 0.5, color="0.92", zorder=0)
            for k, (of, (color, marker)) in enumerate(SLICES.items()):
                at = i + 0.24 - 0.16 * k
                if np.isnan(mean.loc[(profile, name), of]):
                    continue
                ax.errorbar(
                    mean.loc[(profile, name), of], at, xerr=np.nan_to_num(error.loc[(profile, name), of]), color=color,
                    fmt=marker, ms=4, lw=0.8, label=of if i == 0 else None,
                )  # fmt: skip
                if (profile, name) in predicted.index and not np.isnan(predicted.loc[(profile, name), of]):
                    ax.plot(predicted.loc[(profile, name), of], at, marker, color=color, mfc="white", ms=4, mew=0.8)
        ax.set(
            title=f"{profile} profile" if profile != "given" else "given features",
            xlabel="test error",
            xlim=(-0.02, 1.03),
        )
        ax.set_ylim(-0.6, len(names) - 0.4)
    axes[0].set_yticks(range(len(names)), names, fontsize=7)
    axes[0].plot([], [], "o", color="0.4", mfc="white", ms=4, label="open: by the optimum")
    below(figure, *axes[0].get_legend_handles_labels(), 5)
    return figure
