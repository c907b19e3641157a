"""The paper's Figure 1 on a problem with known η: errors of head, torso and tail by scheme."""

from __future__ import annotations

from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._marks import below, one_of

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
        "Which schemes err on frequent labels, and which on rare ones.  "
        f"Test error by slice of labels, mean over {seeds} "
        f"seed{'s and its standard error (bars)' if seeds > 1 else ''}; open markers: the errors of the best scores "
        f"that the true sampled loss can teach, where class probabilities are known.  {profile}, tail error: "
        f"cross-entropy {said('cross-entropy', 'tail')}, logit adjustment {said('logit-adjusted', 'tail')}; "
        f"within-batch constant {said('within-batch, constant', 'tail')}, relative "
        f"{said('within-batch, relative', 'tail')}, tail weights {said('within-batch, tail', 'tail')}; uniform "
        f"constant {said('uniform, constant', 'tail')}, tail weights {said('uniform, tail', 'tail')}.  Balanced error: "
        f"cross-entropy {said('cross-entropy', 'balanced')}, within-batch constant "
        f"{said('within-batch, constant', 'balanced')}, logit adjustment {said('logit-adjusted', 'balanced')}.  The "
        "distance between an open and a filled marker is due to training on few examples."
    )


def alt(table: Any) -> str:
    """What the picture shows, in words, from the table."""
    mean, _ = _summary(table)
    said = [
        f"{profile}, {name}: head {row['head']:.0%}, tail {row['tail']:.0%}, balanced {row['balanced']:.0%}"
        for (profile, name), row in mean.iterrows()
    ]
    return f"A row for each loss, its errors by slice as markers from 0 to 100 per cent. {'; '.join(said)}."


def _long(table: Any, kind: str) -> Any:
    """A row for each slice."""
    rows = table[table["kind"] == kind]
    return rows.melt(["profile", "name"], list(SLICES), "slice", "error").dropna()


def draw(table: Any) -> Figure:
    """A panel for each profile."""
    profiles, names = (list(dict.fromkeys(table[of])) for of in ("profile", "name"))
    figure = Figure(figsize=(7.2, 1.2 + 0.34 * len(names)), layout="constrained")
    axes = figure.subplots(1, len(profiles), sharey=True, squeeze=False)[0]
    for ax, profile in zip(axes, profiles, strict=True):
        for kind, fill in (("predicted", "white"), ("trained", None)):
            rows = _long(table, kind)
            sns.pointplot(
                rows[rows["profile"] == profile], x="error", y="name", hue="slice", order=names, hue_order=list(SLICES),
                palette=[color for color, _ in SLICES.values()], markers=[marker for _, marker in SLICES.values()],
                errorbar="se", dodge=0.5, linestyle="none", markersize=4, err_kws={"linewidth": 0.8},
                markeredgewidth=0.8, legend=False, ax=ax, **({"markerfacecolor": fill} if fill else {}),
            )  # fmt: skip
        full = set(one_of(table, sampler="none")["name"])
        for i, name in enumerate(names):
            if name in full:  # all labels are used, as the paper shades them
                ax.axhspan(i - 0.5, i + 0.5, color="0.92", zorder=0)
        ax.set(
            title=f"{profile} profile" if profile != "given" else "given features",
            xlabel="test error",
            ylabel="",
            xlim=(-0.02, 1.03),
            ylim=(len(names) - 0.5, -0.5),
        )
        ax.tick_params(axis="y", labelsize=7)
        ax.grid(axis="y", visible=False)
    handles = [Line2D([], [], marker=m, color=c, ls="", ms=4) for c, m in SLICES.values()]
    handles.append(Line2D([], [], marker="o", color="0.4", mfc="white", ls="", ms=4))
    below(figure, handles, [*SLICES, "open: by the optimum"], 5)
    return figure
